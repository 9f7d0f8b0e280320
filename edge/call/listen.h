/* listen: supervisors who hear a live call: both tracks and what happens in it, one way.
 *
 * What it is: the edge's half of listening in. Somebody with a ticket (control mints it) opens
 * GET /listen/TICKET as a WebSocket; the ticket names the call's home core, so the connection is
 * handed there as a carrier's is; control is asked once and the ticket is used up. What it is not:
 * part of the call. It has the lowest priority: the call never waits for a listener, allocates
 * nothing for one after it has joined, and does not end with one.
 *
 *   caller and agent -> chunks of LISTEN_CHUNK_MS -> each listener's send queue -> its socket
 *                                                    full, or the core under pressure: shed
 *
 * What a listener is sent. Binary messages are audio, little endian:
 *      0  u8   version (1)
 *      1  u8   track: 0 caller, 1 agent (what the caller hears, when he hears it)
 *      2  u16  0
 *      4  u64  position: the first sample's place on the call's clock, 8000 a second
 *     12  mu-law, one byte a sample
 * Both tracks count on the same clock; a track's positions only grow. Where they jump something is
 * missing, and a "missed" says how much. Agent audio that had left for the carrier before the first
 * listener came is not on its track (tap.h).
 *
 * Text messages are events, one JSON object each, always with "kind" and "clock_ms", the call's
 * clock when it was told:
 *      "listening"  {"call","at_ms","position","rate":8000,"encoding","tracks"}
 *                   the first; position is that of the sample to come
 *      "missed"     {"track","from","samples"}
 *                   audio that was not sent; told when sending goes on, and before the end
 *      "text"       {"item_id","delta"}
 *                   what the agent is about to say, as the AI writes it
 *      "speech"     {"speaking":bool}
 *                   the AI hears the caller begin, or fall silent
 *      "mark"       {"heard_ms"}
 *                   so much of all that the agent said has been played
 * and, with their "at_ms" and members as common/link_proto.h has them, all that control is told but
 * "started" and "usage". "ended" is the last; then the WebSocket closes with 1000, or with 1013
 * when there was no memory to tell it.
 *
 * A listener says nothing: pings, pongs and a close are answered, anything else closes it
 * (listen_spoke). One that gives no sign of life for LISTEN_QUIET_MS + LISTEN_SIGN_MS is gone.
 *
 * Owner: struct calls has the listeners, a call their list. Thread: the core's. Bounds:
 * LISTENERS_PER_CALL_MAX, LISTENERS_PER_CORE_MAX; of each listener LISTEN_QUEUE_BYTES_MAX of audio
 * (then the newest is shed, counted and told) and LISTEN_EVENTS_BYTES_MAX of events beyond it (then
 * it is closed: listen_slow). */
#ifndef RINGBRIDGE_EDGE_CALL_LISTEN_H
#define RINGBRIDGE_EDGE_CALL_LISTEN_H

#include "common/span.h"
#include "edge/limits.h"

#define LISTEN_VERSION       1
#define LISTEN_HEADER_BYTES  12
#define LISTEN_CHUNK_SAMPLES (LISTEN_CHUNK_MS * 8)
#define LISTEN_TRACKS        2

enum listen_track { LISTEN_CALLER, LISTEN_AGENT };

/* What one track was not sent of, since it was told last. */
struct listen_missed {
    uint64_t from, samples;
};

struct supervisor {
    struct supervisor *next; /* of the same call, or of those that are free */
    uint64_t conn, call;     /* references */
    uint32_t generation;     /* of this place */
    struct listen_missed missed[LISTEN_TRACKS];
};

/* A track's audio that is not a whole chunk yet. Both tracks are filled alike. */
struct listen_chunk {
    uint64_t from;
    size_t samples;
    uint8_t codes[LISTEN_CHUNK_SAMPLES];
};

/* A call that somebody listens to, or did. */
struct listening {
    struct supervisor *first;
    unsigned count;
    struct listen_chunk chunks[LISTEN_TRACKS];
    bool told_end; /* the "ended" event went to whoever was there */
};

/* All places of one core. */
struct listen_places {
    struct supervisor places[LISTENERS_PER_CORE_MAX];
    struct supervisor *free;
    bool shedding; /* the core works too hard: no audio */
};

#endif
