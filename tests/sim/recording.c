#include "tests/sim/recording.h"

#include "tests/sim/disk.h"
#include "tests/sim/trace.h"
#include "tests/sim/voice.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE     160
#define SAMPLE_NS 125000
#define UNEVEN    560  /* of frames that are late, early, or two in one */
#define BEGINNING 8000 /* of a stream whose first frames come when they like */

/* ---- rows ---- */

static struct recording *find(struct recordings *recordings, struct span file)
{
    for (unsigned i = 0; i < recordings->count; i++)
        if (span_is(file, recordings->rows[i].file))
            return &recordings->rows[i];
    return NULL;
}

static struct recording *add(struct story *story, struct span file)
{
    struct recordings *recordings = &story->recordings;
    expect(!find(recordings, file) && spool_name_valid(file), "%.*s", (int)file.bytes,
           (const char *)file.data);
    expect(span_starts(file, story->call), "a file of its own");
    expect(recordings->count < RECORDINGS_MAX, "recordings pile up");
    struct recording *row = &recordings->rows[recordings->count++];
    *row = (struct recording){.base = 0};
    span_copy_text(file, row->file, sizeof row->file);
    return row;
}

static uint64_t begun_ms(const char *name)
{
    return strtoull(name + 37, NULL, 10);
}

/* Its sample 0 lies behind the last one's whose beginning was told, by the difference of the times
 * in their names. */
static uint64_t base_of(const struct recordings *recordings, const struct recording *row)
{
    const struct recording *first = NULL;
    for (unsigned i = 0; !row->started && i < recordings->count; i++) {
        const struct recording *other = &recordings->rows[i];
        if (other->started && begun_ms(other->file) < begun_ms(row->file) &&
            (!first || begun_ms(other->file) > begun_ms(first->file)))
            first = other;
    }
    expect(row->started || first, "%s goes on from nowhere", row->file);
    return row->started ? row->base
                        : first->base + (begun_ms(row->file) - begun_ms(first->file)) * 8;
}

/* ---- what is told ---- */

static void take_pause(struct recordings *recordings, uint64_t position, bool paused)
{
    unsigned count = recordings->pauses_count;
    bool open = count && recordings->pauses[count - 1].until == NEVER;
    expect(open != paused && position % PIECE == 0, "paused %d at %" PRIu64, paused, position);
    if (!paused) {
        recordings->pauses[count - 1].until = position;
        return;
    }
    expect(count < PAUSES_MAX, "pauses pile up");
    recordings->pauses[count].from = position;
    recordings->pauses[count].until = NEVER;
    recordings->pauses_count++;
}

/* Whoever paused the one before did not mean this one. */
static void take_start(struct story *story, struct span file, uint64_t clock)
{
    struct recordings *recordings = &story->recordings;
    struct recording *row = add(story, file);
    unsigned count = recordings->pauses_count;
    row->started = true;
    row->base = clock - clock % PIECE;
    if (count && recordings->pauses[count - 1].until == NEVER)
        recordings->pauses[count - 1].until = row->base;
}

static void take_end(struct recording *row, struct span json)
{
    expect(!row->ended, "%s ends once", row->file);
    row->ended = true;
    row->samples = peer_number(json, "samples");
    row->lost_samples = peer_number(json, "lost_samples");
    row->failed = peer_member(json, "reason").bytes;
}

void recording_take(struct story *story, struct span kind, struct span json, uint64_t clock)
{
    struct recordings *recordings = &story->recordings;
    struct span file = peer_member(json, "file");
    struct recording *row = find(recordings, file);
    if (span_is(kind, "recording_failed")) {
        expect(peer_member(json, "reason").bytes && !file.bytes, "a reason");
        recordings->failed++;
    } else if (span_is(kind, "recording_started")) {
        take_start(story, file, clock);
    } else if (span_is(kind, "recording")) {
        take_end(row ? row : add(story, file), json);
    } else {
        row = row ? row : add(story, file);
        take_pause(recordings, base_of(recordings, row) + peer_number(json, "at_sample"),
                   span_is(kind, "recording_paused"));
    }
}

