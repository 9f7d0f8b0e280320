/* form: any bytes as a body. What was read, written again in full escapes, must read the same. */
#include "common/panic.h"
#include "control/base/form.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static size_t escape(struct span span, char *out)
{
    for (size_t i = 0; i < span.bytes; i++)
        snprintf(out + 3 * i, 4, "%%%02x", span.data[i]);
    return 3 * span.bytes;
}

static void expect_same(const struct form *form)
{
    static char text[4 * FORM_BYTES_MAX + 4 * FORM_FIELDS_MAX];
    size_t written = 0;
    for (size_t i = 0; i < form->count; i++) {
        written += escape(form->fields[i].name, text + written);
        text[written++] = '=';
        written += escape(form->fields[i].value, text + written);
        text[written++] = '&';
    }
    if (written > FORM_BYTES_MAX)
        return;
    struct form again;
    enum fault fault = form_read(span_from(text, written), &again);
    assert(fault == FAULT_NONE && again.count == form->count);
    for (size_t i = 0; i < form->count; i++) {
        assert(span_equal(form->fields[i].name, again.fields[i].name));
        assert(span_equal(form->fields[i].value, again.fields[i].value));
    }
    form_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct form form;
    uint8_t *exact = malloc(bytes ? bytes : 1); /* the sanitizer sees one byte too far */
    assert(exact);
    if (bytes)
        memcpy(exact, data, bytes);
    if (form_read(span_from(exact, bytes), &form) == FAULT_NONE) {
        assert(form.count <= FORM_FIELDS_MAX);
        expect_same(&form);
    } else {
        assert(form.count == 0 && !form.bytes);
    }
    form_free(&form);
    free(exact);
    return 0;
}
