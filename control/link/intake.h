/* intake: what an edge reports about calls, checked and stored.
 *
 * What it is: the judgement of an EVENT's JSON (members, types, bounds), and the storing of a batch
 * in one transaction. What it is not: the link (edge.h) or SQL (store/events.h). An event that is
 * not what the link allows is refused and acknowledged: kept, it would come again for ever.
 * Owner: intake_free. Thread: the owner of db. Bounds: INTAKE_*. */
#ifndef RINGBRIDGE_CONTROL_LINK_INTAKE_H
#define RINGBRIDGE_CONTROL_LINK_INTAKE_H

#include "control/carrier/ticket_mint.h"
#include "control/service/metrics.h"
#include "control/store/events.h"

#include <jansson.h>

#define INTAKE_EVENT_BYTES_MAX 65536 /* the edge's own bound of one event */
#define INTAKE_TEXT_BYTES_MAX  65536
#define INTAKE_NAME_BYTES_MAX  256
#define INTAKE_NUMBER_MAX      (INT64_C(1) << 47) /* of seq and at_ms: the year 6429 */

/* Which edge says so: written into the events that orders and recordings need it from. NULL: not.
 */
struct intake_origin {
    const char *edge, *run;
};

struct intake_event {
    struct events_event event;
    json_t *object;                     /* its texts */
    char *body;                         /* the object as text, without the ticket */
    char ticket[TICKET_TEXT_BYTES + 1]; /* of a started event, or "" */
};

/* Reads one event. NULL, or which member is wrong (a literal); then there is nothing to free. */
const char *intake_read(struct span json, const struct intake_origin *origin,
                        struct intake_event *event);
void intake_free(struct intake_event *event);

/* Stores up to EVENTS_BATCH_MAX events in one transaction, then uses up the tickets of those that
 * say a stream started. DB_OK: committed, and counted; everything may be acknowledged. */
enum db_result intake_store(struct db *db, const struct ticket_keys *keys, struct metrics *metrics,
                            const struct intake_event *events, int count);

#endif
