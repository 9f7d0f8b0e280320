#include "tests/sim/world.h"

#include "common/panic.h"
#include "tests/sim/alloc.h"
#include "tests/sim/bounds.h"
#include "tests/sim/trace.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

#define LIFE_NS_MAX (150 * SECOND) /* then it is drained, whatever still runs */

static struct world world;
static struct tally tally;

struct world *world_now(void)
{
    return &world;
}

/* ---- what a seed draws ---- */

static struct weather draw_calm(struct dice *dice)
{
    uint64_t least = dice_between(dice, 20, 2000) * 1000;
    return (struct weather){.latency_ns_least = least,
                            .latency_ns_most = least + dice_below(dice, 20 * MS),
                            .cut_permille = dice_chance(dice, 500) ? 200 : 0,
                            .short_permille = dice_chance(dice, 500) ? 100 : 0,
                            .room_bytes = 1 << 20,
                            .work_ns_max = dice_chance(dice, 300) ? 2 * MS : 50 * 1000};
}

static unsigned sometimes(struct dice *dice, unsigned permille, unsigned value)
{
    return dice_chance(dice, permille) ? value : 0;
}

static struct weather draw_rough(struct dice *dice)
{
    struct weather weather = draw_calm(dice);
    weather.latency_ns_most += dice_below(dice, 150 * MS);
    weather.late_permille = sometimes(dice, 500, 200);
    weather.late_ns_max = 1000 + dice_below(dice, 30 * MS);
    weather.cut_permille = sometimes(dice, 600, 400);
    weather.short_permille = sometimes(dice, 600, 300);
    weather.ends_permille = sometimes(dice, 500, 100);
    weather.starve_permille = sometimes(dice, 300, 30);
    weather.slip_permille = sometimes(dice, 300, 200);
    weather.raced_permille = sometimes(dice, 500, 400);
    weather.connect_fails_permille = sometimes(dice, 200, 200);
    weather.accept_fails_permille = sometimes(dice, 200, 100);
    weather.socket_fails_permille = sometimes(dice, 150, 200);
    weather.room_bytes = dice_chance(dice, 500) ? 2048 + dice_below(dice, 60000) : 1 << 20;
    weather.work_ns_max = dice_chance(dice, 200) ? 25 * MS : weather.work_ns_max;
    weather.stall_permille = sometimes(dice, 200, 20);
    weather.wall_permille = sometimes(dice, 150, 20);
    weather.gather_permille = sometimes(dice, 300, 300);
    return weather;
}

static unsigned power_of_two(struct dice *dice, unsigned least, unsigned most)
{
    return 1u << dice_between(dice, least, most);
}

static struct io_config draw_bounds(struct dice *dice)
{
    struct io_config io = {.conns_max = 64, .receive_buffers = 64, .ring_entries = 64};
    if (dice_chance(dice, 300))
        io.receive_buffers = power_of_two(dice, 0, 5);
    if (dice_chance(dice, 300))
        io.ring_entries = power_of_two(dice, 1, 5);
    if (dice_chance(dice, 150))
        io.conns_max = 3 + (unsigned)dice_below(dice, 10);
    if (dice_chance(dice, 150))
        io.send_queue_bytes_max = 4096 << dice_below(dice, 5);
    if (dice_chance(dice, 100))
        io.pool_bytes_max = (16 + dice_below(dice, 200)) * 1024;
    if (dice_chance(dice, 300))
        io.completions_max = 1 + (unsigned)dice_below(dice, 20);
    return io;
}

static void keep_recordings(struct setting *setting)
{
    setting->spools = (struct spools_config){
        .on = true, .directory = DISK_DIRECTORY, .files_max = 16, .pages_max = 64};
    setting->weather.disk =
        (struct disk_weather){.ns_least = 20 * 1000, .ns_most = 2 * MS, .full_ns = NEVER};
}

