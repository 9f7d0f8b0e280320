/* carrier_rest: Twilio's REST API for calls, as far as somebody who makes calls needs it.
 *
 * What it is: POST Calls.json creates a call, which then runs by itself
 * (carrier_call_begin_ordered); GET Calls.json lists them, newest first, by To and From, in pages;
 * POST Calls/CA...json with Status=completed or canceled ends one; GET shows it. Basic
 * authentication with the account and its token. It is as strict as the published description: a
 * StatusCallbackEvent with several words in one value is refused, as is a call without To, From or
 * Url. What it is not: numbers, recordings, messages.
 *
 * Troubles: every so many-th order (NAME:EVERY), counted by trouble:
 *   429            refused: too many at once; not executed
 *   500            not executed; 500-after: executed, then 500
 *   cut            the connection is reset before; cut-after: after the call was made
 *   half-after     half of the answer, then the end of the connection
 *   silent-after   the call is made, the answer never comes; silent: the same without a call
 *   mute-after     as cut-after, and none of the call's callbacks comes: only the list knows it
 *
 * Owner: the program. Thread: the loop's. Bound: CARRIER_ORDERS_MAX calls. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_REST_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_REST_H

#include "tests/practice/carrier_call.h"

#define CARRIER_ORDERS_MAX 20000

struct carrier_rest;

/* Listens on the options' rest address. NULL after saying why. */
struct carrier_rest *carrier_rest_open(struct carrier *carrier);

/* Nothing more is taken, everybody hangs up. */
void carrier_rest_end(struct carrier_rest *rest);

/* Is every call over, with its last callback? */
bool carrier_rest_idle(const struct carrier_rest *rest);

/* Each call with whom it was for; an array. */
json_t *carrier_rest_report(const struct carrier_rest *rest);

void carrier_rest_close(struct carrier_rest *rest); /* after the loop */

#endif
