/* bench_load: so many calls through a relay, in real time, and what they saw of it.
 *
 *   bench_load --relay 127.0.0.1:PORT --ai-port PORT --calls 500              the floor
 *   bench_load --edge --ai-port PORT --calls 500 -- --webhook URL --to NUMBER the edge
 * What follows -- are options of practice-carrier; the token comes from TWILIO_AUTH_TOKEN. */
#include "bench/load/load.h"

#include "bench/load/usage.h"
#include "common/clock.h"
#include "common/panic.h"

#include <jansson.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define NS             1000000000ull
#define STEPS_MAX      64
#define OWN_LATE_NS    5000000ull
#define DRAIN_NS       (3 * NS / 2)
#define CONNECT_CALM   (30 * NS) /* nothing new for so long: connecting has failed */
#define BUSY_SHARE_MAX 0.85
#define OWN_P99_US_MAX 2000.0

/* What the processes had cost at one moment. */
struct moment {
    uint64_t at_ns, own_ns;
    struct usage relay, control;
};

static struct moment look(const struct load *load)
{
    struct moment moment = {.at_ns = clock_monotonic_ns(), .own_ns = usage_own_ns()};
    if (load->options.pid)
        usage_of(load->options.pid, &moment.relay);
    if (load->options.control_pid)
        usage_of(load->options.control_pid, &moment.control);
    return moment;
}

/* ---- the clock of all frames ---- */

/* Frame k of all belongs to call k % calls; calls are spread evenly over 20 ms. */
static uint64_t pace_due_ns(const struct load *load)
{
    uint64_t calls = load->options.calls;
    uint64_t round = load->pace_step / calls, slot = load->pace_step % calls;
    return load->pace_begin_ns + round * LOAD_FRAME_NS + slot * LOAD_FRAME_NS / calls;
}

static void take_step(struct load *load, uint64_t now_ns)
{
    uint64_t calls = load->options.calls;
    struct load_call *up = &load->calls[load->pace_step % calls];
    struct load_call *down = &load->calls[(load->pace_step + calls / 2) % calls];
    if (up->state == LOAD_TALKING) {
        if (!load->draining)
            load_up_send(up, now_ns);
        load_down_marks(up, now_ns);
    }
    if (down->state == LOAD_TALKING)
        load_down_step(down, now_ns);
    load->pace_step++;
}

/* A bounded number of steps, so that a generator that falls behind still reads. */
static void pace_fired(void *owner)
{
    struct load *load = owner;
    uint64_t now = clock_monotonic_ns();
    for (unsigned step = 0; step < STEPS_MAX && pace_due_ns(load) <= now; step++) {
        uint64_t late_ns = now - pace_due_ns(load);
        if (load->measuring) {
            histogram_add(&load->figures.own, late_ns);
            load->figures.own_late += late_ns > OWN_LATE_NS ? 1 : 0;
        }
        take_step(load, now);
        now = clock_monotonic_ns();
    }
    uint64_t soonest = now + load->options.batch_us * 1000ull;
    uint64_t due = pace_due_ns(load);
    peer_timer_set(load->loop, &load->pace, due > soonest ? due : soonest);
}

/* ---- phases ---- */

static void run_for(struct load *load, double seconds)
{
    uint64_t end = clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    while (clock_monotonic_ns() < end)
        peer_loop_turn(load->loop, 10);
}

static bool connect_all(struct load *load)
{
    uint64_t changed_ns = clock_monotonic_ns();
    unsigned seen = 0;
    load_call_next(load);
    while (load->talking + load->over < load->options.calls) {
        peer_loop_turn(load->loop, 100);
        uint64_t now = clock_monotonic_ns();
        if (load->talking + load->over != seen) {
            seen = load->talking + load->over;
            changed_ns = now;
        }
        if (now - changed_ns > CONNECT_CALM) {
            fprintf(stderr, "load: connecting stands still at %u of %u\n", load->talking,
                    load->options.calls);
            return false;
        }
    }
    return load->talking > 0;
}