static bool is_paused(const struct recordings *recordings, uint64_t position)
{
    bool paused = false;
    for (unsigned i = 0; i < recordings->pauses_count; i++)
        paused |= position >= recordings->pauses[i].from && position < recordings->pauses[i].until;
    return paused;
}

/* ---- the sound ---- */

/* One file, read from its beginning. */
struct reading {
    const struct story *story;
    const struct recording *row;
    uint64_t base, end; /* of the file's samples, end: behind the last block */
    uint64_t gaps;
    struct voice voice;
    /* against the caller's clock */
    unsigned note;
    bool early;        /* some of it began with the stream */
    bool runs_early;   /* .. and still goes on, without a break */
    uint64_t runs_end; /* where the agent's last sample lies */
    uint64_t off_most, said, heard;
};

static void check_silent(struct span track)
{
    for (size_t i = 0; i < track.bytes; i++)
        expect(track.data[i] == LEDGER_SILENCE, "what is paused is silent");
}

/* What was before a tap was opened, within its first piece, is silence. */
static void check_caller(const struct reading *reading, uint64_t first, struct span track)
{
    const struct ledger *said = &reading->story->caller;
    uint64_t from = reading->base + first;
    size_t skipped = 0;
    while (first + skipped < PIECE && skipped < track.bytes &&
           track.data[skipped] == LEDGER_SILENCE)
        skipped++;
    expect(from + track.bytes <= said->count, "%s: %" PRIu64 " samples of %zu", reading->row->file,
           from + track.bytes, said->count);
    expect(memcmp(said->bytes + from + skipped, track.data + skipped, track.bytes - skipped) == 0,
           "%s: the caller did not say that at %" PRIu64, reading->row->file, first);
}

/* He heard that a moment before or after the recording has it. */
static void time_run(struct reading *reading, const struct voice_run *run, uint64_t position)
{
    const struct carrier *carrier = &reading->story->carrier;
    uint64_t end = run->place + run->samples;
    bool goes_on = position && position == reading->runs_end;
    reading->runs_early = goes_on ? reading->runs_early : position < BEGINNING;
    reading->early |= reading->runs_early;
    reading->runs_end = position + run->samples;
    while (reading->note < carrier->played_count) {
        const struct played *played = &carrier->played[reading->note];
        uint64_t from = played->place > run->place ? played->place : run->place;
        uint64_t until = sooner(played->place + played->samples, end);
        if (until > from) {
            uint64_t heard_at = played->clock + (from - played->place);
            uint64_t here = position + (from - run->place);
            uint64_t off = here > heard_at ? here - heard_at : heard_at - here;
            reading->heard += until - from;
            if (off > reading->off_most && !reading->runs_early)
                reading->off_most = off;
        }
        if (played->place + played->samples > end)
            break;
        reading->note++;
    }
}

static void check_agent(struct reading *reading, uint64_t first, struct span track)
{
    const struct story *story = reading->story;
    struct voice_run run;
    size_t samples = track.bytes;
    while (track.bytes) {
        uint64_t position = reading->base + first + samples - track.bytes;
        bool known = voice_next(&reading->voice, &story->agent, &track, &run);
        if (!known && story->pcm && story->carrier.inexact)
            return; /* the filter began anew somewhere */
        expect(known, "%s: the agent did not say that at %" PRIu64, reading->row->file, first);
        reading->said += run.silent ? 0 : run.samples;
        if (!run.silent)
            time_run(reading, &run, position);
    }
}

/* ---- the blocks ---- */

static void check_head(const struct reading *reading, const struct spool_head *head)
{
    const struct recording *row = reading->row;
    char call[37];
    const uint8_t *id = head->call;
    snprintf(call, sizeof call,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
             id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13],
             id[14], id[15]);
    expect(strncmp(row->file, call, 36) == 0, "%s has a block of %s", row->file, call);
    expect((uint64_t)head->started_at_ms == begun_ms(row->file), "when it began");
    expect(head->samples > 0 && head->first_sample >= reading->end, "%s: %u samples at %" PRIu64,
           row->file, head->samples, head->first_sample);
    expect(!(head->flags & ~SPOOL_PAUSED), "flags");
}