/* Slow, asleep, full, broken; or there is little to keep it in. */
static void draw_bad_disk(struct setting *setting, struct dice *dice)
{
    struct disk_weather *disk = &setting->weather.disk;
    setting->spools.on = !dice_chance(dice, 50);
    if (dice_chance(dice, 200))
        setting->spools.files_max = 1 + (unsigned)dice_below(dice, 3);
    if (dice_chance(dice, 200))
        setting->spools.pages_max = 1 + (unsigned)dice_below(dice, 12);
    disk->short_permille = sometimes(dice, 400, 300);
    disk->fails_permille = sometimes(dice, 300, 1 + (unsigned)dice_below(dice, 80));
    if (dice_chance(dice, 200))
        disk->ns_most = dice_between(dice, 1, 4) * SECOND;
    if (dice_chance(dice, 300)) {
        disk->sleeps_ns = dice_below(dice, 6000) * MS;
        uint64_t seconds =
            dice_chance(dice, 300) ? dice_between(dice, 40, 60) : dice_below(dice, 12);
        disk->wakes_ns = disk->sleeps_ns + seconds * SECOND;
    }
    if (dice_chance(dice, 100))
        disk->full_ns = dice_below(dice, 8000) * MS;
}

/* Recordings, listeners, long answers: from dice of their own, so that the rest of a history does
 * not change when they do. */
static void draw_company(struct setting *setting)
{
    struct dice dice = dice_open(setting->seed, 21);
    bool records = dice_chance(&dice, 350);
    if (dice_chance(&dice, 250))
        setting->onlookers_count = 1 + (unsigned)dice_below(&dice, dice_chance(&dice, 300) ? 8 : 2);
    if (dice_chance(&dice, 150))
        setting->readers_count = 1 + (unsigned)dice_below(&dice, READERS_MAX);
    if (!records)
        return;
    keep_recordings(setting);
    setting->recorded_permille = 700;
    if (dice_chance(&dice, 300))
        setting->weather.disk.ns_most = 40 * MS;
    if (dice_chance(&dice, 250) && !setting->weather.wall_permille)
        setting->spools.file_blocks_max = 2 + (unsigned)dice_below(&dice, 3);
    if (!setting->strict)
        draw_bad_disk(setting, &dice);
}

static struct setting draw_alone(uint64_t seed)
{
    struct dice dice = dice_open(seed, 0);
    struct setting setting = {.seed = seed, .strict = dice_chance(&dice, 250)};
    setting.weather = setting.strict ? draw_calm(&dice) : draw_rough(&dice);
    setting.misfortune_permille = setting.strict ? 0 : (unsigned)dice_below(&dice, 600);
    setting.cores_count = dice_chance(&dice, 250) ? 2 : 1;
    setting.stories_count =
        1 + (unsigned)dice_below(&dice, dice_chance(&dice, 200) ? STORIES_MAX : 2);
    setting.askers_count =
        (unsigned)dice_below(&dice, dice_chance(&dice, 300) ? ASKERS_MAX + 1 : 1);
    setting.calls_max = STORIES_MAX;
    setting.inbox_letters = 256;
    setting.drain_after_ns = NEVER;
    setting.drain_ms = 20000;
    setting.io = (struct io_config){.conns_max = 64, .receive_buffers = 64, .ring_entries = 64};
    if (setting.strict)
        return setting;
    setting.io = draw_bounds(&dice);
    if (dice_chance(&dice, 150))
        setting.inbox_letters = 1u << dice_between(&dice, 1, 4);
    if (dice_chance(&dice, 150))
        setting.calls_max = 1 + (unsigned)dice_below(&dice, STORIES_MAX);
    if (dice_chance(&dice, 200)) {
        setting.drain_after_ns = dice_below(&dice, 6000) * MS;
        setting.drain_ms = (unsigned)dice_below(&dice, 6000);
    }
    return setting;
}

struct setting world_draw(uint64_t seed)
{
    struct setting setting = draw_alone(seed);
    draw_company(&setting);
    return setting;
}

struct setting world_draw_short(uint64_t seed)
{
    struct dice dice = dice_open(seed, 0);
    struct setting setting = {.seed = seed,
                              .weather = draw_calm(&dice),
                              .cores_count = seed % 2 ? 1 : 2,
                              .calls_max = 2,
                              .stories_count = 1,
                              .askers_count = 1,
                              .inbox_letters = 256,
                              .life_ns = SECOND,
                              .drain_after_ns = NEVER,
                              .drain_ms = 5000};
    setting.io = (struct io_config){.conns_max = 64, .receive_buffers = 64, .ring_entries = 64};
    if (seed > 2) {
        keep_recordings(&setting);
        setting.recorded_permille = 1000;
        setting.onlookers_count = setting.readers_count = 1;
    }
    return setting;
}

