/* ticket: one text per ticket, and nothing but such texts is read. */
#include "common/base64.h"
#include "common/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct ticket example = {
    .home_core = 0x0102,
    .expires_at_ms = 0x0000019a8b7c6d5e,
    .conversation = {0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    .organization = {0x09, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    .nonce = {0xff, 0xfe, 0xfd},
    .mac = {0xaa, 0xbb, 0xcc},
};

static void expect_same(const struct ticket *left, const struct ticket *right)
{
    assert_int_equal(left->home_core, right->home_core);
    assert_int_equal(left->expires_at_ms, right->expires_at_ms);
    assert_memory_equal(left->conversation, right->conversation, 16);
    assert_memory_equal(left->organization, right->organization, 16);
    assert_memory_equal(left->nonce, right->nonce, 16);
    assert_memory_equal(left->mac, right->mac, TICKET_MAC_BYTES);
}

static void test_there_and_back(void **state)
{
    (void)state;
    char text[TICKET_TEXT_BYTES + 1];
    struct ticket read;
    ticket_write(&example, text);
    assert_int_equal(strlen(text), TICKET_TEXT_BYTES);
    assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-_"),
                     TICKET_TEXT_BYTES);
    assert_true(ticket_read(span_of(text), &read));
    expect_same(&read, &example);
}

/* The layout of the header's comment, byte by byte, by way of the other base64 we have. */
static void test_layout(void **state)
{
    (void)state;
    char text[TICKET_TEXT_BYTES + 2];
    uint8_t bytes[TICKET_BYTES], covered[TICKET_SIGNED_BYTES];
    ticket_write(&example, text);
    for (size_t i = 0; i < TICKET_TEXT_BYTES; i++)
        text[i] = (char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
    text[TICKET_TEXT_BYTES] = '=';
    assert_true(base64_decode(span_from(text, TICKET_TEXT_BYTES + 1), bytes));
    static const uint8_t head[12] = {TICKET_VERSION, 0,    1,    2,    0,   0, 1,
                                     0x9a,           0x8b, 0x7c, 0x6d, 0x5e};
    assert_memory_equal(bytes, head, sizeof head);
    assert_memory_equal(bytes + 12, example.conversation, 16);
    assert_memory_equal(bytes + 28, example.organization, 16);
    assert_memory_equal(bytes + 44, example.nonce, 16);
    assert_memory_equal(bytes + 60, example.mac, 32);
    ticket_signed_bytes(&example, covered);
    assert_memory_equal(covered, bytes, TICKET_SIGNED_BYTES);
}

/* Each character of the text replaced by each of the 256 values: it is refused, or it is the text
 * of another ticket. */
static void test_every_letter(void **state)
{
    (void)state;
    char text[TICKET_TEXT_BYTES + 1], again[TICKET_TEXT_BYTES + 1];
    ticket_write(&example, text);
    for (size_t i = 0; i < TICKET_TEXT_BYTES; i++) {
        char kept = text[i];
        for (int value = 0; value < 256; value++) {
            struct ticket read;
            text[i] = (char)value;
            if (!ticket_read(span_from(text, TICKET_TEXT_BYTES), &read))
                continue;
            ticket_write(&read, again);
            assert_memory_equal(again, text, TICKET_TEXT_BYTES);
        }
        text[i] = kept;
    }
}

static void test_refused(void **state)
{
    (void)state;
    char text[TICKET_TEXT_BYTES + 2];
    struct ticket read;
    ticket_write(&example, text);
    text[TICKET_TEXT_BYTES] = 'A';
    for (size_t length = 0; length <= TICKET_TEXT_BYTES + 1; length++)
        assert_int_equal(ticket_read(span_from(text, length), &read), length == TICKET_TEXT_BYTES);
    assert_false(ticket_read(span_from(NULL, 0), &read));
    text[0]++; /* version */
    assert_false(ticket_read(span_from(text, TICKET_TEXT_BYTES), &read));
    text[0]--;
    text[2] = '_'; /* the reserved byte */
    assert_false(ticket_read(span_from(text, TICKET_TEXT_BYTES), &read));
    ticket_write(&example, text);
    text[TICKET_TEXT_BYTES - 1]++; /* leftover bits */
    assert_false(ticket_read(span_from(text, TICKET_TEXT_BYTES), &read));
}

/* A time beyond what a signed number holds is no time. */
static void test_expiry_range(void **state)
{
    (void)state;
    char text[TICKET_TEXT_BYTES + 1];
    struct ticket ticket = example, read;
    ticket.expires_at_ms = INT64_MAX;
    ticket_write(&ticket, text);
    assert_true(ticket_read(span_of(text), &read));
    assert_int_equal(read.expires_at_ms, INT64_MAX);
    ticket.expires_at_ms = -1;
    ticket_write(&ticket, text);
    assert_false(ticket_read(span_of(text), &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_layout),
        cmocka_unit_test(test_every_letter),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_expiry_range),
    };
    return cmocka_run_group_tests_name("ticket", tests, NULL, NULL);
}
