#include "control/service/metrics.h"

#include "common/panic.h"
#include "control/carrier/carrier_figures.h"
#include "control/media/media_figures.h"
#include "control/net/http_client.h"

#include <inttypes.h>
#include <stddef.h>

static const char *const route_names[] = {
#define ROW(name) #name,
    METRICS_ROUTES(ROW)
#undef ROW
};

static const char *const outcome_names[] = {
#define ROW(name) #name,
    METRICS_OUTCOMES(ROW)
#undef ROW
};

static const char *const admission_names[] = {
#define ROW(name) #name,
    METRICS_ADMISSIONS(ROW)
#undef ROW
};

/* Upper bounds in microseconds; the last bucket has none. */
static const uint64_t bounds_us[METRICS_BUCKETS - 1] = {1000,    2000,    3000,    5000,   10000,
                                                        20000,   50000,   100000,  200000, 500000,
                                                        1000000, 5000000, 10000000};

/* Figures without labels. */
static const struct figure {
    const char *name, *type, *help;
    size_t offset;
} figures[] = {
#define FIGURE(field, name_, type_, help_)                                                         \
    {                                                                                              \
        name_, type_, help_, offsetof(struct metrics, field)                                       \
    }
    FIGURE(requests, "requests_total", "counter", "Requests read from edges."),
    FIGURE(requests_late, "requests_late_total", "counter",
           "Requests whose deadline passed before their answer was ready."),
    FIGURE(requests_malformed, "requests_malformed_total", "counter",
           "Requests that were not what the link allows."),
    FIGURE(events_received, "events_received_total", "counter", "Events read from edges."),
    FIGURE(events_malformed, "events_malformed_total", "counter",
           "Events refused because they were not what the link allows."),
    FIGURE(events_retried, "events_retried_total", "counter",
           "Batches of events tried again because the database was away."),
    FIGURE(orders, "orders_total", "counter", "Orders sent to edges."),
    FIGURE(orders_ok, "orders_ok_total", "counter", "Orders that edges carried out."),
    FIGURE(orders_refused, "orders_refused_total", "counter", "Orders that edges refused."),
    FIGURE(orders_lost, "orders_lost_total", "counter", "Orders that could not be sent."),
    FIGURE(frames_unknown, "frames_unknown_total", "counter", "Frames of an unknown type."),
    FIGURE(links_accepted, "links_accepted_total", "counter", "Links that said hello."),
    FIGURE(links_refused, "links_refused_total", "counter",
           "Connections refused: other user, other version, no hello, too many."),
    FIGURE(links_broken, "links_broken_total", "counter",
           "Links closed because of what the edge sent or did not read."),
    FIGURE(journal_stored, "journal_stored_total", "counter",
           "Webhooks kept while the database was away, that are on record now."),
    FIGURE(
        journal_refused, "journal_refused_total", "counter",
        "Webhooks kept while the database was away, that could not be stored and were put aside."),
    FIGURE(calls_moved, "calls_moved_total", "counter",
           "Calls sent to another edge because theirs was full."),
    FIGURE(calls_together, "calls_together_total", "counter",
           "Incoming calls that went to the database together with others."),
    FIGURE(lookups_throttled, "account_lookups_throttled_total", "counter",
           "Unknown accounts not looked up because there were too many."),
    FIGURE(tokens_unopened, "tokens_unopened_total", "counter",
           "Sealed tokens that the secret key does not open."),
    FIGURE(links, "links", "gauge", "Edges connected."),
    FIGURE(queue_waiting, "queue_waiting", "gauge", "Requests waiting for a worker."),
    FIGURE(calls_waiting, "calls_waiting", "gauge",
           "Incoming calls waiting to go to the database together."),
    FIGURE(events_waiting, "events_waiting", "gauge", "Events waiting to be stored."),
    FIGURE(journal_waiting, "journal_waiting", "gauge",
           "Webhooks kept that are not on record yet, because the database is away."),
    FIGURE(workers_busy, "workers_busy", "gauge", "Workers answering a request."),
    FIGURE(workers, "workers", "gauge", "Workers."),
#undef FIGURE
};

const char *metrics_route_name(enum metrics_route route)
{
    assert(route < ROUTE_COUNT);
    return route_names[route];
}

const char *metrics_outcome_name(enum metrics_outcome outcome)
{
    assert(outcome < OUTCOME_COUNT);
    return outcome_names[outcome];
}

