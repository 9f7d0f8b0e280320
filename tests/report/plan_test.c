/* What is a plan and what is not. */
#include "common/ticket.h"
#include "edge/limits.h"
#include "edge/report/plan.h"
#include "edge/report/plan_url.h"
#include "tests/report/check.h"
#include "tests/report/link_control.h"

#include <stdio.h>
#include <stdlib.h>

static struct plan *read_changed(const char *changed, const char *value, char error[256])
{
    char *json = plan_json(1, changed, value);
    error[0] = '\0';
    struct plan *plan = plan_read(span_of(json), 4, error, 256);
    assert_true((plan == NULL) == (error[0] != '\0'));
    free(json);
    return plan;
}

static void refuses(const char *changed, const char *value)
{
    char error[256];
    struct plan *plan = read_changed(changed, value, error);
    if (plan)
        fail_msg("taken: %s = %.100s", changed, value ? value : "(missing)");
    const char *dot = strchr(changed, '.');
    if (!strstr(error, dot ? dot + 1 : changed))
        fail_msg("%s: the error does not name it: %s", changed, error);
}

static void takes(const char *changed, const char *value)
{
    char error[256];
    struct plan *plan = read_changed(changed, value, error);
    if (!plan)
        fail_msg("%s = %.100s: %s", changed, value, error);
    plan_free(plan);
}

static void reads_all_of_it(void **state)
{
    (void)state;
    char error[256];
    struct plan *plan = read_changed(NULL, NULL, error);
    assert_non_null(plan);
    assert_string_equal("8f14e45f-ceea-467f-a9d2-0000000000aa", plan->call);
    assert_string_equal("c9f0f895-fb98-4b91-a5ee-0000000000bb", plan->organization);
    assert_string_equal("CA00000000000000000000000000000abc", plan->call_sid);
    assert_string_equal("AC00000000000000000000000000000def", plan->account_sid);
    assert_int_equal(TICKET_TEXT_BYTES, strlen(plan->ticket));
    assert_true(plan->expires_at_ms == 1790000000000);
    assert_int_equal(1, plan->home_core);
    assert_int_equal(2, plan->signatures_count);
    assert_string_equal("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", plan->signatures[0]);
    assert_string_equal("RSOYDt4T1cUTdK1PDd93/VVr8B8=", plan->signatures[1]);
    assert_int_equal(3600, plan->duration_max_s);
    assert_string_equal("api.example.com", plan->ai.host);
    assert_int_equal(443, plan->ai.port);
    assert_true(plan->ai.tls);
    assert_string_equal("/v1/realtime?model=gpt-realtime", plan->ai.target);
    assert_string_equal("sk-test-1", plan->ai.key);
    assert_string_equal("pcmu", plan->ai.format);
    assert_string_equal("gpt-realtime", plan->ai.model);
    assert_string_equal("marin", plan->ai.voice);
    assert_string_equal("Be brief.\nAnd friendly.", plan->ai.instructions);
    assert_string_equal("", plan->ai.greeting);
    assert_string_equal("whisper-1", plan->ai.transcription_model);
    assert_string_equal("en", plan->ai.language);
    assert_string_equal("[{\"type\":\"function\",\"name\":\"end_call\"}]", plan->ai.tools_json);
    plan_forget_key(plan);
    for (size_t i = 0; i < strlen("sk-test-1"); i++)
        assert_int_equal(0, plan->ai.key[i]);
    plan_forget_key(plan); /* again is fine */
    plan_free(plan);
    plan_free(NULL);
}

static void refuses_a_missing_or_mistyped_member(void **state)
{
    (void)state;
    static const char *const members[] = {
        "call",
        "organization",
        "call_sid",
        "account_sid",
        "ticket",
        "expires_at_ms",
        "home_core",
        "signatures",
        "duration_max_s",
        "ai",
        "ai.backend",
        "ai.url",
        "ai.key",
        "ai.format",
        "ai.model",
        "ai.voice",
        "ai.instructions",
        "ai.greeting",
        "ai.transcription_model",
        "ai.language",
        "ai.tools",
    };
    static const char *const wrong[] = {NULL, "null", "true", "1.5", "{}", "[[]]"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++)
            if (strcmp(members[i], "ai") != 0 || !wrong[j] || strcmp(wrong[j], "{}") != 0)
                refuses(members[i], wrong[j]);
}

