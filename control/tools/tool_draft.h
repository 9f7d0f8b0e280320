/* tool_draft: a tool as people write it, one JSON object, made ready for the store.
 *
 * Members: action, description, parameters, channels, tries, timeout_ms, deadline_ms, interim_ms,
 * position; every other one is a setting of its action. What is not said is the built-in tool's
 * own. For the command line and the API. Owner: the draft owns what tool points to until
 * tool_draft_free; name and spec are borrowed that long. Thread: one. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_DRAFT_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_DRAFT_H

#include "control/base/seal.h"
#include "control/store/tools.h"
#include "control/tools/tool_schema.h"

#include <jansson.h>

struct tool_draft {
    struct tools_new tool;
    char *parameters_json, *settings_json;
    char channels[128];
    uint8_t sealed[SEAL_SECRET_MAX + SEAL_OVERHEAD_BYTES];
    char error[TOOL_SCHEMA_WORDS];
};

/* False with a sentence in draft->error; tool_draft_free is right in any case. */
bool tool_draft_read(struct tool_draft *draft, const char *name, const json_t *spec);

/* Seals headers (an object's JSON text) for this tool. False with a sentence. */
bool tool_draft_seal(struct tool_draft *draft, const struct seal *seal, const char *organization,
                     const char *headers);

void tool_draft_free(struct tool_draft *draft);

/* What a constraint that refused a tool wants, in words; NULL: not one of a tool's. */
const char *tool_draft_rule(const char *constraint);

#endif
