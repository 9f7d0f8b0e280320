/* scene: one core's calls, with a carrier and an AI that do what a test says, in one thread and one
 * process. Both peers are connections of the same io over loopback, so every byte goes through the
 * kernel, the WebSocket layer and the ledger as it does in the product.
 *
 * The clock stands still unless the test moves it. Owner: the test. Bound: one call. */
#ifndef RINGBRIDGE_TESTS_CALL_SCENE_H
#define RINGBRIDGE_TESTS_CALL_SCENE_H

#include "edge/call/own.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SCENE_TEXTS_MAX 64
#define SCENE_LEG_OTHER 16

/* What one side was told, in order. */
struct scene_peer {
    uint64_t conn, former;   /* the AI has two while one session takes over from another */
    bool open, ended, stuck; /* stuck: takes nothing from its socket */
    uint16_t close_code;
    unsigned sessions; /* that were begun: the AI may be dialled again */
    uint8_t *audio;    /* decoded, all of it */
    size_t audio_bytes, audio_room;
    unsigned media;               /* messages with audio */
    char *texts[SCENE_TEXTS_MAX]; /* the others; the oldest go */
    unsigned texts_count;         /* ever */
    char order[4096];             /* one letter for each message */
    unsigned letters;
};

struct scene {
    struct io *io;
    struct calls *calls;
    struct link *link;
    struct resolve *resolve;
    struct mail *inbox;
    struct metrics metrics;
    uint16_t port;
    struct call *call; /* NULL: it has ended, and why */
    enum end end;
    struct scene_peer carrier, ai;
    bool unconfigured; /* the AI does not answer session.update */
    uint64_t sequence;
    unsigned pressure;
    /* Connections of the test's own, with legs from SCENE_LEG_OTHER on, and requests to /listen/.
     */
    void (*other)(struct scene *scene, struct conn *conn, const struct message *message);
    int muted[4]; /* descriptors of those that were muted */
    unsigned muted_count;
    bool disk_sleeps; /* answers about files wait until it is over */
    struct io_done slept[8];
    unsigned slept_count;
};

/* Scenes opened from now on keep recordings in this directory; -1: they keep none. 0 blocks: as the
 * product. */
void scene_spool(int directory, unsigned file_blocks_max);

/* settings: JSON that is put over a plan, "{\"ai\":{\"greeting\":\"Hello.\"}}". The call is
 * prepared and its AI ready when this returns, unless unconfigured. */
void scene_open(struct scene *scene, const char *settings, bool unconfigured);
void scene_close(struct scene *scene);

void scene_turn(struct scene *scene);
/* Moves the clock on, and turns. */
void scene_pass(struct scene *scene, unsigned ms);

/* Turns until it is so; the clock stands still. */
#define scene_until(scene, condition)                                                              \
    do {                                                                                           \
        unsigned turns_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            scene_turn(scene);                                                                     \
            if (++turns_ > 20000)                                                                  \
                fail_msg("never came true: %s", #condition);                                       \
        }                                                                                          \
    } while (0)

/* The carrier's side. */
void scene_connect(struct scene *scene);
void scene_start(struct scene *scene);
void scene_media(struct scene *scene, uint64_t timestamp_ms, const uint8_t *codes, size_t bytes);
void scene_carrier_says(struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The AI's side. */
void scene_configure(struct scene *scene);
void scene_ai_says(struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void scene_former_says(struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The AI's connection breaks. */
void scene_break(struct scene *scene);
void scene_break_former(struct scene *scene);
/* The descriptor of a connection of the scene's. */
int scene_fd(const struct conn *conn);
/* Ends a connection of a peer's without a word; returns what keeps its socket there. */
int scene_abandon(struct scene *scene, struct conn *conn);
/* It is gone without a word: its socket lives on, and nobody reads it or will ever say that it is
 * over. */
void scene_mute(struct scene *scene);
/* response.output_audio.delta of so many bytes of this value. */
void scene_delta(struct scene *scene, const char *response, const char *item, uint8_t value,
                 size_t bytes);

/* Everything said so far has been heard by everyone. */
void scene_settle(struct scene *scene);

/* Was the peer told something with this in it? Index of the latest such text, -1: no. */
bool scene_told(const struct scene_peer *peer, const char *piece);

#endif
