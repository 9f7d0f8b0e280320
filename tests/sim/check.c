/* What must be true, whatever happened. */
#include "edge/limits.h"
#include "tests/sim/trace.h"
#include "tests/sim/world.h"

#include <inttypes.h>

#define SAMPLES_BY_MS 8

/* ---- while it runs ---- */

void check_bounds(const struct world *world)
{
    const struct setting *setting = &world->setting;
    size_t most = (size_t)setting->io.conns_max * 65536 +
                  2 * (size_t)setting->stories_count * SEND_QUEUE_BYTES_MAX;
    for (unsigned i = 0; i < setting->cores_count; i++)
        expect(world->metrics[i].send_queued_bytes <= most, "%" PRIu64 " bytes are queued",
               world->metrics[i].send_queued_bytes);
}

/* ---- the ends ---- */

/* Out of memory, the record may be what is lost; that is counted (check_gauges). */
static void check_ending(const struct world *world, const struct story *story)
{
    const struct story_events *events = &story->events;
    bool forgets = world->setting.scarcity.allocation && !events->ended;
    expect(events->told == 0 || events->ended == 1 || forgets,
           "story %u has %u endings in %u events", story->number, events->ended, events->told);
    expect(!events->ended || story->excused[events->reason], "story %u ended with %s",
           story->number, end_name(events->reason));
    if (story->strict)
        expect(events->ended == 1 && events->reason == END_caller_hung_up, "story %u: %s",
               story->number, events->ended ? end_name(events->reason) : "no ending");
}

/* Each ending is counted once; only calls that were turned away have no event. */
static void check_ends(const struct world *world)
{
    const struct control_figures *told = control_figures();
    for (enum end end = END_NONE; end < END_COUNT; end++) {
        uint64_t counted = 0;
        for (unsigned i = 0; i < world->setting.cores_count; i++)
            counted += world->metrics[i].ends[end];
        bool may_lack = end == END_no_capacity || world->setting.scarcity.allocation;
        expect(counted == told->ends[end] || (may_lack && counted > told->ends[end]),
               "%" PRIu64 " endings %s, %" PRIu64 " told", counted, end_name(end), told->ends[end]);
    }
}

static void check_gauges(const struct world *world)
{
    uint64_t refused = 0;
    for (unsigned i = 0; i < world->setting.cores_count; i++) {
        const struct metrics *metrics = &world->metrics[i];
        expect(metrics->calls_live == 0 && metrics->calls_prepared == 0, "calls are counted");
        expect(metrics->listeners == 0, "listeners are counted");
        expect(metrics->conns_open == 0, "%" PRIu64 " connections are counted",
               metrics->conns_open);
        expect(metrics->send_queued_bytes == 0, "%" PRIu64 " bytes are counted",
               metrics->send_queued_bytes);
        refused += metrics->events_refused;
    }
    uint64_t lost = control_figures()->refused;
    bool forgets = world->setting.scarcity.allocation;
    expect(refused == lost || (forgets && refused == lost + 1), "%" PRIu64 " events refused",
           refused);
}

/* ---- the audio ---- */

/* The caller stopped in order: all frames came, and all gaps were filled. */
static void check_caller(const struct story *story)
{
    const struct story_events *events = &story->events;
    const struct carrier *carrier = &story->carrier;
    if (events->reason != END_caller_hung_up)
        return;
    expect(events->frames_up == carrier->media_said, "%" PRIu64 " frames of %" PRIu64,
           events->frames_up, carrier->media_said);
    expect(events->gap_samples == carrier->gap_samples,
           "%" PRIu64 " samples of silence of %" PRIu64, events->gap_samples, carrier->gap_samples);
}

static const struct ai *only_ai(const struct story *story)
{
    for (unsigned i = 0; story->sessions == 1 && i < AIS_MAX; i++)
        if (story->ais[i].configured)
            return &story->ais[i];
    return NULL;
}

/* However often it was replaced: the last session has heard the caller's last sample, at its place.
 */
