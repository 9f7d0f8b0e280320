/* Functions that AIs call, against a real PostgreSQL and a real server of others (http_server.py):
 * carried out once, with what came of it on record in words that an AI can explain. */
#include "tests/control/database.h"

#include "common/clock.h"
#include "control/jobs/kinds.h"
#include "control/store/appointments.h"
#include "control/store/events.h"
#include "control/tools/tool_http.h"
#include "control/tools/tool_kind.h"
#include "control/tools/tool_pool.h"
#include "control/tools/tool_schema.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN      "11111111-1111-4111-8111-111111111111"
#define RUN_DEAD "22222222-2222-4222-8222-222222222222"
#define EDGE     "33333333-3333-4333-8333-333333333333"
#define ACCOUNT  "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY      "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"

static struct options options;
static struct db *db;
static char acme[37], beta[37], voice[37], text[37], directory[64], allowed[64], base[64];
static int port, to_server;
static pid_t server;
static int64_t last_seq;

/* ---- the world ---- */

static int start_server(void)
{
    int in[2], out[2];
    signal(SIGPIPE, SIG_IGN);
    strcpy(directory, "/tmp/ringbridge-tool.XXXXXX");
    if (!mkdtemp(directory) || pipe(in) != 0 || pipe(out) != 0)
        return -1;
    server = fork();
    if (server == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        execl("tests/control/http_server.py", "http_server.py", directory, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_server = in[1];
    FILE *told = fdopen(out[0], "r");
    int read = fscanf(told, "%d", &port);
    fclose(told);
    return read == 1 ? 0 : -1;
}

static void conversation(const char *organization, const char *channel, const char *session,
                         char id[37])
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "INSERT INTO conversations (organization_id, session_id, channel, account_sid, "
             "call_sid, call_status, from_number, to_number) VALUES ('%s', '%s', '%s', '" ACCOUNT
             "', %s, %s, '+15550177', '+15550100')",
             organization, session, channel,
             strcmp(channel, "voice") == 0 ? "'CA' || md5(random()::text)" : "NULL",
             strcmp(channel, "voice") == 0 ? "'in-progress'" : "NULL");
    database_do(sql);
    snprintf(sql, sizeof sql, "SELECT id FROM conversations WHERE session_id = '%s'", session);
    snprintf(id, 37, "%s", database_ask(sql));
}

static int begin(void **state)
{
    char error[256];
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", acme);
    database_organization("Beta", "+15550101", beta);
    conversation(acme, "voice", "twilio_1", voice);
    conversation(acme, "sms", "sms_1", text);
    db = database_serving(NULL);
    if (!seal_open(&options.seal, KEY, NULL, error, sizeof error) || start_server() != 0)
        return -1;
    snprintf(allowed, sizeof allowed, "localhost:%d", port);
    snprintf(base, sizeof base, "http://localhost:%d", port);
    options.allow_private = allowed;
    options.account_sid = ACCOUNT;
    options.auth_token = "token";
    return 0;
}

