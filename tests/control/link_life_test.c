/* The life of the process: who may connect, what breaks a link, credentials of organisations, the
 * database away and back, what it says of itself, and its end. */
#include "control/base/options.h"
#include "control/store/accounts.h"
#include "tests/control/webhook_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NUMBER_A  "+15550500"
#define NUMBER_B  "+15550600"
#define ACCOUNT_B "AC000000000000000000000000000000bb"
#define TOKEN_B   "token-of-organisation-b"
#define AI_KEY_B  "ai-key-of-organisation-b"

static struct world_control control;
static char organization_a[37], organization_b[37];

static int set_up(void **state)
{
    (void)state;
    world_start(&control);
    world_organization("Life A", NUMBER_A, organization_a);
    world_organization("Life B", NUMBER_B, organization_b);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return world_end(&control);
}

static const char *new_call(char call_sid[35])
{
    static unsigned count;
    snprintf(call_sid, 35, "CA%032x", 0x300000 + ++count);
    return call_sid;
}

static struct world_answer call_in(struct world_edge *edge, const char *account, const char *token,
                                   const char *path, const char *call_sid, const char *to)
{
    return world_post(edge, token, path,
                      world_form({"AccountSid", account}, {"CallSid", call_sid},
                                 {"CallStatus", "ringing"}, {"From", "+15550177"}, {"To", to},
                                 {"Direction", "inbound"}));
}

static int call_status(struct world_edge *edge, const char *account, const char *token,
                       const char *to)
{
    char call_sid[35];
    struct world_answer answer =
        call_in(edge, account, token, "/api/twilio/incoming-call", new_call(call_sid), to);
    int status = answer.status;
    world_answer_free(&answer);
    return status;
}

/* ---- who may connect, and how ---- */

/* What control says to a first frame: its hello's error, "" for a welcome, NULL when it just
 * closes. */
static const char *greet_with(enum link_type type, uint64_t id, const char *json)
{
    static char said[256];
    struct link_frame frame;
    uint8_t *block;
    int dialled = world_dial(&control);
    assert_true(world_send(dialled, type, id, json, NULL, 0));
    bool answered = world_receive(dialled, &frame, &block);
    if (answered) {
        json_t *hello = json_loadb((const char *)frame.json.data, frame.json.bytes, 0, NULL);
        assert_int_equal(frame.type, LINK_HELLO);
        const char *error = json_string_value(json_object_get(hello, "error"));
        snprintf(said, sizeof said, "%s", error ? error : "");
        json_decref(hello);
        free(block);
        if (said[0]) /* a refusal is followed by the end */
            assert_false(world_receive(dialled, &frame, &block));
    }
    close(dialled);
    return answered ? said : NULL;
}

#define HELLO                                                                                      \
    "{\"role\":\"edge\",\"name\":\"e\",\"run\":\"11111111-2222-4333-8444-555555555555\","          \
    "\"cores\":1}"

