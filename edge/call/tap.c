#include "edge/call/tap.h"

#include "common/panic.h"
#include "edge/media/g711.h"

#define CHUNK_SAMPLES (TAP_CHUNK_BYTES - 4 * sizeof(uint64_t))

struct tap_chunk {
    struct tap_chunk *next;
    uint64_t ref;   /* in the slab */
    uint64_t first; /* position of its first sample */
    uint64_t samples;
    uint8_t codes[CHUNK_SAMPLES];
};

_Static_assert(sizeof(struct tap_chunk) == TAP_CHUNK_BYTES, "a chunk is a slot");

void tap_open(struct tap *tap, struct slab *chunks, const struct heard *heard, uint64_t at_sample)
{
    unsigned missed = (unsigned)(at_sample % TAP_PIECE_SAMPLES);
    *tap = (struct tap){.chunks = chunks,
                        .heard = heard,
                        .end = heard->sent,
                        .played = heard->sent,
                        .piece = {.first_sample = at_sample - missed, .samples = missed}};
    memset(tap->piece.caller, G711_ULAW_SILENCE, missed);
    memset(tap->piece.agent, G711_ULAW_SILENCE, missed);
}

/* ---- what waits ---- */

static void drop_first(struct tap *tap)
{
    struct tap_chunk *chunk = tap->first;
    tap->first = chunk->next;
    if (!tap->first)
        tap->last = NULL;
    slab_give(tap->chunks, chunk->ref);
}

void tap_close(struct tap *tap)
{
    while (tap->first)
        drop_first(tap);
}

/* A chunk that goes on at the end. NULL: none is free. */
static struct tap_chunk *with_room(struct tap *tap)
{
    struct tap_chunk *last = tap->last;
    if (last && last->first + last->samples == tap->end && last->samples < CHUNK_SAMPLES)
        return last;
    uint64_t ref;
    struct tap_chunk *chunk = slab_take(tap->chunks, &ref);
    if (!chunk)
        return NULL;
    chunk->ref = ref;
    chunk->first = tap->end;
    if (last)
        last->next = chunk;
    else
        tap->first = chunk;
    tap->last = chunk;
    return chunk;
}

/* What finds no room keeps its place all the same. */
void tap_say(struct tap *tap, const uint8_t *codes, size_t samples)
{
    while (samples) {
        struct tap_chunk *chunk = with_room(tap);
        size_t room = chunk ? CHUNK_SAMPLES - chunk->samples : samples;
        size_t part = samples < room ? samples : room;
        if (chunk) {
            memcpy(chunk->codes + chunk->samples, codes, part);
            chunk->samples += part;
        } else {
            tap->lost_samples += part;
        }
        tap->end += part;
        codes += part;
        samples -= part;
    }
}

static void trim(struct tap *tap, uint64_t end)
{
    struct tap_chunk *kept = NULL;
    for (struct tap_chunk *chunk = tap->first; chunk && chunk->first < end; chunk = chunk->next)
        kept = chunk;
    struct tap_chunk *gone = kept ? kept->next : tap->first;
    while (gone) {
        struct tap_chunk *next = gone->next;
        slab_give(tap->chunks, gone->ref);
        gone = next;
    }
    tap->last = kept;
    if (!kept) {
        tap->first = NULL;
        return;
    }
    kept->next = NULL;
    if (kept->samples > end - kept->first)
        kept->samples = end - kept->first;
}

/* The part of it that is in the piece at hand. */
static void erase(struct tap *tap, const struct tap_unheard *unheard)
{
    struct tap_piece *piece = &tap->piece;
    uint64_t from = unheard->first_sample, until = from + unheard->samples;
    if (from < piece->first_sample)
        from = piece->first_sample;
    if (until > from)
        memset(piece->agent + (from - piece->first_sample), G711_ULAW_SILENCE,
               (size_t)(until - from));
}

