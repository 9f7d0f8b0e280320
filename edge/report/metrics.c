#include "edge/report/metrics.h"

#include "common/panic.h"

#include <inttypes.h>
#include <string.h>

/* Upper bounds of the buckets, as numbers for counting and as text for the label, so that no float
 * is ever formatted. */
static const struct {
    uint64_t us;
    const char *seconds;
} bounds[] = {
    {10, "0.00001"},  {20, "0.00002"},  {50, "0.00005"},  {100, "0.0001"},    {200, "0.0002"},
    {500, "0.0005"},  {1000, "0.001"},  {2000, "0.002"},  {5000, "0.005"},    {10000, "0.01"},
    {20000, "0.02"},  {50000, "0.05"},  {100000, "0.1"},  {200000, "0.2"},    {500000, "0.5"},
    {1000000, "1.0"}, {2000000, "2.0"}, {5000000, "5.0"}, {10000000, "10.0"},
};
#define BOUNDS (sizeof bounds / sizeof bounds[0])
_Static_assert(BOUNDS + 1 == HISTOGRAM_BUCKETS, "one bucket per bound and one for the rest");

enum row_kind { ROW_COUNTER, ROW_GAUGE, ROW_SECONDS, ROW_RATIO, ROW_HISTOGRAM };

struct row {
    enum row_kind kind;
    size_t offset; /* of the field in struct metrics */
    const char *name, *labels, *help;
};

static const struct row rows[] = {
#define COUNTER(field, name, labels, help)                                                         \
    {ROW_COUNTER, offsetof(struct metrics, field), name, labels, help},
#define GAUGE(field, name, labels, help)                                                           \
    {ROW_GAUGE, offsetof(struct metrics, field), name, labels, help},
#define SECONDS(field, name, labels, help)                                                         \
    {ROW_SECONDS, offsetof(struct metrics, field), name, labels, help},
#define RATIO(field, name, labels, help)                                                           \
    {ROW_RATIO, offsetof(struct metrics, field), name, labels, help},
#define HISTOGRAM(field, name, labels, help)                                                       \
    {ROW_HISTOGRAM, offsetof(struct metrics, field), name, labels, help},
#include "edge/report/metrics.def"
#undef COUNTER
#undef GAUGE
#undef SECONDS
#undef RATIO
#undef HISTOGRAM
};
#define ROWS (sizeof rows / sizeof rows[0])

struct cores {
    const struct metrics *const *metrics;
    size_t count;
};

void histogram_add(struct histogram *histogram, uint64_t microseconds)
{
    size_t bucket = 0;
    while (bucket < BOUNDS && microseconds > bounds[bucket].us)
        bucket++;
    COUNT(histogram, buckets[bucket]);
    COUNT_BY(histogram, sum_us, microseconds);
}

static uint64_t sum(struct cores cores, size_t offset)
{
    uint64_t total = 0;
    assert(offset + sizeof total <= sizeof(struct metrics));
    for (size_t i = 0; i < cores.count; i++) {
        const char *base = (const char *)cores.metrics[i];
        total += __atomic_load_n((const uint64_t *)(const void *)(base + offset), __ATOMIC_RELAXED);
    }
    return total;
}

static void write_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_name(FILE *out, const char *name, const char *labels)
{
    fprintf(out, labels[0] ? "%s{%s} " : "%s ", name, labels);
}

static void write_millionths(FILE *out, uint64_t millionths)
{
    fprintf(out, "%" PRIu64 ".%06" PRIu64 "\n", millionths / 1000000, millionths % 1000000);
}

/* _count is taken from the same sums as the buckets, so that a scrape in the middle of an
 * observation never shows a histogram that contradicts itself. */
static void write_histogram(FILE *out, const struct row *row, struct cores cores)
{
    uint64_t below = 0;
    const char *comma = row->labels[0] ? "," : "";
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        below += sum(cores, row->offset + offsetof(struct histogram, buckets) + i * sizeof below);
        fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", row->name, row->labels, comma,
                i < BOUNDS ? bounds[i].seconds : "+Inf", below);
    }
    char name[128];
    snprintf(name, sizeof name, "%s_sum", row->name);
    write_name(out, name, row->labels);
    write_millionths(out, sum(cores, row->offset + offsetof(struct histogram, sum_us)));
    snprintf(name, sizeof name, "%s_count", row->name);
    write_name(out, name, row->labels);
    fprintf(out, "%" PRIu64 "\n", below);
}

/* A sum of shares would say nothing: each core by itself. */
static void write_ratios(FILE *out, const struct row *row, struct cores cores)
{
    for (size_t i = 0; i < cores.count; i++) {
        struct cores one = {cores.metrics + i, 1};
        fprintf(out, "%s{core=\"%zu\"} ", row->name, i);
        write_millionths(out, sum(one, row->offset));
    }
}

static void write_row(FILE *out, const struct row *row, struct cores cores)
{
    if (row->kind == ROW_HISTOGRAM) {
        write_histogram(out, row, cores);
        return;
    }
    if (row->kind == ROW_RATIO) {
        write_ratios(out, row, cores);
        return;
    }
    write_name(out, row->name, row->labels);
    if (row->kind == ROW_SECONDS)
        write_millionths(out, sum(cores, row->offset));
    else if (row->kind == ROW_GAUGE) /* modulo 2^64 across cores, so signed only at the end */
        fprintf(out, "%" PRId64 "\n", (int64_t)sum(cores, row->offset));
    else
        fprintf(out, "%" PRIu64 "\n", sum(cores, row->offset));
}

static bool named_before(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(rows[i].name, rows[index].name) == 0)
            return true;
    return false;
}

/* All rows of one name in one group, as the format demands, wherever in the table they stand. */
static void write_group(FILE *out, size_t first, struct cores cores)
{
    static const char *const types[] = {"counter", "gauge", "counter", "gauge", "histogram"};
    write_head(out, rows[first].name, types[rows[first].kind], rows[first].help);
    for (size_t i = first; i < ROWS; i++)
        if (strcmp(rows[i].name, rows[first].name) == 0)
            write_row(out, &rows[i], cores);
}

static void write_ends(FILE *out, struct cores cores)
{
    const char *name = "ringbridge_calls_ended_total";
    write_head(out, name, "counter", "Calls that ended, by reason.");
    for (size_t i = END_NONE + 1; i < END_COUNT; i++)
        fprintf(out, "%s{reason=\"%s\"} %" PRIu64 "\n", name, end_name((enum end)i),
                sum(cores, offsetof(struct metrics, ends) + i * sizeof(uint64_t)));
}

static void write_faults(FILE *out, struct cores cores)
{
    const char *name = "ringbridge_faults_total";
    write_head(out, name, "counter", "What was wrong with what peers sent, by fault.");
    for (size_t i = FAULT_NONE + 1; i < FAULT_COUNT; i++)
        fprintf(out, "%s{fault=\"%s\"} %" PRIu64 "\n", name, fault_name((enum fault)i),
                sum(cores, offsetof(struct metrics, faults) + i * sizeof(uint64_t)));
}

void metrics_write(FILE *out, const struct metrics *const *cores, size_t cores_count)
{
    struct cores all = {cores, cores_count};
    for (size_t i = 0; i < ROWS; i++)
        if (!named_before(i))
            write_group(out, i, all);
    write_ends(out, all);
    write_faults(out, all);
}
