/* carrier_verbs: what each verb of TwiML does to a call, and what it needs of the call for that.
 *
 * Private to carrier_call.c and carrier_verbs.c. Thread: the loop's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_VERBS_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_VERBS_H

#include "tests/practice/carrier_call.h"

/* Does the next verb of the document at hand; ends the call when there is none. */
void carrier_verbs_next(struct carrier_call *call);

/* ---- of carrier_call.c ---- */

__attribute__((format(printf, 2, 3))) void carrier_call_tell(struct carrier_call *call,
                                                             const char *format, ...);
void carrier_call_error(struct carrier_call *call, unsigned code, const char *why);
void carrier_call_fill(const struct carrier_call *call, const char *call_status,
                       struct carrier_form *form);
void carrier_call_add_iso_time(struct carrier_form *form);
void carrier_call_answer(struct carrier_call *call);
void carrier_call_end(struct carrier_call *call, const char *by, const char *final_status);
/* Is everything over? To be asked when something of an ended call came to its end. */
void carrier_call_check(struct carrier_call *call);

/* Asks for the next document. */
void carrier_call_fetch(struct carrier_call *call, const char *reference, bool get,
                        const struct carrier_form *form, const char *label);

/* A request whose answer does not steer the call; answered may be NULL. */
void carrier_call_request(struct carrier_call *call, const struct carrier_url *url, bool get,
                          const struct carrier_form *form, const char *label,
                          void (*answered)(struct carrier_call *call,
                                           const struct carrier_answer *answer));

#endif
