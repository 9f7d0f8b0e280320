#include "bench/load/load.h"

#include "common/clock.h"

#include <jansson.h>
#include <stdio.h>

#define BUSY_SHARE_MAX 0.92
#define OWN_P99_US_MAX 2000.0

struct costs {
    double seconds, own_busy, own_p99_us, relay_us, relay_busy, control_us, kib_per_call;
    bool bottleneck;
};

struct load_moment load_look(const struct load *load)
{
    struct load_moment moment = {.at_ns = clock_monotonic_ns(), .own_ns = usage_own_ns()};
    if (load->options.pid)
        usage_of(load->options.pid, &moment.relay);
    if (load->options.control_pid)
        usage_of(load->options.control_pid, &moment.control);
    return moment;
}

static struct costs count_costs(const struct load *load, const struct load_moment *before,
                                const struct load_moment *begin, const struct load_moment *end)
{
    struct costs costs = {.seconds = (double)(end->at_ns - begin->at_ns) / 1e9};
    double calls = load->options.calls - load->figures.failed; /* who did not come cost nothing */
    calls = calls > 0 ? calls : 1;
    double call_seconds = costs.seconds * calls;
    costs.own_busy = (double)(end->own_ns - begin->own_ns) / 1e9 / costs.seconds;
    costs.own_p99_us = histogram_us(&load->figures.own, 0.99);
    costs.bottleneck = costs.own_busy > BUSY_SHARE_MAX || costs.own_p99_us > OWN_P99_US_MAX;
    double relay_ns = (double)(end->relay.cpu_ns - begin->relay.cpu_ns);
    costs.relay_us = relay_ns / 1000 / call_seconds;
    costs.relay_busy = relay_ns / 1e9 / costs.seconds;
    costs.control_us = (double)(end->control.cpu_ns - begin->control.cpu_ns) / 1000 / call_seconds;
    costs.kib_per_call =
        ((double)begin->relay.rss_bytes - (double)before->relay.rss_bytes) / 1024 / calls;
    return costs;
}

static const char *name_of(const struct load_options *options)
{
    static const char *const names[] = {"floor", "edge", "rival"};
    return names[options->kind];
}

/* ---- for programs ---- */

static json_t *report_way(const struct histogram *histogram, uint64_t units, uint64_t late,
                          uint64_t lost_samples)
{
    return json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:f}", "units", (json_int_t)units, "arrived",
        (json_int_t)histogram->count, "p50_us", histogram_us(histogram, 0.5), "p99_us",
        histogram_us(histogram, 0.99), "p999_us", histogram_us(histogram, 0.999), "max_us",
        histogram_max_us(histogram), "late", (json_int_t)late, "lost_ms", (double)lost_samples / 8);
}

static json_t *report_setup(const struct load *load, const struct costs *costs)
{
    const struct load_figures *figures = &load->figures;
    return json_pack(
        "{s:f, s:f, s:i, s:i, s:i, s:f, s:f, s:f}", "wanted_per_second", load->options.setup_rate,
        "per_second", figures->short_established / costs->seconds, "begun",
        (int)figures->short_begun, "established", (int)figures->short_established, "failed",
        (int)figures->short_failed, "p50_ms", histogram_us(&figures->setup, 0.5) / 1000, "p99_ms",
        histogram_us(&figures->setup, 0.99) / 1000, "max_ms",
        histogram_max_us(&figures->setup) / 1000);
}

static json_t *make_report(const struct load *load, const struct costs *costs)
{
    const struct load_figures *figures = &load->figures;
    const struct load_options *options = &load->options;
    json_t *relay = json_pack("{s:f, s:f, s:f, s:f, s:f}", "cpu_us_per_call_second",
                              costs->relay_us, "busy_share", costs->relay_busy, "calls_per_core",
                              costs->relay_us > 0 ? 1e6 / costs->relay_us : 0.0, "kib_per_call",
                              costs->kib_per_call, "control_us_per_call_second", costs->control_us);
    json_t *own = json_pack("{s:f, s:f, s:f, s:f, s:I, s:b}", "busy_share", costs->own_busy,
                            "p50_us", histogram_us(&figures->own, 0.5), "p99_us", costs->own_p99_us,
                            "max_us", histogram_max_us(&figures->own), "late",
                            (json_int_t)figures->own_late, "bottleneck", costs->bottleneck);
    json_t *report = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:f, s:o, s:o, s:o, s:o, s:I, s:I, s:I}", "label",
        options->label ? options->label : "", "relay_kind", name_of(options), "format",
        options->pcm ? "pcm" : "pcmu", "calls", (int)options->calls, "failed", (int)figures->failed,
        "seconds", costs->seconds, "relay", relay, "generator", own, "up",
        report_way(&figures->up, figures->frames, figures->up_late, figures->up_lost), "down",
        report_way(&figures->down, figures->deltas, figures->down_late, figures->down_lost),
        "wrong_frames", (json_int_t)figures->wrong_frames, "appends", (json_int_t)figures->appends,
        "joined_frames", (json_int_t)figures->joined);
    if (options->setup_rate > 0)
        json_object_set_new(report, "setup", report_setup(load, costs));
    return report;
}

/* ---- for people ---- */

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
    const struct load_options *options = &load->options;
    printf("%s: %u calls (%u failed), %s, %.1f s\n",
           options->label ? options->label : name_of(options), options->calls, figures->failed,
           options->pcm ? "pcm 24 kHz" : "pcmu", costs->seconds);
    if (options->pid)
        printf("  relay %.0f us per call-second, %.0f%% of a core, %.0f calls per core, %.1f KiB "
               "per call\n",
               costs->relay_us, 100 * costs->relay_busy,
               costs->relay_us > 0 ? 1e6 / costs->relay_us : 0.0, costs->kib_per_call);
    print_way("up", &figures->up, figures->frames, figures->up_late, figures->up_lost);
    print_way("down", &figures->down, figures->deltas, figures->down_late, figures->down_lost);
    printf("  generator %.0f%% of its core, its own frames late by p50 %.0f, p99 %.0f, max %.0f us"
           "%s\n",
           100 * costs->own_busy, histogram_us(&figures->own, 0.5), costs->own_p99_us,
           histogram_max_us(&figures->own),
           costs->bottleneck ? "  ** THE GENERATOR IS THE BOTTLENECK **" : "");
    if (options->setup_rate > 0)
        printf("  set up: %u of %u short calls (%u failed), first frame at the AI after p50 %.1f, "
               "p99 %.1f ms\n",
               figures->short_established, figures->short_begun, figures->short_failed,
               histogram_us(&figures->setup, 0.5) / 1000,
               histogram_us(&figures->setup, 0.99) / 1000);
    if (figures->wrong_frames)
        printf("  %llu frames were not the next of their call\n",
               (unsigned long long)figures->wrong_frames);
}

void load_report(const struct load *load, const struct load_moment *before,
                 const struct load_moment *begin, const struct load_moment *end)
{
    struct costs costs = count_costs(load, before, begin, end);
    print_report(load, &costs);
    json_t *report = make_report(load, &costs);
    if (load->options.json && json_dump_file(report, load->options.json, JSON_INDENT(2)) != 0)
        fprintf(stderr, "load: cannot write %s\n", load->options.json);
    json_decref(report);
}
