/* The questions that webhooks, the edge and commands ask about calls, against a real PostgreSQL.
 * Events: events_test.c; accounts and their secrets: accounts_test.c. */
#include "tests/control/store_world.h"

#include "control/store/configurations.h"
#include "control/store/edges.h"
#include "control/store/events.h"
#include "control/webhooks/last_known.h"
#include "edge/limits.h"
#include "tests/control/database.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void an_incoming_call_finds_its_organization_and_is_opened_once(void **state)
{
    (void)state;
    char sid[35], first[37];
    struct calls_incoming incoming;
    struct calls_webhook webhook = world_webhook(sid, "+15550101");
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    assert_true(incoming.created);
    assert_string_equal(incoming.organization, world.beta);
    assert_string_equal(incoming.organization_name, "Beta");
    assert_string_equal(incoming.call_status, "ringing");
    memcpy(first, incoming.conversation, 37);
    calls_incoming_free(&incoming);

    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    assert_false(incoming.created);
    assert_string_equal(incoming.conversation, first);
    calls_incoming_free(&incoming);
}

static void an_organization_without_configuration_gets_the_built_in_one(void **state)
{
    (void)state;
    char sid[35];
    struct calls_incoming incoming;
    struct calls_webhook webhook = world_webhook(sid, "+15550100");
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_false(incoming.configured);
    assert_string_equal(incoming.ai_backend, "openai_realtime");
    assert_string_equal(incoming.audio_format, "pcmu");
    assert_true(incoming.instructions[0] && incoming.model[0] && incoming.voice[0]);
    assert_string_equal(incoming.tools_json, "[]");
    assert_int_equal(incoming.duration_max_s, 3600);
    assert_null(incoming.ai_key);
    assert_false(incoming.ai_key_lost);
    calls_incoming_free(&incoming);
}

static void own_settings_win_over_built_in_ones_one_by_one(void **state)
{
    (void)state;
    const struct configurations_setting settings[] = {
        {"greeting", ""}, {"audio_format", "pcm"}, {"settings.forward", "\"+15550188\""}};
    struct db *admin = database_admin();
    char sid[35];
    struct calls_incoming incoming;
    struct calls_webhook webhook = world_webhook(sid, "+15550101");
    assert_int_equal(configurations_set(admin, world.beta, "voice", settings, 3, NULL), DB_OK);
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_true(incoming.configured);
    assert_string_equal(incoming.greeting, "");
    assert_string_equal(incoming.audio_format, "pcm");
    assert_string_equal(incoming.ai_backend, "openai_realtime");
    assert_non_null(strstr(incoming.settings_json, "+15550188"));
    calls_incoming_free(&incoming);

    /* all or nothing */
    const struct configurations_setting bad[] = {{"greeting", "Hi"}, {"audio_format", "mp3"}};
    const char *refused;
    assert_int_equal(configurations_set(admin, world.beta, "voice", bad, 2, &refused), DB_REFUSED);
    assert_string_equal(refused, "audio_format");
    assert_string_equal(db_constraint(admin), "channel_configurations_audio_format");
    assert_string_equal(database_ask("SELECT greeting FROM channel_configurations"), "");
    db_close(admin);
}

static bool takes(struct db *admin, const char *key, int64_t value)
{
    char text[24];
    const char *refused = NULL;
    snprintf(text, sizeof text, "%lld", (long long)value);
    const struct configurations_setting setting = {key, text};
    enum db_result result = configurations_set(admin, world.acme, "voice", &setting, 1, &refused);
    assert_true(result == DB_OK || result == DB_REFUSED);
    assert_true(result == DB_OK || strcmp(refused, key) == 0);
    return result == DB_OK;
}

