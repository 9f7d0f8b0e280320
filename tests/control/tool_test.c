/* Functions that AIs call, against a real PostgreSQL and a real server of others (http_server.py):
 * carried out once, with what came of it on record in words that an AI can explain. */
#include "tests/control/database.h"
#include "tests/control/tool_world.h"

#include "common/clock.h"
#include "control/store/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- requests ---- */

static void a_request_says_whose_it_is(void **state)
{
    (void)state;
    char context[TOOLS_CONTEXT_MAX];
    static const char headers[] = "{\"Authorization\":\"Bearer secret\"}";
    uint8_t sealed[128];
    tools_context(world.acme, "ask", context);
    assert_true(seal_close(&world.options.seal, context, span_of(headers), sealed));
    world_http_tool("ask", "POST", "/echo", 1);
    char *hex = malloc(2 * sizeof sealed + 128), *at = hex;
    at += sprintf(at, "UPDATE tools SET headers_sealed = '\\x");
    for (size_t i = 0; i < strlen(headers) + SEAL_OVERHEAD_BYTES; i++)
        at += sprintf(at, "%02x", sealed[i]);
    sprintf(at, "'");
    database_do(hex);
    free(hex);
    int64_t seq = world_called("ask", "{\"day\":\"mon\",\"n\":[1,2]}");
    world_carry_out();
    world_expect(seq, "\"ok\": true");
    world_expect(seq, "\"method\": \"POST\"");
    world_expect(seq, "\"Authorization\": \"Bearer secret\"");
    world_expect(seq, "\\\"arguments\\\":{\\\"day\\\":\\\"mon\\\",\\\"n\\\":[1,2]}");
    world_expect(seq, "\\\"from\\\":\\\"+15550177\\\",\\\"to\\\":\\\"+15550100\\\"");
    world_expect(seq, "\\\"channel\\\":\\\"voice\\\"");
    char key[128];
    snprintf(key, sizeof key, "\"Idempotency-Key\": \"%s\"",
             database_ask("SELECT id FROM tool_calls"));
    world_expect(seq, key);
}

static void what_goes_wrong_is_explained(void **state)
{
    (void)state;
    static const struct {
        const char *name, *path, *words;
    } cases[] = {
        {"down", "/status/500", "has a problem at the moment (500)"},
        {"busy", "/later/3", "has a problem at the moment (429)"},
        {"no", "/status/404", "refused this (404)"},
        {"moved", "/redirect/127.0.0.1:plain/echo", "is not set up for this (302)"},
        {"huge", "/endless", "answered more than can be read"},
        {"over", "/bytes/24577", "answered more than can be read"},
        {"silent", "/silent", "did not answer in time"},
        {"half", "/truncated", "gave no answer"},
        {"garbage", "/garbage", "\"ok\": false"},
        {"large", "/numbers", "It failed on our side"},
    };
    int64_t seqs[sizeof cases / sizeof cases[0]];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_http_tool(cases[i].name, "GET", cases[i].path, 1);
        seqs[i] = world_called(cases[i].name, "{}");
    }
    char settings[128];
    snprintf(settings, sizeof settings, "{\"method\":\"GET\",\"url\":\"http://127.0.0.1:%d/echo\"}",
             world.port);
    world_tool("private", "http", settings);
    world_tool("nowhere", "http", "{\"method\":\"GET\",\"url\":\"http://localhost:1/\"}");
    int64_t guarded = world_called("private", "{}"), unknown = world_called("no_such_thing", "{}");
    int64_t bad = world_called("down", "[1]");
    world_carry_out();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        world_expect(seqs[i], cases[i].words);
    world_expect(seqs[2], "\"detail\": \"why: 404\"");
    world_expect(guarded, "not set up correctly");
    world_expect(unknown, "There is no function \\\"no_such_thing\\\"");
    world_expect(bad, "not a JSON object");
    assert_string_equal(database_ask("SELECT count(*) FROM tool_calls WHERE state = 'done'"), "0");
}

static void just_fits_is_read(void **state)
{
    (void)state;
    world_http_tool("fits", "GET", "/bytes/24576", 1);
    int64_t seq = world_called("fits", "{}");
    world_carry_out();
    world_expect(seq, "\"ok\": true");
    assert_true(strlen(world_output(seq)) > 24576);
}

/* Only where the tool allows it, and under one key. */
static void a_request_is_repeated_only_when_it_may_be(void **state)
{
    (void)state;
    world_http_tool("once", "POST", "/flaky/once/1", 1);
    world_http_tool("thrice", "POST", "/flaky/thrice/2", 3);
    int64_t once = world_called("once", "{}"), thrice = world_called("thrice", "{}");
    world_carry_out();
    world_expect(once, "\"ok\": false");
    world_expect(thrice, "\"result\": {\"keys\": 1, \"tries\": 3}");
}

/* ---- once ---- */

