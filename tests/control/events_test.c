/* Events of the edge on their way into the record, against a real PostgreSQL: once each, whatever
 * is in them. */
#include "tests/control/store_world.h"

#include "common/end.h"
#include "control/store/clean.h"
#include "control/store/events.h"
#include "tests/control/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BATCH 32

static struct events_event event_of(const char *organization, const char *call, int64_t seq,
                                    const char *kind, const char *body)
{
    return (struct events_event){organization, call, seq, kind, 1700000000000 + seq, body};
}

static void an_event_is_stored_once_under_its_organization_only(void **state)
{
    (void)state;
    char sid[35], call[37];
    enum events_taken taken;
    world_call("+15550100", sid, call);
    struct events_event said = event_of(
        world.acme, call, 1, "message",
        "{\"role\":\"user\",\"text\":\"Hello\",\"item_id\":\"i1\",\"audio_ms\":900,\"seq\":1}");
    assert_int_equal(events_take(world.db, &said, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_STORED);
    assert_int_equal(events_take(world.db, &said, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_DOUBLE);
    said.organization = world.beta;
    said.seq = 2;
    assert_int_equal(events_take(world.db, &said, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_UNKNOWN);
    assert_string_equal(database_ask("SELECT string_agg(concat_ws('|', role, content, item_id, "
                                     "interrupted, audio_ms, heard_ms, seq), ',') "
                                     "FROM conversation_messages"),
                        "user|Hello|i1|f|900|1");
    assert_string_equal(
        database_ask("SELECT body ? 'text' FROM call_events WHERE kind = 'message'"), "f");
}

static void odd_events_are_kept_and_hold_nobody_up(void **state)
{
    (void)state;
    char sid[35], call[37];
    enum events_taken taken[6];
    world_call("+15550100", sid, call);
    const struct events_event batch[] = {
        event_of(world.acme, call, 1, "message",
                 "{\"role\":\"assistant\",\"text\":\"nul \\u0000 and \\ud800 end\","
                 "\"interrupted\":true,\"heard_ms\":1e300}"),
        event_of(world.acme, call, 2, "message", "{\"role\":\"robot\",\"text\":\"?\"}"),
        event_of(world.acme, call, 3, "dtmf", "{not json"),
        event_of(world.acme, call, 4, "dtmf", "[1]"),
        event_of(world.acme, "not a uuid", 5, "dtmf", "{}"),
        event_of(world.acme, call, 6, "dtmf", "{\"digit\":\"5\"}"),
    };
    assert_int_equal(events_take_batch(world.db, batch, 6, taken), DB_OK);
    assert_int_equal(taken[0], EVENTS_STORED);
    assert_int_equal(taken[1], EVENTS_PARKED);
    assert_int_equal(taken[2], EVENTS_PARKED);
    assert_int_equal(taken[3], EVENTS_PARKED);
    assert_int_equal(taken[4], EVENTS_INVALID);
    assert_int_equal(taken[5], EVENTS_STORED);
    assert_int_equal(events_take_batch(world.db, batch, 6, taken), DB_OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal(taken[i], i == 4 ? EVENTS_INVALID : EVENTS_DOUBLE);
    assert_string_equal(database_ask("SELECT content FROM conversation_messages WHERE interrupted"),
                        "nul \xef\xbf\xbd and \xef\xbf\xbd end");
    assert_string_equal(
        database_ask("SELECT convert_from(decode(body ->> 'base64', 'base64'), 'UTF8') "
                     "FROM call_events WHERE kind = 'unstorable' AND seq = 3"),
        "{not json");
}

/* One round trip for a batch, whatever is in it. */
static void a_batch_is_one_statement(void **state)
{
    (void)state;
    char sid[2][35], ours[37], theirs[37];
    struct db_figures figures = {.retries = 0};
    struct db *mine = database_serving(&figures);
    enum events_taken taken[7];
    world_call("+15550100", sid[0], ours);
    world_call("+15550101", sid[1], theirs);
    const struct events_event batch[] = {
        event_of(world.acme, ours, 1, "started", "{\"stream_sid\":\"MZ1\"}"),
        event_of(world.beta, theirs, 1, "message", "{\"role\":\"user\",\"text\":\"theirs\"}"),
        event_of(world.acme, ours, 2, "message",
                 "{\"role\":\"user\",\"text\":\"{\\\"a\\\",\\\\b},NULL\\n'\"}"),
        event_of(world.acme, ours, 2, "message", "{\"role\":\"user\",\"text\":\"again\"}"),
        event_of(world.acme, theirs, 3, "message", "{\"role\":\"user\",\"text\":\"forged\"}"),
        event_of(world.acme, ours, -1, "dtmf", "{}"),
        event_of(world.acme, ours, 4, "ended", "{\"reason\":\"ai_lost\",\"duration_ms\":77}"),
    };
    assert_int_equal(events_take_batch(mine, batch, 7, taken), DB_OK);
    assert_int_equal(figures.statements, 1);
    static const enum events_taken expected[] = {EVENTS_STORED, EVENTS_STORED,  EVENTS_STORED,
                                                 EVENTS_DOUBLE, EVENTS_UNKNOWN, EVENTS_INVALID,
                                                 EVENTS_STORED};
    for (int i = 0; i < 7; i++)
        assert_int_equal(taken[i], expected[i]);
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT concat_ws('|', ended_reason, stream_duration_ms, metadata ->> 'stream_sid', "
             "(SELECT string_agg(content, '/') FROM conversation_messages AS m WHERE "
             "m.conversation_id = c.id), (SELECT string_agg(seq::text, ',' ORDER BY id) FROM "
             "call_events AS e WHERE e.conversation_id = c.id AND source = 'edge')) "
             "FROM conversations AS c WHERE id = '%s'",
             ours);
    assert_string_equal(database_ask(sql), "ai_lost|77|MZ1|{\"a\",\\b},NULL\n'|1,2,4");
    assert_int_equal(events_take_batch(mine, batch, 7, taken), DB_OK);
    assert_int_equal(figures.statements, 2);
    for (int i = 0; i < 7; i++)
        assert_int_equal(taken[i], i == 4   ? EVENTS_UNKNOWN
                                   : i == 5 ? EVENTS_INVALID
                                            : EVENTS_DOUBLE);
    assert_int_equal(events_take_batch(mine, &batch[5], 1, taken), DB_OK); /* nothing to ask */
    assert_int_equal(figures.statements, 2);
    db_close(mine);
}

/* Of all calls' rows, by whatever index, that were read since the counters were last looked at. */
static long rows_read(struct db *db)
{
    static const struct db_statement flush = {"SELECT pg_stat_force_next_flush()", 0};
    struct db_rows *rows;
    assert_int_equal(db_run(db, &flush, NULL, 0, &rows), DB_OK);
    db_rows_free(rows);
    return strtol(database_ask("SELECT seq_tup_read + (SELECT sum(idx_tup_read) FROM "
                               "pg_stat_user_indexes WHERE relname = 'conversations') "
                               "FROM pg_stat_user_tables WHERE relname = 'conversations'"),
                  NULL, 10);
}

/* Also in a young database, whose planner knows nothing of the table. */
static void a_batch_reads_no_other_calls(void **state)
{
    (void)state;
    char sql[512], sid[35], call[37];
    struct db_figures figures = {.retries = 0};
    struct db *mine = database_serving(&figures);
    enum events_taken taken[BATCH];
    struct events_event batch[BATCH];
    snprintf(sql, sizeof sql,
             "INSERT INTO conversations (organization_id, session_id, channel, call_sid, "
             "call_status) SELECT '%s', 'many' || n, 'voice', 'CAmany' || n, 'completed' "
             "FROM generate_series(1, 3000) AS n",
             world.acme);
    database_do(sql);
    world_call("+15550100", sid, call);
    for (int i = 0; i < BATCH; i++)
        batch[i] = event_of(world.acme, call, 1 + i, "dtmf", "{\"digit\":\"5\"}");
    long before = rows_read(mine);
    assert_int_equal(events_take_batch(mine, batch, BATCH, taken), DB_OK);
    for (int i = 0; i < BATCH; i++)
        assert_int_equal(taken[i], EVENTS_STORED);
    assert_in_range(rows_read(mine) - before, 1, 20 * BATCH);
    database_do("DELETE FROM conversations WHERE session_id LIKE 'many%'");
    db_close(mine);
}

static void the_domain_end_reason_is_end_def(void **state)
{
    (void)state;
    char expected[4096] = "";
    for (int i = 1; i < END_COUNT; i++)
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s",
                 i > 1 ? "," : "", end_name((enum end)i));
    assert_string_equal(
        database_ask("SELECT string_agg(name[1], ',') FROM pg_constraint, "
                     "regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g') AS name "
                     "WHERE conname = 'end_reason_known'"),
        expected);
}

static void cleaned_json_is_what_it_was_but_for_what_cannot_be_stored(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"{\"a\":\"\\u0000\"}", "{\"a\":\"\\ufffd\"}"},
        {"\"\\\\u0000\"", "\"\\\\u0000\""},
        {"\"\\\\\\u0000\"", "\"\\\\\\ufffd\""},
        {"\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""},
        {"\"\\ud83d\"", "\"\\ufffd\""},
        {"\"\\ude00\\ud83d\"", "\"\\ufffd\\ufffd\""},
        {"\"\\ud83d\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\""},
        {"\"a\xff\"", "\"a\xef\xbf\xbd\""},
        {"\"\\u00", "\"\\u00"},
        {"\\", "\\"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char *clean = clean_json(pairs[i][0]);
        assert_string_equal(clean, pairs[i][1]);
        free(clean);
    }
    assert_null(clean_json(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_stored_once_under_its_organization_only),
        cmocka_unit_test(odd_events_are_kept_and_hold_nobody_up),
        cmocka_unit_test(a_batch_is_one_statement),
        cmocka_unit_test(a_batch_reads_no_other_calls),
        cmocka_unit_test(the_domain_end_reason_is_end_def),
        cmocka_unit_test(cleaned_json_is_what_it_was_but_for_what_cannot_be_stored),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