static void only_an_edge_of_our_version_is_welcome(void **state)
{
    (void)state;
    assert_string_equal(greet_with(LINK_HELLO, LINK_VERSION, HELLO), "");
    assert_string_not_equal(greet_with(LINK_HELLO, LINK_VERSION + 1, HELLO), "");
    assert_string_not_equal(greet_with(LINK_HELLO, LINK_VERSION, "{}"), "");
    assert_string_not_equal(greet_with(LINK_HELLO, LINK_VERSION, "garbage"), "");
    assert_string_not_equal(greet_with(LINK_EVENT, 1, "{}"), "");
    struct stat status;
    assert_int_equal(stat(control.socket, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void a_broken_link_harms_no_other(void **state)
{
    (void)state;
    struct world_edge good, bad;
    struct link_frame frame;
    uint8_t *block, header[LINK_HEADER_BYTES];
    world_connect(&good, &control, "edge-1", 1);
    world_connect(&bad, &control, "edge-2", 1);
    link_encode_header(header, LINK_REQUEST, 1, 10, 0);
    header[5] = 1; /* reserved */
    assert_int_equal(write(bad.socket, header, sizeof header), sizeof header);
    assert_false(world_receive(bad.socket, &frame, &block));
    world_hang_up(&bad);
    world_connect(&bad, &control, "edge-2", 1);
    link_encode_header(header, LINK_REQUEST, 1, 10, 0);
    memcpy(header, "\xff\xff\xff\x7f", 4); /* 2 GiB announced */
    assert_int_equal(write(bad.socket, header, sizeof header), sizeof header);
    assert_false(world_receive(bad.socket, &frame, &block));
    world_hang_up(&bad);
    world_connect(&bad, &control, "edge-2", 1);
    assert_true(world_send(bad.socket, (enum link_type)99, 1, "{}", NULL, 0)); /* skipped */
    assert_int_equal(call_status(&bad, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    assert_int_equal(write(bad.socket, header, 7), 7); /* half a header, then gone */
    world_hang_up(&bad);
    assert_int_equal(call_status(&good, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    world_hang_up(&good);
}

static void wrong_requests_are_answered_as_such(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1);
    static const char *const wrong[] = {"", "{}", "[]", "{\"kind\":\"http\"}",
                                        "{\"kind\":\"dance\",\"deadline_ms\":1000}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct world_answer answer = world_ask(&edge, wrong[i], NULL, 0);
        assert_int_equal(answer.status, 400);
        world_answer_free(&answer);
    }
    world_hang_up(&edge);
}

/* A request whose time is over already is not answered; the next one is. */
static void a_late_answer_is_not_sent(void **state)
{
    (void)state;
    struct world_edge edge;
    struct link_frame frame;
    uint8_t *block;
    static const char late[] = "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/x\",\"peer\":"
                               "\"192.0.2.1\",\"headers\":{},\"deadline_ms\":0}";
    static const char prompt[] = "{\"kind\":\"metrics\",\"deadline_ms\":15000}";
    world_connect(&edge, &control, "edge-1", 1);
    assert_true(world_send(edge.socket, LINK_REQUEST, 101, late, NULL, 0));
    assert_true(world_send(edge.socket, LINK_REQUEST, 102, prompt, NULL, 0));
    assert_true(world_receive(edge.socket, &frame, &block));
    assert_int_equal(frame.id, 102);
    free(block);
    struct world_answer answer = world_ask(&edge, prompt, NULL, 0);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\nringbridge_control_requests_late_total 1\n"));
    world_answer_free(&answer);
    world_hang_up(&edge);
}

/* More at once than the queue holds, written by a process of its own while this one reads: each
 * answered once. */
static void a_flood_of_requests_is_answered_whole(void **state)
{
    (void)state;
    enum { REQUESTS = 3000 };
    struct world_edge edge;
    struct link_frame frame;
    uint8_t *block;
    static bool seen[REQUESTS];
    static const char json[] = "{\"kind\":\"http\",\"method\":\"GET\",\"target\":\"/x\",\"peer\":"
                               "\"192.0.2.1\",\"headers\":{},\"deadline_ms\":60000}";
    world_connect(&edge, &control, "edge-1", 1);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        bool sent = true;
        for (unsigned i = 0; i < REQUESTS && sent; i++)
            sent = world_send(edge.socket, LINK_REQUEST, i, json, NULL, 0);
        _exit(sent ? 0 : 1);
    }
    for (unsigned answered = 0; answered < REQUESTS; answered++) {
        assert_true(world_receive(edge.socket, &frame, &block));
        assert_true(frame.type == LINK_RESPONSE && frame.id < REQUESTS && !seen[frame.id]);
        seen[frame.id] = true;
        free(block);
    }
    int status;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    world_hang_up(&edge);
}

/* An edge that asks and never reads is let go after a while, and nobody else waits for it. */
static void an_edge_that_does_not_read_is_let_go(void **state)
{
    (void)state;
    struct world_edge mute, good;
    static const char json[] = "{\"kind\":\"metrics\",\"deadline_ms\":60000}";
    world_connect(&mute, &control, "edge-2", 1);
    world_connect(&good, &control, "edge-1", 1);
    for (unsigned i = 0; world_send(mute.socket, LINK_REQUEST, i, json, NULL, 0); i++)
        assert_true(i < 1000000); /* ends when control has closed the link */
    assert_int_equal(call_status(&good, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    world_hang_up(&mute);
    world_hang_up(&good);
}

/* ---- credentials of an organisation ---- */

static void put_secret(const char *kind, const char *account, const char *secret)
{
    struct seal seal;
    char error[128];
    assert_true(seal_open(&seal, WORLD_SECRET_KEY, NULL, error, sizeof error));
    struct db_config config = db_config_admin(getenv("DATABASE_URL"));
    struct db *db = db_open(&config);
    assert_non_null(db);
    enum db_result result = accounts_put(db, &seal, organization_b, kind, account, span_of(secret));
    if (result != DB_OK)
        fail_msg("%s", db_error(db));
    db_close(db);
    seal_wipe(&seal);
}

static void an_organisations_own_account_speaks_for_it_alone(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1);
    assert_int_equal(call_status(&edge, ACCOUNT_B, TOKEN_B, NUMBER_B), 403); /* unknown yet */
    put_secret("twilio", ACCOUNT_B, TOKEN_B);
    put_secret("openai", "", AI_KEY_B);
    world_hang_up(&edge);
    world_stop(&control, SIGKILL); /* so that nothing is remembered of the account */
    world_start(&control);
    world_connect(&edge, &control, "edge-1", 1);
    assert_int_equal(call_status(&edge, ACCOUNT_B, TOKEN_B, NUMBER_B), 200);
    const json_t *plan = json_object_get(edge.orders[0], "plan");
    const json_t *ai = json_object_get(plan, "ai");
    assert_string_equal(json_string_value(json_object_get(ai, "key")), AI_KEY_B);
    assert_int_equal(call_status(&edge, ACCOUNT_B, TOKEN_B, NUMBER_B), 200);     /* as remembered */
    assert_int_equal(call_status(&edge, ACCOUNT_B, WORLD_TOKEN, NUMBER_B), 403); /* not its token */
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, TOKEN_B, NUMBER_B), 403);
    assert_int_equal(call_status(&edge, ACCOUNT_B, TOKEN_B, NUMBER_A), 403); /* not its number */
    assert_string_equal(world_query("SELECT count(*) FROM conversations WHERE account_sid = '%s' "
                                    "AND organization_id = '%s'",
                                    ACCOUNT_B, organization_a),
                        "0");
    world_hang_up(&edge);
}

/* Inventions cost no more than a bounded number of lookups: the rest is put off, or hears "one
 * moment", because it might be somebody's whose turn does not come. None of them gets a stream, and
 * those who are known do not feel it. */
static void a_flood_of_invented_accounts_is_refused(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1);
    for (unsigned i = 0; i < 400; i++) {
        char account[35];
        snprintf(account, sizeof account, "AC%032x", 0xdead0000 + i);
        int status = call_status(&edge, account, "guess", NUMBER_A);
        assert_true(status == 403 || status == 429 || status == 200);
    }
    assert_int_equal(edge.orders_count, 0);
    assert_string_equal(
        world_query("SELECT count(*) FROM conversations WHERE account_sid LIKE '%%dead____'"), "0");
    world_hang_up(&edge); /* whose orders are forgotten with it */
    world_connect(&edge, &control, "edge-1", 1);
    assert_int_equal(call_status(&edge, ACCOUNT_B, TOKEN_B, NUMBER_B), 200);
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    world_hang_up(&edge);
}

/* What this address is told of a webhook that nobody has signed. */
static int refusal_of(struct world_edge *edge, const char *peer)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"/api/twilio/incoming-call\","
             "\"peer\":\"%s\",\"headers\":{},\"deadline_ms\":15000}",
             peer);
    struct world_answer answer = world_ask(edge, json, "", 0);
    int status = answer.status;
    assert_true(status == 403 || (status == 429 && answer.retry_after));
    world_answer_free(&answer);
    return status;
}

/* As at the edge's door: whoever has a /64 has no more than whoever has an address. */
static void a_customers_addresses_share_their_refusals(void **state)
{
    (void)state;
    struct world_edge edge;
    char peer[64];
    int status = 403;
    world_connect(&edge, &control, "edge-1", 1);
    for (unsigned i = 1; i <= 20000 && status == 403; i++) {
        snprintf(peer, sizeof peer, "2001:db8:7:8:%x::1", i);
        status = refusal_of(&edge, peer);
    }
    assert_int_equal(status, 429);
    assert_int_equal(refusal_of(&edge, "2001:db8:7:9::1"), 403); /* a neighbour */
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    world_hang_up(&edge);
}

/* ---- the database away ---- */

static void expect_soft(struct world_edge *edge, const char *target, const char *redirect)
{
    char call_sid[35];
    struct world_twiml twiml;
    struct world_answer answer =
        call_in(edge, WORLD_ACCOUNT, WORLD_TOKEN, target, new_call(call_sid), NUMBER_A);
    world_read_twiml(&answer, &twiml);
    if (redirect)
        assert_string_equal(twiml.redirect, redirect);
    else
        assert_string_equal(twiml.verbs, "Say Hangup ");
    world_answer_free(&answer);
}

static void without_its_database_it_says_one_moment(void **state)
{
    (void)state;
    struct world_edge edge;
    char call_sid[35];
    world_connect(&edge, &control, "edge-1", 1);
    struct world_answer answer = call_in(&edge, WORLD_ACCOUNT, WORLD_TOKEN,
                                         "/api/twilio/incoming-call", new_call(call_sid), NUMBER_A);
    assert_int_equal(answer.status, 200);
    world_answer_free(&answer);
    char id[37];
    snprintf(id, sizeof id, "%s",
             world_query("SELECT id FROM conversations WHERE call_sid = '%s'", call_sid));
    world_database(false);
    expect_soft(&edge, "/api/twilio/incoming-call",
                WORLD_PUBLIC "/api/twilio/incoming-call?wait=1");
    expect_soft(&edge, "/api/twilio/voice-webhook?wait=7",
                WORLD_PUBLIC "/api/twilio/voice-webhook?wait=8");
    expect_soft(&edge, "/api/twilio/after-stream", WORLD_PUBLIC "/api/twilio/after-stream?wait=1");
    expect_soft(&edge, "/api/twilio/incoming-call?wait=20", NULL);
    answer = call_in(&edge, WORLD_ACCOUNT, WORLD_TOKEN, "/api/twilio/status-callback", call_sid,
                     NUMBER_A);
    assert_int_equal(answer.status, 503);
    assert_non_null(answer.retry_after);
    world_answer_free(&answer);
    world_event(&edge, 1,
                "{\"call\":\"%s\",\"organization\":\"%s\",\"seq\":1,\"at_ms\":1800000000000,"
                "\"kind\":\"message\",\"role\":\"user\",\"text\":\"kept meanwhile\"}",
                id, organization_a);
    expect_soft(&edge, "/api/twilio/incoming-call",
                WORLD_PUBLIC "/api/twilio/incoming-call?wait=1");
    assert_int_equal(edge.acked, 0);
    world_database(true);
    world_await_acks(&edge, 1);
    assert_string_equal(
        world_query("SELECT content FROM conversation_messages WHERE conversation_id = '%s'", id),
        "kept meanwhile");
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    world_hang_up(&edge);
}

/* ---- an account beyond its rate ---- */

/* One webhook that takes what is left of the account's minute. A minute may pass between two on a
 * busy machine; then the next one takes it. Returns verbs, and where it leads. */
static struct world_twiml beyond_its_rate(struct world_edge *edge, const char *target)
{
    struct world_twiml twiml;
    do {
        char call_sid[35];
        struct world_answer answer =
            call_in(edge, WORLD_ACCOUNT, WORLD_TOKEN, target, new_call(call_sid), NUMBER_A);
        assert_int_equal(answer.status, 200);
        world_read_twiml(&answer, &twiml);
        world_answer_free(&answer);
    } while (strstr(twiml.verbs, "Connect"));
    return twiml;
}

/* Words and another try, so many times, for whoever waits with a caller; 429 for the others, which
 * come again by themselves; and nobody pays for his neighbour. */
static void an_account_beyond_its_rate_hears_one_moment(void **state)
{
    (void)state;
    struct world_edge edge;
    struct world_answer answer;
    char call_sid[35];
    world_stop(&control, SIGTERM);
    setenv("RINGBRIDGE_ACCOUNT_RATE", "1", 1);
    world_start(&control);
    world_connect(&edge, &control, "edge-1", 1);
    struct world_twiml twiml = beyond_its_rate(&edge, "/api/twilio/incoming-call");
    assert_string_equal(twiml.verbs, "Say Pause Redirect ");
    assert_string_equal(twiml.redirect, WORLD_PUBLIC "/api/twilio/incoming-call?wait=1");
    twiml = beyond_its_rate(&edge, "/api/twilio/incoming-call?wait=1");
    assert_string_equal(twiml.verbs, "Pause Redirect ");
    assert_string_equal(twiml.redirect, WORLD_PUBLIC "/api/twilio/incoming-call?wait=2");
    twiml = beyond_its_rate(&edge, "/api/twilio/incoming-call?wait=20");
    assert_string_equal(twiml.verbs, "Say Hangup ");
    do
        answer = call_in(&edge, WORLD_ACCOUNT, WORLD_TOKEN, "/api/twilio/status-callback",
                         new_call(call_sid), NUMBER_A);
    while (answer.status == 204);
    assert_int_equal(answer.status, 429);
    assert_non_null(answer.retry_after);
    world_answer_free(&answer);
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, "guess", NUMBER_A), 403);
    assert_int_equal(call_status(&edge, ACCOUNT_B, TOKEN_B, NUMBER_B), 200);
    world_hang_up(&edge);
    world_stop(&control, SIGTERM);
    unsetenv("RINGBRIDGE_ACCOUNT_RATE");
    world_start(&control);
}

