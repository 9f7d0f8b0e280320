/* Names to addresses, through the machine's own resolver and no further than /etc/hosts. */
#include "edge/io/resolve.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

static struct resolve *resolve;
static struct mail *box;

static int open_all(void **state)
{
    (void)state;
    resolve = resolve_open();
    box = mail_open(64);
    return resolve && box ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    resolve_close(resolve);
    mail_close(box);
    return 0;
}

static struct resolved *wait_for(uint64_t id)
{
    struct letter letter;
    struct pollfd bell = {.fd = mail_doorbell(box), .events = POLLIN};
    while (!mail_receive(box, &letter))
        assert_int_equal(poll(&bell, 1, 20000), 1);
    assert_int_equal(letter.kind, LETTER_RESOLVED);
    assert_int_equal(letter.id, id);
    return letter.content;
}

static void numbers_are_answered_at_once(void **state)
{
    (void)state;
    assert_true(resolve_ask(resolve, "127.0.0.1", 8080, box, 1));
    assert_int_equal(mail_waiting(box), 1);
    struct resolved *resolved = wait_for(1);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&resolved->addresses[0];
    assert_int_equal(resolved->count, 1);
    assert_int_equal(resolved->bytes[0], sizeof *v4);
    assert_int_equal(v4->sin_family, AF_INET);
    assert_int_equal(ntohs(v4->sin_port), 8080);
    assert_int_equal(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    free(resolved);
    assert_true(resolve_ask(resolve, "::1", 443, box, 2));
    resolved = wait_for(2);
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&resolved->addresses[0];
    assert_int_equal(v6->sin6_family, AF_INET6);
    assert_int_equal(ntohs(v6->sin6_port), 443);
    assert_memory_equal(&v6->sin6_addr, &in6addr_loopback, sizeof in6addr_loopback);
    free(resolved);
}

static void names_are_looked_up_once_and_remembered(void **state)
{
    (void)state;
    assert_true(resolve_ask(resolve, "localhost", 80, box, 3));
    struct resolved *resolved = wait_for(3);
    assert_true(resolved->count >= 1);
    free(resolved);
    assert_true(resolve_ask(resolve, "localhost", 81, box, 4));
    assert_int_equal(mail_waiting(box), 1); /* without the thread */
    resolved = wait_for(4);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&resolved->addresses[0];
    assert_int_equal(ntohs(v4->sin_port), 81); /* both families have it there */
    free(resolved);
}

static void what_is_no_name_is_answered_with_nothing(void **state)
{
    char longest[300];
    (void)state;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_false(resolve_ask(resolve, longest, 1, box, 5));
    assert_false(resolve_ask(resolve, "", 1, box, 6));
    assert_true(resolve_ask(resolve, "not a name at all", 1, box, 7));
    struct resolved *resolved = wait_for(7);
    assert_int_equal(resolved->count, 0);
    free(resolved);
}

static void a_full_mailbox_is_a_refusal(void **state)
{
    struct mail *small = mail_open(1);
    struct letter letter = {0};
    (void)state;
    assert_true(mail_send(small, letter));
    assert_false(resolve_ask(resolve, "127.0.0.1", 1, small, 8));
    mail_close(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_answered_at_once),
        cmocka_unit_test(names_are_looked_up_once_and_remembered),
        cmocka_unit_test(what_is_no_name_is_answered_with_nothing),
        cmocka_unit_test(a_full_mailbox_is_a_refusal),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
