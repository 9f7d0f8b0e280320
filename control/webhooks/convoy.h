/* convoy: calls that come in at the same moment go to the database together.
 *
 * What it is: where the workers meet that have an incoming call to ask about. While CONVOYS_MAX
 * statements are under way those that come wait; the first of them leaves when one is back and
 * takes along what waits, in the order in which it came. So a lone call waits for nobody, and a
 * crowd shares one statement, one commit and one fsync. What it is not: a worker (one of those who
 * wait leads, on its own thread) or a cache (every call is asked about, and on record before it is
 * answered).
 *
 * It has connections of its own, few and with their plans made; one that leaves beyond CONVOYS_MAX
 * uses its worker's. One for all: an answer is given once the commit is there, to each. All for
 * none: what is refused or late as a whole is asked again by each alone, so nobody pays for
 * another's row. Only a database that is away is away for all of them.
 *
 * Owner: serve. Thread: any. Bounds: CALLS_TOGETHER_MAX in one statement; nobody waits longer than
 * CONVOY_PATIENCE_MS for others to come back (they may wait for a lock) before he leaves. */
#ifndef RINGBRIDGE_CONTROL_WEBHOOKS_CONVOY_H
#define RINGBRIDGE_CONTROL_WEBHOOKS_CONVOY_H

#include "control/service/metrics.h"
#include "control/store/calls.h"

#define CONVOYS_MAX        2 /* under way: one computes while the other's commit is on the disk */
#define CONVOY_PATIENCE_MS 100

struct convoy;

/* patience_ms: CONVOY_PATIENCE_MS, unless a test knows better. NULL without memory. */
struct convoy *convoy_open(const struct db_config *config, unsigned patience_ms,
                           struct metrics *metrics);
void convoy_close(struct convoy *convoy); /* when nobody asks any more; NULL is fine */

/* calls_incoming, perhaps together with others; convoy NULL: alone. */
enum db_result convoy_incoming(struct convoy *convoy, struct db *db, const struct seal *seal,
                               const struct calls_webhook *webhook,
                               struct calls_incoming *incoming);

#endif
