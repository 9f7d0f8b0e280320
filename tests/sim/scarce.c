#include "tests/sim/scarce.h"

#include "edge/limits.h"
#include "tests/sim/alloc.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <string.h>

/* ---- what may run out ---- */

static void refuse_allocation(struct setting *setting, uint64_t n)
{
    setting->scarcity.allocation = n;
}

static void refuse_descriptor(struct setting *setting, uint64_t n)
{
    setting->scarcity.descriptor = n;
}

static void refuse_buffer(struct setting *setting, uint64_t n)
{
    setting->scarcity.buffer = n;
}

static void limit_conns(struct setting *setting, uint64_t n)
{
    setting->io.conns_max = (unsigned)n;
}

static void limit_pool(struct setting *setting, uint64_t n)
{
    setting->io.pool_bytes_max = n * 1024;
}

static void limit_queue(struct setting *setting, uint64_t n)
{
    setting->io.send_queue_bytes_max = n * 512;
}

static void limit_inbox(struct setting *setting, uint64_t n)
{
    setting->inbox_letters = (unsigned)n;
}

static void fail_disk(struct setting *setting, uint64_t n)
{
    setting->weather.disk.fails_at = n;
}

static void limit_pages(struct setting *setting, uint64_t n)
{
    setting->spools.pages_max = (unsigned)n;
}

static uint64_t a_couple(void)
{
    return 3;
}

static uint64_t a_few(void)
{
    return 12;
}

static uint64_t some(void)
{
    return 48;
}

static const struct resource {
    const char *name;
    void (*limit)(struct setting *setting, uint64_t n);
    uint64_t (*most)(void); /* of the whole history, once it has run */
} resources[] = {
    {"allocation", refuse_allocation, alloc_count},
    {"descriptor", refuse_descriptor, kernel_descriptors},
    {"buffer", refuse_buffer, kernel_buffers},
    {"conns", limit_conns, a_few},
    {"pool", limit_pool, some},
    {"queue", limit_queue, some},
    {"inbox", limit_inbox, a_few},
    {"disk", fail_disk, disk_ops},
    {"pages", limit_pages, a_couple},
};
#define RESOURCES (sizeof resources / sizeof resources[0])

/* ---- histories ---- */

static void run_with(uint64_t seed, const struct resource *resource, uint64_t n, bool loud)
{
    struct setting setting = world_draw_short(seed);
    trace_open(seed, loud);
    if (resource) {
        trace_note("--scarce", resource->name, n);
        setting.scarce = true;
        resource->limit(&setting, n);
    }
    world_run(&setting);
}

void scarce_run(uint64_t seed)
{
    uint64_t most[RESOURCES];
    run_with(seed, NULL, 0, false);
    for (size_t i = 0; i < RESOURCES; i++)
        most[i] = resources[i].most();
    for (size_t i = 0; i < RESOURCES; i++)
        for (uint64_t n = 1; n <= most[i]; n++)
            run_with(seed, &resources[i], n, false);
}

bool scarce_run_one(uint64_t seed, const char *name, uint64_t n, bool loud)
{
    for (size_t i = 0; i < RESOURCES; i++) {
        if (strcmp(resources[i].name, name) != 0)
            continue;
        run_with(seed, NULL, 0, false);
        run_with(seed, &resources[i], n, loud);
        return true;
    }
    return false;
}
