#include "control/db/db.h"

#include "common/panic.h"

#include <inttypes.h>

static const uint32_t bucket_us[DB_BUCKETS - 1] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 500000, 1000000, 5000000};
static const char *const result_names[] = {"ok", "away", "busy", "refused", "broken"};

const char *db_result_name(enum db_result result)
{
    assert(result <= DB_BROKEN);
    return result_names[result];
}

void db_figures_note(struct db_figures *figures, uint64_t took_us, enum db_result result)
{
    int bucket = 0;
    while (bucket < DB_BUCKETS - 1 && took_us > bucket_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&figures->statements, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->results[result], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->latency_us_sum, took_us, memory_order_relaxed);
}

static uint64_t read_figure(const atomic_uint_fast64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}

static void write_counter(FILE *out, const char *name, const char *help,
                          const atomic_uint_fast64_t *figure)
{
    fprintf(out, "# HELP ringbridge_control_database_%s %s\n", name, help);
    fprintf(out, "# TYPE ringbridge_control_database_%s counter\n", name);
    fprintf(out, "ringbridge_control_database_%s %" PRIu64 "\n", name, read_figure(figure));
}

static void write_latency(FILE *out, const struct db_figures *figures)
{
    static const char name[] = "ringbridge_control_database_statement_seconds";
    uint64_t total = 0;
    fprintf(out, "# HELP %s How long statements took, waiting for a connection included.\n", name);
    fprintf(out, "# TYPE %s histogram\n", name);
    for (int i = 0; i < DB_BUCKETS; i++) {
        total += read_figure(&figures->buckets[i]);
        if (i < DB_BUCKETS - 1)
            fprintf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bucket_us[i] / 1e6, total);
        else
            fprintf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, total);
    }
    fprintf(out, "%s_sum %.6f\n", name, (double)read_figure(&figures->latency_us_sum) / 1e6);
    fprintf(out, "%s_count %" PRIu64 "\n", name,
            total); /* the buckets' own sum: always consistent */
}

void db_figures_write(FILE *out, const struct db_figures *figures)
{
    fprintf(out, "# HELP ringbridge_control_database_statements_total Statements by result.\n");
    fprintf(out, "# TYPE ringbridge_control_database_statements_total counter\n");
    for (int i = 0; i <= DB_BROKEN; i++)
        fprintf(out, "ringbridge_control_database_statements_total{result=\"%s\"} %" PRIu64 "\n",
                result_names[i], read_figure(&figures->results[i]));
    write_counter(out, "retries_total", "Statements and transactions begun again.",
                  &figures->retries);
    write_counter(out, "connects_total", "Connections made.", &figures->connects);
    write_counter(out, "connect_failures_total", "Connections that could not be made.",
                  &figures->connect_failures);
    write_latency(out, figures);
}
