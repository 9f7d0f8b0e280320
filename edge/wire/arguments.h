/* arguments: what an AI gives to those functions that the edge carries out by itself.
 *
 * What it is: raw JSON string content (escapes not undone) in, bounded numbers out. An AI writes
 * what it likes: what is missing or not of its kind is the default, what is out of range its bound.
 * What it is not: the judgement by a schema (control). Cold: it allocates. Thread: any. Bounds:
 * TOOL_ARGUMENTS_BYTES_MAX by its caller, JSON_DEPTH_MAX. */
#ifndef RINGBRIDGE_EDGE_WIRE_ARGUMENTS_H
#define RINGBRIDGE_EDGE_WIRE_ARGUMENTS_H

#include "common/span.h"

#include <stdbool.h>

#define ARGUMENTS_DIGITS_MAX 32

struct json_t; /* jansson's */

/* The text that raw JSON string content stands for: a new JSON string, or NULL. */
struct json_t *arguments_text(struct span raw);

/* {"digits_max":n,"finish_on_key":"#","timeout_s":n} */
struct arguments_digits {
    unsigned digits_max; /* 1 to ARGUMENTS_DIGITS_MAX; default: that many */
    char finish_on_key;  /* '\0': none; default: '#' */
    unsigned timeout_s;  /* after the last key, or the prompt; 1 to 60, default 10 */
};

/* Writes the choices. False when the text is no JSON object: then they are the defaults. */
bool arguments_read_digits(struct span raw, struct arguments_digits *digits);

#endif
