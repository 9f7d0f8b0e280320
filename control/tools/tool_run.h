/* tool_run: carries out one function that an AI has called, from its arguments to its result.
 *
 * What it is: the judgement of the arguments, the action, and the result on record; whatever goes
 * wrong becomes a sentence for the AI. What it is not: voice. Who asked and how the result comes
 * back is not looked at; a result that ends the conversation says so ("ends"), and its channel acts
 * upon it. Effects in the database and the end of the call are one transaction, so a built-in tool
 * has one effect whoever dies when; a request to a system of others is repeated only when the tool
 * allows it, and then under the same Idempotency-Key.
 * Thread: any; blocks until the tool's deadline at most, and then for the database. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_RUN_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_RUN_H

#include "control/base/options.h"
#include "control/store/tools.h"

#include <jansson.h>

struct tool_runner {
    const struct options *options;
    const char *run; /* uuid of this control's life, under which calls are leased */
    bool (*must_stop)(void *context);
    void *context;
};

enum tool_ran {
    TOOL_DONE,
    TOOL_FAILED, /* on record, in words for the AI */
    TOOL_LOST /* not on record: the database is away or the lease is gone; somebody takes it up */
};

enum tool_ran tool_run(const struct tool_runner *runner, struct db *db,
                       const struct tools_claimed *claimed);

/* Arguments as the AI wrote them, judged. NULL with a sentence in error: no JSON object, or not
 * what the schema says. New reference. */
json_t *tool_run_arguments(const char *text, const char *parameters_json, char *error, size_t room);

/* An http tool with these arguments, outside of any conversation: for `tool test`. call: what
 * stands for the call's id. */
json_t *tool_run_http(const struct tool_runner *runner, const char *organization, const char *name,
                      const struct tools_described *described, const json_t *arguments,
                      const char *call, const char *conversation, int64_t left_ms);

#endif
