/* stage: one io with an owner that the tests can watch, and raw sockets as its peers, all in one
 * thread: a test does something with a socket, lets the io turn, and looks.
 *
 * The clock is replaced: stage_skip moves it on, so that deadlines are tested without waiting. */
#ifndef RINGBRIDGE_TESTS_IO_STAGE_H
#define RINGBRIDGE_TESTS_IO_STAGE_H

#include "edge/io/conn.h"

#define STAGE_HELD_MAX 64

struct stage {
    struct io *io;
    struct metrics metrics;
    uint16_t port;
    size_t message_bytes_max; /* for upgrades; 65536 at first */
    bool deaf;                /* messages are taken and not echoed */
    struct mail *move_to;     /* where requests to /move go */
    /* what the owner saw */
    unsigned requests, mores, opens, messages, ends;
    struct message end; /* the last END */
    char end_reason[128];
    char method[32], target[256];
    uint8_t body[4096]; /* the last request's or message's, cut */
    size_t body_bytes;
    enum message_kind kind;
    struct conn *held[STAGE_HELD_MAX]; /* requests to /hold, unanswered */
    unsigned held_count;
    struct conn *opened; /* the last one that is open */
};

/* config: metrics and doorbell are filled in. Listens on a port of its own. */
void stage_open(struct stage *stage, struct io_config config, bool tls);
void stage_close(struct stage *stage);

/* Another listener; returns its port. */
uint16_t stage_listen(struct stage *stage, bool tls);

/* One whole turn, which waits at most wait_ms. */
void stage_turn(struct stage *stage, unsigned wait_ms);

/* Turns until it is so; fails the test when it does not come to be. */
#define stage_until(stage, condition)                                                              \
    do {                                                                                           \
        unsigned turns_ = 0;                                                                       \
        while (!(condition)) {                                                                     \
            stage_turn(stage, 5);                                                                  \
            if (++turns_ > 2000)                                                                   \
                fail_msg("never came true: %s", #condition);                                       \
        }                                                                                          \
    } while (0)

/* Moves the clock of the whole process on. */
void stage_skip(unsigned ms);

/* A dial to the stage's own port. */
struct dial stage_dial(uint16_t port, bool tls, const char *target);

/* ---- raw peers ---- */

struct peer {
    int fd;
    bool eof;   /* the other side has finished */
    bool reset; /* or broken */
    uint8_t data[1 << 24];
    size_t bytes;
};

/* Connected, non-blocking. */
struct peer *peer_open(uint16_t port);
void peer_close(struct peer *peer);
/* As much as the socket takes; returns how much. */
size_t peer_offer(struct peer *peer, const void *data, size_t bytes);
/* All of it; the stage turns when the socket is full. */
void peer_send(struct stage *stage, struct peer *peer, const void *data, size_t bytes);
void peer_say(struct stage *stage, struct peer *peer, const char *text);
/* Takes what is there; call it in stage_until's condition. Returns the count so far. */
size_t peer_read(struct peer *peer);
/* Is everything read and the connection over? */
bool peer_over(struct peer *peer);
/* Forgets what was read. */
void peer_forget(struct peer *peer);
bool peer_has(struct peer *peer, const char *text);
/* Says RST instead of FIN. */
void peer_reset(struct peer *peer);
/* Upgrades to WebSocket at /ws and forgets the answer. */
void peer_upgrade(struct stage *stage, struct peer *peer);
/* One frame with a fixed mask; opcode with its FIN bit. */
void peer_frame(struct stage *stage, struct peer *peer, uint8_t first, const void *payload,
                size_t bytes);

#endif
