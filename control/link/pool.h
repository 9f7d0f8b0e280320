/* pool: the workers that answer requests, and the bounded queue before them.
 *
 * What it is: N threads, each with a database connection of its own, each answering one request at
 * a time from top to bottom. What it is not: a place for events (edge.h has its own thread).
 * Bound: POOL_WAITING_MAX requests; pool_submit then blocks, which stops its caller from reading
 * its socket. Owner: work belongs to the pool from pool_submit to the end of its answer. */
#ifndef RINGBRIDGE_CONTROL_LINK_POOL_H
#define RINGBRIDGE_CONTROL_LINK_POOL_H

#include "common/span.h"
#include "control/db/db.h"
#include "control/link/edge.h"

#define POOL_WAITING_MAX 1024
#define POOL_WORKERS_MAX 256

/* One REQUEST as it came. */
struct work {
    struct edge *edge; /* a reference held */
    uint64_t id;
    uint8_t *frame; /* malloc'ed; json and raw point into it */
    struct span json, raw;
    uint64_t received_ns; /* monotonic */
    uint64_t events_mark; /* of edge_events_read when it was read */
};

struct pool_config {
    unsigned workers;
    struct db_config db;
    struct metrics *metrics;
    /* Answers one piece of work, or hands it on with pool_hand_on; runs on a worker. */
    void (*answer)(void *context, struct db *db, struct work *work);
    void *context;
};

struct pool;

/* Starts the workers. NULL with a sentence in error. Boot thread. */
struct pool *pool_open(const struct pool_config *config, char *error, size_t room);

/* Queues work; blocks while the queue is full. False when the pool is closing: the caller keeps the
 * work. Any thread. */
bool pool_submit(struct pool *pool, const struct work *work);

/* From within answer: moves the work to another pool if that has room and is open, and never
 * blocks. False: the caller has it still and answers itself. */
bool pool_hand_on(struct pool *to, struct work *work);

/* Answers what waits, for at most wait_ms, then ends the workers and frees. Boot thread, when
 * nobody submits any more. */
void pool_close(struct pool *pool, unsigned wait_ms);

/* Frees the frame and drops the edge; nothing when it was handed on. */
void work_free(struct work *work);

#endif
