/* The listener: the carrier's buffer, which plays in real time what comes, echoes marks when they
 * have been played, and is emptied by clear. It knows to the sample what the caller has heard. */
#include "common/base64.h"
#include "common/panic.h"
#include "tests/sim/story.h"
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdlib.h>

#define SAMPLE_NS     125000
#define SAMPLES_BY_MS 8

static uint64_t played(const struct carrier *carrier, uint64_t now_ns)
{
    uint64_t position = carrier->anchor + (now_ns - carrier->anchor_ns) / SAMPLE_NS;
    return sooner(position, carrier->received);
}

/* Where in the agent's ledger a position lies. */
static uint64_t place_of(const struct carrier *carrier, uint64_t position)
{
    for (unsigned i = 0; i < carrier->places_count; i++)
        if (position <= carrier->places[i].received)
            return carrier->places[i].ledger - (carrier->places[i].received - position);
    return carrier->ear.at;
}

static void note_place(struct carrier *carrier)
{
    if (carrier->places_count == PLACES_MAX) {
        carrier->places_count /= 2;
        memmove(carrier->places, carrier->places + carrier->places_count,
                carrier->places_count * sizeof carrier->places[0]);
    }
    carrier->places[carrier->places_count].received = carrier->received;
    carrier->places[carrier->places_count++].ledger = carrier->ear.at;
}

/* What comes now is heard when all before it has been. A frame of the caller's lies at the end of
 * its time on his clock. */
static void note_played(struct carrier *carrier, uint64_t place, uint64_t samples)
{
    if (carrier->played_count == carrier->played_room) {
        carrier->played_room = 2 * carrier->played_room + 64;
        carrier->played =
            realloc(carrier->played, carrier->played_room * sizeof carrier->played[0]);
        assert(carrier->played);
    }
    uint64_t from_ns = carrier->anchor_ns + (carrier->received - carrier->anchor) * SAMPLE_NS;
    uint64_t clock = (from_ns - carrier->started_ns) / SAMPLE_NS + FRAME;
    uint64_t base = carrier->base_ms * SAMPLES_BY_MS;
    carrier->played[carrier->played_count++] =
        (struct played){place, samples, clock > base ? clock - base : 0};
}

/* From this place of the agent's on nothing is. */
static void forget_played(struct carrier *carrier, uint64_t place)
{
    while (carrier->played_count) {
        struct played *last = &carrier->played[carrier->played_count - 1];
        if (last->place < place) {
            last->samples = sooner(last->samples, place - last->place);
            return;
        }
        carrier->played_count--;
    }
}

void listener_hear(struct story *story, struct span text, uint64_t now_ns)
{
    static uint8_t codes[1 << 16];
    struct carrier *carrier = &story->carrier;
    struct span payload = peer_member(text, "payload");
    ptrdiff_t bytes = base64_decoded_bytes(payload);
    expect(bytes > 0 && (size_t)bytes <= sizeof codes && base64_decode(payload, codes),
           "a payload of base64");
    if (!carrier->inexact &&
        !ear_hear(&carrier->ear, &story->agent, span_from(codes, (size_t)bytes), now_ns)) {
        expect(story->pcm, "the caller hears what the agent has not said");
        carrier->inexact = true;
    }
    if (played(carrier, now_ns) == carrier->received) {
        carrier->anchor = carrier->received;
        carrier->anchor_ns = now_ns;
    }
    note_played(carrier, carrier->ear.at - (uint64_t)bytes, (uint64_t)bytes);
    carrier->received += (uint64_t)bytes;
    carrier->heard_bytes += (uint64_t)bytes;
    note_place(carrier);
}

static void echo(struct story *story, unsigned index)
{
    struct carrier *carrier = &story->carrier;
    peer_send_text(&carrier->peer,
                   "{\"event\":\"mark\",\"sequenceNumber\":\"%" PRIu64
                   "\",\"streamSid\":\"%s\",\"mark\":{\"name\":\"%s\"}}",
                   ++carrier->sequence, story->stream_sid, carrier->marks[index].name);
}

static void forget_marks(struct carrier *carrier, unsigned count)
{
    carrier->marks_count -= count;
    memmove(carrier->marks, carrier->marks + count,
            carrier->marks_count * sizeof carrier->marks[0]);
}

uint64_t listener_due_ns(const struct carrier *carrier)
{
    if (carrier->marks_count == 0)
        return NEVER;
    uint64_t position = carrier->marks[0].position;
    return position <= carrier->anchor
               ? 0
               : carrier->anchor_ns + (position - carrier->anchor) * SAMPLE_NS;
}

void listener_echo(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    while (carrier->stage == STAGE_STARTED && listener_due_ns(carrier) <= now_ns) {
        echo(story, 0);
        forget_marks(carrier, 1);
    }
}

void listener_mark(struct carrier *carrier, struct span text)
{
    struct carrier_mark *mark = &carrier->marks[carrier->marks_count];
    struct span name = peer_member(text, "name");
    expect(carrier->marks_count < MARKS_MAX, "marks pile up");
    expect(span_copy_text(name, mark->name, sizeof mark->name), "a short name");
    mark->position = carrier->received;
    carrier->marks_count++;
    carrier->marks_seen++;
}

/* What was not played never will be; all marks come back at once. */
void listener_clear(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    uint64_t position = played(carrier, now_ns);
    struct clear clear = {.played = place_of(carrier, position), .received = carrier->ear.at};
    trace("cleared: played, received", story->number, (int64_t)clear.played,
          (int64_t)clear.received);
    expect(carrier->clears_count < CLEARS_MAX, "room for clears");
    carrier->clears[carrier->clears_count++] = clear;
    carrier->clears_seen++;
    forget_played(carrier, clear.played);
    carrier->received = carrier->anchor = position;
    carrier->anchor_ns = now_ns;
    carrier->places_count = 0;
    for (unsigned i = 0; i < carrier->marks_count; i++)
        if (carrier->stage == STAGE_STARTED)
            echo(story, i);
    carrier->marks_count = 0;
}

uint64_t listener_heard_ms(const struct carrier *carrier, const struct utterance *item)
{
    uint64_t end = sooner(item->end, carrier->ear.at);
    uint64_t heard = end > item->start ? end - item->start : 0;
    for (unsigned i = 0; i < carrier->clears_count; i++) {
        const struct clear *clear = &carrier->clears[i];
        if (clear->received > item->start && clear->played < item->end)
            heard = sooner(heard, clear->played > item->start ? clear->played - item->start : 0);
    }
    return heard / SAMPLES_BY_MS;
}
