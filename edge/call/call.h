/* call: one phone call: two legs, their states and deadlines, exactly one ending, exactly one
 * record.
 *
 *        prepare order                stream's upgrade, ticket good
 *   (none) --------> PREPARED ------------------------------------> LIVE ----> ENDED ----> (none)
 *                     | AI dialled at once                            |  turn's end: slot free
 *                     +--------- no show, AI gone ---------------------
 *
 *   carrier leg:  AWAITED -> OPEN (upgraded) -> STARTED (start came) -> GONE
 *   AI leg:       RESOLVING -> DIALLING -> CONFIGURING -> READY -> GONE
 *                 (and a second one while it grows old, to take its place)
 *
 * A call lives and dies on its home core, so nothing is locked. call_end is the single way out and
 * the first reason wins; it only marks: the slot is freed at the end of the turn, never under a
 * handler's feet. Owner: struct calls has all calls of a core in one table; a call owns its plan.
 * Thread: the core's. Bounds: calls_max calls; see limits.h for each call's queues. */
#ifndef RINGBRIDGE_EDGE_CALL_CALL_H
#define RINGBRIDGE_EDGE_CALL_CALL_H

#include "common/end.h"
#include "common/mail.h"
#include "edge/call/heard.h"
#include "edge/call/session.h"
#include "edge/call/speech.h"
#include "edge/call/spool.h"
#include "edge/call/taps.h"
#include "edge/call/tools.h"
#include "edge/call/turn.h"
#include "edge/io/conn.h"
#include "edge/io/resolve.h"
#include "edge/limits.h"
#include "edge/media/pcm.h"
#include "edge/media/resample.h"
#include "edge/report/link.h"
#include "edge/report/plan.h"

#include <stddef.h>

/* Whose connection: the leg given to conn_own. 0 is HTTP. */
enum leg { LEG_HTTP = 0, LEG_CARRIER = 1, LEG_AI = 2, LEG_LISTENER = 3, LEG_DOWNLOAD = 4 };

/* Timers of this layer, beside TIMER_CONN. */
enum {
    TIMER_CARRIER = 2,
    TIMER_AI,
    TIMER_DURATION,
    TIMER_JOIN,
    TIMER_SESSION,
    TIMER_NEXT_AI,
    TIMER_TOOLS
};

/* Letters between cores, beside those of link.h and resolve.h. */
enum { LETTER_CONN = 10, LETTER_DRAIN_DEADLINE };

enum call_state { CALL_FREE, CALL_PREPARED, CALL_LIVE, CALL_ENDED };
enum carrier_state { CARRIER_AWAITED, CARRIER_OPEN, CARRIER_STARTED, CARRIER_GONE };
enum ai_state { AI_GONE, AI_RESOLVING, AI_DIALLING, AI_CONFIGURING, AI_READY };

/* One connection to the AI and its session. */
struct ai_leg {
    enum ai_state state;
    enum fault fault;           /* what the AI did wrong: its close frame says it */
    uint64_t conn;              /* conn reference; 0: none */
    struct resolved *addresses; /* of the AI's host; owned */
    unsigned addresses_tried;
    uint64_t dialled_ms; /* monotonic */
    struct timer timer;  /* it must be ready by then */
};

#define CALLER_ITEMS 8

/* When a caller's utterance began: its transcript comes late and has to be put in its place. */
struct caller_item {
    char id[HEARD_ID_BYTES_MAX];
    int64_t began_at_ms;
};

/* Frames that will share an append. */
struct join {
    size_t bytes;
    size_t chosen; /* bytes that the organisation wants in one */
    unsigned frames;
    bool timed; /* the timer is set */
    uint64_t since_ms;
    uint8_t codes[CALL_JOIN_BYTES_MAX];
};

/* Caller to AI. What every frame looks at is two lines of memory. */
struct up {
    _Alignas(CACHE_LINE_BYTES) uint64_t samples; /* of the caller so far, with silence for gaps */
    uint64_t sequence;                           /* carrier's last sequence number */
    uint64_t position_ms_base;                   /* carrier timestamp of the first sample */
    uint64_t heard_ns; /* monotonic time at which the last frame came, or the stream began .. */
    uint64_t sign_ns;  /* .. and the last frame or mark */
    uint64_t appended; /* samples given to this session of the AI: its audio clock */
    uint64_t frames, bytes; /* that came */
    uint8_t *recent;        /* the last CALL_RECENT_BYTES, a ring: at samples % CALL_RECENT_BYTES */
    size_t early_bytes;
    bool timed;   /* the carrier's clock is known */
    bool waiting; /* the AI has not taken what was sent .. */
    struct join join;
    uint64_t waiting_ms; /* .. since then */
    uint8_t *early;      /* caller audio that cannot go yet: a ring, mu-law; NULL when unused */
    size_t early_first;
    struct resample resample;
};

_Static_assert(offsetof(struct up, join.codes) <= 2 * CACHE_LINE_BYTES, "two lines");