/* What the edge would refuse to run a call with cannot be stored. */
static void choices_have_the_bounds_that_the_edge_has(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int64_t min, max;
    } ranges[] = {{"interrupt_after_ms", 0, PLAN_INTERRUPT_AFTER_MS_MAX},
                  {"vad_prefix_ms", 0, PLAN_VAD_PREFIX_MS_MAX},
                  {"vad_silence_ms", 100, PLAN_VAD_SILENCE_MS_MAX},
                  {"vad_threshold_percent", 0, 100},
                  {"session_max_s", PLAN_SESSION_S_MIN, PLAN_DURATION_S_MAX}};
    struct db *admin = database_admin();
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_true(takes(admin, ranges[i].key, ranges[i].min));
        assert_true(takes(admin, ranges[i].key, ranges[i].max));
        assert_false(takes(admin, ranges[i].key, ranges[i].min - 1));
        assert_false(takes(admin, ranges[i].key, ranges[i].max + 1));
    }
    for (int64_t append_ms = 0; append_ms <= 120; append_ms++)
        assert_int_equal(takes(admin, "append_ms", append_ms),
                         append_ms == 20 || append_ms == 40 || append_ms == 60 || append_ms == 100);
    db_close(admin);
}

static void choices_travel_with_the_call(void **state)
{
    (void)state;
    const struct configurations_setting settings[] = {{"append_ms", "60"},
                                                      {"record", "true"},
                                                      {"greeting_interruptible", "no"},
                                                      {"interrupt_after_ms", "1"},
                                                      {"vad_prefix_ms", "2"},
                                                      {"vad_silence_ms", "103"},
                                                      {"session_max_s", "1005"},
                                                      {"vad_threshold_percent", "4"}};
    struct db *admin = database_admin();
    char sid[35];
    struct calls_incoming incoming;
    struct calls_webhook webhook = world_webhook(sid, "+15550101");
    assert_int_equal(configurations_set(admin, world.beta, "voice", settings, 8, NULL), DB_OK);
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.append_ms, 60);
    assert_true(incoming.record);
    assert_false(incoming.greeting_interruptible);
    assert_int_equal(incoming.interrupt_after_ms, 1);
    assert_int_equal(incoming.vad_prefix_ms, 2);
    assert_int_equal(incoming.vad_silence_ms, 103);
    assert_int_equal(incoming.vad_threshold_percent, 4);
    assert_int_equal(incoming.session_max_s, 1005);
    calls_incoming_free(&incoming);
    db_close(admin);
}

static void numbers_that_nobody_has_are_not_found_and_never_an_error(void **state)
{
    (void)state;
    static const char *const called[] = {"+15550999",
                                         "sip:desk@example.com;transport=tls",
                                         "client:alice",
                                         "12345",
                                         "anonymous",
                                         "+1555'; DROP TABLE conversations; --",
                                         "\xff\xfe\xc0\x80",
                                         "whatsapp:+15550100",
                                         " "};
    for (size_t i = 0; i < sizeof called / sizeof called[0]; i++) {
        char sid[35];
        struct calls_incoming incoming;
        struct calls_webhook webhook = world_webhook(sid, called[i]);
        assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
        assert_true(incoming.found == CALLS_UNKNOWN_NUMBER || incoming.found == CALLS_UNKNOWN_CALL);
        calls_incoming_free(&incoming);
    }
}

static void strange_fields_are_stored_or_refused_but_never_an_error(void **state)
{
    (void)state;
    char sid[35], *huge = malloc(200001);
    struct calls_incoming incoming;
    memset(huge, 0xfe, 200000);
    huge[200000] = '\0';
    struct calls_webhook webhook = world_webhook(sid, " +15550100"); /* an unencoded plus */
    webhook.from = huge;
    webhook.direction = huge;
    webhook.status = huge;
    webhook.timestamp = "Fri, 99 Mar 2023 25:61:61 +0000";
    webhook.sequence_number = INT64_MAX;
    webhook.duration_s = INT64_MAX;
    webhook.sip_response_code = INT64_MAX;
    webhook.idempotency_token = huge;
    webhook.parameters_json = "{\"Body\":\"a\\u0000b\\ud800\\\\u0000\xff\"}";
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    calls_incoming_free(&incoming);
    webhook.call_sid = "CA1' OR true";
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_INVALID);
    calls_incoming_free(&incoming);
    webhook.call_sid = webhook.account_sid = NULL;
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_INVALID);
    calls_incoming_free(&incoming);
    free(huge);
}

