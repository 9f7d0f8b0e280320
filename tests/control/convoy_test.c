/* Calls that come in at the same moment, against a real PostgreSQL: each is on record as if it had
 * come alone, once, and nobody pays for another's. */
#include "tests/control/database.h"

#include "control/db/migrate.h"
#include "control/webhooks/convoy.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NUMBER  "+15550100"
#define NUMBER2 "+15550101"
#define CROWD   24

static struct metrics metrics;
static struct db *db;           /* as serve */
static char acme[37], beta[37]; /* organisations */
static char own[35], theirs[35];
static unsigned sids;

static int begin(void **state)
{
    (void)state;
    char sql[512];
    database_migrate();
    database_organization("Acme", NUMBER, acme);
    database_organization("Beta", NUMBER2, beta);
    database_sid(own, "AC", 1);
    database_sid(theirs, "AC", 2);
    snprintf(sql, sizeof sql,
             "SET ROLE ringbridge_admin; INSERT INTO credentials (organization_id, kind, account, "
             "sealed) VALUES ('%s', 'twilio', '%s', decode(repeat('00', 40), 'hex')); RESET ROLE",
             beta, theirs);
    database_do(sql);
    db = database_serving(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db_close(db);
    return 0;
}

/* A call of its own. sid has to live as long. */
static struct calls_webhook webhook_for(char sid[35], const char *to)
{
    database_sid(sid, "CA", ++sids);
    return (struct calls_webhook){.account_sid = own,
                                  .call_sid = sid,
                                  .from = "+15550199",
                                  .to = to,
                                  .direction = "inbound",
                                  .status = "ringing",
                                  .sequence_number = -1,
                                  .duration_s = -1,
                                  .sip_response_code = -1,
                                  .idempotency_token = "a \"token\"",
                                  .parameters_json =
                                      "{\"CallerCity\":\"\",\"a\\\\b\":\"{c,\\\"}\"}"};
}

/* Everything on record about a call but its own name and when it was written down. */
static void describe(const char *sid, char *text, size_t room)
{
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "SELECT replace((to_jsonb(c) - 'id' - 'created_at' - 'updated_at' - 'start_timestamp')"
        "::text || (SELECT jsonb_agg(to_jsonb(e) - 'id' - 'conversation_id' - 'at' - "
        "'received_at')::text FROM call_events AS e WHERE e.conversation_id = c.id) || "
        "(c.id = call_id(c.account_sid, c.call_sid) AND c.start_timestamp = c.created_at)::text"
        ", '%s', 'SID') FROM conversations AS c WHERE call_sid = '%s'",
        sid, sid);
    snprintf(text, room, "%s", database_ask(sql));
    assert_true(text[0] != '\0');
}

static void together_leaves_the_same_record_and_gives_the_same_answer(void **state)
{
    (void)state;
    char sid[4][35], alone[8192], one[8192];
    struct db_rows *rows[3];
    struct calls_incoming expected, incoming;
    struct calls_webhook first = webhook_for(sid[0], NUMBER);
    struct calls_webhook others[3];
    const struct calls_webhook *webhooks[3];
    for (int i = 0; i < 3; i++) {
        others[i] = webhook_for(sid[i + 1], NUMBER);
        webhooks[i] = &others[i];
    }
    assert_int_equal(calls_incoming(db, &database_seal, &first, &expected), DB_OK);
    assert_int_equal(calls_incoming_together(db, webhooks, 3, rows), DB_OK);
    describe(sid[0], alone, sizeof alone);
    for (int i = 0; i < 3; i++) {
        char id[CALLS_UUID_TEXT];
        assert_non_null(rows[i]);
        calls_incoming_read(rows[i], &database_seal, &incoming);
        calls_id(own, sid[i + 1], id);
        assert_true(incoming.found == CALLS_FOUND && incoming.created);
        assert_string_equal(incoming.conversation, id);
        assert_string_equal(incoming.organization, expected.organization);
        assert_string_equal(incoming.organization_name, expected.organization_name);
        assert_string_equal(incoming.instructions, expected.instructions);
        assert_string_equal(incoming.route_json, expected.route_json);
        assert_string_equal(incoming.call_status, "ringing");
        assert_int_equal(incoming.session_max_s, expected.session_max_s);
        calls_incoming_free(&incoming);
        describe(sid[i + 1], one, sizeof one);
        assert_string_equal(one, alone);
    }
    calls_incoming_free(&expected);
}

