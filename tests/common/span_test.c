/* span: equality, prefixes, and copying out with a NUL that always fits. */
#include "common/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_equal(void **state)
{
    (void)state;
    assert_true(span_equal(span_from(NULL, 0), span_of("")));
    assert_true(span_is(span_of("media"), "media"));
    assert_false(span_is(span_of("media"), "medi"));
    assert_false(span_is(span_of("media"), "mediA"));
    assert_true(span_starts(span_of("media"), "med"));
    assert_true(span_starts(span_of("media"), ""));
    assert_false(span_starts(span_of("me"), "med"));
}

static void test_equal_secret(void **state)
{
    (void)state;
    char left[] = "0123456789abcdef", right[] = "0123456789abcdef";
    assert_true(span_equal_secret(span_of(left), span_of(right)));
    for (size_t i = 0; i < 16; i++) {
        for (int bit = 0; bit < 8; bit++) {
            right[i] = (char)(right[i] ^ 1 << bit);
            assert_false(span_equal_secret(span_from(left, 16), span_from(right, 16)));
            right[i] = (char)(right[i] ^ 1 << bit);
        }
    }
    assert_false(span_equal_secret(span_from(left, 15), span_from(right, 16)));
    assert_true(span_equal_secret(span_from(NULL, 0), span_from(NULL, 0)));
}

static void test_copy_text(void **state)
{
    (void)state;
    char text[5] = "xxxx";
    assert_true(span_copy_text(span_of("four"), text, 5));
    assert_string_equal(text, "four");
    assert_false(span_copy_text(span_of("fives"), text, 5));
    assert_string_equal(text, "");
    assert_false(span_copy_text(span_from("a\0b", 3), text, 5));
    assert_string_equal(text, "");
    assert_true(span_copy_text(span_from(NULL, 0), text, 1));
    assert_string_equal(text, "");
    text[0] = 'x';
    assert_false(span_copy_text(span_of(""), text, 0));
    assert_int_equal(text[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_equal_secret),
        cmocka_unit_test(test_copy_text),
    };
    return cmocka_run_group_tests_name("span", tests, NULL, NULL);
}
