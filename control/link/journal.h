/* journal: webhooks that came while the database was away, on disk until they are on record.
 *
 * What it is: one file of the edge's REQUEST frames (common/link_proto.h) as they came, in order;
 * a frame's id is the wall clock in ms when it came. Twilio repeats a refused callback for fifteen
 * seconds at most and then never, so what must not be lost is kept here and acknowledged. What it
 * is not: a queue for anything else, or shared between controls (each has its own directory; a
 * second one that opens it is refused).
 * What is added is on disk (fdatasync) before journal_add returns true. A record that was only half
 * written when the machine went down was never acknowledged and is cut off at the next start.
 * Owner: serve. Thread: journal_add and journal_is_empty any; the others the one that catches up.
 * Bounds: JOURNAL_BYTES_MAX; when full nothing more is taken, and callbacks are refused again. */
#ifndef RINGBRIDGE_CONTROL_LINK_JOURNAL_H
#define RINGBRIDGE_CONTROL_LINK_JOURNAL_H

#include "common/link_proto.h"

#define JOURNAL_BYTES_MAX (64u << 20)

struct journal;

/* Opens DIR/webhooks.journal, which is made; what is in it still waits. NULL with a sentence in
 * error. */
struct journal *journal_open(const char *directory, char *error, size_t room);
void journal_close(struct journal *journal); /* what waits stays; NULL is fine */

/* Keeps a request that came at received_ms. False: full, or the disk does not take it. */
bool journal_add(struct journal *journal, int64_t received_ms, struct span json, struct span raw);

/* Does nothing wait? True for NULL. */
bool journal_is_empty(const struct journal *journal);
uint64_t journal_count(const struct journal *journal); /* of webhooks that wait */

/* The oldest that waits, in a block of its own (free it); false when there is none. It waits on
 * until journal_drop. */
bool journal_first(struct journal *journal, struct link_frame *frame, uint8_t **block);
void journal_drop(struct journal *journal);

/* Puts the oldest aside into DIR/refused.journal instead, for a person to look at. */
void journal_refuse(struct journal *journal);

/* Waits until something is there, for at most wait_ms. */
void journal_await(struct journal *journal, unsigned wait_ms);
/* Wakes who waits: serve is closing. */
void journal_wake(struct journal *journal);

#endif
