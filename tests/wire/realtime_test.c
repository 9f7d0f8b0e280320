/* realtime: server events as the API reference shows them, each needed member missing or wrong, and
 * the client events we write, compared whole. */
#include "edge/wire/realtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

static struct realtime_event event;

static enum fault judge(const char *text)
{
    return realtime_read(span_of(text), &event);
}

static void assert_span(struct span span, const char *text)
{
    if (!span_is(span, text))
        fail_msg("wanted '%s', got '%.*s'", text, (int)span.bytes, (const char *)span.data);
}

/* Reads, and is of that kind. */
static void read_as(enum realtime_kind kind, const char *text)
{
    if (judge(text) != FAULT_NONE || event.kind != kind)
        fail_msg("kind %d, fault %s: %s", (int)event.kind, fault_name(judge(text)), text);
}

static void reads_sessions(void **state)
{
    (void)state;
    read_as(REALTIME_SESSION_CREATED,
            "{\"type\":\"session.created\",\"event_id\":\"e\",\"session\":{\"type\":\"realtime\","
            "\"object\":\"realtime.session\",\"id\":\"sess_1\",\"model\":\"gpt-realtime\","
            "\"audio\":{\"input\":{\"id\":\"no\"}},\"expires_at\":1790000000}}");
    assert_span(event.session_id, "sess_1");
    assert_true(event.expires_at_s == 1790000000);
    read_as(REALTIME_SESSION_UPDATED,
            "{\"session\":{\"id\":\"sess_1\",\"expires_at\":null},\"type\":\"session.updated\"}");
    assert_true(event.expires_at_s == 0);
    read_as(REALTIME_SESSION_UPDATED, "{\"session\":{},\"type\":\"session.updated\"}");
    assert_int_equal(event.session_id.bytes, 0);
    assert_int_equal(judge("{\"type\":\"session.created\"}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"session.created\",\"session\":[]}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"session.created\",\"session\":{\"id\":1}}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"session.created\",\"session\":{\"expires_at\":\"1\"}}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"session.created\",\"session\":{\"expires_at\":"
                           "9223372036854775808}}"),
                     FAULT_ai_event);
}

static void reads_errors(void **state)
{
    (void)state;
    read_as(REALTIME_ERROR,
            "{\"type\":\"error\",\"event_id\":\"e1\",\"error\":{\"type\":\"invalid_request_error\","
            "\"code\":\"invalid_value\",\"message\":\"No \\\"such\\\" voice.\",\"param\":null,"
            "\"event_id\":\"rb-session\"}}");
    assert_span(event.error_type, "invalid_request_error");
    assert_span(event.code, "invalid_value");
    assert_span(event.text, "No \\\"such\\\" voice.");
    assert_span(event.client_event_id, REALTIME_SESSION_EVENT_ID);
    read_as(REALTIME_ERROR,
            "{\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"code\":null,"
            "\"message\":\"x\",\"event_id\":null}}");
    assert_int_equal(event.code.bytes, 0);
    assert_int_equal(judge("{\"type\":\"error\"}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"error\",\"error\":\"no\"}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"error\",\"error\":{\"code\":7}}"), FAULT_ai_event);
}

