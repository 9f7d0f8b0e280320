/* ws: what memory it takes, keeps and lends, and what becomes of it when there is none. */
#include "tests/wire/ws_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- memory: the linker leads our allocations through here (see CMakeLists.txt) ---- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);

static size_t allocations, allocated_bytes;
static size_t allocations_left = SIZE_MAX; /* then memory is out */

static bool grant(size_t bytes)
{
    allocations++;
    allocated_bytes += bytes;
    return allocations_left == SIZE_MAX || allocations_left-- > 0;
}

void *__wrap_malloc(size_t bytes)
{
    return grant(bytes) ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return grant(count * bytes) ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return grant(bytes) ? __real_realloc(old, bytes) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return grant(bytes) ? __real_aligned_alloc(alignment, bytes) : NULL;
}

/* A head that announces everything, and nothing behind it: no memory is taken for it. */
static void takes_no_memory_for_promises(void **state)
{
    struct span input;
    (void)state;
    peer.ws = ws_open(WS_CLIENT, (size_t)1 << 30);
    allocated_bytes = 0;
    peer_begin();
    peer_put("\x02\x7f", 2);
    peer_number(1u << 30, 8);
    assert_int_equal(peer_feed(peer.stream, peer.stream_bytes, &input), DECODE_MORE);
    assert_int_equal(peer_feed("abc", 3, &input), DECODE_MORE);
    assert_true(allocated_bytes > 0 && allocated_bytes < 4096);
    ws_close(peer.ws);
}

/* In the steady state messages that come in pieces need no allocation. */
static void keeps_its_memory(void **state)
{
    struct span input;
    char piece[] = {0x02, 3, 'a', 'b', 'c'};
    char last[] = {(char)0x80, 3, 'd', 'e', 'f'};
    (void)state;
    struct ws *other = ws_open(WS_CLIENT, 1000);
    peer.ws = ws_open(WS_CLIENT, 1000);
    for (int round = 0; round < 100; round++) {
        allocations = 0;
        assert_int_equal(peer_feed(piece, sizeof piece, &input), DECODE_MORE);
        assert_int_equal(peer_feed(last, sizeof last, &input), DECODE_DONE);
        peer_expect(WS_BINARY, "abcdef");
        assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_MORE);
        assert_int_equal(allocations, round == 0 ? 1 : 0);
    }
    ws_close(peer.ws);
    ws_close(other);
    ws_close(NULL);
}

/* More connections in the middle of a message than the store keeps, and messages larger than it
 * keeps: all are right, and given back. */
static void lends_as_many_as_needed(void **state)
{
    enum { CONNECTIONS = 100 };
    static char large[200000];
    struct ws *many[CONNECTIONS];
    struct span input;
    (void)state;
    memset(large, 'l', sizeof large);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        peer.ws = many[i] = ws_open(WS_CLIENT, sizeof large);
        peer_begin();
        peer_frame(WS_CLIENT, 0x82, large, i % 2 ? sizeof large : 500);
        assert_int_equal(peer_feed(peer.stream, peer.stream_bytes - 1, &input), DECODE_MORE);
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        peer.ws = many[i];
        assert_int_equal(peer_feed("l", 1, &input), DECODE_DONE);
        assert_int_equal(peer.message.body.bytes, i % 2 ? sizeof large : 500);
        assert_memory_equal(peer.message.body.data, large, peer.message.body.bytes);
        assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_MORE);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        ws_close(many[i]);
}

/* The n-th allocation fails, n = 0, 1, 2 ...: no connection, or an orderly fault, or success. */
static void survives_scarcity(void **state)
{
    struct span input;
    char piece[5000];
    size_t enough = 0;
    (void)state;
    memset(piece, 'p', sizeof piece);
    for (size_t left = 0; !enough; left++) {
        peer_begin();
        peer_frame(WS_CLIENT, 0x02, piece, 10);
        peer_frame(WS_CLIENT, 0x80, piece, sizeof piece);
        allocations_left = left;
        peer.ws = ws_open(WS_CLIENT, 10000);
        enum decode decode =
            peer.ws ? peer_feed(peer.stream, peer.stream_bytes, &input) : DECODE_BAD;
        allocations_left = SIZE_MAX;
        assert_true(decode == DECODE_DONE || !peer.ws || peer.fault == FAULT_no_capacity);
        enough = decode == DECODE_DONE ? left : 0;
        ws_close(peer.ws);
    }
    assert_int_equal(enough, 3); /* the connection, a buffer, a larger one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_no_memory_for_promises),
        cmocka_unit_test(keeps_its_memory),
        cmocka_unit_test(lends_as_many_as_needed),
        cmocka_unit_test(survives_scarcity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
