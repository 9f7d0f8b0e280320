#include "control/link/edge.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/base/json_read.h"
#include "control/link/dispatch.h"
#include "control/link/intake.h"
#include "control/link/journal.h"
#include "control/link/pool.h"
#include "control/tools/tool_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define RETRY_MS_MIN 100 /* between two tries to store a batch, growing to .. */
#define RETRY_MS_MAX 1000

/* An event on its way to the database: its frame as it came. */
struct waiting_event {
    uint64_t id;
    uint8_t *frame;
    struct span json;
};

struct order_memory {
    uint64_t id;
    char call[UUID_TEXT_BYTES + 1];
    char order[UUID_TEXT_BYTES + 1]; /* its row; "": nobody waits for the answer */
    bool load;                       /* our own question: not counted */
};

struct edge {
    struct edge_config config;
    int socket;
    atomic_uint references;
    struct edge_hello hello;

    pthread_mutex_t send_lock; /* one frame at a time; guards orders as well */
    bool send_broken;
    uint64_t orders_count;
    struct order_memory orders[EDGE_ORDERS_REMEMBERED];
    struct edge_load load;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct waiting_event events[EDGE_EVENTS_MAX];
    size_t head, count, bytes;
    uint64_t events_read, events_done;
    bool stopping; /* read no more */
    bool ending;   /* the reader is gone: store what waits, then end */

    struct waiting_event batch[EVENTS_BATCH_MAX]; /* the intake thread's own */
    struct intake_event batch_read[EVENTS_BATCH_MAX];
};

/* ---- life ---- */

static void set_timeout(int socket, int option, unsigned wait_ms)
{
    struct timeval time = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    setsockopt(socket, SOL_SOCKET, option, &time, sizeof time);
}

