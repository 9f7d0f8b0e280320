/* api_limit: how often somebody may ask: so many a minute, a sixth of that at once.
 *
 * What it is: for each key (a token's id) the time at which it
 * will have used up all it is owed (the generic cell rate algorithm), in one table for all workers
 * of this process. What it is not: shared with other controls; each counts for itself.
 *
 * Bound: API_LIMIT_SETS * API_LIMIT_WAYS keys. In a full set the one that is owed most (idle
 * longest) is forgotten, which costs nothing once its time has passed; while all of a set are
 * busy, the newcomer takes the place of the least busy one. Thread: any; a lock is held for a few
 * comparisons. */
#ifndef RINGBRIDGE_CONTROL_API_API_LIMIT_H
#define RINGBRIDGE_CONTROL_API_API_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define API_LIMIT_SETS  1024
#define API_LIMIT_WAYS  4
#define API_LIMIT_BURST 6 /* a minute's share that may come at once: one in so many */

struct api_limit;

struct api_limit *api_limit_open(void); /* NULL without memory */
void api_limit_close(struct api_limit *limit);

/* Takes one of key's per_minute; false: not now, and *wait_s is when. key is any text. */
bool api_limit_take(struct api_limit *limit, const char *key, unsigned per_minute, uint64_t now_ns,
                    unsigned *wait_s);

#endif
