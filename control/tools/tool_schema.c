#include "control/tools/tool_schema.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_BYTES 160
#define EACH_MEMBER(object, name, value)                                                           \
    json_object_foreach((json_t *)(uintptr_t)(object), name, value)

/* Where we are, and what is wrong there. */
struct judge {
    char *error;
    size_t room;
    unsigned steps;
    char place[PLACE_BYTES]; /* "a.b[3]"; "" at the top */
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct judge *judge, const char *format,
                                                        ...)
{
    va_list arguments;
    int head =
        snprintf(judge->error, judge->room, "%s ", judge->place[0] ? judge->place : "The whole");
    if (head < 0 || (size_t)head >= judge->room)
        return false;
    va_start(arguments, format);
    vsnprintf(judge->error + head, judge->room - (size_t)head, format, arguments);
    va_end(arguments);
    return false;
}

/* Goes down one step; returns the length to go back to. */
static size_t enter_member(struct judge *judge, const char *name)
{
    size_t bytes = strlen(judge->place);
    snprintf(judge->place + bytes, sizeof judge->place - bytes, "%s%.60s", bytes ? "." : "", name);
    return bytes;
}

static size_t enter_item(struct judge *judge, size_t index)
{
    size_t bytes = strlen(judge->place);
    snprintf(judge->place + bytes, sizeof judge->place - bytes, "[%zu]", index);
    return bytes;
}

static void leave(struct judge *judge, size_t bytes)
{
    judge->place[bytes] = '\0';
}

/* ---- types ---- */

static bool is_type(const char *name)
{
    static const char *const types[] = {"object",  "array",   "string", "number",
                                        "integer", "boolean", "null"};
    for (size_t i = 0; name && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(name, types[i]) == 0)
            return true;
    return false;
}

static bool is_whole(const json_t *value)
{
    return json_is_integer(value) ||
           (json_is_real(value) && floor(json_real_value(value)) == json_real_value(value));
}

static bool has_type(const json_t *value, const char *type)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return strcmp(type, "object") == 0;
    case JSON_ARRAY:
        return strcmp(type, "array") == 0;
    case JSON_STRING:
        return strcmp(type, "string") == 0;
    case JSON_INTEGER:
    case JSON_REAL:
        return strcmp(type, "number") == 0 || (strcmp(type, "integer") == 0 && is_whole(value));
    case JSON_TRUE:
    case JSON_FALSE:
        return strcmp(type, "boolean") == 0;
    case JSON_NULL:
        return strcmp(type, "null") == 0;
    }
    return false;
}

static bool has_some_type(const json_t *value, const json_t *type)
{
    if (json_is_string(type))
        return has_type(value, json_string_value(type));
    for (size_t i = 0; i < json_array_size(type); i++)
        if (has_type(value, json_string_value(json_array_get(type, i))))
            return true;
    return false;
}

/* ---- the schema itself ---- */

static bool check(struct judge *judge, const json_t *schema, unsigned depth);

static bool check_type(struct judge *judge, const json_t *type)
{
    if (!type || is_type(json_string_value(type)))
        return true;
    if (json_array_size(type) == 0)
        return wrong(judge, "has a type that is none");
    for (size_t i = 0; i < json_array_size(type); i++)
        if (!is_type(json_string_value(json_array_get(type, i))))
            return wrong(judge, "has a type that is none");
    return true;
}

static bool check_numbers(struct judge *judge, const json_t *schema)
{
    static const char *const counts[] = {"minLength", "maxLength", "minItems", "maxItems"};
    static const char *const limits[] = {"minimum", "maximum", "exclusiveMinimum",
                                         "exclusiveMaximum"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const json_t *value = json_object_get(schema, counts[i]);
        if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
            return wrong(judge, "has a %s that is no count", counts[i]);
    }
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const json_t *value = json_object_get(schema, limits[i]);
        if (value && !json_is_number(value))
            return wrong(judge, "has a %s that is no number", limits[i]);
    }
    return true;
}

static bool check_required(struct judge *judge, const json_t *schema)
{
    const json_t *required = json_object_get(schema, "required");
    if (required && !json_is_array(required))
        return wrong(judge, "has a required that is no list");
    for (size_t i = 0; i < json_array_size(required); i++)
        if (!json_is_string(json_array_get(required, i)))
            return wrong(judge, "has a required that is no list of names");
    return true;
}

