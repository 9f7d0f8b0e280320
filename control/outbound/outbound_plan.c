#include "control/outbound/outbound_plan.h"

#include "control/base/json_read.h"
#include "control/carrier/steps.h"

#include <stdarg.h>
#include <string.h>

static const char *const common[] = {"step",    "twiml",  "instructions",      "greeting",
                                     "record",  "ring_s", "machine_detection", "on_machine",
                                     "limit_s", NULL};

static bool is_among(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

__attribute__((format(printf, 3, 4))) static bool refuse(char *error, size_t room,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, room, format, arguments);
    va_end(arguments);
    return false;
}

static bool check_names(const json_t *asked, const char *const *others, char *error, size_t room)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)asked, name, value)
    {
        if (!is_among(name, common) && !is_among(name, others))
            return refuse(error, room, "\"%.60s\" is nothing that is known here", name);
    }
    return true;
}

static bool check_text(const json_t *asked, const char *name, size_t bytes_max, char *error,
                       size_t room)
{
    const json_t *value = json_object_get(asked, name);
    if (!value || json_read_text(asked, name, bytes_max))
        return true;
    return refuse(error, room, "\"%s\" is a text of at most %zu bytes", name, bytes_max);
}

static bool check_word(const json_t *asked, const char *name, const char *const *words,
                       const char *sentence, char *error, size_t room)
{
    const json_t *value = json_object_get(asked, name);
    if (!value || (json_is_string(value) && is_among(json_string_value(value), words)))
        return true;
    return refuse(error, room, "\"%s\" is %s", name, sentence);
}

static bool check_number(const json_t *asked, const char *name, int64_t min, int64_t max,
                         char *error, size_t room)
{
    int64_t number;
    if (!json_object_get(asked, name) || json_read_integer(asked, name, min, max, &number))
        return true;
    return refuse(error, room, "\"%s\" is a whole number from %lld to %lld", name, (long long)min,
                  (long long)max);
}

/* That it is TwiML is the carrier's to judge; that it is text of that kind is ours. */
static bool check_twiml(const json_t *asked, char *error, size_t room)
{
    const char *twiml = json_string_value(json_object_get(asked, "twiml"));
    if (!check_text(asked, "twiml", OUTBOUND_PLAN_TWIML_MAX, error, room))
        return false;
    if (!twiml)
        return true;
    if (json_object_get(asked, "step"))
        return refuse(error, room, "\"step\" or \"twiml\", not both");
    if (strncmp(twiml, "<?xml", 5) != 0 && strncmp(twiml, "<Response", 9) != 0)
        return refuse(error, room, "\"twiml\" begins with <Response> (or <?xml ..>)");
    return true;
}

static bool check_step(const json_t *asked, char *error, size_t room)
{
    const json_t *step = json_object_get(asked, "step");
    if (!step)
        return true;
    if (!steps_check(step, error, room))
        return false;
    if (strcmp(steps_kind(step), "reject") == 0)
        return refuse(error, room, "a call that we make cannot be rejected by us");
    return true;
}

static bool check(const json_t *asked, const char *const *others, char *error, size_t room)
{
    static const char *const detections[] = {"off", "detect", "message_end", NULL};
    static const char *const manners[] = {"go_on", "hangup", NULL};
    const json_t *record = json_object_get(asked, "record");
    if (!json_is_object(asked))
        return refuse(error, room, "what is wanted is not a JSON object");
    if (record && !json_is_boolean(record))
        return refuse(error, room, "\"record\" is true or false");
    return check_names(asked, others, error, room) && check_step(asked, error, room) &&
           check_twiml(asked, error, room) &&
           check_text(asked, "instructions", OUTBOUND_PLAN_TEXT_MAX, error, room) &&
           check_text(asked, "greeting", 4096, error, room) &&
           check_word(asked, "machine_detection", detections, "off, detect or message_end", error,
                      room) &&
           check_word(asked, "on_machine", manners, "go_on or hangup", error, room) &&
           check_number(asked, "ring_s", 5, 600, error, room) &&
           check_number(asked, "limit_s", 10, 86400, error, room);
}

json_t *outbound_plan_read(const json_t *asked, const char *const *others, char *error, size_t room)
{
    if (!check(asked, others, error, room))
        return NULL;
    json_t *plan = json_object();
    for (const char *const *name = common; plan && *name; name++) {
        json_t *value = json_object_get(asked, *name);
        if (value)
            json_object_set(plan, *name, value);
    }
    if (!plan)
        refuse(error, room, "there is no memory");
    return plan;
}

bool outbound_plan_is_name(const char *text)
{
    size_t bytes = strlen(text);
    return bytes > 0 && bytes <= 40 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == bytes;
}

bool outbound_plan_variables(const json_t *variables, char *error, size_t room)
{
    const char *name;
    json_t *value;
    if (!json_is_object(variables) || json_object_size(variables) > OUTBOUND_PLAN_VARIABLES_MAX)
        return refuse(error, room, "\"variables\" is an object of at most %d texts",
                      OUTBOUND_PLAN_VARIABLES_MAX);
    json_object_foreach((json_t *)(uintptr_t)variables, name, value)
    {
        if (!outbound_plan_is_name(name))
            return refuse(error, room, "a variable's name has letters, digits and _ only");
        if (!json_is_string(value) || json_string_length(value) > OUTBOUND_PLAN_VALUE_MAX)
            return refuse(error, room, "variable %s is not a text of at most %d bytes", name,
                          OUTBOUND_PLAN_VALUE_MAX);
    }
    return true;
}

bool outbound_plan_number(const char *text, char number[17])
{
    size_t digits = 0;
    while (*text == ' ')
        text++;
    if (*text++ != '+')
        return false;
    number[0] = '+';
    for (; *text; text++) {
        if (strchr(" .-/()", *text))
            continue;
        if (*text < '0' || *text > '9' || digits == 15 || (digits == 0 && *text == '0'))
            return false;
        number[++digits] = *text;
    }
    number[digits + 1] = '\0';
    return digits >= 7;
}
