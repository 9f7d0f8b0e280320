/* The journal of webhooks against a real disk: what is added is there again, in order, whatever was
 * half written; and the gate of a database that is away. */
#include "control/link/journal.h"

#include "control/db/db_gate.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64], path[96];
static char error[256];

static int begin(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/ringbridge-journal.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/webhooks.journal", directory);
    return 0;
}

static int end(void **state)
{
    (void)state;
    char refused[96];
    snprintf(refused, sizeof refused, "%s/refused.journal", directory);
    unlink(path);
    unlink(refused);
    return rmdir(directory);
}

static struct journal *open_it(void)
{
    struct journal *journal = journal_open(directory, error, sizeof error);
    assert_non_null(journal);
    return journal;
}

static void add(struct journal *journal, int number)
{
    char json[64], raw[64];
    snprintf(json, sizeof json, "{\"number\":%d}", number);
    snprintf(raw, sizeof raw, "body=%d", number);
    assert_true(journal_add(journal, 1000 + number, span_of(json), span_of(raw)));
}

static void expect(struct journal *journal, int number)
{
    char json[64], raw[64];
    struct link_frame frame;
    uint8_t *block;
    snprintf(json, sizeof json, "{\"number\":%d}", number);
    snprintf(raw, sizeof raw, "body=%d", number);
    assert_true(journal_first(journal, &frame, &block));
    assert_int_equal(frame.id, 1000 + number);
    assert_true(span_is(frame.json, json) && span_is(frame.raw, raw));
    free(block);
}

static off_t file_bytes(void)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    return status.st_size;
}

static void what_is_added_waits_in_order_also_for_the_next_life(void **state)
{
    (void)state;
    struct journal *journal = open_it();
    struct link_frame frame;
    uint8_t *block;
    assert_true(journal_is_empty(journal));
    assert_false(journal_first(journal, &frame, &block));
    for (int i = 0; i < 3; i++)
        add(journal, i);
    expect(journal, 0);
    expect(journal, 0); /* until it is dropped */
    journal_drop(journal);
    expect(journal, 1);
    journal_close(journal);
    journal = open_it(); /* what was on record already is stored once more: the store knows it */
    assert_int_equal(journal_count(journal), 3);
    for (int i = 0; i < 3; i++) {
        expect(journal, i);
        journal_drop(journal);
    }
    assert_true(journal_is_empty(journal));
    assert_int_equal(file_bytes(), 0);
    add(journal, 7);
    expect(journal, 7);
    journal_drop(journal);
    journal_close(journal);
}

static void an_end_that_is_not_whole_is_cut_off(void **state)
{
    (void)state;
    struct journal *journal = open_it();
    add(journal, 1);
    off_t whole = file_bytes();
    add(journal, 2);
    off_t both = file_bytes();
    journal_close(journal);
    for (off_t bytes = both - 1; bytes >= whole; bytes--) {
        assert_int_equal(truncate(path, bytes), 0);
        journal = open_it();
        assert_int_equal(journal_count(journal), 1);
        assert_int_equal(file_bytes(), whole);
        expect(journal, 1);
        journal_close(journal);
    }
    assert_int_equal(truncate(path, both), 0); /* grown, but never written: zeros */
    journal = open_it();
    assert_int_equal(journal_count(journal), 1);
    add(journal, 3);
    journal_drop(journal);
    expect(journal, 3);
    journal_drop(journal);
    journal_close(journal);
}

static void a_journal_has_one_keeper(void **state)
{
    (void)state;
    struct journal *journal = open_it();
    assert_null(journal_open(directory, error, sizeof error));
    assert_non_null(strstr(error, "another control"));
    journal_close(journal);
    assert_null(journal_open("/nonexistent", error, sizeof error));
    assert_non_null(strstr(error, "/nonexistent/webhooks.journal"));
}

static void what_is_refused_is_put_aside(void **state)
{
    (void)state;
    char aside[96];
    struct stat status;
    struct journal *journal = open_it();
    add(journal, 1);
    add(journal, 2);
    off_t both = file_bytes();
    journal_refuse(journal);
    expect(journal, 2);
    journal_refuse(journal);
    assert_true(journal_is_empty(journal));
    snprintf(aside, sizeof aside, "%s/refused.journal", directory);
    assert_int_equal(stat(aside, &status), 0);
    assert_int_equal(status.st_size, both);
    journal_close(journal);
}

static void it_is_bounded(void **state)
{
    (void)state;
    struct journal *journal = open_it();
    size_t bytes = LINK_FRAME_BYTES_MAX - LINK_HEADER_BYTES, added = 0;
    char *raw = calloc(1, bytes + 1);
    assert_false(journal_add(journal, 1, span_of(""), span_from(raw, bytes + 1)));
    while (journal_add(journal, 1, span_of(""), span_from(raw, bytes)))
        added++;
    assert_int_equal(added, JOURNAL_BYTES_MAX / LINK_FRAME_BYTES_MAX);
    assert_int_equal(journal_count(journal), added);
    while (!journal_is_empty(journal))
        journal_drop(journal);
    assert_true(journal_add(journal, 1, span_of(""), span_from(raw, bytes)));
    journal_drop(journal);
    journal_close(journal);
    free(raw);
}

static void one_of_many_tries_a_server_that_was_away(void **state)
{
    (void)state;
    struct db_gate gate = {0};
    uint64_t until;
    assert_false(db_gate_closed(&gate, 100, &until));
    assert_true(db_gate_try(&gate, 100, 500));
    assert_true(db_gate_try(&gate, 100, 500)); /* open: everybody may */
    db_gate_close(&gate, 200);
    assert_true(db_gate_closed(&gate, 199, &until));
    assert_int_equal(until, 200);
    assert_false(db_gate_try(&gate, 199, 500));
    assert_true(db_gate_try(&gate, 200, 500)); /* the first */
    assert_false(db_gate_try(&gate, 201, 500));
    assert_true(db_gate_closed(&gate, 499, &until));
    assert_true(db_gate_try(&gate, 500, 900)); /* he never said: the next */
    db_gate_open(&gate);
    assert_false(db_gate_closed(&gate, 501, &until));
    assert_true(db_gate_try(NULL, 0, 0));
    assert_false(db_gate_closed(NULL, 0, &until));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_waits_in_order_also_for_the_next_life),
        cmocka_unit_test(an_end_that_is_not_whole_is_cut_off),
        cmocka_unit_test(a_journal_has_one_keeper),
        cmocka_unit_test(what_is_refused_is_put_aside),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(one_of_many_tries_a_server_that_was_away),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