/* The window of what counts, in every call's own units. */
static void open_window(struct load *load)
{
    for (unsigned i = 0; i < load->options.calls; i++) {
        struct load_call *call = &load->calls[i];
        call->up.first_measured = call->up.sent / LOAD_FRAME_SAMPLES;
        call->down.first_measured = call->down.sent / LOAD_DELTA_SAMPLES;
        call->up.end_measured = call->down.end_measured = UINT64_MAX;
    }
    load->figures.wrong_frames = 0;
    load->measuring = true;
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
    load->draining = true;
}

/* What was sent, since the calls began, and never came; a resampler may keep 5 ms. */
static uint64_t lost(const struct load_way *way, bool pcm)
{
    uint64_t slack = pcm ? 40 : 0;
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
    for (unsigned i = 0; i < load->options.calls; i++)
        load_call_hang_up(&load->calls[i]);
    run_for(load, 1.0);
}

/* ---- report ---- */

static json_t *report_way(const struct histogram *histogram, uint64_t units, uint64_t late,
                          uint64_t lost_samples)
{
    return json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:f}", "units", (json_int_t)units, "arrived",
        (json_int_t)histogram->count, "p50_us", histogram_us(histogram, 0.5), "p99_us",
        histogram_us(histogram, 0.99), "p999_us", histogram_us(histogram, 0.999), "max_us",
        histogram_max_us(histogram), "late", (json_int_t)late, "lost_ms", (double)lost_samples / 8);
}

struct costs {
    double seconds, own_busy, own_p99_us, relay_us, relay_busy, control_us, kib_per_call;
    bool bottleneck;
};

static struct costs count_costs(const struct load *load, const struct moment *before,
                                const struct moment *begin, const struct moment *end)
{
    struct costs costs = {.seconds = (double)(end->at_ns - begin->at_ns) / 1e9};
    double calls = load->talking ? load->talking : 1;
    double call_seconds = costs.seconds * calls;
    costs.own_busy = (double)(end->own_ns - begin->own_ns) / 1e9 / costs.seconds;
    costs.own_p99_us = histogram_us(&load->figures.own, 0.99);
    costs.bottleneck = costs.own_busy > BUSY_SHARE_MAX || costs.own_p99_us > OWN_P99_US_MAX;
    double relay_ns = (double)(end->relay.cpu_ns - begin->relay.cpu_ns);
    costs.relay_us = relay_ns / 1000 / call_seconds;
    costs.relay_busy = relay_ns / 1e9 / costs.seconds;
    costs.control_us = (double)(end->control.cpu_ns - begin->control.cpu_ns) / 1000 / call_seconds;
    costs.kib_per_call =
        ((double)end->relay.rss_bytes - (double)before->relay.rss_bytes) / 1024 / calls;
    return costs;
}

static json_t *make_report(const struct load *load, const struct costs *costs)
{
    const struct load_figures *figures = &load->figures;
    const struct load_options *options = &load->options;
    json_t *relay = json_pack("{s:f, s:f, s:f, s:f, s:f}", "cpu_us_per_call_second",
                              costs->relay_us, "busy_share", costs->relay_busy, "calls_per_core",
                              costs->relay_us > 0 ? 1e6 / costs->relay_us : 0.0, "kib_per_call",
                              costs->kib_per_call, "control_us_per_call_second", costs->control_us);
    json_t *own = json_pack("{s:f, s:f, s:f, s:I, s:b}", "busy_share", costs->own_busy, "p99_us",
                            costs->own_p99_us, "max_us", histogram_max_us(&figures->own), "late",
                            (json_int_t)figures->own_late, "bottleneck", costs->bottleneck);
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:f, s:o, s:o, s:o, s:o, s:I}", "label",
        options->label ? options->label : "", "relay_kind", options->edge ? "edge" : "floor",
        "format", options->pcm ? "pcm" : "pcmu", "calls", (int)options->calls, "failed",
        (int)figures->failed, "seconds", costs->seconds, "relay", relay, "generator", own, "up",
        report_way(&figures->up, figures->frames, figures->up_late, figures->up_lost), "down",
        report_way(&figures->down, figures->deltas, figures->down_late, figures->down_lost),
        "wrong_frames", (json_int_t)figures->wrong_frames);
}