static void a_call_is_carried_out_once_by_whoever_is_quicker(void **state)
{
    (void)state;
    struct tool_figures figures = {0}, others = {0};
    world_http_tool("count", "GET", "/asked/count", 1);
    for (int i = 0; i < 40; i++)
        world_called("count", "{}");
    struct tool_pool *a = world_open_pool(4, &figures), *b = world_open_pool(4, &others);
    tool_pool_wake(a, 4);
    tool_pool_wake(b, 4);
    world_await("SELECT count(*) FROM tool_calls WHERE state = 'done'", "40");
    tool_pool_close(a);
    tool_pool_close(b);
    assert_string_equal(database_ask("SELECT max((output ->> 'result')::integer) FROM tool_calls"),
                        "40");
    assert_int_equal(figures.done + others.done, 40);
    assert_int_equal(figures.lost + others.lost, 0);
}

/* Somebody died with these: what may not be repeated is told so, the rest is done. */
static void a_control_that_died_leaves_words_or_work(void **state)
{
    (void)state;
    struct tools_claimed claimed;
    world_http_tool("once", "POST", "/asked/died", 1);
    world_http_tool("twice", "POST", "/asked/lived", 2);
    world_tool("note", "leave_message", NULL);
    int64_t once = world_called("once", "{}"), twice = world_called("twice", "{}"),
            note = world_called("note", "{\"message\":\"Call me.\"}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tools_claim(world.db, WORLD_RUN_DEAD, 60000, &claimed), DB_OK);
        assert_non_null(claimed.rows);
        db_rows_free(claimed.rows);
    }
    assert_int_equal(tools_claim(world.db, WORLD_RUN, 60000, &claimed), DB_OK);
    assert_null(claimed.rows); /* it lives, as far as anybody knows */
    database_do("UPDATE tool_calls SET leased_until = now() - interval '1 second'");
    world_carry_out();
    world_expect(once, "it is not known whether it was done");
    world_expect(twice, "\"result\": 1");
    world_expect(note, "\"ok\": true");
    assert_string_equal(database_ask("SELECT count(*) FROM left_messages"), "1");
}

struct loss {
    struct tools_claimed claimed;
    bool held;
};

static enum db_result finish_late(struct db *mine, void *context)
{
    struct loss *loss = context;
    return tools_finish(mine, &loss->claimed, WORLD_RUN_DEAD, true, "{\"ok\":true}", NULL,
                        &loss->held);
}

static void who_lost_his_lease_changes_nothing(void **state)
{
    (void)state;
    struct loss loss;
    world_tool("note", "leave_message", NULL);
    int64_t seq = world_called("note", "{\"message\":\"\"}");
    assert_int_equal(tools_claim(world.db, WORLD_RUN_DEAD, 1, &loss.claimed), DB_OK);
    assert_non_null(loss.claimed.rows);
    database_do("UPDATE tool_calls SET leased_until = now() - interval '1 second'");
    world_carry_out();
    assert_int_equal(db_transact(world.db, world.acme, finish_late, &loss), DB_OK);
    assert_false(loss.held);
    world_expect(seq, "\"ok\": false"); /* an empty message; not the late word */
    db_rows_free(loss.claimed.rows);
}

/* The AI was told meanwhile that nothing came of it. */
static void what_waited_too_long_is_not_begun(void **state)
{
    (void)state;
    world_tool("note", "leave_message", NULL);
    int64_t seq =
        world_called_at("note", "{\"message\":\"Late.\"}", clock_wall_ms() - WORLD_DEADLINE_MS - 1);
    world_carry_out();
    world_expect(seq, "could not be begun in time and was not done");
    assert_string_equal(database_ask("SELECT count(*) FROM left_messages"), "0");
}

static void one_organisations_slow_system_delays_no_other(void **state)
{
    (void)state;
    char beta_call[37];
    struct tools_claimed claimed[3];
    world_conversation(world.beta, "sms", "sms_beta", beta_call);
    world_tool_for(world.beta, "note", "leave_message", NULL, NULL, 1);
    world_http_tool("slow", "GET", "/silent", 1);
    for (int i = 0; i < 10; i++)
        world_called("slow", "{}");
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO tool_calls (organization_id, conversation_id, name, call_id, deadline_at) "
        "VALUES ('%s', '%s', 'note', 'x', now() + interval '1 hour')",
        world.beta, beta_call);
    database_do(sql);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tools_claim(world.db, WORLD_RUN, 60000, &claimed[i]), DB_OK);
    assert_string_equal(claimed[0].organization, world.acme);
    assert_string_equal(claimed[1].organization, world.beta); /* last come, second served */
    for (int i = 0; i < 2; i++)
        db_rows_free(claimed[i].rows);
    database_do("DELETE FROM tool_calls; DELETE FROM conversations WHERE session_id = 'sms_beta'");
}

/* ---- results ---- */