static void who_is_not_plain_and_new_has_to_ask_alone(void **state)
{
    (void)state;
    char sid[6][35];
    struct calls_webhook list[7];
    const struct calls_webhook *webhooks[7];
    struct db_rows *rows[7];
    struct calls_incoming incoming;
    for (int i = 0; i < 6; i++)
        list[i] = webhook_for(sid[i], i == 2 ? "+15550999" : i == 4 ? NUMBER2 : NUMBER);
    assert_int_equal(calls_incoming(db, &database_seal, &list[1], &incoming), DB_OK); /* known */
    calls_incoming_free(&incoming);
    list[3].account_sid = theirs; /* Beta's account, Acme's number */
    list[5].status = "completed";
    list[6] = list[0]; /* twice in one go */
    for (int i = 0; i < 7; i++)
        webhooks[i] = &list[i];
    assert_int_equal(calls_incoming_together(db, webhooks, 7, rows), DB_OK);
    for (int i = 0; i < 7; i++) {
        if (i != 0 && i != 4) {
            assert_null(rows[i]);
            continue;
        }
        calls_incoming_read(rows[i], &database_seal, &incoming);
        assert_string_equal(incoming.organization, i == 4 ? beta : acme); /* each his own */
        calls_incoming_free(&incoming);
    }
    calls_incoming_read(NULL, &database_seal, &incoming);
    assert_int_equal(incoming.found, CALLS_INVALID);
}

static void only_plain_webhooks_go_together(void **state)
{
    (void)state;
    char sid[35];
    struct calls_webhook webhook = webhook_for(sid, NUMBER), other = webhook;
    assert_true(calls_may_go_together(&webhook));
    other.timestamp = "2026-01-01T00:00:00Z";
    assert_false(calls_may_go_together(&other));
    other = webhook, other.duration_s = 0;
    assert_false(calls_may_go_together(&other));
    other = webhook, other.sip_response_code = 200;
    assert_false(calls_may_go_together(&other));
    other = webhook, other.direction = "outbound-api";
    assert_false(calls_may_go_together(&other));
    other = webhook, other.call_sid = "CA' OR 1";
    assert_false(calls_may_go_together(&other));
    other = webhook, other.account_sid = sid; /* a CallSid */
    assert_false(calls_may_go_together(&other));
}

/* ---- a crowd ---- */

struct caller {
    pthread_t thread;
    struct convoy *convoy;
    char sid[35];
    struct calls_webhook webhook;
    enum db_result result;
    enum calls_found found;
    bool created;
    char organization[37], error[200];
};

static struct caller callers[CROWD];

/* Nothing here ends because time is up. */
static struct db_config patient(const char *url, struct db_figures *figures)
{
    struct db_config config = db_config_serving(url, figures);
    config.statement_ms = config.lock_ms = config.idle_ms = 0;
    config.gate = NULL;
    return config;
}

static void *call(void *argument)
{
    struct caller *caller = argument;
    struct calls_incoming incoming;
    struct db_config config = patient(database_url(), NULL);
    struct db *mine = db_open(&config);
    caller->result =
        convoy_incoming(caller->convoy, mine, &database_seal, &caller->webhook, &incoming);
    caller->found = incoming.found;
    caller->created = incoming.created;
    memcpy(caller->organization, incoming.organization, sizeof caller->organization);
    snprintf(caller->error, sizeof caller->error, "%s", db_error(mine));
    calls_incoming_free(&incoming);
    db_close(mine);
    return NULL;
}

static void gather(struct convoy *convoy)
{
    for (int i = 0; i < CROWD; i++) {
        callers[i] = (struct caller){.convoy = convoy};
        callers[i].webhook = webhook_for(callers[i].sid, i % 3 ? NUMBER : NUMBER2);
    }
    metrics = (struct metrics){.calls_together = 0};
}

static void start_calling(int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
}

static void finish_calling(void)
{
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
}

/* While the ledger is locked the first ones, who left at once, do not come back: so all the others
 * wait, in this order: some, those from and to, the rest. */
static void call_while_two_are_held_up(int from, int to)
{
    struct db_config config = migrate_config(database_url());
    struct db *lock = db_open(&config);
    const int steps[] = {0, from, to, CROWD};
    assert_int_equal(db_script(lock, "BEGIN; LOCK TABLE call_events IN EXCLUSIVE MODE"), DB_OK);
    for (int i = 0; i < 3; i++) {
        start_calling(steps[i], steps[i + 1]);
        while (metrics.calls_waiting < (unsigned)steps[i + 1] - CONVOYS_MAX)
            sched_yield();
    }
    assert_int_equal(db_script(lock, "COMMIT"), DB_OK);
    finish_calling();
    db_close(lock);
}