static bool check_properties(struct judge *judge, const json_t *schema, unsigned depth)
{
    const json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *one;
    if (properties && !json_is_object(properties))
        return wrong(judge, "has properties that are no object");
    EACH_MEMBER(properties, name, one)
    {
        size_t back = enter_member(judge, name);
        if (!check(judge, one, depth + 1))
            return false;
        leave(judge, back);
    }
    return true;
}

static bool check_choices(struct judge *judge, const json_t *schema, unsigned depth)
{
    const json_t *choices = json_object_get(schema, "enum");
    const json_t *any = json_object_get(schema, "anyOf");
    if (choices && json_array_size(choices) == 0)
        return wrong(judge, "has an enum that is no list");
    if (any && json_array_size(any) == 0)
        return wrong(judge, "has an anyOf that is no list");
    for (size_t i = 0; i < json_array_size(any); i++)
        if (!check(judge, json_array_get(any, i), depth + 1))
            return false;
    return true;
}

static bool check(struct judge *judge, const json_t *schema, unsigned depth)
{
    static const char *const refused[] = {"pattern",          "$ref", "oneOf", "allOf", "not", "if",
                                          "patternProperties"};
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *items = json_object_get(schema, "items");
    if (!json_is_object(schema))
        return wrong(judge, "is no schema");
    if (depth > TOOL_SCHEMA_DEPTH_MAX)
        return wrong(judge, "is nested too deep");
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (json_object_get(schema, refused[i]))
            return wrong(judge, "uses %s, which is not judged here", refused[i]);
    return check_type(judge, json_object_get(schema, "type")) && check_numbers(judge, schema) &&
           check_required(judge, schema) && check_properties(judge, schema, depth) &&
           check_choices(judge, schema, depth) && (!items || check(judge, items, depth + 1)) &&
           (!more || json_is_boolean(more) || check(judge, more, depth + 1));
}

bool tool_schema_check(const json_t *schema, char *error, size_t room)
{
    struct judge judge = {.error = error, .room = room};
    const char *type = json_string_value(json_object_get(schema, "type"));
    char *text = json_dumps(schema, JSON_COMPACT);
    bool fits = text && strlen(text) <= TOOL_SCHEMA_BYTES_MAX;
    free(text);
    if (!type || strcmp(type, "object") != 0)
        return wrong(&judge, "must be a schema with \"type\":\"object\"");
    if (!fits)
        return wrong(&judge, "is longer than %d bytes", TOOL_SCHEMA_BYTES_MAX);
    return check(&judge, schema, 0);
}

/* ---- arguments ---- */

static bool judge_value(struct judge *judge, const json_t *schema, const json_t *value);

static void describe_type(const json_t *type, char *text, size_t room)
{
    size_t bytes = 0;
    text[0] = '\0';
    if (json_is_string(type))
        snprintf(text, room, "%s", json_string_value(type));
    for (size_t i = 0; i < json_array_size(type) && bytes < room; i++)
        bytes += (size_t)snprintf(text + bytes, room - bytes, "%s%s", i ? " or " : "",
                                  json_string_value(json_array_get(type, i)));
}

static bool judge_type(struct judge *judge, const json_t *schema, const json_t *value)
{
    char words[96];
    const json_t *type = json_object_get(schema, "type");
    if (!type || has_some_type(value, type))
        return true;
    describe_type(type, words, sizeof words);
    return wrong(judge, "must be of type %s", words);
}

static bool judge_enum(struct judge *judge, const json_t *schema, const json_t *value)
{
    const json_t *choices = json_object_get(schema, "enum");
    const json_t *constant = json_object_get(schema, "const");
    if (constant && !json_equal(constant, value))
        return wrong(judge, "must have its one fixed value");
    if (!choices)
        return true;
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (json_equal(json_array_get(choices, i), value))
            return true;
    char *words = json_dumps(choices, JSON_COMPACT);
    wrong(judge, "must be one of %.300s", words ? words : "its choices");
    free(words);
    return false;
}

static double limit_of(const json_t *schema, const char *name, double otherwise)
{
    const json_t *limit = json_object_get(schema, name);
    return limit ? json_number_value(limit) : otherwise;
}

static bool judge_number(struct judge *judge, const json_t *schema, const json_t *value)
{
    double number = json_number_value(value);
    if (number < limit_of(schema, "minimum", -INFINITY))
        return wrong(judge, "must be at least %g", limit_of(schema, "minimum", 0));
    if (number > limit_of(schema, "maximum", INFINITY))
        return wrong(judge, "must be at most %g", limit_of(schema, "maximum", 0));
    if (number <= limit_of(schema, "exclusiveMinimum", -INFINITY))
        return wrong(judge, "must be more than %g", limit_of(schema, "exclusiveMinimum", 0));
    if (number >= limit_of(schema, "exclusiveMaximum", INFINITY))
        return wrong(judge, "must be less than %g", limit_of(schema, "exclusiveMaximum", 0));
    return true;
}

