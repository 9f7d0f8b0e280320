/* ticket_mint: what we mint we believe, until it expires, and nothing else. */
#include "control/carrier/ticket_mint.h"

#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct ticket_keys keys = {.current = {1, 2, 3}};

static struct ticket sample(void)
{
    struct ticket ticket = {.home_core = 5, .expires_at_ms = 1800000000000};
    memset(ticket.conversation, 0xc0, sizeof ticket.conversation);
    memset(ticket.organization, 0x0a, sizeof ticket.organization);
    return ticket;
}

static void a_minted_ticket_is_believed(void **state)
{
    (void)state;
    struct ticket ticket = sample(), read;
    char text[TICKET_TEXT_BYTES + 1];
    assert_true(ticket_mint(&keys, &ticket, text));
    assert_int_equal(strlen(text), TICKET_TEXT_BYTES);
    assert_int_equal(ticket_verify(&keys, span_of(text), 1, &read), FAULT_NONE);
    assert_int_equal(read.home_core, 5);
    assert_int_equal(read.expires_at_ms, 1800000000000);
    assert_memory_equal(read.conversation, ticket.conversation, 16);
    assert_memory_equal(read.organization, ticket.organization, 16);
    assert_memory_equal(read.nonce, ticket.nonce, 16);
}

static void its_mac_is_hmac_sha256(void **state)
{
    (void)state;
    struct ticket ticket = sample();
    char text[TICKET_TEXT_BYTES + 1];
    uint8_t signed_bytes[TICKET_SIGNED_BYTES], mac[32];
    unsigned mac_bytes = 0;
    assert_true(ticket_mint(&keys, &ticket, text));
    ticket_signed_bytes(&ticket, signed_bytes);
    HMAC(EVP_sha256(), keys.current, sizeof keys.current, signed_bytes, sizeof signed_bytes, mac,
         &mac_bytes);
    assert_int_equal(mac_bytes, TICKET_MAC_BYTES);
    assert_memory_equal(mac, ticket.mac, TICKET_MAC_BYTES);
}

static void no_two_are_alike(void **state)
{
    (void)state;
    struct ticket one = sample(), other = sample();
    char first[TICKET_TEXT_BYTES + 1], second[TICKET_TEXT_BYTES + 1];
    assert_true(ticket_mint(&keys, &one, first) && ticket_mint(&keys, &other, second));
    assert_string_not_equal(first, second);
}

static void it_expires_to_the_millisecond(void **state)
{
    (void)state;
    struct ticket ticket = sample(), read;
    char text[TICKET_TEXT_BYTES + 1];
    assert_true(ticket_mint(&keys, &ticket, text));
    int64_t last = ticket.expires_at_ms;
    assert_int_equal(ticket_verify(&keys, span_of(text), last - 1, &read), FAULT_NONE);
    assert_int_equal(ticket_verify(&keys, span_of(text), last, &read), FAULT_NONE);
    assert_int_equal(ticket_verify(&keys, span_of(text), last + 1, &read), FAULT_ticket_expired);
}

/* Every bit of every byte, through the text. */
static void no_changed_bit_is_believed(void **state)
{
    (void)state;
    struct ticket ticket = sample(), read;
    char text[TICKET_TEXT_BYTES + 1];
    assert_true(ticket_mint(&keys, &ticket, text));
    for (size_t place = 0; place < TICKET_TEXT_BYTES; place++)
        for (int bit = 0; bit < 7; bit++) {
            text[place] = (char)(text[place] ^ (1 << bit));
            assert_int_equal(ticket_verify(&keys, span_of(text), 1, &read), FAULT_ticket_invalid);
            text[place] = (char)(text[place] ^ (1 << bit));
        }
    assert_int_equal(ticket_verify(&keys, span_of(text), 1, &read), FAULT_NONE);
    assert_int_equal(ticket_verify(&keys, span_from(text, TICKET_TEXT_BYTES - 1), 1, &read),
                     FAULT_ticket_invalid);
    assert_int_equal(ticket_verify(&keys, span_of(""), 1, &read), FAULT_ticket_invalid);
}

static void keys_rotate(void **state)
{
    (void)state;
    const struct ticket_keys next = {.current = {9}, .previous = {1, 2, 3}, .has_previous = true};
    const struct ticket_keys forgot = {.current = {9}, .previous = {1, 2, 3}};
    struct ticket ticket = sample(), read;
    char text[TICKET_TEXT_BYTES + 1];
    assert_true(ticket_mint(&keys, &ticket, text));
    assert_int_equal(ticket_verify(&next, span_of(text), 1, &read), FAULT_NONE);
    assert_int_equal(ticket_verify(&forgot, span_of(text), 1, &read), FAULT_ticket_invalid);
    assert_true(ticket_mint(&next, &ticket, text));
    assert_int_equal(ticket_verify(&keys, span_of(text), 1, &read), FAULT_ticket_invalid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minted_ticket_is_believed),
        cmocka_unit_test(its_mac_is_hmac_sha256),
        cmocka_unit_test(no_two_are_alike),
        cmocka_unit_test(it_expires_to_the_millisecond),
        cmocka_unit_test(no_changed_bit_is_believed),
        cmocka_unit_test(keys_rotate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
