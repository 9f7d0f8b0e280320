#include "edge/wire/arguments.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S     10
#define TIMEOUT_S_MAX 60

struct json_t *arguments_text(struct span raw)
{
    char *quoted = malloc(raw.bytes + 2);
    if (!quoted)
        return NULL;
    quoted[0] = '"';
    if (raw.bytes)
        memcpy(quoted + 1, raw.data, raw.bytes);
    quoted[raw.bytes + 1] = '"';
    json_t *text = json_loadb(quoted, raw.bytes + 2, JSON_DECODE_ANY, NULL);
    free(quoted);
    return text;
}

static unsigned within(const json_t *object, const char *name, unsigned otherwise, unsigned max)
{
    const json_t *value = json_object_get(object, name);
    double number = json_number_value(value); /* 4.0 is a 4 as well */
    if (!json_is_number(value))
        return otherwise;
    return number < 1 ? 1 : number > max ? max : (unsigned)number;
}

bool arguments_read_digits(struct span raw, struct arguments_digits *digits)
{
    json_t *text = arguments_text(raw);
    json_t *object = json_is_string(text)
                         ? json_loadb(json_string_value(text), json_string_length(text), 0, NULL)
                         : NULL;
    const char *key = json_string_value(json_object_get(object, "finish_on_key"));
    digits->digits_max = within(object, "digits_max", ARGUMENTS_DIGITS_MAX, ARGUMENTS_DIGITS_MAX);
    digits->timeout_s = within(object, "timeout_s", TIMEOUT_S, TIMEOUT_S_MAX);
    digits->finish_on_key = '#';
    if (key && (!key[0] || (strchr("0123456789*#", key[0]) && !key[1])))
        digits->finish_on_key = key[0];
    bool good = json_is_object(object);
    json_decref(object);
    json_decref(text);
    return good;
}
