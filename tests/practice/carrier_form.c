#include "tests/practice/carrier_form.h"

#include "common/panic.h"

#include <stdio.h>
#include <string.h>

void carrier_form_begin(struct carrier_form *form)
{
    form->count = 0;
    form->used = 0;
}

static const char *keep(struct carrier_form *form, const char *text)
{
    size_t bytes = strlen(text) + 1;
    assert(form->used + bytes <= sizeof form->bytes);
    char *kept = form->bytes + form->used;
    memcpy(kept, text, bytes);
    form->used += bytes;
    return kept;
}

void carrier_form_add(struct carrier_form *form, const char *name, const char *value)
{
    assert(form->count < CARRIER_FORM_FIELDS_MAX);
    form->fields[form->count].name = keep(form, name);
    form->fields[form->count].value = keep(form, value ? value : "");
    form->count++;
}

void carrier_form_add_number(struct carrier_form *form, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    carrier_form_add(form, name, digits);
}

void carrier_form_copy(struct carrier_form *to, const struct carrier_form *from)
{
    carrier_form_begin(to);
    for (size_t i = 0; i < from->count; i++)
        carrier_form_add(to, from->fields[i].name, from->fields[i].value);
}

static size_t escape(const char *from, char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._*";
    static const char hex[] = "0123456789ABCDEF";
    size_t used = 0;
    for (; *from; from++) {
        unsigned char byte = (unsigned char)*from;
        if (byte == ' ') {
            text[used++] = '+';
        } else if (strchr(plain, byte)) {
            text[used++] = (char)byte;
        } else {
            text[used++] = '%';
            text[used++] = hex[byte >> 4];
            text[used++] = hex[byte & 15];
        }
    }
    return used;
}

size_t carrier_form_write(const struct carrier_form *form, char *text, size_t room)
{
    assert(room >= 3 * CARRIER_FORM_BYTES_MAX);
    size_t used = 0;
    for (size_t i = 0; i < form->count; i++) {
        if (i)
            text[used++] = '&';
        used += escape(form->fields[i].name, text + used);
        text[used++] = '=';
        used += escape(form->fields[i].value, text + used);
    }
    text[used] = '\0';
    assert(used < room);
    return used;
}