struct edge *edge_open(int socket, const struct edge_config *config)
{
    struct edge *edge = calloc(1, sizeof *edge);
    if (!edge) {
        close(socket);
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    edge->config = *config;
    edge->socket = socket;
    atomic_init(&edge->references, 1);
    pthread_mutex_init(&edge->send_lock, NULL);
    pthread_mutex_init(&edge->lock, NULL);
    pthread_cond_init(&edge->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    set_timeout(socket, SO_RCVTIMEO, EDGE_HELLO_MS);
    set_timeout(socket, SO_SNDTIMEO, EDGE_SEND_MS);
    return edge;
}

struct edge *edge_hold(struct edge *edge)
{
    atomic_fetch_add(&edge->references, 1);
    return edge;
}

void edge_drop(struct edge *edge)
{
    unsigned before = atomic_fetch_sub(&edge->references, 1);
    assert(before > 0);
    if (before > 1)
        return;
    assert(edge->count == 0);
    close(edge->socket);
    pthread_mutex_destroy(&edge->send_lock);
    pthread_mutex_destroy(&edge->lock);
    pthread_cond_destroy(&edge->changed);
    free(edge);
}

void edge_stop_reading(struct edge *edge)
{
    pthread_mutex_lock(&edge->lock);
    edge->stopping = true;
    pthread_cond_broadcast(&edge->changed);
    pthread_mutex_unlock(&edge->lock);
    shutdown(edge->socket, SHUT_RD);
}

const struct edge_hello *edge_identity(const struct edge *edge)
{
    return &edge->hello;
}

/* ---- sending ---- */

static bool write_all(int socket, struct iovec *parts, int count)
{
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
        ssize_t written = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false; /* gone, or no progress within EDGE_SEND_MS */
        size_t left = (size_t)written;
        while (count > 0 && left >= parts->iov_len) {
            left -= parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
    return true;
}

/* With the send lock held. Half a frame cannot be mended: the link ends. */
static bool send_locked(struct edge *edge, enum link_type type, uint64_t id, struct span json,
                        struct span raw)
{
    uint8_t header[LINK_HEADER_BYTES];
    if (edge->send_broken || json.bytes > LINK_FRAME_BYTES_MAX - LINK_HEADER_BYTES ||
        raw.bytes > LINK_FRAME_BYTES_MAX - LINK_HEADER_BYTES - json.bytes)
        return false;
    link_encode_header(header, type, id, json.bytes, raw.bytes);
    struct iovec parts[] = {{header, sizeof header},
                            {(void *)(uintptr_t)json.data, json.bytes},
                            {(void *)(uintptr_t)raw.data, raw.bytes}};
    if (write_all(edge->socket, parts, 3))
        return true;
    edge->send_broken = true;
    COUNT(edge->config.metrics, links_broken);
    shutdown(edge->socket, SHUT_RDWR); /* the reader sees it and ends */
    return false;
}

bool edge_send(struct edge *edge, enum link_type type, uint64_t id, struct span json,
               struct span raw)
{
    pthread_mutex_lock(&edge->send_lock);
    bool sent = send_locked(edge, type, id, json, raw);
    pthread_mutex_unlock(&edge->send_lock);
    return sent;
}

/* With the send lock held: an order's number, by which its RESULT is known. */
static struct order_memory *remember_order(struct edge *edge)
{
    uint64_t id = ++edge->orders_count;
    struct order_memory *memory = &edge->orders[id % EDGE_ORDERS_REMEMBERED];
    *memory = (struct order_memory){.id = id};
    return memory;
}

bool edge_order(struct edge *edge, const char *call, const char *order, struct span json)
{
    pthread_mutex_lock(&edge->send_lock);
    struct order_memory *memory = remember_order(edge);
    uint64_t id = memory->id;
    snprintf(memory->call, sizeof memory->call, "%s", call);
    snprintf(memory->order, sizeof memory->order, "%s", order);
    if (!order[0])
        edge->load.calls++; /* a call prepared; the next answer knows it */
    bool sent = send_locked(edge, LINK_ORDER, id, json, (struct span){NULL, 0});
    pthread_mutex_unlock(&edge->send_lock);
    COUNT(edge->config.metrics, orders);
    if (!sent)
        COUNT(edge->config.metrics, orders_lost);
    return sent;
}

void edge_ask_load(struct edge *edge)
{
    static const char json[] = "{\"kind\":\"load\"}";
    pthread_mutex_lock(&edge->send_lock);
    struct order_memory *memory = remember_order(edge);
    memory->load = true;
    send_locked(edge, LINK_ORDER, memory->id, span_of(json), (struct span){NULL, 0});
    pthread_mutex_unlock(&edge->send_lock);
}

struct edge_load edge_load_now(struct edge *edge)
{
    pthread_mutex_lock(&edge->send_lock);
    struct edge_load load = edge->load;
    pthread_mutex_unlock(&edge->send_lock);
    return load;
}

bool edge_is_full(struct edge *edge)
{
    struct edge_load load = edge_load_now(edge);
    return load.known && (load.draining || load.calls >= edge->hello.calls_max);
}

static void take_load(struct edge *edge, const json_t *result)
{
    int64_t calls;
    if (!json_read_integer(result, "calls", 0, UINT32_MAX, &calls))
        return;
    pthread_mutex_lock(&edge->send_lock);
    edge->load = (struct edge_load){.known = true,
                                    .draining = json_is_true(json_object_get(result, "draining")),
                                    .calls = (unsigned)calls};
    pthread_mutex_unlock(&edge->send_lock);
}

static void take_result(struct edge *edge, const struct link_frame *frame)
{
    struct order_memory found = {.id = 0};
    json_t *result = json_read_object(frame->json);
    bool ok = json_is_true(json_object_get(result, "ok"));
    pthread_mutex_lock(&edge->send_lock);
    const struct order_memory *memory = &edge->orders[frame->id % EDGE_ORDERS_REMEMBERED];
    if (frame->id && memory->id == frame->id)
        found = *memory;
    pthread_mutex_unlock(&edge->send_lock);
    const char *error = json_read_text(result, "error", 1024);
    if (found.load) {
        take_load(edge, result);
    } else if (ok) {
        COUNT(edge->config.metrics, orders_ok);
    } else {
        COUNT(edge->config.metrics, orders_refused);
        log_warn("order refused by the edge", log_text("edge", edge->hello.name),
                 log_text("conversation", found.call), log_text("error", error));
    }
    if (found.order[0] && edge->config.dispatch)
        dispatch_settle(edge->config.dispatch, found.order, ok, error);
    json_decref(result);
}

/* ---- events ---- */

static bool events_full(const struct edge *edge, size_t bytes)
{
    return edge->count == EDGE_EVENTS_MAX ||
           (edge->count && edge->bytes + bytes > EDGE_EVENTS_BYTES_MAX);
}

/* Hands an event to the intake thread; waits while too many are there. Takes the frame. */
static void queue_event(struct edge *edge, const struct link_frame *frame, uint8_t *block)
{
    pthread_mutex_lock(&edge->lock);
    while (events_full(edge, frame->json.bytes) && !edge->stopping)
        pthread_cond_wait(&edge->changed, &edge->lock);
    if (edge->stopping) {
        pthread_mutex_unlock(&edge->lock);
        free(block); /* not acknowledged, so the edge has it still */
        return;
    }
    edge->events[(edge->head + edge->count) % EDGE_EVENTS_MAX] =
        (struct waiting_event){.id = frame->id, .frame = block, .json = frame->json};
    edge->count++;
    edge->bytes += frame->json.bytes;
    edge->events_read++;
    pthread_cond_broadcast(&edge->changed);
    pthread_mutex_unlock(&edge->lock);
    COUNT(edge->config.metrics, events_received);
    COUNT(edge->config.metrics, events_waiting);
}

uint64_t edge_events_read(struct edge *edge)
{
    pthread_mutex_lock(&edge->lock);
    uint64_t mark = edge->events_read;
    pthread_mutex_unlock(&edge->lock);
    return mark;
}

static struct timespec after_ms(unsigned wait_ms)
{
    uint64_t at_ns = clock_monotonic_ns() + (uint64_t)wait_ms * 1000000u;
    return (struct timespec){.tv_sec = (time_t)(at_ns / 1000000000u),
                             .tv_nsec = (long)(at_ns % 1000000000u)};
}

void edge_await(struct edge *edge, uint64_t mark, unsigned wait_ms)
{
    struct timespec until = after_ms(wait_ms);
    int late = 0;
    pthread_mutex_lock(&edge->lock);
    while (edge->events_done < mark && late == 0)
        late = pthread_cond_timedwait(&edge->changed, &edge->lock, &until);
    pthread_mutex_unlock(&edge->lock);
}

/* Events that stay at the front of the queue until they are stored. 0: none will come. */
static int peek_batch(struct edge *edge)
{
    int count = 0;
    pthread_mutex_lock(&edge->lock);
    while (edge->count == 0 && !edge->ending)
        pthread_cond_wait(&edge->changed, &edge->lock);
    for (; count < EVENTS_BATCH_MAX && (size_t)count < edge->count; count++)
        edge->batch[count] = edge->events[(edge->head + (size_t)count) % EDGE_EVENTS_MAX];
    pthread_mutex_unlock(&edge->lock);
    return count;
}

static void drop_batch(struct edge *edge, int count)
{
    pthread_mutex_lock(&edge->lock);
    assert(edge->count >= (size_t)count);
    for (int i = 0; i < count; i++) {
        struct waiting_event *event = &edge->events[edge->head];
        edge->bytes -= event->json.bytes;
        free(event->frame);
        edge->head = (edge->head + 1) % EDGE_EVENTS_MAX;
        edge->count--;
    }
    edge->events_done += (uint64_t)count;
    pthread_cond_broadcast(&edge->changed);
    pthread_mutex_unlock(&edge->lock);
    UNCOUNT_BY(edge->config.metrics, events_waiting, (uint64_t)count);
}

/* Reads what can be read of a batch; the others are counted and acknowledged like it. */
static int read_batch(struct edge *edge, const struct waiting_event *batch, int count,
                      struct intake_event *events)
{
    const struct intake_origin origin = {edge->hello.name, edge->hello.run};
    int good = 0;
    for (int i = 0; i < count; i++) {
        const char *wrong = intake_read(batch[i].json, &origin, &events[good]);
        if (!wrong) {
            good++;
            continue;
        }
        COUNT(edge->config.metrics, events_malformed);
        log_warn("event malformed", log_text("edge", edge->hello.name),
                 log_number("event", batch[i].id), log_text("member", wrong));
    }
    return good;
}

/* Waits before the next try, or until the link ends. */
static bool pause_before_retry(struct edge *edge, unsigned wait_ms)
{
    struct timespec until = after_ms(wait_ms);
    int late = 0;
    pthread_mutex_lock(&edge->lock);
    while (!edge->ending && late == 0)
        late = pthread_cond_timedwait(&edge->changed, &edge->lock, &until);
    bool goes_on = !edge->ending;
    pthread_mutex_unlock(&edge->lock);
    return goes_on;
}

/* Tries until it is stored. False: the link ended before; the edge will send it again. */
static bool store_batch(struct edge *edge, struct db *db, const struct intake_event *events,
                        int count)
{
    const struct edge_config *config = &edge->config;
    unsigned wait_ms = RETRY_MS_MIN;
    while (count > 0) {
        enum db_result result = DB_AWAY;
        if (journal_is_empty(config->journal)) /* else their calls may not be there yet */
            result = intake_store(db, config->ticket_keys, config->metrics, events, count);
        if (result == DB_OK)
            return true;
        COUNT(config->metrics, events_retried);
        log_error("events not stored yet", log_text("edge", edge->hello.name),
                  log_text("result", db_result_name(result)), log_text("error", db_error(db)),
                  log_number("events", count));
        if (!pause_before_retry(edge, wait_ms))
            return false;
        wait_ms = wait_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : wait_ms * 2;
    }
    return true;
}

static unsigned count_tool_calls(const struct intake_event *events, int count)
{
    unsigned calls = 0;
    for (int i = 0; i < count; i++)
        calls += strcmp(events[i].event.kind, "tool_call") == 0;
    return calls;
}

static void *take_events(void *argument)
{
    struct edge *edge = argument;
    struct waiting_event *batch = edge->batch;
    struct intake_event *events = edge->batch_read;
    struct db *db = db_open(&edge->config.db);
    assert(db);
    int count;
    while ((count = peek_batch(edge)) > 0) {
        int good = read_batch(edge, batch, count, events);
        bool stored = store_batch(edge, db, events, good);
        if (stored)
            tool_pool_wake(edge->config.tools, count_tool_calls(events, good));
        for (int i = 0; i < good; i++)
            intake_free(&events[i]);
        for (int i = 0; i < count && stored; i++)
            edge_send(edge, LINK_ACK, batch[i].id, (struct span){NULL, 0}, (struct span){NULL, 0});
        drop_batch(edge, count);
    }
    db_close(db);
    edge_drop(edge);
    return NULL;
}

/* ---- reading ---- */

static bool read_exactly(int socket, uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t taken = recv(socket, data, bytes, 0);
        if (taken < 0 && errno == EINTR)
            continue;
        if (taken <= 0)
            return false;
        data += taken;
        bytes -= (size_t)taken;
    }
    return true;
}

/* One whole frame in a block of its own. NULL: the link is over. */
static uint8_t *read_frame(struct edge *edge, struct link_frame *frame)
{
    uint8_t header[LINK_HEADER_BYTES];
    size_t frame_bytes;
    if (!read_exactly(edge->socket, header, sizeof header))
        return NULL;
    if (link_decode(span_from(header, sizeof header), frame, &frame_bytes) == LINK_BAD) {
        COUNT(edge->config.metrics, links_broken);
        log_warn("link closed: not a frame", log_text("edge", edge->hello.name));
        return NULL;
    }
    assert(frame_bytes >= sizeof header && frame_bytes <= LINK_FRAME_BYTES_MAX);
    uint8_t *block = malloc(frame_bytes);
    if (!block)
        return NULL;
    memcpy(block, header, sizeof header);
    if (!read_exactly(edge->socket, block + sizeof header, frame_bytes - sizeof header)) {
        free(block);
        return NULL;
    }
    size_t used;
    enum link_decode decode = link_decode(span_from(block, frame_bytes), frame, &used);
    assert(decode == LINK_DONE && used == frame_bytes);
    return block;
}

/* Takes the block in any case. */
static void take_request(struct edge *edge, const struct link_frame *frame, uint8_t *block)
{
    struct work work = {.edge = edge_hold(edge),
                        .id = frame->id,
                        .frame = block,
                        .json = frame->json,
                        .raw = frame->raw,
                        .received_ns = clock_monotonic_ns(),
                        .events_mark = edge_events_read(edge)};
    COUNT(edge->config.metrics, requests);
    if (!pool_submit(edge->config.pool, &work))
        work_free(&work);
}

static void dispatch(struct edge *edge, const struct link_frame *frame, uint8_t *block)
{
    switch (frame->type) {
    case LINK_REQUEST:
        take_request(edge, frame, block);
        return;
    case LINK_EVENT:
        queue_event(edge, frame, block);
        return;
    case LINK_RESULT:
        take_result(edge, frame);
        break;
    default:
        COUNT(edge->config.metrics, frames_unknown);
        break;
    }
    free(block);
}

/* ---- hello ---- */

static bool send_hello(struct edge *edge, const char *error)
{
    json_t *hello = json_pack("{s:s, s:s, s:s}", "role", "control", "name", "ringbridge-control",
                              "run", edge->config.run);
    if (hello && error)
        json_object_set_new(hello, "error", json_string(error));
    char *text = hello ? json_dumps(hello, JSON_COMPACT) : NULL;
    bool sent =
        text && edge_send(edge, LINK_HELLO, LINK_VERSION, span_of(text), (struct span){NULL, 0});
    free(text);
    json_decref(hello);
    return sent;
}

static bool greet(struct edge *edge)
{
    struct link_frame frame;
    const char *wrong = "the first frame must be a hello";
    uint8_t *block = read_frame(edge, &frame);
    if (!block)
        return false;
    if (frame.type == LINK_HELLO)
        wrong = edge_hello_read(frame.id, frame.json, &edge->hello);
    free(block);
    bool sent = send_hello(edge, wrong);
    if (wrong)
        log_warn("link refused", log_text("reason", wrong));
    set_timeout(edge->socket, SO_RCVTIMEO, 0);
    return sent && !wrong;
}

static void read_frames(struct edge *edge)
{
    struct link_frame frame;
    uint8_t *block;
    while ((block = read_frame(edge, &frame)))
        dispatch(edge, &frame, block);
}

static void end_intake(struct edge *edge, pthread_t intake)
{
    pthread_mutex_lock(&edge->lock);
    edge->ending = true;
    pthread_cond_broadcast(&edge->changed);
    pthread_mutex_unlock(&edge->lock);
    pthread_join(intake, NULL);
}

void edge_serve(struct edge *edge)
{
    pthread_t intake;
    struct metrics *metrics = edge->config.metrics;
    if (!greet(edge)) {
        COUNT(metrics, links_refused);
        return;
    }
    edge_hold(edge);
    if (pthread_create(&intake, NULL, take_events, edge) != 0) {
        COUNT(metrics, links_refused);
        edge_drop(edge);
        return;
    }
    COUNT(metrics, links_accepted);
    COUNT(metrics, links);
    log_info("edge connected", log_text("edge", edge->hello.name), log_text("run", edge->hello.run),
             log_number("cores", edge->hello.cores));
    if (edge->config.dispatch)
        dispatch_join(edge->config.dispatch, edge);
    read_frames(edge);
    if (edge->config.dispatch)
        dispatch_leave(edge->config.dispatch, edge);
    end_intake(edge, intake);
    UNCOUNT(metrics, links);
    log_info("edge disconnected", log_text("edge", edge->hello.name),
             log_text("run", edge->hello.run));
}
