/* What strangers send to the API, before anybody knows who they are or after: a path and a method,
 * a query, a cursor, a body. Input: one byte that chooses a row, then the path, newline, the query,
 * newline, the body. */
#include "common/panic.h"
#include "control/api/api_query.h"
#include "control/api/api_rows.h"
#include "control/base/json_read.h"
#include "control/tools/tool_schema.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct span take_line(const uint8_t **at, size_t *left)
{
    const uint8_t *end = memchr(*at, '\n', *left);
    size_t bytes = end ? (size_t)(end - *at) : *left;
    struct span line = span_from(*at, bytes);
    size_t used = end ? bytes + 1 : bytes;
    *at += used;
    *left -= used;
    return line;
}

static void try_path(struct span path)
{
    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES] = {{0}}, methods[64];
    const struct api_row *row = api_rows_find(path, "GET", arguments, methods);
    if (!row)
        return;
    for (int i = 0; i < API_ARGUMENTS_MAX; i++)
        assert(strlen(arguments[i]) < API_ARGUMENT_BYTES && !strpbrk(arguments[i], "/%?'\" "));
}

/* A place that was read, written and read again is the same place. */
static void try_query(struct span text, const struct shown *shown)
{
    struct api_query query;
    struct shown_place again;
    char error[API_PROBLEM_DETAIL] = "", cursor[API_CURSOR_BYTES];
    if (!api_query_read(text, shown, &query, error, sizeof error)) {
        assert(error[0] && strlen(error) < sizeof error);
        return;
    }
    assert(query.limit >= 1 && query.limit <= API_LIMIT_MAX);
    if (query.place.at_us < 0)
        return;
    api_cursor_write(query.place.at_us, query.place.tie, cursor);
    bool read = api_cursor_read(cursor, shown->tie_is_number, &again);
    assert(read && again.at_us == query.place.at_us && strcmp(again.tie, query.place.tie) == 0);
}

static void try_body(struct span text, const struct api_row *row)
{
    char error[TOOL_SCHEMA_WORDS] = "";
    const json_t *schema = api_rows_body(row);
    json_t *body = schema ? json_read_object(text) : NULL;
    if (body && !tool_schema_judge(schema, body, error, sizeof error))
        assert(error[0]);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static bool opened;
    char error[256];
    if (!opened)
        opened = api_rows_open(error, sizeof error);
    assert(opened);
    if (bytes == 0)
        return 0;
    const struct api_row *row = api_rows_at(data[0] % api_rows_count());
    data++;
    bytes--;
    try_path(take_line(&data, &bytes));
    struct span query = take_line(&data, &bytes);
    try_query(query, row->shape == API_PAGE ? row->shown : &shown_events);
    try_body(span_from(data, bytes), row);
    return 0;
}