struct setting world_draw_hour(uint64_t seed)
{
    struct setting setting = world_draw_short(seed);
    if (seed % 2 == 0) {
        keep_recordings(&setting);
        setting.recorded_permille = 1000;
    }
    setting.strict = true;
    setting.cores_count = 1;
    setting.life_ns = 3600 * SECOND;
    setting.drain_after_ns = 3660 * SECOND;
    return setting;
}

/* ---- what the kernel asks for ---- */

void world_enter(void)
{
    alloc_enter();
}

void world_leave(void)
{
    alloc_leave();
}

enum dialled world_dialled(uint16_t port, struct tcp *tcp)
{
    for (unsigned i = 0; i < world.setting.stories_count; i++)
        if (world.stories[i].ai_port == port)
            return ai_dialled(&world.stories[i], tcp);
    return DIAL_REFUSED;
}

static void excuse_all(enum end reason)
{
    for (unsigned i = 0; i < world.setting.stories_count; i++)
        story_excuse(&world.stories[i], reason);
}

static void begin_drain(void)
{
    world.draining = true;
    trace("drain", world.setting.drain_ms, 0, 0);
    for (unsigned i = 0; i < world.setting.stories_count; i++)
        if (!world.stories[i].events.ended)
            story_excuse(&world.stories[i], END_drained);
    excuse_all(END_no_capacity); /* who comes now is turned away */
    for (unsigned i = 0; i < world.setting.cores_count; i++)
        core_drain(world.cores[i], world.setting.drain_ms);
}

/* A story is over when its call has ended, or nothing can come of it any more. */
static bool is_settled(const struct story *story)
{
    return story->carrier.stage == STAGE_OVER && (story->events.ended || !story->plan_taken);
}

static bool are_settled(void)
{
    for (unsigned i = 0; i < world.setting.stories_count; i++)
        if (!is_settled(&world.stories[i]))
            return false;
    for (unsigned i = 0; i < world.setting.askers_count; i++)
        if (!world.askers[i].over)
            return false;
    for (unsigned i = 0; i < world.setting.readers_count; i++)
        if (!world.readers[i].over)
            return false;
    return true;
}

static uint64_t step_drain(uint64_t now_ns)
{
    if (world.draining || !world.opened)
        return NEVER;
    if (world.settled_ns == NEVER && are_settled())
        world.settled_ns = now_ns + 3 * SECOND;
    uint64_t due_ns = sooner(world.drain_ns, world.settled_ns);
    if (now_ns < due_ns)
        return due_ns;
    for (unsigned i = 0; i < world.setting.cores_count; i++)
        if (mail_waiting(world.inboxes[i]) >= world.setting.inbox_letters)
            return now_ns + MS; /* core_drain waits for room, and nobody would make any */
    begin_drain();
    return NEVER;
}

uint64_t world_step(uint64_t now_ns)
{
    uint64_t next_ns = control_step(now_ns);
    for (unsigned i = 0; i < world.setting.stories_count; i++) {
        next_ns = sooner(next_ns, carrier_step(&world.stories[i], now_ns));
        next_ns = sooner(next_ns, ai_step(&world.stories[i], now_ns));
    }
    for (unsigned i = 0; i < world.setting.askers_count; i++)
        next_ns = sooner(next_ns, asker_step(&world.askers[i], now_ns));
    for (unsigned i = 0; i < world.setting.onlookers_count; i++)
        next_ns = sooner(next_ns, onlooker_step(&world.onlookers[i], now_ns));
    for (unsigned i = 0; i < world.setting.readers_count; i++)
        next_ns = sooner(next_ns, reader_step(&world.readers[i], now_ns));
    check_bounds(&world);
    return sooner(next_ns, step_drain(now_ns));
}

/* ---- life ---- */

