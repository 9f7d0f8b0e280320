/* form: decoding, order, bounds at n-1, n and n+1. */
#include "control/base/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect_field(const struct form *form, size_t index, const char *name, const char *value)
{
    assert_true(index < form->count);
    assert_true(span_is(form->fields[index].name, name));
    assert_true(span_is(form->fields[index].value, value));
}

static void decodes_names_and_values(void **state)
{
    (void)state;
    struct form form;
    assert_int_equal(
        form_read(span_of("From=%2B15550100001&From+City=SAN+FRANCISCO&To=%2b1&x"), &form),
        FAULT_NONE);
    assert_int_equal(form.count, 4);
    expect_field(&form, 0, "From", "+15550100001");
    expect_field(&form, 1, "From City", "SAN FRANCISCO");
    expect_field(&form, 2, "To", "+1");
    expect_field(&form, 3, "x", "");
    form_free(&form);
}

static void keeps_blanks_blank_values_and_order(void **state)
{
    (void)state;
    struct form form;
    assert_int_equal(form_read(span_of("Body=++hi%20+&b=&b=2&=v&a=1=2&&"), &form), FAULT_NONE);
    assert_int_equal(form.count, 5);
    expect_field(&form, 0, "Body", "  hi  ");
    expect_field(&form, 1, "b", "");
    expect_field(&form, 2, "b", "2");
    expect_field(&form, 3, "", "v");
    expect_field(&form, 4, "a", "1=2");
    assert_true(span_is(form_value(&form, "b"), ""));
    form_free(&form);
}

static void keeps_bytes_that_are_not_utf8(void **state)
{
    (void)state;
    struct form form;
    char text[8];
    assert_int_equal(form_read(span_of("a=%ff%00%80"), &form), FAULT_NONE);
    struct span value = form_value(&form, "a");
    assert_int_equal(value.bytes, 3);
    assert_memory_equal(value.data, "\xff\0\x80", 3);
    assert_false(form_text(&form, "a", text, sizeof text)); /* a NUL is no text */
    assert_string_equal(text, "");
    form_free(&form);
}

static void an_empty_body_has_no_fields(void **state)
{
    (void)state;
    struct form form;
    assert_int_equal(form_read((struct span){NULL, 0}, &form), FAULT_NONE);
    assert_int_equal(form.count, 0);
    assert_null(form_value(&form, "a").data);
    form_free(&form);
    assert_int_equal(form_read(span_of("&&&"), &form), FAULT_NONE);
    assert_int_equal(form.count, 0);
    form_free(&form);
}

static void refuses_bad_escapes(void **state)
{
    (void)state;
    static const char *const bad[] = {"%",     "a=%",  "a=%2",   "a=%2&b=1", "a=%zz", "a=%2g",
                                      "%g0=1", "a=1%", "a=%%20", "a=% 20",   "a=%+1", "a=%u0041"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct form form;
        assert_int_equal(form_read(span_of(bad[i]), &form), FAULT_form_malformed);
        assert_int_equal(form.count, 0);
        assert_null(form.bytes);
    }
}

/* What form_read says of a body with so many fields of one byte. */
static enum fault read_fields(size_t count)
{
    char *body = malloc(2 * count + 1);
    struct form form;
    assert_non_null(body);
    for (size_t i = 0; i < count; i++)
        memcpy(body + 2 * i, "a&", 2);
    enum fault fault = form_read(span_from(body, 2 * count), &form);
    if (fault == FAULT_NONE)
        assert_int_equal(form.count, count);
    form_free(&form);
    free(body);
    return fault;
}

static enum fault read_lengths(size_t name_bytes, size_t value_bytes)
{
    size_t bytes = name_bytes + 1 + value_bytes;
    char *body = malloc(bytes + 1);
    struct form form;
    assert_non_null(body);
    memset(body, 'x', bytes);
    body[name_bytes] = '=';
    enum fault fault = form_read(span_from(body, bytes), &form);
    form_free(&form);
    free(body);
    return fault;
}

static void holds_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(read_fields(FORM_FIELDS_MAX - 1), FAULT_NONE);
    assert_int_equal(read_fields(FORM_FIELDS_MAX), FAULT_NONE);
    assert_int_equal(read_fields(FORM_FIELDS_MAX + 1), FAULT_form_too_large);
    assert_int_equal(read_lengths(FORM_NAME_BYTES_MAX - 1, 1), FAULT_NONE);
    assert_int_equal(read_lengths(FORM_NAME_BYTES_MAX, 1), FAULT_NONE);
    assert_int_equal(read_lengths(FORM_NAME_BYTES_MAX + 1, 1), FAULT_form_too_large);
    assert_int_equal(read_lengths(1, FORM_VALUE_BYTES_MAX - 1), FAULT_NONE);
    assert_int_equal(read_lengths(1, FORM_VALUE_BYTES_MAX), FAULT_NONE);
    assert_int_equal(read_lengths(1, FORM_VALUE_BYTES_MAX + 1), FAULT_form_too_large);
}

/* Four fields of 16 KiB less their names fill the body to its bound. */
static void holds_the_bound_of_the_body(void **state)
{
    (void)state;
    for (size_t bytes = FORM_BYTES_MAX - 1; bytes <= FORM_BYTES_MAX + 1; bytes++) {
        char *body = malloc(bytes);
        struct form form;
        assert_non_null(body);
        for (size_t i = 0; i < bytes; i++)
            body[i] = i % 8192 == 0 ? '&' : i % 8192 == 2 ? '=' : 'y';
        enum fault expected = bytes > FORM_BYTES_MAX ? FAULT_form_too_large : FAULT_NONE;
        assert_int_equal(form_read(span_from(body, bytes), &form), expected);
        form_free(&form);
        free(body);
    }
}

static void text_needs_room_for_its_end(void **state)
{
    (void)state;
    struct form form;
    char text[4];
    assert_int_equal(form_read(span_of("three=abc&four=abcd"), &form), FAULT_NONE);
    assert_true(form_text(&form, "three", text, sizeof text));
    assert_string_equal(text, "abc");
    assert_false(form_text(&form, "four", text, sizeof text));
    assert_false(form_text(&form, "absent", text, sizeof text));
    assert_string_equal(text, "");
    form_free(&form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_names_and_values),
        cmocka_unit_test(keeps_blanks_blank_values_and_order),
        cmocka_unit_test(keeps_bytes_that_are_not_utf8),
        cmocka_unit_test(an_empty_body_has_no_fields),
        cmocka_unit_test(refuses_bad_escapes),
        cmocka_unit_test(holds_its_bounds),
        cmocka_unit_test(holds_the_bound_of_the_body),
        cmocka_unit_test(text_needs_room_for_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
