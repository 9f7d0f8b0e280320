/* What control lets in over the link: events, requests, hellos; each member wrong in turn. And the
 * plan it writes. */
#include "control/base/json_read.h"
#include "control/link/edge.h"
#include "control/link/intake.h"
#include "control/link/plan_write.h"
#include "control/service/request.h"
#include "edge/report/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ID  "11111111-2222-4333-8444-555555555555"
#define IDS "\"call\":\"" ID "\",\"organization\":\"" ID "\",\"seq\":1,\"at_ms\":1800000000000"

static void right_events_are_taken(void **state)
{
    (void)state;
    static const char *const right[] = {
        "{\"kind\":\"started\"," IDS ",\"call_sid\":\"CA1\",\"stream_sid\":\"MZ1\"}",
        "{\"kind\":\"started\"," IDS ",\"call_sid\":\"CA1\",\"stream_sid\":\"MZ1\","
        "\"account_sid\":\"AC1\",\"media_format\":null,\"parameters\":{}}",
        "{\"kind\":\"ai_ready\"," IDS ",\"session_id\":\"s\",\"dial_ms\":12}",
        "{\"kind\":\"message\"," IDS ",\"role\":\"user\",\"item_id\":\"i\",\"text\":\"\"}",
        "{\"kind\":\"message\"," IDS ",\"role\":\"assistant\",\"text\":\"t\","
        "\"interrupted\":true,\"audio_ms\":5,\"heard_ms\":0}",
        "{\"kind\":\"barge_in\"," IDS ",\"item_id\":\"i\",\"audio_end_ms\":1,\"audio_ms\":2}",
        "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"#\"}",
        "{\"kind\":\"tool_call\"," IDS ",\"call_id\":\"c\",\"name\":\"n\",\"arguments\":\"{}\"}",
        "{\"kind\":\"usage\"," IDS ",\"response_id\":\"r\",\"status\":\"completed\",\"usage\":{}}",
        "{\"kind\":\"ended\"," IDS ",\"reason\":\"ai_lost\",\"duration_ms\":0,\"figures\":{}}",
        "{\"kind\":\"ai_error\"," IDS ",\"code\":\"c\",\"error_type\":null,\"text\":\"t\"}",
        "{\"kind\":\"of_a_newer_edge\"," IDS ",\"anything\":[]}",
    };
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        struct intake_event event;
        const char *wrong = intake_read(span_of(right[i]), NULL, &event);
        if (wrong)
            fail_msg("%s was refused for its %s", right[i], wrong);
        assert_string_equal(event.event.call, ID);
        assert_int_equal(event.event.seq, 1);
        assert_int_equal(event.event.at_ms, 1800000000000);
        assert_string_equal(event.ticket, "");
        intake_free(&event);
    }
}

static void wrong_events_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *member, *json;
    } rows[] = {
        {"json", ""},
        {"json", "[]"},
        {"json", "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"1\""},
        {"json", "{\"kind\":\"dtmf\",\"kind\":\"dtmf\"," IDS ",\"digit\":\"1\"}"},
        {"json", "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"\\u0000\"}"},
        {"json", "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"\xff\"}"},
        {"kind", "{" IDS "}"},
        {"kind", "{\"kind\":7," IDS "}"},
        {"kind", "{\"kind\":\"\"," IDS "}"},
        {"kind", "{\"kind\":\"no'such\"," IDS "}"},
        {"kind", "{\"kind\":\"a2345678901234567890123456789012345678901\"," IDS "}"},
        {"call", "{\"kind\":\"dtmf\",\"organization\":\"" ID "\",\"seq\":1,\"at_ms\":1}"},
        {"call", "{\"kind\":\"dtmf\",\"call\":\"11111111-2222-4333-8444-55555555555G\","
                 "\"organization\":\"" ID "\",\"seq\":1,\"at_ms\":1}"},
        {"organization", "{\"kind\":\"dtmf\",\"call\":\"" ID "\",\"organization\":\"x\","
                         "\"seq\":1,\"at_ms\":1}"},
        {"seq", "{\"kind\":\"dtmf\",\"call\":\"" ID "\",\"organization\":\"" ID
                "\",\"seq\":0,\"at_ms\":1}"},
        {"seq", "{\"kind\":\"dtmf\",\"call\":\"" ID "\",\"organization\":\"" ID
                "\",\"seq\":140737488355329,\"at_ms\":1}"},
        {"at_ms", "{\"kind\":\"dtmf\",\"call\":\"" ID "\",\"organization\":\"" ID
                  "\",\"seq\":1,\"at_ms\":\"1\"}"},
        {"call_sid", "{\"kind\":\"started\"," IDS ",\"stream_sid\":\"MZ1\"}"},
        {"stream_sid", "{\"kind\":\"started\"," IDS ",\"call_sid\":\"CA1\",\"stream_sid\":null}"},
        {"parameters", "{\"kind\":\"started\"," IDS
                       ",\"call_sid\":\"CA1\",\"stream_sid\":\"MZ1\",\"parameters\":[]}"},
        {"dial_ms", "{\"kind\":\"ai_ready\"," IDS ",\"dial_ms\":-1}"},
        {"dial_ms", "{\"kind\":\"ai_ready\"," IDS ",\"dial_ms\":1.5}"},
        {"role", "{\"kind\":\"message\"," IDS ",\"role\":\"system\",\"text\":\"t\"}"},
        {"text", "{\"kind\":\"message\"," IDS ",\"role\":\"user\",\"text\":5}"},
        {"interrupted",
         "{\"kind\":\"message\"," IDS ",\"role\":\"user\",\"text\":\"t\",\"interrupted\":\"no\"}"},
        {"digit", "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"12\"}"},
        {"digit", "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"\"}"},
        {"digit", "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"x\"}"},
        {"name", "{\"kind\":\"tool_call\"," IDS ",\"call_id\":\"c\"}"},
        {"usage", "{\"kind\":\"usage\"," IDS ",\"usage\":7}"},
        {"reason", "{\"kind\":\"ended\"," IDS ",\"reason\":\"bored\",\"duration_ms\":0}"},
        {"reason", "{\"kind\":\"ended\"," IDS ",\"reason\":\"none\",\"duration_ms\":0}"},
        {"duration_ms", "{\"kind\":\"ended\"," IDS ",\"reason\":\"ai_lost\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct intake_event event;
        const char *wrong = intake_read(span_of(rows[i].json), NULL, &event);
        if (!wrong || strcmp(wrong, rows[i].member) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].json, rows[i].member,
                     wrong ? wrong : "taken");
        assert_null(event.object);
        assert_null(event.body);
    }
}