static int end(void **state)
{
    char command[128];
    (void)state;
    db_close(db);
    close(to_server);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static int clear(void **state)
{
    (void)state;
    database_do("DELETE FROM appointments; DELETE FROM left_messages; DELETE FROM text_messages; "
                "DELETE FROM jobs; DELETE FROM tool_calls; DELETE FROM tools; DELETE FROM "
                "availability; UPDATE conversations SET next_step = NULL;");
    return 0;
}

static void tool_for(const char *organization, const char *name, const char *action,
                     const char *settings, const char *parameters, unsigned tries)
{
    struct db *admin = database_admin();
    const struct tools_new tool = {.name = name,
                                   .description = "Does it.",
                                   .action = action,
                                   .parameters_json =
                                       parameters ? parameters : "{\"type\":\"object\"}",
                                   .settings_json = settings ? settings : "{}",
                                   .channels = "{voice,sms}",
                                   .tries_max = tries,
                                   .timeout_ms = 500,
                                   .deadline_ms = 20000,
                                   .interim_ms = 4000,
                                   .position = 100};
    if (tools_put(admin, organization, &tool) != DB_OK)
        fail_msg("%s", db_error(admin));
    db_close(admin);
}

static void tool(const char *name, const char *action, const char *settings)
{
    tool_for(acme, name, action, settings, NULL, 1);
}

static void http_tool(const char *name, const char *method, const char *path, unsigned tries)
{
    char settings[512];
    snprintf(settings, sizeof settings, "{\"method\":\"%s\",\"url\":\"%s%s%s\"}", method,
             path[0] == '/' ? base : "", path[0] == '/' ? "" : "http://", path);
    tool_for(acme, name, "http", settings, NULL, tries);
}

/* An event of the edge; its number. */
static int64_t called_at(const char *name, const char *arguments, int64_t at_ms)
{
    int64_t seq = ++last_seq;
    json_t *body = json_pack("{s:s, s:s, s:s, s:b, s:s}", "call_id", "call_x", "name", name,
                             "arguments", arguments, "at_edge", 0, "edge_run", EDGE);
    char *written = json_dumps(body, 0);
    const struct events_event event = {.organization = acme,
                                       .call = voice,
                                       .kind = "tool_call",
                                       .seq = seq,
                                       .at_ms = at_ms,
                                       .body_json = written};
    enum events_taken taken;
    assert_int_equal(events_take(db, &event, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_STORED);
    assert_int_equal(events_take(db, &event, &taken), DB_OK); /* sent again */
    assert_int_equal(taken, EVENTS_DOUBLE);
    free(written);
    json_decref(body);
    return seq;
}

static int64_t called(const char *name, const char *arguments)
{
    return called_at(name, arguments, clock_wall_ms());
}

static struct tool_pool *open_pool(unsigned workers, struct tool_figures *figures)
{
    char error[256];
    const struct tool_pool_config config = {.workers = workers,
                                            .options = &options,
                                            .run = RUN,
                                            .db = db_config_serving(database_url(), NULL),
                                            .figures = figures};
    struct tool_pool *pool = tool_pool_open(&config, error, sizeof error);
    if (!pool)
        fail_msg("%s", error);
    return pool;
}

static void await(const char *sql, const char *answer)
{
    uint64_t until_ns = clock_monotonic_ns() + UINT64_C(60000000000);
    while (strcmp(database_ask(sql), answer) != 0) {
        if (clock_monotonic_ns() > until_ns)
            fail_msg("%s never became %s but %s", sql, answer, database_ask(sql));
        usleep(20000); /* between two questions */
    }
}

/* Carries out everything that waits. */
static void carry_out(void)
{
    struct tool_pool *pool = open_pool(4, NULL);
    tool_pool_wake(pool, 4);
    await("SELECT count(*) FROM tool_calls WHERE state NOT IN ('done', 'failed')", "0");
    tool_pool_close(pool);
}

static const char *output(int64_t seq)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT output FROM tool_calls WHERE number = %lld", (long long)seq);
    return database_ask(sql);
}

static void expect(int64_t seq, const char *piece)
{
    if (!strstr(output(seq), piece))
        fail_msg("no \"%s\" in %s", piece, output(seq));
}

/* ---- arguments ---- */

static void schemas_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *why; /* NULL: it is one */
    } cases[] = {
        {"{\"type\":\"object\"}", NULL},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"string\",\"null\"]}},"
         "\"required\":"
         "[\"a\"],\"additionalProperties\":false}",
         NULL},
        {"[]", "must be a schema"},
        {"{\"type\":\"string\"}", "must be a schema"},
        {"{\"type\":\"object\",\"properties\":[]}", "properties that are no object"},
        {"{\"type\":\"object\",\"properties\":{\"a\":1}}", "a is no schema"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"text\"}}}", "a has a type that"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"pattern\":\"x\"}}}", "a uses pattern"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"items\":{\"$ref\":\"#\"}}}}", "uses $ref"},
        {"{\"type\":\"object\",\"required\":\"a\"}", "required that is no list"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"minLength\":-1}}}", "no count"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"minimum\":\"1\"}}}", "no number"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[]}}}", "enum that is no list"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[1]}}}", "is no schema"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[TOOL_SCHEMA_WORDS] = "";
        json_t *schema = json_loads(cases[i].schema, 0, NULL);
        bool good = tool_schema_check(schema, error, sizeof error);
        if (good != !cases[i].why || (cases[i].why && !strstr(error, cases[i].why)))
            fail_msg("%s: %s", cases[i].schema, error);
        json_decref(schema);
    }
}

/* n levels of arrays around a string. */
static json_t *nested(unsigned depth)
{
    json_t *schema = json_pack("{s:s}", "type", "string");
    for (unsigned i = 0; i < depth; i++)
        schema = json_pack("{s:s, s:o}", "type", "array", "items", schema);
    return json_pack("{s:s, s:{s:o}}", "type", "object", "properties", "a", schema);
}

