/* admit: may this stream come in? Asked by an edge that was not told about its ticket, because
 * another edge prepared the call or control restarted in between.
 *
 * MAC, expiry, the call, the handshake's signature, single use: in this order, each cheaper or less
 * lasting than the next, so that only a stream that is right in everything uses its ticket up.
 * Thread: a worker. */
#ifndef RINGBRIDGE_CONTROL_ADMIT_H
#define RINGBRIDGE_CONTROL_ADMIT_H

#include "control/link/edge.h"
#include "control/link/plan_write.h"
#include "control/service/service.h"

/* The RESPONSE's JSON: {"status":200,"plan":{..}}, {"status":403,"error":".."} or
 * {"status":503,"error":".."}. Freed by plan_write_free; NULL only without memory. edge: who asks.
 */
char *admit_answer(const struct service *service, struct db *db, const struct edge_hello *edge,
                   struct span ticket_text, const char *signature);

#endif