/* ---- what it says of itself ---- */

/* Each series once: promtool does not look. */
static void expect_no_double(char *text)
{
    char *lines[4096];
    size_t count = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (line[0] == '#')
            continue;
        *strrchr(line, ' ') = '\0';
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(lines[i], line);
        assert_true(count < 4096);
        lines[count++] = line;
    }
    assert_true(count > 100);
}

/* The value of a series; -1 when it is not shown. */
static long long read_series(struct world_edge *edge, const char *series)
{
    char line[256];
    long long value = -1;
    struct world_answer answer =
        world_ask(edge, "{\"kind\":\"metrics\",\"deadline_ms\":15000}", NULL, 0);
    assert_int_equal(answer.status, 200);
    snprintf(line, sizeof line, "\nringbridge_control_%s ", series);
    const char *found = strstr(answer.body, line);
    if (found)
        value = strtoll(found + strlen(line), NULL, 10);
    world_answer_free(&answer);
    return value;
}

static void it_counts_what_it_does(void **state)
{
    (void)state;
    static const char *const series[] = {
        "webhooks_total{path=\"incoming_call\",result=\"answered\"}",
        "webhooks_total{path=\"incoming_call\",result=\"bad_signature\"}",
        "signature_failures_total", "orders_total", "webhook_seconds_count"};
    static const long long added[] = {1, 1, 1, 1, 2};
    long long before[5];
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1);
    for (size_t i = 0; i < 5; i++)
        before[i] = read_series(&edge, series[i]);
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, "wrong", NUMBER_A), 403);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(read_series(&edge, series[i]), before[i] + added[i]);
    assert_in_range(read_series(&edge, "links"), 1, 2);        /* one may just be going */
    assert_int_equal(read_series(&edge, "workers"), 4 + 4);    /* and the API's */
    assert_in_range(read_series(&edge, "workers_busy"), 1, 8); /* who answers this */
    world_hang_up(&edge);
}

