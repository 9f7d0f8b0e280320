/* last_known: how calls to a number were answered last, for the time when the database is away.
 *
 * What it is: per account and called number the rows of the last good lookup: organisation, route,
 * fallback and agent. A call that comes while the database is away is answered from it, so the
 * caller hears what the organisation has chosen; its webhook goes into the journal first, and the
 * conversation gets the id it would have had (calls_id), so that everything that follows finds it.
 * What it is not: a cache for when the database is there; nothing is answered from it then.
 * What may be wrong in it is LAST_KNOWN_AGE_MS old at most: a change of configuration, an hour's
 * change of route, a number switched off. A number that changes hands meanwhile: the call's record
 * is refused by its new organisation, which never sees what was said. An unknown number is not
 * remembered, and one that became unknown is forgotten.
 * Secrets stay sealed in here. Owner: serve. Thread: any. Bound: LAST_KNOWN_NUMBERS; the longest
 * unused of its set goes. */
#ifndef RINGBRIDGE_CONTROL_WEBHOOKS_LAST_KNOWN_H
#define RINGBRIDGE_CONTROL_WEBHOOKS_LAST_KNOWN_H

#include "control/store/calls.h"

#define LAST_KNOWN_SETS       1024
#define LAST_KNOWN_WAYS       4
#define LAST_KNOWN_NUMBERS    (LAST_KNOWN_SETS * LAST_KNOWN_WAYS)
#define LAST_KNOWN_AGE_MS     3600000
#define LAST_KNOWN_REFRESH_MS 5000 /* a busy number is written down so often */

struct last_known;

struct last_known *last_known_open(void); /* NULL without memory */
void last_known_close(struct last_known *known);

/* Notes what the database said about a call to this number; found other than CALLS_FOUND forgets
 * it. */
void last_known_note(struct last_known *known, const char *account, const char *number,
                     const struct calls_incoming *call);

/* What was noted, with the id of this call; calls_incoming_free in any case. False: nothing, or too
 * old. */
bool last_known_find(struct last_known *known, const char *account, const char *number,
                     const char *call_sid, const struct seal *seal, struct calls_incoming *call);

#endif