static void reads_speech(void **state)
{
    (void)state;
    read_as(REALTIME_SPEECH_STARTED, "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":"
                                     "\"e\",\"audio_start_ms\":1234,\"item_id\":\"item_u\"}");
    assert_span(event.item_id, "item_u");
    assert_int_equal(event.audio_ms, 1234);
    read_as(REALTIME_SPEECH_STOPPED, "{\"type\":\"input_audio_buffer.speech_stopped\","
                                     "\"audio_end_ms\":2345,\"item_id\":\"item_u\"}");
    assert_int_equal(event.audio_ms, 2345);
    read_as(REALTIME_COMMITTED, "{\"type\":\"input_audio_buffer.committed\","
                                "\"previous_item_id\":null,\"item_id\":\"item_u\"}");
    assert_span(event.item_id, "item_u");
    read_as(REALTIME_SPEECH_STARTED,
            "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"i\"}");
    assert_int_equal(event.audio_ms, 0);
    assert_int_equal(judge("{\"type\":\"input_audio_buffer.speech_started\",\"audio_start_ms\":1}"),
                     FAULT_ai_event);
    static const char *const moments[] = {"-1",    "1.5", "1e3",
                                          "\"1\"", "[]",  "18446744073709551616"};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        char text[200];
        snprintf(text, sizeof text,
                 "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"i\","
                 "\"audio_start_ms\":%s}",
                 moments[i]);
        assert_int_equal(judge(text), FAULT_ai_event);
    }
    assert_int_equal(judge("{\"type\":\"input_audio_buffer.committed\",\"item_id\":null}"),
                     FAULT_ai_event);
}

static void reads_responses(void **state)
{
    (void)state;
    read_as(REALTIME_RESPONSE_CREATED,
            "{\"type\":\"response.created\",\"response\":{\"object\":\"realtime.response\",\"id\":"
            "\"resp_1\",\"status\":\"in_progress\",\"status_details\":null,\"output\":[],"
            "\"usage\":null}}");
    assert_span(event.response_id, "resp_1");
    assert_span(event.status, "in_progress");
    assert_int_equal(event.usage.bytes, 0);
    read_as(REALTIME_RESPONSE_DONE,
            "{\"type\":\"response.done\",\"response\":{\"id\":\"resp_1\",\"status\":\"cancelled\","
            "\"status_details\":{\"type\":\"cancelled\",\"reason\":\"turn_detected\"},\"output\":["
            "{\"id\":\"item_1\",\"status\":\"incomplete\"}],\"usage\":{\"total_tokens\":3}}}");
    assert_span(event.response_id, "resp_1");
    assert_span(event.status, "cancelled");
    assert_span(event.status_reason, "turn_detected");
    assert_span(event.usage, "{\"total_tokens\":3}");
    assert_int_equal(judge("{\"type\":\"response.done\"}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.done\",\"response\":{\"status\":\"completed\"}}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.created\",\"response\":{\"id\":1}}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.done\",\"response\":{\"id\":\"r\",\"status\":2}}"),
                     FAULT_ai_event);
}

static void reads_audio(void **state)
{
    (void)state;
    read_as(
        REALTIME_AUDIO_DELTA,
        "{\"type\":\"response.output_audio.delta\",\"event_id\":\"e\",\"response_id\":\"resp_1\","
        "\"item_id\":\"item_1\",\"output_index\":0,\"content_index\":2,\"delta\":\"/v7+/w==\","
        "\"obfuscation\":\"x\"}");
    assert_span(event.response_id, "resp_1");
    assert_span(event.item_id, "item_1");
    assert_int_equal(event.content_index, 2);
    assert_span(event.audio, "/v7+/w==");
    read_as(REALTIME_AUDIO_DONE, "{\"type\":\"response.output_audio.done\",\"response_id\":\"r\","
                                 "\"item_id\":\"i\",\"output_index\":0,\"content_index\":1}");
    assert_int_equal(event.content_index, 1);
    assert_int_equal(event.audio.bytes, 0);
    read_as(REALTIME_AUDIO_DELTA, "{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\","
                                  "\"item_id\":\"i\",\"delta\":\"\",\"content_index\":4294967295}");
    assert_true(event.content_index == UINT32_MAX);
    static const char *const broken[] = {
        "\"item_id\":\"i\",\"delta\":\"\"",
        "\"response_id\":\"r\",\"delta\":\"\"",
        "\"response_id\":\"r\",\"item_id\":\"i\"",
        "\"response_id\":\"r\",\"item_id\":\"i\",\"delta\":null",
        "\"response_id\":\"r\",\"item_id\":\"i\",\"delta\":\"\",\"content_index\":4294967296",
        "\"response_id\":\"r\",\"item_id\":\"i\",\"delta\":\"\",\"content_index\":-1",
        "\"response_id\":\"r\",\"item_id\":\"i\",\"delta\":\"\",\"content_index\":\"0\"",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"type\":\"response.output_audio.delta\",%s}", broken[i]);
        if (judge(text) != FAULT_ai_event)
            fail_msg("%s", text);
    }
    assert_int_equal(judge("{\"type\":\"response.output_audio.done\",\"response_id\":\"r\"}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.output_audio.delta\",\"response_id\":\"r\","
                           "\"item_id\":\"i\",\"delta\":\"\",\"delta\":\"\"}"),
                     FAULT_json_malformed);
}

