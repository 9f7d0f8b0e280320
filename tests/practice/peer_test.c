/* Both ends of peer talk to each other, plain and sealed; npm ws judges them in ai_test.mjs. */
#include "tests/practice/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TURNS_MAX 20000

/* What the two sides saw. */
struct seen {
    struct peer_loop *loop;
    unsigned opened, refused, messages, responses, closed, drained;
    unsigned status;
    uint16_t client_code, server_code;
    char client_why[64], server_why[64], reason[64], body[256], path[64], query[64], extra[64];
    size_t expected_bytes, right_messages;
    uint8_t seed;
    bool fast, accept, close_on_message;
};

static uint8_t pattern(size_t i, uint8_t seed)
{
    return (uint8_t)('a' + (i * 7 + i / 251 + seed) % 26);
}

static bool is_pattern(struct span body, size_t bytes, uint8_t seed)
{
    if (body.bytes != bytes)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (body.data[i] != pattern(i, seed))
            return false;
    return true;
}

static void server_request(struct peer_conn *conn, const struct peer_request *request)
{
    struct seen *seen = peer_owner(conn);
    span_copy_text(request->path, seen->path, sizeof seen->path);
    span_copy_text(request->query, seen->query, sizeof seen->query);
    span_copy_text(peer_header_find(request->headers, request->header_count, "x-extra"),
                   seen->extra, sizeof seen->extra);
    if (request->upgrade && seen->accept)
        peer_ws_accept(conn, "X-Practice: yes\r\n");
    else
        peer_http_respond(conn, request->upgrade ? 403 : 201, "X-Practice: yes\r\n", request->body);
}

static void server_open(struct peer_conn *conn)
{
    struct seen *seen = peer_owner(conn);
    if (seen->fast)
        peer_ws_set_fast(conn);
}

static void server_message(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    if (opcode == PEER_TEXT)
        peer_ws_send(conn, PEER_TEXT, body);
}

static void server_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct seen *seen = peer_owner(conn);
    seen->server_code = ending->close_code;
    snprintf(seen->server_why, sizeof seen->server_why, "%s", ending->why);
    span_copy_text(ending->reason, seen->reason, sizeof seen->reason);
    seen->closed++;
}

static const struct peer_hooks server_hooks = {.request = server_request,
                                               .open = server_open,
                                               .message = server_message,
                                               .closed = server_closed};

static void client_response(struct peer_conn *conn, const struct peer_response *response)
{
    struct seen *seen = peer_owner(conn);
    seen->responses++;
    seen->status = response->status;
    span_copy_text(response->body, seen->body, sizeof seen->body);
    assert_true(
        span_is(peer_header_find(response->headers, response->header_count, "x-practice"), "yes"));
}

static void client_open(struct peer_conn *conn)
{
    struct seen *seen = peer_owner(conn);
    seen->opened++;
    if (seen->fast)
        peer_ws_set_fast(conn);
}

static void client_message(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    struct seen *seen = peer_owner(conn);
    seen->messages++;
    if (opcode == PEER_TEXT && is_pattern(body, seen->expected_bytes, seen->seed))
        seen->right_messages++;
}

static void client_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct seen *seen = peer_owner(conn);
    seen->client_code = ending->close_code;
    snprintf(seen->client_why, sizeof seen->client_why, "%s", ending->why);
    seen->closed++;
}

static const struct peer_hooks client_hooks = {.response = client_response,
                                               .open = client_open,
                                               .message = client_message,
                                               .closed = client_closed};

static void turn_until(struct seen *seen, const unsigned *counter, unsigned value)
{
    for (int i = 0; i < TURNS_MAX && *counter < value; i++)
        peer_loop_turn(seen->loop, 1000);
    assert_true(*counter >= value);
}

static void make_certificate(char cert[64], char key[64])
{
    char command[512];
    snprintf(cert, 64, "/tmp/peer_test.%d.crt", (int)getpid());
    snprintf(key, 64, "/tmp/peer_test.%d.key", (int)getpid());
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 "
             "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
             "-keyout %s -out %s 2>/dev/null",
             key, cert);
    assert_int_equal(system(command), 0);
}

/* One server, and clients that come and go. */
struct stage {
    struct seen seen;
    struct peer_tls *server, *client;
    struct peer_listener *listener;
    char address[32];
};