static void check_last_ai(const struct story *story)
{
    const struct ai *last = NULL;
    for (unsigned i = 0; i < AIS_MAX; i++)
        if (story->ais[i].ear.heard && (!last || story->ais[i].session > last->session))
            last = &story->ais[i];
    if (!story->strict || story->pcm || !last || !story->events.ready || story->sessions < 2)
        return;
    uint64_t unheard = story->caller.count - last->ear.at;
    expect(unheard <= (story->append_ms + FRAME / SAMPLES_BY_MS) * SAMPLES_BY_MS,
           "the last session has heard %zu of %zu samples", last->ear.at, story->caller.count);
}

/* What the AI has not heard is what was dropped, sample by sample, unless it hung up. */
static void check_up(const struct world *world, const struct story *story)
{
    const struct ai *ai = only_ai(story);
    const struct story_events *events = &story->events;
    uint64_t dropped = events->early_dropped + events->slow_dropped;
    if (!ai || !events->ended || !events->ready || !ai->tracked)
        return;
    expect(ai->ear.skipped <= dropped, "%" PRIu64 " samples are missing, %" PRIu64 " were dropped",
           ai->ear.skipped, dropped);
    if (!story->strict)
        return;
    expect(ai->ear.skipped == dropped && ai->ear.at == story->caller.count,
           "the AI has heard %zu of %zu samples, %" PRIu64 " missing", ai->ear.at,
           story->caller.count, ai->ear.skipped);
    unsigned joined_ms = /* a core under pressure joins frames */
        story->append_ms > CALL_JOIN_PRESSED_MS ? story->append_ms : CALL_JOIN_PRESSED_MS;
    uint64_t most_ns = 2 * world->setting.weather.latency_ns_most +
                       8 * world->setting.weather.work_ns_max +
                       (joined_ms + CALL_JOIN_LATE_MS + 25) * MS;
    expect(ai->ear.delay_ns_max <= most_ns, "story %u: %" PRIu64 " us of %" PRIu64 ", append %u ms",
           story->number, ai->ear.delay_ns_max / 1000, most_ns / 1000, story->append_ms);
}

static void check_down(const struct story *story)
{
    const struct carrier *carrier = &story->carrier;
    const struct story_events *events = &story->events;
    expect(!carrier->inexact || story->cuts || carrier->clears_seen || story->sessions > 1,
           "the caller heard what the agent has not said");
    if (!events->ended || story->pcm || story->sessions != 1)
        return;
    uint64_t tail = story->agent.count - carrier->ear.at;
    expect(carrier->ear.skipped <= events->late_dropped &&
               events->late_dropped <= carrier->ear.skipped + tail,
           "%" PRIu64 " samples are missing, %" PRIu64 " were dropped", carrier->ear.skipped,
           events->late_dropped);
    if (story->strict)
        expect(carrier->heard_bytes == events->bytes_down, "%" PRIu64 " samples of %" PRIu64,
               carrier->heard_bytes, events->bytes_down);
}

/* The AI was told no more than what the caller has heard, but for what the network's uneven
 * lateness makes of it. */
static void check_heard(const struct world *world, const struct story *story)
{
    const struct weather *weather = &world->setting.weather;
    uint64_t uneven_ms = (2 * weather->latency_ns_most + 8 * weather->work_ns_max) / MS;
    for (unsigned i = 0; story->strict && !story->pcm && i < story->items_count; i++) {
        const struct utterance *item = &story->items[i];
        uint64_t heard_ms = listener_heard_ms(&story->carrier, item);
        if (!item->truncated)
            continue;
        expect(item->truncated_ms <= heard_ms + 20 + uneven_ms,
               "%s: truncated at %" PRIu64 " ms, heard %" PRIu64 " ms", item->id,
               item->truncated_ms, heard_ms);
    }
}

void check_world(const struct world *world)
{
    for (unsigned i = 0; i < world->setting.stories_count; i++) {
        const struct story *story = &world->stories[i];
        check_ending(world, story);
        check_caller(story);
        check_up(world, story);
        check_last_ai(story);
        check_down(story);
        check_heard(world, story);
    }
    for (unsigned i = 0; i < world->setting.onlookers_count; i++)
        onlooker_check(&world->onlookers[i]);
    for (unsigned i = 0; i < world->setting.readers_count; i++)
        reader_check(&world->readers[i]);
    recording_check(world_now());
    check_ends(world);
    check_gauges(world);
}
