/* load: many simulated calls in one process on one core: the carriers and the AI at once, so that
 * one clock measures both ways through whatever relay stands between them.
 *
 * What it is: every call has a carrier side (a WebSocket we dial, 50 frames of 20 ms a second) and
 * an AI side (a WebSocket that the relay dials to us, 100 ms deltas while the agent talks, half of
 * the time). Each side counts samples; a frame has arrived when the count has passed its last
 * sample, so the bookkeeping holds however the relay cuts, joins or converts. What it is not: the
 * practice carrier or AI; nothing here is judged but time and loss.
 *   load.c        options, phases, report      load_call.c    how a call comes about
 *   load_up.c     carrier to AI                load_down.c    AI to carrier
 *   histogram.c   latencies                    usage.c        what the relay costs
 * Owner: struct load has all. Thread: one, pinned. Bounds: LOAD_CALLS_MAX calls; rings of send
 * times of LOAD_FRAMES_KEPT frames (20 s) and LOAD_DELTAS_KEPT deltas: what comes later is lost. */
#ifndef RINGBRIDGE_BENCH_LOAD_LOAD_H
#define RINGBRIDGE_BENCH_LOAD_LOAD_H

#include "bench/load/histogram.h"
#include "tests/practice/carrier_messages.h"
#include "tests/practice/carrier_options.h"
#include "tests/practice/peer.h"

#define LOAD_CALLS_MAX   20000
#define LOAD_FRAMES_KEPT 1024
#define LOAD_DELTAS_KEPT 256
#define LOAD_MARKS_KEPT  256
#define LOAD_MARK_BYTES  64

#define LOAD_FRAME_NS      20000000ull
#define LOAD_FRAME_SAMPLES 160 /* of 8 kHz; all bookkeeping is in these */
#define LOAD_DELTA_SAMPLES 800
#define LOAD_TALK_FRAMES   100 /* 2 s of talk, 2 s of silence */
#define LOAD_LATE_NS       LOAD_FRAME_NS

enum load_state {
    LOAD_IDLE,
    LOAD_ASKING,  /* edge: the webhook */
    LOAD_DIALING, /* streams under way */
    LOAD_TALKING,
    LOAD_OVER
};

/* One direction of one call, in samples of 8 kHz. */
struct load_way {
    uint64_t sent, received;               /* since the call began */
    uint64_t lost;                         /* written off */
    uint64_t settled;                      /* units (frames or deltas) that have arrived */
    uint64_t first_measured, end_measured; /* units between these count */
};

struct load_call {
    struct load *load;
    unsigned index;
    enum load_state state;
    struct peer_conn *carrier, *model;
    bool model_ready;
    struct carrier_stream stream;
    struct load_way up, down;
    uint64_t up_sent_ns[LOAD_FRAMES_KEPT], down_sent_ns[LOAD_DELTAS_KEPT];
    uint64_t turn; /* frames of talk schedule done */
    unsigned response;
    bool responding;
    uint64_t expected_frame; /* AI side: number in the next frame, if frames come one by one */
    /* carrier's playback: when all that was queued has played, and the marks in it */
    uint64_t play_end_ns;
    struct {
        uint64_t due_ns;
        char name[LOAD_MARK_BYTES];
    } marks[LOAD_MARKS_KEPT];
    unsigned mark_first, mark_count;
};

struct load_figures {
    struct histogram up, down, own; /* own: how late the generator itself was */
    uint64_t up_late, down_late, wrong_frames, own_late;
    uint64_t up_lost, down_lost; /* samples */
    uint64_t frames, deltas;     /* measured */
    unsigned failed;             /* calls that did not come about or broke */
};

struct load_options {
    bool edge; /* webhook, TwiML, stream; otherwise straight into the floor */
    bool pcm;  /* the AI speaks PCM16 at 24 kHz */
    unsigned calls;
    double seconds, warm_seconds, rate;
    unsigned batch_us; /* frames due within so long go out together; 0: each at its time */
    const char *relay; /* floor: HOST:PORT */
    uint16_t ai_port;
    const char *cert, *key; /* the AI side's TLS */
    int cpu;                /* -1: not pinned */
    int pid, control_pid;   /* of the relay; 0: not measured */
    const char *json, *label;
    struct carrier_options carrier; /* edge: webhook, public URL, token, numbers */
};

struct load {
    struct load_options options;
    struct peer_loop *loop;
    struct peer_tls *tls, *server_tls;
    struct peer_listener *listener;
    struct load_call *calls;
    unsigned begun, talking, over;
    struct load_call *waiting; /* the call whose AI connection comes next */
    bool measuring, draining;
    struct peer_timer pace, place;
    uint64_t pace_begin_ns, pace_step; /* frames sent over all calls since then */
    struct load_figures figures;
    /* texts made once */
    char payload[220]; /* base64 of a frame; its first characters are rewritten per frame */
    char *delta_tail;  /* what follows the ids in a delta message */
    size_t delta_tail_bytes;
};

/* ---- load_call.c ---- */

/* Begins the next call, one at a time, so that the AI connection that comes belongs to it. */
void load_call_next(struct load *load);
extern const struct peer_hooks load_model_hooks; /* of the AI listener */
void load_call_hang_up(struct load_call *call);
/* Something broke; counted once a call. */
void load_call_fail(struct load_call *call, const char *why);

/* ---- load_up.c ---- */

void load_up_prepare(struct load *load);
void load_up_send(struct load_call *call, uint64_t now_ns);
/* AI side: a message with audio, of the edge or of a carrier itself. False: it is none. */
bool load_up_receive(struct load_call *call, struct span text);

/* ---- load_down.c ---- */

void load_down_prepare(struct load *load);
/* One step of 20 ms of the agent's schedule. */
void load_down_step(struct load_call *call, uint64_t now_ns);
/* Carrier side: any message. */
void load_down_receive(struct load_call *call, struct span text);
/* Sends back marks whose audio has played. */
void load_down_marks(struct load_call *call, uint64_t now_ns);

/* ---- shared by both ways ---- */

/* Samples have arrived: settles every unit that is now complete. slack: samples that a resampler
 * may hold back. */
void load_way_arrive(struct load_way *way, uint64_t samples, unsigned unit, unsigned slack,
                     const uint64_t *sent_ns, unsigned kept, struct histogram *histogram,
                     uint64_t *late);
/* The base64 text after this key, up to its closing quote; .data NULL when there is none. */
struct span load_text_after(struct span text, const char *key);
size_t load_base64_bytes(struct span text);

#endif
