/* api_rows: the table of the API, looked up and judged by.
 *
 * Bodies' schemas are made once, at boot; constant afterwards. Thread: any after api_rows_open. */
#ifndef RINGBRIDGE_CONTROL_API_API_ROWS_H
#define RINGBRIDGE_CONTROL_API_API_ROWS_H

#include "control/api/api.h"

#define API_ROWS_MAX 160

/* False with a sentence: a row is wrong (a schema that does not parse, a name twice). */
bool api_rows_open(char *error, size_t room);
void api_rows_close(void);

/* The row of a path and method, and what stands in the path's braces. NULL: *methods is "" when
 * there is no such path, else the methods it has ("GET, POST"). */
const struct api_row *api_rows_find(struct span path, const char *method,
                                    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES],
                                    char methods[64]);

int api_rows_count(void);
const struct api_row *api_rows_at(int index);

/* The schema of a row's body, as the document shows it; NULL: it takes none. Borrowed. */
const json_t *api_rows_body(const struct api_row *row);

/* An object's schema of members; new. */
json_t *api_rows_schema(const struct api_member *members);

/* A schema's text with a description put in; new, NULL when it is no JSON. */
json_t *api_rows_described(const char *schema, const char *says);

#endif
