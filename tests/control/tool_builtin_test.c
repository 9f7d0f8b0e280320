/* Functions that are built in: transfers, text messages, appointments without double booking. */
#include "tests/control/database.h"
#include "tests/control/tool_world.h"

#include "control/jobs/kinds.h"
#include "control/store/appointments.h"
#include "control/tools/tool_kind.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- built-in ---- */

static void a_transfer_notes_the_next_step(void **state)
{
    (void)state;
    world_tool("move", "transfer", "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\"}}}");
    int64_t good = world_called("move", "{\"to\":\"sales\"}");
    world_carry_out();
    world_expect(good, "{\"ok\": true}");
    assert_string_equal(database_ask("SELECT ends FROM tool_calls"), "transferred");
    assert_string_equal(database_ask("SELECT next_step ->> 'to' FROM conversations WHERE next_step "
                                     "IS NOT NULL"),
                        "+15550101");
    int64_t bad = world_called("move", "{\"to\":\"the moon\"}");
    world_carry_out();
    world_expect(bad, "There is nobody called \\\"the moon\\\"");
}

/* Whom somebody hears before the caller does, the AI may brief. */
static void a_warm_transfer_takes_a_briefing(void **state)
{
    (void)state;
    world_tool("move", "transfer",
               "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\",\"warm\":true}}}");
    int64_t good = world_called("move", "{\"to\":\"sales\",\"briefing\":\"Ms Example, a bill.\"}");
    world_carry_out();
    world_expect(good, "{\"ok\": true}");
    assert_string_equal(database_ask("SELECT next_step ->> 'briefing' FROM conversations WHERE "
                                     "next_step IS NOT NULL"),
                        "Ms Example, a bill.");
    json_t *settings =
        json_loads("{\"to\":{\"a\":{\"step\":\"dial\",\"to\":\"+15550101\"}}}", 0, NULL);
    json_t *schema = tool_kind_parameters(TOOL_TRANSFER, settings);
    assert_null(json_object_get(json_object_get(schema, "properties"), "briefing")); /* cold */
    json_decref(schema);
    json_decref(settings);
}

static void text_messages_go_to_the_caller_alone(void **state)
{
    (void)state;
    world_tool("sms", "send_sms", NULL);
    int64_t good = world_called("sms", "{\"text\":\"Hello.\"}"),
            other = world_called("sms", "{\"text\":\"Hello.\",\"to\":\"+15550199\"}");
    world_carry_out();
    world_expect(good, "\"ok\": true");
    world_expect(other, "go to the caller's own number only");
    assert_string_equal(database_ask("SELECT from_number || to_number || body FROM text_messages"),
                        "+15550100+15550177Hello.");
    assert_string_equal(database_ask("SELECT count(*) FROM jobs WHERE kind = 'text_send'"), "1");
    world_tool("sms", "send_sms", "{\"to\":\"any\",\"from\":\"+15550102\"}");
    int64_t far = world_called("sms", "{\"text\":\"Hi.\",\"to\":\"+15550199\"}"),
            bad = world_called("sms", "{\"text\":\"Hi.\",\"to\":\"0199\"}");
    world_carry_out();
    world_expect(far, "\"ok\": true");
    world_expect(bad, "not a number that can get");
    assert_string_equal(database_ask("SELECT from_number FROM text_messages WHERE body = 'Hi.'"),
                        "+15550102");
}

static void open_hours(const char *organization)
{
    char id[37];
    struct db *admin = database_admin();
    const struct appointments_hours hours = {"default", "{1,2,3,4,5,6,7}", "09:00",
                                             "12:00",   "Europe/Berlin",   30};
    assert_int_equal(appointments_add_hours(admin, organization, &hours, id), DB_OK);
    db_close(admin);
}

static const char *tomorrow(const char *time, const char *format)
{
    static char arguments[256];
    char when[64], sql[128];
    snprintf(sql, sizeof sql,
             "SELECT to_char(now() AT TIME ZONE 'Europe/Berlin' + interval '1 day', "
             "'YYYY-MM-DD') || 'T%s'",
             time);
    snprintf(when, sizeof when, "%s", database_ask(sql));
    snprintf(arguments, sizeof arguments, format, when);
    return arguments;
}

#define BOOK "{\"start\":\"%s\",\"name\":\"Ms Example\"}"

