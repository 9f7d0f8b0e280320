#include "control/base/form.h"

#include "common/panic.h"

#include <stdlib.h>

static int hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

/* Decodes one name or value to *write and moves it on. The decoded text is never longer than the
 * encoded one, so a buffer of the body's length has room for all of them. */
static enum fault decode(struct span encoded, size_t bytes_max, uint8_t **write,
                         struct span *decoded)
{
    uint8_t *start = *write, *at = *write;
    for (size_t i = 0; i < encoded.bytes; i++) {
        uint8_t byte = encoded.data[i];
        if ((size_t)(at - start) == bytes_max)
            return FAULT_form_too_large;
        if (byte == '%') {
            if (encoded.bytes - i < 3)
                return FAULT_form_malformed;
            int high = hex_value(encoded.data[i + 1]), low = hex_value(encoded.data[i + 2]);
            if (high < 0 || low < 0)
                return FAULT_form_malformed;
            byte = (uint8_t)(high * 16 + low);
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        *at++ = byte;
    }
    *decoded = span_from(start, (size_t)(at - start));
    *write = at;
    return FAULT_NONE;
}

static enum fault add_pair(struct form *form, struct span pair, uint8_t **write)
{
    if (pair.bytes == 0)
        return FAULT_NONE;
    if (form->count == FORM_FIELDS_MAX)
        return FAULT_form_too_large;
    const uint8_t *equals = memchr(pair.data, '=', pair.bytes);
    size_t name_bytes = equals ? (size_t)(equals - pair.data) : pair.bytes;
    struct span name = span_from(pair.data, name_bytes);
    struct span value = span_from(pair.data + name_bytes, 0);
    if (equals)
        value = span_from(equals + 1, pair.bytes - name_bytes - 1);
    struct form_field *field = &form->fields[form->count];
    enum fault fault = decode(name, FORM_NAME_BYTES_MAX, write, &field->name);
    if (fault == FAULT_NONE)
        fault = decode(value, FORM_VALUE_BYTES_MAX, write, &field->value);
    if (fault == FAULT_NONE)
        form->count++;
    return fault;
}

static enum fault read_pairs(struct form *form, struct span body)
{
    uint8_t *write = form->bytes;
    while (body.bytes) {
        const uint8_t *ampersand = memchr(body.data, '&', body.bytes);
        size_t pair_bytes = ampersand ? (size_t)(ampersand - body.data) : body.bytes;
        enum fault fault = add_pair(form, span_from(body.data, pair_bytes), &write);
        if (fault != FAULT_NONE)
            return fault;
        size_t used = pair_bytes + (ampersand ? 1 : 0);
        body = span_from(body.data + used, body.bytes - used);
    }
    return FAULT_NONE;
}

enum fault form_read(struct span body, struct form *form)
{
    form->count = 0;
    form->bytes = NULL;
    if (body.bytes > FORM_BYTES_MAX)
        return FAULT_form_too_large;
    form->bytes = malloc(body.bytes + 1);
    if (!form->bytes)
        return FAULT_internal;
    enum fault fault = read_pairs(form, body);
    if (fault != FAULT_NONE)
        form_free(form);
    return fault;
}

void form_free(struct form *form)
{
    free(form->bytes);
    form->bytes = NULL;
    form->count = 0;
}

struct span form_value(const struct form *form, const char *name)
{
    assert(form->count <= FORM_FIELDS_MAX);
    for (size_t i = 0; i < form->count; i++)
        if (span_is(form->fields[i].name, name))
            return form->fields[i].value;
    return (struct span){NULL, 0};
}

bool form_text(const struct form *form, const char *name, char *text, size_t room)
{
    assert(room > 0);
    text[0] = '\0';
    struct span value = form_value(form, name);
    return value.data && span_copy_text(value, text, room);
}
