/* Calls that we make, as the database sees them: hours and zones, pace and limits, and each
 * attempt's steps, whatever order the facts come in. */
#include "tests/control/database.h"

#include "control/store/batches.h"
#include "control/store/calls.h"
#include "control/store/outbound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct db *db;
static char acme[37], beta[37], own[35];
static unsigned sids;

static int begin(void **state)
{
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", acme);
    database_organization("Beta", "+15550101", beta);
    database_sid(own, "AC", 1);
    db = database_serving(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db_close(db);
    return 0;
}

/* Nothing to call, and limits that do not matter. */
static int clear(void **state)
{
    (void)state;
    database_do("SET row_security = off; DELETE FROM jobs; DELETE FROM outbound_calls; "
                "DELETE FROM call_batches; DELETE FROM do_not_call; DELETE FROM conversations; "
                "DELETE FROM outbound_limits; INSERT INTO outbound_limits SELECT "
                "(outbound_limits_in_force(id)).* FROM organizations; UPDATE outbound_limits SET "
                "calls_at_once = 1000, calls_per_minute = 6000, settle_s = 5");
    return 0;
}

__attribute__((format(printf, 1, 2))) static const char *ask(const char *format, ...)
{
    char sql[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    return database_ask(sql);
}

__attribute__((format(printf, 1, 2))) static void must(const char *format, ...)
{
    char sql[2048];
    va_list arguments;
    va_start(arguments, format);
    int bytes = snprintf(sql, sizeof sql, "SET row_security = off; ");
    vsnprintf(sql + bytes, sizeof sql - (size_t)bytes, format, arguments);
    va_end(arguments);
    database_do(sql);
}

/* ---- a call is asked for ---- */

struct wish {
    struct outbound_new call;
    const char *organization;
    enum outbound_verdict verdict;
    char id[37];
};

static enum db_result add(struct db *with, void *context)
{
    struct wish *wish = context;
    return outbound_add(with, wish->organization, &wish->call, &wish->verdict, wish->id);
}

static struct wish wish_for(const char *to, const char *key)
{
    return (struct wish){.organization = acme,
                         .call = {.to = to,
                                  .from = "+15550100",
                                  .account = own,
                                  .plan_json = "{\"step\":{\"step\":\"hangup\"}}",
                                  .variables_json = "{}",
                                  .lead = "",
                                  .key = key,
                                  .by = "a test"}};
}

static enum outbound_verdict make(struct wish *wish)
{
    if (db_transact(db, wish->organization, add, wish) != DB_OK)
        fail_msg("%s", db_error(db));
    return wish->verdict;
}

static int64_t release(void)
{
    int64_t released;
    if (outbound_release(db, &released) != DB_OK)
        fail_msg("%s", db_error(db));
    return released;
}

/* Its latest attempt. */
static const char *attempt_of(const char *call)
{
    static char id[37];
    snprintf(id, sizeof id, "%s",
             ask("SELECT id FROM call_attempts WHERE outbound_call_id = '%s' "
                 "ORDER BY number DESC LIMIT 1",
                 call));
    return id;
}

static void a_call_is_put_into_the_queue_once_and_only_from_own_numbers(void **state)
{
    (void)state;
    struct wish first = wish_for("+15550177", "one"), again = wish_for("+15550177", "one"),
                other = wish_for("+15550178", "one"), theirs = wish_for("+15550177", NULL),
                alone = wish_for("+15550177", NULL);
    other.call.hash[0] = 1;
    theirs.call.from = "+15550101";
    alone.call.account = NULL;
    assert_int_equal(make(&first), OUTBOUND_MADE);
    assert_int_equal(make(&again), OUTBOUND_REPEATED);
    assert_string_equal(first.id, again.id);
    assert_int_equal(make(&other), OUTBOUND_OTHER_REQUEST);
    assert_int_equal(make(&theirs), OUTBOUND_NOT_OURS);
    assert_int_equal(make(&alone), OUTBOUND_NO_ACCOUNT);
    must("INSERT INTO do_not_call (organization_id, phone_number, reason, added_by) VALUES ('%s', "
         "'+15550179', '', 'a test')",
         acme);
    struct wish never = wish_for("+15550179", NULL);
    assert_int_equal(make(&never), OUTBOUND_DO_NOT_CALL);
    must("UPDATE phone_numbers SET is_active = false WHERE phone_number = '+15550100'");
    struct wish late = wish_for("+15550176", NULL);
    assert_int_equal(make(&late), OUTBOUND_NOT_OURS);
    must("UPDATE phone_numbers SET is_active = true WHERE phone_number = '+15550100'");
}

/* ---- hours and zones ---- */

static void a_number_tells_its_zones_or_nothing(void **state)
{
    (void)state;
    static const char *const known[][2] = {
        {"+49305550100", "{Europe/Berlin}"},
        {"+12125550100", "{America/New_York,America/Los_Angeles}"},
        {"+18085550100", "{Pacific/Honolulu}"},
        {"+77015550100", "{Asia/Almaty}"},
        {"+35315550100", "{Europe/Dublin}"},
        {"+88315550100", "{Europe/Vienna}"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_equal(ask("SELECT number_zones('%s', 'Europe/Vienna')", known[i][0]),
                            known[i][1]);
    assert_string_equal(ask("SELECT count(*) FROM dialling_zones, unnest(zones) AS z "
                            "WHERE NOT is_time_zone(z)"),
                        "0");
}

static const char *next_open(const char *hours, const char *zones, const char *moment)
{
    return ask("SELECT to_char(next_open(%s, '%s', timestamptz '%s') AT TIME ZONE 'UTC', "
               "'Dy HH24:MI')",
               hours, zones, moment);
}

static void it_is_open_where_it_is_open_for_all(void **state)
{
    (void)state;
    static const char week[] = "'{1,2,3,4,5}', '09:00', '17:00'";
    assert_string_equal(next_open(week, "{Europe/Berlin}", "2026-11-20 12:00Z"), "Fri 12:00");
    assert_string_equal(next_open(week, "{Europe/Berlin}", "2026-11-20 07:59Z"), "Fri 08:00");
    assert_string_equal(next_open(week, "{Europe/Berlin}", "2026-11-20 16:00Z"), "Mon 08:00");
    /* nine in Los Angeles is noon in New York */
    assert_string_equal(
        next_open(week, "{America/New_York,America/Los_Angeles}", "2026-11-20 14:30Z"),
        "Fri 17:00");
    assert_string_equal(
        next_open(week, "{America/New_York,America/Los_Angeles}", "2026-11-20 22:00Z"),
        "Mon 17:00");
    assert_string_equal(
        next_open("'{1,2,3,4,5,6,7}', '22:00', '02:00'", "{UTC}", "2026-11-20 01:30Z"),
        "Fri 01:30");
    assert_string_equal(
        next_open("'{1,2,3,4,5,6,7}', '00:00', '24:00'", "{UTC}", "2026-11-20 01:30Z"),
        "Fri 01:30");
    /* the clocks of Kaliningrad and Kamchatka have no hour of these in common */
    assert_string_equal(next_open("'{1}', '10:00', '15:00'", "{Europe/Kaliningrad,Asia/Kamchatka}",
                                  "2026-11-20 01:30Z"),
                        "");
}

/* ---- pace and limits ---- */

struct putting {
    const struct batches_new *batch;
    const json_t *rows;
    enum batches_verdict verdict;
    char id[37];
    int64_t added;
};

static enum db_result put(struct db *with, void *context)
{
    struct putting *putting = context;
    return batches_put(with, acme, putting->batch, putting->rows, &putting->verdict, putting->id,
                       &putting->added);
}

static void batch_of(const char *name, unsigned count, const char *more)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < count; i++) {
        char number[17];
        snprintf(number, sizeof number, "+1555%07u", 1000000 + i);
        json_array_append_new(rows, json_pack("{s:i, s:s, s:s, s:{s:s}}", "line", (int)i + 2, "to",
                                              number, "lead", "", "variables", "name", "Ada"));
    }
    struct batches_new batch = {.name = name,
                                .from = "+15550100",
                                .account = own,
                                .plan_json =
                                    "{\"step\":{\"step\":\"hangup\",\"say\":\"{{name}}\"}}",
                                .calls_per_minute = 6000,
                                .days = "{1,2,3,4,5,6,7}",
                                .opens = "00:00",
                                .closes = "24:00",
                                .retries = 1,
                                .retry_after_s = 60,
                                .by = "a test"};
    struct putting putting = {.batch = &batch, .rows = rows};
    if (db_transact(db, acme, put, &putting) != DB_OK)
        fail_msg("%s", db_error(db));
    assert_int_equal(putting.verdict, BATCHES_MADE);
    assert_int_equal(putting.added, count);
    json_decref(rows);
    if (more)
        must("UPDATE call_batches SET %s WHERE id = '%s'", more, putting.id);
}

static void a_tick_releases_what_the_pace_allows(void **state)
{
    (void)state;
    batch_of("paced", 300, "calls_per_minute = 1200");
    assert_in_range(release(), 10, 11); /* half a second of twenty a second, and the next */
    must("UPDATE call_batches SET next_at = now() + interval '1 minute'");
    assert_int_equal(release(), 0);
    must("UPDATE call_batches SET next_at = now() - interval '1 minute'");
    assert_in_range(release(), 10, 11); /* a minute that was missed is not made up for */
    must("UPDATE call_batches SET next_at = now() - interval '1 minute'");
    must("UPDATE outbound_limits SET next_at = now() + interval '1 minute'");
    assert_int_equal(release(), 0); /* the organisation's own pace holds too */
    assert_string_equal(ask("SELECT count(*) = count(DISTINCT outbound_call_id) AND count(*) = "
                            "(SELECT count(*) FROM jobs WHERE kind = 'call_make') "
                            "FROM call_attempts"),
                        "t");
}

static void limits_of_the_organisation_hold_over_all(void **state)
{
    (void)state;
    batch_of("limited", 30, NULL);
    must("UPDATE outbound_limits SET calls_at_once = 7 WHERE organization_id = '%s'", acme);
    assert_int_equal(release(), 7);
    assert_int_equal(release(), 0);
    must("UPDATE call_attempts SET state = 'over', call_sid = 'CA' || replace(id::text, '-', ''), "
         "found_by = 'answer'");
    must("UPDATE outbound_limits SET calls_per_day = 10 WHERE organization_id = '%s'", acme);
    assert_int_equal(release(), 3);
    must("UPDATE outbound_limits SET calls_at_once = 0 WHERE organization_id = '%s'", acme);
    assert_int_equal(release(), 0);
}

static void who_must_not_be_called_now_is_not(void **state)
{
    (void)state;
    batch_of("careful", 4, "days = '{1,2,3,4,5,6,7}'");
    must("INSERT INTO do_not_call (organization_id, phone_number, reason, added_by) VALUES ('%s', "
         "'+15551000000', '', 'a test')",
         acme);
    must("UPDATE outbound_calls SET time_zone = 'UTC'");
    must("UPDATE call_batches SET opens = ((now() AT TIME ZONE 'UTC') + interval '2 hours')::time, "
         "closes = ((now() AT TIME ZONE 'UTC') + interval '3 hours')::time");
    assert_int_equal(release(), 0);
    assert_string_equal(ask("SELECT outcome FROM outbound_calls WHERE to_number = '+15551000000'"),
                        "do_not_call");
    assert_string_equal(ask("SELECT count(*) FROM outbound_calls WHERE state = 'waiting' AND "
                            "due_at BETWEEN now() + interval '118 minutes' "
                            "AND now() + interval '121 minutes'"),
                        "3");
    must("UPDATE call_batches SET opens = '00:00', closes = '24:00', state = 'paused'");
    must("UPDATE outbound_calls SET due_at = now() WHERE state = 'waiting'");
    assert_int_equal(release(), 0);
    must("UPDATE call_batches SET state = 'running'");
    assert_int_equal(release(), 3);
}

/* One open attempt to a number, whoever asked for it. */
static void a_number_is_never_called_twice_at_the_same_time(void **state)
{
    (void)state;
    struct wish one = wish_for("+15550177", NULL), two = wish_for("+15550177", NULL);
    make(&one);
    make(&two);
    assert_int_equal(release(), 1);
    assert_int_equal(release(), 0);
    assert_string_equal(ask("SELECT count(*) FROM outbound_calls WHERE state = 'waiting' AND "
                            "due_at > now()"),
                        "1");
}

/* ---- an attempt ---- */

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
    if (db_transact(db, acme, work, step) != DB_OK)
        fail_msg("%s", db_error(db));
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
    return ask("SELECT state FROM call_attempts WHERE id = '%s'", attempt);
}

/* A call that was released, and its attempt. */
static const char *released(struct wish *wish)
{
    make(wish);
    assert_int_equal(release(), 1);
    return attempt_of(wish->id);
}

static struct calls_webhook webhook_of(const char *sid, const char *to, const char *status)
{
    return (struct calls_webhook){.account_sid = own,
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
    if (calls_outbound_status(db, &webhook, attempt, &taken) != DB_OK)
        fail_msg("%s", db_error(db));
    return taken.found;
}

static void an_attempt_is_marked_before_it_is_asked_for(void **state)
{
    (void)state;
    struct wish wish = wish_for("+15550177", NULL);
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
    struct wish first = wish_for("+15550177", NULL), second = wish_for("+15550178", NULL);
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
    assert_string_equal(ask("SELECT found_by FROM call_attempts WHERE id = '%s'", attempt), "list");
}

static void what_nobody_knows_of_is_asked_for_again_ten_times_in_all(void **state)
{
    (void)state;
    struct wish wish = wish_for("+15550177", NULL);
    const char *attempt = released(&wish);
    for (int i = 0; i < 10; i++) {
        assert_string_equal(begins(attempt), "ask");
        struct step step = {.attempt = attempt};
        go(&step, unsure_step);
        assert_false(settles(attempt)); /* too early to say */
        assert_string_equal(begins(attempt), "look");
        must("UPDATE call_attempts SET unsure_since = now() - interval '6 seconds'");
        assert_true(settles(attempt));
    }
    assert_string_equal(state_of(attempt), "dropped");
    assert_string_equal(ask("SELECT outcome FROM outbound_calls WHERE id = '%s'", wish.id),
                        "unknown");
    /* and should it ring after all, it is this call */
    char sid[35];
    database_sid(sid, "CA", ++sids);
    assert_int_equal(told(attempt, sid, "+15550177", "ringing"), CALLS_FOUND);
    assert_string_equal(ask("SELECT state FROM outbound_calls WHERE id = '%s'", wish.id),
                        "calling");
}

static void a_second_call_of_an_attempt_is_hung_up(void **state)
{
    (void)state;
    char first[35], second[35];
    struct wish wish = wish_for("+15550177", NULL);
    struct calls_incoming incoming;
    database_sid(first, "CA", ++sids);
    database_sid(second, "CA", ++sids);
    const char *attempt = released(&wish);
    begins(attempt);
    assert_true(flagged(attempt, outbound_made, first, "answer"));
    struct calls_webhook webhook = webhook_of(second, "+15550177", "in-progress");
    assert_int_equal(calls_outbound(db, &database_seal, &webhook, attempt, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_DOUBLE);
    calls_incoming_free(&incoming);
    assert_string_equal(ask("SELECT doubles FROM call_attempts WHERE id = '%s'", attempt), "1");
    assert_string_equal(ask("SELECT idempotency_key FROM jobs WHERE kind = 'call_hangup'"), second);
    webhook = webhook_of(first, "+15550177", "in-progress");
    assert_int_equal(calls_outbound(db, &database_seal, &webhook, attempt, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    assert_non_null(strstr(incoming.route_json, "hangup"));
    calls_incoming_free(&incoming);
}

static void foreign_webhooks_are_nobodys(void **state)
{
    (void)state;
    char sid[35], stranger[35];
    struct wish wish = wish_for("+15550177", NULL);
    struct calls_taken taken;
    database_sid(sid, "CA", ++sids);
    database_sid(stranger, "AC", 2);
    const char *attempt = released(&wish);
    struct calls_webhook webhook = webhook_of(sid, "+15550177", "ringing");
    webhook.account_sid = stranger;
    assert_int_equal(calls_outbound_status(db, &webhook, attempt, &taken), DB_OK);
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
    batch_of("again", 1, NULL);
    for (int i = 0; i < 2; i++) {
        must("UPDATE outbound_calls SET due_at = now() WHERE state = 'waiting'");
        assert_int_equal(release(), 1);
        const char *attempt = attempt_of(ask("SELECT id FROM outbound_calls"));
        begins(attempt);
        database_sid(sid, "CA", ++sids);
        assert_true(flagged(attempt, outbound_made, sid, "answer"));
        assert_int_equal(told(attempt, sid, "+15551000000", "ringing"), CALLS_FOUND);
        assert_int_equal(told(attempt, sid, "+15551000000", "busy"), CALLS_FOUND);
        assert_int_equal(told(attempt, sid, "+15551000000", "busy"), CALLS_FOUND);
        assert_string_equal(state_of(attempt), "over");
    }
    assert_string_equal(ask("SELECT outcome FROM outbound_calls"), "busy");
    assert_string_equal(ask("SELECT attempts FROM outbound_calls"), "2");
    assert_int_equal(release(), 0);
    assert_string_equal(ask("SELECT state FROM call_batches"), "done");
}

static void variables_are_put_in_and_cannot_break_out(void **state)
{
    (void)state;
    assert_string_equal(ask("SELECT fill_in('Hello {{name}}, {{x}}', '{\"name\": \"A\\\"da\"}')"),
                        "Hello A\"da, {{x}}");
    assert_string_equal(
        ask("SELECT fill_in('{\"say\": \"Hi {{name}}\"}', '{\"name\": \"A\\\"}, {\\\\\"}', true)"
            "::jsonb ->> 'say'"),
        "Hi A\"}, {\\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_call_is_put_into_the_queue_once_and_only_from_own_numbers, clear),
        cmocka_unit_test(a_number_tells_its_zones_or_nothing),
        cmocka_unit_test(it_is_open_where_it_is_open_for_all),
        cmocka_unit_test_setup(a_tick_releases_what_the_pace_allows, clear),
        cmocka_unit_test_setup(limits_of_the_organisation_hold_over_all, clear),
        cmocka_unit_test_setup(who_must_not_be_called_now_is_not, clear),
        cmocka_unit_test_setup(a_number_is_never_called_twice_at_the_same_time, clear),
        cmocka_unit_test_setup(an_attempt_is_marked_before_it_is_asked_for, clear),
        cmocka_unit_test_setup(a_lost_answer_is_found_by_a_webhook_or_by_the_list, clear),
        cmocka_unit_test_setup(what_nobody_knows_of_is_asked_for_again_ten_times_in_all, clear),
        cmocka_unit_test_setup(a_second_call_of_an_attempt_is_hung_up, clear),
        cmocka_unit_test_setup(foreign_webhooks_are_nobodys, clear),
        cmocka_unit_test_setup(busy_is_tried_again_as_often_as_was_said, clear),
        cmocka_unit_test(variables_are_put_in_and_cannot_break_out),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
