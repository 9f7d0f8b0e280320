/* plan_write: the plan of a call, as the edge is told it (common/link_proto.h, "prepare").
 *
 * What it is: facts in, JSON text out, the AI's key included: the text is wiped by plan_write_free.
 * What it is not: the choice of the facts. Thread: any. Bound: the link's frame, checked by
 * edge_order. */
#ifndef RINGBRIDGE_CONTROL_LINK_PLAN_WRITE_H
#define RINGBRIDGE_CONTROL_LINK_PLAN_WRITE_H

#include "control/base/options.h"
#include "control/carrier/signature.h"
#include "control/carrier/ticket_mint.h"
#include "control/store/calls.h"

#include <jansson.h>

struct plan_facts {
    const struct calls_incoming *call;
    const char *call_sid, *account_sid;
    const char *ticket;
    unsigned home_core;
    int64_t expires_at_ms;
    int64_t first_seq;       /* of plan_write_first_seq */
    const char *stream_base; /* where the carrier reaches the edge */
    const char *stream_path; /* with it, what the signatures are for */
    const struct signature_tokens *tokens;
};

/* Where the events of a conversation's next stream are numbered from: 0 for its first, else a
 * number above all that came before, without asking anybody: the wall clock in ms, since no stream
 * reports more than one event per ms. */
int64_t plan_write_first_seq(bool first_stream);

/* The plan object. NULL when the AI's settings are not what the edge can use (tools that are no
 * array, a text that is not UTF-8) or memory is out. */
json_t *plan_write(const struct options *options, const struct plan_facts *facts);

/* {"kind":"prepare","plan":{..}} as text; takes the plan. NULL for NULL. */
char *plan_write_order(json_t *plan);

/* Wipes and frees a text with secrets. NULL is fine. */
void plan_write_free(char *text);

/* base + "?model=" + model, percent-encoded; "&" when base has a query. False when it does not
 * fit. */
bool plan_write_url(const char *base, const char *model, char *url, size_t room);

#endif