static void check_block(struct reading *reading, const uint8_t *block)
{
    struct spool_head head;
    const struct recordings *recordings = &reading->story->recordings;
    expect(spool_head_read(span_from(block, SPOOL_BLOCK_BYTES), &head), "%s: a block at %" PRIu64,
           reading->row->file, reading->end);
    check_head(reading, &head);
    bool paused = head.flags & SPOOL_PAUSED;
    for (uint64_t at = 0; at < head.samples; at += PIECE)
        expect(is_paused(recordings, reading->base + head.first_sample + at) == paused,
               "%s: paused %d at %" PRIu64, reading->row->file, paused, head.first_sample + at);
    struct span caller = span_from(block + SPOOL_HEAD_BYTES, head.samples);
    struct span agent = span_from(caller.data + SPOOL_BLOCK_SAMPLES, head.samples);
    if (head.first_sample > reading->end)
        reading->voice.speaking = false;
    reading->gaps += head.first_sample - reading->end;
    reading->end = head.first_sample + head.samples;
    if (paused) {
        check_silent(caller);
        check_silent(agent);
        reading->voice.speaking = false;
        return;
    }
    check_caller(reading, head.first_sample, caller);
    check_agent(reading, head.first_sample, agent);
}

/* Where a file has to end that ended well: where the next begins, or with the call. */
static uint64_t end_of(const struct recordings *recordings, uint64_t base)
{
    uint64_t end = recordings->clock_at_end;
    for (unsigned i = 0; i < recordings->count; i++) {
        uint64_t other = base_of(recordings, &recordings->rows[i]);
        if (other > base)
            end = sooner(end, other);
    }
    return end;
}

/* Nothing of the call is missing but what was lost, and that was counted. */
static void check_length(const struct reading *reading)
{
    const struct recording *row = reading->row;
    const struct recordings *recordings = &reading->story->recordings;
    expect(row->samples == reading->end, "%s: %" PRIu64 " samples are told, %" PRIu64 " there",
           row->file, row->samples, reading->end);
    expect(row->lost_samples >= reading->gaps,
           "%s: %" PRIu64 " samples are told as lost, %" PRIu64 " are", row->file,
           row->lost_samples, reading->gaps);
    uint64_t end = reading->base + reading->end + row->lost_samples - reading->gaps;
    bool known = !row->failed && !recordings->stopped && !recordings->failed;
    expect(!known || end == end_of(recordings, reading->base),
           "%s: it ends at %" PRIu64 " of %" PRIu64, row->file, end,
           end_of(recordings, reading->base));
}

/* Is this the only recording of a call in which nothing goes wrong? */
static bool is_plain(const struct reading *reading)
{
    const struct story *story = reading->story;
    const struct recordings *recordings = &story->recordings;
    return story->strict && !story->pcm && story->sessions == 1 && !story->carrier.leapt &&
           recordings->count == 1 && recordings->pauses_count == 0 && !recordings->stopped &&
           reading->base == 0;
}

/* Samples of the agent that he heard before the recording ended. */
static uint64_t heard_of(const struct carrier *carrier, uint64_t end)
{
    uint64_t heard = 0;
    for (unsigned i = 0; i < carrier->played_count; i++) {
        const struct played *played = &carrier->played[i];
        if (played->clock < end)
            heard += sooner(played->samples, end - played->clock);
    }
    return heard;
}

/* When the caller heard it, give or take what the network and uneven frames make of it, and all of
 * it. The stream's first frames come when they like. */
static void check_time(const struct world *world, const struct reading *reading)
{
    const struct weather *weather = &world->setting.weather;
    const struct carrier *carrier = &reading->story->carrier;
    uint64_t late_ns = 2 * weather->latency_ns_most + 8 * weather->work_ns_max;
    uint64_t slack = late_ns / SAMPLE_NS + UNEVEN;
    if (!is_plain(reading))
        return;
    uint64_t whole = (slack + (reading->early ? BEGINNING : 0)) * (1 + carrier->clears_seen);
    uint64_t heard = heard_of(carrier, reading->end);
    expect(reading->off_most <= slack, "%s: %" PRIu64 " samples away from when he heard it",
           reading->row->file, reading->off_most);
    expect(heard <= reading->said + whole && reading->said <= heard + whole,
           "%s has %" PRIu64 " samples, he heard %" PRIu64, reading->row->file, reading->said,
           heard);
    expect(reading->said - reading->heard <= whole,
           "%s has %" PRIu64 " samples that he did not hear", reading->row->file,
           reading->said - reading->heard);
}

