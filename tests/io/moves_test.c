/* Thousands of connections that move between three cores, each a thread with its own io: several
 * times each, while their frames come in; letters are read late and out of order; peers leave in
 * the middle. Every byte that a peer sends comes back to it, in its order. What is drawn comes from
 * SEED, what the kernel does with it does not. */
#include "tests/io/stage.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define SEED          20261121
#define CORES         3
#define LETTER_CONN   100 /* and above: the moves behind it */
#define MOVES_MAX     4
#define TRANSIT_MAX   64
#define HELD_MAX      256
#define VISITORS      48 /* at a time */
#define FRAMES_MAX    12
#define FRAME_BYTES   1500
#define STREAM_BYTES  (FRAMES_MAX * (FRAME_BYTES + 8) + 512)
#define WIRE_BYTES    (STREAM_BYTES + TLS_FLIGHT_BYTES_MAX)
#define IDLE_ROUNDS   20000
#define VISITS_PLAIN  4000
#define VISITS_SEALED 1000

static uint64_t draw(uint64_t *dice, uint64_t sides)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return (*dice >> 11) % sides;
}

/* ---- cores ---- */

struct held {
    uint64_t conn;
    unsigned moves;
};

struct core {
    struct io *io;
    struct metrics metrics;
    struct mail *inbox;
    pthread_t thread;
    uint64_t dice;
    bool ending;
    struct letter transit[TRANSIT_MAX]; /* received, not read yet */
    unsigned transit_count;
    struct held held[HELD_MAX]; /* requests that are let wait */
    unsigned held_count;
    unsigned moved, adopted, upgraded;
    uint16_t port, sealed_port;
};

static struct core cores[CORES];
static char directory[] = "/tmp/moves_test.XXXXXX";

static void move_on(struct core *core, struct conn *conn, unsigned moves)
{
    struct core *target = &cores[draw(&core->dice, CORES)]; /* perhaps itself */
    core->moved++;
    conn_hand_over(core->io, conn, target->inbox, LETTER_CONN + moves + 1);
}

static void decide(struct core *core, struct conn *conn, unsigned moves)
{
    uint64_t whim = draw(&core->dice, 4);
    if (moves < MOVES_MAX && whim < 2) {
        move_on(core, conn, moves);
    } else if (whim == 2 && core->held_count < HELD_MAX) {
        core->held[core->held_count++] = (struct held){conn_ref(conn), moves};
    } else if (moves == 0) { /* nobody stays where it came */
        move_on(core, conn, moves);
    } else {
        core->upgraded++;
        conn_upgrade(core->io, conn, 65536);
    }
}

static void pull(struct core *core, struct conn *conn, unsigned moves)
{
    struct message message;
    while (conn && conn_next(core->io, conn, &message))
        if (message.kind == MESSAGE_REQUEST)
            decide(core, conn, moves);
        else if (message.kind == MESSAGE_BINARY)
            conn_send_binary(core->io, conn, message.body);
}

static void complete(struct core *core, const struct io_done *done)
{
    if (done->op == OP_ACCEPT)
        conn_accepted(core->io, done);
    else if (done->op == OP_RECEIVE)
        conn_received(core->io, done);
    else if (done->op == OP_SEND)
        conn_sent(core->io, done);
    pull(core, done->conn, 0);
}

/* Letters wait for some turns, and overtake each other. */
static void read_some_letters(struct core *core)
{
    while (core->transit_count < TRANSIT_MAX &&
           mail_receive(core->inbox, &core->transit[core->transit_count]))
        core->transit_count++;
    while (core->transit_count && draw(&core->dice, 3)) {
        size_t at = draw(&core->dice, core->transit_count);
        struct letter letter = core->transit[at];
        core->transit[at] = core->transit[--core->transit_count];
        core->adopted++;
        pull(core, conn_adopt(core->io, letter.content), letter.kind - LETTER_CONN);
    }
}

