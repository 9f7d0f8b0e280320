/* TLS: good and bad certificates, resumption, truncation, corruption, slicing, reload; OpenSSL's
 * s_client as a second opinion. The test authority is made at each run. */
#include "edge/io/heap.h"
#include "tests/io/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

/* The library's own, whose header has one home. */
void *OPENSSL_malloc(size_t bytes);
void OPENSSL_free(void *memory);

static char directory[] = "/tmp/tls_test.XXXXXX";
static struct stage stage;
static struct tls_server *server;
static struct tls_client *client;

static const char *in_directory(const char *name, const char *ending)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s%s", directory, name, ending);
    return path;
}

static int make_certificates(void **state)
{
    char command[256];
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(command, sizeof command, "tests/io/make_certificates.sh %s", directory);
    return system(command);
}

static int remove_certificates(void **state)
{
    char command[256];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static void open_with(const char *certificate)
{
    char error[256] = "";
    server = tls_server_open(in_directory(certificate, ".pem"), in_directory(certificate, ".key"),
                             error, sizeof error);
    client = tls_client_open(in_directory("authority", ".pem"), error, sizeof error);
    if (!server || !client)
        fail_msg("%s", error);
    stage_open(&stage,
               (struct io_config){.tls_server = server, .tls_client = client, .conns_max = 1024},
               true);
}

static void close_all(void)
{
    stage_close(&stage);
    tls_server_close(server);
    tls_client_close(client);
}

static struct conn *dial(void)
{
    struct dial dial = stage_dial(stage.port, true, "/ws");
    struct conn *conn = conn_dial(stage.io, &dial);
    assert_non_null(conn);
    return conn;
}

static void opens_and_carries_every_size(void **state)
{
    static const size_t sizes[] = {0, 1, 5000, 16383, 16384, 16385, 40000, 65536, 300000};
    static uint8_t payload[300000];
    (void)state;
    open_with("good");
    stage.deaf = true;
    stage.message_bytes_max = sizeof payload;
    struct conn *conn = dial();
    stage_until(&stage, stage.opens == 1);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i >> 3);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned messages = stage.messages;
        assert_true(conn_send_binary(stage.io, conn, span_from(payload, sizes[i])));
        stage_until(&stage, stage.messages == messages + 1);
        assert_int_equal(stage.body_bytes, sizes[i]);
        assert_memory_equal(stage.body, payload, sizes[i] < 4096 ? sizes[i] : 4096);
    }
    conn_close(stage.io, conn, FAULT_NONE);
    stage_until(&stage, stage.metrics.conns_open == 0);
    assert_int_equal(stage.end.fault, FAULT_ws_closed);
    assert_int_equal(stage.metrics.faults[FAULT_tls_truncated], 0);
    assert_int_equal(stage.metrics.shakes_accepted_full, 1);
    assert_int_equal(stage.metrics.shakes_dialled_full, 1);
    close_all();
}

static void resumes(void **state)
{
    (void)state;
    open_with("good");
    for (unsigned i = 0; i < 20; i++) {
        struct conn *conn = dial();
        stage_until(&stage, stage.opens == i + 1);
        for (int turns = 0; turns < 3; turns++) /* tickets come behind the handshake */
            stage_turn(&stage, 1);
        conn_close(stage.io, conn, FAULT_NONE);
        stage_until(&stage, stage.metrics.conns_open == 0);
    }
    assert_int_equal(stage.metrics.shakes_accepted_full, 1);
    assert_int_equal(stage.metrics.shakes_accepted_resumed, 19);
    assert_int_equal(stage.metrics.shakes_dialled_resumed, 19);
    stage_skip(25 * 3600 * 1000); /* the ticket key has changed; yesterday's still opens */
    dial();
    stage_until(&stage, stage.opens == 21);
    assert_int_equal(stage.metrics.shakes_dialled_resumed, 20);
    close_all();
}