struct tap_unheard tap_cut(struct tap *tap)
{
    struct tap_unheard unheard = {0};
    uint64_t end = tap->heard->sent;
    assert(end <= tap->end && tap->input.bytes == 0);
    trim(tap, end);
    tap->end = end;
    if (tap->played > end) {
        uint64_t ahead = tap->played - end;
        unheard.samples = ahead < tap->played_until ? ahead : tap->played_until;
        unheard.first_sample = tap->played_until - unheard.samples;
        erase(tap, &unheard);
        tap->played = end;
    }
    tap->playing &= tap->played < end;
    return unheard;
}

/* ---- two tracks ---- */

/* How far into the next count samples the agent begins; count: not in them. */
static size_t find_begin(const struct tap *tap, size_t count)
{
    if (tap->played == tap->end)
        return count;
    if (tap->playing)
        return 0; /* the ledger, which lies far away, is asked only where something begins */
    uint64_t now = tap_clock(tap);
    int64_t due = (int64_t)(tap->heard->anchor_time + tap->played - tap->heard->anchor);
    if (due <= (int64_t)now)
        return 0;
    return (uint64_t)due - now < count ? (size_t)((uint64_t)due - now) : count;
}

/* So many of what waits; silence where there was no chunk for it. */
static void let_out(struct tap *tap, uint8_t *codes, size_t samples)
{
    memset(codes, G711_ULAW_SILENCE, samples);
    for (uint64_t end = tap->played + samples; tap->first && tap->first->first < end;) {
        struct tap_chunk *chunk = tap->first;
        uint64_t from = chunk->first > tap->played ? chunk->first : tap->played;
        uint64_t until = chunk->first + chunk->samples < end ? chunk->first + chunk->samples : end;
        if (until > from)
            memcpy(codes + (from - tap->played), chunk->codes + (from - chunk->first),
                   (size_t)(until - from));
        if (chunk->first + chunk->samples > end)
            break;
        drop_first(tap);
    }
    tap->played += samples;
}

static void play(struct tap *tap, uint8_t *codes, size_t samples)
{
    size_t begin = find_begin(tap, samples);
    uint64_t waiting = tap->end - tap->played;
    size_t count = samples - begin < waiting ? samples - begin : (size_t)waiting;
    memset(codes, G711_ULAW_SILENCE, begin);
    if (count) {
        let_out(tap, codes + begin, count);
        tap->played_until = tap_clock(tap) + begin + count;
    }
    memset(codes + begin + count, G711_ULAW_SILENCE, samples - begin - count);
    tap->playing = begin < samples && tap->played < tap->end;
}

void tap_hear(struct tap *tap, const uint8_t *codes, size_t samples)
{
    assert(tap->input.bytes == 0);
    tap->input = span_from(codes, samples);
}

static void take_in(struct tap *tap, uint8_t *caller, uint8_t *agent, size_t samples)
{
    memcpy(caller, tap->input.data, samples);
    play(tap, agent, samples);
    tap->input = span_from(tap->input.data + samples, tap->input.bytes - samples);
}

/* Frames mostly are whole pieces: they go by without being kept here. */
bool tap_next(struct tap *tap, struct tap_piece *piece)
{
    struct tap_piece *made = &tap->piece;
    if (made->samples == 0 && tap->input.bytes >= TAP_PIECE_SAMPLES) {
        piece->first_sample = made->first_sample;
        piece->samples = TAP_PIECE_SAMPLES;
        take_in(tap, piece->caller, piece->agent, TAP_PIECE_SAMPLES);
    } else {
        size_t room = TAP_PIECE_SAMPLES - made->samples;
        size_t count = tap->input.bytes < room ? tap->input.bytes : room;
        if (count)
            take_in(tap, made->caller + made->samples, made->agent + made->samples, count);
        made->samples += (unsigned)count;
        if (made->samples < TAP_PIECE_SAMPLES)
            return false;
        *piece = *made;
    }
    made->first_sample += TAP_PIECE_SAMPLES;
    made->samples = 0;
    return true;
}

bool tap_rest(struct tap *tap, struct tap_piece *piece)
{
    assert(tap->input.bytes == 0);
    if (tap->piece.samples == 0)
        return false;
    *piece = tap->piece;
    tap->piece.first_sample += tap->piece.samples; /* told, and nothing comes after it */
    tap->piece.samples = 0;
    return true;
}
