/* csv: a table as people export it, row by row, from memory.
 *
 * What it is: RFC 4180, as spreadsheets write it: fields with , or ; between them (whichever stands
 * first in the first line), quotes around what holds either, "" for a quote, CR LF or LF, a byte
 * order mark passed over. What it is not: a judge of what the fields mean. Bytes must be UTF-8
 * without NUL; an empty line is no row.
 *
 * Owner: the text is the caller's and is written to (fields are unquoted where they stand); fields
 * live as long as it does. Thread: one at a time. Bounds: CSV_FIELDS_MAX, CSV_FIELD_BYTES_MAX; the
 * text's length is the caller's to bound. */
#ifndef RINGBRIDGE_CONTROL_BASE_CSV_H
#define RINGBRIDGE_CONTROL_BASE_CSV_H

#include <stdbool.h>
#include <stddef.h>

#define CSV_FIELDS_MAX      32
#define CSV_FIELD_BYTES_MAX 1024

struct csv_field {
    char *text; /* NUL-terminated */
    size_t bytes;
};

struct csv {
    char *at, *end; /* private */
    char comma;
    unsigned next_line;
    /* of the row that was read */
    unsigned line; /* on which it began, from 1 */
    struct csv_field fields[CSV_FIELDS_MAX];
    int count;
    const char *error; /* a sentence, for CSV_BAD */
};

enum csv_read { CSV_ROW, CSV_END, CSV_BAD };

/* text[bytes] must be a NUL. */
void csv_open(struct csv *csv, char *text, size_t bytes);

/* The next row. After CSV_BAD, which names its line, nothing more can be read. */
enum csv_read csv_next(struct csv *csv);

#endif
