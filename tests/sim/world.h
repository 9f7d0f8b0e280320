/* world: one history from beginning to end: what a seed draws, cores that are turned on one thread,
 * peers that act between the turns, and what must be true afterwards (check.c). */
#ifndef RINGBRIDGE_TESTS_SIM_WORLD_H
#define RINGBRIDGE_TESTS_SIM_WORLD_H

#include "edge/core.h"
#include "tests/sim/asker.h"
#include "tests/sim/control.h"
#include "tests/sim/onlooker.h"
#include "tests/sim/reader.h"

#define CORES      2
#define ASKERS_MAX 4

/* How a history is; world_draw makes one from a seed. */
struct setting {
    uint64_t seed;
    struct weather weather;
    struct scarcity scarcity;
    bool strict; /* nothing goes wrong, so everything must come out exactly */
    bool scarce; /* something runs out, and calls may end of it */
    unsigned misfortune_permille;
    unsigned cores_count, calls_max, stories_count, askers_count, inbox_letters;
    unsigned onlookers_count, readers_count;
    unsigned recorded_permille; /* of the stories */
    struct io_config io;        /* its bounds */
    struct spools_config spools;
    uint64_t life_ns;        /* of each call, from start to stop; 0: drawn */
    uint64_t drain_after_ns; /* NEVER: when all is over */
    unsigned drain_ms;       /* that running calls get then */
};

struct world {
    struct setting setting;
    struct mail *inboxes[CORES];
    struct core *cores[CORES];
    struct metrics metrics[CORES];
    struct story stories[STORIES_MAX];
    struct asker askers[ASKERS_MAX];
    struct onlooker onlookers[ONLOOKERS_MAX];
    struct reader readers[READERS_MAX];
    bool draining, opened;
    uint64_t began_ns, drain_ns, settled_ns;
    uint64_t finish_ns; /* a core has turned for the last time; NEVER */
    size_t queued_bytes_max;
};

struct setting world_draw(uint64_t seed);

/* A second of one call and one webhook, in calm weather, on one core or two. */
struct setting world_draw_short(uint64_t seed);

/* Runs it whole. Fails by itself when something is not as it must be. */
void world_run(const struct setting *setting);

/* One call of an hour in calm weather: its clocks may not drift by a sample. */
struct setting world_draw_hour(uint64_t seed);

/* What has happened in all histories of this process. */
struct tally {
    uint64_t histories, turns, sessions, simulated_ns;
    uint64_t ends[END_COUNT];
    uint64_t disks_left; /* did not answer a core that closed in time */
};
const struct tally *world_tally(void);

/* The world of the last or running history. */
struct world *world_now(void);

/* Gives memory back that is kept between histories. */
void world_free(void);

/* check.c: after the end. */
void check_world(const struct world *world);
/* While it runs: the bounds. */
void check_bounds(const struct world *world);

#endif