static void refuses_wrong_shapes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"call", "\"\""},
        {"call", "\"8f14e45f-ceea-467f-a9d2-0000000000a\""},
        {"call", "\"8f14e45f-ceea-467f-a9d2-0000000000aab\""},
        {"call", "\"8F14E45F-CEEA-467F-A9D2-0000000000AA\""},
        {"call", "\"8f14e45fxceea-467f-a9d2-0000000000aa\""},
        {"call", "\"8f14e45f-ceea-467f-a9d2-00000000\\r\\na\""},
        {"organization", "\"{8f14e45f-ceea-467f-a9d2-0000000000}\""},
        {"call_sid", "\"AC00000000000000000000000000000abc\""},
        {"call_sid", "\"CA0000000000000000000000000000abc\""},
        {"call_sid", "\"CA0000000000000000000000000000xabc\""},
        {"account_sid", "\"CA00000000000000000000000000000abc\""},
        {"ticket", "\"\""},
        {"ticket", "\"AQAAAQ\""},
        {"expires_at_ms", "0"},
        {"expires_at_ms", "-5"},
        {"home_core", "-1"},
        {"home_core", "4"},
        {"home_core", "4294967297"},
        {"home_core", "2"}, /* and the ticket says 1: refused as ticket's doing */
        {"duration_max_s", "0"},
        {"duration_max_s", "86401"},
        {"signatures", "[\"short=\"]"},
        {"signatures", "[\"0/KCTR6DLpKmkAf8muzZqo1nDgQQ\"]"},
        {"signatures", "[\"0/KCTR6DLpKmkAf8muzZqo1nDg==\"]"},
        {"signatures", "[\"0/KCTR6DLpKmkAf8muzZqo1n\\r\\nQ=\"]"},
        {"ai.backend", "\"other\""},
        {"ai.format", "\"opus\""},
        {"ai.format", "\"\""},
        {"ai.model", "\"\""},
        {"ai.voice", "\"\""},
        {"ai.key", "\"a b\""},
        {"ai.key", "\"a\\r\\nx-evil: 1\""},
        {"ai.key", "\"a\\u007f\""},
        {"ai.key", "\"k\\u00e9y\""},
        {"ai.tools", "[1]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuses(cases[i][0], cases[i][1]);
}

/* Each bound at n and n + 1. */
static void refuses_what_is_too_long(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        int max;
    } bounds[] = {
        {"ai.key", PLAN_KEY_BYTES_MAX},
        {"ai.model", PLAN_NAME_BYTES_MAX},
        {"ai.voice", PLAN_NAME_BYTES_MAX},
        {"ai.transcription_model", PLAN_NAME_BYTES_MAX},
        {"ai.language", PLAN_NAME_BYTES_MAX},
        {"ai.greeting", PLAN_GREETING_BYTES_MAX},
        {"ai.instructions", PLAN_INSTRUCTIONS_BYTES_MAX},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        for (int over = 0; over <= 1; over++) {
            char *value;
            assert_true(asprintf(&value, "\"%0*d\"", bounds[i].max + over, 0) > 0);
            (over ? refuses : takes)(bounds[i].member, value);
            free(value);
        }
    char tools[8 * (PLAN_TOOLS_MAX + 1) + 8] = "[{}", signatures[64 * (PLAN_SIGNATURES_MAX + 1)];
    for (int i = 1; i < PLAN_TOOLS_MAX; i++)
        strcat(tools, ",{}");
    strcat(tools, "]");
    takes("ai.tools", tools);
    strcpy(strrchr(tools, ']'), ",{}]");
    refuses("ai.tools", tools);
    strcpy(signatures, "[\"0/KCTR6DLpKmkAf8muzZqo1nDgQ=\"");
    for (int i = 1; i < PLAN_SIGNATURES_MAX; i++)
        strcat(signatures, ",\"0/KCTR6DLpKmkAf8muzZqo1nDgQ=\"");
    strcat(signatures, "]");
    takes("signatures", signatures);
    strcpy(strrchr(signatures, ']'), ",\"0/KCTR6DLpKmkAf8muzZqo1nDgQ=\"]");
    refuses("signatures", signatures);
    takes("signatures", "[]");
    takes("ai.tools", "[]");
}

static void bounds_large_tools(void **state)
{
    (void)state;
    char *value;
    int frame = (int)strlen("[{\"a\":\"\"}]");
    for (int over = 0; over <= 1; over++) {
        assert_true(asprintf(&value, "[{\"a\":\"%0*d\"}]", PLAN_TOOLS_BYTES_MAX - frame + over, 0) >
                    0);
        (over ? refuses : takes)("ai.tools", value);
        free(value);
    }
}