/* More at once than tickets have come: they resume all the same. */
static void resumes_in_bursts(void **state)
{
    (void)state;
    open_with("good");
    struct conn *first = dial();
    stage_until(&stage, stage.opens == 1);
    for (int turns = 0; turns < 3; turns++) /* tickets come behind the handshake */
        stage_turn(&stage, 1);
    conn_close(stage.io, first, FAULT_NONE);
    stage_until(&stage, stage.metrics.conns_open == 0);
    for (unsigned burst = 0; burst < 3; burst++) {
        for (unsigned i = 0; i < 3 * TLS_SESSIONS_MAX; i++)
            dial();
        stage_until(&stage, stage.opens == 1 + (burst + 1) * 3 * TLS_SESSIONS_MAX);
    }
    assert_int_equal(stage.metrics.shakes_dialled_full, 1);
    assert_int_equal(stage.metrics.shakes_accepted_full, 1);
    close_all();
}

static void refuses_bad_certificates(void **state)
{
    static const char *const bad[] = {"elsewhere", "expired", "strange", "alone"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        open_with(bad[i]);
        struct conn *conn = dial();
        conn_own(conn, 9, 9);
        stage_until(&stage, stage.ends == 2);
        assert_int_equal(stage.metrics.faults[FAULT_tls_certificate], 1);
        assert_int_equal(stage.metrics.faults[FAULT_tls_handshake],
                         1); /* the server got an alert */
        assert_int_equal(stage.opens, 0);
        close_all();
    }
}

/* An address must stand in the certificate as an address. */
static void verifies_addresses_too(void **state)
{
    (void)state;
    for (int with = 0; with < 2; with++) {
        open_with(with ? "good" : "second");
        struct dial dial = stage_dial(stage.port, true, "/ws");
        dial.host = "127.0.0.1";
        assert_non_null(conn_dial(stage.io, &dial));
        stage_until(&stage, with ? stage.opens == 1 : stage.ends == 2);
        close_all();
    }
}

/* ---- a relay between the two ends, which may be rude ---- */

struct relay {
    struct peer *left, *right; /* to the dialling and to the listening end */
    size_t left_done, right_done;
};

static struct relay relay_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&address, &bytes);
    struct dial dial = stage_dial(ntohs(address.sin_port), true, "/ws");
    assert_non_null(conn_dial(stage.io, &dial));
    stage_turn(&stage, 1);
    struct relay relay = {.left = calloc(1, sizeof(struct peer)), .right = peer_open(stage.port)};
    relay.left->fd = accept(listener, NULL, NULL);
    close(listener);
    return relay;
}

static void relay_some(struct relay *relay, size_t slice)
{
    peer_read(relay->left);
    peer_read(relay->right);
    size_t left = relay->left->bytes - relay->left_done;
    size_t right = relay->right->bytes - relay->right_done;
    relay->left_done +=
        peer_offer(relay->right, relay->left->data + relay->left_done, left < slice ? left : slice);
    relay->right_done += peer_offer(relay->left, relay->right->data + relay->right_done,
                                    right < slice ? right : slice);
    stage_turn(&stage, left || right ? 0 : 1);
}

static void relay_close(struct relay *relay)
{
    peer_close(relay->left);
    peer_close(relay->right);
}

static void shakes_hands_byte_by_byte(void **state)
{
    (void)state;
    open_with("good");
    struct relay relay = relay_open();
    for (int i = 0; i < 20000 && !stage.opens; i++)
        relay_some(&relay, 1);
    assert_int_equal(stage.opens, 1);
    assert_true(conn_send_text(stage.io, stage.opened, span_of("slowly")));
    for (int i = 0; i < 20000 && !stage.messages; i++)
        relay_some(&relay, 1);
    assert_memory_equal(stage.body, "slowly", 6);
    relay_close(&relay);
    close_all();
}

static struct relay open_relay(void)
{
    struct relay relay = relay_open();
    for (int i = 0; i < 200 && (!stage.opens || i < 10); i++)
        relay_some(&relay, 65536);
    assert_int_equal(stage.opens, 1);
    return relay;
}

static void a_flipped_bit_is_noticed(void **state)
{
    (void)state;
    open_with("good");
    struct relay relay = open_relay();
    conn_send_text(stage.io, stage.opened, span_of("message"));
    size_t before = relay.left->bytes;
    stage_until(&stage, peer_read(relay.left) > before + 10);
    relay.left->data[relay.left->bytes - 3] ^= 1;
    for (int i = 0; i < 200 && stage.ends < 2; i++)
        relay_some(&relay, 65536);
    assert_int_equal(stage.messages, 0);
    /* the server saw the record, the client the server's alert */
    assert_int_equal(stage.metrics.faults[FAULT_tls_record], 2);
    relay_close(&relay);
    close_all();
}

