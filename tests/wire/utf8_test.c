/* utf8: every sequence of up to three bytes and every character, against arithmetic on RFC 3629's
 * definition; and any cutting gives the same answer. */
#include "edge/wire/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Bytes of the one character at the front, or 0: decodes first, asks about the value afterwards. */
static size_t reference_character(const uint8_t *at, size_t bytes)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80           ? 1
                    : (at[0] >> 5) == 6    ? 2
                    : (at[0] >> 4) == 14   ? 3
                    : (at[0] >> 3) == 0x1e ? 4
                                           : 0;
    if (length == 0 || length > bytes)
        return 0;
    uint32_t value = length == 1 ? at[0] : at[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3f);
    }
    bool sound = value >= least[length] && value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
    return sound ? length : 0;
}

static bool reference_valid(const uint8_t *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        size_t length = reference_character(text + i, bytes - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static void every_sequence_of_three(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 1u << 24; value++) {
        uint8_t text[3] = {(uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
        if (utf8_valid(span_from(text, 3)) != reference_valid(text, 3))
            fail_msg("%02x %02x %02x", text[0], text[1], text[2]);
    }
}

static void every_start_of_four(void **state)
{
    (void)state;
    for (uint32_t value = 0; value < 1u << 16; value++) {
        uint8_t text[4] = {(uint8_t)(value >> 8), (uint8_t)value, 0x80, 0xbf};
        if (utf8_valid(span_from(text, 4)) != reference_valid(text, 4))
            fail_msg("%02x %02x 80 bf", text[0], text[1]);
    }
}

static void every_character(void **state)
{
    (void)state;
    for (uint32_t value = 0x10000; value <= 0x10ffff; value++) {
        uint8_t text[4] = {(uint8_t)(0xf0 | value >> 18), (uint8_t)(0x80 | (value >> 12 & 0x3f)),
                           (uint8_t)(0x80 | (value >> 6 & 0x3f)), (uint8_t)(0x80 | (value & 0x3f))};
        if (!utf8_valid(span_from(text, 4)))
            fail_msg("U+%X", value);
    }
}

/* A bad byte is seen wherever it stands in the 32-byte steps, and what ends early may not end. */
static void every_place(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 100; length++)
        for (size_t place = 0; place < length; place++) {
            uint8_t text[100];
            memset(text, 'x', sizeof text);
            text[place] = 0xff;
            assert_false(utf8_valid(span_from(text, length)));
            text[place] = 0xc3;
            if (place + 1 < length)
                text[place + 1] = 0xa9;
            assert_int_equal(utf8_valid(span_from(text, length)), place + 1 < length);
        }
}

static void every_cut(void **state)
{
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    size_t bytes = sizeof text - 1;
    (void)state;
    for (size_t first = 0; first <= bytes; first++)
        for (size_t second = first; second <= bytes; second++) {
            struct utf8 cut = {0};
            assert_true(utf8_take(&cut, span_from(text, first)));
            assert_int_equal(utf8_may_end(&cut), reference_valid((const uint8_t *)text, first));
            assert_true(utf8_take(&cut, span_from(text + first, second - first)));
            assert_true(utf8_take(&cut, span_from(text + second, bytes - second)));
            assert_true(utf8_may_end(&cut));
        }
}

/* The first byte that cannot be right is refused although the character is not whole. */
static void fails_fast(void **state)
{
    static const char *const starts[] = {"\xc0",     "\xc1",        "\xe0\x9f", "\xed\xa0",
                                         "\xf0\x8f", "\xf4\x90",    "\xf5",     "\x80",
                                         "\xc3\x28", "\xe2\x82\x28"};
    (void)state;
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct utf8 text = {0};
        struct span start = span_of(starts[i]);
        assert_true(utf8_take(&text, span_from(start.data, start.bytes - 1)));
        assert_false(utf8_take(&text, span_from(start.data + start.bytes - 1, 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_sequence_of_three),
        cmocka_unit_test(every_start_of_four),
        cmocka_unit_test(every_character),
        cmocka_unit_test(every_place),
        cmocka_unit_test(every_cut),
        cmocka_unit_test(fails_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
