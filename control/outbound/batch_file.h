/* batch_file: a CSV of numbers, as a batch takes them.
 *
 * The first line names the columns. One is the number to be called: "to", "phone_number", "phone"
 * or "number", in E.164 (blanks and dashes are fine, the country is not guessed). "lead" and
 * "time_zone" (Europe/Berlin) are understood; every other column is a variable under its name.
 * A number that comes twice is called once: the first line counts.
 *
 * What is wrong is told by line, up to BATCH_FILE_ERRORS_MAX of them, and nothing is taken then:
 * half a list is harder to mend than none.
 *
 * Owner: rows belong to the caller (json_decref). Thread: any. Bounds: BATCH_FILE_BYTES_MAX,
 * BATCH_FILE_ROWS_MAX. */
#ifndef RINGBRIDGE_CONTROL_OUTBOUND_BATCH_FILE_H
#define RINGBRIDGE_CONTROL_OUTBOUND_BATCH_FILE_H

#include <jansson.h>

#define BATCH_FILE_BYTES_MAX  (32 * 1024 * 1024)
#define BATCH_FILE_ROWS_MAX   100000
#define BATCH_FILE_ERRORS_MAX 10

/* Reads text[bytes], which is written to and ends with a NUL. The rows:
 * [{"line":2,"to":"+1..","lead":"","time_zone":null,"variables":{..}},..]. NULL with sentences in
 * error. */
json_t *batch_file_read(char *text, size_t bytes, char *error, size_t room);

#endif