static void stage_open(struct stage *stage, bool sealed)
{
    char cert[64], key[64];
    *stage = (struct stage){.seen = {.loop = peer_loop_open(), .accept = true}};
    assert_non_null(stage->seen.loop);
    if (sealed) {
        make_certificate(cert, key);
        stage->server = peer_tls_server(cert, key);
        stage->client = peer_tls_client(cert);
        unlink(cert);
        unlink(key);
        assert_true(stage->server && stage->client);
    }
    struct peer_listen listen = {.tls = stage->server,
                                 .hooks = &server_hooks,
                                 .owner = &stage->seen,
                                 .message_bytes_max = 4u << 20};
    stage->listener = peer_listen(stage->seen.loop, &listen);
    assert_non_null(stage->listener);
    snprintf(stage->address, sizeof stage->address, "127.0.0.1:%u",
             peer_listener_port(stage->listener));
}

static void stage_close(struct stage *stage)
{
    peer_loop_close(stage->seen.loop);
    peer_tls_close(stage->server);
    peer_tls_close(stage->client);
}

static struct peer_conn *dial(struct stage *stage, const char *path)
{
    char url[128];
    snprintf(url, sizeof url, "%s://localhost%s", stage->client ? "wss" : "ws", path);
    struct peer_dial options = {.url = url,
                                .connect_to = stage->address,
                                .headers = "X-Extra: some\r\n",
                                .tls = stage->client,
                                .hooks = &client_hooks,
                                .owner = &stage->seen,
                                .message_bytes_max = 4u << 20};
    return peer_ws_dial(stage->seen.loop, &options);
}

static void send_pattern(struct stage *stage, struct peer_conn *conn, size_t bytes, bool prebuilt)
{
    uint8_t *body = malloc(bytes + 1), *frame = malloc(bytes + PEER_FRAME_HEADER_BYTES);
    struct seen *seen = &stage->seen;
    seen->seed++;
    seen->expected_bytes = bytes;
    for (size_t i = 0; i < bytes; i++)
        body[i] = pattern(i, seen->seed);
    unsigned before = seen->messages;
    size_t right = seen->right_messages;
    if (prebuilt) {
        const uint8_t mask[4] = {seen->seed, 2, 3, 4};
        size_t whole = peer_frame_write(frame, PEER_TEXT, span_from(body, bytes), mask);
        peer_ws_send_prebuilt(conn, span_from(frame, whole));
    } else {
        peer_ws_send(conn, PEER_TEXT, span_from(body, bytes));
    }
    turn_until(seen, &seen->messages, before + 1);
    assert_int_equal(seen->right_messages, right + 1);
    free(body);
    free(frame);
}

static void echo_all_sizes(bool sealed, bool fast)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 4095, 65535, 65536, 300000, 3000000};
    struct stage stage;
    stage_open(&stage, sealed);
    stage.seen.fast = fast;
    struct peer_conn *conn = dial(&stage, "/stream?a=1&b=2");
    assert_non_null(conn);
    turn_until(&stage.seen, &stage.seen.opened, 1);
    assert_string_equal(stage.seen.path, "/stream");
    assert_string_equal(stage.seen.query, "a=1&b=2");
    assert_string_equal(stage.seen.extra, "some");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        send_pattern(&stage, conn, sizes[i], false);
        send_pattern(&stage, conn, sizes[i], true);
    }
    peer_ws_send(conn, PEER_PING, span_of("are you there"));
    turn_until(&stage.seen, &stage.seen.messages, stage.seen.messages + 1);
    peer_ws_close(conn, 4321, "enough");
    turn_until(&stage.seen, &stage.seen.closed, 2);
    assert_int_equal(stage.seen.server_code, 4321);
    assert_int_equal(stage.seen.client_code, 4321);
    assert_string_equal(stage.seen.reason, "enough");
    assert_string_equal(stage.seen.client_why, "closed by us");
    assert_string_equal(stage.seen.server_why, "closed by peer");
    stage_close(&stage);
}

static void test_echo_plain(void **state)
{
    (void)state;
    echo_all_sizes(false, false);
}

static void test_echo_plain_fast(void **state)
{
    (void)state;
    echo_all_sizes(false, true);
}

static void test_echo_sealed(void **state)
{
    (void)state;
    echo_all_sizes(true, false);
}

static void test_echo_sealed_fast(void **state)
{
    (void)state;
    echo_all_sizes(true, true);
}

