/* What a scrape shows: each series once, sums right, buckets that add up. */
#include "edge/report/metrics.h"
#include "tests/report/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 4096

/* The text, cut into lines; lines[i] points into text. */
struct scrape {
    char *text;
    char *lines[LINES_MAX];
    size_t count;
};

static void take(struct scrape *scrape, const struct metrics *const *cores, size_t cores_count)
{
    size_t bytes = 0;
    FILE *out = open_memstream(&scrape->text, &bytes);
    metrics_write(out, cores, cores_count);
    fclose(out);
    assert_int_equal('\n', scrape->text[bytes - 1]);
    scrape->count = 0;
    for (char *line = strtok(scrape->text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(scrape->count < LINES_MAX);
        scrape->lines[scrape->count++] = line;
    }
}

static const char *value_of(const struct scrape *scrape, const char *series)
{
    for (size_t i = 0; i < scrape->count; i++)
        if (strncmp(scrape->lines[i], series, strlen(series)) == 0 &&
            scrape->lines[i][strlen(series)] == ' ')
            return scrape->lines[i] + strlen(series) + 1;
    fail_msg("no series %s", series);
    return NULL;
}

static void expect(const struct scrape *scrape, const char *series, const char *value)
{
    assert_string_equal(value, value_of(scrape, series));
}

static int compare(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void sums_over_cores(void **state)
{
    (void)state;
    static struct metrics one, two;
    const struct metrics *cores[] = {&one, &two};
    struct scrape scrape;
    COUNT(&one, calls_started);
    COUNT_BY(&two, calls_started, 41);
    GAUGE_ADD(&one, calls_live, 5); /* a connection handed over: up here, down there */
    GAUGE_SUB(&two, calls_live, 3);
    COUNT_BY(&one, busy_us, 1500000);
    COUNT_BY(&two, busy_us, 7);
    COUNT(&two, ends[END_caller_hung_up]);
    COUNT(&one, faults[FAULT_ws_utf8]);
    COUNT(&two, faults[FAULT_ws_utf8]);
    take(&scrape, cores, 2);
    expect(&scrape, "ringbridge_calls_started_total", "42");
    expect(&scrape, "ringbridge_calls{state=\"live\"}", "2");
    expect(&scrape, "ringbridge_loop_busy_seconds_total", "1.500007");
    expect(&scrape, "ringbridge_calls_ended_total{reason=\"caller_hung_up\"}", "1");
    expect(&scrape, "ringbridge_calls_ended_total{reason=\"drained\"}", "0");
    expect(&scrape, "ringbridge_faults_total{fault=\"ws_utf8\"}", "2");
    free(scrape.text);
    GAUGE_SUB(&one, calls_live, 6);
    take(&scrape, cores, 2);
    expect(&scrape, "ringbridge_calls{state=\"live\"}", "-4");
    free(scrape.text);
}

static void shows_ratios_of_each_core(void **state)
{
    (void)state;
    static struct metrics one, two;
    const struct metrics *cores[] = {&one, &two};
    struct scrape scrape;
    GAUGE_SET(&one, saturation, 250000);
    GAUGE_SET(&two, saturation, 1000000);
    take(&scrape, cores, 2);
    expect(&scrape, "ringbridge_loop_saturation_ratio{core=\"0\"}", "0.250000");
    expect(&scrape, "ringbridge_loop_saturation_ratio{core=\"1\"}", "1.000000");
    free(scrape.text);
}

static void counts_observations_into_buckets(void **state)
{
    (void)state;
    static struct metrics one, two;
    const struct metrics *cores[] = {&one, &two};
    static const uint64_t us[] = {0, 10, 11, 20, 1000, 1001, 10000000, 10000001, 3600000000};
    struct scrape scrape;
    for (size_t i = 0; i < sizeof us / sizeof us[0]; i++)
        histogram_add(i % 2 ? &one.relay_up : &two.relay_up, us[i]);
    take(&scrape, cores, 2);
#define BUCKET(le) "ringbridge_added_latency_seconds_bucket{direction=\"up\",le=\"" le "\"}"
    expect(&scrape, BUCKET("0.00001"), "2");
    expect(&scrape, BUCKET("0.00002"), "4");
    expect(&scrape, BUCKET("0.0005"), "4");
    expect(&scrape, BUCKET("0.001"), "5");
    expect(&scrape, BUCKET("0.002"), "6");
    expect(&scrape, BUCKET("5.0"), "6");
    expect(&scrape, BUCKET("10.0"), "7");
    expect(&scrape, BUCKET("+Inf"), "9");
    expect(&scrape, "ringbridge_added_latency_seconds_count{direction=\"up\"}", "9");
    expect(&scrape, "ringbridge_added_latency_seconds_sum{direction=\"up\"}", "3620.002043");
    expect(&scrape, "ringbridge_added_latency_seconds_count{direction=\"down\"}", "0");
    expect(&scrape, "ringbridge_ai_ready_seconds_sum", "0.000000");
    free(scrape.text);
}

/* Same bounds in the label as in the counting: each edge value lands in the bucket that bears it.
 */
static void labels_say_what_is_counted(void **state)
{
    (void)state;
    static struct metrics core;
    const struct metrics *cores[] = {&core};
    uint64_t us = 10, step = 0;
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        struct scrape scrape;
        char series[128], before[32];
        memset(&core, 0, sizeof core);
        histogram_add(&core.first_audio, us);
        histogram_add(&core.first_audio, us + 1);
        take(&scrape, cores, 1);
        bool found = false;
        for (size_t i = 0; i < scrape.count; i++) {
            double le;
            if (sscanf(scrape.lines[i], "ringbridge_first_audio_seconds_bucket{le=\"%lf\"}", &le) !=
                    1 ||
                (uint64_t)(le * 1e6 + 0.5) != us)
                continue;
            found = true;
            snprintf(before, sizeof before, "%s", strrchr(scrape.lines[i], ' ') + 1);
            assert_string_equal("1", before);
        }
        if (!found)
            fail_msg("no bucket for %llu us", (unsigned long long)us);
        snprintf(series, sizeof series, "ringbridge_first_audio_seconds_bucket{le=\"+Inf\"}");
        expect(&scrape, series, "2");
        free(scrape.text);
        us = step % 3 == 1 ? us * 5 / 2 : us * 2; /* 1 2 5 10 */
        step++;
    }
}

static void shows_each_series_once(void **state)
{
    (void)state;
    static struct metrics core;
    const struct metrics *cores[] = {&core};
    struct scrape scrape;
    take(&scrape, cores, 1);
    for (size_t i = 0; i < scrape.count; i++) /* HELP and TYPE lines stay whole: once per name */
        if (scrape.lines[i][0] != '#')
            *strrchr(scrape.lines[i], ' ') = '\0';
        else
            *strchr(strchr(scrape.lines[i] + 2, ' ') + 1, ' ') = '\0';
    qsort(scrape.lines, scrape.count, sizeof scrape.lines[0], compare);
    for (size_t i = 1; i < scrape.count; i++)
        if (strcmp(scrape.lines[i - 1], scrape.lines[i]) == 0)
            fail_msg("twice: %s", scrape.lines[i]);
    assert_true(scrape.count > 200);
    free(scrape.text);
}

static const struct {
    const char *kind, *name, *labels, *help;
} table[] = {
#define COUNTER(field, name, labels, help)   {"counter", name, labels, help},
#define GAUGE(field, name, labels, help)     {"gauge", name, labels, help},
#define SECONDS(field, name, labels, help)   {"counter", name, labels, help},
#define RATIO(field, name, labels, help)     {"gauge", name, labels, help},
#define HISTOGRAM(field, name, labels, help) {"histogram", name, labels, help},
#include "edge/report/metrics.def"
#undef COUNTER
#undef GAUGE
#undef SECONDS
#undef RATIO
#undef HISTOGRAM
};

static bool ends_with(const char *text, const char *ending)
{
    size_t bytes = strlen(text), tail = strlen(ending);
    return bytes >= tail && strcmp(text + bytes - tail, ending) == 0;
}

/* The rules that a new row must keep. */
static void table_keeps_its_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const char *name = table[i].name;
        if (strncmp(name, "ringbridge_", 11) != 0 ||
            ends_with(name, "_total") != (strcmp(table[i].kind, "counter") == 0))
            fail_msg("%s: a %s is not named so", name, table[i].kind);
        bool first = true;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(table[j].name, name) != 0)
                continue;
            first = false;
            if (strcmp(table[j].kind, table[i].kind) != 0 ||
                strcmp(table[j].labels, table[i].labels) == 0 || !table[i].labels[0])
                fail_msg("%s: rows of one name are of one kind and differ in labels", name);
            if (strcmp(table[i - 1].name, name) != 0)
                fail_msg("%s: rows of one name stand together", name);
        }
        size_t help = strlen(table[i].help);
        if (first ? help == 0 || table[i].help[help - 1] != '.' : help != 0)
            fail_msg("%s: the first row, and it alone, has a sentence of help", name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_cores),
        cmocka_unit_test(shows_ratios_of_each_core),
        cmocka_unit_test(counts_observations_into_buckets),
        cmocka_unit_test(labels_say_what_is_counted),
        cmocka_unit_test(shows_each_series_once),
        cmocka_unit_test(table_keeps_its_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
