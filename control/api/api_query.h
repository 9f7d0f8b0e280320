/* api_query: the query of a request for a page, read strictly: limit, cursor, and the filters of
 * its noun. Whatever else it says is refused, so that a misspelt filter does not show everything.
 *
 * A cursor is the place of the last row seen, "MICROSECONDS.ID", opaque to others; a forged one is
 * a place like any other within what row security shows. Thread: any. Bounds: API_LIMIT_MAX, the
 * form's, API_FILTER_BYTES. */
#ifndef RINGBRIDGE_CONTROL_API_API_QUERY_H
#define RINGBRIDGE_CONTROL_API_API_QUERY_H

#include "common/span.h"
#include "control/store/shown.h"

#define API_LIMIT        50
#define API_LIMIT_MAX    200
#define API_CURSOR_BYTES 64
#define API_FILTER_BYTES 320

struct api_query {
    unsigned limit;
    struct shown_place place;
    char filters[SHOWN_FILTERS_MAX][API_FILTER_BYTES];
    bool has_filter[SHOWN_FILTERS_MAX];
};

/* shown NULL: nothing may be said. False with a sentence that names the parameter. */
bool api_query_read(struct span text, const struct shown *shown, struct api_query *query,
                    char *error, size_t room);

/* A cursor to go on from a row, and back. False: not one of ours. */
void api_cursor_write(int64_t at_us, const char *tie, char cursor[API_CURSOR_BYTES]);
bool api_cursor_read(const char *cursor, bool tie_is_number, struct shown_place *place);

#endif