static void appointments_keep_to_the_hours(void **state)
{
    (void)state;
    world_tool("book", "book_appointment", NULL);
    world_tool("times", "find_times", NULL);
    int64_t none = world_called("book", tomorrow("09:30", BOOK));
    world_carry_out();
    world_expect(none, "No hours for appointments");
    open_hours(world.acme);
    int64_t good = world_called("book", tomorrow("09:30", BOOK)),
            early = world_called("book", tomorrow("08:30", BOOK)),
            odd = world_called("book", tomorrow("09:40", BOOK)),
            late = world_called("book", tomorrow("12:00", BOOK)),
            past = world_called("book", "{\"start\":\"2020-01-06T09:30\",\"name\":\"x\"}"),
            words = world_called("book", "{\"start\":\"tomorrow at nine\",\"name\":\"x\"}"),
            month = world_called("book", "{\"start\":\"2026-13-45T09:30\",\"name\":\"x\"}");
    world_carry_out();
    world_expect(good, tomorrow("09:30", "\"start\": \"%s\""));
    world_expect(good, tomorrow("10:00", "\"end\": \"%s\""));
    world_expect(early, "No appointment begins at this time");
    world_expect(odd, "No appointment begins at this time");
    world_expect(odd, tomorrow("10:00", "\"free\": [\"%s\""));
    world_expect(late, "No appointment begins at this time");
    world_expect(past, "This time is over");
    world_expect(words, "must be a date and time");
    world_expect(month, "must be a date and time");
    assert_string_equal(database_ask("SELECT name || phone FROM appointments"),
                        "Ms Example+15550177");
    int64_t again = world_called("book", tomorrow("09:30", BOOK)),
            times = world_called("times", "{\"days\":2}");
    world_carry_out();
    world_expect(again, "Somebody else has this time");
    world_expect(times, "\"time_zone\": \"Europe/Berlin\"");
    world_expect(times, tomorrow("09:00", "\"%s\""));
    if (strstr(world_output(times), tomorrow("09:30", "\"%s\"")) &&
        !strstr(world_output(times), tomorrow("09:30", "\"now\": \"%s\"")))
        fail_msg("a time that is taken is offered: %s", world_output(times));
}

/* Two local clocks a year apart: the hours are the wall clock's, whatever the season. */
static void hours_are_local(void **state)
{
    (void)state;
    open_hours(world.acme);
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT string_agg(to_char(starts_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), ' ' ORDER "
             "BY starts_at) FROM (SELECT * FROM appointment_slots('%s', 'default', "
             "'2027-03-27T00:00Z', '2027-03-29T12:00Z') AS s WHERE (starts_at AT TIME ZONE "
             "time_zone)::time = '09:00') AS mornings",
             world.acme);
    assert_string_equal(database_ask(sql), "03-27 08:00 03-28 07:00 03-29 07:00");
}

#define RIVALS 20

static pthread_barrier_t ready;
static char wanted[64];

struct rival {
    pthread_t thread;
    char outcome[16];
};

struct attempt {
    struct db *db;
    struct rival *rival;
};