static void a_truncated_stream_is_no_end(void **state)
{
    (void)state;
    open_with("good");
    struct relay relay = open_relay();
    relay_close(&relay);
    stage_until(&stage, stage.ends == 2);
    assert_int_equal(stage.end.fault, FAULT_tls_truncated);
    assert_int_equal(stage.metrics.faults[FAULT_tls_truncated], 2);
    close_all();
}

static void a_handshake_that_stops_ends_in_time(void **state)
{
    (void)state;
    open_with("good");
    struct peer *silent = peer_open(stage.port), *plain = peer_open(stage.port);
    peer_say(&stage, plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_over(plain));
    assert_int_equal(stage.metrics.faults[FAULT_tls_handshake], 1);
    stage_skip(TLS_HANDSHAKE_MS + 1);
    stage_until(&stage, peer_over(silent));
    assert_int_equal(stage.metrics.faults[FAULT_tls_timeout], 1);
    peer_close(silent);
    peer_close(plain);
    close_all();
}

/* ---- memory ---- */

#define PAIRS 64

struct pair {
    struct tls *accepted, *dialled;
};

/* Both ends in memory, until both are secured and the tickets are read. */
static struct pair secure_pair(void)
{
    static uint8_t there[TLS_FLIGHT_BYTES_MAX], back[TLS_FLIGHT_BYTES_MAX];
    uint8_t plain[TLS_PLAIN_BYTES_MAX];
    size_t there_bytes = 0, back_bytes = 0, plain_bytes;
    enum fault fault = FAULT_NONE;
    struct pair pair = {tls_accept(server), tls_dial(client, "localhost", 1)};
    enum tls_step accepted = TLS_MORE, dialled = TLS_MORE;
    while (accepted != TLS_DONE || dialled != TLS_DONE) {
        struct tls_flow flow = {span_from(back, back_bytes), there, 0, sizeof there};
        if (dialled != TLS_DONE)
            dialled = tls_handshake(pair.dialled, &flow, &fault);
        there_bytes = flow.out_bytes;
        flow = (struct tls_flow){span_from(there, there_bytes), back, 0, sizeof back};
        if (accepted != TLS_DONE)
            accepted = tls_handshake(pair.accepted, &flow, &fault);
        back_bytes = flow.out_bytes;
        assert_true(accepted != TLS_BAD && dialled != TLS_BAD);
    }
    struct tls_flow flow = {.out = back, .out_bytes = back_bytes, .out_room = sizeof back};
    assert_true(tls_write(pair.accepted, &flow, span_of("x")));
    flow = (struct tls_flow){span_from(back, flow.out_bytes), there, 0, sizeof there};
    assert_int_equal(tls_read(pair.dialled, &flow, plain, &plain_bytes, &fault), TLS_DONE);
    return pair;
}

/* What --plan says of TLS is what it takes: no less, and not much more. */
static void takes_what_was_planned(void **state)
{
    struct pair pairs[PAIRS];
    (void)state;
    open_with("good");
    for (size_t i = 0; i < PAIRS; i++) { /* as many sessions are kept as may be */
        pairs[i] = secure_pair();
        tls_free(pairs[i].accepted);
        tls_free(pairs[i].dialled);
    }
    ptrdiff_t before = heap_lent_bytes();
    for (size_t i = 0; i < PAIRS; i++)
        pairs[i] = secure_pair();
    ptrdiff_t both = heap_lent_bytes();
    for (size_t i = 0; i < PAIRS; i++)
        tls_free(pairs[i].dialled);
    ptrdiff_t accepted = (heap_lent_bytes() - before) / PAIRS;
    ptrdiff_t dialled = (both - heap_lent_bytes()) / PAIRS;
    for (size_t i = 0; i < PAIRS; i++)
        tls_free(pairs[i].accepted);
    assert_in_range(heap_lent_bytes() - before, 0, 4096); /* all is given back */
    print_message("an accepted connection takes %td bytes, a dialled one %td\n", accepted, dialled);
    assert_in_range(accepted, TLS_ACCEPTED_BYTES * 3 / 4, TLS_ACCEPTED_BYTES);
    assert_in_range(dialled, TLS_DIALLED_BYTES * 3 / 4, TLS_DIALLED_BYTES);
    close_all();
}

