#include "tests/practice/carrier_playback.h"

#include "common/panic.h"
#include "tests/practice/carrier_audio.h"

#include <stdlib.h>

#define NS_PER_BYTE (1000000000ull / CARRIER_RATE)

static double to_ms(uint64_t bytes)
{
    return (double)bytes / CARRIER_BYTES_PER_MS;
}

void carrier_playback_open(struct carrier_playback *playback, uint64_t now_ns)
{
    memset(playback, 0, sizeof *playback);
    playback->line_ns = now_ns;
    playback->pending = calloc(CARRIER_MARKS_MAX, sizeof *playback->pending);
    assert(playback->pending);
}

void carrier_playback_close(struct carrier_playback *playback)
{
    for (; playback->pending_count; playback->pending_count--)
        free(playback->pending[playback->pending_first++ % CARRIER_MARKS_MAX].name);
    free(playback->pending);
    free(playback->queue);
    free(playback->heard);
    memset(playback, 0, sizeof *playback);
}

/* Room for more bytes in a growing array; memory is not something a test program runs out of. */
static void make_room(uint8_t **bytes, size_t *room, size_t need)
{
    if (need <= *room)
        return;
    *room = need + need / 2 + 4096;
    *bytes = realloc(*bytes, *room);
    assert(*bytes);
}

/* Appends to the line as heard; codes NULL: silence. */
static void hear(struct carrier_playback *playback, const uint8_t *codes, size_t bytes)
{
    size_t room = CARRIER_HEARD_BYTES_MAX - playback->heard_bytes;
    size_t kept = bytes < room ? bytes : room;
    playback->heard_lost_bytes += bytes - kept;
    if (kept == 0)
        return;
    make_room(&playback->heard, &playback->heard_room, playback->heard_bytes + kept);
    if (codes)
        memcpy(playback->heard + playback->heard_bytes, codes, kept);
    else
        memset(playback->heard + playback->heard_bytes, CARRIER_SILENCE, kept);
    playback->heard_bytes += kept;
}

/* Silence on the line up to now. */
static void hear_nothing_until(struct carrier_playback *playback, uint64_t now_ns)
{
    uint64_t line_bytes = (now_ns - playback->line_ns) / NS_PER_BYTE;
    uint64_t heard = playback->heard_bytes + playback->heard_lost_bytes;
    if (line_bytes > heard)
        hear(playback, NULL, (size_t)(line_bytes - heard));
}

/* Plays what time has come for. */
static void play(struct carrier_playback *playback, uint64_t now_ns)
{
    if (!playback->playing)
        return;
    assert(now_ns >= playback->begun_ns);
    uint64_t due = playback->base + (now_ns - playback->begun_ns) / NS_PER_BYTE;
    uint64_t to = due < playback->end ? due : playback->end;
    size_t bytes = (size_t)(to - playback->position);
    assert(bytes <= playback->queue_bytes);
    hear(playback, playback->queue, bytes);
    playback->queue_bytes -= bytes;
    memmove(playback->queue, playback->queue + bytes, playback->queue_bytes);
    playback->position = to;
    playback->speech_bytes += bytes;
    if (to == playback->end) {
        playback->playing = false;
        playback->dry_ns = playback->begun_ns + (to - playback->base) * NS_PER_BYTE;
    }
}

static void begin(struct carrier_playback *playback, uint64_t now_ns)
{
    if (playback->speech_over || now_ns - playback->dry_ns > CARRIER_SPEECH_GAP_NS)
        playback->speech_bytes = 0;
    playback->speech_over = false;
    hear_nothing_until(playback, now_ns);
    playback->playing = true;
    playback->begun_ns = now_ns;
    playback->base = playback->position;
    playback->runs++;
}

bool carrier_playback_media(struct carrier_playback *playback, uint64_t now_ns, struct span codes)
{
    play(playback, now_ns);
    if (codes.bytes > CARRIER_PLAYBACK_BYTES_MAX - playback->queue_bytes) {
        playback->refused_bytes += codes.bytes;
        return false;
    }
    if (codes.bytes == 0)
        return true;
    if (!playback->playing)
        begin(playback, now_ns);
    make_room(&playback->queue, &playback->queue_room, playback->queue_bytes + codes.bytes);
    memcpy(playback->queue + playback->queue_bytes, codes.data, codes.bytes);
    playback->queue_bytes += codes.bytes;
    playback->end += codes.bytes;
    assert(playback->end - playback->position == playback->queue_bytes);
    return true;
}

