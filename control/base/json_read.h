/* json_read: JSON from a peer, by jansson, with our bounds: one object, depth, no duplicate names,
 * valid UTF-8, no NUL. And the getters that check type and range, so that nobody trusts a member.
 *
 * Owner: json_decref by the caller; texts live as long as the object. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_BASE_JSON_READ_H
#define RINGBRIDGE_CONTROL_BASE_JSON_READ_H

#include "common/span.h"

#include <jansson.h>

#define JSON_READ_DEPTH_MAX 32

/* Makes jansson wipe what it frees: keys of AIs pass through it. Call once, at boot. */
void json_read_open(void);

/* The object in text, or NULL: not an object, malformed, too deep, a name twice. */
json_t *json_read_object(struct span text);

/* The member's text when it is a string of at most bytes_max bytes, else NULL. */
const char *json_read_text(const json_t *object, const char *name, size_t bytes_max);

/* Writes the member when it is an integer from min to max; false otherwise. */
bool json_read_integer(const json_t *object, const char *name, int64_t min, int64_t max,
                       int64_t *value);

#endif
