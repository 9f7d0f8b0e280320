/* sim: histories of whole cores, drawn from seeds.
 *
 *   sim SEEDS.txt             the seeds that are kept there, those of the test, and scarcity
 *   sim --seeds FIRST COUNT   these
 *   sim --seed N [--trace]    this one, twice; with its trace on stderr
 *   sim --seed N --scarce RESOURCE COUNT [--trace]
 *   sim --scarce N            the short history of this seed, with every n of everything
 *   sim --hour N [--trace]    a call of an hour
 *   sim --nightly SECONDS     new seeds for so long */
#include "common/log.h"
#include "common/panic.h"
#include "tests/sim/alloc.h"
#include "tests/sim/scarce.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HISTORIES  2000
#define SCARCITIES 9
#define HOURS      2
#define TWICE      50 /* every so-manieth is run again and compared */

static uint64_t run(uint64_t seed, bool loud)
{
    trace_open(seed, loud);
    struct setting setting = world_draw(seed);
    world_run(&setting);
    return trace_hash();
}

static void run_twice(uint64_t seed, bool loud)
{
    uint64_t first = run(seed, loud);
    uint64_t second = run(seed, false);
    expect(first == second, "the same history, %016" PRIx64 " and %016" PRIx64, first, second);
}

static void run_seeds(uint64_t first, uint64_t count)
{
    for (uint64_t seed = first; seed < first + count; seed++)
        if (seed % TWICE == 0)
            run_twice(seed, false);
        else
            run(seed, false);
}

static void run_hour(uint64_t seed, bool loud)
{
    trace_open(seed, loud);
    trace_note("", "--hour", seed);
    struct setting setting = world_draw_hour(seed);
    world_run(&setting);
}

static void run_kept(const char *path)
{
    char line[200];
    FILE *file = fopen(path, "r");
    expect(file, "%s", path);
    while (fgets(line, sizeof line, file))
        if (line[0] >= '0' && line[0] <= '9')
            run_twice(strtoull(line, NULL, 10), false);
    fclose(file);
}

static void run_test(const char *kept)
{
    run_kept(kept);
    run_seeds(1, HISTORIES);
    for (uint64_t seed = 1; seed <= SCARCITIES; seed++)
        scarce_run(seed);
    for (uint64_t seed = 1; seed <= HOURS; seed++)
        run_hour(seed, false);
}

static void run_nightly(uint64_t seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t end = (uint64_t)now.tv_sec + seconds, seed = (uint64_t)now.tv_sec * 1000000;
    uint64_t first = seed;
    while ((uint64_t)now.tv_sec < end) {
        run_seeds(seed, 50);
        seed += 50;
        clock_gettime(CLOCK_REALTIME, &now);
    }
    printf("sim: %" PRIu64 " seeds from %" PRIu64 " on\n", seed - first, first);
}

static void on_abort(int number)
{
    trace_dump();
    signal(number, SIG_DFL);
    raise(number);
}

/* What came of it: a test that simulates nothing would show here. */
static void print_tally(void)
{
    const struct tally *tally = world_tally();
    printf("%" PRIu64 " histories, %" PRIu64 " turns, %" PRIu64 " AI sessions, %" PRIu64
           " simulated seconds, %" PRIu64 " disks that were left\n",
           tally->histories, tally->turns, tally->sessions, tally->simulated_ns / SECOND,
           tally->disks_left);
    for (enum end end = END_NONE; end < END_COUNT; end++)
        if (tally->ends[end])
            printf("%10" PRIu64 " %s\n", tally->ends[end], end_name(end));
}

static bool is_flag(int argc, char **argv, int at, const char *flag)
{
    return at < argc && strcmp(argv[at], flag) == 0;
}

static uint64_t number_at(int argc, char **argv, int at)
{
    return at < argc ? strtoull(argv[at], NULL, 10) : 0;
}

static void run_one(int argc, char **argv)
{
    uint64_t seed = number_at(argc, argv, 2);
    if (!is_flag(argc, argv, 3, "--scarce"))
        run_twice(seed, is_flag(argc, argv, 3, "--trace"));
    else
        expect(argc > 5 && scarce_run_one(seed, argv[4], number_at(argc, argv, 5),
                                          is_flag(argc, argv, 6, "--trace")),
               "a resource and a number");
}

int main(int argc, char **argv)
{
    log_open("sim", LOG_TEXT, is_flag(argc, argv, argc - 1, "--trace") ? LOG_INFO : LOG_ERROR);
    alloc_open();
    signal(SIGABRT, on_abort);
    if (is_flag(argc, argv, 1, "--seed"))
        run_one(argc, argv);
    else if (is_flag(argc, argv, 1, "--seeds"))
        run_seeds(number_at(argc, argv, 2), number_at(argc, argv, 3));
    else if (is_flag(argc, argv, 1, "--scarce"))
        scarce_run(number_at(argc, argv, 2));
    else if (is_flag(argc, argv, 1, "--hour"))
        run_hour(number_at(argc, argv, 2), is_flag(argc, argv, 3, "--trace"));
    else if (is_flag(argc, argv, 1, "--nightly"))
        run_nightly(number_at(argc, argv, 2));
    else if (argc > 1)
        run_test(argv[1]);
    print_tally();
    world_free();
    return EXIT_SUCCESS;
}