static void schemas_have_bounds(void **state)
{
    (void)state;
    char error[TOOL_SCHEMA_WORDS], *long_name = calloc(1, TOOL_SCHEMA_BYTES_MAX + 1);
    for (unsigned by = 0; by <= 1; by++) {
        json_t *schema = nested(TOOL_SCHEMA_DEPTH_MAX - 1 + by);
        assert_int_equal(tool_schema_check(schema, error, sizeof error), by == 0);
        json_decref(schema);
        schema = json_pack("{s:s, s:s}", "type", "object", "title", "");
        char *written = json_dumps(schema, JSON_COMPACT);
        memset(long_name, 'x', TOOL_SCHEMA_BYTES_MAX - strlen(written) + by);
        long_name[TOOL_SCHEMA_BYTES_MAX - strlen(written) + by] = '\0';
        json_object_set_new(schema, "title", json_string(long_name));
        assert_int_equal(tool_schema_check(schema, error, sizeof error), by == 0);
        free(written);
        json_decref(schema);
    }
    free(long_name);
    json_t *numbers = json_array(), *schema = nested(0), *arguments = json_object();
    for (unsigned i = 0; i < TOOL_SCHEMA_STEPS_MAX; i++)
        json_array_append_new(numbers, json_integer(1));
    json_object_set_new(arguments, "a", numbers);
    json_decref(schema);
    schema = json_loads("{\"type\":\"object\",\"properties\":{\"a\":{\"items\":{}}}}", 0, NULL);
    assert_false(tool_schema_judge(schema, arguments, error, sizeof error));
    assert_non_null(strstr(error, "too many values"));
    json_decref(schema);
    json_decref(arguments);
}

#define SCHEMA(members)                                                                            \
    "{\"type\":\"object\",\"properties\":{\"a\":{" members "}},\"required\":[\"a\"]}"

static void arguments_are_judged_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *arguments, *why; /* NULL: they fit */
    } cases[] = {
        {SCHEMA("\"type\":\"string\""), "{\"a\":\"x\"}", NULL},
        {SCHEMA("\"type\":\"string\""), "{\"a\":1}", "a must be of type string"},
        {SCHEMA("\"type\":\"string\""), "{}", "a is needed"},
        {SCHEMA("\"type\":\"string\""), "", "a is needed"},
        {SCHEMA("\"type\":\"string\""), "[1]", "not a JSON object"},
        {SCHEMA("\"type\":\"string\""), "{\"a\":\"x\"", "not a JSON object"},
        {SCHEMA("\"type\":\"string\""), "{\"a\":\"x\",\"a\":\"y\"}", "not a JSON object"},
        {SCHEMA("\"type\":[\"string\",\"null\"]"), "{\"a\":null}", NULL},
        {SCHEMA("\"type\":[\"string\",\"null\"]"), "{\"a\":1}", "a must be of type string or null"},
        {SCHEMA("\"type\":\"integer\",\"minimum\":1,\"maximum\":3"), "{\"a\":3}", NULL},
        {SCHEMA("\"type\":\"integer\""), "{\"a\":3.0}", NULL},
        {SCHEMA("\"type\":\"integer\""), "{\"a\":3.5}", "must be of type integer"},
        {SCHEMA("\"minimum\":1,\"maximum\":3"), "{\"a\":0}", "a must be at least 1"},
        {SCHEMA("\"minimum\":1,\"maximum\":3"), "{\"a\":4}", "a must be at most 3"},
        {SCHEMA("\"exclusiveMinimum\":1"), "{\"a\":1}", "a must be more than 1"},
        {SCHEMA("\"exclusiveMaximum\":1"), "{\"a\":1}", "a must be less than 1"},
        {SCHEMA("\"maxLength\":2"), "{\"a\":\"\\u00fc\\u00fc\"}", NULL},
        {SCHEMA("\"maxLength\":2"), "{\"a\":\"xxx\"}", "a must have at most 2 characters"},
        {SCHEMA("\"minLength\":1"), "{\"a\":\"\"}", "a must have at least 1 characters"},
        {SCHEMA("\"enum\":[\"mon\",\"tue\"]"), "{\"a\":\"tue\"}", NULL},
        {SCHEMA("\"enum\":[\"mon\",\"tue\"]"), "{\"a\":\"x\"}",
         "a must be one of [\"mon\",\"tue\"]"},
        {SCHEMA("\"const\":1"), "{\"a\":2}", "fixed value"},
        {SCHEMA("\"format\":\"date\""), "{\"a\":\"2026-11-23\"}", NULL},
        {SCHEMA("\"format\":\"date\""), "{\"a\":\"tomorrow\"}",
         "a must be written like 2026-11-23"},
        {SCHEMA("\"items\":{\"type\":\"string\"},\"maxItems\":2"), "{\"a\":[\"x\",1]}",
         "a[1] must be of type string"},
        {SCHEMA("\"maxItems\":2"), "{\"a\":[1,2,3]}", "a must have at most 2 items"},
        {SCHEMA("\"properties\":{\"b\":{\"type\":\"string\"}}"), "{\"a\":{\"b\":1}}",
         "a.b must be of type string"},
        {SCHEMA("\"additionalProperties\":false"), "{\"a\":{\"c\":1}}", "a.c is not known here"},
        {SCHEMA("\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]"), "{\"a\":4}", NULL},
        {SCHEMA("\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]"), "{\"a\":2}", "is none of"},
        {SCHEMA("\"remark\":\"x\""), "{\"a\":{\"b\":[]},\"z\":1}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[TOOL_SCHEMA_WORDS] = "";
        json_t *arguments =
            tool_run_arguments(cases[i].arguments, cases[i].schema, error, sizeof error);
        if (!arguments != (cases[i].why != NULL) || (cases[i].why && !strstr(error, cases[i].why)))
            fail_msg("%s %s: %s", cases[i].schema, cases[i].arguments, error);
        json_decref(arguments);
    }
}