static void print_way(const char *name, const struct histogram *histogram, uint64_t units,
                      uint64_t late, uint64_t lost_samples)
{
    printf("  %-5s %8llu of %8llu  p50 %7.0f  p99 %7.0f  p99.9 %7.0f  max %7.0f us  late %llu  "
           "lost %.1f ms\n",
           name, (unsigned long long)histogram->count, (unsigned long long)units,
           histogram_us(histogram, 0.5), histogram_us(histogram, 0.99),
           histogram_us(histogram, 0.999), histogram_max_us(histogram), (unsigned long long)late,
           (double)lost_samples / 8);
}

static void print_report(const struct load *load, const struct costs *costs)
{
    const struct load_figures *figures = &load->figures;
    printf("%s: %u calls (%u failed), %s, %.1f s\n",
           load->options.label  ? load->options.label
           : load->options.edge ? "edge"
                                : "floor",
           load->options.calls, figures->failed, load->options.pcm ? "pcm 24 kHz" : "pcmu",
           costs->seconds);
    if (load->options.pid)
        printf("  relay %.0f us per call-second, %.0f%% of a core, %.0f calls per core, %.1f KiB "
               "per call\n",
               costs->relay_us, 100 * costs->relay_busy,
               costs->relay_us > 0 ? 1e6 / costs->relay_us : 0.0, costs->kib_per_call);
    print_way("up", &figures->up, figures->frames, figures->up_late, figures->up_lost);
    print_way("down", &figures->down, figures->deltas, figures->down_late, figures->down_lost);
    printf("  generator %.0f%% of its core, its own frames late by p99 %.0f us, max %.0f us%s\n",
           100 * costs->own_busy, costs->own_p99_us, histogram_max_us(&figures->own),
           costs->bottleneck ? "  ** THE GENERATOR IS THE BOTTLENECK **" : "");
    if (figures->wrong_frames)
        printf("  %llu frames were not the next of their call\n",
               (unsigned long long)figures->wrong_frames);
}

/* ---- setting up ---- */

static int refuse(const char *what)
{
    fprintf(stderr, "bench_load: %s; see --help\n", what);
    return 2;
}

static int print_help(void)
{
    printf("bench_load [--edge] --ai-port PORT --calls N [options] [-- practice-carrier options]\n"
           "  --relay HOST:PORT   the floor's address (without --edge)\n"
           "  --edge              calls come through webhook, TwiML and stream\n"
           "  --ai-port PORT      listen here as the AI: ws(s)://127.0.0.1:PORT/v1/realtime\n"
           "  --cert F --key F    the AI side speaks TLS\n"
           "  --format pcmu|pcm   what the AI speaks (pcmu); with --edge it must be configured so\n"
           "  --calls N           at once (100)     --rate N  begun in a second (50)\n"
           "  --seconds S         measured (20)     --warm S  before that (3)\n"
           "  --cpu N             pin the generator\n"
           "  --batch-us N        frames due within N us go out together (0: each at its time)\n"
           "  --pid P             the relay, for its CPU and memory; --control-pid P\n"
           "  --json FILE         report            --label TEXT\n");
    return 0;
}

static int read_pair(struct load_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--relay") == 0)
        options->relay = value;
    else if (strcmp(name, "--ai-port") == 0)
        options->ai_port = (uint16_t)atoi(value);
    else if (strcmp(name, "--cert") == 0)
        options->cert = value;
    else if (strcmp(name, "--key") == 0)
        options->key = value;
    else if (strcmp(name, "--format") == 0)
        options->pcm = strcmp(value, "pcm") == 0;
    else if (strcmp(name, "--calls") == 0)
        options->calls = (unsigned)atoi(value);
    else if (strcmp(name, "--rate") == 0)
        options->rate = atof(value);
    else if (strcmp(name, "--seconds") == 0)
        options->seconds = atof(value);
    else if (strcmp(name, "--warm") == 0)
        options->warm_seconds = atof(value);
    else if (strcmp(name, "--cpu") == 0)
        options->cpu = atoi(value);
    else if (strcmp(name, "--batch-us") == 0)
        options->batch_us = (unsigned)atoi(value);
    else if (strcmp(name, "--pid") == 0)
        options->pid = atoi(value);
    else if (strcmp(name, "--control-pid") == 0)
        options->control_pid = atoi(value);
    else if (strcmp(name, "--json") == 0)
        options->json = value;
    else if (strcmp(name, "--label") == 0)
        options->label = value;
    else
        return refuse(name);
    return -1;
}

