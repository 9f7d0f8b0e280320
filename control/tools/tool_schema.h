/* tool_schema: are a function's arguments what its JSON Schema says?
 *
 * What it is: the part of JSON Schema that functions for AIs use: type (one or several),
 * properties, required, additionalProperties, items, enum, const, minimum and maximum (also
 * exclusive), minLength and maxLength in characters, minItems and maxItems, anyOf, and format date,
 * time and date-time as their shape. Other words are taken for remarks, as the standard wants. What
 * it is not: pattern, $ref and their like are refused when the schema is checked, because who
 * writes them relies on them. The sentences are for an AI to read and mend: they name the place and
 * the rule. Thread: any. Bounds: TOOL_SCHEMA_DEPTH_MAX, TOOL_SCHEMA_BYTES_MAX; judging takes at
 * most TOOL_SCHEMA_STEPS_MAX steps, then the arguments are refused. */
#ifndef RINGBRIDGE_CONTROL_TOOLS_TOOL_SCHEMA_H
#define RINGBRIDGE_CONTROL_TOOLS_TOOL_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TOOL_SCHEMA_DEPTH_MAX 10
#define TOOL_SCHEMA_BYTES_MAX 16384
#define TOOL_SCHEMA_STEPS_MAX 20000
#define TOOL_SCHEMA_WORDS     640 /* room enough for every sentence */

/* Is this a schema of an object that we can judge by? False with a sentence. */
bool tool_schema_check(const json_t *schema, char *error, size_t room);

/* Do the arguments fit? False with a sentence. schema has been checked. */
bool tool_schema_judge(const json_t *schema, const json_t *arguments, char *error, size_t room);

#endif