static void urls_are_filled_in_behind_the_host(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *arguments, *url; /* NULL: refused */
    } cases[] = {
        {"https://a/x", "{}", "https://a/x"},
        {"https://a/{b}/c", "{\"b\":\"1/2 \\u00fc\"}", "https://a/1%2F2%20%C3%BC/c"},
        {"https://a/{b}", "{\"b\":7,\"c\":true,\"d\":null,\"e\":1.5}", "https://a/7?c=true&e=1.5"},
        {"https://a/?k=1", "{\"b\":\"x&y\"}", "https://a/?k=1&b=x%26y"},
        {"https://a/{b}", "{}", NULL},
        {"https://a/{b}", "{\"b\":\"\"}", NULL},
        {"https://a/{b}", "{\"b\":\"..\"}", NULL},
        {"https://a/{b}", "{\"b\":{}}", NULL},
        {"https://a/{b", "{\"b\":1}", NULL},
        {"https://a/", "{\"b\":[1]}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[128], error[256] = "";
        json_t *arguments = json_loads(cases[i].arguments, 0, NULL);
        bool good =
            tool_http_url(cases[i].pattern, arguments, true, url, sizeof url, error, sizeof error);
        if (good != !!cases[i].url || (good && strcmp(url, cases[i].url) != 0))
            fail_msg("%s %s: %s %s", cases[i].pattern, cases[i].arguments, url, error);
        json_decref(arguments);
    }
    static const char *const settings[] = {
        "{\"method\":\"GET\",\"url\":\"https://{host}/\"}",
        "{\"method\":\"GET\",\"url\":\"ftp://a\"}", "{\"method\":\"get\",\"url\":\"https://a\"}",
        "{\"method\":\"GET\"}", "{\"method\":\"GET\",\"url\":\"https://a{b}\"}"};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        char error[256];
        json_t *object = json_loads(settings[i], 0, NULL);
        assert_false(tool_kind_check(TOOL_HTTP, object, error, sizeof error));
        json_decref(object);
    }
}

static void headers_are_what_may_be_sent(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]",
                                      "{\"A\":1}",
                                      "{\"A b\":\"c\"}",
                                      "{\"A\":\"b\\nC: d\"}",
                                      "{\"\":\"x\"}",
                                      "{\"Host\":\"x\"}",
                                      "{\"idempotency-key\":\"x\"}"};
    char error[256];
    json_t *good = json_loads("{\"Authorization\":\"Bearer a b\"}", 0, NULL);
    assert_true(tool_http_check_headers(good, error, sizeof error));
    json_decref(good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *headers = json_loads(bad[i], 0, NULL);
        if (tool_http_check_headers(headers, error, sizeof error))
            fail_msg("%s", bad[i]);
        json_decref(headers);
    }
}

/* ---- requests ---- */