static void a_ticket_is_used_once(void **state)
{
    (void)state;
    char sid[35], call[37];
    enum calls_ticket ticket;
    struct span nonce = span_of("sixteen bytes ok");
    world_call("+15550100", sid, call);
    assert_int_equal(calls_use_ticket(world.db, world.acme, call, nonce, 1900000000000, &ticket),
                     DB_OK);
    assert_int_equal(ticket, CALLS_TICKET_FIRST);
    assert_int_equal(calls_use_ticket(world.db, world.acme, call, nonce, 1900000000000, &ticket),
                     DB_OK);
    assert_int_equal(ticket, CALLS_TICKET_USED);
    assert_int_equal(calls_use_ticket(world.db, world.beta, call, nonce, 1900000000000, &ticket),
                     DB_OK);
    assert_int_equal(ticket, CALLS_TICKET_UNKNOWN_CALL);
}

static void note_call(struct last_known *known, const char *to)
{
    char sid[35];
    struct calls_incoming incoming;
    struct calls_webhook webhook = world_webhook(sid, to);
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    last_known_note(known, world.own, to, &incoming);
    calls_incoming_free(&incoming);
}

static void what_a_number_was_answered_last_is_known_without_the_database(void **state)
{
    (void)state;
    char sid[35], id[37];
    struct calls_incoming known_call, call;
    struct last_known *known = last_known_open();
    struct calls_webhook webhook = world_webhook(sid, "+15550100");
    assert_false(last_known_find(known, world.own, "+15550100", sid, &database_seal, &known_call));
    calls_incoming_free(&known_call);
    note_call(known, "+15550100");
    assert_true(last_known_find(known, world.own, "+15550100", sid, &database_seal, &known_call));
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &call), DB_OK);
    calls_id(world.own, sid, id);
    assert_string_equal(call.conversation, id); /* the database makes the same */
    assert_string_equal(known_call.conversation, call.conversation);
    assert_string_equal(known_call.organization, world.acme);
    assert_string_equal(known_call.instructions, call.instructions);
    assert_string_equal(known_call.route_json, call.route_json);
    assert_string_equal(known_call.call_status, "ringing");
    calls_incoming_free(&known_call);
    calls_incoming_free(&call);
    /* nobody else's: another number, another account, and one that nobody has any more */
    assert_false(last_known_find(known, world.own, "+15550101", sid, &database_seal, &known_call));
    assert_false(last_known_find(known, "AC2", "+15550100", sid, &database_seal, &known_call));
    struct calls_incoming gone = {.found = CALLS_UNKNOWN_NUMBER};
    last_known_note(known, world.own, "+15550100", &gone);
    assert_false(last_known_find(known, world.own, "+15550100", sid, &database_seal, &known_call));
    last_known_close(known);
}

static void a_plan_is_given_again_while_the_call_lives(void **state)
{
    (void)state;
    char sid[35], call[37];
    struct calls_plan plan;
    struct calls_taken taken;
    world_call("+15550100", sid, call);
    assert_int_equal(calls_plan(world.db, &database_seal, world.acme, call, &plan), DB_OK);
    assert_int_equal(plan.incoming.found, CALLS_FOUND);
    assert_string_equal(plan.call_sid, sid);
    assert_string_equal(plan.account_sid, world.own);
    calls_incoming_free(&plan.incoming);
    assert_int_equal(calls_plan(world.db, &database_seal, world.beta, call, &plan), DB_OK);
    assert_int_equal(plan.incoming.found, CALLS_UNKNOWN_CALL);
    calls_incoming_free(&plan.incoming);
    struct calls_webhook over = {.account_sid = world.own,
                                 .call_sid = sid,
                                 .status = "completed",
                                 .sequence_number = -1,
                                 .duration_s = 3,
                                 .sip_response_code = 200};
    assert_int_equal(calls_status(world.db, &over, &taken), DB_OK);
    assert_true(taken.over && taken.stored);
    assert_string_equal(taken.organization, world.acme);
    assert_int_equal(calls_plan(world.db, &database_seal, world.acme, call, &plan), DB_OK);
    assert_int_equal(plan.incoming.found, CALLS_UNKNOWN_CALL);
    calls_incoming_free(&plan.incoming);
}

