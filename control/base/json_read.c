#include "control/base/json_read.h"

#include <malloc.h>
#include <stdlib.h>

static void wipe_and_free(void *block)
{
    if (block)
        explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

void json_read_open(void)
{
    json_set_alloc_funcs(malloc, wipe_and_free);
}

/* Brackets outside of strings. Wrong JSON may be miscounted; the parser refuses it anyway. */
static bool too_deep(struct span text)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t byte = text.data[i];
        if (in_string && byte == '\\')
            i++;
        else if (byte == '"')
            in_string = !in_string;
        else if (!in_string && (byte == '{' || byte == '[') && ++depth > JSON_READ_DEPTH_MAX)
            return true;
        else if (!in_string && (byte == '}' || byte == ']') && depth > 0)
            depth--;
    }
    return false;
}

json_t *json_read_object(struct span text)
{
    json_error_t error;
    if (text.bytes == 0 || too_deep(text))
        return NULL;
    json_t *object =
        json_loadb((const char *)text.data, text.bytes, JSON_REJECT_DUPLICATES, &error);
    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

const char *json_read_text(const json_t *object, const char *name, size_t bytes_max)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_string(value) || json_string_length(value) > bytes_max)
        return NULL;
    return json_string_value(value);
}

bool json_read_integer(const json_t *object, const char *name, int64_t min, int64_t max,
                       int64_t *value)
{
    const json_t *member = json_object_get(object, name);
    if (!json_is_integer(member))
        return false;
    *value = json_integer_value(member);
    return *value >= min && *value <= max;
}
