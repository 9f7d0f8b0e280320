/* turn: how long the caller waited for the agent's answer, and where the time went.
 *
 *   caller stops     AI has noticed     its first audio came    sent      caller hears it
 *        |------ vad -----|------- ai --------|------ edge -------|--- carrier ---|
 *
 * All moments are monotonic nanoseconds of this edge. The caller's last sound is placed there by
 * the carrier's clock, the moment of playing by the first mark that comes back from behind the
 * answer's first sample: the way to the carrier and back is in it. A turn that the caller takes
 * back, by speaking on before an answer was sent, is none.
 * Pure. Owner: placed in the call. Bound: one turn at a time. */
#ifndef RINGBRIDGE_EDGE_CALL_TURN_H
#define RINGBRIDGE_EDGE_CALL_TURN_H

#include <stdbool.h>
#include <stdint.h>

enum turn_stage { TURN_NONE, TURN_SPOKEN, TURN_ANSWERING, TURN_SENT };

struct turn {
    enum turn_stage stage;
    uint64_t silent_ns, noticed_ns, came_ns, sent_ns;
    uint64_t position; /* of the answer's first sample, among all samples sent */
};

struct turn_parts {
    uint64_t vad_us, ai_us, edge_us, carrier_us, whole_us;
};

/* The caller fell silent at silent_ns; the AI said so now. */
void turn_spoken(struct turn *turn, uint64_t silent_ns, uint64_t now_ns);

/* A response begins that nobody but the caller has asked for. */
void turn_answering(struct turn *turn);

/* Its first audio came and was sent, from this position on. Later audio changes nothing. */
void turn_sent(struct turn *turn, uint64_t came_ns, uint64_t sent_ns, uint64_t position);

/* Everything before heard_position has been played at played_ns. True once: when the answer's first
 * sample is among it; *parts then says how it went. samples_ns: length of one. */
bool turn_played(struct turn *turn, uint64_t played_ns, uint64_t heard_position, uint64_t sample_ns,
                 struct turn_parts *parts);

/* The caller speaks again, or the session is gone: what was not sent will not be. */
void turn_forget(struct turn *turn);

#endif
