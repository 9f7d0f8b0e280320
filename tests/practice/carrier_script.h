/* carrier_script: what a caller says, and when.
 *
 * What it is: a list of utterances, key presses and interruptions, and one caller who works through
 * it frame by frame: he waits until the agent has spoken and fallen quiet, talks over the agent
 * where the script says so, gives up waiting after a while, and hangs up at the end. What it is
 * not: sockets or sound making. Pure; the caller of carrier_script_frame says what time it is and
 * what the agent does. Owner: sound belongs to the script. Thread: any. Bound: CARRIER_SCRIPT_MAX.
 */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_SCRIPT_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_SCRIPT_H

#include "tests/practice/carrier_audio.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARRIER_SCRIPT_MAX 64

enum carrier_item_kind { CARRIER_SAY, CARRIER_INTERRUPT, CARRIER_PRESS };

struct carrier_item {
    enum carrier_item_kind kind;
    const char *text; /* what is said, the file's name, or the digits */
    bool spoken;      /* text is what is said (not a file's name) */
    uint8_t *codes;   /* SAY, INTERRUPT: mu-law, owned */
    size_t bytes;
};

struct carrier_script {
    struct carrier_item items[CARRIER_SCRIPT_MAX];
    size_t count;
    uint64_t greeting_ms; /* how long to wait for the agent's first word */
    uint64_t quiet_ms;    /* the agent is done when silent for so long */
    uint64_t patience_ms; /* how long to wait for an answer */
    uint64_t barge_in_ms; /* interrupt when the agent has spoken for so long */
    bool stays;           /* does not hang up at the end */
};

/* What the caller hears of the agent now. */
struct carrier_agent {
    bool speaking;
    uint64_t speech_ms; /* of the speech at hand */
    uint64_t quiet_ms;  /* since it spoke last, or since the call began */
};

enum carrier_act {
    CARRIER_LISTENS, /* a frame of silence */
    CARRIER_BEGINS,  /* the first frame of item `item` */
    CARRIER_SPEAKS,
    CARRIER_ENDS,    /* the last frame of item `item` */
    CARRIER_PRESSES, /* a frame of silence, and the key `digit` */
    CARRIER_HANGS_UP /* no frame */
};

struct carrier_caller {
    size_t item;      /* at hand or next */
    size_t at;        /* bytes or digits done of it */
    bool speaking;    /* in the middle of it */
    bool answered;    /* the agent has been heard since the last item, or since the beginning */
    bool any;         /* an item has been said */
    uint64_t turn_ns; /* when the caller began to wait */
    char digit;       /* PRESSES */
};

void carrier_script_begin(struct carrier_caller *caller, uint64_t now_ns);

/* One step of 20 ms: fills the frame and says what it is. */
enum carrier_act carrier_script_frame(const struct carrier_script *script,
                                      struct carrier_caller *caller, uint64_t now_ns,
                                      const struct carrier_agent *agent,
                                      uint8_t frame[CARRIER_FRAME_BYTES]);

#endif
