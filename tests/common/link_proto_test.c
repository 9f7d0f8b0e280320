/* link_proto: frames come back as they were sent, whatever the cuts, and a wrong length closes the
 * link before anything is believed. */
#include "common/link_proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t write_frame(uint8_t *to, enum link_type type, uint64_t id, const char *json,
                          const char *raw)
{
    size_t json_bytes = strlen(json), raw_bytes = strlen(raw);
    link_encode_header(to, type, id, json_bytes, raw_bytes);
    memcpy(to + LINK_HEADER_BYTES, json, json_bytes);
    memcpy(to + LINK_HEADER_BYTES + json_bytes, raw, raw_bytes);
    return LINK_HEADER_BYTES + json_bytes + raw_bytes;
}

/* The layout of the header's comment, byte by byte. */
static void test_layout(void **state)
{
    (void)state;
    static const uint8_t wanted[LINK_HEADER_BYTES] = {0x2d, 0x01, 0, 0, LINK_EVENT, 0, 0, 0,
                                                      8,    7,    6, 5, 4,          3, 2, 1,
                                                      0x11, 0x01, 0, 0, 4,          0, 0, 0};
    uint8_t header[LINK_HEADER_BYTES];
    memset(header, 0xff, sizeof header);
    link_encode_header(header, LINK_EVENT, 0x0102030405060708, 273, 4);
    assert_memory_equal(header, wanted, sizeof wanted);
}

static void test_there_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    size_t first = write_frame(bytes, LINK_EVENT, 7, "{\"kind\":\"dtmf\"}", "raw!");
    size_t second = write_frame(bytes + first, LINK_ACK, UINT64_MAX, "", "");
    struct link_frame frame;
    size_t used;
    assert_int_equal(link_decode(span_from(bytes, first + second), &frame, &used), LINK_DONE);
    assert_int_equal(used, first);
    assert_int_equal(frame.type, LINK_EVENT);
    assert_int_equal(frame.id, 7);
    assert_true(span_is(frame.json, "{\"kind\":\"dtmf\"}"));
    assert_true(span_is(frame.raw, "raw!"));
    assert_int_equal(link_decode(span_from(bytes + first, second), &frame, &used), LINK_DONE);
    assert_int_equal(used, LINK_HEADER_BYTES);
    assert_int_equal(frame.type, LINK_ACK);
    assert_true(frame.id == UINT64_MAX);
    assert_int_equal(frame.json.bytes, 0);
    assert_int_equal(frame.raw.bytes, 0);
}

/* Every beginning of a frame is MORE and leaves the frame alone; from the header on its size is
 * known. */
static void test_cut_short(void **state)
{
    (void)state;
    uint8_t bytes[128];
    size_t size = write_frame(bytes, LINK_ORDER, 3, "{}", "abc");
    for (size_t length = 0; length < size; length++) {
        struct link_frame frame;
        size_t used = 99;
        memset(&frame, 0x5a, sizeof frame);
        uint8_t *own = malloc(length ? length : 1); /* the sanitizer guards its end */
        assert_non_null(own);
        memcpy(own, bytes, length);
        assert_int_equal(link_decode(span_from(own, length), &frame, &used), LINK_MORE);
        assert_int_equal(used, length < LINK_HEADER_BYTES ? 0 : size);
        assert_int_equal(frame.type, 0x5a);
        free(own);
    }
    size_t used;
    struct link_frame frame;
    assert_int_equal(link_decode(span_from(NULL, 0), &frame, &used), LINK_MORE);
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static enum link_decode judge(uint32_t frame_bytes, uint32_t json_bytes, uint32_t raw_bytes)
{
    uint8_t header[LINK_HEADER_BYTES] = {0};
    struct link_frame frame;
    size_t used;
    put_u32(header, frame_bytes);
    header[4] = LINK_EVENT;
    put_u32(header + 16, json_bytes);
    put_u32(header + 20, raw_bytes);
    enum link_decode result = link_decode(span_from(header, sizeof header), &frame, &used);
    if (result == LINK_MORE)
        assert_int_equal(used, frame_bytes);
    return result;
}

static void test_lengths(void **state)
{
    (void)state;
    assert_int_equal(judge(24, 0, 0), LINK_DONE);
    assert_int_equal(judge(0, 0, 0), LINK_BAD);
    assert_int_equal(judge(23, 0, 0), LINK_BAD);
    assert_int_equal(judge(25, 0, 0), LINK_BAD);
    assert_int_equal(judge(25, 1, 0), LINK_MORE);
    assert_int_equal(judge(26, 1, 1), LINK_MORE);
    assert_int_equal(judge(26, 2, 1), LINK_BAD);
    assert_int_equal(judge(LINK_FRAME_BYTES_MAX - 1, 0, LINK_FRAME_BYTES_MAX - 25), LINK_MORE);
    assert_int_equal(judge(LINK_FRAME_BYTES_MAX, LINK_FRAME_BYTES_MAX - 24, 0), LINK_MORE);
    assert_int_equal(judge(LINK_FRAME_BYTES_MAX + 1, LINK_FRAME_BYTES_MAX - 23, 0), LINK_BAD);
    /* Sums that only come out right when they wrap at 32 bits. */
    assert_int_equal(judge(24, UINT32_MAX, 1), LINK_BAD);
    assert_int_equal(judge(23, UINT32_MAX, 0), LINK_BAD);
    assert_int_equal(judge(24, 0x80000000, 0x80000000), LINK_BAD);
    assert_int_equal(judge(UINT32_MAX, UINT32_MAX, UINT32_MAX), LINK_BAD);
}

static void test_reserved(void **state)
{
    (void)state;
    for (size_t i = 5; i < 8; i++) {
        uint8_t bytes[64];
        struct link_frame frame;
        size_t used, size = write_frame(bytes, LINK_ACK, 1, "", "");
        bytes[i] = 1;
        assert_int_equal(link_decode(span_from(bytes, size), &frame, &used), LINK_BAD);
        assert_int_equal(used, 0);
    }
}

/* A type we do not know is a frame like any other: its receiver skips it. */
static void test_unknown_type(void **state)
{
    (void)state;
    uint8_t bytes[64];
    struct link_frame frame;
    size_t used, size = write_frame(bytes, LINK_ACK, 1, "{}", "");
    bytes[4] = 200;
    assert_int_equal(link_decode(span_from(bytes, size), &frame, &used), LINK_DONE);
    assert_int_equal(frame.type, 200);
    assert_int_equal(used, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),    cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_cut_short), cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_reserved),  cmocka_unit_test(test_unknown_type),
    };
    return cmocka_run_group_tests_name("link_proto", tests, NULL, NULL);
}
