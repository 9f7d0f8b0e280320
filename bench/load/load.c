/* bench_load: so many calls through a relay, in real time, and what they saw of it. Usage: --help.
 *
 * One turn: sleep until the next slot is due, send what is due, submit it and take what has come;
 * now and then look after calls that begin or end. */
#include "bench/load/load.h"

#include "common/clock.h"
#include "common/panic.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#define NS             1000000000ull
#define SLOTS_PER_TURN 4
#define OWN_LATE_NS    5000000ull
#define DRAIN_NS       (3 * NS / 2)
#define CONNECT_CALM   (30 * NS) /* nothing new for so long: connecting has failed */
#define LOOK_BUSY_NS   250000    /* between two looks at calls that begin .. */
#define LOOK_CALM_NS   5000000   /* .. and when none does */
#define LOOK_EVENTS    2         /* of handshakes between two looks at frames */
#define SHORT_FRAMES   4         /* a short call hangs up after so many */

/* ---- the clock of all frames ---- */

static unsigned slots(const struct load *load)
{
    return load->options.calls < LOAD_SLOTS_MAX ? load->options.calls : LOAD_SLOTS_MAX;
}

/* Slot k of all; a call's frames are all in the slots that are its index modulo their number. */
static uint64_t pace_due_ns(const struct load *load)
{
    uint64_t frame_ns = load->options.frame_ms * 1000000ull, count = slots(load);
    return load->pace_begin_ns + load->pace_step / count * frame_ns +
           load->pace_step % count * frame_ns / count;
}

static void speak(struct load_call *call, uint64_t now_ns)
{
    if (call->state != LOAD_TALKING)
        return;
    if (load_call_short(call) && call->established &&
        call->up.sent >= SHORT_FRAMES * LOAD_FRAME_SAMPLES) {
        load_call_hang_up(call);
        return;
    }
    if (!call->load->draining)
        load_up_send(call, now_ns);
    load_down_marks(call, now_ns);
}

/* Callers speak in their slot, agents half a round apart from it. */
static void take_slot(struct load *load)
{
    unsigned count = slots(load);
    unsigned up = (unsigned)(load->pace_step % count), down = (up + count / 2) % count;
    uint64_t now_ns = wire_now_ns();
    for (unsigned i = up; i < load->begun; i += count)
        speak(&load->calls[i], now_ns);
    for (unsigned i = down; i < load->begun; i += count)
        if (load->calls[i].state == LOAD_TALKING)
            load_down_step(&load->calls[i], now_ns);
    load->pace_step++;
}

/* A bounded number of slots, so that a generator that falls behind still reads. */
static void send_due(struct load *load)
{
    for (unsigned taken = 0; taken < SLOTS_PER_TURN; taken++) {
        uint64_t now = clock_monotonic_ns(), due = pace_due_ns(load);
        if (due > now)
            return;
        if (load->measuring) {
            histogram_add(&load->figures.own, now - due);
            load->figures.own_late += now - due > OWN_LATE_NS ? 1 : 0;
        }
        take_slot(load);
    }
}

static void look_after_calls(struct load *load)
{
    uint64_t now = clock_monotonic_ns();
    if (now < load->look_due_ns)
        return;
    load_call_begin_due(load);
    peer_loop_turn(load->loop, 0);
    load_leg_lend(load);
    load->look_due_ns = now + load->look_every_ns;
}

