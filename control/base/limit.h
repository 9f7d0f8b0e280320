/* limit: how often somebody may ask: so many a minute, a sixth of that at once.
 *
 * What it is: for each key (a token's id, an account, an address) the time at which it
 * will have used up all it is owed (the generic cell rate algorithm), in one table for all workers
 * of this process. What it is not: shared with other controls; each counts for itself.
 *
 * Bound: LIMIT_SETS * LIMIT_WAYS keys. In a full set the one that is owed most (idle
 * longest) is forgotten, which costs nothing once its time has passed; while all of a set are
 * busy, the newcomer takes the place of the least busy one. Thread: any; a lock is held for a few
 * comparisons. */
#ifndef RINGBRIDGE_CONTROL_BASE_LIMIT_H
#define RINGBRIDGE_CONTROL_BASE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_SETS  1024
#define LIMIT_WAYS  4
#define LIMIT_BURST 6 /* a minute's share that may come at once: one in so many */

struct limit;

struct limit *limit_open(void); /* NULL without memory */
void limit_close(struct limit *limit);

/* Takes one of key's per_minute; false: not now, and *wait_s is when. key is any text. */
bool limit_take(struct limit *limit, const char *key, unsigned per_minute, uint64_t now_ns,
                unsigned *wait_s);

#endif