static void reads_texts(void **state)
{
    (void)state;
    read_as(
        REALTIME_AGENT_TEXT_DELTA,
        "{\"type\":\"response.output_audio_transcript.delta\",\"response_id\":\"r\",\"item_id\":"
        "\"i\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hel\\u006co\"}");
    assert_span(event.text, "Hel\\u006co");
    read_as(REALTIME_AGENT_TEXT_DONE,
            "{\"type\":\"response.output_audio_transcript.done\",\"response_id\":\"r\",\"item_id\":"
            "\"i\",\"output_index\":0,\"content_index\":0,\"transcript\":\"Hello\"}");
    assert_span(event.response_id, "r");
    assert_span(event.text, "Hello");
    read_as(REALTIME_CALLER_TEXT_DONE,
            "{\"type\":\"conversation.item.input_audio_transcription.completed\",\"item_id\":\"u\","
            "\"content_index\":0,\"transcript\":\"Gr\xc3\xbc\xc3\x9f\",\"usage\":{\"type\":"
            "\"duration\",\"seconds\":2}}");
    assert_span(event.item_id, "u");
    assert_span(event.text, "Gr\xc3\xbc\xc3\x9f");
    read_as(REALTIME_CALLER_TEXT_FAILED,
            "{\"type\":\"conversation.item.input_audio_transcription.failed\",\"item_id\":\"u\","
            "\"content_index\":0,\"error\":{\"type\":\"t\",\"code\":\"audio_unintelligible\","
            "\"message\":\"m\",\"param\":null}}");
    assert_span(event.code, "audio_unintelligible");
    assert_span(event.error_type, "t");
    assert_span(event.text, "m");
    assert_int_equal(
        judge("{\"type\":\"response.output_audio_transcript.done\",\"item_id\":\"i\"}"),
        FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.output_audio_transcript.delta\",\"delta\":\"\"}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"conversation.item.input_audio_transcription.failed\","
                           "\"item_id\":\"u\"}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"conversation.item.input_audio_transcription.completed\","
                           "\"item_id\":\"u\",\"transcript\":[\"x\"]}"),
                     FAULT_ai_event);
}

#define CALL_ITEM                                                                                  \
    "\"id\":\"item_2\",\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"book\","       \
    "\"arguments\":\"{\\\"day\\\":1}\""

