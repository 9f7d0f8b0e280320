#include "control/api/api_rows.h"

#include "common/panic.h"
#include "control/tools/tool_schema.h"

#include <stdio.h>

static struct {
    const struct api_row *row;
    json_t *body;
} rows[API_ROWS_MAX];
static int rows_count;

/* ---- schemas ---- */

json_t *api_rows_described(const char *schema, const char *says)
{
    json_t *described = json_loads(schema, JSON_REJECT_DUPLICATES, NULL);
    if (described)
        json_object_set_new(described, "description", json_string(says));
    return described;
}

json_t *api_rows_schema(const struct api_member *members)
{
    json_t *properties = json_object(), *required = json_array();
    for (; members->name; members++) {
        json_object_set_new(properties, members->name,
                            api_rows_described(members->schema, members->says));
        if (members->required)
            json_array_append_new(required, json_string(members->name));
    }
    json_t *schema = json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0,
                               "properties", properties);
    if (json_array_size(required) > 0)
        json_object_set(schema, "required", required);
    json_decref(required);
    return schema;
}

const json_t *api_rows_body(const struct api_row *row)
{
    for (int i = 0; i < rows_count; i++)
        if (rows[i].row == row)
            return rows[i].body;
    return NULL;
}

/* ---- the table ---- */

static bool add_row(const struct api_row *row, char *error, size_t room)
{
    char why[TOOL_SCHEMA_WORDS] = "there are too many rows";
    json_t *body = row->body ? api_rows_schema(row->body) : NULL;
    bool right = rows_count < API_ROWS_MAX;
    for (int i = 0; i < rows_count && right; i++)
        if (strcmp(rows[i].row->name, row->name) == 0) {
            snprintf(why, sizeof why, "there are two of this name");
            right = false;
        }
    if (right && body)
        right = tool_schema_check(body, why, sizeof why);
    if (right) {
        rows[rows_count].row = row;
        rows[rows_count++].body = body;
    } else {
        snprintf(error, room, "the API's row %s: %s", row->name, why);
        json_decref(body);
    }
    return right;
}

bool api_rows_open(char *error, size_t room)
{
    bool right = true;
    assert(rows_count == 0);
    for (int group = 0; group < api_groups_count && right; group++)
        for (int i = 0; i < api_groups[group]->count && right; i++)
            right = add_row(&api_groups[group]->rows[i], error, room);
    return right;
}

void api_rows_close(void)
{
    while (rows_count > 0)
        json_decref(rows[--rows_count].body);
}

int api_rows_count(void)
{
    return rows_count;
}

const struct api_row *api_rows_at(int index)
{
    assert(index >= 0 && index < rows_count);
    return rows[index].row;
}

/* ---- looking up ---- */

/* Takes what stands up to the next slash. */
static struct span take_segment(struct span *rest)
{
    const uint8_t *slash = rest->bytes ? memchr(rest->data, '/', rest->bytes) : NULL;
    size_t bytes = slash ? (size_t)(slash - rest->data) : rest->bytes;
    struct span segment = span_from(rest->data, bytes);
    size_t used = slash ? bytes + 1 : bytes;
    *rest = span_from(rest->data + used, rest->bytes - used);
    return segment;
}

/* Names and ids need no escapes; what has one is none of ours. */
static bool is_plain(struct span segment)
{
    for (size_t i = 0; i < segment.bytes; i++) {
        uint8_t byte = segment.data[i];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= 'A' && byte <= 'Z') || byte == '-' || byte == '_' || byte == '.';
        if (!plain)
            return false;
    }
    return segment.bytes > 0;
}

static bool matches(const char *shape, struct span path,
                    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES])
{
    struct span rest = span_of(shape);
    int count = 0;
    if (path.bytes == 0 || path.data[path.bytes - 1] == '/')
        return false;
    while (rest.bytes > 0 && path.bytes > 0) {
        struct span wanted = take_segment(&rest), given = take_segment(&path);
        if (wanted.bytes > 0 && wanted.data[0] == '{') {
            assert(count < API_ARGUMENTS_MAX);
            if (!is_plain(given) || !span_copy_text(given, arguments[count++], API_ARGUMENT_BYTES))
                return false;
        } else if (!span_equal(wanted, given)) {
            return false;
        }
    }
    return rest.bytes == 0 && path.bytes == 0;
}

static bool is_row_of(const struct api_row *row, struct span path,
                      char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES])
{
    return matches(row->path, path, arguments) ||
           (row->alias && matches(row->alias, path, arguments));
}

const struct api_row *api_rows_find(struct span path, const char *method,
                                    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES],
                                    char methods[64])
{
    size_t used = 0;
    methods[0] = '\0';
    for (int i = 0; i < rows_count; i++) {
        const struct api_row *row = rows[i].row;
        if (!is_row_of(row, path, arguments))
            continue;
        if (strcmp(row->method, method) == 0)
            return row;
        int bytes = snprintf(methods + used, 64 - used, "%s%s", used ? ", " : "", row->method);
        assert(bytes > 0 && (size_t)bytes < 64 - used);
        used += (size_t)bytes;
    }
    return NULL;
}