static void a_request_says_whose_it_is(void **state)
{
    (void)state;
    char context[TOOLS_CONTEXT_MAX];
    static const char headers[] = "{\"Authorization\":\"Bearer secret\"}";
    uint8_t sealed[128];
    tools_context(acme, "ask", context);
    assert_true(seal_close(&options.seal, context, span_of(headers), sealed));
    http_tool("ask", "POST", "/echo", 1);
    char *hex = malloc(2 * sizeof sealed + 128), *at = hex;
    at += sprintf(at, "UPDATE tools SET headers_sealed = '\\x");
    for (size_t i = 0; i < strlen(headers) + SEAL_OVERHEAD_BYTES; i++)
        at += sprintf(at, "%02x", sealed[i]);
    sprintf(at, "'");
    database_do(hex);
    free(hex);
    int64_t seq = called("ask", "{\"day\":\"mon\",\"n\":[1,2]}");
    carry_out();
    expect(seq, "\"ok\": true");
    expect(seq, "\"method\": \"POST\"");
    expect(seq, "\"Authorization\": \"Bearer secret\"");
    expect(seq, "\\\"arguments\\\":{\\\"day\\\":\\\"mon\\\",\\\"n\\\":[1,2]}");
    expect(seq, "\\\"from\\\":\\\"+15550177\\\",\\\"to\\\":\\\"+15550100\\\"");
    expect(seq, "\\\"channel\\\":\\\"voice\\\"");
    char key[128];
    snprintf(key, sizeof key, "\"Idempotency-Key\": \"%s\"",
             database_ask("SELECT id FROM tool_calls"));
    expect(seq, key);
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
        http_tool(cases[i].name, "GET", cases[i].path, 1);
        seqs[i] = called(cases[i].name, "{}");
    }
    char settings[128];
    snprintf(settings, sizeof settings, "{\"method\":\"GET\",\"url\":\"http://127.0.0.1:%d/echo\"}",
             port);
    tool("private", "http", settings);
    tool("nowhere", "http", "{\"method\":\"GET\",\"url\":\"http://localhost:1/\"}");
    int64_t guarded = called("private", "{}"), unknown = called("no_such_thing", "{}");
    int64_t bad = called("down", "[1]");
    carry_out();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(seqs[i], cases[i].words);
    expect(seqs[2], "\"detail\": \"why: 404\"");
    expect(guarded, "not set up correctly");
    expect(unknown, "There is no function \\\"no_such_thing\\\"");
    expect(bad, "not a JSON object");
    assert_string_equal(database_ask("SELECT count(*) FROM tool_calls WHERE state = 'done'"), "0");
}

static void just_fits_is_read(void **state)
{
    (void)state;
    http_tool("fits", "GET", "/bytes/24576", 1);
    int64_t seq = called("fits", "{}");
    carry_out();
    expect(seq, "\"ok\": true");
    assert_true(strlen(output(seq)) > 24576);
}

/* Only where the tool allows it, and under one key. */
static void a_request_is_repeated_only_when_it_may_be(void **state)
{
    (void)state;
    http_tool("once", "POST", "/flaky/once/1", 1);
    http_tool("thrice", "POST", "/flaky/thrice/2", 3);
    int64_t once = called("once", "{}"), thrice = called("thrice", "{}");
    carry_out();
    expect(once, "\"ok\": false");
    expect(thrice, "\"result\": {\"keys\": 1, \"tries\": 3}");
}

/* ---- once ---- */

static void a_call_is_carried_out_once_by_whoever_is_quicker(void **state)
{
    (void)state;
    struct tool_figures figures = {0}, others = {0};
    http_tool("count", "GET", "/asked/count", 1);
    for (int i = 0; i < 40; i++)
        called("count", "{}");
    struct tool_pool *a = open_pool(4, &figures), *b = open_pool(4, &others);
    tool_pool_wake(a, 4);
    tool_pool_wake(b, 4);
    await("SELECT count(*) FROM tool_calls WHERE state = 'done'", "40");
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
    http_tool("once", "POST", "/asked/died", 1);
    http_tool("twice", "POST", "/asked/lived", 2);
    tool("note", "leave_message", NULL);
    int64_t once = called("once", "{}"), twice = called("twice", "{}"),
            note = called("note", "{\"message\":\"Call me.\"}");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tools_claim(db, RUN_DEAD, 60000, &claimed), DB_OK);
        assert_non_null(claimed.rows);
        db_rows_free(claimed.rows);
    }
    assert_int_equal(tools_claim(db, RUN, 60000, &claimed), DB_OK);
    assert_null(claimed.rows); /* it lives, as far as anybody knows */
    database_do("UPDATE tool_calls SET leased_until = now() - interval '1 second'");
    carry_out();
    expect(once, "it is not known whether it was done");
    expect(twice, "\"result\": 1");
    expect(note, "\"ok\": true");
    assert_string_equal(database_ask("SELECT count(*) FROM left_messages"), "1");
}

struct loss {
    struct tools_claimed claimed;
    bool held;
};

static enum db_result finish_late(struct db *mine, void *context)
{
    struct loss *loss = context;
    return tools_finish(mine, &loss->claimed, RUN_DEAD, true, "{\"ok\":true}", NULL, &loss->held);
}

static void who_lost_his_lease_changes_nothing(void **state)
{
    (void)state;
    struct loss loss;
    tool("note", "leave_message", NULL);
    int64_t seq = called("note", "{\"message\":\"\"}");
    assert_int_equal(tools_claim(db, RUN_DEAD, 1, &loss.claimed), DB_OK);
    assert_non_null(loss.claimed.rows);
    database_do("UPDATE tool_calls SET leased_until = now() - interval '1 second'");
    carry_out();
    assert_int_equal(db_transact(db, acme, finish_late, &loss), DB_OK);
    assert_false(loss.held);
    expect(seq, "\"ok\": false"); /* an empty message; not the late word */
    db_rows_free(loss.claimed.rows);
}

