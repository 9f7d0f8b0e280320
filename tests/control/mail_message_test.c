/* E-mails as they go over the wire (python3's email parser judges them in tests/e2e/after_call.py),
 * and signatures against the vector that standardwebhooks.com publishes. */
#include "control/net/mail_message.h"

#include "control/net/webhook_sign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mail_message make(void)
{
    return (struct mail_message){.from = "B\xc3\xbcro <calls@example.com>",
                                 .to = {"one@example.com", "two@example.com"},
                                 .to_count = 2,
                                 .subject = "Short",
                                 .text = ".\r\nA line that begins with a dot.",
                                 .html = "<p>x</p>",
                                 .id = "after-1",
                                 .date_s = 0};
}

static char *write_it(const struct mail_message *message)
{
    size_t bytes;
    char *text = mail_message_write(message, &bytes);
    if (text)
        assert_int_equal(bytes, strlen(text));
    return text;
}

/* RFC 5322: lines of 78 characters, CRLF, and nothing but ASCII as it goes. */
static void is_fit_for_the_wire(const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\r\n");
        assert_non_null(end);
        assert_true(end - text <= 78);
        for (const char *at = text; at < end; at++)
            assert_true((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
        text = end + 2;
    }
}

static void a_message_is_fit_for_the_wire_and_always_the_same(void **state)
{
    (void)state;
    struct mail_message message = make();
    char subject[400] = "";
    for (int i = 0; i < 40; i++)
        strcat(subject, i % 3 ? "\xc3\xa4" : "\xf0\x9f\x93\x9e ");
    message.subject = subject;
    char *text = write_it(&message), *again = write_it(&message);
    is_fit_for_the_wire(text);
    assert_string_equal(text, again);
    assert_non_null(strstr(text, "\r\nMessage-ID: <after-1@example.com>\r\n"));
    assert_non_null(strstr(text, "\r\nDate: Thu, 1 Jan 1970 00:00:00 +0000\r\n"));
    assert_non_null(strstr(text, "\r\nTo: one@example.com,\r\n two@example.com\r\n"));
    assert_null(strstr(text, "\r\n."));
    free(text);
    free(again);
}

static void what_would_end_a_header_line_is_refused(void **state)
{
    (void)state;
    struct mail_message message = make();
    message.subject = "Hello\r\nBcc: everybody@example.com";
    assert_null(write_it(&message));
    message = make();
    message.from = "a@example.com\nX: y";
    assert_null(write_it(&message));
    message = make();
    message.to[1] = "two@example.com\r";
    assert_null(write_it(&message));
    message = make();
    message.reply_to = "\x01";
    assert_null(write_it(&message));
    message = make();
    message.to_count = 0;
    assert_null(write_it(&message));
}

static void an_address_is_found_in_a_mailbox(void **state)
{
    (void)state;
    char address[MAIL_MESSAGE_ADDRESS_BYTES];
    assert_true(mail_message_address("a@b.example", address));
    assert_string_equal(address, "a@b.example");
    assert_true(mail_message_address("A B <a@b.example>", address));
    assert_string_equal(address, "a@b.example");
    assert_false(mail_message_address("A <a@b.example", address));
    assert_false(mail_message_address("A <", address));
    assert_false(mail_message_address("", address));
}

static void a_signature_is_the_published_one(void **state)
{
    (void)state;
    char signature[WEBHOOK_SIGN_TEXT], secret[WEBHOOK_SIGN_SECRET_TEXT];
    assert_true(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                             "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                             span_of("{\"test\": 2432232314}"), signature));
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_false(webhook_sign("whsec_", "i", 1, span_of(""), signature));
    assert_false(webhook_sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "i", 1, span_of(""), signature));
    webhook_sign_secret(secret);
    assert_true(webhook_sign(secret, "i", 1, span_of(""), signature));
    assert_int_equal(strlen(secret), WEBHOOK_SIGN_SECRET_TEXT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_fit_for_the_wire_and_always_the_same),
        cmocka_unit_test(what_would_end_a_header_line_is_refused),
        cmocka_unit_test(an_address_is_found_in_a_mailbox),
        cmocka_unit_test(a_signature_is_the_published_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