static void refuses_what_is_no_object(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "null",
                                        "[]",       "3",
                                        "{",        "{}x",
                                        "\"plan\"", "{\"a\":1,\"a\":1}",
                                        "\xff",     "{\"call\":\"\\ud800\"}"};
    char error[256];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        error[0] = '\0';
        if (plan_read(span_of(texts[i]), 4, error, sizeof error) || !error[0])
            fail_msg("taken: %s", texts[i]);
    }
    char *json = plan_json(1, NULL, NULL), *doubled;
    assert_true(asprintf(&doubled, "{\"call\":\"x\",%s", json + 1) > 0);
    assert_null(plan_read(span_of(doubled), 4, error, sizeof error));
    free(doubled);
    free(json);
}

struct url_case {
    const char *url, *host, *target;
    uint16_t port;
    bool tls;
};

static void takes_urls_apart(void **state)
{
    (void)state;
    static const struct url_case cases[] = {
        {"wss://api.example.com", "api.example.com", "/", 443, true},
        {"wss://api.example.com/", "api.example.com", "/", 443, true},
        {"wss://api.example.com:8443/v1?a=b&c=%20", "api.example.com", "/v1?a=b&c=%20", 8443, true},
        {"wss://a?x=1", "a", "/?x=1", 443, true},
        {"wss://192.0.2.1:1/x", "192.0.2.1", "/x", 1, true},
        {"wss://[2001:db8::1]:65535/x", "2001:db8::1", "/x", 65535, true},
        {"wss://[2001:db8::1]", "2001:db8::1", "/", 443, true},
        {"ws://127.0.0.1:9000/v1", "127.0.0.1", "/v1", 9000, false},
        {"ws://127.255.255.254/v1", "127.255.255.254", "/v1", 80, false},
        {"ws://localhost:1/", "localhost", "/", 1, false},
        {"ws://[::1]:9000", "::1", "/", 9000, false},
        {"wss://a/b?c=http://d/e", "a", "/b?c=http://d/e", 443, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan_url url;
        const char *wrong = plan_url_read(cases[i].url, &url);
        if (wrong)
            fail_msg("%s: %s", cases[i].url, wrong);
        assert_string_equal(cases[i].host, url.host);
        assert_string_equal(cases[i].target, url.target);
        assert_int_equal(cases[i].port, url.port);
        assert_true(cases[i].tls == url.tls);
    }
}

static void refuses_urls(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "a",
        "wss:",
        "wss://",
        "wss:///path",
        "https://a/",
        "http://127.0.0.1/",
        "WSS://a/",
        "wss://user@a/",
        "wss://u:p@a/",
        "wss://a#f",
        "wss://a/b#f",
        "wss://a b/",
        "wss://a/ b",
        "wss://a/\r\nX: 1",
        "wss://a\r\n/",
        "wss://a/\x7f",
        "wss://a/\xc3\xa9",
        "wss://\xc3\xa9/",
        "wss://a:0/",
        "wss://a:65536/",
        "wss://a:99999/",
        "wss://a:123456/",
        "wss://a:/",
        "wss://a:1x/",
        "wss://a:-1/",
        "wss://a:+1/",
        "wss://[::1",
        "wss://[::1]x/",
        "wss://[a]/",
        "wss://[]/",
        "wss://[127.0.0.1]/",
        "wss://[fe80::1%25eth0]/",
        "wss://a..b/",
        "wss://.a/",
        "wss://a./",
        "wss://-a/",
        "wss://a\\b/",
        "wss://a%2e/",
        "wss://[::1]:",
        "wss://a:80:80/",
        "ws://example.com/",
        "ws://128.0.0.1/",
        "ws://126.255.255.255/",
        "ws://0.0.0.0/",
        "ws://10.0.0.1/",
        "ws://127.1/",
        "ws://2130706433/",
        "ws://0x7f000001/",
        "ws://[::]/",
        "ws://[::ffff:127.0.0.1]/",
        "ws://localhost.example.com/",
        "ws://127.0.0.1.example.com/",
        "ws://localhost./",
        "ws://127.0.0.1@example.com/",
    };
    struct plan_url url;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        if (!plan_url_read(urls[i], &url))
            fail_msg("taken: %s as %s", urls[i], url.host);
}

