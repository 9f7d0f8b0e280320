#include "control/api/api_query.h"

#include "control/base/form.h"
#include "control/base/uuid.h"
#include "control/tools/tool_schema.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define AT_DIGITS_MAX  18
#define TIE_DIGITS_MAX 18

/* ---- cursors ---- */

void api_cursor_write(int64_t at_us, const char *tie, char cursor[API_CURSOR_BYTES])
{
    snprintf(cursor, API_CURSOR_BYTES, "%" PRId64 ".%s", at_us, tie);
}

/* Digits only, so many at most, without a leading zero but for zero itself. */
static bool read_digits(const char *text, size_t bytes, size_t digits_max, int64_t *number)
{
    if (bytes == 0 || bytes > digits_max || (text[0] == '0' && bytes > 1))
        return false;
    *number = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *number = *number * 10 + (text[i] - '0');
    }
    return true;
}

bool api_cursor_read(const char *cursor, bool tie_is_number, struct shown_place *place)
{
    const char *dot = strchr(cursor, '.');
    uint8_t uuid[UUID_BYTES];
    int64_t number;
    place->at_us = -1;
    if (!dot || !read_digits(cursor, (size_t)(dot - cursor), AT_DIGITS_MAX, &place->at_us))
        return false;
    bool right = tie_is_number ? read_digits(dot + 1, strlen(dot + 1), TIE_DIGITS_MAX, &number)
                               : uuid_read(dot + 1, uuid);
    return right && span_copy_text(span_of(dot + 1), place->tie, sizeof place->tie);
}

/* ---- parameters ---- */

struct reading {
    const struct shown *shown;
    struct api_query *query;
    char *error;
    size_t room;
    bool has_limit, has_cursor;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct reading *reading,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reading->error, reading->room, format, arguments);
    va_end(arguments);
    return false;
}

static bool read_limit(struct reading *reading, struct span value)
{
    int64_t limit = 0;
    if (reading->has_limit || !read_digits((const char *)value.data, value.bytes, 3, &limit) ||
        limit < 1 || limit > API_LIMIT_MAX)
        return refuse(reading, "limit is a number from 1 to %d.", API_LIMIT_MAX);
    reading->has_limit = true;
    reading->query->limit = (unsigned)limit;
    return true;
}

static bool read_cursor(struct reading *reading, struct span value)
{
    char cursor[API_CURSOR_BYTES];
    if (reading->has_cursor || memchr(value.data, 0, value.bytes) ||
        !span_copy_text(value, cursor, sizeof cursor) ||
        !api_cursor_read(cursor, reading->shown->tie_is_number, &reading->query->place))
        return refuse(reading, "cursor is what the page before gave as next.");
    reading->has_cursor = true;
    return true;
}

/* A filter's schema judges a text, or the number or truth that it spells. */
static bool fits(const struct shown_filter *filter, const char *text, char *error, size_t room)
{
    json_t *schema = json_loads(filter->schema, 0, NULL), *value = json_string(text);
    uint8_t uuid[UUID_BYTES];
    const char *format = json_string_value(json_object_get(schema, "format"));
    bool right = value && tool_schema_judge(schema, value, error, room);
    if (right && format && strcmp(format, "uuid") == 0)
        right = uuid_read(text, uuid);
    json_decref(value);
    json_decref(schema);
    return right;
}

static bool read_filter(struct reading *reading, int index, struct span value)
{
    const struct shown_filter *filter = &reading->shown->filters[index];
    char error[TOOL_SCHEMA_WORDS];
    char *room = reading->query->filters[index];
    if (reading->query->has_filter[index])
        return refuse(reading, "%s is said twice.", filter->name);
    if (memchr(value.data, 0, value.bytes) || !span_copy_text(value, room, API_FILTER_BYTES) ||
        !fits(filter, room, error, sizeof error))
        return refuse(reading, "%s is not right: %s", filter->name, filter->says);
    reading->query->has_filter[index] = true;
    return true;
}

static bool read_field(struct reading *reading, const struct form_field *field)
{
    if (!reading->shown)
        return refuse(reading, "This path takes no parameters.");
    if (span_is(field->name, "limit"))
        return read_limit(reading, field->value);
    if (span_is(field->name, "cursor"))
        return read_cursor(reading, field->value);
    for (int i = 0; i < SHOWN_FILTERS_MAX; i++)
        if (reading->shown->filters[i].name &&
            span_is(field->name, reading->shown->filters[i].name))
            return read_filter(reading, i, field->value);
    return refuse(reading, "There is no such parameter; the OpenAPI document has those there are.");
}

bool api_query_read(struct span text, const struct shown *shown, struct api_query *query,
                    char *error, size_t room)
{
    struct reading reading = {.shown = shown, .query = query, .error = error, .room = room};
    struct form form = {.count = 0};
    *query = (struct api_query){.limit = API_LIMIT, .place = {.at_us = -1}};
    if (form_read(text, &form) != FAULT_NONE)
        return refuse(&reading, "The query is not valid, or too long.");
    bool right = true;
    for (size_t i = 0; i < form.count && right; i++)
        right = read_field(&reading, &form.fields[i]);
    form_free(&form);
    return right;
}
