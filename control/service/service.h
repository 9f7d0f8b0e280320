/* service: what all workers share while control serves. Made at boot by serve.c, constant
 * afterwards, except for what locks itself (tokens, metrics). Thread: any. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_SERVICE_H
#define RINGBRIDGE_CONTROL_SERVICE_SERVICE_H

#include "control/base/options.h"
#include "control/carrier/ticket_mint.h"
#include "control/service/metrics.h"
#include "control/service/tokens.h"

#define SERVICE_URL_BYTES_MAX 512 /* of PUBLIC_URL and TWILIO_WEBSOCKET_URL */

struct service {
    const struct options *options;
    struct ticket_keys ticket_keys;
    struct ticket_keys listen_keys; /* of listen_ticket */
    struct ticket_keys media_keys;  /* of media_link */
    struct tokens *tokens;
    struct limit *limit; /* of webhooks, by account and by address */
    struct last_known *last_known;
    struct journal *journal; /* NULL: nothing is kept while the database is away */
    struct convoy *convoy;   /* NULL: each incoming call asks alone */
    struct metrics *metrics;
    struct pool *api_pool;    /* NULL: this control has no API */
    struct limit *api_limit;  /* with it */
    const char *api_document; /* .. and its OpenAPI document */
};

#endif