static void answer_some_held(struct core *core)
{
    while (core->held_count && draw(&core->dice, 3)) {
        size_t at = draw(&core->dice, core->held_count);
        struct held held = core->held[at];
        core->held[at] = core->held[--core->held_count];
        struct conn *conn = conn_find(core->io, held.conn);
        if (conn)
            decide(core, conn, held.moves);
    }
}

static void *run(void *argument)
{
    struct core *core = argument;
    struct io_done done;
    struct timer *timer;
    while (!__atomic_load_n(&core->ending, __ATOMIC_RELAXED)) {
        io_wait(core->io, core->transit_count || core->held_count ? 0 : 5);
        while (io_next(core->io, &done))
            complete(core, &done);
        while ((timer = wheel_take(io_wheel(core->io))))
            pull(core, conn_expired(core->io, timer), 0);
        read_some_letters(core);
        answer_some_held(core);
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
    for (size_t i = 0; i < CORES; i++) {
        struct core *core = &cores[i];
        *core = (struct core){.inbox = mail_open(1024), .dice = SEED + 77 * (i + 1)};
        struct io_config config = {.metrics = &core->metrics,
                                   .conns_max = 256,
                                   .receive_buffers = 64,
                                   .tls_server = server,
                                   .doorbell = mail_doorbell(core->inbox)};
        core->io = io_open(&config, error, sizeof error);
        assert_non_null(core->io);
        core->port = listen_on(core, false);
        if (server)
            core->sealed_port = listen_on(core, true);
    }
    for (size_t i = 0; i < CORES; i++)
        assert_int_equal(pthread_create(&cores[i].thread, NULL, run, &cores[i]), 0);
}

static void stop(void)
{
    uint64_t open = 0, moved = 0, adopted = 0;
    for (size_t i = 0; i < CORES; i++)
        __atomic_store_n(&cores[i].ending, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < CORES; i++)
        pthread_join(cores[i].thread, NULL);
    for (size_t i = 0; i < CORES; i++) {
        struct core *core = &cores[i];
        struct letter letter;
        for (; core->transit_count; core->transit_count--)
            conn_parcel_free(core->transit[core->transit_count - 1].content);
        while (mail_receive(core->inbox, &letter))
            conn_parcel_free(letter.content);
        mail_close(core->inbox);
        open += core->metrics.conns_open;
        moved += core->moved;
        adopted += core->adopted;
        assert_int_equal(core->metrics.faults[FAULT_no_capacity], 0);
    }
    assert_int_equal(open, 0);
    assert_true(adopted <= moved);
}

/* ---- visitors: one connection each, all in the test's thread, never waiting for any ---- */

struct visitor {
    int fd;
    struct tls *tls; /* NULL: plain */
    bool secured;
    uint8_t plain[STREAM_BYTES], expected[STREAM_BYTES]; /* to be said; to be heard */
    size_t plain_bytes, plain_done, expected_bytes, heard;
    uint8_t wire[WIRE_BYTES]; /* on its way out */
    size_t wire_bytes, wire_done;
    size_t leaves_after; /* bytes of plain; 0: stays to the end */
    unsigned idle;
};

static struct visitor *visitors[VISITORS];
static uint64_t dice = SEED;
static struct tls_client *client;

static size_t frame_head(uint8_t *out, size_t bytes, bool masked)
{
    size_t at = 0;
    uint8_t mask = masked ? 0x80 : 0;
    out[at++] = 0x82;
    out[at++] = mask | (uint8_t)(bytes < 126 ? bytes : 126);
    if (bytes >= 126) {
        out[at++] = (uint8_t)(bytes >> 8);
        out[at++] = (uint8_t)bytes;
    }
    memset(out + at, 0, masked ? 4 : 0); /* a mask of zeroes leaves the bytes as they are */
    return at + (masked ? 4 : 0);
}

static void compose(struct visitor *visitor)
{
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    memcpy(visitor->plain, request, visitor->plain_bytes = sizeof request - 1);
    memcpy(visitor->expected, answer, visitor->expected_bytes = sizeof answer - 1);
    for (uint64_t left = 1 + draw(&dice, FRAMES_MAX); left; left--) {
        size_t bytes = draw(&dice, FRAME_BYTES);
        visitor->plain_bytes += frame_head(visitor->plain + visitor->plain_bytes, bytes, true);
        visitor->expected_bytes +=
            frame_head(visitor->expected + visitor->expected_bytes, bytes, false);
        for (size_t i = 0; i < bytes; i++)
            visitor->plain[visitor->plain_bytes++] = visitor->expected[visitor->expected_bytes++] =
                (uint8_t)draw(&dice, 256);
    }
    if (draw(&dice, 5) == 0)
        visitor->leaves_after = 1 + draw(&dice, visitor->plain_bytes);
}

static struct visitor *visit(bool sealed)
{
    struct visitor *visitor = calloc(1, sizeof *visitor);
    const struct core *core = &cores[draw(&dice, CORES)];
    uint16_t port = sealed ? core->sealed_port : core->port;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_non_null(visitor);
    visitor->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(visitor->fd, (struct sockaddr *)&address, sizeof address), 0);
    if (sealed)
        assert_non_null(visitor->tls = tls_dial(client, "localhost", port));
    visitor->secured = !sealed;
    compose(visitor);
    return visitor;
}

