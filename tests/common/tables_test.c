/* The two tables everything is named by: endings and faults. Names are used as metric labels and
 * SQL values, sentences as close reasons; both have rules. */
#include "common/end.h"
#include "common/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_label(const char *name)
{
    assert_in_range(strlen(name), 3, 40);
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(name));
    assert_true(name[0] >= 'a' && name[0] <= 'z');
}

/* One sentence in plain ASCII, short enough for a close frame's 123 bytes. */
static void expect_sentence(const char *sentence)
{
    size_t length = strlen(sentence);
    assert_in_range(length, 10, 99);
    assert_int_equal(sentence[length - 1], '.');
    for (size_t i = 0; i < length; i++)
        assert_in_range(sentence[i], 0x20, 0x7e);
    assert_null(strpbrk(sentence, "\"\\"));
}

static void test_ends(void **state)
{
    (void)state;
    static const char *const faults[] = {"caller",       "carrier",  "ai",
                                         "organisation", "operator", "ours"};
    assert_string_equal(end_name(END_NONE), "none");
    assert_false(end_is_error(END_NONE));
    for (int end = 1; end < END_COUNT; end++) {
        bool known = false;
        expect_label(end_name((enum end)end));
        expect_sentence(end_sentence((enum end)end));
        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
            known |= strcmp(end_fault((enum end)end), faults[i]) == 0;
        assert_true(known);
        for (int other = 0; other < end; other++)
            assert_string_not_equal(end_name((enum end)end), end_name((enum end)other));
    }
    assert_true(end_is_error(END_internal));
    assert_false(end_is_error(END_caller_hung_up));
    assert_string_equal(end_fault(END_caller_hung_up), "caller");
}

/* RFC 6455 section 7.4 and IANA's list: 1004 to 1006 and 1015 must never be sent. */
static bool may_be_sent(unsigned close)
{
    return (close >= 1000 && close <= 1003) || (close >= 1007 && close <= 1014) ||
           (close >= 3000 && close <= 4999);
}

static void test_faults(void **state)
{
    (void)state;
    assert_string_equal(fault_name(FAULT_NONE), "none");
    for (int fault = 1; fault < FAULT_COUNT; fault++) {
        unsigned http = fault_http((enum fault)fault), close = fault_close((enum fault)fault);
        expect_label(fault_name((enum fault)fault));
        expect_sentence(fault_sentence((enum fault)fault));
        assert_true(http == 0 || (http >= 400 && http <= 599));
        assert_true(close == 0 || may_be_sent(close));
        for (int other = 0; other < fault; other++)
            assert_string_not_equal(fault_name((enum fault)fault), fault_name((enum fault)other));
    }
    assert_int_equal(fault_http(FAULT_http_head_too_large), 431);
    assert_int_equal(fault_close(FAULT_ws_utf8), 1007);
    assert_int_equal(fault_close(FAULT_ws_too_large), 1009);
}

/* TRY passes a reason up and lets END_NONE go on. */
static enum end tried(enum end inner, int *reached)
{
    TRY(inner);
    (*reached)++;
    return END_NONE;
}

static void test_try(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(tried(END_ai_lost, &reached), END_ai_lost);
    assert_int_equal(reached, 0);
    assert_int_equal(tried(END_NONE, &reached), END_NONE);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_try),
    };
    return cmocka_run_group_tests_name("tables", tests, NULL, NULL);
}