bool carrier_playback_mark(struct carrier_playback *playback, uint64_t now_ns, struct span name)
{
    play(playback, now_ns);
    char text[CARRIER_MARK_BYTES_MAX];
    if (playback->pending_count == CARRIER_MARKS_MAX || !span_copy_text(name, text, sizeof text))
        return false;
    size_t last = (playback->pending_first + playback->pending_count) % CARRIER_MARKS_MAX;
    struct carrier_mark *mark = &playback->pending[last];
    *mark =
        (struct carrier_mark){.name = strdup(text), .position = playback->end, .queued_ns = now_ns};
    assert(mark->name);
    playback->pending_count++;
    return true;
}

struct carrier_cleared carrier_playback_clear(struct carrier_playback *playback, uint64_t now_ns)
{
    play(playback, now_ns);
    struct carrier_cleared cleared = {.played_ms = to_ms(playback->position),
                                      .speech_ms = to_ms(playback->speech_bytes),
                                      .thrown_ms = to_ms(playback->queue_bytes)};
    for (size_t i = 0; i < playback->pending_count; i++) {
        struct carrier_mark *mark =
            &playback->pending[(playback->pending_first + i) % CARRIER_MARKS_MAX];
        mark->flushed = mark->position > playback->position;
        cleared.marks += mark->flushed ? 1 : 0;
        mark->position = mark->flushed ? playback->position : mark->position;
        mark->returned_ns = now_ns;
    }
    playback->thrown_bytes += playback->queue_bytes;
    playback->queue_bytes = 0;
    playback->end = playback->position;
    playback->speech_over = true;
    if (playback->playing) {
        playback->playing = false;
        playback->dry_ns = now_ns;
    }
    return cleared;
}

/* When a mark whose place has been played went back: at the sample, but not before it came. */
static uint64_t returned_ns(const struct carrier_playback *playback,
                            const struct carrier_mark *mark, uint64_t now_ns)
{
    if (mark->position < playback->base || playback->runs == 0)
        return now_ns;
    uint64_t at = playback->begun_ns + (mark->position - playback->base) * NS_PER_BYTE;
    return at > mark->queued_ns ? at : mark->queued_ns;
}

bool carrier_playback_next(struct carrier_playback *playback, uint64_t now_ns,
                           struct carrier_mark *mark)
{
    play(playback, now_ns);
    if (playback->pending_count == 0)
        return false;
    struct carrier_mark *first = &playback->pending[playback->pending_first];
    if (first->position > playback->position)
        return false;
    *mark = *first;
    first->name = NULL;
    uint64_t behind = playback->position - mark->position; /* played since the mark's place */
    if (!mark->returned_ns)
        mark->returned_ns = returned_ns(playback, mark, now_ns);
    mark->played_ms = to_ms(playback->position - behind);
    mark->speech_ms = to_ms(behind < playback->speech_bytes ? playback->speech_bytes - behind : 0);
    playback->pending_first = (playback->pending_first + 1) % CARRIER_MARKS_MAX;
    playback->pending_count--;
    return true;
}

uint64_t carrier_playback_due_ns(const struct carrier_playback *playback)
{
    if (playback->pending_count) {
        uint64_t position = playback->pending[playback->pending_first].position;
        if (position <= playback->position || !playback->playing)
            return playback->line_ns; /* long due */
        return playback->begun_ns + (position - playback->base) * NS_PER_BYTE;
    }
    if (playback->playing)
        return playback->begun_ns + (playback->end - playback->base) * NS_PER_BYTE;
    return 0;
}

void carrier_playback_finish(struct carrier_playback *playback, uint64_t now_ns)
{
    play(playback, now_ns);
    hear_nothing_until(playback, now_ns);
}

size_t carrier_playback_queued(struct carrier_playback *playback, uint64_t now_ns)
{
    play(playback, now_ns);
    return playback->queue_bytes;
}
