/* webhook_world: what the tests of serving stand on: a real ringbridge-control process, the real
 * PostgreSQL of DATABASE_URL, an edge of the test's own that speaks the link over the real socket,
 * and a carrier's signature made without our code.
 *
 * Every wait is for a fact and bounded by WORLD_WAIT_MS; nothing sleeps and hopes. Failures are
 * cmocka failures. Thread: one. */
#ifndef RINGBRIDGE_TESTS_CONTROL_WEBHOOK_WORLD_H
#define RINGBRIDGE_TESTS_CONTROL_WEBHOOK_WORLD_H

#include "common/link_proto.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#define WORLD_WAIT_MS    20000
#define WORLD_ORDERS_MAX 64

#define WORLD_PUBLIC     "https://calls.example.com"
#define WORLD_STREAMS    "wss://calls.example.com"
#define WORLD_ACCOUNT    "AC0000000000000000000000000000000a"
#define WORLD_TOKEN      "token-of-the-installation"
#define WORLD_TOKEN_OLD  "token-before-the-rotation"
#define WORLD_AI_KEY     "key-of-the-installation"
#define WORLD_SECRET_KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* ---- the process ---- */

struct world_control {
    pid_t pid;
    char socket[108];
    char log[128]; /* its standard error, kept over restarts */
};

/* Runs "migrate" once per database, then "serve"; returns when the socket answers. */
void world_start(struct world_control *control);
/* Sends the signal and waits for the end; the wait status. */
int world_stop(struct world_control *control, int signal_number);
/* Ends it with SIGTERM when it still runs, and removes what it left in /tmp. 0 when it ended well,
 * -1 otherwise (then its log stays): for the teardown of a group. */
int world_end(struct world_control *control);
/* Runs serve to its end in the same place; its exit status. */
int world_serve_again(const struct world_control *control);
/* The whole log so far; malloc'ed. */
char *world_log(const struct world_control *control);

/* ---- the database, as its superuser ---- */

/* Rows as psql prints them (-qAt), without the last line's end; valid until the next call. */
const char *world_query(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Makes an organisation with this number; its id in id[37]. Harmless when it is there. */
void world_organization(const char *name, const char *number, char id[37]);
/* Stops and starts PostgreSQL itself. */
void world_database(bool up);

/* ---- the edge ---- */

struct world_edge {
    int socket;
    uint64_t requests, results; /* numbers given, orders answered */
    uint64_t acked;             /* events acknowledged, in all */
    uint64_t acked_last;        /* the number of the last */
    json_t *orders[WORLD_ORDERS_MAX];
    size_t orders_count;
    bool refuse_orders;
};

struct world_answer {
    int status; /* 0: none came before the link ended */
    char *content_type, *allow, *retry_after, *body;
    size_t body_bytes;
    json_t *object;       /* the RESPONSE's JSON */
    size_t orders_before; /* orders that had come by then */
};

/* Connects and exchanges hellos. */
void world_connect(struct world_edge *edge, const struct world_control *control, const char *name,
                   unsigned cores);
/* Only connects. */
int world_dial(const struct world_control *control);
void world_hang_up(struct world_edge *edge);

/* Sends one frame. False when the link is gone. */
bool world_send(int socket, enum link_type type, uint64_t id, const char *json, const void *raw,
                size_t raw_bytes);
/* Reads one frame into malloc'ed *block. False: the other side has closed. */
bool world_receive(int socket, struct link_frame *frame, uint8_t **block);

/* Sends a request's JSON and takes what comes until its RESPONSE. Free with world_answer_free. */
struct world_answer world_ask(struct world_edge *edge, const char *json, const char *body,
                              size_t body_bytes);
void world_answer_free(struct world_answer *answer);

/* Sends an event with this number; takes frames until so many were acknowledged in all. */
void world_event(struct world_edge *edge, uint64_t number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void world_await_acks(struct world_edge *edge, uint64_t acked);
/* Takes frames until so many orders have come in all. */
void world_await_orders(struct world_edge *edge, size_t orders);

/* ---- the carrier ---- */

struct pair {
    const char *name, *value;
};

/* base64(HMAC-SHA1) over url and the pairs in order of their names, by OpenSSL alone. */
void world_sign(const char *token, const char *url, const struct pair *pairs, size_t count,
                char signature[29]);

/* A POST of a form to target, signed by token (NULL: not at all) for AccountSid among the pairs. */
struct world_answer world_post(struct world_edge *edge, const char *token, const char *target,
                               const struct pair *pairs, size_t count);
#define world_form(...)                                                                            \
    (const struct pair[]){__VA_ARGS__},                                                            \
        sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair)

/* What a TwiML document says, read by expat. */
struct world_twiml {
    char verbs[256]; /* "Connect Stream Redirect " in order of opening */
    char stream_url[512], status_callback[512], redirect[512], say[1024];
};
void world_read_twiml(const struct world_answer *answer, struct world_twiml *twiml);

/* The path segment behind the last slash of a stream URL. */
const char *world_ticket(const struct world_twiml *twiml);

#endif