/* The AI was told meanwhile that nothing came of it. */
static void what_waited_too_long_is_not_begun(void **state)
{
    (void)state;
    tool("note", "leave_message", NULL);
    int64_t seq = called_at("note", "{\"message\":\"Late.\"}", clock_wall_ms() - 20001);
    carry_out();
    expect(seq, "could not be begun in time and was not done");
    assert_string_equal(database_ask("SELECT count(*) FROM left_messages"), "0");
}

static void one_organisations_slow_system_delays_no_other(void **state)
{
    (void)state;
    char beta_call[37];
    struct tools_claimed claimed[3];
    conversation(beta, "sms", "sms_beta", beta_call);
    tool_for(beta, "note", "leave_message", NULL, NULL, 1);
    http_tool("slow", "GET", "/silent", 1);
    for (int i = 0; i < 10; i++)
        called("slow", "{}");
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO tool_calls (organization_id, conversation_id, name, call_id, deadline_at) "
        "VALUES ('%s', '%s', 'note', 'x', now() + interval '1 hour')",
        beta, beta_call);
    database_do(sql);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tools_claim(db, RUN, 60000, &claimed[i]), DB_OK);
    assert_string_equal(claimed[0].organization, acme);
    assert_string_equal(claimed[1].organization, beta); /* last come, second served */
    for (int i = 0; i < 2; i++)
        db_rows_free(claimed[i].rows);
    database_do("DELETE FROM tool_calls; DELETE FROM conversations WHERE session_id = 'sms_beta'");
}

/* ---- results ---- */