static void check_file(const struct world *world, const struct story *story,
                       const struct recording *row, const struct disk_facts *facts)
{
    struct reading reading = {.story = story, .row = row};
    const struct span bytes = facts->bytes;
    reading.base = base_of(&story->recordings, row);
    expect(facts->failed || bytes.bytes % SPOOL_BLOCK_BYTES == 0, "%s: %zu bytes", row->file,
           bytes.bytes);
    for (size_t at = 0; at + SPOOL_BLOCK_BYTES <= bytes.bytes; at += SPOOL_BLOCK_BYTES)
        check_block(&reading, bytes.data + at);
    if (row->ended)
        check_length(&reading);
    check_time(world, &reading);
}

/* ---- all of it ---- */

static struct story *story_of(struct world *world, const char *name)
{
    for (unsigned i = 0; i < world->setting.stories_count; i++)
        if (strncmp(name, world->stories[i].call, 36) == 0)
            return &world->stories[i];
    sim_fail("%s is nobody's", name);
}

/* A core that stops waits for the disk, but not for ever; and where memory runs out the word may be
 * what is lost. */
static void check_told(struct world *world, const struct disk_facts *facts)
{
    struct story *story = story_of(world, facts->name);
    const struct recording *row = find(&story->recordings, span_of(facts->name));
    bool forgets = world->setting.scarcity.allocation;
    bool late = facts->closed_ns >= world->finish_ns;
    expect((row && row->ended) || forgets || late, "nobody was told of %s", facts->name);
    if (row && !forgets)
        check_file(world, story, row, facts);
}

static uint64_t refused(const struct world *world)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < world->setting.cores_count; i++)
        count += world->metrics[i].recordings_refused;
    return count;
}

/* Each that ended is there; each that is not was said to have failed; no number is left out but of
 * those that a core did not wait for. */
static void check_counts(const struct world *world, unsigned unnamed, unsigned late)
{
    uint64_t failed = 0, owed = 0, due = refused(world) + unnamed;
    for (unsigned i = 0; i < world->setting.stories_count; i++) {
        failed += world->stories[i].recordings.failed;
        owed += world->stories[i].events.owed_count;
    }
    bool forgets = world->setting.scarcity.allocation;
    expect((failed <= due && failed + late >= due) || forgets,
           "%" PRIu64 " recordings failed, %" PRIu64 " were said to", due, failed);
    expect(owed <= late || forgets, "%" PRIu64 " events are missing", owed);
}

/* Those of which nobody was told in time are there as well. */
static void note_files(struct world *world)
{
    for (unsigned i = 0; i < disk_count(); i++) {
        struct span name = span_of(disk_facts(i).name);
        struct story *story = story_of(world, disk_facts(i).name);
        if (name.bytes > SPOOL_NAME_BYTES)
            name.bytes = SPOOL_NAME_BYTES;
        if (!find(&story->recordings, name))
            add(story, name);
    }
}

void recording_check(struct world *world)
{
    unsigned unnamed = 0, late = 0, named = 0, ended = 0;
    note_files(world);
    for (unsigned i = 0; i < disk_count(); i++) {
        struct disk_facts facts = disk_facts(i);
        named += facts.named;
        unnamed += !facts.named;
        late += facts.closed_ns >= world->finish_ns;
        if (facts.named)
            check_told(world, &facts);
    }
    for (unsigned i = 0; i < world->setting.stories_count; i++)
        for (unsigned k = 0; k < world->stories[i].recordings.count; k++)
            ended += world->stories[i].recordings.rows[k].ended;
    expect(ended <= named, "%u recordings were told, %u are there", ended, named);
    check_counts(world, unnamed, late);
}
