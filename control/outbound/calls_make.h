/* calls_make: somebody asks for one call: POST /api/twilio/calls/make, and `call make`.
 *
 * A JSON object: to, from, lead (text), variables, idempotency_key, and the members of
 * outbound_plan.h. The same key with the same object is the same call of the organisation, whoever
 * sends it and however often.
 *
 * What it is not: the call itself, which is made by a job when the organisation's limits allow.
 * Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_OUTBOUND_CALLS_MAKE_H
#define RINGBRIDGE_CONTROL_OUTBOUND_CALLS_MAKE_H

#include "control/base/options.h"
#include "control/db/db.h"
#include "control/store/outbound.h"

#include <jansson.h>

struct calls_made {
    bool understood;               /* false: what is asked for cannot be; error says why */
    enum outbound_verdict verdict; /* of what was understood */
    char id[UUID_TEXT_BYTES + 1];  /* of the call, when it was made or known */
    char error[256];               /* a sentence; "" when the call is in the queue */
};

/* Puts the call into the queue, within a transaction of the organisation. by: who it is. Anything
 * but DB_OK leaves made empty. */
enum db_result calls_make(struct db *db, const struct options *options, const char *organization,
                          const char *by, const json_t *asked, struct calls_made *made);

#endif