static void a_ticket_is_taken_out_of_what_is_stored(void **state)
{
    (void)state;
    struct intake_event event;
    char ticket[TICKET_TEXT_BYTES + 1], json[1024];
    memset(ticket, 'T', TICKET_TEXT_BYTES);
    ticket[TICKET_TEXT_BYTES] = '\0';
    snprintf(json, sizeof json,
             "{\"kind\":\"started\"," IDS
             ",\"call_sid\":\"CA1\",\"stream_sid\":\"MZ1\",\"ticket\":\"%s\"}",
             ticket);
    assert_null(intake_read(span_of(json), NULL, &event));
    assert_string_equal(event.ticket, ticket);
    assert_null(strstr(event.body, "TTTT"));
    intake_free(&event);
    snprintf(json, sizeof json, "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"1\",\"ticket\":\"%s\"}",
             ticket);
    assert_null(intake_read(span_of(json), NULL, &event));
    assert_string_equal(event.ticket, "");
    assert_null(strstr(event.body, "TTTT"));
    intake_free(&event);
}

/* An event of exactly so many bytes, and one nested so deeply. */
static const char *read_sized(size_t bytes)
{
    static char json[INTAKE_EVENT_BYTES_MAX + 2];
    static const char head[] = "{\"kind\":\"dtmf\"," IDS ",\"digit\":\"1\",\"x\":\"";
    struct intake_event event;
    memset(json, 'x', bytes);
    memcpy(json, head, strlen(head));
    memcpy(json + bytes - 2, "\"}", 2);
    const char *wrong = intake_read(span_from(json, bytes), NULL, &event);
    if (!wrong)
        intake_free(&event);
    return wrong;
}

static bool reads_depth(size_t depth)
{
    char json[512] = "{\"a\":";
    size_t bytes = strlen(json);
    memset(json + bytes, '[', depth - 1);
    memset(json + bytes + depth - 1, ']', depth - 1);
    snprintf(json + bytes + 2 * (depth - 1), 3, "}");
    json_t *object = json_read_object(span_of(json));
    json_decref(object);
    return object != NULL;
}

static void bounds_of_size_and_depth(void **state)
{
    (void)state;
    assert_null(read_sized(INTAKE_EVENT_BYTES_MAX - 1));
    assert_null(read_sized(INTAKE_EVENT_BYTES_MAX));
    assert_string_equal(read_sized(INTAKE_EVENT_BYTES_MAX + 1), "size");
    assert_true(reads_depth(JSON_READ_DEPTH_MAX - 1));
    assert_true(reads_depth(JSON_READ_DEPTH_MAX));
    assert_false(reads_depth(JSON_READ_DEPTH_MAX + 1));
    json_t *brackets =
        json_read_object(span_of("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}"));
    assert_non_null(brackets); /* in a string they are text */
    json_decref(brackets);
}

