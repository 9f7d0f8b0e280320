/* tool_kind: the actions a tool may have: what the AI is told about the built-in ones, and what
 * each needs to be told itself.
 *
 * Thread: any. Owner: texts are constants; json_t are new references. Bounds: as sql/0010. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_KIND_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_KIND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum tool_action {
    TOOL_HTTP,
    TOOL_END_CALL,
    TOOL_TRANSFER,
    TOOL_SEND_SMS,
    TOOL_LEAVE_MESSAGE,
    TOOL_COLLECT_DIGITS,
    TOOL_BOOK_APPOINTMENT,
    TOOL_FIND_TIMES,
    TOOL_UNKNOWN
};

enum tool_action tool_kind_action(const char *name);
const char *tool_kind_name(enum tool_action action);

/* What the AI is told about a built-in one unless an organisation says otherwise; NULL for http. */
const char *tool_kind_description(enum tool_action action);

/* A schema of its arguments; for transfer with the names of its settings' "to", and with
 * a briefing where one of these is warm. NULL for http. */
json_t *tool_kind_parameters(enum tool_action action, const json_t *settings);

/* Are these settings what the action needs? http: {"method","url"}; transfer: {"to":{name: a step
 * of dial, queue or voicemail}}; send_sms: {"from","to":"caller"|"any"}; book_appointment and
 * find_times: {"calendar"}. False with a sentence that names the member and the mend. */
bool tool_kind_check(enum tool_action action, const json_t *settings, char *error, size_t room);

#endif
