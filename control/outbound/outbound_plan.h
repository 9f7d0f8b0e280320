/* outbound_plan: what somebody wants done with a call that we make, read strictly.
 *
 * A JSON object; a call and a batch have these members in common, all of them optional:
 *   step               control/carrier/steps.h; without it the agent talks. Or
 *   twiml              a document that is answered as it stands, 4000 characters at most
 *   instructions, greeting   for the agent, instead of the organisation's
 *   record             true, false: keep both sides
 *   machine_detection  off, detect (who has answered?), message_end (.. and when it has spoken)
 *   on_machine         go_on, hangup: when a machine or a fax has answered
 *   ring_s             5 to 600: how long it rings (60)
 *   limit_s            10 to 86400: no call is longer (14400)
 * {{name}} in step, instructions and greeting stands for a variable.
 *
 * Thread: any. Owner: the plan is the caller's (json_decref). */
#ifndef RINGBRIDGE_CONTROL_OUTBOUND_OUTBOUND_PLAN_H
#define RINGBRIDGE_CONTROL_OUTBOUND_OUTBOUND_PLAN_H

#include <jansson.h>
#include <stdbool.h>

#define OUTBOUND_PLAN_TWIML_MAX     4000
#define OUTBOUND_PLAN_TEXT_MAX      65536
#define OUTBOUND_PLAN_VARIABLES_MAX 32
#define OUTBOUND_PLAN_VALUE_MAX     1024

/* The common members of asked as a plan. others: names, ended by NULL, that are the caller's to
 * read; any further member is refused. NULL with a sentence in error. */
json_t *outbound_plan_read(const json_t *asked, const char *const *others, char *error,
                           size_t room);

/* {"name": "value", ..}: names of letters, digits and _, texts only. False with a sentence. */
bool outbound_plan_variables(const json_t *variables, char *error, size_t room);

/* A name that may stand in {{ }}. */
bool outbound_plan_is_name(const char *text);

/* E.164 as people write it: blanks, dots, dashes, slashes and brackets are left out. False when it
 * is no number with its country. */
bool outbound_plan_number(const char *text, char number[17]);

#endif
