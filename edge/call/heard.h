/* heard: the ledger of what the agent said and what the caller really heard of it.
 *
 * The AI produces speech faster than it is spoken, so what was received or sent says nothing about
 * what was heard. The carrier plays what we send in order and in real time, and echoes a mark when
 * everything before it was played. From that follows one playhead on the stream of all samples
 * sent:
 *
 *      sent samples  |---- item A ----|------ item B ------|
 *      marks               1     2    3     4
 *      playhead      ------------^  = anchor + time since the anchor, never past what was sent
 *
 * The anchor is the last echoed mark, or the moment audio was sent into an empty buffer. Time is
 * the carrier's own clock in samples (8 per ms), handed in by the caller, so nothing drifts. What
 * it is not: sockets, messages, the decision to interrupt (bridge.c). Owner: placed in the call; an
 * item's text is allocated once per utterance and grown in steps. Thread: the core's. Bounds:
 * HEARD_ITEMS_MAX, HEARD_MARKS_MAX, HEARD_TEXT_BYTES_MAX. */
#ifndef RINGBRIDGE_EDGE_CALL_HEARD_H
#define RINGBRIDGE_EDGE_CALL_HEARD_H

#include "common/span.h"
#include "edge/limits.h"

#define HEARD_ID_BYTES_MAX   80
#define HEARD_TEXT_BYTES_MAX 32768
#define HEARD_SAMPLES_PER_MS 8
#define HEARD_SAMPLE_NS      (1000000 / HEARD_SAMPLES_PER_MS)

struct heard_item {
    char id[HEARD_ID_BYTES_MAX];
    uint32_t content_index;
    uint64_t start;      /* position of its first sample on the stream of sent samples */
    uint64_t samples;    /* sent so far */
    uint64_t heard;      /* final once cut or played out */
    int64_t began_at_ms; /* wall clock of its first audio */
    bool sent_whole;     /* the AI has no more audio for it */
    bool text_whole;     /* text is final */
    bool cut;            /* interrupted: what was not heard is gone */
    bool foreign;        /* of a session that is gone: today's AI does not know it */
    bool told;           /* its message was reported: the row may be reused */
    char *text;          /* raw JSON string content; owned */
    size_t text_bytes, text_room;
};

struct heard {
    struct heard_item items[CALL_ITEMS_MAX];
    unsigned items_count;           /* in order of their start */
    uint64_t sent;                  /* position after the last sample sent */
    uint64_t anchor;                /* playhead position at anchor_time */
    uint64_t anchor_time;           /* carrier clock, samples */
    uint64_t marked;                /* position of the last mark sent */
    uint32_t mark_first, mark_next; /* numbers of marks outstanding: [first, next) */
    uint64_t mark_positions[CALL_MARKS_MAX];
};

void heard_open(struct heard *heard);

/* Frees the texts. */
void heard_close(struct heard *heard);

/* Notes that samples of this item were sent at carrier time now. False when the id is too long or
 * more than CALL_ITEMS_MAX items would be playing at once. */
bool heard_sent(struct heard *heard, struct span item_id, uint32_t content_index, uint64_t samples,
                uint64_t now, int64_t wall_ms);

/* The AI has sent all audio of this item. Unknown ids are ignored. */
void heard_sent_whole(struct heard *heard, struct span item_id);

/* Samples sent of this item; 0 when it is not known. */
uint64_t heard_samples(struct heard *heard, struct span item_id);

/* Adds a piece of transcript (raw JSON string content), or with whole set replaces it by the final
 * one. An item without audio yet is fine. Text beyond HEARD_TEXT_BYTES_MAX is cut at a whole piece.
 * False when memory is out or no row is free. */
bool heard_text(struct heard *heard, struct span item_id, struct span text, bool whole);

/* Is a mark due: CALL_MARK_EVERY_MS of audio since the last one, or any at all when at_end. False
 * too when CALL_MARKS_MAX are outstanding: the next due one covers them. */
bool heard_mark_due(const struct heard *heard, bool at_end);

/* Takes the next mark at the end of what was sent; returns its number, which makes its name. */
uint32_t heard_mark(struct heard *heard);

/* The carrier echoed this mark at carrier time now. Marks flushed by an interruption, or never
 * sent, change nothing (false). */
bool heard_echo(struct heard *heard, uint32_t number, uint64_t now);

/* Position that the caller has heard up to. */
uint64_t heard_playhead(const struct heard *heard, uint64_t now);

/* Is something still being played? */
bool heard_playing(const struct heard *heard, uint64_t now);

/* The caller interrupts at carrier time now: everything unplayed is flushed, outstanding marks are
 * forgotten, items not played out are cut with their heard samples final. Returns how many were cut
 * by this call and which. */
unsigned heard_interrupt(struct heard *heard, uint64_t now, struct heard_item *cut[CALL_ITEMS_MAX]);

/* The AI's response is done: no audio and no words are to come of what it has begun, whether it said
 * so of each item or not (a cancelled one may not). */
void heard_done(struct heard *heard);

/* The AI's session is gone: what was sent of its items is all there will be, and goes on playing.
 */
void heard_abandon(struct heard *heard);

/* An item whose message can be told: its text is final and it was played out or cut; with finish
 * set (the call ends) any item that has text or audio. heard is final then. NULL when there is
 * none. Call heard_told after telling it. */
struct heard_item *heard_tellable(struct heard *heard, uint64_t now, bool finish);
void heard_told(struct heard *heard, struct heard_item *item);

#endif
