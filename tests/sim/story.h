/* story: one simulated call: who takes part, what befalls them, what was said, and what control was
 * told of it. Its parts are carrier.c and listener.c (Twilio's side), ai.c and agent.c (the
 * realtime AI), control.c (link and resolver in place of the real ones); world.c lets them act and
 * checks how it came out.
 *
 * Each misfortune names the endings that it excuses; the call must end with one of those. */
#ifndef RINGBRIDGE_TESTS_SIM_STORY_H
#define RINGBRIDGE_TESTS_SIM_STORY_H

#include "common/end.h"
#include "common/ticket.h"
#include "edge/media/pcm.h"
#include "edge/media/resample.h"
#include "tests/sim/kernel.h"
#include "tests/sim/ledger.h"
#include "tests/sim/peer.h"
#include "tests/sim/recording.h"

#define STORIES_MAX   6
#define AIS_MAX       12   /* connections to one story's AI at a time */
#define ITEMS_MAX     2048 /* utterances of the agent */
#define CLEARS_MAX    1024
#define PLACES_MAX    1024
#define MARKS_MAX     160
#define OWED_MAX      64
#define NARROW_BYTES  8192      /* what those who do not read take unread */
#define FRAME         160       /* bytes of 20 ms */
#define PCM_BYTES_MAX (1 << 17) /* of one append or delta */

enum carrier_fate {
    CARRIER_FINE,
    CARRIER_NO_SHOW,
    CARRIER_NO_START, /* connects, upgrades, says nothing */
    CARRIER_WRONG_CALL,
    CARRIER_SILENT, /* from some moment on */
    CARRIER_RESETS,
    CARRIER_FINISHES, /* FIN without a word */
    CARRIER_CLOSES,
    CARRIER_GARBAGE,
    CARRIER_DEAF, /* reads no more */
    CARRIER_SLOW, /* reads little at a time */
    CARRIER_BAD_SIGNATURE,
    CARRIER_TWICE, /* somebody else comes with the same ticket */
    CARRIER_FATES
};

enum ai_fate {
    AI_FINE,
    AI_UNRESOLVED,
    AI_UNANSWERED, /* the resolver says nothing */
    AI_REFUSES_TCP,
    AI_IGNORES_TCP,
    AI_REFUSES_UPGRADE,
    AI_IGNORES_UPGRADE,
    AI_GARBLES_UPGRADE,
    AI_IGNORES_SESSION,
    AI_REFUSES_SESSION,
    AI_RESETS,
    AI_FINISHES,
    AI_CLOSES,
    AI_EXPIRES,
    AI_QUOTA,   /* a fatal error */
    AI_GARBAGE, /* no event, no base64, binary */
    AI_DEAF,
    AI_SLOW,   /* reads little at a time */
    AI_SILENT, /* never answers */
    AI_MUTE,   /* says nothing at all any more, not even a pong */
    AI_FATES
};

/* ---- the carrier ---- */

enum carrier_stage {
    STAGE_AWAY,
    STAGE_SECURING,
    STAGE_UPGRADING,
    STAGE_CONNECTED,
    STAGE_STARTED,
    STAGE_STOPPED,
    STAGE_OVER
};

struct carrier_mark {
    char name[16];
    uint64_t position;
};

struct clear {
    uint64_t played, received; /* places in the agent's ledger: between them nothing was heard */
};

/* What has been played, or will be, and when: on the carrier's clock. */
struct played {
    uint64_t place, samples; /* in the agent's ledger */
    uint64_t clock;
};

struct carrier {
    struct peer peer, intruder; /* who comes with the same ticket */
    struct dice dice;
    enum carrier_stage stage;
    enum carrier_fate fate;
    uint64_t fate_ns; /* when it strikes */
    uint64_t next_ns;
    uint64_t read_ns; /* it looks at its socket no sooner */
    uint64_t begin_ns, upgraded_ns, started_ns, stop_ns, give_up_ns;
    uint64_t sequence, frame; /* numbers: of the last message; of the next frame */
    bool doomed;              /* the misfortune has struck */
    bool greeted, stopped;    /* it has said connected; stop */
    bool refused;             /* its upgrade was */
    unsigned loss_permille, jitter_permille, odd_permille, dtmf_permille;
    uint64_t lost_until; /* frames below this number are lost */
    /* the clock of its timestamps, as the edge must see it */
    bool timed;
    uint64_t base_ms;
    uint64_t gap_samples, media_said;
    /* what is heard: positions count received samples */
    struct ear ear;
    uint64_t received, anchor, anchor_ns;
    uint64_t heard_bytes; /* in all */
    struct carrier_mark marks[MARKS_MAX];
    unsigned marks_count;
    uint64_t marks_seen, clears_seen;
    struct {
        uint64_t received, ledger;
    } places[PLACES_MAX]; /* ends of messages since the last clear */
    unsigned places_count;
    struct clear clears[CLEARS_MAX];
    unsigned clears_count;
    struct played *played; /* memory stays for the next history */
    unsigned played_count, played_room;
    bool leapt;   /* his clock began anew, or stood still for long */
    bool inexact; /* pcm, and the filter began anew somewhere: what comes is only counted */
};

/* ---- the AI ---- */

struct utterance {
    char id[24];
    uint64_t start, end; /* in the agent's ledger: samples */
    bool truncated;
    uint64_t truncated_ms;
};

