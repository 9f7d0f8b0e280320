/* load: many simulated calls in one process on one core: the carriers and the AI at once, so that
 * one clock measures both ways through whatever relay stands between them.
 *
 * What it is: every call has a carrier side (a WebSocket we dial, 50 frames of 20 ms a second) and
 * an AI side (a WebSocket that the relay dials to us, 100 ms deltas while the agent talks, half of
 * the time). A frame goes out in its call's slot of the 20 ms; a unit has arrived when the kernel
 * got the last byte of the message that completes it. Each side counts samples, so the bookkeeping
 * holds however the relay cuts, joins or converts; mu-law frames carry their number besides, so
 * that a lost one is known as such. What it is not: the practice carrier or AI; nothing here is
 * judged but time and loss.
 *   load.c          phases               load_options.c  the command line
 *   load_report.c   what is said         load_call.c     how a call comes about
 *   load_leg.c      its two sockets      load_up.c       carrier to AI
 *   load_down.c     AI to carrier        wire.c          the ring under all sockets
 *   histogram.c     latencies            usage.c         what the relay costs
 * Owner: struct load has all. Thread: one, pinned. Bounds: LOAD_CALLS_MAX calls; rings of send
 * times of LOAD_FRAMES_KEPT frames (10 s) and LOAD_DELTAS_KEPT deltas: what comes later is lost. */
#ifndef RINGBRIDGE_BENCH_LOAD_LOAD_H
#define RINGBRIDGE_BENCH_LOAD_LOAD_H

#include "bench/load/histogram.h"
#include "bench/load/usage.h"
#include "bench/load/wire.h"
#include "tests/practice/carrier_messages.h"
#include "tests/practice/carrier_options.h"

#define LOAD_CALLS_MAX   20000
#define LOAD_FRAMES_KEPT 512
#define LOAD_DELTAS_KEPT 128
#define LOAD_MARKS_KEPT  64
#define LOAD_MARK_BYTES  40
#define LOAD_SLOTS_MAX   200 /* of a frame's time: 100 us each */

#define LOAD_FRAME_SAMPLES 160 /* of 8 kHz; all bookkeeping is in these */
#define LOAD_DELTA_SAMPLES 800
#define LOAD_TALK_FRAMES   100 /* 2 s of talk, 2 s of silence */
#define LOAD_LATE_NS       20000000ull
#define LOAD_SLACK_SAMPLES 40 /* 5 ms: what a resampler may hold back */

enum load_kind {
    LOAD_FLOOR, /* bytes as they are: the carrier's messages reach the AI side */
    LOAD_EDGE,  /* webhook, TwiML, ticket, stream */
    LOAD_RIVAL  /* straight to a stream's URL; the relay speaks the AI's protocol */
};

enum load_state {
    LOAD_IDLE,
    LOAD_ASKING,  /* edge: the webhook */
    LOAD_DIALING, /* streams under way */
    LOAD_TALKING, /* the carrier sends */
    LOAD_OVER
};

/* One direction of one call, in samples of 8 kHz. */
struct load_way {
    uint64_t sent, received;               /* since the call began; lost ones count as received */
    uint64_t lost;                         /* written off */
    uint64_t settled;                      /* units (frames or deltas) that have arrived */
    uint64_t first_measured, end_measured; /* units between these count */
};

/* One socket of a call. */
struct load_leg {
    struct load *load;
    struct load_call *call; /* NULL: an AI connection that no call has claimed yet */
    struct peer_conn *conn; /* until it is lent to the wire */
    struct wire_side side;
    bool carrier, wanted, lent, closed; /* wanted: ready to be lent */
    struct load_leg *lend_next;
    struct load_leg *next; /* all AI legs */
};

struct load_call {
    enum load_state state;
    bool established; /* both ways known to work */
    unsigned index;
    struct load *load;
    struct load_leg carrier, *model;
    struct carrier_stream stream;
    struct load_way up, down;
    uint64_t begun_ns;
    uint64_t turn; /* frames of talk schedule done */
    unsigned response;
    bool responding;
    uint64_t expected_frame; /* AI side: number in the next frame */
    /* carrier's playback: when all that was queued has played, and the marks in it */
    uint64_t play_end_ns;
    unsigned mark_first, mark_count;
    uint64_t up_sent_ns[LOAD_FRAMES_KEPT], down_sent_ns[LOAD_DELTAS_KEPT];
    struct {
        uint64_t due_ns;
        char name[LOAD_MARK_BYTES];
    } marks[LOAD_MARKS_KEPT];
};

struct load_figures {
    struct histogram up, down, own; /* own: how late the generator itself was */
    struct histogram setup;         /* from a call's beginning to its first frame at the AI */
    uint64_t up_late, down_late, wrong_frames, own_late;
    uint64_t up_lost, down_lost; /* samples */
    uint64_t frames, deltas;     /* measured */
    uint64_t appends, joined;    /* messages to the AI; frames that came with others in one */
    unsigned failed;             /* calls that did not come about or broke */
    unsigned short_begun, short_established, short_failed; /* of the set-up phase */
};

