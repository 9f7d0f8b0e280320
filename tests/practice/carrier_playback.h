/* carrier_playback: Twilio's playback buffer of one stream, and the truth about what was heard.
 *
 * What it is: media queues up and plays at 8 bytes a millisecond from the moment it arrives in an
 * empty buffer; marks stand in the queue and come back when everything before them has played, at
 * once when nothing is queued; clear throws the rest away and gives all pending marks back; more
 * than ten minutes queued is refused (31931). It keeps the line as the caller heard it: silence
 * included, sample by sample. What it is not: a clock. The caller says what time it is; times must
 * not go back. Owner: the struct; memory grows with what is queued and heard. Thread: one. Bounds:
 * CARRIER_PLAYBACK_BYTES_MAX queued, CARRIER_MARKS_MAX marks pending, CARRIER_HEARD_BYTES_MAX kept
 * (beyond it only counted). */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_PLAYBACK_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_PLAYBACK_H

#include "common/span.h"

#define CARRIER_PLAYBACK_BYTES_MAX (10u * 60 * 8000)
#define CARRIER_HEARD_BYTES_MAX    (60u * 60 * 8000)
#define CARRIER_MARKS_MAX          4096
#define CARRIER_MARK_BYTES_MAX     512
/* A speech is what plays without a longer silence than this; a clear ends it as well. */
#define CARRIER_SPEECH_GAP_NS (400ull * 1000000)

struct carrier_mark {
    char *name;
    uint64_t position;    /* bytes to be played before it, since the stream began */
    uint64_t queued_ns;   /* when it came */
    uint64_t returned_ns; /* when it went back */
    bool flushed;         /* by a clear: its audio was not heard to the end */
    double played_ms;     /* of everything queued since the stream began, when it came back */
    double speech_ms;     /* of the speech at hand, when it came back */
};

struct carrier_playback {
    uint8_t *queue; /* what was queued and neither played nor thrown away */
    size_t queue_bytes, queue_room;
    uint64_t begun_ns;            /* when byte `base` began to play */
    uint64_t base;                /* position that played at begun_ns */
    uint64_t position;            /* bytes played since the stream began */
    uint64_t end;                 /* position + queue_bytes */
    struct carrier_mark *pending; /* ring of CARRIER_MARKS_MAX */
    size_t pending_first, pending_count;
    bool playing;
    /* the line as heard */
    uint64_t line_ns; /* when the line opened */
    uint8_t *heard;
    size_t heard_bytes, heard_room;
    /* figures */
    uint64_t thrown_bytes, refused_bytes, heard_lost_bytes;
    uint64_t speech_bytes; /* played since the speech at hand began */
    uint64_t dry_ns;       /* when the buffer last ran empty or was cleared */
    bool speech_over;      /* by a clear */
    unsigned runs;         /* times that an empty buffer began to play */
};

/* now_ns: when the line opened; the first sample of `heard`. */
void carrier_playback_open(struct carrier_playback *playback, uint64_t now_ns);
void carrier_playback_close(struct carrier_playback *playback);

/* Queues mu-law. False: more than ten minutes would be queued, nothing was taken. */
bool carrier_playback_media(struct carrier_playback *playback, uint64_t now_ns, struct span codes);

/* Queues a mark. False: too many are pending, or the name is too long or holds a NUL. */
bool carrier_playback_mark(struct carrier_playback *playback, uint64_t now_ns, struct span name);

struct carrier_cleared {
    double played_ms; /* of everything queued since the stream began */
    double speech_ms; /* of the speech at hand */
    double thrown_ms; /* not heard */
    size_t marks;     /* given back unheard */
};

/* Empties the buffer; its pending marks come out of carrier_playback_next, flushed. */
struct carrier_cleared carrier_playback_clear(struct carrier_playback *playback, uint64_t now_ns);

/* Plays up to now and takes the next mark that is due, in order. False: none. The name is the
 * caller's to free. */
bool carrier_playback_next(struct carrier_playback *playback, uint64_t now_ns,
                           struct carrier_mark *mark);

/* When the next mark is due, or when the buffer runs empty if no mark is queued; 0: nothing plays
 * and nothing waits. */
uint64_t carrier_playback_due_ns(const struct carrier_playback *playback);

/* Plays up to now, keeping what was heard, silence included, as the line's end would have it. */
void carrier_playback_finish(struct carrier_playback *playback, uint64_t now_ns);

/* Bytes not yet played, after playing up to now. */
size_t carrier_playback_queued(struct carrier_playback *playback, uint64_t now_ns);

#endif
