/* carrier_rest_order: what an order for a call says, and whether the carrier takes it.
 *
 * Pure. Owner: an order owns its texts (carrier_rest_order_free). Thread: any. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_REST_ORDER_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_REST_ORDER_H

#include "common/span.h"
#include "tests/practice/carrier_call.h"

#define CARRIER_ORDER_VALUE_BYTES 4096

struct carrier_rest_order {
    struct carrier_order order;
    char *texts; /* private */
};

/* One pair of a form or a query: takes it off the front of rest, undone of its escapes. False when
 * there is none left, or one that does not fit. */
bool carrier_rest_next(struct span *rest, char name[64], char value[CARRIER_ORDER_VALUE_BYTES]);

/* Reads a form. 0, or Twilio's code for what is wrong, with its sentence in why. */
int carrier_rest_order_read(struct span form, struct carrier_rest_order *order, const char **why);
void carrier_rest_order_free(struct carrier_rest_order *order);

#endif