static void open_company(void)
{
    const struct setting *setting = &world.setting;
    struct dice dice = dice_open(setting->seed, 10);
    for (unsigned i = 0; i < setting->onlookers_count; i++) {
        const struct story *story = &world.stories[dice_below(&dice, setting->stories_count)];
        onlooker_open(&world.onlookers[i], story, dice_open(dice_draw(&dice), 11));
    }
    for (unsigned i = 0; i < setting->readers_count; i++)
        reader_open(&world.readers[i], i, setting->strict, dice_open(dice_draw(&dice), 12));
}

static bool is_watched(const struct setting *setting)
{
    return !setting->strict && setting->onlookers_count > 1;
}

static bool is_lasting(const struct setting *setting)
{
    const struct disk_weather *disk = &setting->weather.disk;
    return disk->wakes_ns > 0 || disk->ns_most > SECOND || is_watched(setting);
}

static void open_stories(void)
{
    const struct setting *setting = &world.setting;
    struct dice dice = dice_open(setting->seed, 5);
    struct story_rules rules = {.seed = setting->seed,
                                .strict = setting->strict,
                                .misfortune_permille = setting->misfortune_permille,
                                .cores_count = setting->cores_count,
                                .life_ns = setting->life_ns,
                                .recorded_permille = setting->recorded_permille,
                                .lasting = is_lasting(setting),
                                .wordy = is_watched(setting),
                                .long_s = setting->weather.disk.wakes_ns > 40 * SECOND ? 60 : 0};
    for (unsigned i = 0; i < setting->stories_count; i++) {
        struct story *story = &world.stories[i];
        story_open(story, i, &rules);
        if (setting->weather.wall_permille) /* tickets expire by the wall clock */
            story_excuse(story, END_carrier_no_show);
        if (setting->weather.connect_fails_permille)
            story_excuse(story, END_ai_unreachable);
        if (setting->weather.wall_permille)
            story_excuse(story, END_ai_expired);
    }
    for (unsigned i = 0; i < setting->askers_count; i++)
        asker_open(&world.askers[i], dice_open(dice_draw(&dice), 6));
    if (setting->scarce)
        excuse_all(END_ai_unreachable); /* no socket for it */
    bool small = setting->io.conns_max < 64 || setting->calls_max < setting->stories_count ||
                 setting->weather.socket_fails_permille || setting->scarce ||
                 setting->io.pool_bytes_max;
    if (small)
        excuse_all(END_no_capacity);
    if (setting->io.send_queue_bytes_max) { /* memory that is out has no_capacity for a reason */
        excuse_all(END_ai_too_slow);
        excuse_all(END_carrier_too_slow);
    }
}

static bool open_core(unsigned index)
{
    char error[256];
    struct core_config config = {.index = index,
                                 .cores_count = world.setting.cores_count,
                                 .cpu = -1,
                                 .calls_max = world.setting.calls_max,
                                 .tls_server = (struct tls_server *)(void *)&world,
                                 .tls_client = (struct tls_client *)(void *)&world,
                                 .inboxes = world.inboxes,
                                 .metrics = &world.metrics[index],
                                 .io = world.setting.io,
                                 .spools = world.setting.spools};
    struct sockaddr_in plain = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)(PORT_PLAIN + index))};
    struct sockaddr_in tls = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)(PORT_TLS + index))};
    memcpy(&config.listen, &plain, sizeof plain);
    memcpy(&config.listen_tls, &tls, sizeof tls);
    config.listen_bytes = config.listen_tls_bytes = sizeof plain;
    world.cores[index] = core_open(&config, error, sizeof error);
    return world.cores[index] && core_equip(world.cores[index], control_link());
}

static bool turn_core(unsigned index)
{
    kernel_turns(index);
    bool runs = core_turn(world.cores[index]);
    tally.turns++;
    alloc_enter();
    bounds_check(world.cores[index], &world.metrics[index]);
    alloc_leave();
    return runs;
}

static void turn_cores(void)
{
    bool running[CORES] = {false};
    unsigned left = world.setting.cores_count;
    for (unsigned i = 0; i < left; i++)
        running[i] = true;
    while (left)
        for (unsigned i = 0; i < world.setting.cores_count; i++) {
            if (!running[i] || turn_core(i))
                continue;
            running[i] = false;
            left--;
            bounds_rest(world.cores[i]);
            world.finish_ns = sooner(world.finish_ns, kernel_now_ns());
            kernel_alone(true);
            core_finish(world.cores[i]);
            kernel_alone(false);
        }
}

