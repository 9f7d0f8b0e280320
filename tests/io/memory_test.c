/* Slots, blocks and the TLS library's heap: what is given back is found no more, what is taken is
 * bounded, what was secret is wiped. */
#include "edge/io/heap.h"
#include "edge/io/pool.h"
#include "edge/io/slab.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void references_die_with_their_slot(void **state)
{
    struct slab slab;
    uint64_t refs[3], again;
    (void)state;
    assert_true(slab_open(&slab, 3, 100));
    for (size_t i = 0; i < 3; i++) {
        uint8_t *slot = slab_take(&slab, &refs[i]);
        assert_non_null(slot);
        assert_int_equal(slot[0] | slot[99], 0);
        slot[0] = slot[99] = 1;
        assert_ptr_equal(slab_find(&slab, refs[i]), slot);
        assert_int_not_equal(refs[i] >> 32, 0);
    }
    assert_null(slab_take(&slab, &again));
    slab_give(&slab, refs[1]);
    assert_null(slab_find(&slab, refs[1]));
    uint8_t *slot = slab_take(&slab, &again);
    assert_int_equal(slab_slot(again), slab_slot(refs[1]));
    assert_int_equal(slot[0] | slot[99], 0); /* nothing of its last life */
    assert_null(slab_find(&slab, refs[1]));
    assert_null(slab_find(&slab, 0));
    assert_null(slab_find(&slab, UINT64_MAX));
    uint32_t at = 0;
    for (size_t i = 0; i < 3; i++)
        assert_non_null(slab_walk(&slab, &at));
    assert_null(slab_walk(&slab, &at));
    slab_give(&slab, refs[0]);
    slab_give(&slab, again);
    slab_give(&slab, refs[2]);
    slab_close(&slab);
}

static void generations_skip_zero_when_they_wrap(void **state)
{
    struct slab slab;
    uint64_t ref = 0, first;
    (void)state;
    assert_true(slab_open(&slab, 1, 1));
    slab_take(&slab, &first);
    slab_give(&slab, first);
    for (uint32_t i = 0; i < SLAB_GENERATION_MAX; i++) {
        slab_take(&slab, &ref);
        assert_int_not_equal(ref >> 32, 0);
        assert_int_equal(ref >> 56, 0);
        slab_give(&slab, ref);
    }
    assert_int_equal(ref, first);
    slab_close(&slab);
}

static void blocks_are_bounded_and_kept(void **state)
{
    struct pool pool;
    (void)state;
    pool_open(&pool, 8192);
    struct block *first = pool_take(&pool, 4000), *second = pool_take(&pool, 4000);
    assert_true(first && second && first != second);
    assert_true(block_space(first) >= 4000);
    assert_null(pool_take(&pool, 1));
    pool_give(&pool, first);
    assert_ptr_equal(pool_take(&pool, 3000), first); /* the same class, hot */
    assert_null(pool_take(&pool, (size_t)1 << 40));
    pool_give(&pool, first);
    pool_give(&pool, second);
    pool_give(&pool, NULL);
    pool_close(&pool);
}

static void secrets_are_wiped(void **state)
{
    struct pool pool;
    (void)state;
    pool_open(&pool, 8192);
    struct block *block = pool_take(&pool, 1000);
    memcpy(block->data, "secret", 6);
    block->end = 6;
    block->secret = true;
    pool_give(&pool, block);
    assert_ptr_equal(pool_take(&pool, 1000), block);
    assert_memory_equal(block->data, "\0\0\0\0\0\0", 6);
    assert_false(block->secret);
    pool_give(&pool, block);
    pool_close(&pool);
}

static void the_heap_takes_every_size(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 200000; bytes += 1 + bytes / 50) {
        uint8_t *memory = OPENSSL_memory_alloc(bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        assert_int_equal(OPENSSL_memory_get_size(memory), bytes);
        memset(memory, 0xaa, bytes);
        OPENSSL_memory_free(memory);
        uint8_t *again = OPENSSL_memory_alloc(bytes);
        if (bytes && bytes < 60000) {
            assert_ptr_equal(again, memory);
            assert_int_equal(again[0] | again[bytes - 1], 0); /* wiped */
        }
        OPENSSL_memory_free(again);
    }
    OPENSSL_memory_free(NULL);
}

static void *free_it(void *memory)
{
    OPENSSL_memory_free(memory);
    return NULL;
}

static void the_heap_is_freed_by_any_thread(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, free_it, OPENSSL_memory_alloc(500)), 0);
    pthread_join(thread, NULL); /* the leak checker judges the rest */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_die_with_their_slot),
        cmocka_unit_test(generations_skip_zero_when_they_wrap),
        cmocka_unit_test(blocks_are_bounded_and_kept),
        cmocka_unit_test(secrets_are_wiped),
        cmocka_unit_test(the_heap_takes_every_size),
        cmocka_unit_test(the_heap_is_freed_by_any_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
