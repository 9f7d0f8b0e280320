/* TLS handshakes wait for their turn: so many in a turn of the loop, first come first served,
 * behind what running connections are sent; too many are turned away, none waits for ever. */
#include "tests/io/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define STRANGERS 12

static char directory[] = "/tmp/shake_test.XXXXXX";
static struct stage stage;
static struct tls_server *server;
static struct tls_client *client;

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

static void open_with(struct io_config config)
{
    char error[256] = "", certificate[128], key[128], authority[128];
    snprintf(certificate, sizeof certificate, "%s/good.pem", directory);
    snprintf(key, sizeof key, "%s/good.key", directory);
    snprintf(authority, sizeof authority, "%s/authority.pem", directory);
    server = tls_server_open(certificate, key, error, sizeof error);
    client = tls_client_open(authority, error, sizeof error);
    if (!server || !client)
        fail_msg("%s", error);
    config.tls_server = server;
    config.tls_client = client;
    stage_open(&stage, config, true);
}

static void close_all(void)
{
    stage_close(&stage);
    assert_int_equal(stage.metrics.shakes_waiting, 0);
    tls_server_close(server);
    tls_client_close(client);
}

/* Turns of handshakes that have been had. */
static uint64_t turns_had(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        count += stage.metrics.shake_wait.buckets[i];
    return count;
}

/* A client's first flight. */
static size_t hello(uint8_t out[TLS_FLIGHT_BYTES_MAX])
{
    enum fault fault;
    struct tls *tls = tls_dial(client, "localhost", stage.port);
    struct tls_flow flow = {.out = out, .out_room = TLS_FLIGHT_BYTES_MAX};
    assert_int_equal(tls_handshake(tls, &flow, &fault), TLS_MORE);
    tls_free(tls);
    return flow.out_bytes;
}

static void say_hello(struct peer *peers[], unsigned count)
{
    static uint8_t flight[TLS_FLIGHT_BYTES_MAX];
    for (unsigned i = 0; i < count; i++) {
        size_t bytes = hello(flight);
        assert_int_equal(peer_offer(peers[i], flight, bytes), bytes);
    }
}

/* Strangers whose first flights lie in their sockets. */
static void come(struct peer *peers[], unsigned count)
{
    uint64_t open = stage.metrics.conns_open;
    for (unsigned i = 0; i < count; i++) {
        peers[i] = peer_open(stage.port);
        stage_until(&stage, stage.metrics.conns_open == open + i + 1);
    }
    say_hello(peers, count);
}

