#include "control/base/csv.h"

#include "common/panic.h"
#include "control/base/utf8.h"

#include <string.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

void csv_open(struct csv *csv, char *text, size_t bytes)
{
    assert(text[bytes] == '\0');
    *csv = (struct csv){.at = text, .end = text + bytes, .comma = ',', .next_line = 1};
    if (bytes >= 3 && memcmp(text, BYTE_ORDER_MARK, 3) == 0)
        csv->at += 3;
    size_t line = strcspn(csv->at, "\r\n"), comma = strcspn(csv->at, ",;");
    if (comma < line)
        csv->comma = csv->at[comma];
}

static enum csv_read refuse(struct csv *csv, const char *error)
{
    csv->error = error;
    csv->at = csv->end;
    return CSV_BAD;
}

/* Over one end of line, if there is one. */
static bool skip_line_end(struct csv *csv)
{
    bool is_end = csv->at < csv->end && (*csv->at == '\n' || *csv->at == '\r');
    if (!is_end)
        return false;
    if (*csv->at == '\r' && csv->at + 1 < csv->end && csv->at[1] == '\n')
        csv->at++;
    csv->at++;
    csv->next_line++;
    return true;
}

/* From behind the opening quote to behind the closing one; what is between moves together. */
static bool read_quoted(struct csv *csv, struct csv_field *field)
{
    char *to = csv->at;
    field->text = to;
    for (; csv->at < csv->end; csv->at++) {
        if (*csv->at == '"' && csv->at[1] != '"') {
            field->bytes = (size_t)(to - field->text);
            csv->at++;
            return true;
        }
        if (*csv->at == '"')
            csv->at++;
        if (*csv->at == '\n')
            csv->next_line++;
        *to++ = *csv->at;
    }
    return false;
}

static void read_plain(struct csv *csv, struct csv_field *field)
{
    field->text = csv->at;
    while (csv->at < csv->end && *csv->at != csv->comma && *csv->at != '\n' && *csv->at != '\r')
        csv->at++;
    field->bytes = (size_t)(csv->at - field->text);
}

static bool at_field_end(const struct csv *csv)
{
    return csv->at == csv->end || *csv->at == csv->comma || *csv->at == '\n' || *csv->at == '\r';
}

static bool is_text(const struct csv_field *field)
{
    struct span rest = span_from(field->text, field->bytes);
    while (rest.bytes > 0) {
        uint32_t character;
        size_t taken = utf8_read(rest, &character);
        if (taken == 0 || character == 0)
            return false;
        rest = span_from(rest.data + taken, rest.bytes - taken);
    }
    return true;
}

/* One field, up to what ends it. NULL, or what is wrong with it. */
static const char *read_field(struct csv *csv, struct csv_field *field)
{
    if (csv->at < csv->end && *csv->at == '"') {
        csv->at++;
        if (!read_quoted(csv, field))
            return "a quote is opened and never closed";
        if (!at_field_end(csv))
            return "something stands behind a closing quote";
    } else {
        read_plain(csv, field);
    }
    if (field->bytes > CSV_FIELD_BYTES_MAX)
        return "a field is longer than 1024 bytes";
    return is_text(field) ? NULL : "a field is not UTF-8 text";
}

/* A field's NUL goes where its comma, its quote or its line's end stood, once that has been read.
 */
static void close_fields(struct csv *csv)
{
    for (int i = 0; i < csv->count; i++)
        csv->fields[i].text[csv->fields[i].bytes] = '\0';
}

enum csv_read csv_next(struct csv *csv)
{
    while (skip_line_end(csv))
        continue;
    if (csv->at == csv->end)
        return csv->error ? CSV_BAD : CSV_END;
    csv->line = csv->next_line;
    csv->count = 0;
    for (bool more = true; more;) {
        if (csv->count == CSV_FIELDS_MAX)
            return refuse(csv, "a line has more than 32 fields");
        const char *error = read_field(csv, &csv->fields[csv->count++]);
        if (error)
            return refuse(csv, error);
        more = csv->at < csv->end && *csv->at == csv->comma;
        csv->at += more ? 1 : 0;
    }
    skip_line_end(csv);
    close_fields(csv);
    return CSV_ROW;
}