static void open_world(const struct setting *setting)
{
    world.setting = *setting;
    world.draining = world.opened = false;
    world.queued_bytes_max = 0;
    memset(world.metrics, 0, sizeof world.metrics);
    memset(world.cores, 0, sizeof world.cores);
    kernel_open(setting->weather, setting->scarcity, setting->seed);
    world.began_ns = kernel_now_ns();
    world.settled_ns = world.finish_ns = NEVER;
    world.drain_ns = setting->drain_after_ns == NEVER ? world.began_ns + LIFE_NS_MAX
                                                      : world.began_ns + setting->drain_after_ns;
    alloc_begin(setting->scarcity.allocation);
    for (unsigned i = 0; i < setting->cores_count; i++)
        world.inboxes[i] = mail_open(setting->inbox_letters);
    open_stories();
    open_company();
    struct control_config control = {.seed = setting->seed,
                                     .cores_count = setting->cores_count,
                                     .inboxes = world.inboxes,
                                     .stories = world.stories,
                                     .stories_count = setting->stories_count,
                                     .onlookers = world.onlookers,
                                     .onlookers_count = setting->onlookers_count,
                                     .readers = world.readers,
                                     .readers_count = setting->readers_count,
                                     .records = setting->spools.directory > 0 && !setting->scarce,
                                     .misfortune_permille = setting->misfortune_permille,
                                     .reliable = setting->strict || setting->scarce,
                                     .forgets = setting->scarcity.allocation};
    control_open(&control);
}

/* The order of main.c: cores, then the link, then what is left in the inboxes. */
static void close_world(void)
{
    control_close();
    alloc_leave();
    kernel_alone(true);
    for (unsigned i = 0; i < world.setting.cores_count; i++)
        while (!core_close(world.cores[i]))
            tally.disks_left++; /* main.c would leave now; here it wakes */
    kernel_alone(false);
    alloc_enter();
    for (unsigned i = 0; i < world.setting.stories_count; i++) {
        carrier_leave(&world.stories[i]);
        ai_leave(&world.stories[i]);
    }
    for (unsigned i = 0; i < world.setting.askers_count; i++)
        asker_leave(&world.askers[i]);
    for (unsigned i = 0; i < world.setting.onlookers_count; i++)
        onlooker_leave(&world.onlookers[i]);
    for (unsigned i = 0; i < world.setting.readers_count; i++)
        reader_leave(&world.readers[i]);
    for (unsigned i = 0; i < world.setting.cores_count; i++)
        mail_close(world.inboxes[i]);
    kernel_close();
    expect(alloc_alive() == 0, "%" PRIu64 " blocks of the core were not freed", alloc_alive());
}

static void count_history(void)
{
    tally.histories++;
    tally.simulated_ns += kernel_now_ns() - world.began_ns;
    for (unsigned i = 0; i < world.setting.stories_count; i++)
        tally.sessions += world.stories[i].sessions;
    for (enum end end = END_NONE; end < END_COUNT; end++)
        tally.ends[end] += control_figures()->ends[end];
}

const struct tally *world_tally(void)
{
    return &tally;
}

void world_run(const struct setting *setting)
{
    bool whole = true;
    open_world(setting);
    alloc_leave();
    for (unsigned i = 0; i < setting->cores_count; i++)
        whole &= open_core(i);
    expect(whole || setting->scarcity.allocation || setting->scarcity.descriptor, "cores open");
    world.opened = whole;
    if (whole)
        turn_cores();
    alloc_enter();
    close_world();
    if (whole)
        check_world(&world);
    count_history();
}

void world_free(void)
{
    for (unsigned i = 0; i < STORIES_MAX; i++)
        story_free(&world.stories[i]);
    for (unsigned i = 0; i < ASKERS_MAX; i++)
        peer_free(&world.askers[i].peer);
    for (unsigned i = 0; i < ONLOOKERS_MAX; i++)
        peer_free(&world.onlookers[i].peer);
    for (unsigned i = 0; i < READERS_MAX; i++)
        peer_free(&world.readers[i].peer);
    kernel_free();
}
