/* Warm transfers against a real PostgreSQL: whatever is told, in whatever order and how often,
 * moves them forward or not at all; and what their jobs ask of Twilio, judged by its published
 * description (Prism, twilio_api.mjs). */
#include "tests/control/database.h"
#include "tests/control/others.h"

#include "common/clock.h"
#include "control/jobs/kinds.h"
#include "control/store/transfers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN     "11111111-1111-4111-8111-111111111111"
#define ACCOUNT "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER   "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CALL    "CA000000000000000000000000000000c1"
#define CALLEE  "CA000000000000000000000000000000c2"
#define STEP    "{\"step\":\"dial\",\"warm\":true,\"to\":\"+15550101\"}"
#define WAIT_MS 60000

static struct options options;
static struct db *db;
static char acme[37], transfer[CALLS_UUID_TEXT];

static int begin(void **state)
{
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", acme);
    db = database_serving(NULL);
    options.account_sid = ACCOUNT;
    options.auth_token = "token";
    options.public_url = "https://calls.example.com";
    options.twilio_api_base = getenv("TWILIO_API_BASE");
    return options.twilio_api_base ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    db_close(db);
    return 0;
}

static enum db_result start(char id[CALLS_UUID_TEXT])
{
    const struct transfers_wish wish = {.account_sid = ACCOUNT,
                                        .call_sid = CALL,
                                        .place = "next",
                                        .step_json = STEP,
                                        .from = "+15550100",
                                        .to = "+15550101",
                                        .patience_s = 60};
    return transfers_begin(db, &wish, id);
}

/* A call whose caller waits. */
static int begin_transfer(void **state)
{
    struct calls_incoming call;
    const struct calls_webhook webhook = {.account_sid = ACCOUNT,
                                          .call_sid = CALL,
                                          .from = "+15550177",
                                          .to = "+15550100",
                                          .direction = "inbound",
                                          .status = "in-progress",
                                          .sequence_number = -1,
                                          .duration_s = -1,
                                          .sip_response_code = -1};
    (void)state;
    database_do("DELETE FROM conversations; DELETE FROM jobs;");
    assert_int_equal(calls_incoming(db, &database_seal, &webhook, &call), DB_OK);
    assert_int_equal(call.found, CALLS_FOUND);
    calls_incoming_free(&call);
    assert_int_equal(start(transfer), DB_OK);
    assert_int_equal(strlen(transfer), 36);
    return 0;
}

/* ---- what is told ---- */

struct told {
    const char *event;
    const char *status;     /* CallStatus */
    const char *conference; /* StatusCallbackEvent */
};

static void tell_as(const char *account, const struct told *told, struct transfers_taken *taken)
{
    static int64_t sequence;
    char parameters[128], key[64];
    bool caller = strcmp(told->event, "left") == 0;
    snprintf(parameters, sizeof parameters, "{\"StatusCallbackEvent\":\"%s\"}",
             told->conference ? told->conference : "");
    snprintf(key, sizeof key, "%s", told->conference ? told->conference : "-");
    const struct calls_webhook webhook = {.account_sid = account,
                                          .call_sid = caller ? CALL : CALLEE,
                                          .from = "+15550100",
                                          .to = "+15550101",
                                          .direction = "outbound-api",
                                          .status = told->status ? told->status : "in-progress",
                                          .sequence_number = ++sequence,
                                          .duration_s = -1,
                                          .sip_response_code = -1,
                                          .parameters_json = parameters};
    assert_int_equal(transfers_take(db, &webhook, transfer, told->event, key, taken), DB_OK);
}

static void tell(const struct told *told)
{
    struct transfers_taken taken;
    tell_as(ACCOUNT, told, &taken);
    assert_int_equal(taken.found, CALLS_FOUND);
    transfers_taken_free(&taken);
}

static const char *where(void)
{
    return database_ask("SELECT concat_ws('/', state, reason) FROM transfers");
}

#define TOLD_MAX 8

