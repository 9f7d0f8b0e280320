/* mail: order, bound, doorbell; then several threads at once, which the tsan build judges too. */
#include "common/mail.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SENDERS       4
#define LETTERS       20000 /* per sender */
#define LOST_AFTER_MS 20000 /* no ring for so long: the doorbell was lost */

static bool rings(const struct mail *mail)
{
    struct pollfd bell = {.fd = mail_doorbell(mail), .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

static struct letter numbered(uint32_t number)
{
    return (struct letter){.kind = 7, .number = number, .id = UINT64_MAX - number};
}

static void test_order_and_bound(void **state)
{
    (void)state;
    struct mail *mail = mail_open(5); /* eight */
    struct letter letter;
    assert_non_null(mail);
    assert_false(mail_receive(mail, &letter));
    for (uint32_t round = 0; round < 5; round++) {
        for (uint32_t i = 0; i < 8; i++)
            assert_true(mail_send(mail, numbered(round * 100 + i)));
        assert_false(mail_send(mail, numbered(999)));
        assert_int_equal(mail_waiting(mail), 8);
        for (uint32_t i = 0; i < 8; i++) {
            assert_true(mail_receive(mail, &letter));
            assert_int_equal(letter.kind, 7);
            assert_int_equal(letter.number, round * 100 + i);
            assert_true(letter.id == UINT64_MAX - letter.number);
        }
        assert_int_equal(mail_waiting(mail), 0);
    }
    mail_close(mail);
}

static void test_capacity_of_one(void **state)
{
    (void)state;
    struct mail *mail = mail_open(1);
    struct letter letter;
    assert_true(mail_send(mail, numbered(1)));
    assert_false(mail_send(mail, numbered(2)));
    assert_true(mail_receive(mail, &letter));
    assert_int_equal(letter.number, 1);
    assert_true(mail_send(mail, numbered(3)));
    mail_close(mail);
}

/* Whether the receiver reads the eventfd itself or leaves it to mail_receive, a letter that comes
 * after an empty box rings. */
static void test_doorbell(void **state)
{
    (void)state;
    for (int reads = 0; reads <= 1; reads++) {
        struct mail *mail = mail_open(8);
        struct letter letter;
        assert_false(rings(mail));
        for (uint32_t round = 0; round < 3; round++) {
            assert_true(mail_send(mail, numbered(1)));
            assert_true(mail_send(mail, numbered(2)));
            assert_true(rings(mail));
            uint64_t count = 0;
            if (reads)
                assert_int_equal(read(mail_doorbell(mail), &count, sizeof count), sizeof count);
            assert_true(mail_receive(mail, &letter));
            assert_true(mail_send(mail, numbered(3)));
            while (mail_receive(mail, &letter))
                count++;
            assert_int_equal(letter.number, 3);
            assert_false(rings(mail));
        }
        mail_close(mail);
    }
}

static void test_close_nothing(void **state)
{
    (void)state;
    mail_close(NULL);
}

/* What a letter carries is the receiver's: the memory itself goes from thread to thread. */
struct parcel {
    uint32_t sender, number;
};

struct sender {
    struct mail *mail;
    uint32_t number;
    pthread_t thread;
};

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    for (uint32_t i = 0; i < LETTERS; i++) {
        struct parcel *parcel = malloc(sizeof *parcel);
        *parcel = (struct parcel){sender->number, i};
        struct letter letter = {.kind = sender->number, .number = i, .content = parcel};
        while (!mail_send(sender->mail, letter))
            sched_yield();
    }
    return NULL;
}

static size_t open_letter(const struct letter *letter, uint32_t expected[SENDERS])
{
    struct parcel *parcel = letter->content;
    bool right = letter->kind < SENDERS && parcel->sender == letter->kind &&
                 parcel->number == letter->number && expected[letter->kind]++ == letter->number;
    free(parcel);
    assert_true(right);
    return 1;
}

/* Sleeps on the doorbell alone: one ring lost, and this ends in LOST_AFTER_MS instead of at once.
 */
static void receive_all(struct mail *mail, bool reads)
{
    uint32_t expected[SENDERS] = {0};
    size_t received = 0;
    while (received < SENDERS * LETTERS) {
        struct pollfd bell = {.fd = mail_doorbell(mail), .events = POLLIN};
        struct letter letter;
        assert_int_equal(poll(&bell, 1, LOST_AFTER_MS), 1);
        if (reads) {
            uint64_t count;
            assert_int_equal(read(mail_doorbell(mail), &count, sizeof count), sizeof count);
        }
        while (mail_receive(mail, &letter))
            received += open_letter(&letter, expected);
    }
    for (size_t i = 0; i < SENDERS; i++)
        assert_int_equal(expected[i], LETTERS);
}

static void test_threads(void **state)
{
    (void)state;
    for (int reads = 0; reads <= 1; reads++) {
        struct mail *mail = mail_open(64);
        struct sender senders[SENDERS];
        assert_non_null(mail);
        for (uint32_t i = 0; i < SENDERS; i++) {
            senders[i] = (struct sender){.mail = mail, .number = i};
            assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
        }
        receive_all(mail, reads);
        for (uint32_t i = 0; i < SENDERS; i++)
            pthread_join(senders[i].thread, NULL);
        assert_int_equal(mail_waiting(mail), 0);
        mail_close(mail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bound), cmocka_unit_test(test_capacity_of_one),
        cmocka_unit_test(test_doorbell),        cmocka_unit_test(test_close_nothing),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("mail", tests, NULL, NULL);
}
