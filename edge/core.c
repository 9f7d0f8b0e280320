#include "edge/core.h"

#include "common/panic.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAIT_MS           500 /* a core turns at least twice a second, so that its health can be seen */
#define LETTERS_PER_TURN  256
#define REALTIME_PRIORITY 1
#define SLICE_NS          100000 /* the shortest that a kernel gives */

struct core {
    struct core_config config;
    struct io *io;
    struct calls *calls;
    struct mail *inbox;
    struct link *link;
    pthread_t thread;
    unsigned drain_deadline_ms; /* written before the letter is sent */
    bool draining;
    uint64_t drained_by_ms;
    uint64_t finished_by_ms; /* then recordings are not waited for any more; 0: calls still run */
};

/* ---- the turn ---- */

/* Whatever happened to a connection, its messages are pulled here. */
static void pull(struct core *core, struct conn *conn)
{
    struct message message;
    while (conn_next(core->io, conn, &message))
        calls_on_message(core->calls, conn, &message);
}

/* What a completion means. */
static void complete(struct core *core, const struct io_done *done)
{
    switch (done->op) {
    case OP_ACCEPT:
        conn_accepted(core->io, done);
        break;
    case OP_CONNECT:
        conn_connected(core->io, done);
        break;
    case OP_RECEIVE:
        conn_received(core->io, done);
        break;
    case OP_SEND:
        conn_sent(core->io, done);
        break;
    case OP_SHAKE:
        break;
    case OP_FILE_OPEN:
    case OP_FILE_WRITE:
    case OP_FILE_CLOSE:
        calls_on_file(core->calls, done);
        return;
    default: /* OP_WAKE: the inbox is read every turn; the rest io has settled itself */
        return;
    }
    if (done->conn)
        pull(core, done->conn);
}

static void expire(struct core *core, const struct timer *timer)
{
    if (timer->kind != TIMER_CONN) {
        calls_on_timer(core->calls, timer);
        return;
    }
    struct conn *conn = conn_expired(core->io, timer);
    if (conn)
        pull(core, conn);
}

/* Webhooks of running calls still come, so the door stays open until the last call has ended. */
static void begin_drain(struct core *core)
{
    core->draining = true;
    core->drained_by_ms = io_now_ms(core->io) + core->drain_deadline_ms;
    calls_drain(core->calls);
}

static void read_inbox(struct core *core)
{
    struct letter letter;
    for (unsigned i = 0; i < LETTERS_PER_TURN && mail_receive(core->inbox, &letter); i++) {
        if (letter.kind == LETTER_DRAIN)
            begin_drain(core);
        else
            calls_on_letter(core->calls, &letter);
    }
}

/* Wait, reap, timers, inbox, flush: each bounded. Handlers only queue; sends leave with the flush.
 */
static void turn(struct core *core, unsigned wait_ms)
{
    struct io_done done;
    struct timer *timer;
    io_wait(core->io, wait_ms);
    calls_pressure(core->calls, io_pressure(core->io));
    while (io_next(core->io, &done))
        complete(core, &done);
    while ((timer = wheel_take(io_wheel(core->io))))
        expire(core, timer);
    read_inbox(core);
    calls_turn_end(core->calls);
    io_flush(core->io);
}

static bool drained(struct core *core)
{
    if (!core->draining)
        return false;
    if (calls_count(core->calls) && io_now_ms(core->io) >= core->drained_by_ms)
        calls_end_all(core->calls, END_drained);
    if (calls_count(core->calls))
        return false;
    if (!core->finished_by_ms)
        core->finished_by_ms = io_now_ms(core->io) + SPOOL_FINISH_MS;
    return calls_recordings(core->calls) == 0 || io_now_ms(core->io) >= core->finished_by_ms;
}

/* A short slice is an early turn on the processor when a completion wakes the core, also against
 * threads that compute for long (Linux 6.12; older kernels refuse or ignore it, and no privilege is
 * needed). */
static void ask_for_short_slices(void)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t slice_ns, deadline_ns, period_ns;
    } attributes = {.size = sizeof attributes,
                    .flags =
                        0x08, /* SCHED_FLAG_KEEP_POLICY: a real-time one was somebody's choice */
                    .nice = getpriority(PRIO_PROCESS, 0),
                    .slice_ns = SLICE_NS};
    syscall(SYS_sched_setattr, 0, &attributes, 0);
}

bool core_turn(struct core *core)
{
    if (drained(core))
        return false;
    turn(core, mail_waiting(core->inbox) ? 0 : core->draining ? 20 : WAIT_MS);
    return true;
}

