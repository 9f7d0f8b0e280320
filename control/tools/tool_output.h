/* tool_output: what an AI is told of a function: {"ok":true,..} or {"ok":false,"error":".."}.
 *
 * Thread: any. Owner: new references; tool_output_text is malloc'ed. Bound: TOOLS_OUTPUT_BYTES_MAX
 * as PostgreSQL prints it. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_OUTPUT_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>

/* A sentence that the AI can explain. */
__attribute__((format(printf, 1, 2))) json_t *tool_output_error(const char *format, ...);

bool tool_output_ok(const json_t *output);

/* Its text, and *ok as it says; a text that is too long becomes an error that says so. Takes
 * output. NULL only when memory is out. */
char *tool_output_text(json_t *output, bool *ok);

#endif
