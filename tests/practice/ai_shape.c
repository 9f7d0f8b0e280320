#include "tests/practice/ai_shape.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 192

bool ai_shape_complain(struct ai_complaint *complaint, const char *code, const char *param,
                       const char *format, ...)
{
    complaint->type = NULL;
    complaint->code = code;
    snprintf(complaint->param, sizeof complaint->param, "%s", param);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->message, sizeof complaint->message, format, arguments);
    va_end(arguments);
    return false;
}

static void join(char path[PATH_BYTES], const char *base, const char *name)
{
    snprintf(path, PATH_BYTES, "%s%s%s", base, *base ? "." : "", name);
}

bool ai_shape_missing(struct ai_complaint *complaint, const char *path, const char *name)
{
    char whole[PATH_BYTES];
    join(whole, path, name);
    return ai_shape_complain(complaint, "missing_required_parameter", whole,
                             "Missing required parameter: '%s'.", whole);
}

bool ai_shape_not_a_word(struct ai_complaint *complaint, const char *path, const char *word,
                         const char *const *words)
{
    char list[400] = "";
    for (size_t i = 0, bytes = 0; words[i] && bytes < sizeof list; i++)
        bytes +=
            (size_t)snprintf(list + bytes, sizeof list - bytes, "%s'%s'", i ? ", " : "", words[i]);
    return ai_shape_complain(complaint, "invalid_value", path,
                             "Invalid value: '%.60s'. Supported values are: %s.", word, list);
}

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a decimal";
    case JSON_NULL:
        return "null";
    case JSON_TRUE:
    case JSON_FALSE:
    default:
        return "a boolean";
    }
}

static bool right_kind(enum ai_kind kind, const json_t *value)
{
    switch (kind) {
    case AI_TEXT:
        return json_is_string(value);
    case AI_INTEGER:
        return json_is_integer(value);
    case AI_NUMBER:
        return json_is_number(value);
    case AI_FLAG:
        return json_is_boolean(value);
    case AI_OBJECT:
        return json_is_object(value);
    case AI_LIST:
        return json_is_array(value);
    case AI_ANY:
    default:
        return true;
    }
}

static const char *const wanted_kind[] = {"a string",  "an integer", "a number", "a boolean",
                                          "an object", "an array",   "anything"};

static bool in_range(const struct ai_shape *shape, const json_t *value, const char *path,
                     struct ai_complaint *complaint)
{
    if (shape->min == 0 && shape->max == 0)
        return true;
    double measure = json_is_string(value)  ? (double)json_string_length(value)
                     : json_is_array(value) ? (double)json_array_size(value)
                                            : json_number_value(value);
    if (measure < shape->min)
        return ai_shape_complain(complaint, "integer_below_min_value", path,
                                 "Invalid '%s': expected at least %g, but got %g.", path,
                                 shape->min, measure);
    if (measure > shape->max)
        return ai_shape_complain(
            complaint,
            json_is_string(value) ? "string_above_max_length" : "integer_above_max_value", path,
            "Invalid '%s': expected at most %g, but got %g.", path, shape->max, measure);
    return true;
}

static bool one_of(const struct ai_shape *shape, const json_t *value, const char *path,
                   struct ai_complaint *complaint)
{
    if (!shape->words || !json_is_string(value))
        return true;
    for (size_t i = 0; shape->words[i]; i++)
        if (strcmp(shape->words[i], json_string_value(value)) == 0)
            return true;
    return ai_shape_not_a_word(complaint, path, json_string_value(value), shape->words);
}

static bool fits(const struct ai_shape *shape, json_t *value, const char *path,
                 struct ai_complaint *complaint)
{
    if (json_is_null(value) && shape->nullable)
        return true;
    if (!right_kind(shape->kind, value))
        return ai_shape_complain(complaint, "invalid_type", path,
                                 "Invalid type for '%s': expected %s, but got %s instead.", path,
                                 wanted_kind[shape->kind], kind_of(value));
    if (!in_range(shape, value, path, complaint) || !one_of(shape, value, path, complaint))
        return false;
    if (shape->kind == AI_OBJECT && shape->members &&
        !ai_shape_members(shape->members, value, path, complaint))
        return false;
    if (shape->kind == AI_LIST && shape->members) {
        size_t i;
        json_t *entry;
        json_array_foreach(value, i, entry)
        {
            char place[PATH_BYTES];
            snprintf(place, sizeof place, "%.*s[%zu]", (int)(sizeof place - 24), path, i);
            if (!fits(shape->members, entry, place, complaint))
                return false;
        }
    }
    return !shape->judge || shape->judge(value, path, complaint);
}

bool ai_shape_members(const struct ai_shape *table, json_t *object, const char *path,
                      struct ai_complaint *complaint)
{
    const char *name;
    json_t *value;
    char whole[PATH_BYTES];
    for (size_t i = 0; table[i].name; i++)
        if (table[i].required && !json_object_get(object, table[i].name))
            return ai_shape_missing(complaint, path, table[i].name);
    json_object_foreach(object, name, value)
    {
        join(whole, path, name);
        size_t i = 0;
        while (table[i].name && strcmp(table[i].name, name) != 0)
            i++;
        if (!table[i].name)
            return ai_shape_complain(complaint, "unknown_parameter", whole,
                                     "Unknown parameter: '%s'.", whole);
        if (!fits(&table[i], value, whole, complaint))
            return false;
    }
    return true;
}