static void leave(struct visitor *visitor, bool rude)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (rude)
        setsockopt(visitor->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(visitor->fd);
    tls_free(visitor->tls);
    free(visitor);
}

/* What a call of tls gets to write to: behind what is on its way. */
static struct tls_flow flow_of(struct visitor *visitor, struct span in)
{
    memmove(visitor->wire, visitor->wire + visitor->wire_done,
            visitor->wire_bytes -= visitor->wire_done);
    visitor->wire_done = 0;
    return (struct tls_flow){.in = in,
                             .out = visitor->wire + visitor->wire_bytes,
                             .out_room = sizeof visitor->wire - visitor->wire_bytes};
}

static void shake(struct visitor *visitor, struct span *in)
{
    enum fault fault = FAULT_NONE;
    struct tls_flow flow = flow_of(visitor, *in);
    enum tls_step step = tls_handshake(visitor->tls, &flow, &fault);
    assert_true(step == TLS_DONE || step == TLS_MORE);
    visitor->wire_bytes += flow.out_bytes;
    visitor->secured = step == TLS_DONE;
    *in = flow.in;
}

static void hear(struct visitor *visitor, const uint8_t *bytes, size_t count)
{
    assert_true(visitor->heard + count <= visitor->expected_bytes);
    assert_memory_equal(visitor->expected + visitor->heard, bytes, count);
    visitor->heard += count;
}

static void take(struct visitor *visitor, struct span in)
{
    static uint8_t plain[TLS_PLAIN_BYTES_MAX];
    if (!visitor->tls) {
        hear(visitor, in.data, in.bytes);
        return;
    }
    if (!visitor->secured)
        shake(visitor, &in);
    while (visitor->secured && in.bytes) {
        enum fault fault = FAULT_NONE;
        size_t plain_bytes = 0;
        struct tls_flow flow = flow_of(visitor, in);
        enum tls_step step = tls_read(visitor->tls, &flow, plain, &plain_bytes, &fault);
        assert_true(step == TLS_DONE || step == TLS_MORE);
        visitor->wire_bytes += flow.out_bytes;
        hear(visitor, plain, plain_bytes);
        in = flow.in;
    }
}

/* Some more of what it has to say becomes bytes on the wire: one record, or a piece. */
static void say_some(struct visitor *visitor)
{
    size_t left = visitor->plain_bytes - visitor->plain_done;
    size_t count = 1 + draw(&dice, left < 3000 ? left : 3000);
    struct span piece = span_from(visitor->plain + visitor->plain_done, count);
    struct tls_flow flow = flow_of(visitor, span_from(NULL, 0));
    if (visitor->tls) {
        assert_true(tls_write(visitor->tls, &flow, piece));
        visitor->wire_bytes += flow.out_bytes;
    } else {
        memcpy(flow.out, piece.data, count);
        visitor->wire_bytes += count;
    }
    visitor->plain_done += count;
}