static void reads_items(void **state)
{
    (void)state;
    read_as(REALTIME_ITEM_ADDED,
            "{\"type\":\"response.output_item.added\",\"response_id\":\"r\",\"output_index\":1,"
            "\"item\":{\"id\":\"item_1\",\"type\":\"message\",\"status\":\"in_progress\","
            "\"role\":\"assistant\",\"content\":[]}}");
    assert_span(event.item_id, "item_1");
    assert_span(event.item_type, "message");
    read_as(REALTIME_TOOL_CALL, "{\"type\":\"response.output_item.done\",\"response_id\":\"r\","
                                "\"item\":{\"status\":\"completed\"," CALL_ITEM "}}");
    assert_span(event.response_id, "r");
    assert_span(event.item_id, "item_2");
    assert_span(event.call_id, "call_1");
    assert_span(event.name, "book");
    assert_span(event.arguments, "{\\\"day\\\":1}");
    /* cut off, still running, or no call at all: nothing to do */
    read_as(REALTIME_OTHER, "{\"type\":\"response.output_item.done\",\"response_id\":\"r\","
                            "\"item\":{\"status\":\"incomplete\"," CALL_ITEM "}}");
    read_as(REALTIME_OTHER, "{\"type\":\"response.output_item.done\",\"response_id\":\"r\","
                            "\"item\":{" CALL_ITEM "}}");
    read_as(REALTIME_OTHER,
            "{\"type\":\"response.output_item.done\",\"response_id\":\"r\",\"item\":"
            "{\"id\":\"i\",\"type\":\"message\",\"status\":\"completed\"}}");
    assert_int_equal(
        judge("{\"type\":\"response.output_item.done\",\"response_id\":\"r\",\"item\":{"
              "\"id\":\"i\",\"type\":\"function_call\",\"status\":\"completed\"}}"),
        FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.output_item.done\",\"item\":{\"status\":"
                           "\"completed\"," CALL_ITEM "}}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.output_item.added\",\"response_id\":\"r\"}"),
                     FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"response.output_item.added\",\"response_id\":\"r\","
                           "\"item\":{\"type\":\"message\"}}"),
                     FAULT_ai_event);
}

static void skips_the_rest(void **state)
{
    static const char *const types[] = {
        "rate_limits.updated",
        "response.content_part.added",
        "conversation.item.added",
        "conversation.item.created",
        "response.function_call_arguments.delta",
        "",
        "response.audio.delta",
        "response.audio_transcript.done", /* the beta is dead */
        "response.output_audio",
        "response.output_audio.deltas",
    };
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"type\":\"%s\",\"delta\":7,\"item\":[],\"error\":null}",
                 types[i]);
        read_as(REALTIME_OTHER, text);
    }
    read_as(REALTIME_AUDIO_DONE, "{\"type\":\"response.output_audi\\u006f.done\",\"response_id\":"
                                 "\"r\",\"item_id\":\"i\"}");
}

static void refuses_what_is_no_event(void **state)
{
    (void)state;
    assert_int_equal(judge("{}"), FAULT_ai_event);
    assert_int_equal(judge("[]"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":null}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":{\"type\":\"error\"}}"), FAULT_ai_event);
    assert_int_equal(judge("{\"type\":\"error\""), FAULT_json_malformed);
    assert_int_equal(judge("{\"type\":\"error\",\"type\":\"error\"}"), FAULT_json_malformed);
    assert_int_equal(judge(""), FAULT_json_malformed);
}

/* ---- what we write ---- */

static void assert_json(struct span text, const char *wanted)
{
    json_t *got = json_loadb((const char *)text.data, text.bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *want = json_loads(wanted, 0, NULL);
    assert_non_null(want);
    if (!json_equal(got, want))
        fail_msg("wanted %s, got %.*s", wanted, (int)text.bytes, (const char *)text.data);
    json_decref(got);
    json_decref(want);
}

static void assert_update(const struct realtime_session *session, const char *wanted)
{
    size_t bytes = 0;
    char *text = realtime_session_update(session, &bytes);
    assert_non_null(text);
    assert_int_equal(bytes, strlen(text));
    assert_json(span_from(text, bytes), wanted);
    free(text);
}

#define TURNS(silence)                                                                             \
    "{\"type\":\"server_vad\",\"threshold\":0.5,\"prefix_padding_ms\":300,"                        \
    "\"silence_duration_ms\":" silence ",\"create_response\":true,\"interrupt_response\":true}"

/* The whole shape: a member more and other models refuse it, one less and a default decides. */
static void updates_the_whole_session(void **state)
{
    struct realtime_session session = {
        .model = "gpt-realtime",
        .instructions = "Say \"hello\".\nThen Gr\xc3\xbc\xc3\x9f.",
        .voice = "marin",
        .transcription_model = "gpt-4o-mini-transcribe",
        .language = "de",
        .tools_json = "[{\"type\":\"function\",\"name\":\"book\",\"description\":\"d\","
                      "\"parameters\":{\"type\":\"object\",\"properties\":{}}}]",
        .format = "audio/pcm",
        .silence_ms = 700,
        .prefix_ms = 300,
        .threshold_percent = 50,
    };
    (void)state;
    assert_update(
        &session,
        "{\"type\":\"session.update\",\"event_id\":\"rb-session\",\"session\":{\"type\":"
        "\"realtime\",\"model\":\"gpt-realtime\",\"output_modalities\":[\"audio\"],"
        "\"instructions\":\"Say \\\"hello\\\".\\nThen Gr\\u00fc\\u00df.\",\"audio\":{"
        "\"input\":{\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},\"transcription\":{"
        "\"model\":\"gpt-4o-mini-transcribe\",\"language\":\"de\"},\"turn_detection\":" TURNS(
            "700") "},\"output\":{\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},"
                   "\"voice\":\"marin\"}},\"tools\":[{\"type\":\"function\",\"name\":\"book\","
                   "\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":{}}}],"
                   "\"tool_choice\":\"auto\"}}");
}

