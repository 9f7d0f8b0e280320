/* Calls that we make, as the database sees them from their release on: each attempt's steps,
 * whatever order the facts come in. */
#include "tests/control/database.h"
#include "tests/control/outbound_world.h"

#include "control/store/batches.h"
#include "control/store/calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned sids;

struct step {
    const char *attempt;
    char verdict[16];
    enum db_result (*flag)(struct db *, const char *, const char *, const char *, bool *);
    const char *first, *second;
    bool yes;
};

static enum db_result begin_step(struct db *with, void *context)
{
    struct step *step = context;
    struct db_rows *rows;
    enum db_result result = outbound_begin(with, step->attempt, &rows);
    if (result == DB_OK)
        snprintf(step->verdict, sizeof step->verdict, "%s", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

static enum db_result flag_step(struct db *with, void *context)
{
    struct step *step = context;
    return step->flag(with, step->attempt, step->first, step->second, &step->yes);
}

static enum db_result unsure_step(struct db *with, void *context)
{
    return outbound_unsure(with, ((struct step *)context)->attempt);
}

static enum db_result unlisted_step(struct db *with, void *context)
{
    struct step *step = context;
    return outbound_unlisted(with, step->attempt, &step->yes);
}

static void go(struct step *step, enum db_result (*work)(struct db *, void *))
{
    if (db_transact(world.db, world.acme, work, step) != DB_OK)
        fail_msg("%s", db_error(world.db));
}

static const char *begins(const char *attempt)
{
    static struct step step;
    step = (struct step){.attempt = attempt};
    go(&step, begin_step);
    return step.verdict;
}

static bool flagged(const char *attempt,
                    enum db_result (*flag)(struct db *, const char *, const char *, const char *,
                                           bool *),
                    const char *first, const char *second)
{
    struct step step = {.attempt = attempt, .flag = flag, .first = first, .second = second};
    go(&step, flag_step);
    return step.yes;
}

static bool settles(const char *attempt)
{
    struct step step = {.attempt = attempt};
    go(&step, unlisted_step);
    return step.yes;
}

static const char *state_of(const char *attempt)
{
    return world_ask("SELECT state FROM call_attempts WHERE id = '%s'", attempt);
}

/* A call that was released, and its attempt. */
static const char *released(struct world_wish *wish)
{
    world_make(wish);
    assert_int_equal(world_release(), 1);
    return world_attempt(wish->id);
}

static struct calls_webhook webhook_of(const char *sid, const char *to, const char *status)
{
    return (struct calls_webhook){.account_sid = world.own,
                                  .call_sid = sid,
                                  .from = "+15550100",
                                  .to = to,
                                  .direction = "outbound-api",
                                  .status = status,
                                  .sequence_number = -1,
                                  .duration_s = -1,
                                  .sip_response_code = -1,
                                  .parameters_json = "{}"};
}

static enum calls_found told(const char *attempt, const char *sid, const char *to,
                             const char *status)
{
    struct calls_taken taken;
    struct calls_webhook webhook = webhook_of(sid, to, status);
    if (calls_outbound_status(world.db, &webhook, attempt, &taken) != DB_OK)
        fail_msg("%s", db_error(world.db));
    return taken.found;
}

static void an_attempt_is_marked_before_it_is_asked_for(void **state)
{
    (void)state;
    struct world_wish wish = world_wish("+15550177", NULL);
    const char *attempt = released(&wish);
    assert_string_equal(begins(attempt), "ask");
    assert_string_equal(state_of(attempt), "asking");
    assert_string_equal(begins(attempt), "look"); /* whoever asked has died */
    assert_string_equal(begins(attempt), "look");
    assert_string_equal(state_of(attempt), "unsure");
}

static void a_lost_answer_is_found_by_a_webhook_or_by_the_list(void **state)
{
    (void)state;
    char sid[35], other[35];
    struct world_wish first = world_wish("+15550177", NULL), second = world_wish("+15550178", NULL);
    database_sid(sid, "CA", ++sids);
    database_sid(other, "CA", ++sids);
    const char *attempt = released(&first);
    begins(attempt);
    assert_int_equal(told(attempt, sid, "+15550177", "ringing"), CALLS_FOUND);
    assert_string_equal(state_of(attempt), "made");
    assert_string_equal(begins(attempt), "nothing");
    assert_true(flagged(attempt, outbound_made, sid, "answer")); /* the answer, after all */

    attempt = released(&second);
    begins(attempt);
    begins(attempt);
    assert_false(flagged(attempt, outbound_listed, sid, "Sat, 21 Nov 2126 07:00:00 +0000"));
    assert_false(flagged(attempt, outbound_listed, other, "Sat, 21 Nov 2020 07:00:00 +0000"));
    assert_false(flagged(attempt, outbound_listed, "nonsense", "Sat, 21 Nov 2126 07:00:00 +0000"));
    assert_true(flagged(attempt, outbound_listed, other, "Sat, 21 Nov 2126 07:00:00 +0000"));
    assert_string_equal(state_of(attempt), "made");
    assert_string_equal(world_ask("SELECT found_by FROM call_attempts WHERE id = '%s'", attempt),
                        "list");
}

static void what_nobody_knows_of_is_asked_for_again_ten_times_in_all(void **state)
{
    (void)state;
    struct world_wish wish = world_wish("+15550177", NULL);
    const char *attempt = released(&wish);
    for (int i = 0; i < 10; i++) {
        assert_string_equal(begins(attempt), "ask");
        struct step step = {.attempt = attempt};
        go(&step, unsure_step);
        assert_false(settles(attempt)); /* too early to say */
        assert_string_equal(begins(attempt), "look");
        world_must("UPDATE call_attempts SET unsure_since = now() - interval '6 seconds'");
        assert_true(settles(attempt));
    }
    assert_string_equal(state_of(attempt), "dropped");
    assert_string_equal(world_ask("SELECT outcome FROM outbound_calls WHERE id = '%s'", wish.id),
                        "unknown");
    /* and should it ring after all, it is this call */
    char sid[35];
    database_sid(sid, "CA", ++sids);
    assert_int_equal(told(attempt, sid, "+15550177", "ringing"), CALLS_FOUND);
    assert_string_equal(world_ask("SELECT state FROM outbound_calls WHERE id = '%s'", wish.id),
                        "calling");
}

static void a_second_call_of_an_attempt_is_hung_up(void **state)
{
    (void)state;
    char first[35], second[35];
    struct world_wish wish = world_wish("+15550177", NULL);
    struct calls_incoming incoming;
    database_sid(first, "CA", ++sids);
    database_sid(second, "CA", ++sids);
    const char *attempt = released(&wish);
    begins(attempt);
    assert_true(flagged(attempt, outbound_made, first, "answer"));
    struct calls_webhook webhook = webhook_of(second, "+15550177", "in-progress");
    assert_int_equal(calls_outbound(world.db, &database_seal, &webhook, attempt, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_DOUBLE);
    calls_incoming_free(&incoming);
    assert_string_equal(world_ask("SELECT doubles FROM call_attempts WHERE id = '%s'", attempt),
                        "1");
    assert_string_equal(world_ask("SELECT idempotency_key FROM jobs WHERE kind = 'call_hangup'"),
                        second);
    webhook = webhook_of(first, "+15550177", "in-progress");
    assert_int_equal(calls_outbound(world.db, &database_seal, &webhook, attempt, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    assert_non_null(strstr(incoming.route_json, "hangup"));
    calls_incoming_free(&incoming);
}

static void foreign_webhooks_are_nobodys(void **state)
{
    (void)state;
    char sid[35], stranger[35];
    struct world_wish wish = world_wish("+15550177", NULL);
    struct calls_taken taken;
    database_sid(sid, "CA", ++sids);
    database_sid(stranger, "AC", 2);
    const char *attempt = released(&wish);
    struct calls_webhook webhook = webhook_of(sid, "+15550177", "ringing");
    webhook.account_sid = stranger;
    assert_int_equal(calls_outbound_status(world.db, &webhook, attempt, &taken), DB_OK);
    assert_int_equal(taken.found, CALLS_WRONG_ACCOUNT);
    assert_int_equal(told("'; DROP TABLE calls", sid, "+15550177", "ringing"), CALLS_INVALID);
    assert_int_equal(told("00000000-0000-0000-0000-000000000000", sid, "+15550177", "ringing"),
                     CALLS_UNKNOWN_CALL);
    assert_string_equal(state_of(attempt), "ready");
}

static void busy_is_tried_again_as_often_as_was_said(void **state)
{
    (void)state;
    char sid[35];
    world_batch("again", 1, NULL);
    for (int i = 0; i < 2; i++) {
        world_must("UPDATE outbound_calls SET due_at = now() WHERE state = 'waiting'");
        assert_int_equal(world_release(), 1);
        const char *attempt = world_attempt(world_ask("SELECT id FROM outbound_calls"));
        begins(attempt);
        database_sid(sid, "CA", ++sids);
        assert_true(flagged(attempt, outbound_made, sid, "answer"));
        assert_int_equal(told(attempt, sid, "+15551000000", "ringing"), CALLS_FOUND);
        assert_int_equal(told(attempt, sid, "+15551000000", "busy"), CALLS_FOUND);
        assert_int_equal(told(attempt, sid, "+15551000000", "busy"), CALLS_FOUND);
        assert_string_equal(state_of(attempt), "over");
    }
    assert_string_equal(world_ask("SELECT outcome FROM outbound_calls"), "busy");
    assert_string_equal(world_ask("SELECT attempts FROM outbound_calls"), "2");
    assert_int_equal(world_release(), 0);
    assert_string_equal(world_ask("SELECT state FROM call_batches"), "done");
}

/* What has come up since its release is looked at again before anybody is asked. */
static void what_has_come_up_meanwhile_is_minded(void **state)
{
    static const struct {
        const char *change, *back, *attempt, *call, *outcome;
    } cases[] = {
        {"UPDATE call_batches SET state = 'paused'", "UPDATE call_batches SET state = 'running'",
         "dropped", "waiting", ""},
        {"UPDATE phone_numbers SET is_active = false WHERE phone_number = '+15550100'",
         "UPDATE phone_numbers SET is_active = true WHERE phone_number = '+15550100'", "dropped",
         "done", "refused"},
        {"INSERT INTO do_not_call (organization_id, phone_number, reason, added_by) SELECT "
         "organization_id, to_number, '', 'a test' FROM outbound_calls",
         "DELETE FROM do_not_call", "dropped", "done", "do_not_call"},
        {"UPDATE call_batches SET state = 'stopped'", "SELECT", "dropped", "done", "stopped"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_clear(state);
        world_batch("changed", 1, NULL);
        assert_int_equal(world_release(), 1);
        const char *attempt = world_attempt(world_ask("SELECT id FROM outbound_calls"));
        world_must("%s", cases[i].change);
        assert_string_equal(begins(attempt), "nothing");
        world_must("%s", cases[i].back);
        assert_string_equal(state_of(attempt), cases[i].attempt);
        assert_string_equal(world_ask("SELECT state FROM outbound_calls"), cases[i].call);
        assert_string_equal(world_ask("SELECT outcome FROM outbound_calls"), cases[i].outcome);
    }
}

/* The number is being called by another attempt by then. */
static void a_call_of_a_dropped_attempt_is_hung_up_when_there_is_a_later_one(void **state)
{
    char sid[35], first[37];
    struct calls_incoming incoming;
    (void)state;
    world_batch("dropped", 1, NULL);
    assert_int_equal(world_release(), 1);
    snprintf(first, sizeof first, "%s", world_attempt(world_ask("SELECT id FROM outbound_calls")));
    world_must("UPDATE call_batches SET state = 'paused'");
    assert_string_equal(begins(first), "nothing");
    world_must("UPDATE call_batches SET state = 'running'");
    assert_int_equal(world_release(), 1);
    database_sid(sid, "CA", ++sids);
    struct calls_webhook webhook = webhook_of(sid, "+15551000000", "in-progress");
    assert_int_equal(calls_outbound(world.db, &database_seal, &webhook, first, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_DOUBLE);
    calls_incoming_free(&incoming);
    assert_string_equal(state_of(first), "dropped");
    assert_string_equal(world_ask("SELECT idempotency_key FROM jobs WHERE kind = 'call_hangup'"),
                        sid);
}

static enum db_result pause_step(struct db *with, void *context)
{
    struct step *step = context;
    return outbound_pause_for(with, step->attempt, "wrong credentials", &step->yes);
}

/* What every call would be refused for pauses a batch that runs, and does not revive one that was
 * stopped. */
static void a_refusal_of_all_pauses_the_batch_unless_it_is_stopped(void **state)
{
    static const char how[] = "SELECT state || ' ' || reason FROM call_batches";
    struct step step = {.attempt = ""};
    (void)state;
    world_batch("refused", 2, NULL);
    assert_int_equal(world_release(), 2);
    char attempt[37];
    snprintf(attempt, sizeof attempt, "%s",
             world_ask("SELECT id FROM call_attempts ORDER BY id LIMIT 1"));
    step.attempt = attempt;
    go(&step, pause_step);
    assert_true(step.yes);
    assert_string_equal(world_ask(how), "paused wrong credentials");
    assert_string_equal(world_ask("SELECT count(*) FROM outbound_calls WHERE state = 'waiting'"),
                        "1"); /* and the number is not burnt */
    world_must("UPDATE call_batches SET state = 'stopped', reason = ''");
    snprintf(attempt, sizeof attempt, "%s",
             world_ask("SELECT id FROM call_attempts ORDER BY id DESC LIMIT 1"));
    go(&step, pause_step);
    assert_false(step.yes);
    assert_string_equal(world_ask(how), "stopped ");
    assert_string_equal(state_of(attempt), "ready");
}

/* A batch that is stopped tries nobody again, and what an earlier attempt tells late changes
 * nothing for a later one. */
static void only_the_latest_attempt_speaks_for_the_call(void **state)
{
    char first[35], second[35], id[37];
    (void)state;
    world_batch("late", 1, "retries = 5, retry_after_s = 3600");
    assert_int_equal(world_release(), 1);
    snprintf(id, sizeof id, "%s", world_ask("SELECT id FROM outbound_calls"));
    char attempt[37];
    snprintf(attempt, sizeof attempt, "%s", world_attempt(id));
    begins(attempt);
    database_sid(first, "CA", ++sids);
    assert_int_equal(told(attempt, first, "+15551000000", "busy"), CALLS_FOUND);
    assert_string_equal(world_ask("SELECT state || ' ' || (due_at > now() + interval '50 minutes') "
                                  "FROM outbound_calls"),
                        "waiting true");
    world_must("UPDATE outbound_calls SET due_at = now()");
    assert_int_equal(world_release(), 1);
    const char *later = world_attempt(id);
    begins(later);
    world_must("UPDATE conversations SET call_status = 'completed' WHERE call_sid = '%s'", first);
    assert_string_equal(world_ask("SELECT state FROM outbound_calls"), "calling");
    world_must("UPDATE call_batches SET state = 'stopped'");
    database_sid(second, "CA", ++sids);
    assert_int_equal(told(later, second, "+15551000000", "busy"), CALLS_FOUND);
    assert_string_equal(world_ask("SELECT state || ' ' || outcome FROM outbound_calls"),
                        "done busy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_attempt_is_marked_before_it_is_asked_for, world_clear),
        cmocka_unit_test(what_has_come_up_meanwhile_is_minded),
        cmocka_unit_test_setup(a_lost_answer_is_found_by_a_webhook_or_by_the_list, world_clear),
        cmocka_unit_test_setup(what_nobody_knows_of_is_asked_for_again_ten_times_in_all,
                               world_clear),
        cmocka_unit_test_setup(a_second_call_of_an_attempt_is_hung_up, world_clear),
        cmocka_unit_test_setup(a_call_of_a_dropped_attempt_is_hung_up_when_there_is_a_later_one,
                               world_clear),
        cmocka_unit_test_setup(a_refusal_of_all_pauses_the_batch_unless_it_is_stopped, world_clear),
        cmocka_unit_test_setup(foreign_webhooks_are_nobodys, world_clear),
        cmocka_unit_test_setup(busy_is_tried_again_as_often_as_was_said, world_clear),
        cmocka_unit_test_setup(only_the_latest_attempt_speaks_for_the_call, world_clear),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