/* Any number of bytes, so that the other end sees requests, records and frames in any pieces. */
static bool send_some(struct visitor *visitor)
{
    size_t left = visitor->wire_bytes - visitor->wire_done;
    if (!left)
        return false;
    ssize_t sent = send(visitor->fd, visitor->wire + visitor->wire_done, 1 + draw(&dice, left),
                        MSG_DONTWAIT | MSG_NOSIGNAL);
    visitor->wire_done += sent > 0 ? (size_t)sent : 0;
    return sent > 0;
}

/* False: it has left, or has heard all that it should. */
static bool step(struct visitor *visitor)
{
    static uint8_t came[16384];
    bool moved = false;
    if (visitor->tls && !visitor->secured && !visitor->wire_bytes) {
        struct span nothing = span_from(NULL, 0);
        shake(visitor, &nothing);
    }
    if (visitor->secured && visitor->plain_done < visitor->plain_bytes && draw(&dice, 2))
        say_some(visitor);
    moved |= send_some(visitor);
    ssize_t got = recv(visitor->fd, came, sizeof came, MSG_DONTWAIT);
    assert_true(got != 0); /* nobody here ends before its visitor does */
    if (got > 0)
        take(visitor, span_from(came, (size_t)got));
    moved |= got > 0;
    visitor->idle = moved ? 0 : visitor->idle + 1;
    if (visitor->idle > IDLE_ROUNDS)
        fail_msg("nothing came for long: %zu of %zu heard", visitor->heard,
                 visitor->expected_bytes);
    if (visitor->leaves_after && visitor->plain_done >= visitor->leaves_after) {
        leave(visitor, draw(&dice, 2));
        return false;
    }
    if (visitor->heard < visitor->expected_bytes)
        return true;
    leave(visitor, false);
    return false;
}

/* Waits until one of them may go on. */
static void wait_for_any(void)
{
    struct pollfd polls[VISITORS];
    nfds_t count = 0;
    for (size_t i = 0; i < VISITORS; i++) {
        const struct visitor *visitor = visitors[i];
        if (!visitor)
            continue;
        bool says = visitor->wire_done < visitor->wire_bytes ||
                    (visitor->secured && visitor->plain_done < visitor->plain_bytes);
        polls[count++] = (struct pollfd){visitor->fd, POLLIN | (says ? POLLOUT : 0), 0};
    }
    poll(polls, count, 5);
}

static void receive_visitors(unsigned count, bool sealed)
{
    unsigned begun = 0, gone = 0;
    while (gone < count) {
        for (size_t i = 0; i < VISITORS; i++) {
            if (!visitors[i] && begun < count) {
                visitors[i] = visit(sealed);
                begun++;
            }
            if (visitors[i] && !step(visitors[i])) {
                visitors[i] = NULL;
                gone++;
            }
        }
        wait_for_any();
    }
}

/* ---- the tests ---- */

static unsigned moves(void)
{
    unsigned moved = 0;
    for (size_t i = 0; i < CORES; i++)
        moved += cores[i].moved;
    return moved;
}

static void every_byte_arrives_plain(void **state)
{
    (void)state;
    start(NULL);
    receive_visitors(VISITS_PLAIN, false);
    stop();
    assert_true(moves() >= VISITS_PLAIN);
}

static void every_byte_arrives_sealed(void **state)
{
    char error[256], certificate[128], key[128], authority[128];
    (void)state;
    snprintf(certificate, sizeof certificate, "%s/good.pem", directory);
    snprintf(key, sizeof key, "%s/good.key", directory);
    snprintf(authority, sizeof authority, "%s/authority.pem", directory);
    struct tls_server *server = tls_server_open(certificate, key, error, sizeof error);
    client = tls_client_open(authority, error, sizeof error);
    assert_true(server && client);
    start(server);
    receive_visitors(VISITS_SEALED, true);
    stop();
    assert_true(moves() >= VISITS_SEALED / 2); /* who leaves early never asked for anything */
    tls_server_close(server);
    tls_client_close(client);
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
        cmocka_unit_test(every_byte_arrives_plain),
        cmocka_unit_test(every_byte_arrives_sealed),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
