/* Connections that move between two cores, each a thread with its own io: thousands of times, with
 * requests behind the one at hand, with TLS, into full mailboxes, away from peers that leave. */
#include "tests/io/stage.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define LETTER_CONN 1
#define CLIENTS     8
#define REQUESTS    400
#define TLS_DIALS   200
#define JUST_CAME   1 /* leg: adopted, so it is answered here */

struct core {
    struct io *io;
    struct metrics metrics;
    struct mail *inbox;
    struct core *other;
    pthread_t thread;
    bool ending;
    unsigned handed_over, adopted;
    uint16_t port, tls_port;
};

static struct core cores[2];
static char directory[] = "/tmp/move_test.XXXXXX";

/* ---- a core's owner: whoever comes goes to the other core first ---- */

static void take(struct core *core, struct conn *conn, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_REQUEST:
        if (conn_leg(conn) != JUST_CAME) {
            core->handed_over++;
            conn_hand_over(core->io, conn, core->other->inbox, LETTER_CONN);
            break;
        }
        conn_own(conn, 0, 0);
        if (message->head->upgrade)
            conn_upgrade(core->io, conn, 65536);
        else
            conn_respond(core->io, conn, 200, "", "", message->body, false);
        break;
    case MESSAGE_TEXT:
        conn_send_text(core->io, conn, message->body);
        break;
    default:
        break;
    }
}

static void pull(struct core *core, struct conn *conn)
{
    struct message message;
    while (conn && conn_next(core->io, conn, &message))
        take(core, conn, &message);
}

static void read_inbox(struct core *core)
{
    struct letter letter;
    while (mail_receive(core->inbox, &letter)) {
        struct conn *conn = conn_adopt(core->io, letter.content);
        core->adopted++;
        if (conn)
            conn_own(conn, JUST_CAME, 0);
        pull(core, conn);
    }
}

static void *run(void *argument)
{
    struct core *core = argument;
    struct io_done done;
    struct timer *timer;
    while (!__atomic_load_n(&core->ending, __ATOMIC_RELAXED)) {
        io_wait(core->io, 20);
        while (io_next(core->io, &done)) {
            if (done.op == OP_ACCEPT)
                conn_accepted(core->io, &done);
            else if (done.op == OP_RECEIVE)
                conn_received(core->io, &done);
            else if (done.op == OP_SEND)
                conn_sent(core->io, &done);
            pull(core, done.conn);
        }
        while ((timer = wheel_take(io_wheel(core->io))))
            pull(core, conn_expired(core->io, timer));
        read_inbox(core);
        io_flush(core->io);
    }
    io_close(core->io);
    return NULL;
}

static uint16_t listen_on(struct core *core, bool tls)
{
    char error[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(
        io_listen(core->io, (struct sockaddr *)&address, sizeof address, tls, error, sizeof error));
    return io_port(core->io);
}

static void start(struct tls_server *server)
{
    char error[256];
    for (size_t i = 0; i < 2; i++) {
        struct core *core = &cores[i];
        *core = (struct core){.inbox = mail_open(1024), .other = &cores[1 - i]};
        struct io_config config = {.metrics = &core->metrics,
                                   .conns_max = 256,
                                   .receive_buffers = 64,
                                   .tls_server = server,
                                   .doorbell = mail_doorbell(core->inbox)};
        core->io = io_open(&config, error, sizeof error);
        assert_non_null(core->io);
        core->port = listen_on(core, false);
        if (server)
            core->tls_port = listen_on(core, true);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&cores[i].thread, NULL, run, &cores[i]), 0);
}

/* What one core has posted when the other has ended already is for nobody. */
static void stop(void)
{
    for (size_t i = 0; i < 2; i++)
        __atomic_store_n(&cores[i].ending, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < 2; i++)
        pthread_join(cores[i].thread, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct letter letter;
        while (mail_receive(cores[i].inbox, &letter))
            conn_parcel_free(letter.content);
        mail_close(cores[i].inbox);
        assert_int_equal(cores[i].metrics.conns_open, 0);
    }
}

/* ---- plain clients, blocking ---- */

static void read_until(int fd, const char *text)
{
    char data[8192];
    size_t bytes = 0;
    while (bytes < sizeof data) {
        ssize_t got = read(fd, data + bytes, sizeof data - bytes);
        if (got <= 0)
            fail_msg("the connection ended before \"%s\"", text);
        bytes += (size_t)got;
        if (memmem(data, bytes, text, strlen(text)))
            return;
    }
    fail_msg("never came: \"%s\"", text);
}

