/* form: application/x-www-form-urlencoded, read strictly.
 *
 * What it is: a body in, name and value pairs out, in the order they came, '+' and %XX decoded and
 * nothing else touched: blanks stay, empty values stay, bytes need not be UTF-8, because the
 * carrier signs them as they are. What it is not: a judgement of any field.
 * Owner: the form owns its bytes until form_free; spans point into them. Thread: any.
 * Bounds: FORM_*; each checked before anything is written. Source: URL Standard, section 5. */
#ifndef RINGBRIDGE_CONTROL_BASE_FORM_H
#define RINGBRIDGE_CONTROL_BASE_FORM_H

#include "common/fault.h"
#include "common/span.h"

#define FORM_BYTES_MAX       65536 /* of the body as it came */
#define FORM_FIELDS_MAX      256
#define FORM_NAME_BYTES_MAX  128 /* decoded */
#define FORM_VALUE_BYTES_MAX 16384

struct form_field {
    struct span name, value;
};

struct form {
    size_t count;
    struct form_field fields[FORM_FIELDS_MAX];
    uint8_t *bytes; /* private: what the spans point into */
};

/* Reads a body. FAULT_NONE, or FAULT_form_malformed (a % without two hex digits),
 * FAULT_form_too_large (a bound), FAULT_internal (no memory). After a fault the form is empty and
 * holds nothing. Pairs that are empty altogether ("a=1&&b=2") are no fields. */
enum fault form_read(struct span body, struct form *form);

void form_free(struct form *form);

/* Value of the first field of that name, exactly as spelt; data is NULL when there is none. */
struct span form_value(const struct form *form, const char *name);

/* The same as text in room bytes with its NUL. False (and "") when it is absent, too long or holds
 * a NUL byte. */
bool form_text(const struct form *form, const char *name, char *text, size_t room);

#endif