static void a_result_goes_to_its_edge_until_it_is_there(void **state)
{
    (void)state;
    struct db_rows *rows;
    const char *edge = EDGE, *other = RUN;
    tool("note", "leave_message", NULL);
    int64_t seq = called("note", "{\"message\":\"Call me.\"}");
    assert_int_equal(tools_take_results(db, &edge, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0); /* there is none yet */
    db_rows_free(rows);
    carry_out();
    assert_int_equal(tools_take_results(db, &other, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0);
    db_rows_free(rows);
    for (int i = 0; i < 2; i++) { /* it did not arrive: once more, after a while */
        char number[32];
        assert_int_equal(tools_take_results(db, &edge, 1, &rows), DB_OK);
        assert_int_equal(db_rows_count(rows), 1);
        assert_string_equal(db_cell(rows, 0, 2), voice);
        snprintf(number, sizeof number, "\"number\": %lld", (long long)seq);
        assert_non_null(strstr(db_cell(rows, 0, 3), number));
        assert_non_null(strstr(db_cell(rows, 0, 3), "\"output\": \"{\\\"ok\\\": true}\""));
        char id[37];
        snprintf(id, sizeof id, "%s", db_cell(rows, 0, 0));
        db_rows_free(rows);
        assert_int_equal(tools_take_results(db, &edge, 1, &rows), DB_OK);
        assert_int_equal(db_rows_count(rows), 0);
        db_rows_free(rows);
        database_do("UPDATE tool_calls SET sent_at = now() - interval '3 seconds'");
        if (i == 1)
            assert_int_equal(tools_settle(db, id), DB_OK);
    }
    assert_int_equal(tools_take_results(db, &edge, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0);
    db_rows_free(rows);
    assert_string_equal(database_ask("SELECT told_at IS NOT NULL FROM tool_calls"), "t");
}

static enum db_result ask_in_text(struct db *mine, void *context)
{
    return tools_ask(mine, acme, text, "call_y", "note", "{\"message\":\"By text.\"}", context);
}

/* The same code, without an edge. */
static void texts_have_the_same_functions(void **state)
{
    (void)state;
    char id[37];
    const char *edge = EDGE;
    struct db_rows *rows;
    tool("note", "leave_message", NULL);
    tool("move", "transfer", "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\"}}}");
    assert_int_equal(db_transact(db, acme, ask_in_text, id), DB_OK);
    carry_out();
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT output FROM tool_calls WHERE id = '%s'", id);
    assert_string_equal(database_ask(sql), "{\"ok\": true}");
    assert_string_equal(database_ask("SELECT body || phone FROM left_messages"),
                        "By text.+15550177");
    assert_int_equal(tools_take_results(db, &edge, 1, &rows), DB_OK);
    assert_int_equal(db_rows_count(rows), 0);
    db_rows_free(rows);
}

/* What the edge carries out is on record, and nobody else's. */
static void what_the_edge_does_is_on_record(void **state)
{
    (void)state;
    enum events_taken taken;
    struct tools_claimed claimed;
    int64_t seq = ++last_seq;
    tool("bye", "end_call", NULL);
    struct events_event event = {
        .organization = acme,
        .call = voice,
        .kind = "tool_call",
        .seq = seq,
        .at_ms = clock_wall_ms(),
        .body_json = "{\"call_id\":\"c\",\"name\":\"bye\",\"arguments\":\"{}\",\"at_edge\":true}"};
    assert_int_equal(events_take(db, &event, &taken), DB_OK);
    assert_int_equal(tools_claim(db, RUN, 60000, &claimed), DB_OK);
    assert_null(claimed.rows);
    char body[128];
    snprintf(body, sizeof body, "{\"number\":%lld,\"ok\":true,\"output\":{\"ok\":true,\"n\":1}}",
             (long long)seq);
    event.kind = "tool_result";
    event.seq = ++last_seq;
    event.body_json = body;
    assert_int_equal(events_take(db, &event, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_STORED);
    assert_string_equal(output(seq), "{\"n\": 1, \"ok\": true}");
    assert_string_equal(database_ask("SELECT state FROM tool_calls"), "done");
}

/* ---- built-in ---- */

static void a_transfer_notes_the_next_step(void **state)
{
    (void)state;
    tool("move", "transfer", "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\"}}}");
    int64_t good = called("move", "{\"to\":\"sales\"}");
    carry_out();
    expect(good, "{\"ok\": true}");
    assert_string_equal(database_ask("SELECT ends FROM tool_calls"), "transferred");
    assert_string_equal(database_ask("SELECT next_step ->> 'to' FROM conversations WHERE next_step "
                                     "IS NOT NULL"),
                        "+15550101");
    int64_t bad = called("move", "{\"to\":\"the moon\"}");
    carry_out();
    expect(bad, "There is nobody called \\\"the moon\\\"");
}

/* Whom somebody hears before the caller does, the AI may brief. */
static void a_warm_transfer_takes_a_briefing(void **state)
{
    (void)state;
    tool("move", "transfer",
         "{\"to\":{\"sales\":{\"step\":\"dial\",\"to\":\"+15550101\",\"warm\":true}}}");
    int64_t good = called("move", "{\"to\":\"sales\",\"briefing\":\"Ms Example, a bill.\"}");
    carry_out();
    expect(good, "{\"ok\": true}");
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
    tool("sms", "send_sms", NULL);
    int64_t good = called("sms", "{\"text\":\"Hello.\"}"),
            other = called("sms", "{\"text\":\"Hello.\",\"to\":\"+15550199\"}");
    carry_out();
    expect(good, "\"ok\": true");
    expect(other, "go to the caller's own number only");
    assert_string_equal(database_ask("SELECT from_number || to_number || body FROM text_messages"),
                        "+15550100+15550177Hello.");
    assert_string_equal(database_ask("SELECT count(*) FROM jobs WHERE kind = 'text_send'"), "1");
    tool("sms", "send_sms", "{\"to\":\"any\",\"from\":\"+15550102\"}");
    int64_t far = called("sms", "{\"text\":\"Hi.\",\"to\":\"+15550199\"}"),
            bad = called("sms", "{\"text\":\"Hi.\",\"to\":\"0199\"}");
    carry_out();
    expect(far, "\"ok\": true");
    expect(bad, "not a number that can get");
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
    tool("book", "book_appointment", NULL);
    tool("times", "find_times", NULL);
    int64_t none = called("book", tomorrow("09:30", BOOK));
    carry_out();
    expect(none, "No hours for appointments");
    open_hours(acme);
    int64_t good = called("book", tomorrow("09:30", BOOK)),
            early = called("book", tomorrow("08:30", BOOK)),
            odd = called("book", tomorrow("09:40", BOOK)),
            late = called("book", tomorrow("12:00", BOOK)),
            past = called("book", "{\"start\":\"2020-01-06T09:30\",\"name\":\"x\"}"),
            words = called("book", "{\"start\":\"tomorrow at nine\",\"name\":\"x\"}"),
            month = called("book", "{\"start\":\"2026-13-45T09:30\",\"name\":\"x\"}");
    carry_out();
    expect(good, tomorrow("09:30", "\"start\": \"%s\""));
    expect(good, tomorrow("10:00", "\"end\": \"%s\""));
    expect(early, "No appointment begins at this time");
    expect(odd, "No appointment begins at this time");
    expect(odd, tomorrow("10:00", "\"free\": [\"%s\""));
    expect(late, "No appointment begins at this time");
    expect(past, "This time is over");
    expect(words, "must be a date and time");
    expect(month, "must be a date and time");
    assert_string_equal(database_ask("SELECT name || phone FROM appointments"),
                        "Ms Example+15550177");
    int64_t again = called("book", tomorrow("09:30", BOOK)),
            times = called("times", "{\"days\":2}");
    carry_out();
    expect(again, "Somebody else has this time");
    expect(times, "\"time_zone\": \"Europe/Berlin\"");
    expect(times, tomorrow("09:00", "\"%s\""));
    if (strstr(output(times), tomorrow("09:30", "\"%s\"")) &&
        !strstr(output(times), tomorrow("09:30", "\"now\": \"%s\"")))
        fail_msg("a time that is taken is offered: %s", output(times));
}

/* Two local clocks a year apart: the hours are the wall clock's, whatever the season. */
static void hours_are_local(void **state)
{
    (void)state;
    open_hours(acme);
    char sql[512];
    snprintf(sql, sizeof sql,
             "SELECT string_agg(to_char(starts_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI'), ' ' ORDER "
             "BY starts_at) FROM (SELECT * FROM appointment_slots('%s', 'default', "
             "'2027-03-27T00:00Z', '2027-03-29T12:00Z') AS s WHERE (starts_at AT TIME ZONE "
             "time_zone)::time = '09:00') AS mornings",
             acme);
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
    enum db_result result = appointments_book(mine, acme, &wish, &rows);
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
    assert_int_equal(db_transact(attempt.db, acme, book, &attempt), DB_OK);
    db_close(attempt.db);
    return NULL;
}

static void of_twenty_who_want_a_slot_one_gets_it(void **state)
{
    (void)state;
    struct rival rivals[RIVALS];
    unsigned booked = 0, taken = 0;
    open_hours(acme);
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
    struct attempt attempt = {db, &one};
    assert_int_equal(db_transact(db, acme, book, &attempt), DB_OK);
    assert_string_equal(one.outcome, "booked");
}

/* ---- text messages ---- */

static void send_all(unsigned until_tries)
{
    char error[256], sql[256];
    const struct job_kind *kinds[] = {&text_send};
    struct kinds_context context = {.options = &options};
    struct job_config config = {.workers = 2,
                                .kinds = kinds,
                                .kinds_count = 1,
                                .run = RUN,
                                .db = db_config_serving(database_url(), NULL),
                                .context = &context};
    struct job_pool *pool = job_open(&config, error, sizeof error);
    assert_non_null(pool);
    job_wake(pool);
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM jobs WHERE state = 'leased' OR (state = 'queued' AND tries < %u)",
        until_tries);
    await(sql, "0");
    job_close(pool);
}

static void queue_text(const char *to, const char *state)
{
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "SET ringbridge.organization = '%s'; WITH made AS (INSERT INTO text_messages "
        "(organization_id, account_sid, from_number, to_number, body, state) VALUES ('%s', "
        "'" ACCOUNT "', '+15550100', '%s', 'Hello.', '%s') RETURNING id) SELECT "
        "enqueue_job('%s', 'text_send', id::text, jsonb_build_object('message', id)) FROM made",
        acme, acme, to, state, acme);
    database_do(sql);
}

/* Judged by Twilio's published description (Prism). */
static void a_text_message_is_what_twilio_takes(void **state)
{
    (void)state;
    options.twilio_api_base = getenv("TWILIO_API_BASE");
    assert_non_null(options.twilio_api_base);
    queue_text("+15550177", "queued");
    send_all(1);
    assert_string_equal(database_ask("SELECT state FROM text_messages"), "sent");
    assert_string_equal(database_ask("SELECT state FROM jobs"), "done");
    assert_string_equal(database_ask("SELECT message_sid ~ '^(SM|MM)' FROM text_messages"), "t");
}

static void a_text_message_is_never_sent_twice(void **state)
{
    (void)state;
    options.twilio_api_base = base;
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
#define TEST(name) cmocka_unit_test_setup(name, clear)
        TEST(schemas_are_checked),
        TEST(schemas_have_bounds),
        TEST(arguments_are_judged_in_words),
        TEST(urls_are_filled_in_behind_the_host),
        TEST(headers_are_what_may_be_sent),
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
        TEST(a_transfer_notes_the_next_step),
        TEST(a_warm_transfer_takes_a_briefing),
        TEST(text_messages_go_to_the_caller_alone),
        TEST(appointments_keep_to_the_hours),
        TEST(hours_are_local),
        TEST(of_twenty_who_want_a_slot_one_gets_it),
        TEST(a_text_message_is_what_twilio_takes),
        TEST(a_text_message_is_never_sent_twice),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