static void after_the_stream_the_call_is_hung_up_unless_another_step_was_noted(void **state)
{
    (void)state;
    char sid[35], call[37], sql[256];
    struct calls_next next;
    struct calls_webhook webhook = world_webhook(sid, "+15550100");
    enum events_taken taken;
    struct calls_incoming incoming;
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    memcpy(call, incoming.conversation, 37);
    calls_incoming_free(&incoming);
    struct events_event ended = {.organization = world.acme,
                                 .call = call,
                                 .seq = 9,
                                 .kind = "ended",
                                 .at_ms = 1700000000009,
                                 .body_json = "{\"reason\":\"ai_lost\",\"duration_ms\":1234}"};
    assert_int_equal(events_take(world.db, &ended, &taken), DB_OK);
    webhook.status = "in-progress";

    snprintf(sql, sizeof sql,
             "UPDATE conversations SET next_step = '{\"step\":\"dial\",\"to\":\"+15550177\"}' "
             "WHERE call_sid = '%s'",
             sid);
    database_do(sql);
    assert_int_equal(calls_after_stream(world.db, &webhook, &next), DB_OK);
    assert_string_equal(next.place, "next");
    assert_non_null(strstr(next.steps_json, "+15550177"));
    assert_string_equal(next.ended_reason, "ai_lost");
    calls_next_free(&next);
    snprintf(sql, sizeof sql, "SELECT call_status FROM conversations WHERE call_sid = '%s'", sid);
    assert_string_equal(database_ask(sql), "in-progress");

    char second[35];
    struct calls_webhook other = world_webhook(second, "+15550100");
    assert_int_equal(calls_after_stream(world.db, &other, &next), DB_OK);
    assert_int_equal(next.found, CALLS_FOUND);
    assert_string_equal(next.place, "hangup");
    calls_next_free(&next);
    snprintf(sql, sizeof sql, "SELECT call_status FROM conversations WHERE call_sid = '%s'",
             second);
    assert_string_equal(database_ask(sql), "completed"); /* until the carrier says otherwise */
}

static void stream_reports_are_noted(void **state)
{
    (void)state;
    char sid[35];
    struct calls_taken taken;
    struct calls_webhook webhook = world_webhook(sid, "+15550100");
    webhook.status = NULL;
    webhook.timestamp = "2024-11-29T00:09:39.602648368Z";
    assert_int_equal(calls_stream_status(world.db, &webhook, "MZ1", "stream-error", "handshake 403",
                                         "no", &taken),
                     DB_OK);
    assert_true(taken.found == CALLS_FOUND && taken.stored);
    assert_int_equal(calls_stream_status(world.db, &webhook, "MZ1", "stream-error", "handshake 403",
                                         "no", &taken),
                     DB_OK);
    assert_false(taken.stored);
    assert_string_equal(database_ask("SELECT to_char(at, 'HH24:MI:SS.US ') || (body ->> 'error') "
                                     "|| (body ->> 'meaning') FROM call_events WHERE kind = "
                                     "'stream'"),
                        "00:09:39.602648 handshake 403no");
}

