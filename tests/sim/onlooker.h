/* onlooker: a supervisor who listens to a call, or tries to: with a ticket that control knows or
 * does not, early, late, at another core's door; reading well, little at a time or not at all;
 * speaking where he should not; gone without a word. What he hears must be the call: both tracks at
 * their place, what is missing told, the end last. That the call is untouched is for the others to
 * see. */
#ifndef RINGBRIDGE_TESTS_SIM_ONLOOKER_H
#define RINGBRIDGE_TESTS_SIM_ONLOOKER_H

#include "common/ticket.h"
#include "edge/report/link.h"
#include "tests/sim/peer.h"
#include "tests/sim/voice.h"

#define ONLOOKERS_MAX 8

struct story;

enum onlooker_fate {
    ONLOOKER_FINE,
    ONLOOKER_SLOW, /* reads little at a time */
    ONLOOKER_DEAF, /* reads nothing any more */
    ONLOOKER_MUTE, /* does not answer pings */
    ONLOOKER_SPEAKS,
    ONLOOKER_RESETS,
    ONLOOKER_FINISHES,
    ONLOOKER_CLOSES,
    ONLOOKER_STRANGER, /* its ticket is nobody's */
    ONLOOKER_FOREIGN,  /* its ticket is of another organisation */
    ONLOOKER_FATES
};

enum onlooker_stage { LOOK_AWAY, LOOK_SECURING, LOOK_UPGRADING, LOOK_OPEN, LOOK_OVER };

/* One track as he has it. */
struct overheard {
    uint64_t next;         /* position of what comes next, if nothing is missing */
    uint64_t missed_until; /* he was told that up to here something is */
    uint64_t samples;
    struct voice voice;
};

struct onlooker {
    struct peer peer;
    struct dice dice;
    const struct story *story;
    enum onlooker_fate fate;
    enum onlooker_stage stage;
    bool tls, doomed, greeted, ended, closed;
    unsigned core;
    char ticket[TICKET_TEXT_BYTES + 1];
    uint64_t next_ns, fate_ns, read_ns, give_up_ns;
    uint64_t first; /* position of the first sample to come */
    struct overheard tracks[2];
};

/* Comes within the first seconds after begin_ns. */
void onlooker_open(struct onlooker *onlooker, const struct story *story, struct dice dice);
uint64_t onlooker_step(struct onlooker *onlooker, uint64_t now_ns);
void onlooker_leave(struct onlooker *onlooker);

/* What control says to his ticket. */
struct link_answer *onlooker_answer(const struct onlooker *onlooker);

/* After the end. */
void onlooker_check(const struct onlooker *onlooker);

#endif