static void requests(void **state)
{
    (void)state;
    struct request request;
    static const char http[] = "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/a?b=c?d\","
                               "\"headers\":{\"content-type\":\"x\"},\"deadline_ms\":5000}";
    assert_true(request_read(span_of(http), span_of("body"), &request));
    assert_true(span_is(request.path, "/a") && span_is(request.query, "b=c?d"));
    assert_true(span_is(request.target, "/a?b=c?d") && span_is(request.body, "body"));
    assert_string_equal(request_header(&request, "content-type"), "x");
    assert_null(request_header(&request, "absent"));
    request_free(&request);
    static const char *const wrong[] = {
        "{}",
        "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/\",\"headers\":{}}",
        "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"a\",\"headers\":{},\"deadline_ms\":1}",
        "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/\",\"headers\":[],\"deadline_ms\":1}",
        "{\"kind\":\"http\",\"method\":7,\"target\":\"/\",\"headers\":{},\"deadline_ms\":1}",
        "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/"
        "\",\"headers\":{},\"deadline_ms\":-1}",
        "{\"kind\":\"admit\",\"ticket\":\"t\",\"deadline_ms\":1}",
        "{\"kind\":\"other\",\"deadline_ms\":1}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (request_read(span_of(wrong[i]), span_of(""), &request))
            fail_msg("%s was taken", wrong[i]);
}

static void hellos(void **state)
{
    (void)state;
    struct edge_hello hello;
    static const char right[] =
        "{\"role\":\"edge\",\"name\":\"e\",\"run\":\"" ID "\",\"cores\":1024}";
    assert_null(edge_hello_read(LINK_VERSION, span_of(right), &hello));
    assert_string_equal(hello.name, "e");
    assert_string_equal(hello.run, ID);
    assert_int_equal(hello.cores, 1024);
    assert_non_null(edge_hello_read(LINK_VERSION + 1, span_of(right), &hello));
    static const char *const wrong[] = {
        "{}",
        "{\"role\":\"control\",\"name\":\"e\",\"run\":\"" ID "\",\"cores\":1}",
        "{\"role\":\"edge\",\"name\":\"e\",\"run\":\"x\",\"cores\":1}",
        "{\"role\":\"edge\",\"name\":\"e\",\"run\":\"" ID "\",\"cores\":0}",
        "{\"role\":\"edge\",\"name\":\"e\",\"run\":\"" ID "\",\"cores\":1025}",
        "{\"role\":\"edge\",\"run\":\"" ID "\",\"cores\":1}",
    };
    static const char facts[] = "{\"role\":\"edge\",\"name\":\"e\",\"run\":\"" ID "\",\"cores\":2,"
                                "\"calls_max\":%s,\"stream_url\":\"%s\"}";
    static const char *const told[][3] = {{"7", "wss://one.example.com", "wss://one.example.com"},
                                          {"7", "https://one.example.com", ""},
                                          {"0", "wss://one.example.com", ""},
                                          {"7", "", ""}};
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        char json[512];
        snprintf(json, sizeof json, facts, told[i][0], told[i][1]);
        assert_null(edge_hello_read(LINK_VERSION, span_of(json), &hello));
        assert_int_equal(hello.calls_max, atoi(told[i][0]));
        assert_string_equal(hello.stream_url, told[i][2]);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!edge_hello_read(LINK_VERSION, span_of(wrong[i]), &hello))
            fail_msg("%s was taken", wrong[i]);
}

static void ai_urls(void **state)
{
    (void)state;
    char url[128];
    assert_true(plan_write_url("wss://a/v1", "gpt-realtime_2.1~", url, sizeof url));
    assert_string_equal(url, "wss://a/v1?model=gpt-realtime_2.1~");
    assert_true(plan_write_url("wss://a/v1?x=1", "a b/c:d&\xc3\xa9", url, sizeof url));
    assert_string_equal(url, "wss://a/v1?x=1&model=a%20b%2Fc%3Ad%26%C3%A9");
    for (size_t room = 1; room < 30; room++) {
        char *exact = malloc(room);
        assert_non_null(exact);
        bool fits = plan_write_url("wss://a", "b/c", exact, room);
        assert_int_equal(fits, room > strlen("wss://a?model=b%2Fc"));
        free(exact);
    }
}

