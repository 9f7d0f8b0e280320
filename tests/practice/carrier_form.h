/* carrier_form: the parameters of one webhook, and how Twilio writes them.
 *
 * What it is: an ordered list of names and values, and its application/x-www-form-urlencoded text.
 * What it is not: a reader of forms. Owner: everything is copied into the struct. Thread: any.
 * Bounds: the constants; passing them is a bug of the test, so it is asserted. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_FORM_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_FORM_H

#include <stddef.h>
#include <stdint.h>

#define CARRIER_FORM_FIELDS_MAX 64
#define CARRIER_FORM_BYTES_MAX  8192

struct carrier_form {
    struct carrier_field {
        const char *name, *value; /* into bytes */
    } fields[CARRIER_FORM_FIELDS_MAX];
    size_t count;
    char bytes[CARRIER_FORM_BYTES_MAX];
    size_t used;
};

void carrier_form_begin(struct carrier_form *form);

/* Appends a pair. A NULL value is written as Twilio writes what it does not know: empty. */
void carrier_form_add(struct carrier_form *form, const char *name, const char *value);
void carrier_form_add_number(struct carrier_form *form, const char *name, uint64_t value);

void carrier_form_copy(struct carrier_form *to, const struct carrier_form *from);

/* The body: + for a blank, %XX in upper case for all but letters, digits and -._* . Returns its
 * length without the NUL; room must be at least 3 * CARRIER_FORM_BYTES_MAX. */
size_t carrier_form_write(const struct carrier_form *form, char *text, size_t room);

#endif
