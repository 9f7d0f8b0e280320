/* One call, told in every order and more than once: the record is the same. */
#include "tests/control/database.h"

#include "control/store/calls.h"
#include "control/store/events.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define FACTS_MAX 6
#define START_MS  INT64_C(1700000000000) /* Tue, 14 Nov 2023 22:13:20 +0000 */

/* Something that is told about a call. */
struct fact {
    enum { INCOMING, STATUS, AFTER, EDGE } source;
    const char *name; /* CallStatus, or the edge's kind */
    int64_t seq;      /* SequenceNumber or the event's; -1: none */
    int64_t duration_s;
    const char *timestamp; /* carrier */
    const char *body;      /* edge */
};

struct story {
    const char *name;
    struct fact facts[FACTS_MAX];
    int count;
    const char *record; /* what must come out */
};

static const struct story stories[] = {
    {"a call that was answered, streamed and hung up",
     {{INCOMING, "ringing", -1, -1, "Tue, 14 Nov 2023 22:13:20 +0000", NULL},
      {STATUS, "ringing", 1, -1, "Tue, 14 Nov 2023 22:13:20 +0000", NULL},
      {STATUS, "in-progress", 2, -1, "Tue, 14 Nov 2023 22:13:22 +0000", NULL},
      {STATUS, "completed", 3, 49, "Tue, 14 Nov 2023 22:14:11 +0000", NULL},
      {EDGE, "started", 1, -1, NULL, "{\"stream_sid\":\"MZ1\"}"},
      {EDGE, "ended", 7, -1, NULL,
       "{\"reason\":\"caller_hung_up\",\"duration_ms\":48123,\"figures\":{\"frames\":9}}"}},
     6,
     "completed|completed|22:13:20|22:14:11|48123 edge 49000 20.001|48123|caller_hung_up|"
     "{\"frames\": 9}|MZ1"},
    {"a call whose carrier reports nothing more",
     {{INCOMING, "ringing", -1, -1, "Tue, 14 Nov 2023 22:13:20 +0000", NULL},
      {EDGE, "started", 1, -1, NULL, "{\"stream_sid\":\"MZ1\"}"},
      {EDGE, "message", 2, -1, NULL, "{\"role\":\"user\",\"text\":\"Hello\"}"},
      {EDGE, "ended", 3, -1, NULL, "{\"reason\":\"agent_hung_up\",\"duration_ms\":3000}"},
      {AFTER, "in-progress", -1, -1, "Tue, 14 Nov 2023 22:13:30 +0000", NULL}},
     5,
     "completed|completed|22:13:20|22:13:30|3000 edge - 20.001|3000|agent_hung_up||MZ1"},
    {"a call that never streamed, with the event name for a status",
     {{STATUS, "queued", 0, -1, "Tue, 14 Nov 2023 22:13:19 +0000", NULL},
      {STATUS, "initiated", 1, -1, "Tue, 14 Nov 2023 22:13:20 +0000", NULL},
      {STATUS, "ringing", 2, -1, "Tue, 14 Nov 2023 22:13:21 +0000", NULL},
      {STATUS, "answered", 3, -1, "Tue, 14 Nov 2023 22:13:22 +0000", NULL},
      {STATUS, "no-answer", 4, 0, "Tue, 14 Nov 2023 22:13:23 +0000", NULL}},
     5,
     "no-answer|no-answer|22:13:19|22:13:23|0 carrier 0 22.000||||"},
    {"two endings that contradict each other: the higher number counts, and over ours the "
     "carrier's",
     {{INCOMING, "ringing", -1, -1, "Tue, 14 Nov 2023 22:13:20 +0000", NULL},
      {STATUS, "completed", 3, 12, "Tue, 14 Nov 2023 22:14:00 +0000", NULL},
      {STATUS, "failed", 4, -1, "Tue, 14 Nov 2023 22:14:01 +0000", NULL},
      {STATUS, "canceled", -1, -1, "Tue, 14 Nov 2023 22:14:02 +0000", NULL},
      {EDGE, "ended", 1, -1, NULL, "{\"reason\":\"caller_hung_up\",\"duration_ms\":5}"},
      {AFTER, "in-progress", -1, -1, "Tue, 14 Nov 2023 22:13:30 +0000", NULL}},
     5,
     "failed|failed|22:13:20|22:14:01|12000 carrier 12000|5|caller_hung_up||"},
    {"a call with two streams: the last one speaks, both count",
     {{INCOMING, "ringing", -1, -1, "Tue, 14 Nov 2023 22:13:20 +0000", NULL},
      {EDGE, "started", 1, -1, NULL, "{\"stream_sid\":\"MZ1\"}"},
      {EDGE, "ended", 2, -1, NULL, "{\"reason\":\"ai_lost\",\"duration_ms\":1000}"},
      {EDGE, "started", 1000001, -1, NULL, "{\"stream_sid\":\"MZ2\"}"},
      {EDGE, "ended", 1000002, -1, NULL, "{\"reason\":\"transferred\",\"duration_ms\":500}"}},
     5,
     "in-progress||22:13:20||1000001 edge - 20.001|1500|transferred||MZ2"},
    {"a pause between two streams belongs to the call; the carrier's seconds agree",
     {{STATUS, "completed", 3, 64, "Tue, 14 Nov 2023 22:14:24 +0000", NULL},
      {EDGE, "started", 5, -1, NULL, "{\"stream_sid\":\"MZ1\"}"},
      {EDGE, "ended", 6, -1, NULL, "{\"reason\":\"ai_lost\",\"duration_ms\":1}"},
      {EDGE, "started", 61000, -1, NULL, "{\"stream_sid\":\"MZ2\"}"},
      {EDGE, "ended", 62017, -1, NULL, "{\"reason\":\"caller_hung_up\",\"duration_ms\":1017}"}},
     5,
     "completed|completed|22:13:20|22:14:24|62012 edge 64000 20.005|1018|caller_hung_up||MZ2"},
    {"a call that was given to somebody after its stream: the carrier's seconds",
     {{INCOMING, "ringing", -1, -1, "Tue, 14 Nov 2023 22:13:18 +0000", NULL},
      {STATUS, "in-progress", 2, -1, "Tue, 14 Nov 2023 22:13:19 +0000", NULL},
      {EDGE, "started", 5, -1, NULL, "{\"stream_sid\":\"MZ1\"}"},
      {EDGE, "ended", 6, -1, NULL, "{\"reason\":\"transferred\",\"duration_ms\":7999}"},
      {STATUS, "completed", 3, 10, "Tue, 14 Nov 2023 22:13:29 +0000", NULL}},
     5,
     "completed|completed|22:13:18|22:13:29|10000 carrier 10000 19.000|7999|transferred||MZ1"},
};