static void expect_on_record(const struct caller *caller, const char *wanted)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT count(*) || '/' || count(DISTINCT c.id) || '/' || "
             "coalesce(max(c.organization_id::text), '') FROM conversations AS c JOIN call_events "
             "AS e ON e.conversation_id = c.id WHERE c.call_sid = '%s'",
             caller->sid);
    assert_string_equal(database_ask(sql), wanted);
}

static void expect_taken(int i, const char *organization)
{
    char wanted[64];
    if (callers[i].result != DB_OK)
        fail_msg("call %d: %s", i, callers[i].error);
    assert_int_equal(callers[i].found, CALLS_FOUND);
    assert_true(callers[i].created);
    assert_string_equal(callers[i].organization, organization);
    snprintf(wanted, sizeof wanted, "1/1/%s", organization);
    expect_on_record(&callers[i], wanted);
}

static void a_crowd_shares_statements_and_each_is_on_record_once(void **state)
{
    (void)state;
    struct db_figures figures = {.statements = 0};
    struct db_config config = patient(database_url(), &figures);
    struct convoy *convoy = convoy_open(&config, 3600000, &metrics);
    gather(convoy);
    call_while_two_are_held_up(8, 16);
    for (int i = 0; i < CROWD; i++)
        expect_taken(i, i % 3 ? acme : beta);
    assert_int_equal(metrics.calls_together, CROWD - CONVOYS_MAX);
    assert_int_equal(metrics.calls_waiting, 0);
    /* two left alone, then as many as may, then the rest */
    assert_int_equal(figures.statements, CONVOYS_MAX + 2);
    convoy_close(convoy);
}

static void what_is_refused_for_one_touches_nobody_else(void **state)
{
    (void)state;
    struct db_figures figures = {.statements = 0};
    struct db_config config = patient(database_url(), &figures);
    struct convoy *convoy = convoy_open(&config, 3600000, &metrics);
    gather(convoy);
    for (int i = 10; i < 15; i++)
        callers[i].webhook.parameters_json = "{\"a\":1e999999}"; /* no number there is */
    call_while_two_are_held_up(10, 15);
    assert_int_equal(figures.results[DB_REFUSED], 1); /* once for all who were with them */
    for (int i = 0; i < CROWD; i++) {
        if (i >= 10 && i < 15) {
            assert_int_equal(callers[i].result, DB_REFUSED);
            expect_on_record(&callers[i], "0/0/");
        } else {
            expect_taken(i, i % 3 ? acme : beta);
        }
    }
    convoy_close(convoy);
}

/* The same call twice, and from two sides: one is the first, the other is told the same. */
static void a_call_that_asks_twice_is_one_call(void **state)
{
    (void)state;
    struct db_config config = patient(database_url(), NULL);
    struct convoy *convoy = convoy_open(&config, 0, &metrics);
    gather(convoy);
    for (int i = 1; i < CROWD; i++) {
        memcpy(callers[i].sid, callers[i % 2].sid, sizeof callers[i].sid);
        callers[i].webhook.to = NUMBER;
    }
    callers[0].webhook.to = NUMBER;
    start_calling(0, CROWD);
    finish_calling();
    int created = 0;
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(callers[i].result, DB_OK);
        assert_int_equal(callers[i].found, CALLS_FOUND);
        assert_string_equal(callers[i].organization, acme);
        created += callers[i].created;
    }
    assert_int_equal(created, 2);
    for (int i = 0; i < 2; i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "1/1/%s", acme);
        expect_on_record(&callers[i], wanted);
    }
    convoy_close(convoy);
}

static void a_database_that_is_away_is_away_for_all(void **state)
{
    (void)state;
    struct db_config config = patient("postgresql:///none?host=/nowhere", NULL);
    config.patience_ms = 0;
    struct convoy *convoy = convoy_open(&config, 3600000, &metrics);
    gather(convoy);
    start_calling(0, CROWD);
    finish_calling();
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(callers[i].result, DB_AWAY);
        assert_int_equal(strncmp(callers[i].error, "08", 2), 0); /* each can say why */
        expect_on_record(&callers[i], "0/0/");
    }
    convoy_close(convoy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_leaves_the_same_record_and_gives_the_same_answer),
        cmocka_unit_test(who_is_not_plain_and_new_has_to_ask_alone),
        cmocka_unit_test(only_plain_webhooks_go_together),
        cmocka_unit_test(a_crowd_shares_statements_and_each_is_on_record_once),
        cmocka_unit_test(what_is_refused_for_one_touches_nobody_else),
        cmocka_unit_test(a_call_that_asks_twice_is_one_call),
        cmocka_unit_test(a_database_that_is_away_is_away_for_all),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