static void test_http(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct stage stage;
        stage_open(&stage, sealed);
        struct peer_dial options = {.url = sealed ? "https://localhost/hook?x=%20y"
                                                  : "http://localhost/hook?x=%20y",
                                    .connect_to = stage.address,
                                    .headers = "X-Extra: some\r\n",
                                    .body = span_of("From=%2B15550100"),
                                    .tls = stage.client,
                                    .hooks = &client_hooks,
                                    .owner = &stage.seen};
        assert_non_null(peer_http_request(stage.seen.loop, &options));
        turn_until(&stage.seen, &stage.seen.closed, 2);
        assert_int_equal(stage.seen.responses, 1);
        assert_int_equal(stage.seen.status, 201);
        assert_string_equal(stage.seen.body, "From=%2B15550100");
        assert_string_equal(stage.seen.query, "x=%20y");
        stage_close(&stage);
    }
}

static void test_refused_upgrade(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, false);
    stage.seen.accept = false;
    assert_non_null(dial(&stage, "/nothing"));
    turn_until(&stage.seen, &stage.seen.responses, 1);
    assert_int_equal(stage.seen.status, 403);
    assert_int_equal(stage.seen.opened, 0);
    turn_until(&stage.seen, &stage.seen.closed, 1);
    stage_close(&stage);
}

static void test_wrong_name(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, true);
    struct peer_dial options = {.url = "wss://elsewhere.example/",
                                .connect_to = stage.address,
                                .tls = stage.client,
                                .hooks = &client_hooks,
                                .owner = &stage.seen};
    assert_non_null(peer_ws_dial(stage.seen.loop, &options));
    turn_until(&stage.seen, &stage.seen.closed, 2);
    assert_string_equal(stage.seen.client_why, "TLS handshake failed");
    assert_int_equal(stage.seen.opened, 0);
    stage_close(&stage);
}

static void test_reset(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage, false);
    struct peer_conn *conn = dial(&stage, "/");
    turn_until(&stage.seen, &stage.seen.opened, 1);
    peer_reset(conn);
    turn_until(&stage.seen, &stage.seen.closed, 2);
    assert_string_equal(stage.seen.client_why, "reset by us");
    assert_string_equal(stage.seen.server_why, "reset");
    assert_int_equal(stage.seen.server_code, 1006);
    stage_close(&stage);
}

/* Wrong bytes must be judged: an unmasked frame, and text that is not UTF-8. */
static void test_judgement(void **state)
{
    (void)state;
    static const uint8_t unmasked[] = {0x81, 2, 'h', 'i'};
    static const uint8_t not_text[] = {0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28};
    const struct {
        struct span bytes;
        uint16_t code;
    } cases[] = {{span_from(unmasked, sizeof unmasked), 1002},
                 {span_from(not_text, sizeof not_text), 1007}};
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;
        stage_open(&stage, false);
        struct peer_conn *conn = dial(&stage, "/");
        turn_until(&stage.seen, &stage.seen.opened, 1);
        peer_send_raw(conn, cases[i].bytes);
        turn_until(&stage.seen, &stage.seen.closed, 2);
        assert_int_equal(stage.seen.client_code, cases[i].code);
        stage_close(&stage);
    }
}

/* ---- timers ---- */

struct tick {
    struct peer_timer timer;
    struct peer_loop *loop;
    unsigned *order;
    unsigned fired_as;
};

static void fire(void *owner)
{
    struct tick *tick = owner;
    tick->fired_as = ++*tick->order;
}

static void test_timers(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct peer_loop *loop = peer_loop_open();
    struct tick ticks[COUNT] = {0};
    unsigned order = 0;
    uint64_t start = peer_loop_now_ns(loop);
    for (size_t i = 0; i < COUNT; i++) {
        ticks[i] = (struct tick){.timer = {.fire = fire, .owner = &ticks[i]}, .order = &order};
        peer_timer_set(loop, &ticks[i].timer, start + 1000 * (1 + i * 37 % COUNT));
    }
    for (size_t i = 0; i < COUNT; i += 3)
        peer_timer_clear(loop, &ticks[i].timer);
    for (int i = 0; i < TURNS_MAX && order < COUNT - (COUNT + 2) / 3; i++)
        peer_loop_turn(loop, 100);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(ticks[i].fired_as == 0, i % 3 == 0);
        for (size_t k = 0; k < COUNT; k++)
            if (ticks[i].fired_as && ticks[k].fired_as && i * 37 % COUNT < k * 37 % COUNT)
                assert_true(ticks[i].fired_as < ticks[k].fired_as);
    }
    peer_loop_close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_echo_plain),
        cmocka_unit_test(test_echo_plain_fast),
        cmocka_unit_test(test_echo_sealed),
        cmocka_unit_test(test_echo_sealed_fast),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_refused_upgrade),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_judgement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