static void an_outbound_call_belongs_to_the_number_it_came_from(void **state)
{
    (void)state;
    char sid[35];
    struct calls_taken taken;
    struct calls_webhook webhook = world_webhook(sid, "+15550100");
    webhook.from = "+15550101";
    webhook.direction = "outbound-api";
    webhook.status = "busy";
    assert_int_equal(calls_status(world.db, &webhook, &taken), DB_OK);
    assert_string_equal(taken.organization, world.beta);
    assert_string_equal(taken.call_status, "busy");
    webhook.status = "asleep";
    assert_int_equal(calls_status(world.db, &webhook, &taken), DB_OK);
    assert_int_equal(taken.found, CALLS_INVALID);
}

/* One thread of the race: opens the same call on a connection of its own. */
static void *race(void *context)
{
    struct calls_webhook *webhook = context;
    struct db *mine = database_serving(NULL);
    struct calls_incoming incoming;
    enum db_result result = calls_incoming(mine, &database_seal, webhook, &incoming);
    char *conversation = result == DB_OK ? strdup(incoming.conversation) : NULL;
    calls_incoming_free(&incoming);
    db_close(mine);
    return conversation;
}

static void webhooks_that_race_open_one_call(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        char sid[35];
        pthread_t threads[6];
        char *answers[6];
        struct calls_webhook webhook = world_webhook(sid, "+15550100");
        for (int i = 0; i < 6; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, race, &webhook), 0);
        for (int i = 0; i < 6; i++)
            pthread_join(threads[i], (void **)&answers[i]);
        for (int i = 0; i < 6; i++) {
            assert_non_null(answers[i]);
            assert_string_equal(answers[i], answers[0]);
        }
        for (int i = 0; i < 6; i++)
            free(answers[i]);
    }
}

static void edges_report_and_a_full_ones_calls_go_to_another(void **state)
{
    (void)state;
    char url[200];
    struct edges_report report = {.name = "one",
                                  .run = "11111111-1111-4111-8111-111111111111",
                                  .websocket_url = "wss://one.example.com",
                                  .cores = 2,
                                  .calls = 10,
                                  .calls_max = 10};
    assert_int_equal(edges_report(world.db, &report), DB_OK);
    report.name = "two";
    report.websocket_url = "wss://two.example.com";
    report.calls = 9;
    assert_int_equal(edges_report(world.db, &report), DB_OK);
    assert_int_equal(edges_pick(world.db, "one", url, sizeof url), DB_OK);
    assert_string_equal(url, "wss://two.example.com");
    assert_int_equal(edges_pick(world.db, "two", url, sizeof url), DB_OK);
    assert_string_equal(url, ""); /* one is full */
    report.draining = true;
    assert_int_equal(edges_report(world.db, &report), DB_OK);
    assert_int_equal(edges_pick(world.db, "one", url, sizeof url), DB_OK);
    assert_string_equal(url, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_incoming_call_finds_its_organization_and_is_opened_once),
        cmocka_unit_test(an_organization_without_configuration_gets_the_built_in_one),
        cmocka_unit_test(own_settings_win_over_built_in_ones_one_by_one),
        cmocka_unit_test(choices_have_the_bounds_that_the_edge_has),
        cmocka_unit_test(choices_travel_with_the_call),
        cmocka_unit_test(numbers_that_nobody_has_are_not_found_and_never_an_error),
        cmocka_unit_test(strange_fields_are_stored_or_refused_but_never_an_error),
        cmocka_unit_test(a_ticket_is_used_once),
        cmocka_unit_test(what_a_number_was_answered_last_is_known_without_the_database),
        cmocka_unit_test(a_plan_is_given_again_while_the_call_lives),
        cmocka_unit_test(after_the_stream_the_call_is_hung_up_unless_another_step_was_noted),
        cmocka_unit_test(stream_reports_are_noted),
        cmocka_unit_test(an_outbound_call_belongs_to_the_number_it_came_from),
        cmocka_unit_test(webhooks_that_race_open_one_call),
        cmocka_unit_test(edges_report_and_a_full_ones_calls_go_to_another),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
