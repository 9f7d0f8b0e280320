/* steps_inner: what reading a step is made of, for steps.c and steps_check.c alone. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_STEPS_INNER_H
#define RINGBRIDGE_CONTROL_CARRIER_STEPS_INNER_H

#include "control/carrier/steps.h"

#include <string.h>

/* The member's text; "" where there is none. */
static inline const char *steps_text_of(const json_t *step, const char *name)
{
    const char *text = json_string_value(json_object_get(step, name));
    return text ? text : "";
}

/* E.164? */
static inline bool steps_is_number(const char *text)
{
    size_t digits = text[0] == '+' ? strspn(text + 1, "0123456789") : 0;
    return digits >= 2 && digits <= 15 && text[1] != '0' && text[1 + digits] == '\0';
}

/* One key of a telephone? */
static inline bool steps_is_key(const char *text)
{
    return text[0] && strchr("0123456789*#", text[0]) && text[1] == '\0';
}

#endif