static void its_metrics_are_good_prometheus(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1);
    struct world_answer answer =
        world_ask(&edge, "{\"kind\":\"metrics\",\"deadline_ms\":15000}", NULL, 0);
    assert_int_equal(answer.status, 200);
    assert_null(strstr(answer.body, "\nringbridge_edge"));
    FILE *promtool = popen("promtool check metrics", "w");
    assert_non_null(promtool);
    fwrite(answer.body, 1, answer.body_bytes, promtool);
    assert_int_equal(pclose(promtool), 0);
    expect_no_double(answer.body);
    world_answer_free(&answer);
    world_hang_up(&edge);
}

static void a_refused_order_is_counted_and_logged(void **state)
{
    (void)state;
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1);
    edge.refuse_orders = true;
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    assert_int_equal(read_series(&edge, "orders_refused_total"), 1);
    world_hang_up(&edge);
    char *log = world_log(&control);
    assert_non_null(strstr(log, "order refused by the edge"));
    free(log);
}

static void the_log_tells_the_story_without_secrets(void **state)
{
    (void)state;
    static const char *const told[] = {"\"message\":\"call taken\"",
                                       "\"organization_name\":\"Life A\"",
                                       "\"configuration\":\"built-in\"",
                                       "\"result\":\"bad_signature\"",
                                       "\"to\":\"..00\"",
                                       "edge connected"};
    static const char *const secret[] = {
        WORLD_TOKEN, WORLD_TOKEN_OLD, WORLD_AI_KEY, WORLD_SECRET_KEY, TOKEN_B,
        AI_KEY_B,    "15550177",      "15550500",   "kept meanwhile", "twilio-media-stream"};
    char *log = world_log(&control);
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (!strstr(log, told[i]))
            fail_msg("the log does not tell %s", told[i]);
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        if (strstr(log, secret[i]))
            fail_msg("the log tells %s", secret[i]);
    free(log);
}