struct load_options {
    enum load_kind kind;
    bool pcm; /* the AI speaks PCM16 at 24 kHz */
    unsigned calls;
    double seconds, warm_seconds, rate;
    double setup_rate; /* short calls begun in a second while the others are measured */
    unsigned frame_ms; /* wall time of a frame: 20, more for calls that only stand */
    const char *relay; /* floor: HOST:PORT; rival: the stream's URL */
    uint16_t ai_port;
    const char *cert, *key; /* the AI side's TLS */
    int cpu;                /* -1: not pinned */
    int pid, control_pid;   /* of the relay; 0: not measured */
    const char *json, *label;
    struct carrier_options carrier; /* edge: webhook, public URL, token, numbers */
};

/* What the processes had cost at one moment. */
struct load_moment {
    uint64_t at_ns, own_ns;
    struct usage relay, control;
};

struct load {
    struct load_options options;
    struct peer_loop *loop;
    struct wire *wire;
    struct peer_tls *tls, *server_tls;
    struct peer_listener *listener;
    struct load_call *calls; /* options.calls that are measured, then the short ones */
    unsigned calls_all, begun, established, over, begin_end;
    struct load_call *waiting; /* its AI connection comes next; only where frames carry no number */
    struct load_leg *models, *lending;
    bool measuring, draining;
    uint64_t next_begin_ns, look_due_ns, look_every_ns;
    uint64_t pace_begin_ns, pace_step; /* slots done since then */
    struct load_figures figures;
    /* texts made once */
    char payload[220]; /* base64 of a frame; its first characters are rewritten per frame */
    char *delta_tail;  /* what follows the ids in a delta message */
    size_t delta_tail_bytes;
};

/* ---- load_options.c ---- */

/* -1: go on; otherwise the exit status. */
int load_options_read(int argc, char **argv, struct load_options *options);

/* ---- load_report.c ---- */

struct load_moment load_look(const struct load *load);
/* Prints, and writes options.json. before: no call had begun; the other two are the window's. */
void load_report(const struct load *load, const struct load_moment *before,
                 const struct load_moment *begin, const struct load_moment *end);

/* ---- load_call.c ---- */

/* Begins what calls are due, up to begin_end. */
void load_call_begin_due(struct load *load);
/* Both ways are known to work. */
void load_call_established(struct load_call *call);
void load_call_hang_up(struct load_call *call);
/* Something broke; counted once a call. */
void load_call_fail(struct load_call *call, const char *why);
/* A short call: one of the set-up phase, whose frames are not measured. */
static inline bool load_call_short(const struct load_call *call)
{
    return call->index >= call->load->options.calls;
}
/* Do frames say whose they are? Then calls may come about side by side. */
static inline bool load_numbered(const struct load *load)
{
    return !load->options.pcm;
}

/* ---- load_leg.c ---- */

extern const struct peer_hooks load_model_hooks; /* of the AI listener */
/* Dials the stream. connect_to and headers as in struct peer_dial. */
void load_leg_dial(struct load_call *call, const char *url, const char *connect_to,
                   const char *headers);
/* Lends to the wire what is ready. After each turn of the peer's loop. */
void load_leg_lend(struct load *load);
/* An AI connection has said whose it is. */
void load_leg_claim(struct load_leg *leg, struct load_call *call);
void load_leg_cut(struct load_leg *leg, const char *why);
void load_leg_free_all(struct load *load); /* after wire and loop are closed */

/* ---- load_up.c ---- */

void load_up_prepare(struct load *load);
void load_up_send(struct load_call *call, uint64_t now_ns);
/* AI side: any message once the session stands. */
void load_up_receive(struct load_leg *leg, struct span text, uint64_t at_ns);

/* ---- load_down.c ---- */

void load_down_prepare(struct load *load);
/* One step of 20 ms of the agent's schedule. */
void load_down_step(struct load_call *call, uint64_t now_ns);
/* Carrier side: any message. */
void load_down_receive(struct load_call *call, struct span text, uint64_t at_ns);
/* Sends back marks whose audio has played. */
void load_down_marks(struct load_call *call, uint64_t now_ns);

/* ---- shared by both ways ---- */

/* Samples have arrived: settles every unit that is now complete. slack: samples that a resampler
 * may hold back. */
void load_way_arrive(struct load_way *way, uint64_t samples, unsigned unit, unsigned slack,
                     const uint64_t *sent_ns, unsigned kept, uint64_t at_ns,
                     struct histogram *histogram, uint64_t *late);
/* The base64 text after this key, up to its closing quote; .data NULL when there is none. */
struct span load_text_after(struct span text, const char *key);
size_t load_base64_bytes(struct span text);

#endif
