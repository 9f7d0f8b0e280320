/* Twilio's numbers in words. */
#include "control/carrier/carrier_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_number_is_found_in_the_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned code;
    } texts[] = {{"", 0},
                 {"31920", 31920},
                 {"Error 31920 - Stream - WebSocket - Handshake Error", 31920},
                 {"(31951)", 31951},
                 {"call 15550100 failed: 31903.", 31903},
                 {"131920", 0},
                 {"319201", 0},
                 {"3192", 0},
                 {"12345 31901", 31901},
                 {"handshake 403", 0}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(carrier_error_code(texts[i].text), texts[i].code);
}

static void every_error_of_streams_has_words(void **state)
{
    (void)state;
    static const unsigned codes[] = {31900, 31901, 31902, 31903, 31904, 31910, 31920, 31921, 31922,
                                     31923, 31924, 31930, 31931, 31940, 31941, 31942, 31950, 31951};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_true(strlen(carrier_error_words(codes[i])) > 10);
    assert_null(carrier_error_words(31999));
    assert_null(carrier_error_words(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_is_found_in_the_text),
        cmocka_unit_test(every_error_of_streams_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
