/* reconcile: compares calls and recordings of an organisation with the carrier's own lists.
 *
 * What it is: the lists of calls to and from each of its numbers and of the recordings of those
 * calls, each item beside our record; what no webhook told is put on record as if it had (calls,
 * their ends, prices, recordings, which are then fetched), and what cannot be mended is reported:
 * calls that ended otherwise, calls that the carrier does not list. What it is not: a source of
 * truth about the order of things: webhooks that came are never overruled.
 * Any time, any number of times: what it finds a second time is known. Thread: any, with a database
 * connection of serving's rights. Bounds: those of twilio_rest, RECONCILE_HOURS_MAX. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_RECONCILE_H
#define RINGBRIDGE_CONTROL_CARRIER_RECONCILE_H

#include "control/base/options.h"
#include "control/net/http_client.h"
#include "control/store/reconciliations.h"

#define RECONCILE_HOURS_MAX 2160 /* three months */

enum reconcile_end {
    RECONCILE_DONE,
    RECONCILE_NOTHING, /* no numbers at the carrier, or no account whose lists we may read */
    RECONCILE_CARRIER, /* the carrier did not answer as it should: response says how */
    RECONCILE_DATABASE /* db_error */
};

struct reconcile {
    const struct options *options; /* borrowed, with what follows */
    const char *organization;
    unsigned hours; /* back from now */
    bool (*must_stop)(void *context);
    void *context;
    /* what came of it */
    char report[37]; /* its row */
    char error[HTTP_CLIENT_ERROR_BYTES];
    struct http_client_response response;
};

/* Compares. http_client_free(&reconcile->response) afterwards. */
enum reconcile_end reconcile_run(struct reconcile *reconcile, struct db *db);

#endif