static const struct story {
    const char *name;
    struct told told[TOLD_MAX];
    const char *becomes;
} stories[] = {
    {"accepted, and they talk",
     {{"status", "ringing", NULL},
      {"answered", NULL, NULL},
      {"accept", NULL, NULL},
      {"conference", NULL, "participant-join"},
      {"conference", NULL, "conference-start"}},
     "joined"},
    {"and have talked",
     {{"answered", NULL, NULL}, {"accept", NULL, NULL}, {"left", NULL, NULL}},
     "done"},
    {"the person hangs up first, and that is told first",
     {{"accept", NULL, NULL},
      {"conference", NULL, "conference-start"},
      {"status", "completed", NULL},
      {"left", NULL, NULL}},
     "done"},
    {"the conference is told of before the key: it does not count",
     {{"answered", NULL, NULL}, {"conference", NULL, "participant-join"}},
     "asked"},
    {"refused", {{"answered", NULL, NULL}, {"refuse", NULL, NULL}}, "returned/refused"},
    {"a key too late",
     {{"answered", NULL, NULL}, {"silent", NULL, NULL}, {"accept", NULL, NULL}},
     "returned/not_accepted"},
    {"hung up in the briefing",
     {{"answered", NULL, NULL}, {"status", "completed", NULL}},
     "returned/refused"},
    {"busy", {{"status", "busy", NULL}, {"status", "ringing", NULL}}, "returned/busy"},
    {"an answer that nobody could be told about", {{"status", "completed", NULL}}, "returned/lost"},
    {"the conference ends under the caller", {{"left", NULL, NULL}}, "returned/left"},
    {"the caller hangs up", {{"left", "completed", NULL}}, "abandoned"},
    {"he hangs up, and then somebody answers",
     {{"left", "completed", NULL}, {"answered", NULL, NULL}, {"accept", NULL, NULL}},
     "abandoned"},
    {"the music is through", {{"wait", NULL, NULL}, {"wait", NULL, NULL}}, "calling"},
};

/* Each fact once, and each twice: the same. */
static void every_story_has_one_end(void **state)
{
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++)
        for (int times = 1; times <= 2; times++) {
            begin_transfer(state);
            for (int j = 0; j < TOLD_MAX && stories[i].told[j].event; j++)
                for (int k = 0; k < times; k++)
                    tell(&stories[i].told[j]);
            if (strcmp(where(), stories[i].becomes) != 0)
                fail_msg("%s: %s instead of %s", stories[i].name, where(), stories[i].becomes);
        }
}

static void the_same_question_begins_it_once(void **state)
{
    (void)state;
    char again[CALLS_UUID_TEXT];
    assert_int_equal(start(again), DB_OK);
    assert_string_equal(again, transfer);
    assert_string_equal(
        database_ask("SELECT string_agg(kind, ' ' ORDER BY kind) FROM jobs WHERE kind <> 'x'"),
        "transfer_call transfer_watch");
    assert_string_equal(
        database_ask("SELECT (j.due_at = t.deadline_at)::text || ' ' || "
                     "(t.deadline_at - t.created_at) FROM jobs AS j, transfers AS t "
                     "WHERE j.kind = 'transfer_watch'"),
        "true 00:01:00"); /* whoever dies, the caller is given back then */
    tell(&(struct told){"refuse", NULL, NULL});
    assert_int_equal(start(again), DB_OK); /* the answer was lost, and the person was quicker */
    assert_string_equal(again, transfer);
    tell(&(struct told){"left", NULL, NULL});
    assert_int_equal(start(again), DB_OK); /* a second wait for the same person */
    assert_string_not_equal(again, transfer);
}

static void a_call_that_is_over_waits_for_nobody(void **state)
{
    (void)state;
    char again[CALLS_UUID_TEXT];
    struct calls_taken taken;
    const struct calls_webhook webhook = {.account_sid = ACCOUNT,
                                          .call_sid = CALL,
                                          .status = "completed",
                                          .sequence_number = 9,
                                          .duration_s = 3,
                                          .sip_response_code = -1};
    assert_int_equal(calls_status(db, &webhook, &taken), DB_OK);
    assert_string_equal(where(), "abandoned");
    assert_int_equal(start(again), DB_OK);
    assert_string_equal(again, "");
}

static void another_account_is_not_believed(void **state)
{
    (void)state;
    struct transfers_taken taken;
    tell_as(OTHER, &(struct told){"refuse", NULL, NULL}, &taken);
    assert_int_equal(taken.found, CALLS_WRONG_ACCOUNT);
    transfers_taken_free(&taken);
    assert_string_equal(where(), "calling");
    snprintf(transfer, sizeof transfer, "not a transfer");
    tell_as(ACCOUNT, &(struct told){"refuse", NULL, NULL}, &taken);
    assert_int_equal(taken.found, CALLS_UNKNOWN_CALL);
    transfers_taken_free(&taken);
}

