/* pcm: little-endian bytes to samples, whatever the cuts. */
#include "edge/media/pcm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_byte_order(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x34, 0x12, 0xff, 0xff, 0x00, 0x80};
    int16_t samples[3];
    struct pcm pcm;
    pcm_open(&pcm);
    assert_int_equal(pcm_take(&pcm, span_from(bytes, sizeof bytes), samples), 3);
    assert_int_equal(samples[0], 0x1234);
    assert_int_equal(samples[1], -1);
    assert_int_equal(samples[2], INT16_MIN);
    struct span again = pcm_bytes(samples, 3);
    assert_true(span_equal(again, span_from(bytes, sizeof bytes)));
}

/* Every way to cut twelve bytes into pieces, single bytes and nothing at all included. */
static void test_every_cut(void **state)
{
    (void)state;
    uint8_t bytes[12];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 19 + 1);
    for (unsigned cuts = 0; cuts < 1u << 11; cuts++) {
        int16_t samples[16];
        size_t count = 0, from = 0;
        struct pcm pcm;
        pcm_open(&pcm);
        for (size_t i = 0; i < sizeof bytes; i++) {
            if (i < 11 && !(cuts >> i & 1))
                continue;
            size_t taken = pcm_take(&pcm, span_from(bytes + from, i + 1 - from), samples + count);
            assert_true(taken <= pcm_samples_max(i + 1 - from));
            count += taken;
            from = i + 1;
            assert_int_equal(count, from / 2);
            assert_int_equal(pcm_take(&pcm, span_from(NULL, 0), NULL), 0);
        }
        assert_int_equal(count, 6);
        for (size_t i = 0; i < count; i++)
            assert_int_equal((uint16_t)samples[i], bytes[2 * i] | bytes[2 * i + 1] << 8);
    }
}

static void test_open_forgets(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2};
    int16_t sample = 0;
    struct pcm pcm;
    pcm_open(&pcm);
    assert_int_equal(pcm_take(&pcm, span_from("\x7f", 1), &sample), 0);
    pcm_open(&pcm);
    assert_int_equal(pcm_take(&pcm, span_from(bytes, 2), &sample), 1);
    assert_int_equal(sample, 0x0201);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_order),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_open_forgets),
    };
    return cmocka_run_group_tests_name("pcm", tests, NULL, NULL);
}