static void moves_with_every_request(void **state)
{
    (void)state;
    int clients[CLIENTS];
    start(NULL);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(cores[i % 2].port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(clients[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    for (unsigned at = 0; at < REQUESTS; at++) {
        char request[512], last[64];
        int bytes = snprintf(request, sizeof request, /* the second lies behind the first */
                             "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfirst%05u"
                             "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nother%05u",
                             at, at);
        snprintf(last, sizeof last, "\r\n\r\nother%05u", at);
        for (size_t i = 0; i < CLIENTS; i++)
            assert_int_equal(write(clients[i], request, (size_t)bytes), bytes);
        for (size_t i = 0; i < CLIENTS; i++)
            read_until(clients[i], last);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        close(clients[i]);
    stop();
    assert_int_equal(cores[0].handed_over + cores[1].handed_over, 2 * CLIENTS * REQUESTS);
    assert_int_equal(cores[0].adopted + cores[1].adopted, 2 * CLIENTS * REQUESTS);
}

/* Peers that leave while their connection is between two cores. */
static void moves_for_peers_that_leave(void **state)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    (void)state;
    start(NULL);
    for (unsigned i = 0; i < 500; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(cores[i % 2].port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct linger rude = {.l_onoff = 1, .l_linger = 0};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
        if (i % 3 == 0)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &rude, sizeof rude);
        if (i % 3 == 1)
            read_until(fd, "200 OK");
        close(fd);
    }
    stop(); /* io_close proves that nothing is left */
}

/* ---- TLS, dialled by the edge's own client ---- */

static void moves_tls(void **state)
{
    char error[256], certificate[128], key[128], authority[128];
    struct stage stage;
    (void)state;
    snprintf(certificate, sizeof certificate, "%s/good.pem", directory);
    snprintf(key, sizeof key, "%s/good.key", directory);
    snprintf(authority, sizeof authority, "%s/authority.pem", directory);
    struct tls_server *server = tls_server_open(certificate, key, error, sizeof error);
    struct tls_client *client = tls_client_open(authority, error, sizeof error);
    assert_true(server && client);
    start(server);
    stage_open(&stage, (struct io_config){.tls_client = client}, false);
    stage.deaf = true;
    for (unsigned i = 0; i < TLS_DIALS; i++) {
        struct dial dial = stage_dial(cores[i % 2].tls_port, true, "/ws");
        struct conn *conn = conn_dial(stage.io, &dial);
        stage_until(&stage, stage.opens == i + 1);
        assert_true(conn_send_text(stage.io, conn, span_of("there and back")));
        stage_until(&stage, stage.messages == i + 1);
        conn_close(stage.io, conn, FAULT_NONE);
    }
    stage_until(&stage, stage.metrics.conns_open == 0);
    stage_close(&stage);
    stop();
    assert_int_equal(cores[0].adopted + cores[1].adopted, TLS_DIALS);
    tls_server_close(server);
    tls_client_close(client);
}

/* ---- no room ---- */

static void refuses_when_the_mailbox_is_full(void **state)
{
    struct stage stage;
    struct mail *box = mail_open(1);
    struct letter letter = {0};
    (void)state;
    stage_open(&stage, (struct io_config){0}, false);
    assert_true(mail_send(box, letter));
    struct peer *peer = peer_open(stage.port);
    peer_say(&stage, peer, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, stage.held_count == 1);
    conn_hand_over(stage.io, stage.held[0], box, LETTER_CONN);
    stage_until(&stage, peer_over(peer));
    assert_true(peer_has(peer, "HTTP/1.1 503 "));
    assert_true(peer_has(peer, "Retry-After: "));
    assert_int_equal(stage.metrics.faults[FAULT_no_capacity], 1);
    assert_int_equal(stage.ends, 0);
    stage_until(&stage, stage.metrics.conns_open == 0);
    peer_close(peer);
    stage_close(&stage);
    mail_close(box);
}

static void closes_when_no_slot_is_free(void **state)
{
    struct stage stage;
    struct mail *box = mail_open(4);
    struct letter letter;
    struct peer *peers[3];
    (void)state;
    stage_open(&stage, (struct io_config){.conns_max = 2}, false);
    for (size_t i = 0; i < 2; i++) {
        peers[i] = peer_open(stage.port);
        peer_say(&stage, peers[i], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
        stage_until(&stage, stage.held_count == i + 1);
    }
    conn_hand_over(stage.io, stage.held[0], box, LETTER_CONN);
    stage_until(&stage, mail_waiting(box) == 1);
    assert_int_equal(stage.metrics.conns_open, 1);
    peers[2] = peer_open(stage.port);
    stage_until(&stage, stage.metrics.conns_open == 2);
    assert_true(mail_receive(box, &letter));
    assert_null(conn_adopt(stage.io, letter.content));
    stage_until(&stage, peer_over(peers[0]));
    for (size_t i = 0; i < 3; i++)
        peer_close(peers[i]);
    stage_close(&stage);
    mail_close(box);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_with_every_request),
        cmocka_unit_test(moves_for_peers_that_leave),
        cmocka_unit_test(moves_tls),
        cmocka_unit_test(refuses_when_the_mailbox_is_full),
        cmocka_unit_test(closes_when_no_slot_is_free),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
