/* router: what an edge asks, to the handler that knows, and the answer back.
 *
 * Paths are matched as they came, canonical ones and the aliases that existing deployments have
 * configured at Twilio. Signature first: a webhook reaches its handler only when it was signed by
 * an account we know; before that nothing is read beyond what the check needs.
 * Rates (limit.h): an address may be refused so often, then 429 comes at once, for what has no
 * signature before anything is read (of IPv6 a /64 is an address); an account may be answered so
 * often (--account-rate), which is far beyond what a carrier sends (1,000 a second): then callers
 * hear "one moment" and come again, so many times, and callbacks get 429. What is signed well never
 * pays for its neighbour's refusals.
 * An answer whose deadline has passed is not sent: the edge has answered itself. Thread: a worker.
 */
#ifndef RINGBRIDGE_CONTROL_ROUTER_H
#define RINGBRIDGE_CONTROL_ROUTER_H

#include "control/link/pool.h"
#include "control/service/service.h"

#define ROUTER_REFUSALS_PER_MINUTE 1200 /* of one address; 200 of them at once */

/* For pool_config.answer; context is the struct service. */
void router_answer(void *context, struct db *db, struct work *work);

/* The same for the API's own workers, to whom router_answer hands its requests on. */
void router_answer_api(void *context, struct db *db, struct work *work);

/* Stores what a webhook from the journal says; nothing is answered, its signature was checked when
 * it came. unavailable: the database is away still. */
enum metrics_outcome router_store_kept(const struct service *service, struct db *db,
                                       const struct link_frame *frame);

/* The path of every webhook in order, aliases included; NULL behind the last. For tests. */
const char *router_path(size_t index);

#endif