bool core_finish(struct core *core)
{
    io_stop_listening(core->io);
    for (int i = 0; i < 25; i++) /* what the last calls said still has to leave */
        turn(core, 20);
    if (io_close(core->io))
        core->io = NULL;
    GAUGE_SET(core->config.metrics, over, 1);
    return !core->io;
}

struct io *core_io(struct core *core)
{
    return core->io;
}

struct calls *core_calls(struct core *core)
{
    return core->calls;
}

static void *run(void *argument)
{
    struct core *core = argument;
    flight_adopt(core->config.flight);
    if (!core->config.realtime)
        ask_for_short_slices();
    while (core_turn(core))
        ;
    return core_finish(core) ? core : NULL;
}

/* ---- life ---- */

static bool listen_on(struct core *core, char *error, size_t room)
{
    const struct core_config *config = &core->config;
    if (config->listen_bytes && !io_listen(core->io, (const struct sockaddr *)&config->listen,
                                           config->listen_bytes, false, error, room))
        return false;
    return !config->listen_tls_bytes ||
           io_listen(core->io, (const struct sockaddr *)&config->listen_tls,
                     config->listen_tls_bytes, true, error, room);
}

struct core *core_open(const struct core_config *config, char *error, size_t room)
{
    struct core *core = calloc(1, sizeof *core);
    if (!core) {
        snprintf(error, room, "out of memory");
        return NULL;
    }
    core->config = *config;
    core->inbox = config->inboxes[config->index];
    struct io_config io = config->io;
    io.core = config->index;
    io.files_max = config->spools.files_max;
    io.tls_server = config->tls_server;
    io.tls_client = config->tls_client;
    io.metrics = config->metrics;
    io.doorbell = mail_doorbell(core->inbox);
    core->io = io_open(&io, error, room);
    if (!core->io || !listen_on(core, error, room)) {
        core_close(core);
        return NULL;
    }
    return core;
}

/* Also kernel threads are ordinary ones: one that keeps house for some milliseconds twice a second
 * is a frame too late in a hundred. */
static bool begin(struct core *core)
{
    pthread_attr_t how;
    if (pthread_attr_init(&how) != 0)
        return false;
    if (core->config.realtime) {
        pthread_attr_setinheritsched(&how, PTHREAD_EXPLICIT_SCHED);
        pthread_attr_setschedpolicy(&how, SCHED_RR);
        pthread_attr_setschedparam(&how,
                                   &(struct sched_param){.sched_priority = REALTIME_PRIORITY});
    }
    int result = pthread_create(&core->thread, &how, run, core);
    pthread_attr_destroy(&how);
    errno = result;
    return result == 0;
}

static void pin(const struct core *core)
{
    cpu_set_t set;
    char name[16];
    snprintf(name, sizeof name, "core-%u", core->config.index);
    pthread_setname_np(core->thread, name);
    if (core->config.cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)core->config.cpu, &set);
    pthread_setaffinity_np(core->thread, sizeof set, &set);
}

bool core_equip(struct core *core, struct link *link)
{
    struct calls_config calls = {
        .core = core->config.index,
        .cores_count = core->config.cores_count,
        .calls_max = core->config.calls_max,
        .io = core->io,
        .link = link,
        .resolve = core->config.resolve,
        .metrics = core->config.metrics,
        .inboxes = core->config.inboxes,
        .spools = core->config.spools,
    };
    core->link = link;
    core->calls = calls_open(&calls);
    return core->calls;
}

bool core_start(struct core *core, struct link *link, char *error, size_t room)
{
    if (!core_equip(core, link)) {
        snprintf(error, room, "out of memory for calls");
        return false;
    }
    if (begin(core)) {
        pin(core);
        return true;
    }
    if (errno == EPERM)
        snprintf(error, room, "--realtime on needs LimitRTPRIO=1 (ulimit -r 1) or CAP_SYS_NICE");
    else
        snprintf(error, room, "a core's thread could not be started: %s", strerror(errno));
    return false;
}

void core_drain(struct core *core, unsigned deadline_ms)
{
    core->drain_deadline_ms = deadline_ms;
    struct letter letter = {.kind = LETTER_DRAIN};
    while (!mail_send(core->inbox, letter)) /* full: the core is busy emptying it */
        sched_yield();
}

bool core_join(struct core *core)
{
    void *finished;
    pthread_join(core->thread, &finished);
    return finished;
}

bool core_close(struct core *core)
{
    struct letter letter;
    if (!core)
        return true;
    if (core->io && !io_close(core->io))
        return false;
    while (mail_receive(core->inbox, &letter))
        calls_drop_letter(&letter);
    calls_close(core->calls);
    free(core);
    return true;
}
