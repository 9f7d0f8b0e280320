#include "control/service/job_figures.h"

#include <inttypes.h>
#include <stddef.h>

static const uint64_t bounds_us[JOB_FIGURES_BUCKETS - 1] = {10000,    100000,   500000,   2000000,
                                                            10000000, 60000000, 300000000};

static const struct gauge {
    const char *name, *help;
    size_t offset;
    double unit; /* of one of what is counted */
} gauges[] = {
    {"jobs_waiting", "Jobs that wait, in the whole database.",
     offsetof(struct job_figures, waiting), 1},
    {"jobs_running", "Jobs that some control is at.", offsetof(struct job_figures, running), 1},
    {"jobs_dead", "Jobs given up, for a person to look at.", offsetof(struct job_figures, buried),
     1},
    {"jobs_oldest_seconds", "How long the oldest job that is due has waited.",
     offsetof(struct job_figures, oldest_ms), 0.001},
};

static const struct result {
    const char *name;
    size_t offset;
} results[] = {
    {"done", offsetof(struct job_figures, done)},
    {"failed", offsetof(struct job_figures, failed)},
    {"dead", offsetof(struct job_figures, dead)},
    {"returned", offsetof(struct job_figures, returned)},
    {"lost", offsetof(struct job_figures, lost)},
};

void job_figures_took(struct job_figures *figures, uint64_t took_us)
{
    size_t bucket = 0;
    while (bucket < JOB_FIGURES_BUCKETS - 1 && took_us > bounds_us[bucket])
        bucket++;
    atomic_fetch_add_explicit(&figures->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&figures->us_sum, took_us, memory_order_relaxed);
}

static uint64_t read_at(const struct job_figures *figures, size_t offset)
{
    const char *base = (const char *)figures + offset;
    return atomic_load_explicit((const atomic_uint_fast64_t *)(const void *)base,
                                memory_order_relaxed);
}

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP ringbridge_control_%s %s\n# TYPE ringbridge_control_%s %s\n", name, help,
            name, type);
}

static void write_durations(FILE *out, const struct job_figures *figures, const char *kind)
{
    uint64_t count = 0;
    for (size_t i = 0; i < JOB_FIGURES_BUCKETS; i++) {
        char bound[24] = "+Inf";
        count += atomic_load_explicit(&figures->buckets[i], memory_order_relaxed);
        if (i < JOB_FIGURES_BUCKETS - 1)
            snprintf(bound, sizeof bound, "%g", (double)bounds_us[i] / 1e6);
        fprintf(out, "ringbridge_control_job_seconds_bucket{kind=\"%s\",le=\"%s\"} %" PRIu64 "\n",
                kind, bound, count);
    }
    fprintf(out, "ringbridge_control_job_seconds_sum{kind=\"%s\"} %.6f\n", kind,
            (double)atomic_load_explicit(&figures->us_sum, memory_order_relaxed) / 1e6);
    fprintf(out, "ringbridge_control_job_seconds_count{kind=\"%s\"} %" PRIu64 "\n", kind, count);
}

void job_figures_write(FILE *out, const struct job_figures *figures, int count)
{
    while (count > 0 && !figures[count - 1].kind)
        count--;
    for (size_t g = 0; g < sizeof gauges / sizeof gauges[0] && count > 0; g++) {
        write_head(out, gauges[g].name, "gauge", gauges[g].help);
        for (int i = 0; i < count; i++)
            fprintf(out, "ringbridge_control_%s{kind=\"%s\"} %.15g\n", gauges[g].name,
                    figures[i].kind,
                    (double)read_at(&figures[i], gauges[g].offset) * gauges[g].unit);
    }
    if (count > 0)
        write_head(out, "jobs_total", "counter", "Runs of jobs by how they ended.");
    for (int i = 0; i < count; i++)
        for (size_t r = 0; r < sizeof results / sizeof results[0]; r++)
            fprintf(out, "ringbridge_control_jobs_total{kind=\"%s\",result=\"%s\"} %" PRIu64 "\n",
                    figures[i].kind, results[r].name, read_at(&figures[i], results[r].offset));
    if (count > 0)
        write_head(out, "job_seconds", "histogram", "How long a run took.");
    for (int i = 0; i < count; i++)
        write_durations(out, &figures[i], figures[i].kind);
}