/* ---- a client that may say anything ---- */

struct tls_peer {
    struct peer *peer;
    struct tls *tls;
};

static void tls_peer_flow(struct tls_peer *own, struct tls_flow *flow)
{
    peer_send(&stage, own->peer, flow->out, flow->out_bytes);
    flow->out_bytes = 0;
    stage_turn(&stage, 1);
    peer_read(own->peer);
    flow->in = span_from(own->peer->data, own->peer->bytes);
    own->peer->bytes = 0;
}

static struct tls_peer tls_peer_open(void)
{
    static uint8_t out[TLS_FLIGHT_BYTES_MAX];
    struct tls_peer own = {peer_open(stage.port), tls_dial(client, "localhost", stage.port)};
    struct tls_flow flow = {.out = out, .out_room = sizeof out};
    enum fault fault;
    enum tls_step step;
    while ((step = tls_handshake(own.tls, &flow, &fault)) == TLS_MORE)
        tls_peer_flow(&own, &flow);
    assert_int_equal(step, TLS_DONE);
    tls_peer_flow(&own, &flow);
    return own;
}

static void tls_peer_close(struct tls_peer *own)
{
    tls_free(own->tls);
    peer_close(own->peer);
}

/* Written at once, so that what lies behind the request is on its way when it is dealt with. */
static void a_flood_behind_a_request_ends_that_connection_alone(void **state)
{
    static const char *const paths[] = {"/move", "/hold", "/close", "/refuse"};
    static uint8_t sealed[400000], plain[100000];
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        open_with("good");
        stage.move_to = mail_open(4);
        struct tls_peer own = tls_peer_open();
        struct tls_flow flow = {.out = sealed, .out_room = sizeof sealed};
        memset(plain, 'x', sizeof plain);
        int bytes =
            snprintf((char *)plain, sizeof plain, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[i]);
        assert_true(tls_write(own.tls, &flow, span_from(plain, (size_t)bytes)));
        for (size_t at = (size_t)bytes; at + 500 < sizeof plain; at += 500)
            assert_true(tls_write(own.tls, &flow, span_from(plain + at, 500)));
        assert_int_equal(peer_offer(own.peer, sealed, flow.out_bytes), flow.out_bytes);
        stage_until(&stage, peer_over(own.peer) || stage.metrics.conns_open == 0);
        assert_int_equal(mail_waiting(stage.move_to), 0);
        tls_peer_close(&own);
        close_all();
        mail_close(stage.move_to);
    }
}

/* ---- OpenSSL's opinion ---- */

static char opinion[65536];

/* Runs openssl s_client against the stage while it turns. */
static const char *ask_s_client(const char *options, const char *input)
{
    char command[512];
    snprintf(command, sizeof command,
             "printf '%s' | timeout 10 openssl s_client -connect 127.0.0.1:%u -CAfile %s "
             "-servername localhost %s >%s 2>&1",
             input, stage.port, in_directory("authority", ".pem"), options,
             in_directory("opinion", ""));
    pid_t child = fork();
    if (child == 0)
        _exit(execl("/bin/sh", "sh", "-c", command, (char *)NULL));
    while (waitpid(child, NULL, WNOHANG) == 0)
        stage_turn(&stage, 5);
    FILE *file = fopen(in_directory("opinion", ""), "r");
    size_t bytes = fread(opinion, 1, sizeof opinion - 1, file);
    opinion[bytes] = '\0';
    fclose(file);
    return opinion;
}

