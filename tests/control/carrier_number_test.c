/* A number as the carrier has it beside what we want of it: pure. */
#include "control/carrier/carrier_check.h"
#include "control/carrier/carrier_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BASE "https://calls.example.com"

static struct carrier_number_want want;
static struct carrier_number_difference differences[CARRIER_NUMBER_PROPERTIES_COUNT];

static int begin(void **state)
{
    (void)state;
    assert_true(carrier_number_wish(&want, BASE));
    return 0;
}

/* A number that is just as we want it. */
static json_t *make_number(void)
{
    json_t *number = json_pack("{s:{s:b, s:b}}", "capabilities", "voice", 1, "SMS", 1);
    struct twilio_rest_pair pairs[CARRIER_NUMBER_PROPERTIES_COUNT];
    size_t count = carrier_number_fields(&want, pairs);
    assert_true(count > 0);
    json_object_set_new(number, "voice_url",
                        json_string(BASE "/api/twilio/incoming-call#rc=3&rp=all"));
    json_object_set_new(number, "voice_fallback_url",
                        json_string(BASE "/api/twilio/incoming-call#rc=3&rp=all"));
    json_object_set_new(number, "status_callback",
                        json_string(BASE "/api/twilio/status-callback#rc=5&rp=all"));
    json_object_set_new(number, "sms_url",
                        json_string(BASE "/api/twilio/incoming-sms#rc=3&rp=all"));
    json_object_set_new(number, "voice_method", json_string("POST"));
    json_object_set_new(number, "voice_fallback_method", json_string("post"));
    json_object_set_new(number, "status_callback_method", json_string("POST"));
    json_object_set_new(number, "sms_method", json_string("POST"));
    json_object_set_new(number, "trunk_sid", json_null());
    json_object_set_new(number, "voice_application_sid", json_string(""));
    return number;
}

static void a_number_as_we_want_it_does_not_differ(void **state)
{
    json_t *number = make_number();
    (void)state;
    assert_int_equal(carrier_number_compare(&want, number, differences), 0);
    json_decref(number);
}

static void every_property_is_looked_at(void **state)
{
    static const char *const names[] = {
#define ROW(request, answer) #answer,
        CARRIER_NUMBER_PROPERTIES(ROW)
#undef ROW
    };
    (void)state;
    for (int i = 0; i < CARRIER_NUMBER_PROPERTIES_COUNT; i++) {
        json_t *number = make_number();
        json_object_set_new(number, names[i], json_string("elsewhere"));
        assert_int_equal(carrier_number_compare(&want, number, differences), 1);
        assert_string_equal(differences[0].answer, names[i]);
        assert_string_equal(differences[0].has, "elsewhere");
        assert_string_equal(differences[0].wants, want.value[i]);
        json_decref(number);
    }
}

static void what_a_number_cannot_do_is_not_compared(void **state)
{
    json_t *number = make_number();
    (void)state;
    json_object_set_new(number, "sms_url", json_string(""));
    assert_int_equal(carrier_number_compare(&want, number, differences), 1);
    json_object_set_new(number, "capabilities", json_pack("{s:b, s:b}", "Voice", 1, "sms", 0));
    assert_int_equal(carrier_number_compare(&want, number, differences), 0);
    json_decref(number);
    number = json_object();
    assert_int_equal(carrier_number_compare(&want, number, differences), 6);
    json_decref(number);
    assert_int_equal(carrier_number_compare(&want, NULL, differences), 6);
}

/* Twilio has no such thing on a number, whatever guides say: it would be passed over in silence. */
static void nothing_is_asked_that_a_number_does_not_have(void **state)
{
    struct twilio_rest_pair pairs[CARRIER_NUMBER_PROPERTIES_COUNT];
    size_t count = carrier_number_fields(&want, pairs);
    bool voice = false, status = false, sms = false;
    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_null(strstr(pairs[i].name, "StatusCallbackEvent"));
        assert_null(strstr(pairs[i].name, "Recording"));
        assert_true(pairs[i].value[0] != '\0');
        voice |= strcmp(pairs[i].name, "VoiceUrl") == 0;
        status |= strcmp(pairs[i].name, "StatusCallback") == 0;
        sms |= strcmp(pairs[i].name, "SmsUrl") == 0;
    }
    assert_true(voice && status && sms);
}

static void kinds_and_numbers_are_what_they_seem(void **state)
{
    char *base = malloc(2 * CARRIER_NUMBER_TEXT_BYTES);
    (void)state;
    assert_string_equal(carrier_number_kind("toll_free"), "TollFree");
    assert_null(carrier_number_kind("../Local"));
    assert_null(carrier_number_kind(NULL));
    assert_true(carrier_number_is_e164("+15550100"));
    assert_true(carrier_number_is_e164("+155501001234567"));
    static const char *const wrong[] = {"15550100",          "+05550100", "+1",
                                        "+1555010012345678", "+1555x",    ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(carrier_number_is_e164(wrong[i]));
    memset(base, 'a', 2 * CARRIER_NUMBER_TEXT_BYTES - 1);
    base[2 * CARRIER_NUMBER_TEXT_BYTES - 1] = '\0';
    struct carrier_number_want too_long;
    assert_false(carrier_number_wish(&too_long, base));
    free(base);
}

static void what_is_to_be_had_is_read_as_it_is_or_not_at_all(void **state)
{
    struct carrier_search_found found;
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:{s:b, s:b, s:b}}", "phone_number", "+15550100",
                             "locality", "Springfield", "region", "CA", "address_requirements",
                             "none", "capabilities", "voice", 1, "SMS", 1, "MMS", 0);
    (void)state;
    assert_true(carrier_search_read(item, &found));
    json_t *written = carrier_search_write(&found);
    json_t *expected = json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "number", "+15550100",
                                 "locality", "Springfield", "region", "CA", "address_requirements",
                                 "none", "capabilities", "voice", "sms");
    assert_true(json_equal(written, expected));
    json_decref(expected);
    json_decref(written);
    json_object_del(item, "region");
    json_object_set_new(item, "locality", json_integer(5));
    assert_true(carrier_search_read(item, &found));
    assert_string_equal(found.region, "");
    assert_string_equal(found.locality, "");
    json_object_set_new(item, "phone_number", json_string("1-555-0100"));
    assert_false(carrier_search_read(item, &found));
    assert_false(carrier_search_read(NULL, &found));
    json_decref(item);
}

static void what_strangers_wrote_does_not_move_the_cursor(void **state)
{
    char words[CARRIER_CHECK_WORDS_BYTES];
    const struct carrier_check_told told = {.kind = CARRIER_CHECK_DIFFERS,
                                            .account = "AC",
                                            .organization = "A",
                                            .number = "+15550100",
                                            .property = "voice_url",
                                            .has = "\033[2Jhttps://x\n",
                                            .wants = "https://y"};
    (void)state;
    carrier_check_words(&told, words);
    assert_string_equal(words,
                        "+15550100 (A): voice_url is \" [2Jhttps://x \", wanted \"https://y\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_as_we_want_it_does_not_differ),
        cmocka_unit_test(every_property_is_looked_at),
        cmocka_unit_test(what_a_number_cannot_do_is_not_compared),
        cmocka_unit_test(nothing_is_asked_that_a_number_does_not_have),
        cmocka_unit_test(kinds_and_numbers_are_what_they_seem),
        cmocka_unit_test(what_is_to_be_had_is_read_as_it_is_or_not_at_all),
        cmocka_unit_test(what_strangers_wrote_does_not_move_the_cursor),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
