/* What an AI that takes over is told: in order, bounded, the oldest forgotten first. */
#include "edge/call/history.h"
#include "edge/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(const struct history *history, size_t *at, enum history_role role,
                   const char *text)
{
    enum history_role got_role;
    struct span got;
    assert_true(history_next(history, at, &got_role, &got));
    assert_int_equal(got_role, role);
    assert_true(span_is(got, text));
}

static void both_sides_in_order(void **state)
{
    struct history history = {.bytes = NULL};
    enum history_role role;
    struct span text;
    size_t at = 0;
    (void)state;
    assert_false(history_next(&history, &at, &role, &text));
    history_add(&history, HISTORY_AGENT, span_of("Hello."));
    history_add(&history, HISTORY_CALLER, span_of(""));
    history_add(&history, HISTORY_CALLER, span_of("When are you \\\"open\\\"?"));
    history_add(&history, HISTORY_AGENT, span_of("At nine."));
    expect(&history, &at, HISTORY_AGENT, "Hello.");
    expect(&history, &at, HISTORY_CALLER, "When are you \\\"open\\\"?");
    expect(&history, &at, HISTORY_AGENT, "At nine.");
    assert_false(history_next(&history, &at, &role, &text));
    history_close(&history);
}

static void the_oldest_goes_first(void **state)
{
    struct history history = {.bytes = NULL};
    char words[1000];
    size_t at = 0, count = 0;
    enum history_role role;
    struct span text;
    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        snprintf(words, sizeof words, "%0*u", (int)(1 + i % 900), i);
        history_add(&history, HISTORY_CALLER, span_of(words));
        assert_true(history.used <= HISTORY_BYTES_MAX);
    }
    while (history_next(&history, &at, &role, &text))
        count++;
    assert_true(count > 10 && count < 500);
    assert_memory_equal(text.data + text.bytes - 3, "499", 3);
    history_close(&history);
}

static void one_that_is_too_long_is_left_out(void **state)
{
    struct history history = {.bytes = NULL};
    char *words = malloc(HISTORY_BYTES_MAX);
    size_t at = 0;
    (void)state;
    memset(words, 'a', HISTORY_BYTES_MAX);
    history_add(&history, HISTORY_AGENT, span_of("Hello."));
    history_add(&history, HISTORY_AGENT, span_from(words, HISTORY_BYTES_MAX - 7));
    expect(&history, &at, HISTORY_AGENT, "Hello.");
    history_add(&history, HISTORY_AGENT, span_from(words, HISTORY_BYTES_MAX - 8));
    at = 0;
    enum history_role role;
    struct span text;
    assert_true(history_next(&history, &at, &role, &text));
    assert_int_equal(text.bytes, HISTORY_BYTES_MAX - 8);
    free(words);
    history_close(&history);
}

static void what_was_heard_ends_with_a_word(void **state)
{
    static const char text[] = "One two \\u00e9 three caf\xc3\xa9 four";
    struct span whole = span_of(text);
    (void)state;
    assert_int_equal(history_heard(whole, 100, 100).bytes, whole.bytes);
    assert_int_equal(history_heard(whole, 0, 0).bytes, whole.bytes);
    assert_int_equal(history_heard(whole, 0, 100).bytes, 0);
    for (uint64_t heard = 0; heard < 100; heard++) {
        struct span part = history_heard(whole, heard, 100);
        assert_true(part.bytes == 0 || text[part.bytes] == ' ');
        assert_true(part.bytes <= whole.bytes * heard / 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_in_order),
        cmocka_unit_test(the_oldest_goes_first),
        cmocka_unit_test(one_that_is_too_long_is_left_out),
        cmocka_unit_test(what_was_heard_ends_with_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