static void openssl_agrees(void **state)
{
    (void)state;
    open_with("good");
    const char *request = "GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n";
    assert_non_null(strstr(ask_s_client("-verify_return_error -quiet -ign_eof -alpn http/1.1",
                                        "GET /close HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"),
                           "HTTP/1.1 200 OK"));
    assert_null(strstr(opinion, "unexpected eof"));
    assert_non_null(strstr(ask_s_client("-alpn http/1.1", request), "ALPN protocol: http/1.1"));
    assert_non_null(strstr(opinion, "TLSv1.3"));
    assert_non_null(strstr(ask_s_client("-tls1_2", request), "ECDHE-ECDSA-"));
    assert_non_null(strstr(opinion, "Secure Renegotiation IS supported"));
    assert_non_null(strstr(ask_s_client("-tls1_2 -reconnect", ""), "Reused, TLSv1.2"));
    assert_non_null(strstr(ask_s_client("-alpn h2", request), "no application protocol"));
    assert_non_null(strstr(ask_s_client("-tls1_1 -cipher DEFAULT:@SECLEVEL=0", request),
                           "alert protocol version"));
    assert_non_null(strstr(ask_s_client("-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256", request),
                           "handshake failure"));
    close_all();
}

/* The library's memory is ours, or the hot path would allocate per record. */
static void the_library_asks_our_heap(void **state)
{
    (void)state;
    open_with("good");
    void *memory = OPENSSL_malloc(1000);
    assert_non_null(memory);
    assert_int_equal(OPENSSL_memory_get_size(memory), 1000);
    OPENSSL_free(memory);
    assert_ptr_equal(OPENSSL_malloc(1001), memory); /* the same class, kept */
    OPENSSL_free(memory);
    close_all();
}

/* ---- files ---- */

static void says_what_is_wrong_with_files(void **state)
{
    char error[256];
    (void)state;
    assert_null(tls_server_open("/none.pem", "/none.key", error, sizeof error));
    assert_non_null(strstr(error, "/none.pem"));
    assert_null(tls_server_open(in_directory("good", ".pem"), in_directory("second", ".key"), error,
                                sizeof error));
    assert_non_null(strstr(error, "second.key"));
    assert_null(tls_server_open(in_directory("good", ".key"), in_directory("good", ".key"), error,
                                sizeof error));
    assert_non_null(strstr(error, "certificate"));
    assert_null(tls_client_open("/none.pem", error, sizeof error));
    assert_non_null(strstr(error, "/none.pem"));
}

static void copy(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof command, "cp %s.pem %s.pem && cp %s.key %s.key",
             in_directory(from, ""), in_directory(to, ""), in_directory(from, ""),
             in_directory(to, ""));
    assert_int_equal(system(command), 0);
}

static void reloads_and_keeps_the_old_when_the_new_is_bad(void **state)
{
    char error[256];
    (void)state;
    copy("good", "live");
    open_with("live");
    assert_non_null(strstr(ask_s_client("", ""), "subject=CN = good"));
    copy("second", "live");
    assert_true(tls_server_reload(server, error, sizeof error));
    assert_non_null(strstr(ask_s_client("", ""), "subject=CN = second"));
    FILE *broken = fopen(in_directory("live", ".pem"), "w");
    fclose(broken);
    assert_false(tls_server_reload(server, error, sizeof error));
    assert_non_null(strstr(error, "live.pem"));
    assert_non_null(strstr(ask_s_client("", ""), "subject=CN = second"));
    close_all();
}

static void computes_the_accept_of_the_standard(void **state)
{
    char accept[29];
    (void)state;
    tls_websocket_accept(span_of("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* RFC 6455, section 1.3 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_and_carries_every_size),
        cmocka_unit_test(resumes),
        cmocka_unit_test(resumes_in_bursts),
        cmocka_unit_test(takes_what_was_planned),
        cmocka_unit_test(refuses_bad_certificates),
        cmocka_unit_test(verifies_addresses_too),
        cmocka_unit_test(shakes_hands_byte_by_byte),
        cmocka_unit_test(a_flipped_bit_is_noticed),
        cmocka_unit_test(a_truncated_stream_is_no_end),
        cmocka_unit_test(a_handshake_that_stops_ends_in_time),
        cmocka_unit_test(a_flood_behind_a_request_ends_that_connection_alone),
        cmocka_unit_test(openssl_agrees),
        cmocka_unit_test(the_library_asks_our_heap),
        cmocka_unit_test(says_what_is_wrong_with_files),
        cmocka_unit_test(reloads_and_keeps_the_old_when_the_new_is_bad),
        cmocka_unit_test(computes_the_accept_of_the_standard),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
