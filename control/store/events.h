/* events: what the edge reports about calls, stored once.
 *
 * DB_OK means committed: only then may the link acknowledge. The organisation comes from the edge,
 * which has it from our own ticket; the row must exist under it. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_EVENTS_H
#define RINGBRIDGE_CONTROL_STORE_EVENTS_H

#include "control/db/db.h"

#define EVENTS_BATCH_MAX 256

enum events_taken {
    EVENTS_STORED,  /* new, applied and committed */
    EVENTS_DOUBLE,  /* (call, seq) was on record: acknowledge it again */
    EVENTS_UNKNOWN, /* no such call under that organisation: count it, acknowledge it */
    EVENTS_INVALID, /* ids, kind or seq are not what they must be: count it, acknowledge it */
    EVENTS_PARKED   /* its body could not be understood or stored as it is; kept as bytes in the
                       ledger for a person to look at: count it, acknowledge it */
};

const char *events_taken_name(enum events_taken taken); /* a metric label */

struct events_event {
    const char *organization, *call; /* uuids as text */
    int64_t seq;                     /* 1.. per call */
    const char *kind;                /* "started", "message", ... */
    int64_t at_ms;                   /* unix ms */
    const char *body_json; /* the event's whole JSON object (or the rest of it), NUL-terminated */
};

/* Stores one event. Anything but DB_OK: nothing is stored, the edge keeps it. */
enum db_result events_take(struct db *db, const struct events_event *event,
                           enum events_taken *taken);

/* Stores up to EVENTS_BATCH_MAX events in one transaction (one disk flush), in order; a bad one
 * does not stop its neighbours. taken has count places. */
enum db_result events_take_batch(struct db *db, const struct events_event *events, int count,
                                 enum events_taken *taken);

#endif