static enum db_result book(struct db *mine, void *context)
{
    struct attempt *attempt = context;
    struct db_rows *rows;
    const struct appointments_wish wish = {
        .calendar = "default", .start = wanted, .name = "x", .phone = "", .note = ""};
    enum db_result result = appointments_book(mine, world.acme, &wish, &rows);
    if (result == DB_OK)
        snprintf(attempt->rival->outcome, sizeof attempt->rival->outcome, "%s",
                 db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

static void *want(void *argument)
{
    struct rival *rival = argument;
    struct attempt attempt = {database_serving(NULL), rival};
    assert_int_equal(db_ping(attempt.db), DB_OK);
    pthread_barrier_wait(&ready);
    assert_int_equal(db_transact(attempt.db, world.acme, book, &attempt), DB_OK);
    db_close(attempt.db);
    return NULL;
}

static void of_twenty_who_want_a_slot_one_gets_it(void **state)
{
    (void)state;
    struct rival rivals[RIVALS];
    unsigned booked = 0, taken = 0;
    open_hours(world.acme);
    snprintf(wanted, sizeof wanted, "%s", tomorrow("10:30", "%s"));
    pthread_barrier_init(&ready, NULL, RIVALS);
    for (int i = 0; i < RIVALS; i++)
        pthread_create(&rivals[i].thread, NULL, want, &rivals[i]);
    for (int i = 0; i < RIVALS; i++) {
        pthread_join(rivals[i].thread, NULL);
        booked += strcmp(rivals[i].outcome, "booked") == 0;
        taken += strcmp(rivals[i].outcome, "taken") == 0;
    }
    pthread_barrier_destroy(&ready);
    assert_int_equal(booked, 1);
    assert_int_equal(taken, RIVALS - 1);
    assert_string_equal(database_ask("SELECT count(*) FROM appointments"), "1");
    database_do("UPDATE appointments SET state = 'cancelled'"); /* then it is free again */
    struct rival one = {.outcome = ""};
    struct attempt attempt = {world.db, &one};
    assert_int_equal(db_transact(world.db, world.acme, book, &attempt), DB_OK);
    assert_string_equal(one.outcome, "booked");
}

/* ---- world.text messages ---- */

static void send_all(unsigned until_tries)
{
    char error[256], sql[256];
    const struct job_kind *kinds[] = {&text_send};
    struct kinds_context context = {.options = &world.options};
    struct job_config config = {.workers = 2,
                                .kinds = kinds,
                                .kinds_count = 1,
                                .run = WORLD_RUN,
                                .db = db_config_serving(database_url(), NULL),
                                .context = &context};
    struct job_pool *pool = job_open(&config, error, sizeof error);
    assert_non_null(pool);
    job_wake(pool);
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM jobs WHERE state = 'leased' OR (state = 'queued' AND tries < %u)",
        until_tries);
    world_await(sql, "0");
    job_close(pool);
}

static void queue_text(const char *to, const char *state)
{
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "SET ringbridge.organization = '%s'; WITH made AS (INSERT INTO text_messages "
        "(organization_id, account_sid, from_number, to_number, body, state) VALUES ('%s', "
        "'" WORLD_ACCOUNT "', '+15550100', '%s', 'Hello.', '%s') RETURNING id) SELECT "
        "enqueue_job('%s', 'text_send', id::text, jsonb_build_object('message', id)) FROM made",
        world.acme, world.acme, to, state, world.acme);
    database_do(sql);
}

/* Judged by Twilio's published description (Prism). */
static void a_text_message_is_what_twilio_takes(void **state)
{
    (void)state;
    world.options.twilio_api_base = getenv("TWILIO_API_BASE");
    assert_non_null(world.options.twilio_api_base);
    queue_text("+15550177", "queued");
    send_all(1);
    assert_string_equal(database_ask("SELECT state FROM text_messages"), "sent");
    assert_string_equal(database_ask("SELECT state FROM jobs"), "done");
    assert_string_equal(database_ask("SELECT message_sid ~ '^(SM|MM)' FROM text_messages"), "t");
}

static void a_text_message_is_never_sent_twice(void **state)
{
    (void)state;
    world.options.twilio_api_base = world.base;
    queue_text("+15550200", "queued");  /* taken */
    queue_text("+15550400", "queued");  /* refused for good */
    queue_text("+15550429", "queued");  /* not now */
    queue_text("+15550500", "queued");  /* nobody knows */
    queue_text("+15550201", "sending"); /* its sender died in the middle */
    send_all(1);
    assert_string_equal(
        database_ask("SELECT string_agg(right(to_number, 3) || m.state || j.state, ' ' ORDER BY "
                     "to_number) FROM text_messages AS m JOIN jobs AS j ON j.idempotency_key = "
                     "m.id::text"),
        "200sentdone 201faileddead 400faileddead 429queuedqueued 500faileddead");
    assert_string_equal(
        database_ask("SELECT count(*) FROM text_messages WHERE error ~ 'not known'"), "2");
}
int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, world_clear)
        TEST(a_transfer_notes_the_next_step),
        TEST(a_warm_transfer_takes_a_briefing),
        TEST(text_messages_go_to_the_caller_alone),
        TEST(appointments_keep_to_the_hours),
        TEST(hours_are_local),
        TEST(of_twenty_who_want_a_slot_one_gets_it),
        TEST(a_text_message_is_what_twilio_takes),
        TEST(a_text_message_is_never_sent_twice),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