static int read_options(int argc, char **argv, struct load_options *options)
{
    *options = (struct load_options){
        .calls = 100, .seconds = 20, .warm_seconds = 3, .rate = 50, .cpu = -1};
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--help") == 0)
            return print_help();
        if (strcmp(argv[at], "--edge") == 0) {
            options->edge = true;
            continue;
        }
        if (at + 1 == argc)
            return refuse(argv[at]);
        int status = read_pair(options, argv[at], argv[at + 1]);
        if (status >= 0)
            return status;
        at++;
    }
    if (options->calls == 0 || options->calls > LOAD_CALLS_MAX || options->rate <= 0)
        return refuse("--calls or --rate is out of range");
    if (!options->edge)
        return options->relay ? -1 : refuse("--relay or --edge is needed");
    return at < argc ? carrier_options_read(argc - at, argv + at, &options->carrier)
                     : refuse("--edge needs -- and practice-carrier's options");
}

static bool set_up(struct load *load)
{
    const struct load_options *options = &load->options;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)(options->cpu >= 0 ? options->cpu : 0), &set);
    if (options->cpu >= 0 && sched_setaffinity(0, sizeof set, &set) != 0)
        fprintf(stderr, "load: cannot be pinned to processor %d\n", options->cpu);
    load->loop = peer_loop_open();
    load->tls = peer_tls_client(options->carrier.ca_file);
    load->calls = calloc(options->calls, sizeof *load->calls);
    if (options->cert && options->key)
        load->server_tls = peer_tls_server(options->cert, options->key);
    if (!load->loop || !load->tls || !load->calls || (options->cert && !load->server_tls))
        return false;
    for (unsigned i = 0; i < options->calls; i++) {
        load->calls[i].load = load;
        load->calls[i].index = i;
    }
    load_up_prepare(load);
    load_down_prepare(load);
    load->listener = peer_listen(load->loop, &(struct peer_listen){.port = options->ai_port,
                                                                   .tls = load->server_tls,
                                                                   .hooks = &load_model_hooks,
                                                                   .owner = load});
    load->pace_begin_ns = clock_monotonic_ns();
    load->pace = (struct peer_timer){.fire = pace_fired, .owner = load};
    return load->listener != NULL;
}

static void tear_down(struct load *load)
{
    if (load->loop) {
        peer_timer_clear(load->loop, &load->pace);
        peer_timer_clear(load->loop, &load->place);
        for (unsigned i = 0; i < load->options.calls; i++)
            load->calls[i].state = LOAD_OVER;
        peer_loop_close(load->loop);
    }
    if (load->tls)
        peer_tls_close(load->tls);
    if (load->server_tls)
        peer_tls_close(load->server_tls);
    free(load->calls);
    free(load->delta_tail);
    carrier_options_close(&load->options.carrier);
}

static int measure(struct load *load)
{
    struct moment before = look(load);
    peer_timer_set(load->loop, &load->pace, pace_due_ns(load));
    if (!connect_all(load))
        return 1;
    run_for(load, load->options.warm_seconds);
    open_window(load);
    struct moment begin = look(load);
    run_for(load, load->options.seconds);
    struct moment end = look(load);
    close_window(load);
    run_for(load, (double)DRAIN_NS / 1e9);
    count_losses(load);
    struct costs costs = count_costs(load, &before, &begin, &end);
    print_report(load, &costs);
    json_t *report = make_report(load, &costs);
    if (load->options.json && json_dump_file(report, load->options.json, JSON_INDENT(2)) != 0)
        fprintf(stderr, "load: cannot write %s\n", load->options.json);
    json_decref(report);
    hang_up_all(load);
    return load->figures.failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct load load;
    int status = read_options(argc, argv, &load.options);
    if (status >= 0)
        return status;
    if (set_up(&load))
        status = measure(&load);
    else
        status = refuse("cannot set up");
    tear_down(&load);
    return status;
}