static char organization[37], account[35];
static unsigned calls;

static int begin(void **state)
{
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", organization);
    database_sid(account, "AC", 1);
    return 0;
}

static void tell_carrier(struct db *db, const struct fact *fact, const char *call_sid)
{
    struct calls_incoming incoming;
    struct calls_next next;
    struct calls_taken taken;
    const struct calls_webhook webhook = {.account_sid = account,
                                          .call_sid = call_sid,
                                          .from = "+15550199",
                                          .to = "+15550100",
                                          .direction = "inbound",
                                          .status = fact->name,
                                          .sequence_number = fact->seq,
                                          .timestamp = fact->timestamp,
                                          .duration_s = fact->duration_s,
                                          .sip_response_code = -1};
    enum db_result result;
    if (fact->source == INCOMING) {
        result = calls_incoming(db, &database_seal, &webhook, &incoming);
        calls_incoming_free(&incoming);
    } else if (fact->source == AFTER) {
        result = calls_after_stream(db, &webhook, &next);
        calls_next_free(&next);
    } else {
        result = calls_status(db, &webhook, &taken);
        assert_int_equal(taken.found, CALLS_FOUND);
    }
    assert_int_equal(result, DB_OK);
}

static void find_call(struct db *db, const char *call_sid, char conversation[37])
{
    static const struct db_statement query = {"SELECT id FROM conversations WHERE call_sid = $1",
                                              1};
    struct db_rows *rows;
    assert_int_equal(db_run(db, &query, db_values(db_text(call_sid)), &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 1);
    assert_true(span_copy_text(span_of(db_cell(rows, 0, 0)), conversation, 37));
    db_rows_free(rows);
}

static void tell_edge(struct db *db, const struct fact *fact, const char *conversation)
{
    enum events_taken taken;
    const struct events_event event = {organization, conversation,         fact->seq,
                                       fact->name,   START_MS + fact->seq, fact->body};
    assert_int_equal(events_take(db, &event, &taken), DB_OK);
    assert_true(taken == EVENTS_STORED || taken == EVENTS_DOUBLE);
}

/* The record, and how many facts and messages are kept. */
static void read_record(struct db *db, const char *call_sid, char record[512])
{
    static const struct db_statement query = {
        "SELECT concat_ws('|', call_status, coalesce(disconnection_reason, ''), "
        "to_char(start_timestamp, 'HH24:MI:SS'), "
        "coalesce(to_char(end_timestamp, 'HH24:MI:SS'), ''), concat_ws(' ', duration_ms, "
        "duration_by, "
        "coalesce(carrier_duration_ms::text, '-'), to_char(answered_at, 'SS.MS')), "
        "coalesce(stream_duration_ms::text, ''), coalesce(ended_reason, ''), "
        "coalesce(figures::text, ''), coalesce(metadata ->> 'stream_sid', '')), "
        "(SELECT count(*) FROM call_events AS e WHERE e.conversation_id = c.id), "
        "(SELECT count(*) FROM conversation_messages AS m WHERE m.conversation_id = c.id) "
        "FROM conversations AS c WHERE call_sid = $1",
        1};
    struct db_rows *rows;
    assert_int_equal(db_run(db, &query, db_values(db_text(call_sid)), &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 1);
    snprintf(record, 512, "%s #%s,%s", db_cell(rows, 0, 0), db_cell(rows, 0, 1),
             db_cell(rows, 0, 2));
    db_rows_free(rows);
}

static void expected_record(const struct story *story, char record[512])
{
    int messages = 0;
    for (int i = 0; i < story->count; i++)
        messages += strcmp(story->facts[i].name, "message") == 0;
    snprintf(record, 512, "%s #%d,%d", story->record, story->count, messages);
}

/* Tells the facts in this order, each of them twice: in a row, or all of them again at the end. */
static void tell_in_order(struct db *serving, struct db *admin, const struct story *story,
                          const int *order)
{
    char call_sid[35], conversation[37] = "", record[512], expected[512];
    database_sid(call_sid, "CA", ++calls);
    bool in_a_row = calls % 2;
    for (int pass = 0; pass < (in_a_row ? 1 : 2); pass++) {
        for (int i = 0; i < story->count; i++) {
            const struct fact *fact = &story->facts[order[i]];
            for (int times = 0; times < (in_a_row ? 2 : 1); times++) {
                if (fact->source == EDGE)
                    tell_edge(serving, fact, conversation);
                else
                    tell_carrier(serving, fact, call_sid);
            }
            if (!conversation[0])
                find_call(admin, call_sid, conversation);
        }
    }
    read_record(admin, call_sid, record);
    expected_record(story, expected);
    assert_string_equal(record, expected);
}

static bool next_order(int *order, int count)
{
    int i = count - 2, j = count - 1;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return false;
    while (order[j] < order[i])
        j--;
    int swap = order[i];
    order[i] = order[j];
    order[j] = swap;
    for (i++, j = count - 1; i < j; i++, j--) {
        swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    return true;
}

static void every_order_and_repetition_gives_one_record(void **state)
{
    (void)state;
    struct db *serving = database_serving(NULL), *admin = database_admin();
    for (size_t s = 0; s < sizeof stories / sizeof stories[0]; s++) {
        int order[FACTS_MAX], told = 0;
        for (int i = 0; i < FACTS_MAX; i++)
            order[i] = i;
        do {
            /* The edge knows of a call only from control, so its row is there before its events. */
            if (stories[s].facts[order[0]].source == EDGE)
                continue;
            tell_in_order(serving, admin, &stories[s], order);
            told++;
        } while (next_order(order, stories[s].count));
        print_message("%s: %d orders\n", stories[s].name, told);
    }
    db_close(serving);
    db_close(admin);
}

struct teller {
    const struct story *story;
    const char *call_sid, *conversation;
    int first;
};

/* Tells the whole story, beginning at another fact than the others do. */
static void *tell_from(void *context)
{
    const struct teller *teller = context;
    struct db *db = database_serving(NULL);
    for (int i = 0; i < teller->story->count; i++) {
        const struct fact *fact = &teller->story->facts[(teller->first + i) % teller->story->count];
        if (fact->source == EDGE)
            tell_edge(db, fact, teller->conversation);
        else
            tell_carrier(db, fact, teller->call_sid);
    }
    db_close(db);
    return NULL;
}

static void tellers_at_the_same_time_give_the_same_record(void **state)
{
    (void)state;
    struct db *serving = database_serving(NULL), *admin = database_admin();
    for (int round = 0; round < 20; round++) {
        const struct story *story = &stories[round % 2];
        char call_sid[35], conversation[37], record[512], expected[512];
        pthread_t threads[4];
        struct teller tellers[4];
        database_sid(call_sid, "CA", ++calls);
        tell_carrier(serving, &story->facts[0], call_sid);
        find_call(admin, call_sid, conversation);
        for (int i = 0; i < 4; i++) {
            tellers[i] = (struct teller){story, call_sid, conversation, i};
            assert_int_equal(pthread_create(&threads[i], NULL, tell_from, &tellers[i]), 0);
        }
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        read_record(admin, call_sid, record);
        expected_record(story, expected);
        assert_string_equal(record, expected);
    }
    db_close(serving);
    db_close(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_and_repetition_gives_one_record),
        cmocka_unit_test(tellers_at_the_same_time_give_the_same_record),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