static void a_result_goes_to_its_edge_until_it_is_there(void **state)
{
    (void)state;
    struct db_rows *rows;
    const char *edge = WORLD_EDGE, *other = WORLD_RUN;
    world_tool("note", "leave_message", NULL);
    int64_t seq = world_called("note", "{\"message\":\"Call me.\"}");
    assert_int_equal(tools_take_results(world.db, &edge, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0); /* there is none yet */
    db_rows_free(rows);
    world_carry_out();
    assert_int_equal(tools_take_results(world.db, &other, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0);
    db_rows_free(rows);
    for (int i = 0; i < 2; i++) { /* it did not arrive: once more, after a while */
        char number[32];
        assert_int_equal(tools_take_results(world.db, &edge, 1, &rows), DB_OK);
        assert_int_equal(db_rows_count(rows), 1);
        assert_string_equal(db_cell(rows, 0, 2), world.voice);
        snprintf(number, sizeof number, "\"number\": %lld", (long long)seq);
        assert_non_null(strstr(db_cell(rows, 0, 3), number));
        assert_non_null(strstr(db_cell(rows, 0, 3), "\"output\": \"{\\\"ok\\\": true}\""));
        char id[37];
        snprintf(id, sizeof id, "%s", db_cell(rows, 0, 0));
        db_rows_free(rows);
        assert_string_equal(database_ask("SELECT sent_at <= now() FROM tool_calls"), "t");
        database_do("UPDATE tool_calls SET sent_at = now() + interval '1 hour'");
        assert_int_equal(tools_take_results(world.db, &edge, 1, &rows), DB_OK);
        assert_int_equal(db_rows_count(rows), 0);
        db_rows_free(rows);
        database_do("UPDATE tool_calls SET sent_at = now() - interval '3 seconds'");
        if (i == 1)
            assert_int_equal(tools_settle(world.db, id), DB_OK);
    }
    assert_int_equal(tools_take_results(world.db, &edge, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0);
    db_rows_free(rows);
    assert_string_equal(database_ask("SELECT told_at IS NOT NULL FROM tool_calls"), "t");
}

static enum db_result ask_in_text(struct db *mine, void *context)
{
    return tools_ask(mine, world.acme, world.text, "call_y", "note", "{\"message\":\"By text.\"}",
                     context);
}

/* The same code, without an edge. */
static void texts_have_the_same_functions(void **state)
{
    (void)state;
    char id[37];
    const char *edge = WORLD_EDGE;
    struct db_rows *rows;
    world_tool("note", "leave_message", NULL);
    world_tool("move", "transfer", "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\"}}}");
    assert_int_equal(db_transact(world.db, world.acme, ask_in_text, id), DB_OK);
    world_carry_out();
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT output FROM tool_calls WHERE id = '%s'", id);
    assert_string_equal(database_ask(sql), "{\"ok\": true}");
    assert_string_equal(database_ask("SELECT body || phone FROM left_messages"),
                        "By text.+15550177");
    assert_int_equal(tools_take_results(world.db, &edge, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0);
    db_rows_free(rows);
}

/* What the edge carries out is on record, and nobody else's. */
static void what_the_edge_does_is_on_record(void **state)
{
    (void)state;
    enum events_taken taken;
    struct tools_claimed claimed;
    int64_t seq = ++world.last_seq;
    world_tool("bye", "end_call", NULL);
    struct events_event event = {
        .organization = world.acme,
        .call = world.voice,
        .kind = "tool_call",
        .seq = seq,
        .at_ms = clock_wall_ms(),
        .body_json = "{\"call_id\":\"c\",\"name\":\"bye\",\"arguments\":\"{}\",\"at_edge\":true}"};
    assert_int_equal(events_take(world.db, &event, &taken), DB_OK);
    assert_int_equal(tools_claim(world.db, WORLD_RUN, 60000, &claimed), DB_OK);
    assert_null(claimed.rows);
    char body[128];
    snprintf(body, sizeof body, "{\"number\":%lld,\"ok\":true,\"output\":{\"ok\":true,\"n\":1}}",
             (long long)seq);
    event.kind = "tool_result";
    event.seq = ++world.last_seq;
    event.body_json = body;
    assert_int_equal(events_take(world.db, &event, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_STORED);
    assert_string_equal(world_output(seq), "{\"n\": 1, \"ok\": true}");
    assert_string_equal(database_ask("SELECT state FROM tool_calls"), "done");
}
int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, world_clear)
        TEST(a_request_says_whose_it_is),
        TEST(what_goes_wrong_is_explained),
        TEST(just_fits_is_read),
        TEST(a_request_is_repeated_only_when_it_may_be),
        TEST(a_call_is_carried_out_once_by_whoever_is_quicker),
        TEST(a_control_that_died_leaves_words_or_work),
        TEST(who_lost_his_lease_changes_nothing),
        TEST(what_waited_too_long_is_not_begun),
        TEST(one_organisations_slow_system_delays_no_other),
        TEST(a_result_goes_to_its_edge_until_it_is_there),
        TEST(texts_have_the_same_functions),
        TEST(what_the_edge_does_is_on_record),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