/* What the second leg says is on record as a leg, and is not the call's own state. */
static void the_second_leg_is_the_call_s(void **state)
{
    (void)state;
    tell(&(struct told){"status", "ringing", NULL});
    tell(&(struct told){"status", "no-answer", NULL});
    assert_string_equal(database_ask("SELECT concat_ws(' ', l.call_sid, l.call_status, "
                                     "c.call_status) FROM call_legs AS l JOIN conversations AS c "
                                     "ON c.id = l.conversation_id"),
                        CALLEE " no-answer in-progress");
    assert_string_equal(database_ask("SELECT count(*) FROM conversations"), "1");
    assert_string_equal(database_ask("SELECT callee_sid FROM transfers"), CALLEE);
}

static void the_agent_is_told_why_the_caller_is_back(void **state)
{
    (void)state;
    static const char question[] =
        "SELECT (plan_call(organization_id, id)).instructions LIKE '%the line is busy%' "
        "FROM conversations";
    assert_string_equal(database_ask(question), "f");
    tell(&(struct told){"status", "busy", NULL});
    assert_string_equal(database_ask(question), "t");
    database_do("UPDATE transfers SET step = step || '{\"back\": \"Nobody is free.\"}'");
    assert_string_equal(
        database_ask("SELECT (plan_call(organization_id, id)).greeting FROM conversations"),
        "Nobody is free.");
}

/* ---- the jobs ---- */

static void await(const char *question, const char *answer)
{
    uint64_t deadline = clock_monotonic_ns() + WAIT_MS * UINT64_C(1000000);
    while (strcmp(database_ask(question), answer) != 0) {
        if (clock_monotonic_ns() > deadline)
            fail_msg("%s: %s instead of %s (%s)", question, database_ask(question), answer,
                     database_ask("SELECT string_agg(concat_ws(' ', kind, state, last_error), '; ')"
                                  " FROM jobs"));
        usleep(20000);
    }
}

static struct job_pool *open_jobs(void)
{
    static struct kinds_context context = {.options = &options};
    static const struct job_kind *const kinds[] = {&transfer_watch, &transfer_call};
    char error[256];
    struct job_config config = {.workers = 2,
                                .kinds = kinds,
                                .kinds_count = 2,
                                .run = RUN,
                                .db = db_config_serving(database_url(), NULL),
                                .context = &context};
    struct job_pool *pool = job_open(&config, error, sizeof error);
    assert_non_null(pool);
    return pool;
}

#define JOB(kind, column) "SELECT " column " FROM jobs WHERE kind = 'transfer_" kind "'"

static void the_person_is_called_as_twilio_describes_it(void **state)
{
    (void)state;
    struct job_pool *pool = open_jobs();
    await(JOB("call", "state"), "done");
    job_close(pool);
    assert_string_equal(database_ask("SELECT callee_sid ~ '^CA' AND placed_at IS NOT NULL "
                                     "FROM transfers"),
                        "t");
}

/* It is asked for until the carrier's webhooks say that it is so. */
static void the_caller_is_fetched_and_the_person_hung_up(void **state)
{
    (void)state;
    tell(&(struct told){"refuse", NULL, NULL});
    struct job_pool *pool = open_jobs();
    await(JOB("watch", "last_error"), "asked; the carrier has not told yet that it is so");
    tell(&(struct told){"left", NULL, NULL});
    tell(&(struct told){"status", "completed", NULL});
    database_do("UPDATE jobs SET due_at = now() WHERE state = 'queued'");
    await(JOB("watch", "state"), "done");
    job_close(pool);
    assert_string_equal(where(), "returned/refused");
}

static void at_the_deadline_the_caller_is_given_back(void **state)
{
    (void)state;
    tell(&(struct told){"answered", NULL, NULL});
    database_do("UPDATE transfers SET deadline_at = now(); UPDATE jobs SET due_at = now()");
    struct job_pool *pool = open_jobs();
    await("SELECT concat_ws('/', state, reason) FROM transfers", "returned/deadline");
    await(JOB("watch", "last_error"), "asked; the carrier has not told yet that it is so");
    job_close(pool);
}

