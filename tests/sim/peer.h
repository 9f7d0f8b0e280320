/* peer: the far end of one connection, as a program would be written that talks to the edge: TLS of
 * the fake kind (tests/io/fake_tls.c), a head of HTTP, WebSocket frames. It checks what it reads.
 * Written by itself, not with edge/wire: two authors of a bug are better than one. */
#ifndef RINGBRIDGE_TESTS_SIM_PEER_H
#define RINGBRIDGE_TESTS_SIM_PEER_H

#include "common/span.h"
#include "tests/sim/dice.h"

struct tcp;

enum { PEER_TEXT = 1, PEER_BINARY = 2, PEER_CLOSE = 8, PEER_PING = 9, PEER_PONG = 10 };

struct peer {
    struct tcp *tcp; /* NULL: none */
    struct dice dice;
    bool client, sealed;
    bool secured;      /* the other side's flight has come */
    bool notified;     /* its close_notify */
    bool said_close;   /* a close frame was sent */
    bool hears_binary; /* such messages may come */
    uint8_t record[2 + 255];
    size_t record_bytes;
    uint8_t *in; /* plaintext not used yet; memory stays for the next connection */
    size_t in_first, in_bytes, in_room;
    size_t budget; /* bytes that it takes per read; 0: all */
    bool deaf;     /* it takes none */
};

/* client: it has called the edge, masks its frames, and with TLS speaks first. */
void peer_open(struct peer *peer, struct tcp *tcp, bool client, bool sealed, struct dice dice);
/* Lets go of the connection. */
void peer_leave(struct peer *peer);
void peer_free(struct peer *peer);

/* Takes what has arrived. */
void peer_read(struct peer *peer);
/* Nothing more can come of it. */
bool peer_over(const struct peer *peer);
/* May bytes of ours be said: is TLS there, where it is wanted? */
bool peer_ready(const struct peer *peer);

/* Plaintext, with TLS in records of drawn lengths. */
void peer_say(struct peer *peer, struct span bytes);
/* A message, now and then in fragments. */
void peer_send(struct peer *peer, unsigned opcode, struct span body);
void peer_send_text(struct peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void peer_send_close(struct peer *peer, unsigned code);
/* close_notify, then FIN. */
void peer_finish(struct peer *peer);

/* The head of HTTP that lies there, with its empty line; empty: not whole yet. */
struct span peer_head(const struct peer *peer);
void peer_drop(struct peer *peer, size_t bytes);

struct peer_message {
    unsigned opcode;
    struct span body; /* good until the next peer_read */
};

/* The next whole message. */
bool peer_next(struct peer *peer, struct peer_message *message);

/* Where a member's text begins and ends: finds "name":" in it. Empty: not there. */
struct span peer_member(struct span text, const char *name);

/* The number that is a member's value; fails when there is none. */
uint64_t peer_number(struct span text, const char *name);

#endif