enum ai_stage { AI_AWAY, AI_SECURING, AI_UPGRADING, AI_OPEN, AI_LEFT };

struct ai {
    struct peer peer;
    struct dice dice;
    enum ai_stage stage;
    enum ai_fate fate;
    unsigned session; /* counts from 0 in its story */
    bool configured, patient, doomed;
    uint64_t fate_ns;
    uint64_t read_ns; /* it looks at its socket no sooner */
    /* when something is due; NEVER */
    uint64_t updated_ns, speech_ns, silence_ns, answer_ns, delta_ns, transcript_ns;
    uint64_t bytes_heard;
    uint64_t audio_ms; /* heard in this session */
    unsigned speech_number;
    char response[24], item[24]; /* "" : none */
    size_t response_left;        /* bytes not yet said */
    unsigned words;
    bool cancelled, mute;
    struct ear ear;
    struct resample resample; /* pcm */
    bool tracked;             /* what comes is compared sample by sample */
};

/* ---- the story ---- */

struct story_events {
    uint64_t seq;            /* of the last event told */
    uint64_t refused;        /* that the link had no room for */
    uint64_t owed[OWED_MAX]; /* numbers that were left out: of recordings' ends */
    unsigned owed_count;
    unsigned told, ended, started, ready, lost, resumed, tools;
    enum end reason;
    uint64_t early_dropped, late_dropped, slow_dropped, gap_samples, frames_up, bytes_down;
    uint64_t duration_ms;
};

struct story {
    unsigned number;
    struct dice dice;
    /* how it is */
    bool pcm, carrier_tls, ai_tls, prepared, transcribed, denied, firm;
    bool strict;   /* no misfortune at all: everything must come out exactly */
    bool recorded; /* its plan says so */
    bool chatty;   /* the AI says much that means nothing, and calls functions */
    bool wordy;    /* to each piece of speech comes far more text than can be said in it */
    unsigned home_core, append_ms, interrupt_after_ms, session_max_s, duration_max_s;
    uint64_t life_ns; /* from start to stop */
    uint64_t prepare_ns;
    uint16_t ai_port;
    char call[37], organization[37], call_sid[35], account_sid[35], stream_sid[35];
    char ticket[TICKET_TEXT_BYTES + 1];
    char signature[29];
    unsigned ticket_life_ms;
    /* who */
    struct carrier carrier;
    struct ai ais[AIS_MAX];
    enum ai_fate ai_fate;
    unsigned sessions;
    unsigned asked; /* for its address */
    /* what was said */
    struct ledger caller, agent;
    struct pcm agent_pcm;
    struct resample agent_filter;
    struct utterance items[ITEMS_MAX];
    unsigned items_count;
    unsigned cuts; /* cancelled or truncated */
    /* what control knows */
    bool told, plan_taken, settled; /* settled: nothing more is to be expected of it */
    struct story_events events;
    struct recordings recordings;
    bool excused[END_COUNT];
};

/* What all stories of a history have in common. */
struct story_rules {
    uint64_t seed;
    bool strict;
    unsigned misfortune_permille; /* of the stories that have one */
    unsigned cores_count;
    uint64_t life_ns; /* from start to stop; 0: drawn */
    unsigned recorded_permille;
    unsigned long_s; /* so long are some of those that are recorded; 0: drawn */
    bool lasting;    /* some are long: there is a disk or a listener who is slow */
    bool wordy;      /* some have much text: there are listeners who do not take it */
};

void story_open(struct story *story, unsigned number, const struct story_rules *rules);
void story_free(struct story *story);
void story_excuse(struct story *story, enum end reason);

/* Each acts when it is due and returns when it is due next. */
uint64_t carrier_step(struct story *story, uint64_t now_ns);
uint64_t ai_step(struct story *story, uint64_t now_ns);

void carrier_open(struct story *story);
/* Everybody hangs up: the world ends. */
void carrier_leave(struct story *story);
void ai_leave(struct story *story);

/* The edge dials this story's AI. */
enum dialled ai_dialled(struct story *story, struct tcp *tcp);

/* listener.c: what the carrier plays. Media, a mark, a clear have come. */
void listener_hear(struct story *story, struct span text, uint64_t now_ns);
void listener_mark(struct carrier *carrier, struct span text);
void listener_clear(struct story *story, uint64_t now_ns);
/* Echoes the marks that have been played; when the next one will have been. */
void listener_echo(struct story *story, uint64_t now_ns);
uint64_t listener_due_ns(const struct carrier *carrier);
/* How many ms of an utterance the caller has really heard. */
uint64_t listener_heard_ms(const struct carrier *carrier, const struct utterance *item);

/* agent.c: what the AI says. Begins a response, unless one is under way. */
void agent_begin(struct story *story, struct ai *ai, uint64_t now_ns);
/* The next of it is due. */
void agent_speak_on(struct story *story, struct ai *ai, uint64_t now_ns);
void agent_cancel(struct story *story, struct ai *ai, uint64_t now_ns);
/* Says something that means nothing to the edge, or little. */
void agent_chat(struct story *story, struct ai *ai);
struct utterance *agent_find_item(struct story *story, struct span id);

/* Samples of the agent's that lie at bytes of his format. */
static inline unsigned story_bytes_per_sample(const struct story *story)
{
    return story->pcm ? 6 : 1;
}

#endif