static void bounds_urls(void **state)
{
    (void)state;
    struct plan_url url;
    char text[PLAN_TARGET_BYTES_MAX + 64];
    char label[64];
    snprintf(text, sizeof text, "wss://a/%0*d", PLAN_TARGET_BYTES_MAX - 1, 0);
    assert_null(plan_url_read(text, &url));
    assert_int_equal(PLAN_TARGET_BYTES_MAX, strlen(url.target));
    strcat(text, "0");
    assert_non_null(plan_url_read(text, &url));
    snprintf(text, sizeof text, "wss://a?%0*d", PLAN_TARGET_BYTES_MAX - 2, 0);
    assert_null(plan_url_read(text, &url));
    assert_int_equal(PLAN_TARGET_BYTES_MAX, strlen(url.target));
    strcat(text, "0");
    assert_non_null(plan_url_read(text, &url));
    snprintf(label, sizeof label, "%063d", 0);
    snprintf(text, sizeof text, "wss://%s.%s.%s.%.61s/", label, label, label, label); /* 253 */
    assert_null(plan_url_read(text, &url));
    snprintf(text, sizeof text, "wss://%s.%s.%s.%.62s/", label, label, label, label);
    assert_non_null(plan_url_read(text, &url));
    snprintf(text, sizeof text, "wss://%064d/", 0);
    assert_non_null(plan_url_read(text, &url));
    snprintf(text, sizeof text, "wss://%0300d/", 0);
    assert_non_null(plan_url_read(text, &url));
}

/* The one member that may be missing: an edge that never heard of it counts from 0. */
static void numbers_events_from_first_seq(void **state)
{
    (void)state;
    char error[256];
    struct plan *plan = read_changed(NULL, NULL, error);
    assert_non_null(plan);
    assert_int_equal(0, plan->first_seq);
    plan_free(plan);
    plan = read_changed("first_seq", "4711", error);
    assert_non_null(plan);
    assert_int_equal(4711, plan->first_seq);
    plan_free(plan);
    takes("first_seq", "0");
    refuses("first_seq", "-1");
    refuses("first_seq", "\"7\"");
    refuses("first_seq", "null");
    refuses("first_seq", "9223372036854775807"); /* what is added to it must not overflow */
}

/* What an organisation may choose: absent is the default, and each range at both of its ends. */
static void reads_how_a_call_feels(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        int least, most;
    } ranges[] = {
        {"ai.interrupt_after_ms", 0, PLAN_INTERRUPT_AFTER_MS_MAX},
        {"ai.vad_prefix_ms", 0, PLAN_VAD_PREFIX_MS_MAX},
        {"ai.vad_silence_ms", 100, PLAN_VAD_SILENCE_MS_MAX},
        {"ai.vad_threshold_percent", 0, 100},
        {"ai.session_max_s", PLAN_SESSION_S_MIN, PLAN_DURATION_S_MAX},
    };
    static const char *const wrong[] = {"null", "true", "1.5", "\"20\"", "{}", "[20]", "1e3"};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        char value[32];
        for (int by = -1; by <= 1; by++) {
            snprintf(value, sizeof value, "%d", ranges[i].least + by);
            (by < 0 ? refuses : takes)(ranges[i].member, value);
            snprintf(value, sizeof value, "%d", ranges[i].most + by);
            (by > 0 ? refuses : takes)(ranges[i].member, value);
        }
        for (size_t j = 0; j < sizeof wrong / sizeof wrong[0]; j++)
            refuses(ranges[i].member, wrong[j]);
    }
    static const char *const appends[] = {"0",  "19", "21",  "39",  "41",     "59",  "61",
                                          "80", "99", "101", "-20", "\"20\"", "null"};
    for (size_t i = 0; i < sizeof appends / sizeof appends[0]; i++)
        refuses("append_ms", appends[i]);
    static const char *const truths[] = {"null", "1", "\"true\"", "[]"};
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++) {
        refuses("record", truths[i]);
        refuses("ai.greeting_interruptible", truths[i]);
    }
}