static json_int_t count_characters(const char *text)
{
    json_int_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* How many there may be of something. */
static bool judge_count(struct judge *judge, const json_t *schema, const char *min, const char *max,
                        json_int_t count, const char *what)
{
    const json_t *least = json_object_get(schema, min), *most = json_object_get(schema, max);
    if (least && count < json_integer_value(least))
        return wrong(judge, "must have at least %lld %s", (long long)json_integer_value(least),
                     what);
    if (most && count > json_integer_value(most))
        return wrong(judge, "must have at most %lld %s", (long long)json_integer_value(most), what);
    return true;
}

/* '0' stands for a digit, everything else for itself. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; shape++, text++)
        if (*shape == '0' ? !isdigit((unsigned char)*text) : *text != *shape)
            return false;
    return true;
}

static bool judge_format(struct judge *judge, const json_t *schema, const char *text)
{
    static const struct {
        const char *format, *shape, *example;
    } formats[] = {{"date", "0000-00-00", "2026-11-23"},
                   {"time", "00:00", "09:30"},
                   {"date-time", "0000-00-00T00:00", "2026-11-23T09:30"}};
    const char *format = json_string_value(json_object_get(schema, "format"));
    for (size_t i = 0; format && i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(format, formats[i].format) == 0 && !has_shape(text, formats[i].shape))
            return wrong(judge, "must be written like %s", formats[i].example);
    return true;
}

static bool judge_items(struct judge *judge, const json_t *schema, const json_t *value)
{
    const json_t *items = json_object_get(schema, "items");
    for (size_t i = 0; items && i < json_array_size(value); i++) {
        size_t back = enter_item(judge, i);
        if (!judge_value(judge, items, json_array_get(value, i)))
            return false;
        leave(judge, back);
    }
    return true;
}

static bool judge_member(struct judge *judge, const json_t *schema, const char *name,
                         const json_t *value)
{
    const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    const json_t *more = json_object_get(schema, "additionalProperties");
    const json_t *rule = own ? own : json_is_object(more) ? more : NULL;
    size_t back = enter_member(judge, name);
    if (rule && !judge_value(judge, rule, value))
        return false;
    if (!own && json_is_false(more))
        return wrong(judge, "is not known here");
    leave(judge, back);
    return true;
}

static bool judge_members(struct judge *judge, const json_t *schema, const json_t *value)
{
    const json_t *required = json_object_get(schema, "required");
    const char *name;
    json_t *one;
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *needed = json_string_value(json_array_get(required, i));
        if (json_object_get(value, needed))
            continue;
        enter_member(judge, needed);
        return wrong(judge, "is needed");
    }
    EACH_MEMBER(value, name, one)
    if (!judge_member(judge, schema, name, one))
        return false;
    return true;
}

static bool judge_any(struct judge *judge, const json_t *schema, const json_t *value)
{
    const json_t *any = json_object_get(schema, "anyOf");
    size_t back = strlen(judge->place);
    for (size_t i = 0; i < json_array_size(any); i++) {
        bool fits = judge_value(judge, json_array_get(any, i), value);
        leave(judge, back);
        if (fits)
            return true;
    }
    return !any || wrong(judge, "is none of what it may be");
}

static bool judge_value(struct judge *judge, const json_t *schema, const json_t *value)
{
    if (++judge->steps > TOOL_SCHEMA_STEPS_MAX)
        return wrong(judge, "has too many values");
    if (!judge_type(judge, schema, value) || !judge_enum(judge, schema, value) ||
        !judge_any(judge, schema, value))
        return false;
    if (json_is_number(value))
        return judge_number(judge, schema, value);
    if (json_is_string(value))
        return judge_count(judge, schema, "minLength", "maxLength",
                           count_characters(json_string_value(value)), "characters") &&
               judge_format(judge, schema, json_string_value(value));
    if (json_is_array(value))
        return judge_count(judge, schema, "minItems", "maxItems",
                           (json_int_t)json_array_size(value), "items") &&
               judge_items(judge, schema, value);
    return !json_is_object(value) || judge_members(judge, schema, value);
}

bool tool_schema_judge(const json_t *schema, const json_t *arguments, char *error, size_t room)
{
    struct judge judge = {.error = error, .room = room};
    return judge_value(&judge, schema, arguments);
}
