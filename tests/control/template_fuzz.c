/* Templates are ours and fields are not; both are thrown at the writer. What it writes as HTML
 * holds no markup but the template's, and as one line no newline. And whatever an AI may answer is
 * read or refused. */
#include "control/base/summary.h"
#include "control/base/template.h"

#include "common/panic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void write_both(const char *text, const json_t *fields)
{
    char *out = NULL;
    size_t bytes;
    FILE *file = open_memstream(&out, &bytes);
    bool right = template_write(file, text, fields, TEMPLATE_HTML);
    fclose(file);
    assert(!right || strpbrk(text, "<>\"'") || !strpbrk(out, "<>\"'"));
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char error[256];
    bool again;
    const uint8_t *zero = memchr(data, 0, bytes);
    json_decref(summary_read(span_from(data, bytes), &again, error, sizeof error));
    if (!zero || bytes > 4096)
        return 0;
    json_t *fields = json_loadb((const char *)zero + 1, bytes - (size_t)(zero + 1 - data), 0, NULL);
    if (json_is_object(fields))
        write_both((const char *)data, fields);
    json_decref(fields);
    return 0;
}