void metrics_webhook(struct metrics *metrics, enum metrics_route route,
                     enum metrics_outcome outcome, uint64_t took_us)
{
    size_t bucket = 0;
    while (bucket < METRICS_BUCKETS - 1 && took_us > bounds_us[bucket])
        bucket++;
    COUNT(metrics, webhooks[route][outcome]);
    COUNT(metrics, webhook_buckets[bucket]);
    COUNT_BY(metrics, webhook_us_sum, took_us);
}

static uint64_t read_count(const metrics_count *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP ringbridge_control_%s %s\n# TYPE ringbridge_control_%s %s\n", name, help,
            name, type);
}

/* Every pair is shown from the start, so that a rate over its first count is seen. */
static void write_webhooks(FILE *out, const struct metrics *metrics)
{
    write_head(out, "webhooks_total", "counter", "Webhooks by path and what became of them.");
    for (size_t route = 0; route < ROUTE_COUNT; route++)
        for (size_t outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            fprintf(out,
                    "ringbridge_control_webhooks_total{path=\"%s\",result=\"%s\"} %" PRIu64 "\n",
                    route_names[route], outcome_names[outcome],
                    read_count(&metrics->webhooks[route][outcome]));
}

static void write_latency(FILE *out, const struct metrics *metrics)
{
    static const char name[] = "webhook_seconds";
    uint64_t count = 0;
    write_head(out, name, "histogram", "From reading a webhook off the link to its answer.");
    for (size_t i = 0; i < METRICS_BUCKETS - 1; i++) {
        count += read_count(&metrics->webhook_buckets[i]);
        fprintf(out, "ringbridge_control_%s_bucket{le=\"%g\"} %" PRIu64 "\n", name,
                (double)bounds_us[i] / 1e6, count);
    }
    count += read_count(&metrics->webhook_buckets[METRICS_BUCKETS - 1]);
    fprintf(out, "ringbridge_control_%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, count);
    fprintf(out, "ringbridge_control_%s_sum %.6f\n", name,
            (double)read_count(&metrics->webhook_us_sum) / 1e6);
    fprintf(out, "ringbridge_control_%s_count %" PRIu64 "\n", name, count);
}

static void write_labelled(FILE *out, const struct metrics *metrics)
{
    write_head(out, "admissions_total", "counter", "Tickets edges asked about, by the answer.");
    for (size_t i = 0; i < ADMISSION_COUNT; i++)
        fprintf(out, "ringbridge_control_admissions_total{result=\"%s\"} %" PRIu64 "\n",
                admission_names[i], read_count(&metrics->admissions[i]));
    write_head(out, "events_total", "counter", "Events acknowledged, by what became of them.");
    for (size_t i = 0; i <= EVENTS_PARKED; i++)
        fprintf(out, "ringbridge_control_events_total{result=\"%s\"} %" PRIu64 "\n",
                events_taken_name((enum events_taken)i), read_count(&metrics->events[i]));
    write_head(out, "signature_failures_total", "counter",
               "Webhooks whose signature was missing or wrong.");
    uint64_t failures = 0;
    for (size_t route = 0; route < ROUTE_COUNT; route++)
        failures += read_count(&metrics->webhooks[route][OUTCOME_bad_signature]);
    fprintf(out, "ringbridge_control_signature_failures_total %" PRIu64 "\n", failures);
}

void metrics_write(FILE *out, const struct metrics *metrics)
{
    write_head(out, "build_info", "gauge", "Always 1; the version is the label.");
    fprintf(out, "ringbridge_control_build_info{version=\"%s\"} 1\n", RINGBRIDGE_VERSION);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const char *base = (const char *)metrics + figures[i].offset;
        write_head(out, figures[i].name, figures[i].type, figures[i].help);
        fprintf(out, "ringbridge_control_%s %" PRIu64 "\n", figures[i].name,
                read_count((const metrics_count *)(const void *)base));
    }
    write_webhooks(out, metrics);
    write_latency(out, metrics);
    write_labelled(out, metrics);
    db_figures_write(out, &metrics->database);
    tool_figures_write(out, &metrics->tools);
    job_figures_write(out, metrics->jobs, JOBS_KINDS_MAX);
    http_client_write_figures(out);
    carrier_figures_write(out);
    media_figures_write(out);
}