/* AI to caller. */
struct down {
    struct heard heard;
    struct pcm pcm; /* odd byte between deltas */
    struct resample resample;
    char response[HEARD_ID_BYTES_MAX]; /* being generated; "" for none */
    char dropped[HEARD_ID_BYTES_MAX];  /* interrupted: its late deltas are dropped */
    uint64_t response_from;            /* position where its sound began */
    struct ahead *ahead;               /* what was there before start; owned, or NULL */
    bool first_audio_sent;
};

/* What the agent is asked to say by the edge: the greeting, orders, and what it makes of the
 * results of functions. */
struct ask {
    char *text;  /* owned; NULL: the AI has what it needs to know */
    bool firm;   /* to be heard whole */
    bool answer; /* to functions' results; waits until nobody speaks */
};

struct speak {
    struct ask asks[CALL_SAYS_MAX + 2]; /* the first may be under way; two answers at most */
    unsigned count;
    bool greeted, asked;
    bool caller_speaks;
    char response[HEARD_ID_BYTES_MAX]; /* that says it; "" until it is created */
    uint64_t firm_until;               /* position up to which nothing is cut off */
};

struct figures {
    uint64_t frames_down, bytes_down;
    uint64_t early_dropped_bytes, late_dropped_bytes, slow_dropped_bytes;
    uint64_t gap_samples, sequence_gaps, losses, barge_ins;
    uint64_t turns, turns_us, turn_us_max;
    uint64_t dial_ms, first_audio_ms;
};

/* What every frame looks at comes first, and in up: four lines of memory. */
struct call {
    _Alignas(CACHE_LINE_BYTES) enum call_state state;
    enum carrier_state carrier_state;
    uint32_t slot, generation;
    uint64_t carrier;    /* conn reference; 0: none */
    struct tap *tap;     /* NULL: nobody wants to hear (taps.h) */
    struct spool *spool; /* NULL: it is not recorded */
    struct speech speech;
    bool pcm;            /* the AI leg speaks PCM16 24 kHz, else mu-law */
    bool superseded;     /* a later plan of the same conversation took its place */
    bool connected_seen; /* the carrier's first message */
    bool patient;        /* the AI leaves interruptions to us */
    unsigned tap_users;
    char stream_sid[35];
    enum fault carrier_fault; /* what the carrier did wrong: its close frame says it */
    struct plan *plan;        /* owned */
    struct ai_leg ai;
    struct ai_leg next_ai; /* AI_GONE, or on its way to take over from ai (session.c) */
    struct up up;
    struct figures figures;
    struct down down;
    struct speak speak;
    struct turn turn;
    struct session session;
    struct call *next_by_ticket, *next_by_conversation; /* chains of struct calls */
    uint64_t event_seq;                                 /* of the last event told */
    uint64_t prepared_ms, started_ms;                   /* monotonic */
    int64_t started_at_ms;                              /* wall; 0: the stream never started */
    struct timer carrier_timer, duration_timer, join_timer;
    struct tools *tools;         /* owned; NULL: no function was called */
    struct listening *listening; /* supervisors who hear it; owned; NULL while nobody has */
    struct caller_item caller_items[CALLER_ITEMS];
    unsigned caller_items_next;
    uint64_t tap_ref;
    enum end end;
};

_Static_assert(offsetof(struct call, ai.addresses) <= 2 * CACHE_LINE_BYTES, "two lines");

struct calls_config {
    unsigned core, cores_count, calls_max;
    struct io *io;
    struct link *link;
    struct resolve *resolve;
    struct metrics *metrics;
    struct mail *const *inboxes; /* of all cores */
    struct spools_config spools;
};

struct calls; /* opaque outside edge/call */

/* All calls of one core. NULL when memory is out. Boot thread, then the core's. */
struct calls *calls_open(const struct calls_config *config);

/* Every call must have ended (assert). */
void calls_close(struct calls *calls);

/* How hard the core works now: 0 to 100, as io_pressure says it. Once per turn, before its
 * messages. Under pressure frames of a call are joined. */
void calls_pressure(struct calls *calls, unsigned level);

/* One message of a connection, whichever its leg. */
void calls_on_message(struct calls *calls, struct conn *conn, const struct message *message);

/* One timer of this layer's kinds. */
void calls_on_timer(struct calls *calls, const struct timer *timer);

/* One letter from the link, the resolver or another core; its content is taken. */
void calls_on_letter(struct calls *calls, const struct letter *letter);

/* The ring's answer about a file: OP_FILE_*. */
void calls_on_file(struct calls *calls, const struct io_done *done);

/* Frees a letter that came too late to be read: the core has stopped. Boot thread. */
void calls_drop_letter(const struct letter *letter);

/* Frees what has ended. Last thing before io_flush. */
void calls_turn_end(struct calls *calls);

/* No new calls from here on; prepared ones that nobody has come for end. */
void calls_drain(struct calls *calls);

/* Ends every call with this reason. */
void calls_end_all(struct calls *calls, enum end reason);

unsigned calls_count(const struct calls *calls);

/* Recordings whose last blocks are still being written; they may outlive their calls. */
unsigned calls_recordings(const struct calls *calls);

/* Bytes of one call's slot, for --plan. */
size_t calls_footprint_bytes(void);

#endif