static void turn(struct load *load)
{
    uint64_t due = pace_due_ns(load);
    if (load->look_due_ns < due)
        due = load->look_due_ns;
    if (due > clock_monotonic_ns()) {
        struct timespec until = {.tv_sec = (time_t)(due / NS), .tv_nsec = (long)(due % NS)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
    send_due(load);
    wire_turn(load->wire);
    look_after_calls(load);
}

/* ---- phases ---- */

static void run_for(struct load *load, double seconds)
{
    uint64_t end = clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    while (clock_monotonic_ns() < end)
        turn(load);
}

static bool connect_all(struct load *load)
{
    uint64_t changed_ns = clock_monotonic_ns();
    unsigned seen = 0;
    load->begin_end = load->options.calls;
    load->look_every_ns = LOOK_BUSY_NS;
    load->next_begin_ns = changed_ns;
    while (load->established + load->over < load->options.calls) {
        turn(load);
        uint64_t now = clock_monotonic_ns();
        if (load->established + load->over != seen) {
            seen = load->established + load->over;
            changed_ns = now;
        }
        if (now - changed_ns > CONNECT_CALM) {
            fprintf(stderr, "load: connecting stands still at %u of %u\n", load->established,
                    load->options.calls);
            return false;
        }
    }
    return load->established > 0;
}

/* The window of what counts, in every measured call's own units. */
static void open_window(struct load *load)
{
    bool short_calls = load->options.setup_rate > 0;
    for (unsigned i = 0; i < load->options.calls; i++) {
        struct load_call *call = &load->calls[i];
        call->up.first_measured = call->up.sent / LOAD_FRAME_SAMPLES;
        call->down.first_measured = call->down.sent / LOAD_DELTA_SAMPLES;
        call->up.end_measured = call->down.end_measured = UINT64_MAX;
    }
    load->figures.wrong_frames = 0;
    load->measuring = true;
    load->begin_end = short_calls ? load->calls_all : load->begun;
    load->look_every_ns = short_calls ? LOOK_BUSY_NS : LOOK_CALM_NS;
    load->next_begin_ns = clock_monotonic_ns();
}

static void close_window(struct load *load)
{
    for (unsigned i = 0; i < load->options.calls; i++) {
        struct load_call *call = &load->calls[i];
        call->up.end_measured = call->up.sent / LOAD_FRAME_SAMPLES;
        call->down.end_measured = call->down.sent / LOAD_DELTA_SAMPLES;
        load->figures.frames += call->up.end_measured - call->up.first_measured;
        load->figures.deltas += call->down.end_measured - call->down.first_measured;
    }
    load->measuring = false;
    load->begin_end = load->begun;
}

/* What was sent, since the calls began, and never came. */
static uint64_t lost(const struct load_way *way, bool pcm)
{
    uint64_t slack = pcm ? LOAD_SLACK_SAMPLES : 0;
    return way->lost + (way->received + slack < way->sent ? way->sent - way->received : 0);
}

static void count_losses(struct load *load)
{
    for (unsigned i = 0; i < load->options.calls; i++) {
        const struct load_call *call = &load->calls[i];
        if (call->state != LOAD_TALKING)
            continue;
        load->figures.up_lost += lost(&call->up, load->options.pcm);
        load->figures.down_lost += lost(&call->down, load->options.pcm);
    }
}

static void hang_up_all(struct load *load)
{
    for (unsigned i = 0; i < load->begun; i++)
        load_call_hang_up(&load->calls[i]);
    run_for(load, 1.0);
}

static int measure(struct load *load)
{
    struct load_moment before = load_look(load);
    load->pace_begin_ns = clock_monotonic_ns();
    if (!connect_all(load))
        return 1;
    run_for(load, load->options.warm_seconds);
    open_window(load);
    struct load_moment begin = load_look(load);
    run_for(load, load->options.seconds);
    struct load_moment end = load_look(load);
    close_window(load);
    if (load->options.setup_rate > 0)
        run_for(load, 1.0); /* the last of them come about */
    load->draining = true;
    run_for(load, (double)DRAIN_NS / 1e9);
    count_losses(load);
    load_report(load, &before, &begin, &end);
    hang_up_all(load);
    return load->figures.failed ? 1 : 0;
}

/* ---- setting up ---- */

/* On its core the generator goes before everybody: what else runs there (control, PostgreSQL) must
 * not make its frames late. Where that is not allowed its lateness is measured all the same. */
static void go_first(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        fprintf(stderr, "load: cannot be pinned to processor %d\n", cpu);
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
}

static bool set_up(struct load *load)
{
    const struct load_options *options = &load->options;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1ul);
    if (options->cpu >= 0)
        go_first(options->cpu);
    load->calls_all = options->calls + (unsigned)(options->setup_rate * options->seconds);
    load->loop = peer_loop_open();
    load->wire = wire_open();
    load->tls = peer_tls_client(options->carrier.ca_file);
    load->calls = calloc(load->calls_all, sizeof *load->calls);
    if (options->cert && options->key)
        load->server_tls = peer_tls_server(options->cert, options->key);
    if (!load->loop || !load->wire || !load->tls || !load->calls ||
        (options->cert && !load->server_tls))
        return false;
    peer_loop_bound(load->loop, LOOK_EVENTS);
    for (unsigned i = 0; i < load->calls_all; i++) {
        load->calls[i].load = load;
        load->calls[i].index = i;
    }
    load_up_prepare(load);
    load_down_prepare(load);
    load->listener = peer_listen(load->loop, &(struct peer_listen){.port = options->ai_port,
                                                                   .tls = load->server_tls,
                                                                   .hooks = &load_model_hooks,
                                                                   .owner = load});
    return load->listener != NULL;
}

static void tear_down(struct load *load)
{
    for (unsigned i = 0; i < load->begun; i++)
        load->calls[i].state = LOAD_OVER;
    wire_close(load->wire);
    peer_loop_close(load->loop);
    if (load->calls)
        load_leg_free_all(load);
    if (load->tls)
        peer_tls_close(load->tls);
    if (load->server_tls)
        peer_tls_close(load->server_tls);
    free(load->calls);
    free(load->delta_tail);
    carrier_options_close(&load->options.carrier);
}

int main(int argc, char **argv)
{
    static struct load load;
    int status = load_options_read(argc, argv, &load.options);
    if (status >= 0)
        return status;
    if (set_up(&load)) {
        status = measure(&load);
    } else {
        fprintf(stderr, "bench_load: cannot set up; see --help\n");
        status = 2;
    }
    tear_down(&load);
    return status;
}
