/* The bytes of a recording: what is written is read, and nothing else is. */
#include "common/spool_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct spool_head example = {.flags = SPOOL_PAUSED,
                                          .samples = SPOOL_BLOCK_SAMPLES,
                                          .first_sample = UINT64_C(0x0102030405060708),
                                          .started_at_ms = 1800000000123,
                                          .call = {1, 2, 3},
                                          .organization = {9, 8, 7}};

static void a_head_is_read_as_it_was_written(void **state)
{
    (void)state;
    uint8_t bytes[SPOOL_HEAD_BYTES];
    struct spool_head head;
    memset(&head, 0, sizeof head);
    spool_head_write(&example, bytes);
    assert_memory_equal(bytes, "RSPB\x01\x01\xe0\x1f\x08\x07\x06\x05\x04\x03\x02\x01", 16);
    assert_true(spool_head_read(span_from(bytes, sizeof bytes), &head));
    assert_memory_equal(&head, &example, sizeof head);
    assert_false(spool_head_read(span_from(bytes, sizeof bytes - 1), &head));
}

/* Worked out by a program that gives 0xe3069283 for "123456789". */
static void the_checksum_is_crc32c(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0xfd, 0x76, 0x0a, 0x7a};
    uint8_t bytes[SPOOL_HEAD_BYTES];
    spool_head_write(&example, bytes);
    assert_memory_equal(bytes + 60, expected, 4);
}

static void no_bit_may_differ(void **state)
{
    (void)state;
    uint8_t bytes[SPOOL_HEAD_BYTES];
    struct spool_head head;
    spool_head_write(&example, bytes);
    for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(spool_head_read(span_from(bytes, sizeof bytes), &head));
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memset(bytes, 0, sizeof bytes); /* what a file system leaves behind */
    assert_false(spool_head_read(span_from(bytes, sizeof bytes), &head));
}

static void only_names_of_spool_files_are_names(void **state)
{
    (void)state;
    static const char good[] = "11111111-2222-4333-8444-55555555abcd.1800000000123.spool";
    assert_int_equal(strlen(good), SPOOL_NAME_BYTES);
    assert_true(spool_name_valid(span_of(good)));
    for (size_t i = 0; i < SPOOL_NAME_BYTES; i++) {
        char bad[sizeof good];
        memcpy(bad, good, sizeof good);
        bad[i] = '/';
        assert_false(spool_name_valid(span_of(bad)));
        assert_false(spool_name_valid(span_from(good, i)));
    }
    assert_false(
        spool_name_valid(span_of("../../../../../../../../../../../../../../etc/passwd.spool")));
    assert_false(
        spool_name_valid(span_of("11111111-2222-4333-8444-55555555ABCD.1800000000123.spool")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_as_it_was_written),
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(no_bit_may_differ),
        cmocka_unit_test(only_names_of_spool_files_are_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