static void updates_with_the_least(void **state)
{
    static const char wanted[] =
        "{\"type\":\"session.update\",\"event_id\":\"rb-session\",\"session\":{\"type\":"
        "\"realtime\","
        "\"output_modalities\":[\"audio\"],\"audio\":{\"input\":{\"format\":{\"type\":\"audio/"
        "pcmu\""
        "},\"turn_detection\":" TURNS(
            "500") "},\"output\":{\"format\":{\"type\":\"audio/pcmu\"}}}}}";
    struct realtime_session nothing = {
        .format = "audio/pcmu", .prefix_ms = 300, .threshold_percent = 50};
    struct realtime_session empty = {.format = "audio/pcmu",
                                     .prefix_ms = 300,
                                     .threshold_percent = 50,
                                     .model = "",
                                     .instructions = "",
                                     .voice = "",
                                     .transcription_model = "",
                                     .language = "de",
                                     .tools_json = "[]"};
    (void)state;
    assert_update(&nothing, wanted);
    assert_update(&empty, wanted);
    empty.transcription_model = "whisper-1";
    empty.language = NULL;
    empty.tools_json = "";
    assert_update(
        &empty, "{\"type\":\"session.update\",\"event_id\":\"rb-session\",\"session\":{\"type\":"
                "\"realtime\",\"output_modalities\":[\"audio\"],\"audio\":{\"input\":{\"format\":{"
                "\"type\":\"audio/pcmu\"},\"transcription\":{\"model\":\"whisper-1\"},"
                "\"turn_detection\":" TURNS("500") "},\"output\":{\"format\":{\"type\":"
                                                   "\"audio/pcmu\"}}}}}");
}

/* How an organisation wants its callers heard; a bare 0 is a choice too. */
static void updates_turns_alone(void **state)
{
    struct realtime_session session = {.format = "audio/pcm",
                                       .instructions = "not here",
                                       .silence_ms = 5000,
                                       .prefix_ms = 2000,
                                       .threshold_percent = 75,
                                       .patient = true};
    size_t bytes;
    char *text = realtime_turns_update(&session, &bytes);
    (void)state;
    assert_json(span_from(text, bytes),
                "{\"type\":\"session.update\",\"event_id\":\"rb-session\",\"session\":{\"type\":"
                "\"realtime\",\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\","
                "\"threshold\":0.75,\"prefix_padding_ms\":2000,\"silence_duration_ms\":5000,"
                "\"create_response\":true,\"interrupt_response\":false}}}}}");
    free(text);
    session = (struct realtime_session){.format = "audio/pcmu"};
    text = realtime_turns_update(&session, &bytes);
    assert_non_null(strstr(text, "\"threshold\":0.0,\"prefix_padding_ms\":0,"));
    assert_non_null(strstr(text, "\"interrupt_response\":true"));
    free(text);
}

