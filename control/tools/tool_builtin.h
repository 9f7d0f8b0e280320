/* tool_builtin: the tools that control carries out in its own database.
 *
 * Each runs in the transaction that ends the call, so it has its effect once. Thread: the owner of
 * db. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_BUILTIN_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_BUILTIN_H

#include "control/store/tools.h"
#include "control/tools/tool_kind.h"

struct tool_builtin {
    enum tool_action action;
    const struct tools_claimed *claimed;
    const struct tools_described *described;
    const json_t *settings, *arguments; /* judged by the tool's schema */
};

/* Does it: *output is a new reference; *ends (a constant) says how the conversation's stream ends
 * with it, or stays as it is. Anything but DB_OK: nothing was done, and the transaction is over. */
enum db_result tool_builtin_run(struct db *db, const struct tool_builtin *builtin, json_t **output,
                                const char **ends);

#endif