static void feels_as_chosen(void **state)
{
    (void)state;
    char error[256];
    struct plan *plan = read_changed(NULL, NULL, error);
    assert_non_null(plan);
    assert_int_equal(20, plan->append_ms);
    assert_false(plan->record);
    assert_true(plan->ai.greeting_interruptible);
    assert_int_equal(0, plan->ai.interrupt_after_ms);
    assert_int_equal(300, plan->ai.vad_prefix_ms);
    assert_int_equal(500, plan->ai.vad_silence_ms);
    assert_int_equal(50, plan->ai.vad_threshold_percent);
    assert_int_equal(PLAN_SESSION_S, plan->ai.session_max_s);
    plan_free(plan);
    static const unsigned appends[] = {20, 40, 60, 100};
    for (size_t i = 0; i < sizeof appends / sizeof appends[0]; i++) {
        char value[8];
        snprintf(value, sizeof value, "%u", appends[i]);
        plan = read_changed("append_ms", value, error);
        assert_non_null(plan);
        assert_int_equal(appends[i], plan->append_ms);
        plan_free(plan);
    }
    plan = read_changed("ai.greeting_interruptible", "false", error);
    assert_non_null(plan);
    assert_false(plan->ai.greeting_interruptible);
    plan_free(plan);
    plan = read_changed("ai.vad_threshold_percent", "75", error);
    assert_non_null(plan);
    assert_int_equal(75, plan->ai.vad_threshold_percent);
    plan_free(plan);
}

static void reads_how_long_tools_may_take(void **state)
{
    (void)state;
    char error[256];
    struct plan *plan = read_changed(
        "ai.tool_waits",
        "[{\"name\":\"a\"},{\"name\":\"b\",\"interim_ms\":0,\"deadline_ms\":1000,\"at_edge\":null},"
        "{\"name\":\"c\",\"at_edge\":\"end_call\"},{\"name\":\"d\",\"at_edge\":\"collect_digits\"}"
        "]",
        error);
    assert_non_null(plan);
    assert_int_equal(4, plan->ai.tools_count);
    assert_int_equal(TOOL_INTERIM_MS, plan->ai.tools[0].interim_ms);
    assert_int_equal(TOOL_DEADLINE_MS, plan->ai.tools[0].deadline_ms);
    assert_string_equal("b", plan->ai.tools[1].name);
    assert_int_equal(0, plan->ai.tools[1].interim_ms);
    assert_int_equal(1000, plan->ai.tools[1].deadline_ms);
    assert_int_equal(PLAN_TOOL_AT_CONTROL, plan->ai.tools[1].place);
    assert_int_equal(PLAN_TOOL_END_CALL, plan->ai.tools[2].place);
    assert_int_equal(PLAN_TOOL_COLLECT_DIGITS, plan->ai.tools[3].place);
    plan_free(plan);
    static const char *const wrong[] = {
        "{}",
        "[1]",
        "[{}]",
        "[{\"name\":\"\"}]",
        "[{\"name\":\"a\",\"interim_ms\":-1}]",
        "[{\"name\":\"a\",\"deadline_ms\":999}]",
        "[{\"name\":\"a\",\"deadline_ms\":300001}]",
        "[{\"name\":\"a\",\"at_edge\":\"transfer\"}]",
        "[{\"name\":\"a\",\"at_edge\":1}]",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_null(read_changed("ai.tool_waits", wrong[i], error));
}

static char *many_waits(unsigned count, unsigned name_bytes)
{
    char *json = malloc(2 + count * (name_bytes + 16)), *at = json;
    *at++ = '[';
    for (unsigned i = 0; i < count; i++)
        at += sprintf(at, "%s{\"name\":\"%0*u\"}", i ? "," : "", (int)name_bytes, i);
    strcpy(at, "]");
    return json;
}

static void bounds_tools(void **state)
{
    (void)state;
    for (unsigned by = 0; by <= 1; by++) {
        char *waits = many_waits(PLAN_TOOLS_MAX + by, PLAN_TOOL_NAME_BYTES_MAX);
        (by ? refuses : takes)("ai.tool_waits", waits);
        free(waits);
        waits = many_waits(1, PLAN_TOOL_NAME_BYTES_MAX + by);
        char error[256];
        struct plan *plan = read_changed("ai.tool_waits", waits, error);
        assert_true((plan != NULL) == (by == 0));
        plan_free(plan);
        free(waits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_how_long_tools_may_take),
        cmocka_unit_test(bounds_tools),
        cmocka_unit_test(reads_all_of_it),
        cmocka_unit_test(numbers_events_from_first_seq),
        cmocka_unit_test(refuses_a_missing_or_mistyped_member),
        cmocka_unit_test(reads_how_a_call_feels),
        cmocka_unit_test(feels_as_chosen),
        cmocka_unit_test(refuses_wrong_shapes),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(bounds_large_tools),
        cmocka_unit_test(refuses_what_is_no_object),
        cmocka_unit_test(takes_urls_apart),
        cmocka_unit_test(refuses_urls),
        cmocka_unit_test(bounds_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
