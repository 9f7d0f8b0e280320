/* Whatever somebody has for a table: each row is read once, fields lie in the text, hold no NUL and
 * are UTF-8 within their bound; and a file of numbers is taken whole or not at all. */
#include "common/panic.h"
#include "control/base/csv.h"
#include "control/base/utf8.h"
#include "control/outbound/batch_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char *copy(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    assert(text);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    return text;
}

static void check_field(const struct csv_field *field, const char *text, size_t bytes)
{
    struct span rest = span_from(field->text, field->bytes);
    assert(field->text >= text && field->text + field->bytes <= text + bytes);
    assert(field->bytes <= CSV_FIELD_BYTES_MAX && strlen(field->text) == field->bytes);
    while (rest.bytes > 0) {
        uint32_t character;
        size_t taken = utf8_read(rest, &character);
        assert(taken > 0);
        rest = span_from(rest.data + taken, rest.bytes - taken);
    }
}

static void read_rows(const uint8_t *data, size_t bytes)
{
    static struct csv csv;
    char *text = copy(data, bytes);
    unsigned line = 0;
    enum csv_read read;
    csv_open(&csv, text, bytes);
    while ((read = csv_next(&csv)) == CSV_ROW) {
        assert(csv.count >= 1 && csv.count <= CSV_FIELDS_MAX);
        assert(csv.line > line);
        line = csv.line;
        for (int i = 0; i < csv.count; i++)
            check_field(&csv.fields[i], text, bytes);
    }
    assert((read == CSV_BAD) == (csv.error != NULL));
    assert(csv_next(&csv) == read);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char error[1024];
    read_rows(data, bytes);
    char *text = copy(data, bytes);
    json_t *rows = batch_file_read(text, bytes, error, sizeof error);
    assert((rows == NULL) == (error[0] != '\0'));
    for (size_t i = 0; i < json_array_size(rows); i++)
        assert(json_string_length(json_object_get(json_array_get(rows, i), "to")) >= 8);
    json_decref(rows);
    free(text);
    return 0;
}
