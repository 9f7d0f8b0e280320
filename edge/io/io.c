#include "common/clock.h"
#include "common/panic.h"
#include "edge/io/conn_inner.h"
#include "edge/io/file_inner.h"
#include "edge/io/ring_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCEPT_PAUSE_MS 100   /* no descriptors left: others may be closed meanwhile */
#define CLOSE_WAIT_MS   10000 /* an op that is not home by then never comes */
#define NS_PER_MS       ((uint64_t)1000000)
#define NS_PER_US       1000u

/* ---- open and close ---- */

static void read_clock(struct io *io)
{
    io->now_ns = clock_monotonic_ns();
    io->now_ms = io->now_ns / NS_PER_MS;
}

static unsigned power_of_two(unsigned least)
{
    unsigned power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static struct ring_config plan_ring(const struct io_config *config)
{
    unsigned answers = 3 * config->conns_max + config->receive_buffers + ACCEPTS_WAITING_MAX +
                       config->files_max + ANSWERS_OF_A_CORE;
    assert(answers <= RING_ANSWERS);
    return (struct ring_config){.entries = config->ring_entries,
                                .answers = power_of_two(answers),
                                .buffers = config->receive_buffers};
}

static struct io_config with_defaults(struct io_config config)
{
    config.conns_max = config.conns_max ? config.conns_max : CONNS_MAX;
    config.ring_entries = config.ring_entries ? config.ring_entries : RING_ENTRIES;
    config.receive_buffers = config.receive_buffers ? config.receive_buffers : RECEIVE_BUFFERS;
    config.fragments_max = config.fragments_max ? config.fragments_max : WS_FRAGMENTS_MAX;
    if (!config.completions_max)
        config.completions_max = TURN_COMPLETIONS_MAX;
    if (!config.address_conns_max)
        config.address_conns_max = ADDRESS_CONNS_MAX;
    if (!config.address_news_max)
        config.address_news_max = ADDRESS_NEWS_MAX;
    if (!config.shakes_max)
        config.shakes_max = SHAKE_TURN_MAX;
    if (!config.strangers_max)
        config.strangers_max = SHAKE_WAITING_MAX;
    if (!config.controls_per_second)
        config.controls_per_second = WS_CONTROL_PER_SECOND_MAX;
    if (!config.send_queue_bytes_max)
        config.send_queue_bytes_max = SEND_QUEUE_BYTES_MAX;
    config.pool_bytes_max = config.pool_bytes_max ? config.pool_bytes_max : POOL_BYTES_MAX;
    return config;
}

struct io *io_open(const struct io_config *config, char *error, size_t room)
{
    assert(config->metrics);
    struct io *io = calloc(1, sizeof *io);
    snprintf(error, room, "out of memory");
    if (!io)
        return NULL;
    io->config = with_defaults(*config);
    struct ring_config ring = plan_ring(&io->config);
    struct door_limits limits = {.places = ADDRESSES_KEPT,
                                 .open_max = io->config.address_conns_max,
                                 .news_max = io->config.address_news_max};
    if (!slab_open(&io->conns, io->config.conns_max, sizeof(struct conn)))
        goto failed;
    if (!file_open_all(io))
        goto failed_slab;
    io->ring = ring_open(&ring, error, room);
    if (!io->ring)
        goto failed_files;
    if (!door_open(&io->door, &limits))
        goto failed_ring;
    read_clock(io);
    wheel_open(&io->wheel, io->now_ms);
    pool_open(&io->pool, io->config.pool_bytes_max);
    io->accept_timer.kind = TIMER_CONN;
    io->doorbell = (struct ring_socket){.fd = config->doorbell, .ref = DOORBELL_REF};
    return io;

failed_ring:
    ring_close(io->ring);
failed_files:
    slab_close(&io->files);
failed_slab:
    slab_close(&io->conns);
failed:
    free(io);
    return NULL;
}

bool io_listen(struct io *io, const struct sockaddr *address, socklen_t address_bytes, bool tls,
               char *error, size_t room)
{
    assert(io->listeners_count < LISTENERS_MAX && (!tls || io->config.tls_server));
    int fd = ring_kernel_listen(address, address_bytes, &io->port);
    if (fd < 0) {
        snprintf(error, room, "cannot listen: %s", strerror(-fd));
        return false;
    }
    unsigned index = io->listeners_count++;
    io->listeners[index] = (struct listener){.socket = {.fd = fd, .ref = index}, .tls = tls};
    return true;
}

uint16_t io_port(const struct io *io)
{
    return io->port;
}

void io_stop_listening(struct io *io)
{
    for (unsigned i = 0; i < io->listeners_count; i++)
        io->listeners[i].stopped = true;
}

static bool is_home(const struct io *io)
{
    for (unsigned i = 0; i < io->listeners_count; i++)
        if (!io->listeners[i].gone)
            return false;
    return io->conns.live == 0 && io->doorbell.in_flight == 0;
}

/* One turn in which nothing is yielded. */
static void turn_silently(struct io *io)
{
    struct io_done done;
    struct timer *timer;
    io_flush(io);
    io_wait(io, 10);
    while (io_next(io, &done)) {
        if (done.op == OP_RECEIVE)
            conn_received(io, &done);
        else if (done.op == OP_SEND)
            conn_sent(io, &done);
        else if (done.op == OP_ACCEPT && done.conn)
            conn_abort(io, done.conn);
        else if (done.conn)
            conn_touch(io, done.conn);
    }
    while ((timer = wheel_take(&io->wheel)))
        if (timer->kind == TIMER_CONN)
            conn_expired(io, timer);
}

bool io_close(struct io *io)
{
    uint32_t at = 0;
    io->closing = true;
    io_stop_listening(io);
    for (struct conn *conn; (conn = slab_walk(&io->conns, &at));)
        if (conn->let_go && conn->phase < PHASE_ENDING)
            conn_enter(io, conn, PHASE_ENDING, WS_CLOSE_MS);
        else if (!conn->let_go)
            conn_abort(io, conn);
    file_close_all(io);
    uint64_t give_up_ms = io->now_ms + CLOSE_WAIT_MS;
    uint64_t leave_ms = io->now_ms + DISK_ANSWER_MS;
    do {
        turn_silently(io);
        assert(is_home(io) || io->now_ms < give_up_ms);
    } while (!is_home(io) || (io->files.live && io->now_ms < leave_ms));
    if (io->files.live) /* what a disk reads from has to be there until it answers */
        return false;
    io_flush(io);
    assert(io->conns.live == 0 && io->pool.lent_bytes == 0);
    ring_close(io->ring);
    door_close(&io->door);
    slab_close(&io->conns);
    slab_close(&io->files);
    pool_close(&io->pool);
    free(io);
    return true;
}

/* ---- the turn ---- */

uint64_t io_now_ms(const struct io *io)
{
    return io->now_ms;
}

uint64_t io_now_ns(const struct io *io)
{
    return io->now_ns;
}

struct wheel *io_wheel(struct io *io)
{
    return &io->wheel;
}

/* Everything of the last completion is dealt with; its buffer goes back. */
static void release_intake(struct io *io)
{
    struct conn *conn = io->intake.conn;
    if (!conn)
        return;
    conn_settle(io, conn);
    if (io->intake.shake)
        pool_give(&io->pool, io->intake.kept);
    else
        ring_give_back(io->ring, io->intake.buffer);
    io->intake = (struct intake){0};
}

static void wait_for_answer(struct io *io, unsigned wait_ms)
{
    uint64_t until_ns = io->now_ns + (uint64_t)wait_ms * NS_PER_MS;
    uint64_t due_ms = wheel_next_ms(&io->wheel);
    if (due_ms < until_ns / NS_PER_MS)
        until_ns = due_ms * NS_PER_MS;
    ring_wait(io->ring, io->now_ns, until_ns);
    read_clock(io);
}

/* A turn is from one wait's end to the next one's beginning. */
static void note_turn(struct io *io, uint64_t worked_ns, uint64_t waited_ns)
{
    struct metrics *metrics = io->config.metrics;
    uint64_t unbilled_ns = io->unbilled_ns + worked_ns;
    io->unbilled_ns = unbilled_ns % NS_PER_US;
    load_turn(&io->load, worked_ns, waited_ns);
    COUNT(metrics, turns);
    COUNT_BY(metrics, completions, io->answers_left);
    COUNT_BY(metrics, busy_us, unbilled_ns / NS_PER_US);
    GAUGE_SET(metrics, saturation, io->load.share);
    histogram_add(&metrics->turn_length, worked_ns / NS_PER_US);
    if (worked_ns > TURN_SLOW_MS * NS_PER_MS)
        COUNT(metrics, turns_slow);
    if (worked_ns > TURN_STALLED_MS * NS_PER_MS) { /* the watcher of pulse.h logs it */
        COUNT_BY(metrics, stalled_us, worked_ns / NS_PER_US);
        COUNT(metrics, turns_stalled);
    }
}

/* Handing over comes first and is work: the sends happen in it. What it brought answers for need
 * not be waited for; so a core that has too much to do never waits, which is what io_pressure
 * sees. */
void io_wait(struct io *io, unsigned wait_ms)
{
    io_flush(io); /* nothing is left over, if the last turn was a whole one */
    if (!io->turning)
        read_clock(io); /* the time since io_open was nobody's turn */
    io->turning = true;
    uint64_t began_ns = io->now_ns;
    ring_submit(io->ring);
    read_clock(io);
    uint64_t worked_until_ns = io->now_ns;
    if (ring_ready(io->ring) == 0)
        wait_for_answer(io, io->dialled.first || io->strangers.first ? 0 : wait_ms);
    unsigned ready = ring_ready(io->ring);
    io->answers_left = ready < io->config.completions_max ? ready : io->config.completions_max;
    conn_shake_allow(io, ready > io->answers_left);
    note_turn(io, worked_until_ns - began_ns, io->now_ns - worked_until_ns);
    wheel_advance(&io->wheel, io->now_ms);
}

unsigned io_pressure(const struct io *io)
{
    return io->load.share / (LOAD_WHOLE / 100);
}

/* Who may not come in is closed at once, which is all that a stranger can be told before TLS. */
static struct conn *turn_away(struct io *io, int fd, enum fault fault)
{
    COUNT(io->config.metrics, faults[fault]);
    ring_drop(io->ring, fd);
    return NULL;
}

/* A conn for what was accepted. A peer that is gone already has no address; its first receive will
 * tell. */
static struct conn *take_in(struct io *io, const struct listener *listener, int fd)
{
    struct sockaddr_storage peer;
    uint32_t place = 0;
    enum fault fault = FAULT_NONE;
    if (io->closing)
        return turn_away(io, fd, FAULT_no_capacity);
    if (listener->tls && io->strangers.count >= io->config.strangers_max)
        return turn_away(io, fd, FAULT_tls_busy);
    if (ring_kernel_peer(fd, &peer))
        fault = door_enter(&io->door, door_key(&peer), io->now_ms, &place);
    if (fault != FAULT_NONE)
        return turn_away(io, fd, fault);
    struct conn *conn = conn_make(io, fd, true);
    if (!conn) {
        door_leave(&io->door, place);
        return turn_away(io, fd, FAULT_no_capacity);
    }
    conn->door = place;
    conn->phase = listener->tls ? PHASE_HANDSHAKE : PHASE_HEAD;
    return conn;
}

/* True when the layer above must see it. */
static bool settle_listener(struct io *io, const struct ring_answer *answer, struct io_done *done)
{
    struct listener *listener = &io->listeners[slab_slot(answer->ref)];
    ring_landed(&listener->socket, answer);
    if (answer->op == OP_CLOSE) {
        listener->socket.fd = -1;
        listener->gone = true;
    }
    if (answer->op != OP_ACCEPT)
        return false;
    if (answer->result >= 0)
        done->conn = take_in(io, listener, answer->result);
    else if (answer->result != -ECANCELED) /* out of descriptors, or the peer has gone already */
        listener->paused_until_ms = io->now_ms + ACCEPT_PAUSE_MS;
    return done->conn;
}

/* What was received is taken here, so that no buffer can be forgotten above. */
static void take_bytes(struct io *io, struct conn *conn, const struct ring_answer *answer)
{
    assert(!io->intake.conn);
    io->intake.wire = ring_buffer(io->ring, answer->flags, answer->result, &io->intake.buffer);
    io->intake.conn = conn;
}

static bool settle_conn(struct io *io, const struct ring_answer *answer, struct io_done *done)
{
    struct conn *conn = slab_find(&io->conns, answer->ref);
    assert(conn); /* nobody is freed before all ops are home */
    ring_landed(&conn->socket, answer);
    if (answer->op == OP_CANCEL) {
        conn_touch(io, conn);
        return false;
    }
    if (answer->op == OP_CLOSE) {
        conn->socket.fd = -1;
        conn_enter(io, conn, PHASE_GONE, 0);
        return false;
    }
    if (answer->op == OP_RECEIVE && ring_has_buffer(answer->flags))
        take_bytes(io, conn, answer);
    done->conn = conn;
    return true;
}

static bool settle(struct io *io, const struct ring_answer *answer, struct io_done *done)
{
    *done = (struct io_done){.op = answer->op, .result = answer->result, .flags = answer->flags};
    if (answer->op == OP_NONE || answer->op == OP_ALARM) /* a stranger's socket; a wait's end */
        return false;
    if (answer->op >= OP_FILE_OPEN)
        return file_settle(io, answer, done);
    if (answer->ref == DOORBELL_REF) {
        ring_landed(&io->doorbell, answer);
        return answer->op == OP_WAKE;
    }
    if (answer->ref < LISTENERS_MAX)
        return settle_listener(io, answer, done);
    return settle_conn(io, answer, done);
}

/* What others are sent leaves before the first handshake is computed. */
static bool next_shake(struct io *io, struct io_done *done)
{
    if (!io->dialled.first && !io->strangers.first)
        return false;
    if (io->shakes_until_ns == 0) {
        io_flush(io);
        ring_submit(io->ring);
    }
    *done = (struct io_done){.op = OP_SHAKE, .conn = conn_shake_next(io)};
    return done->conn;
}

bool io_next(struct io *io, struct io_done *done)
{
    struct ring_answer answer;
    release_intake(io);
    while (io->answers_left && ring_take(io->ring, &answer)) {
        io->answers_left--;
        if (settle(io, &answer, done))
            return true;
    }
    return next_shake(io, done);
}

static void flush_listener(struct io *io, struct listener *listener)
{
    struct ring_socket *socket = &listener->socket;
    if (listener->gone)
        return;
    if (listener->stopped) {
        if (socket->in_flight == 0)
            ring_shut(io->ring, socket);
        else if (ring_flies(socket, OP_ACCEPT) && !ring_flies(socket, OP_CANCEL))
            ring_cancel(io->ring, socket);
        return;
    }
    if (ring_flies(socket, OP_ACCEPT))
        return;
    if (listener->paused_until_ms > io->now_ms) {
        wheel_set(&io->wheel, &io->accept_timer, listener->paused_until_ms);
        return;
    }
    listener->paused_until_ms = 0;
    ring_accept(io->ring, socket);
}

static void flush_doorbell(struct io *io)
{
    struct ring_socket *socket = &io->doorbell;
    if (socket->fd < 0)
        return;
    if (io->closing) {
        if (ring_flies(socket, OP_WAKE) && !ring_flies(socket, OP_CANCEL))
            ring_cancel(io->ring, socket);
    } else if (!ring_flies(socket, OP_WAKE)) {
        ring_watch(io->ring, socket);
    }
}

void io_flush(struct io *io)
{
    assert(!io->draft.conn);
    release_intake(io);
    while (io->dirty) {
        struct conn *conn = io->dirty;
        io->dirty = conn->next;
        conn->dirty = false;
        conn_flush(io, conn);
        if (conn->phase == PHASE_GONE && conn->let_go && !conn->dirty)
            conn_free(io, conn);
    }
    for (unsigned i = 0; i < io->listeners_count; i++)
        flush_listener(io, &io->listeners[i]);
    flush_doorbell(io);
}

size_t io_footprint_bytes(const struct io_config *config)
{
    struct io_config whole = with_defaults(*config);
    struct ring_config ring = plan_ring(&whole);
    return sizeof(struct io) + whole.conns_max * conn_footprint_bytes() +
           door_footprint_bytes(ADDRESSES_KEPT) + file_footprint_bytes(whole.files_max) +
           ring_footprint_bytes(&ring);
}