static void a_plan_without_tools_that_are_a_list_is_none(void **state)
{
    (void)state;
    const struct options options = {.openai_realtime_url = "wss://a", .websocket_url = "wss://b"};
    struct calls_incoming call = {.model = "m", .tools_json = "{}", .conversation = ID};
    const struct signature_tokens tokens = {.tokens = {"t"}};
    struct plan_facts facts = {.call = &call,
                               .call_sid = "CA1",
                               .account_sid = "AC1",
                               .ticket = "t",
                               .stream_base = "wss://b",
                               .stream_path = "/s",
                               .tokens = &tokens};
    assert_null(plan_write(&options, &facts));
    call.tools_json = "[{\"name\":\"x\"}]";
    json_t *plan = plan_write(&options, &facts);
    assert_non_null(plan);
    json_t *ai = json_object_get(plan, "ai");
    assert_int_equal(json_array_size(json_object_get(ai, "tools")), 1);
    assert_string_equal(json_string_value(json_object_get(ai, "key")), "");
    assert_int_equal(json_array_size(json_object_get(plan, "signatures")), 4);
    json_decref(plan);
}

/* The edge's own reader takes what we write. */
static void the_edge_reads_the_plan(void **state)
{
    (void)state;
    const struct options options = {.openai_realtime_url = "wss://ai.example.com/v1/realtime",
                                    .openai_api_key = "k",
                                    .websocket_url = "wss://calls.example.com"};
    const struct ticket_keys keys = {.current = {1}};
    struct ticket ticket = {.home_core = 3, .expires_at_ms = 1800000000000};
    char text[TICKET_TEXT_BYTES + 1], stream_path[256], error[256];
    assert_true(ticket_mint(&keys, &ticket, text));
    snprintf(stream_path, sizeof stream_path, "/twilio-media-stream/%s", text);
    const struct calls_incoming call = {.conversation = ID,
                                        .organization = ID,
                                        .ai_backend = "openai_realtime",
                                        .model = "gpt-realtime",
                                        .voice = "marin",
                                        .instructions = "Say \"hi\".\n\xc3\xa9",
                                        .greeting = "",
                                        .audio_format = "pcmu",
                                        .language = "en",
                                        .transcription_model = "gpt-4o-transcribe",
                                        .tools_json = "[{\"type\":\"function\",\"name\":\"x\"}]",
                                        .duration_max_s = 3600,
                                        .record = true,
                                        .append_ms = 60,
                                        .greeting_interruptible = false,
                                        .interrupt_after_ms = 11,
                                        .vad_prefix_ms = 12,
                                        .vad_silence_ms = 130,
                                        .vad_threshold_percent = 14,
                                        .session_max_s = 1500};
    const struct signature_tokens tokens = {.tokens = {"a", "b", "c", "d"}};
    const struct plan_facts facts = {.call = &call,
                                     .call_sid = "CA00000000000000000000000000000001",
                                     .account_sid = "AC00000000000000000000000000000001",
                                     .ticket = text,
                                     .home_core = 3,
                                     .expires_at_ms = ticket.expires_at_ms,
                                     .first_seq = plan_write_first_seq(false),
                                     .stream_base = options.websocket_url,
                                     .stream_path = stream_path,
                                     .tokens = &tokens};
    json_t *object = plan_write(&options, &facts);
    char *json = json_dumps(object, JSON_COMPACT);
    struct plan *plan = plan_read(span_of(json), 4, error, sizeof error);
    if (!plan)
        fail_msg("%s", error);
    assert_string_equal(plan->call, ID);
    assert_string_equal(plan->ticket, text);
    assert_int_equal(plan->home_core, 3);
    assert_int_equal(plan->signatures_count, SIGNATURE_STREAM_MAX);
    assert_int_equal(plan->first_seq, facts.first_seq);
    assert_string_equal(plan->ai.host, "ai.example.com");
    assert_string_equal(plan->ai.target, "/v1/realtime?model=gpt-realtime");
    assert_string_equal(plan->ai.instructions, call.instructions);
    assert_string_equal(plan->ai.key, "k");
    assert_true(plan->record);
    assert_int_equal(plan->append_ms, 60);
    assert_false(plan->ai.greeting_interruptible);
    assert_int_equal(plan->ai.interrupt_after_ms, 11);
    assert_int_equal(plan->ai.vad_prefix_ms, 12);
    assert_int_equal(plan->ai.vad_silence_ms, 130);
    assert_int_equal(plan->ai.vad_threshold_percent, 14);
    assert_int_equal(plan->ai.session_max_s, 1500);
    plan_free(plan);
    plan_write_free(json);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_events_are_taken),
        cmocka_unit_test(wrong_events_are_refused),
        cmocka_unit_test(a_ticket_is_taken_out_of_what_is_stored),
        cmocka_unit_test(bounds_of_size_and_depth),
        cmocka_unit_test(requests),
        cmocka_unit_test(hellos),
        cmocka_unit_test(ai_urls),
        cmocka_unit_test(a_plan_without_tools_that_are_a_list_is_none),
        cmocka_unit_test(the_edge_reads_the_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