/* What has happened brings the watch, also one that had nothing more to do. */
static void the_watch_comes_when_something_has_happened(void **state)
{
    static const char due[] = "SELECT state || ' ' || (due_at <= now() + interval '10 seconds') "
                              "FROM jobs WHERE kind = 'transfer_watch'";
    (void)state;
    assert_string_equal(database_ask(due), "queued false");
    tell(&(struct told){"answered", NULL, NULL});
    assert_string_equal(database_ask(due), "queued false");
    tell(&(struct told){"accept", NULL, NULL});
    assert_string_equal(database_ask(due), "queued true");
    database_do("UPDATE jobs SET state = 'done', due_at = NULL");
    tell(&(struct told){"conference", NULL, "conference-start"});
    assert_string_equal(database_ask("SELECT state FROM jobs WHERE kind = 'transfer_watch'"),
                        "done"); /* they talk */
    tell(&(struct told){"left", NULL, NULL});
    assert_string_equal(database_ask(due), "queued true");
}

/* Whoever accepts and is not in the conference soon after has not met the caller. Prism's list has
 * a conference in it, so here they have. */
static void whether_they_met_is_asked_of_the_carrier(void **state)
{
    (void)state;
    tell(&(struct told){"accept", NULL, NULL});
    database_do("UPDATE jobs SET due_at = now() WHERE kind = 'transfer_watch'");
    struct job_pool *pool = open_jobs();
    await(JOB("watch", "state"), "done");
    job_close(pool);
    assert_string_equal(where(), "joined");
}

/* The same carrier with another list: no conference goes on. */
static void who_accepts_and_never_comes_has_not_met_the_caller(void **state)
{
    struct others others;
    char base[64];
    (void)state;
    assert_true(others_start(&others, "tests/control/http_server.py", "met"));
    snprintf(base, sizeof base, "http://127.0.0.1:%d", others.plain);
    options.twilio_api_base = base;
    tell(&(struct told){"accept", NULL, NULL});
    database_do("UPDATE jobs SET due_at = now() WHERE kind = 'transfer_watch'");
    struct job_pool *pool = open_jobs();
    await("SELECT concat_ws('/', state, reason) FROM transfers", "returned/lost");
    job_close(pool);
    options.twilio_api_base = getenv("TWILIO_API_BASE");
    others_stop(&others);
}

/* Its worker died between asking the carrier and writing it down. */
static void nobody_is_called_twice(void **state)
{
    (void)state;
    database_do("UPDATE transfers SET placed_at = now()");
    struct job_pool *pool = open_jobs();
    await(JOB("call", "state"), "done");
    assert_string_equal(database_ask("SELECT callee_sid IS NULL FROM transfers"), "t");
    database_do("UPDATE jobs SET due_at = now() WHERE kind = 'transfer_watch'");
    await("SELECT concat_ws('/', state, reason) FROM transfers", "returned/lost");
    job_close(pool);
}

/* Looked at too early, it goes on, and is looked at again at the deadline. */
static void what_goes_on_is_left_alone(void **state)
{
    (void)state;
    tell(&(struct told){"status", "ringing", NULL});
    database_do("UPDATE transfers SET placed_at = now(); UPDATE jobs SET due_at = now()");
    struct job_pool *pool = open_jobs();
    await(JOB("watch", "last_error"), "the transfer goes on");
    job_close(pool);
    assert_string_equal(where(), "calling");
    assert_string_equal(
        database_ask("SELECT j.due_at BETWEEN t.created_at + interval '20 seconds' "
                     "AND t.deadline_at + interval '60 seconds' FROM jobs AS j, transfers AS t "
                     "WHERE j.kind = 'transfer_watch'"),
        "t");
}

#define TEST(name) cmocka_unit_test_setup(name, begin_transfer)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_story_has_one_end),
        TEST(the_same_question_begins_it_once),
        TEST(a_call_that_is_over_waits_for_nobody),
        TEST(another_account_is_not_believed),
        TEST(the_second_leg_is_the_call_s),
        TEST(the_agent_is_told_why_the_caller_is_back),
        TEST(the_person_is_called_as_twilio_describes_it),
        TEST(the_caller_is_fetched_and_the_person_hung_up),
        TEST(at_the_deadline_the_caller_is_given_back),
        TEST(the_watch_comes_when_something_has_happened),
        TEST(whether_they_met_is_asked_of_the_carrier),
        TEST(who_accepts_and_never_comes_has_not_met_the_caller),
        TEST(nobody_is_called_twice),
        TEST(what_goes_on_is_left_alone),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