static void asks_for_words(void **state)
{
    size_t bytes;
    char *text = realtime_say("The office \"closes\" now.", &bytes);
    (void)state;
    assert_json(span_from(text, bytes),
                "{\"type\":\"response.create\",\"event_id\":\"rb-say\",\"response\":{"
                "\"instructions\":\"Say exactly this: The office \\\"closes\\\" now.\"}}");
    free(text);
    assert_null(realtime_say("\xff", &bytes));
}

static void tells_what_a_function_gave_back(void **state)
{
    size_t bytes;
    char *text = realtime_tool_output(span_of("call_\\u0041\\\""), "{\"n\":\"\xc3\xbc\"}", &bytes);
    (void)state;
    assert_json(span_from(text, bytes),
                "{\"type\":\"conversation.item.create\",\"event_id\":\"rb-tool\",\"item\":{"
                "\"type\":\"function_call_output\",\"call_id\":\"call_A\\\"\","
                "\"output\":\"{\\\"n\\\":\\\"\xc3\xbc\\\"}\"}}");
    free(text);
    text = realtime_tool_note("look_up", "{}", &bytes);
    assert_json(span_from(text, bytes),
                "{\"type\":\"conversation.item.create\",\"event_id\":\"rb-tool\",\"item\":{"
                "\"type\":\"message\",\"role\":\"system\",\"content\":[{\"type\":\"input_text\","
                "\"text\":\"The function look_up that you called earlier has come back: {}\"}]}}");
    free(text);
    assert_null(realtime_tool_output(span_of("c"), "\xff", &bytes));
    assert_null(realtime_tool_output(span_of("\\ud800"), "{}", &bytes));
    assert_null(realtime_tool_note("n", "\xff", &bytes));
}

static void refuses_bad_configurations(void **state)
{
    static const char *const tools[] = {"{}", "[", "\"x\"", "[] x", "nonsense"};
    size_t bytes = 7;
    (void)state;
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        struct realtime_session session = {.format = "audio/pcmu", .tools_json = tools[i]};
        assert_null(realtime_session_update(&session, &bytes));
        assert_int_equal(bytes, 0);
    }
    struct realtime_session session = {
        .format = "audio/pcmu", .instructions = "\xff", .tools_json = "[{}]"};
    assert_null(realtime_session_update(&session, &bytes));
    session = (struct realtime_session){.format = "audio/pcmu", .voice = "\xc3"};
    assert_null(realtime_session_update(&session, &bytes));
    session = (struct realtime_session){
        .format = "audio/pcmu", .transcription_model = "m", .language = "\xff"};
    assert_null(realtime_session_update(&session, &bytes));
    assert_null(realtime_greeting("\xff", &bytes));
}

static size_t allocations_left;

static void *scarce_malloc(size_t bytes)
{
    return allocations_left && allocations_left-- ? malloc(bytes) : NULL;
}

