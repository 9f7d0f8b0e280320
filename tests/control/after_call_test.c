/* When a call is done with, against a real PostgreSQL: once, when everything has been told or the
 * wait is over, whatever comes first, twice or late; and the outbox that cannot hold a thing
 * twice. */
#include "tests/control/database.h"

#include "common/clock.h"
#include "control/store/after_calls.h"
#include "control/store/calls.h"
#include "control/store/deliveries.h"
#include "control/store/endpoints.h"
#include "control/store/events.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ACCOUNT "AC0000000000000000000000000000000a"

static struct db *db, *admin;
static char acme[37], beta[37];
static unsigned calls;

static int begin(void **state)
{
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", acme);
    database_organization("Beta", "+15550101", beta);
    db = database_serving(NULL);
    admin = database_admin();
    const struct after_calls_setting settings[] = {{"email_to", "a@example.com, b@example.com"}};
    const char *refused;
    assert_int_equal(after_calls_set(admin, acme, settings, 1, &refused), DB_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db_close(db);
    db_close(admin);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    database_do("DELETE FROM deliveries; DELETE FROM jobs; DELETE FROM conversations;");
    return 0;
}

/* ---- a call ---- */

struct call {
    char sid[35], id[37];
    const char *organization;
};

static struct calls_webhook webhook_of(const struct call *call)
{
    return (struct calls_webhook){.account_sid = ACCOUNT,
                                  .call_sid = call->sid,
                                  .from = "+15550177",
                                  .to = call->organization == acme ? "+15550100" : "+15550101",
                                  .direction = "inbound",
                                  .status = "ringing",
                                  .sequence_number = -1,
                                  .duration_s = -1,
                                  .sip_response_code = -1};
}

static struct call open_call(const char *organization)
{
    struct call call = {.organization = organization};
    struct calls_incoming incoming;
    database_sid(call.sid, "CA", ++calls);
    struct calls_webhook webhook = webhook_of(&call);
    assert_int_equal(calls_incoming(db, &database_seal, &webhook, &incoming), DB_OK);
    memcpy(call.id, incoming.conversation, sizeof call.id);
    calls_incoming_free(&incoming);
    return call;
}

static void tell_event(const struct call *call, int64_t seq, const char *kind, const char *body)
{
    const struct events_event event = {call->organization,    call->id, seq, kind,
                                       clock_wall_ms() + seq, body};
    enum events_taken taken;
    assert_int_equal(events_take(db, &event, &taken), DB_OK);
}

/* What is told of a call; each may come first, and twice. */
enum fact { STARTED, SAID, ENDED, COMPLETED, FACTS };

static void tell(const struct call *call, enum fact fact)
{
    struct calls_webhook webhook = webhook_of(call);
    struct calls_taken taken;
    switch (fact) {
    case STARTED:
        tell_event(call, 1, "started", "{\"kind\":\"started\",\"stream_sid\":\"MZ1\"}");
        break;
    case SAID:
        tell_event(call, 2, "message", "{\"role\":\"user\",\"text\":\"Hello\"}");
        break;
    case ENDED:
        tell_event(call, 3, "ended", "{\"reason\":\"caller_hung_up\",\"duration_ms\":5000}");
        break;
    default:
        webhook.status = "completed";
        webhook.sequence_number = 3;
        webhook.duration_s = 5;
        assert_int_equal(calls_status(db, &webhook, &taken), DB_OK);
    }
}

static const char *ask_about(const char *organization, const char *sql)
{
    char text[512];
    snprintf(text, sizeof text, "%s AND j.organization_id = '%s'", sql, organization);
    return database_ask(text);
}

#define DUE                                                                                        \
    "SELECT coalesce(string_agg(CASE WHEN due_at <= now() THEN 'now' ELSE 'later' END, ','), "     \
    "'none') FROM jobs AS j WHERE kind = 'after_call'"

/* ---- when ---- */

static void order_of(int number, enum fact order[FACTS])
{
    enum fact left[FACTS] = {STARTED, SAID, ENDED, COMPLETED};
    for (int i = FACTS; i > 0; i--) {
        int chosen = number % i;
        number /= i;
        order[FACTS - i] = left[chosen];
        for (int k = chosen; k < i - 1; k++)
            left[k] = left[k + 1];
    }
}

/* The edge's own events come in order; between them and the carrier's there is none. */
static bool can_be(const enum fact order[FACTS])
{
    int place[FACTS];
    for (int i = 0; i < FACTS; i++)
        place[order[i]] = i;
    return place[STARTED] < place[SAID] && place[SAID] < place[ENDED];
}

static void it_is_due_when_everything_is_told_and_once(void **state)
{
    (void)state;
    int tried = 0;
    for (int number = 0; number < 24; number++) {
        enum fact order[FACTS];
        bool told[FACTS] = {false};
        order_of(number, order);
        if (!can_be(order))
            continue;
        tried++;
        struct call call = open_call(acme);
        assert_string_equal(ask_about(acme, DUE), "none");
        for (int i = 0; i < FACTS; i++) {
            bool twice = number % 2;
            tell(&call, order[i]);
            if (twice)
                tell(&call, order[i]);
            told[order[i]] = true;
            bool whole = told[ENDED] && told[COMPLETED], over = told[ENDED] || told[COMPLETED];
            assert_string_equal(ask_about(acme, DUE), whole ? "now" : over ? "later" : "none");
        }
        database_do("DELETE FROM jobs");
    }
    assert_int_equal(tried, 4);
}

static void what_is_done_with_is_not_begun_again(void **state)
{
    (void)state;
    struct call call = open_call(acme);
    char sql[256];
    for (int fact = STARTED; fact < FACTS; fact++)
        tell(&call, (enum fact)fact);
    snprintf(sql, sizeof sql,
             "DELETE FROM jobs; INSERT INTO after_calls (organization_id, conversation_id, "
             "complete, state) VALUES ('%s', '%s', true, 'silent')",
             acme, call.id);
    database_do(sql);
    struct calls_webhook webhook = webhook_of(&call);
    struct calls_taken taken;
    webhook.status = "completed";
    webhook.sequence_number = 99;
    assert_int_equal(calls_status(db, &webhook, &taken), DB_OK);
    assert_true(taken.stored);
    assert_string_equal(ask_about(acme, DUE), "none");
}

static void who_wants_nothing_gets_nothing(void **state)
{
    (void)state;
    char endpoint[37];
    struct call call = open_call(beta);
    for (int fact = STARTED; fact < FACTS; fact++)
        tell(&call, (enum fact)fact);
    assert_string_equal(ask_about(beta, DUE), "none");
    assert_int_equal(endpoints_add(admin, &database_seal, beta, "https://example.com/hook", "",
                                   "whsec_x", endpoint),
                     DB_OK);
    call = open_call(beta);
    for (int fact = STARTED; fact < FACTS; fact++)
        tell(&call, (enum fact)fact);
    assert_string_equal(ask_about(beta, DUE), "now");
}

static void a_voicemail_waits_for_its_sound(void **state)
{
    (void)state;
    struct call call = open_call(acme);
    struct calls_webhook webhook = webhook_of(&call);
    struct calls_taken taken;
    char sid[35], sql[640];
    database_sid(sid, "RE", calls);
    struct calls_recording recording = {"voicemail", sid, "https://api.example.com/x",
                                        "in-progress", -1};
    assert_int_equal(calls_recording(db, &webhook, &recording, &taken), DB_OK);
    assert_string_equal(database_ask("SELECT count(*) FROM jobs WHERE kind = 'voicemail_after'"),
                        "0");
    recording.status = "completed";
    recording.duration_ms = 4000;
    for (int i = 0; i < 2; i++)
        assert_int_equal(calls_recording(db, &webhook, &recording, &taken), DB_OK);
    assert_string_equal(database_ask("SELECT count(*) FROM jobs WHERE kind = 'voicemail_after' "
                                     "AND due_at > now()"),
                        "1");
    snprintf(sql, sizeof sql,
             "INSERT INTO recordings (id, organization_id, conversation_id, source, source_name, "
             "account_sid, path, media_type, started_at, duration_ms, bytes, sha256, peaks, "
             "peak_ms) VALUES (gen_random_uuid(), '%s', '%s', 'carrier', '%s', '" ACCOUNT
             "', 'a.wav', 'audio/wav', now(), 4000, 1, sha256(''), '', 20)",
             acme, call.id, sid);
    database_do(sql);
    assert_string_equal(database_ask("SELECT count(*) FROM jobs WHERE kind = 'voicemail_after' "
                                     "AND due_at <= now()"),
                        "1");
}

/* ---- what is on record ---- */

struct addition {
    const struct call *call;
    const json_t *outcome;
    int count, added;
};

static enum db_result add_all(struct db *mine, void *context)
{
    struct addition *addition = context;
    bool added;
    enum db_result result =
        after_calls_add(mine, acme, addition->call->id, true, addition->outcome, &added);
    addition->added += added;
    for (int i = 0; i < addition->count && result == DB_OK; i++) {
        char id[37];
        snprintf(id, sizeof id, "00000000-0000-4000-8000-%012u", calls * 10 + (unsigned)i);
        const struct deliveries_new delivery = {.id = id,
                                                .organization = acme,
                                                .conversation = addition->call->id,
                                                .kind = "email",
                                                .event = "call.completed",
                                                .key = "the same",
                                                .target = "a@example.com",
                                                .body = "{}"};
        result = deliveries_add(mine, &delivery);
    }
    return result;
}

static void the_outbox_holds_nothing_twice(void **state)
{
    (void)state;
    struct call call = open_call(acme);
    json_t *outcome = json_pack("{s:s,s:s,s:[s,s],s:b,s:i}", "state", "summed_up", "summary",
                                "About {\"braces\", quotes}", "follow_up", "one, \"two\"",
                                "{three}", "callback_needed", 1, "input_tokens", 12);
    struct addition addition = {&call, outcome, 3, 0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(db_transact(db, acme, add_all, &addition), DB_OK);
    assert_int_equal(addition.added, 1);
    assert_string_equal(database_ask("SELECT count(*) FROM deliveries"), "1");
    assert_string_equal(database_ask("SELECT count(*) FROM jobs WHERE kind = 'email_send'"), "1");
    json_t *read = NULL;
    assert_int_equal(after_calls_outcome(admin, call.id, &read), DB_OK);
    assert_true(
        json_equal(json_object_get(read, "follow_up"), json_object_get(outcome, "follow_up")));
    assert_true(json_is_true(json_object_get(read, "callback_needed")));
    json_decref(read);
    json_decref(outcome);
}

static void dead_deliveries_are_sent_again_by_hand(void **state)
{
    (void)state;
    struct call call = open_call(acme);
    json_t *outcome = json_pack("{s:s}", "state", "silent");
    struct addition addition = {&call, outcome, 1, 0};
    char id[37];
    int64_t count;
    assert_int_equal(db_transact(db, acme, add_all, &addition), DB_OK);
    json_decref(outcome);
    snprintf(id, sizeof id, "%s", database_ask("SELECT id FROM deliveries"));
    assert_int_equal(deliveries_replay(admin, id, &count), DB_OK);
    assert_int_equal(count, 0); /* it waits */
    database_do("UPDATE jobs SET state = 'dead', due_at = NULL, finished_at = now(), tries = 30");
    assert_int_equal(deliveries_replay(admin, id, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_string_equal(database_ask("SELECT state || tries || (payload ->> 'again') FROM jobs"),
                        "queued0true");
    database_do("DELETE FROM jobs"); /* forgotten long ago */
    assert_int_equal(deliveries_replay(admin, id, &count), DB_OK);
    assert_int_equal(count, 1);
}

static void settings_that_are_wrong_are_refused_by_name(void **state)
{
    (void)state;
    static const struct after_calls_setting wrong[] = {
        {"email_to", "nobody"},
        {"email_to", "a@example.com\nBcc: b@example.com"},
        {"email_to", "a@example.com,b@"},
        {"email_from", "Evil\r\nX: y <a@example.com>"},
        {"email_from", "a@example.com, b@example.com"},
        {"email_from", "A <not an address>"},
        {"email_reply_to", "A <a@example.com>"},
        {"language", "xx"},
        {"time_zone", "Mars/Olympus"},
        {"summary", "perhaps"},
        {"summary_model", "a b"},
        {"wait_s", "0"},
        {"summary_wait_s", "3601"},
    };
    const char *refused;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(after_calls_set(admin, acme, &wrong[i], 1, &refused), DB_REFUSED);
        assert_string_equal(refused, wrong[i].key);
    }
    static const struct after_calls_setting right[] = {
        {"email_from", "B\xc3\xbcro <a@example.com>"}, {"wait_s", "5"}};
    assert_int_equal(after_calls_set(admin, acme, right, 2, &refused), DB_OK);
    static const struct after_calls_setting again[] = {{"email_from", NULL}, {"wait_s", NULL}};
    assert_int_equal(after_calls_set(admin, acme, again, 2, &refused), DB_OK);
    assert_string_equal(
        database_ask("SELECT coalesce(email_from, '-') || wait_s FROM after_call_settings"), "-30");
}

static void secrets_of_endpoints_open_where_they_belong(void **state)
{
    (void)state;
    char id[37];
    struct endpoints_target target;
    assert_int_equal(endpoints_add(admin, &database_seal, acme, NULL, "",
                                   "https://hooks.example.com/secret", id),
                     DB_OK);
    assert_string_equal(database_ask("SELECT count(*) FROM endpoints WHERE url IS NULL "
                                     "AND encode(sealed, 'escape') LIKE '%secret%'"),
                        "0");
    assert_int_equal(endpoints_open(admin, &database_seal, acme, id, &target), DB_OK);
    assert_true(target.found && target.opened);
    assert_string_equal(target.url, "https://hooks.example.com/secret");
    char sql[200];
    snprintf(sql, sizeof sql, "UPDATE endpoints SET organization_id = '%s' WHERE id = '%s'", beta,
             id);
    database_do(sql);
    assert_int_equal(endpoints_open(admin, &database_seal, beta, id, &target), DB_OK);
    assert_true(target.found && !target.opened);
}

int main(void)
{
#define one(test) cmocka_unit_test_setup(test, clear)
    const struct CMUnitTest tests[] = {
        one(it_is_due_when_everything_is_told_and_once),
        one(what_is_done_with_is_not_begun_again),
        one(who_wants_nothing_gets_nothing),
        one(a_voicemail_waits_for_its_sound),
        one(the_outbox_holds_nothing_twice),
        one(dead_deliveries_are_sent_again_by_hand),
        one(settings_that_are_wrong_are_refused_by_name),
        one(secrets_of_endpoints_open_where_they_belong),
    };
#undef one
    return cmocka_run_group_tests(tests, begin, end);
}
