/* A message is handed to a real mail server with TLS and a login (smtp_server.py). */
#include "tests/control/others.h"

#include "control/net/smtp_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PASSWORD "s3cret-of-the-postbox"

static struct others others; /* plain: STARTTLS; plain2: no TLS */
static char authority[128];

/* What the server has seen since it was asked last. */
static const char *seen(void)
{
    static char text[4096];
    char path[128];
    snprintf(path, sizeof path, "%s/seen", others.directory);
    FILE *file = fopen(path, "r");
    size_t bytes = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[bytes] = '\0';
    if (file)
        fclose(file);
    remove(path);
    return text;
}

static struct smtp_client_response hand(const char *scheme, int port, const char *password,
                                        const char *ca_path)
{
    static const char *const to[] = {"a@example.com", "b@example.com"};
    char url[64];
    struct smtp_client_response response;
    snprintf(url, sizeof url, "%s://localhost:%d", scheme, port);
    const struct smtp_client_request request = {.url = url,
                                                .user = "postbox",
                                                .password = password,
                                                .needs_tls = true,
                                                .ca_path = ca_path,
                                                .from = "us@example.com",
                                                .to = to,
                                                .to_count = 2,
                                                .message = span_of("Subject: x\r\n\r\nHello.\r\n")};
    smtp_client_run(&request, &response);
    assert_null(strstr(response.error, PASSWORD));
    return response;
}

static const char taken[] =
    "login postbox good\nmail us@example.com a@example.com,b@example.com 22\n";

static void both_kinds_of_tls_are_spoken(void **state)
{
    (void)state;
    struct smtp_client_response response = hand("smtp", others.plain, PASSWORD, authority);
    assert_int_equal(response.end, SMTP_CLIENT_TAKEN);
    assert_string_equal(seen(), taken);
    response = hand("smtps", others.tls, PASSWORD, authority);
    assert_int_equal(response.end, SMTP_CLIENT_TAKEN);
    assert_string_equal(seen(), taken);
}

/* Nobody who is not who he says is told who we are. */
static void a_certificate_is_looked_at_before_anything_is_said(void **state)
{
    (void)state;
    assert_int_equal(hand("smtps", others.strange, PASSWORD, authority).end, SMTP_CLIENT_LATER);
    assert_int_equal(hand("smtps", others.tls, PASSWORD, NULL).end, SMTP_CLIENT_LATER);
    assert_int_equal(hand("smtp", others.plain, PASSWORD, NULL).end, SMTP_CLIENT_LATER);
    assert_string_equal(seen(), "");
}

static void without_tls_nothing_is_said(void **state)
{
    (void)state;
    struct smtp_client_response response = hand("smtp", others.plain2, PASSWORD, authority);
    assert_int_equal(response.end, SMTP_CLIENT_LATER);
    assert_true(response.error[0]);
    assert_string_equal(seen(), "");
}

static void a_wrong_password_is_not_tried_again(void **state)
{
    (void)state;
    struct smtp_client_response response = hand("smtps", others.tls, PASSWORD "!", authority);
    assert_int_equal(response.end, SMTP_CLIENT_NEVER);
    assert_int_equal(response.status, 535);
    assert_null(strstr(seen(), "mail"));
}

static int begin(void **state)
{
    (void)state;
    if (!others_start(&others, "tests/control/smtp_server.py", "smtp"))
        return -1;
    snprintf(authority, sizeof authority, "%s/authority.pem", others.directory);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return others_stop(&others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_of_tls_are_spoken),
        cmocka_unit_test(a_certificate_is_looked_at_before_anything_is_said),
        cmocka_unit_test(without_tls_nothing_is_said),
        cmocka_unit_test(a_wrong_password_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