/* The n-th allocation fails, n = 0, 1, 2 ...: the whole text or none, and nothing is left over. */
static void survives_scarcity(void **state)
{
    struct realtime_session session = {.format = "audio/pcm",
                                       .model = "m",
                                       .instructions = "i",
                                       .voice = "v",
                                       .transcription_model = "t",
                                       .language = "en",
                                       .tools_json = "[{\"type\":\"function\"}]"};
    size_t bytes, enough = 0, refused = 0;
    (void)state;
    json_set_alloc_funcs(scarce_malloc, free);
    for (size_t left = 0; !enough; left++) {
        allocations_left = left;
        char *text = realtime_session_update(&session, &bytes);
        assert_true(text ? bytes == strlen(text) : bytes == 0);
        enough = text ? left : 0;
        refused += text == NULL;
        free(text);
    }
    for (allocations_left = 0; enough && allocations_left < 40;) {
        size_t left = allocations_left;
        char *text = realtime_greeting("hello", &bytes);
        assert_true(text ? bytes == strlen(text) : bytes == 0);
        refused += text == NULL;
        free(text);
        allocations_left = left + 1;
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(refused > 50);
}

static void greets(void **state)
{
    size_t bytes = 0;
    char *text = realtime_greeting("Hello, \"Northwind\"!", &bytes);
    (void)state;
    assert_non_null(text);
    assert_int_equal(bytes, strlen(text));
    assert_json(span_from(text, bytes),
                "{\"type\":\"conversation.item.create\",\"event_id\":\"rb-greeting\",\"item\":{"
                "\"type\":\"message\",\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
                "\"text\":\"Greet the caller now, before they speak. Say exactly this: Hello, "
                "\\\"Northwind\\\"!\"}]}}");
    free(text);
}

static void appends_audio(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= 8; bytes += 4) {
        size_t all = realtime_append_bytes(bytes);
        uint8_t *text = malloc(all); /* exact */
        char wanted[100];
        memcpy(realtime_append_write(text, bytes), "/v7+/w==", bytes);
        snprintf(wanted, sizeof wanted,
                 "{\"type\":\"input_audio_buffer.append\",\"audio\":\"%.*s\"}", (int)bytes,
                 "/v7+/w==");
        assert_json(span_from(text, all), wanted);
        free(text);
    }
}

static void truncates(void **state)
{
    uint8_t text[REALTIME_TRUNCATE_BYTES_MAX + 6];
    (void)state;
    size_t bytes = realtime_truncate_write(text, span_of("item_1"), 0, 0);
    assert_json(span_from(text, bytes),
                "{\"type\":\"conversation.item.truncate\",\"event_id\":\"rb-truncate\",\"item_id\":"
                "\"item_1\",\"content_index\":0,\"audio_end_ms\":0}");
    bytes = realtime_truncate_write(text, span_of("item_1"), UINT32_MAX, INT64_MAX);
    assert_json(span_from(text, bytes),
                "{\"type\":\"conversation.item.truncate\",\"event_id\":\"rb-truncate\",\"item_id\":"
                "\"item_1\",\"content_index\":4294967295,\"audio_end_ms\":9223372036854775807}");
    bytes = realtime_truncate_write(text, span_of("item_1"), UINT32_MAX, UINT64_MAX);
    assert_true(bytes <= sizeof text);
    assert_memory_equal(text + bytes - 21, "18446744073709551615}", 21);
}

static void creates_and_cancels(void **state)
{
    (void)state;
    assert_json(realtime_response_create,
                "{\"type\":\"response.create\",\"event_id\":\"rb-response\"}");
    assert_json(realtime_response_cancel,
                "{\"type\":\"response.cancel\",\"event_id\":\"rb-cancel\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sessions),
        cmocka_unit_test(reads_errors),
        cmocka_unit_test(reads_speech),
        cmocka_unit_test(reads_responses),
        cmocka_unit_test(reads_audio),
        cmocka_unit_test(reads_texts),
        cmocka_unit_test(reads_items),
        cmocka_unit_test(skips_the_rest),
        cmocka_unit_test(refuses_what_is_no_event),
        cmocka_unit_test(updates_the_whole_session),
        cmocka_unit_test(updates_with_the_least),
        cmocka_unit_test(updates_turns_alone),
        cmocka_unit_test(asks_for_words),
        cmocka_unit_test(tells_what_a_function_gave_back),
        cmocka_unit_test(refuses_bad_configurations),
        cmocka_unit_test(survives_scarcity),
        cmocka_unit_test(greets),
        cmocka_unit_test(appends_audio),
        cmocka_unit_test(truncates),
        cmocka_unit_test(creates_and_cancels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