/* ---- the end ---- */

static void a_second_control_on_the_same_socket_gives_up(void **state)
{
    (void)state;
    int status = world_serve_again(&control);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    struct world_edge edge;
    world_connect(&edge, &control, "edge-1", 1); /* the first one is unharmed */
    assert_int_equal(call_status(&edge, WORLD_ACCOUNT, WORLD_TOKEN, NUMBER_A), 200);
    world_hang_up(&edge);
}

/* What was asked before the signal is answered, then the link ends, the file goes, and it is 0. */
static void told_to_stop_it_finishes_what_it_began(void **state)
{
    (void)state;
    struct world_edge edge;
    struct link_frame frame;
    uint8_t *block;
    unsigned answered = 0;
    static const char json[] = "{\"kind\":\"metrics\",\"deadline_ms\":15000}";
    world_connect(&edge, &control, "edge-1", 1);
    for (unsigned i = 0; i < 50; i++)
        assert_true(world_send(edge.socket, LINK_REQUEST, i, json, NULL, 0));
    assert_true(world_receive(edge.socket, &frame, &block)); /* it has begun */
    free(block);
    kill(control.pid, SIGTERM);
    for (answered = 1; world_receive(edge.socket, &frame, &block); answered++)
        free(block);
    assert_int_equal(answered, 50);
    int status = world_stop(&control, SIGTERM);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct stat file;
    assert_int_equal(stat(control.socket, &file), -1);
    world_hang_up(&edge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_an_edge_of_our_version_is_welcome),
        cmocka_unit_test(a_broken_link_harms_no_other),
        cmocka_unit_test(wrong_requests_are_answered_as_such),
        cmocka_unit_test(a_late_answer_is_not_sent),
        cmocka_unit_test(a_flood_of_requests_is_answered_whole),
        cmocka_unit_test(an_edge_that_does_not_read_is_let_go),
        cmocka_unit_test(an_organisations_own_account_speaks_for_it_alone),
        cmocka_unit_test(it_counts_what_it_does),
        cmocka_unit_test(its_metrics_are_good_prometheus),
        cmocka_unit_test(a_refused_order_is_counted_and_logged),
        cmocka_unit_test(without_its_database_it_says_one_moment),
        cmocka_unit_test(the_log_tells_the_story_without_secrets),
        cmocka_unit_test(a_flood_of_invented_accounts_is_refused),
        cmocka_unit_test(a_customers_addresses_share_their_refusals),
        cmocka_unit_test(an_account_beyond_its_rate_hears_one_moment),
        cmocka_unit_test(a_second_control_on_the_same_socket_gives_up),
        cmocka_unit_test(told_to_stop_it_finishes_what_it_began),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