static void close_peers(struct peer *peers[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        peer_close(peers[i]);
}

static unsigned answered(struct peer *peers[], unsigned count)
{
    unsigned with = 0;
    for (unsigned i = 0; i < count; i++)
        with += peer_read(peers[i]) > 0;
    return with;
}

static void so_many_in_a_turn(void **state)
{
    (void)state;
    for (unsigned most = 1; most <= 3; most++) {
        struct peer *peers[STRANGERS];
        uint64_t had;
        open_with((struct io_config){.shakes_max = most});
        come(peers, STRANGERS);
        while ((had = turns_had()) < STRANGERS) {
            stage_turn(&stage, 5);
            assert_in_range(turns_had(), had, had + most);
        }
        stage_until(&stage, answered(peers, STRANGERS) == STRANGERS);
        assert_int_equal(turns_had(), STRANGERS);
        close_peers(peers, STRANGERS);
        close_all();
    }
}

/* Who comes later is answered later, whatever order the kernel tells of those that came together.
 */
static void first_come_first_served(void **state)
{
    struct peer *early[STRANGERS], *late[STRANGERS];
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    for (unsigned i = 0; i < STRANGERS; i++) {
        late[i] = peer_open(stage.port);
        stage_until(&stage, stage.metrics.conns_open == i + 1);
    }
    come(early, STRANGERS);
    stage_until(&stage, turns_had() + stage.metrics.shakes_waiting == STRANGERS);
    assert_true(stage.metrics.shakes_waiting > 0);
    say_hello(late, STRANGERS);
    while (!answered(late, STRANGERS))
        stage_turn(&stage, 5);
    assert_int_equal(answered(early, STRANGERS), STRANGERS);
    stage_until(&stage, answered(late, STRANGERS) == STRANGERS);
    close_peers(early, STRANGERS);
    close_peers(late, STRANGERS);
    close_all();
}

/* A running connection's message is echoed while the queue is still long. */
static void frames_come_first(void **state)
{
    struct peer *peers[STRANGERS];
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    struct peer *runs = peer_open(stage_listen(&stage, false));
    peer_upgrade(&stage, runs);
    come(peers, STRANGERS);
    stage_until(&stage, stage.metrics.shakes_waiting > STRANGERS / 2);
    peer_frame(&stage, runs, 0x81, "hi", 2);
    stage_until(&stage, peer_read(runs) == 4);
    assert_true(stage.metrics.shakes_waiting > 0);
    close_peers(peers, STRANGERS);
    peer_close(runs);
    close_all();
}

/* In the very turn that computes a handshake, an echo has left before it. */
static void what_others_are_sent_leaves_before(void **state)
{
    static uint8_t flight[TLS_FLIGHT_BYTES_MAX];
    struct io_done done;
    struct message message;
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    struct peer *runs = peer_open(stage_listen(&stage, false)), *stranger;
    peer_upgrade(&stage, runs);
    stranger = peer_open(stage.port);
    stage_until(&stage, stage.metrics.conns_open == 2);
    size_t bytes = hello(flight);
    assert_int_equal(peer_offer(stranger, flight, bytes), bytes);
    peer_frame(&stage, runs, 0x81, "hi", 2);
    io_wait(stage.io, 1000);
    while (io_next(stage.io, &done) && done.op != OP_SHAKE) {
        if (done.op == OP_RECEIVE)
            conn_received(stage.io, &done);
        while (done.conn && conn_next(stage.io, done.conn, &message))
            conn_send_text(stage.io, done.conn, message.body);
    }
    if (done.op != OP_SHAKE) /* the two came in two turns: nothing is to be seen */
        skip();
    assert_int_equal(peer_read(runs), 4);
    assert_int_equal(peer_read(stranger), 0);
    while (conn_next(stage.io, done.conn, &message))
        ;
    io_flush(stage.io);
    stage_until(&stage, peer_read(stranger) > 0);
    peer_close(stranger);
    peer_close(runs);
    close_all();
}

static void too_many_are_turned_away(void **state)
{
    enum { MOST = 4 };
    (void)state;
    for (unsigned count = MOST; count <= MOST + 2; count++) {
        struct peer *peers[MOST + 2];
        unsigned away = 0;
        open_with((struct io_config){.shakes_max = 1, .strangers_max = MOST});
        for (unsigned i = 0; i < count; i++) {
            peers[i] = peer_open(stage.port);
            stage_until(&stage, stage.metrics.conns_open == i + 1);
        }
        say_hello(peers, count);
        stage_until(&stage, stage.metrics.shakes_waiting == 0 && turns_had() + away >= MOST &&
                                turns_had() + stage.metrics.faults[FAULT_tls_busy] == count);
        away = (unsigned)stage.metrics.faults[FAULT_tls_busy];
        assert_true(away <= count - MOST);
        stage_until(&stage, stage.metrics.conns_open == count - away);
        close_peers(peers, count);
        close_all();
    }
}

/* The queue is full when they arrive: the door itself says no. */
static void the_door_is_shut_when_too_many_wait(void **state)
{
    enum { MOST = 2, CAME = 6 };
    struct peer *peers[CAME];
    struct io_done done;
    struct message message;
    (void)state;
    open_with((struct io_config){.shakes_max = 1, .strangers_max = MOST});
    come(peers, CAME);
    io_wait(stage.io, 1000);
    for (unsigned i = 0; i < CAME; i++) { /* all that they sent is taken, nobody's turn comes */
        assert_true(io_next(stage.io, &done));
        assert_int_equal(done.op, OP_RECEIVE);
        conn_received(stage.io, &done);
        assert_int_equal(conn_next(stage.io, done.conn, &message), i >= MOST);
    }
    io_flush(stage.io);
    assert_int_equal(stage.metrics.shakes_waiting, MOST);
    assert_int_equal(stage.metrics.faults[FAULT_tls_busy], CAME - MOST);
    struct peer *late = peer_open(stage.port);
    stage_until(&stage, peer_over(late));
    assert_int_equal(stage.metrics.faults[FAULT_tls_busy], CAME - MOST + 1);
    assert_int_equal(stage.metrics.conns_accepted, CAME);
    stage_until(&stage, turns_had() == MOST);
    peer_close(late);
    close_peers(peers, CAME);
    close_all();
}

/* The deadline is that of the whole handshake: it runs while one waits, too. */
static void waiting_has_an_end(void **state)
{
    struct peer *peers[STRANGERS];
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    come(peers, STRANGERS);
    stage_until(&stage, stage.metrics.shakes_waiting > 0);
    uint64_t waiting = stage.metrics.shakes_waiting, had = turns_had();
    stage_skip(TLS_HANDSHAKE_MS + 1);
    stage_turn(&stage, 0);
    assert_int_equal(stage.metrics.shakes_waiting, 0);
    assert_in_range(turns_had(), had, had + 1);
    assert_true(stage.metrics.faults[FAULT_tls_timeout] >= waiting - 1);
    stage_until(&stage, stage.metrics.conns_open == 0);
    close_peers(peers, STRANGERS);
    close_all();
}

static void who_leaves_gives_up_its_place(void **state)
{
    struct peer *peers[STRANGERS];
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    come(peers, STRANGERS);
    for (unsigned i = 0; i < STRANGERS; i += 2)
        peer_reset(peers[i]);
    stage_until(&stage, stage.metrics.conns_open == STRANGERS / 2);
    for (unsigned i = 1; i < STRANGERS; i += 2)
        stage_until(&stage, peer_read(peers[i]) > 0);
    for (unsigned i = 1; i < STRANGERS; i += 2)
        peer_close(peers[i]);
    stage_until(&stage, stage.metrics.conns_open == 0);
    assert_int_equal(stage.metrics.shakes_waiting, 0);
    close_all();
}

/* Whole handshakes at both ends, many at once: none is left behind, whichever side it is on. */
static void strangers_and_dialled_take_turns(void **state)
{
    enum { DIALS = 40 };
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    for (unsigned i = 0; i < DIALS; i++) {
        struct dial dial = stage_dial(stage.port, true, "/ws");
        assert_non_null(conn_dial(stage.io, &dial));
    }
    stage_until(&stage, stage.opens == DIALS);
    assert_int_equal(stage.metrics.shakes_dialled_full + stage.metrics.shakes_dialled_resumed,
                     DIALS);
    assert_int_equal(turns_had(), 3 * DIALS); /* a client's two parts, a server's first */
    close_all();
}

/* What a stranger may say before its turn has a bound. */
static void a_hello_without_end(void **state)
{
    static uint8_t nonsense[TLS_HELLO_BYTES_MAX + 1];
    struct peer *peers[STRANGERS];
    (void)state;
    open_with((struct io_config){.shakes_max = 1});
    memset(nonsense, 0x16, sizeof nonsense);
    struct peer *endless = peer_open(stage.port);
    stage_until(&stage, stage.metrics.conns_open == 1);
    peer_offer(endless, nonsense, sizeof nonsense);
    stage_until(&stage, peer_over(endless));
    assert_int_equal(stage.metrics.faults[FAULT_tls_handshake], 1);
    peer_close(endless);
    stage_until(&stage, stage.metrics.conns_open == 0);
    come(peers, STRANGERS); /* and others are served as before */
    stage_until(&stage, answered(peers, STRANGERS) == STRANGERS);
    close_peers(peers, STRANGERS);
    close_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_in_a_turn),
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(frames_come_first),
        cmocka_unit_test(what_others_are_sent_leaves_before),
        cmocka_unit_test(too_many_are_turned_away),
        cmocka_unit_test(the_door_is_shut_when_too_many_wait),
        cmocka_unit_test(waiting_has_an_end),
        cmocka_unit_test(who_leaves_gives_up_its_place),
        cmocka_unit_test(strangers_and_dialled_take_turns),
        cmocka_unit_test(a_hello_without_end),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
