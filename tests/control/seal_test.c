/* Secrets at rest and keys made from the one secret. */
#include "control/base/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY      "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define BASE64   "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define PREVIOUS "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct seal open_seal(const char *current, const char *previous)
{
    struct seal seal;
    char error[200] = "";
    if (!seal_open(&seal, current, previous, error, sizeof error))
        fail_msg("%s", error);
    return seal;
}

static void a_key_is_hexadecimal_or_base64(void **state)
{
    (void)state;
    struct seal hex = open_seal(KEY, NULL), base64 = open_seal(BASE64, NULL);
    assert_memory_equal(hex.key, base64.key, SEAL_KEY_BYTES);
    assert_int_equal(hex.key[31], 0x1f);
    assert_false(open_seal(NULL, NULL).has_key);
    assert_false(open_seal("", "").has_key);
}

static void other_keys_are_refused_with_a_mend(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "secret",
        KEY "00",
        "0",
        BASE64 "=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh!=",
        "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct seal seal;
        char error[200] = "";
        assert_false(seal_open(&seal, bad[i], NULL, error, sizeof error));
        assert_non_null(strstr(error, "openssl rand -hex 32"));
        assert_null(strstr(error, bad[i]));
    }
}

static void what_is_sealed_opens_in_its_context_only(void **state)
{
    (void)state;
    struct seal seal = open_seal(KEY, NULL);
    uint8_t sealed[5 + SEAL_OVERHEAD_BYTES];
    char secret[6];
    assert_true(seal_close(&seal, "a", span_of("hello"), sealed));
    assert_true(seal_read(&seal, "a", span_from(sealed, sizeof sealed), secret, sizeof secret));
    assert_string_equal(secret, "hello");
    assert_false(seal_read(&seal, "b", span_from(sealed, sizeof sealed), secret, sizeof secret));
    assert_false(seal_read(&seal, "a", span_from(sealed, sizeof sealed), secret, 5));
}

static void nothing_that_was_changed_or_cut_opens(void **state)
{
    (void)state;
    struct seal seal = open_seal(KEY, NULL);
    uint8_t sealed[5 + SEAL_OVERHEAD_BYTES];
    char secret[64];
    assert_true(seal_close(&seal, "a", span_of("hello"), sealed));
    for (size_t i = 0; i < sizeof sealed * 8; i++) {
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_false(
            seal_read(&seal, "a", span_from(sealed, sizeof sealed), secret, sizeof secret));
        sealed[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    for (size_t bytes = 0; bytes < sizeof sealed; bytes++)
        assert_false(seal_read(&seal, "a", span_from(sealed, bytes), secret, sizeof secret));
}

static void the_previous_key_opens_and_does_not_close(void **state)
{
    (void)state;
    struct seal before = open_seal(PREVIOUS, NULL), now = open_seal(KEY, PREVIOUS);
    uint8_t sealed[3 + SEAL_OVERHEAD_BYTES], again[3 + SEAL_OVERHEAD_BYTES];
    char secret[4];
    assert_true(seal_close(&before, "a", span_of("old"), sealed));
    assert_true(seal_read(&now, "a", span_from(sealed, sizeof sealed), secret, sizeof secret));
    assert_true(seal_close(&now, "a", span_of("new"), again));
    assert_false(seal_read(&before, "a", span_from(again, sizeof again), secret, sizeof secret));
    struct seal none = open_seal(NULL, NULL);
    assert_false(seal_close(&none, "a", span_of("new"), again));
}

static void equal_secrets_do_not_look_equal(void **state)
{
    (void)state;
    struct seal seal = open_seal(KEY, NULL);
    uint8_t one[5 + SEAL_OVERHEAD_BYTES], two[5 + SEAL_OVERHEAD_BYTES];
    assert_true(seal_close(&seal, "a", span_of("hello"), one));
    assert_true(seal_close(&seal, "a", span_of("hello"), two));
    assert_memory_not_equal(one, two, sizeof one);
}

/* RFC 5869's extract and expand, computed for this key, salt "ringbridge" and info "label" by
 * Python's hmac module. */
static void derived_keys_are_hkdf(void **state)
{
    (void)state;
    static const char expected[] =
        "4507413a457b952d3936c64fdfe0b847ae9b33631d10c950d33d882231adc5bb";
    struct seal seal = open_seal(KEY, NULL);
    uint8_t key[SEAL_KEY_BYTES];
    char text[65];
    assert_true(seal_derive(&seal, "label", false, key));
    for (int i = 0; i < SEAL_KEY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", key[i]);
    assert_string_equal(text, expected);
    assert_false(seal_derive(&seal, "label", true, key));
}

static void tokens_differ_and_are_found_by_their_hash(void **state)
{
    (void)state;
    char one[SEAL_TOKEN_TEXT], two[SEAL_TOKEN_TEXT];
    uint8_t hash[SEAL_HASH_BYTES];
    seal_token(one);
    seal_token(two);
    assert_string_not_equal(one, two);
    assert_int_equal(strlen(one), 46);
    assert_int_equal(
        strspn(one, "rb_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"), 46);
    seal_hash(span_of("abc"), hash); /* FIPS 180-4's example */
    assert_memory_equal(hash, "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23",
                        16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_hexadecimal_or_base64),
        cmocka_unit_test(other_keys_are_refused_with_a_mend),
        cmocka_unit_test(what_is_sealed_opens_in_its_context_only),
        cmocka_unit_test(nothing_that_was_changed_or_cut_opens),
        cmocka_unit_test(the_previous_key_opens_and_does_not_close),
        cmocka_unit_test(equal_secrets_do_not_look_equal),
        cmocka_unit_test(derived_keys_are_hkdf),
        cmocka_unit_test(tokens_differ_and_are_found_by_their_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
