#include "control/outbound/batch_file.h"

#include "control/base/csv.h"
#include "control/outbound/outbound_plan.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define LEAD_BYTES_MAX 200
#define ZONE_BYTES_MAX 64

/* What a column is. */
enum column { COLUMN_VARIABLE, COLUMN_TO, COLUMN_LEAD, COLUMN_ZONE };

struct reading {
    struct csv csv;
    enum column columns[CSV_FIELDS_MAX];
    char names[CSV_FIELDS_MAX][64];
    int count;
    json_t *rows;
    char *error;
    size_t room, used;
    unsigned errors;
};

__attribute__((format(printf, 3, 4))) static void complain(struct reading *reading, unsigned line,
                                                           const char *format, ...)
{
    char sentence[160];
    va_list arguments;
    if (++reading->errors > BATCH_FILE_ERRORS_MAX || reading->used >= reading->room)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    int bytes = snprintf(reading->error + reading->used, reading->room - reading->used,
                         "%sline %u: %s", reading->used ? "; " : "", line, sentence);
    if (bytes > 0)
        reading->used += (size_t)bytes;
}

static enum column column_of(const char *name)
{
    static const char *const numbers[] = {"to", "phone_number", "phone", "number"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcasecmp(name, numbers[i]) == 0)
            return COLUMN_TO;
    if (strcasecmp(name, "lead") == 0)
        return COLUMN_LEAD;
    return strcasecmp(name, "time_zone") == 0 ? COLUMN_ZONE : COLUMN_VARIABLE;
}

/* Each meaning once, each name once; one of them is the number. */
static bool check_columns(struct reading *reading)
{
    bool has_number = false;
    for (int i = 0; i < reading->count; i++) {
        has_number |= reading->columns[i] == COLUMN_TO;
        for (int before = 0; before < i; before++)
            if (strcasecmp(reading->names[i], reading->names[before]) == 0 ||
                (reading->columns[i] == reading->columns[before] &&
                 reading->columns[i] != COLUMN_VARIABLE))
                complain(reading, reading->csv.line, "two columns mean the same: %s and %s",
                         reading->names[before], reading->names[i]);
    }
    if (!has_number)
        complain(reading, reading->csv.line,
                 "no column is called \"to\" (or phone_number, phone, number)");
    return reading->errors == 0;
}

static bool read_columns(struct reading *reading)
{
    struct csv *csv = &reading->csv;
    if (csv_next(csv) != CSV_ROW) {
        complain(reading, csv->line ? csv->line : 1, "%s", csv->error ? csv->error : "it is empty");
        return false;
    }
    reading->count = csv->count;
    for (int i = 0; i < csv->count; i++) {
        char *name = reading->names[i];
        snprintf(name, sizeof reading->names[i], "%.60s", csv->fields[i].text);
        reading->columns[i] = column_of(name);
        if (!outbound_plan_is_name(name))
            complain(reading, csv->line,
                     "column %d: a name has letters, digits and _ only, and is not empty", i + 1);
    }
    return reading->errors == 0 && check_columns(reading);
}

/* One field into its row. */
static void take_field(struct reading *reading, json_t *row, json_t *variables, int column)
{
    const struct csv_field *field = &reading->csv.fields[column];
    char number[17];
    switch (reading->columns[column]) {
    case COLUMN_TO:
        if (!outbound_plan_number(field->text, number))
            complain(reading, reading->csv.line, "not a number with its country, like +15550100");
        else
            json_object_set_new(row, "to", json_string(number));
        break;
    case COLUMN_LEAD:
        if (field->bytes > LEAD_BYTES_MAX)
            complain(reading, reading->csv.line, "lead is longer than %d bytes", LEAD_BYTES_MAX);
        else
            json_object_set_new(row, "lead", json_string(field->text));
        break;
    case COLUMN_ZONE:
        if (field->bytes > ZONE_BYTES_MAX)
            complain(reading, reading->csv.line, "time_zone is not like Europe/Berlin");
        else if (field->bytes > 0)
            json_object_set_new(row, "time_zone", json_string(field->text));
        break;
    case COLUMN_VARIABLE:
        json_object_set_new(variables, reading->names[column], json_string(field->text));
        break;
    }
}

static void take_row(struct reading *reading)
{
    const struct csv *csv = &reading->csv;
    if (csv->count != reading->count) {
        complain(reading, csv->line, "%d fields where the first line has %d", csv->count,
                 reading->count);
        return;
    }
    json_t *row = json_pack("{s:i, s:s}", "line", (int)csv->line, "lead", "");
    json_t *variables = json_object();
    for (int i = 0; row && variables && i < csv->count; i++)
        take_field(reading, row, variables, i);
    json_object_set_new(row, "variables", variables);
    json_array_append_new(reading->rows, row);
}

static void read_rows(struct reading *reading)
{
    enum csv_read read = CSV_ROW;
    while (reading->errors < BATCH_FILE_ERRORS_MAX && (read = csv_next(&reading->csv)) == CSV_ROW) {
        if (json_array_size(reading->rows) == BATCH_FILE_ROWS_MAX) {
            complain(reading, reading->csv.line, "more than %d numbers: make several batches",
                     BATCH_FILE_ROWS_MAX);
            return;
        }
        take_row(reading);
    }
    if (read == CSV_BAD)
        complain(reading, reading->csv.line, "%s", reading->csv.error);
    else if (reading->errors == 0 && json_array_size(reading->rows) == 0)
        complain(reading, 1, "there are no numbers");
}

json_t *batch_file_read(char *text, size_t bytes, char *error, size_t room)
{
    struct reading reading = {.rows = json_array(), .error = error, .room = room};
    error[0] = '\0';
    csv_open(&reading.csv, text, bytes);
    if (!reading.rows)
        snprintf(error, room, "there is no memory");
    else if (bytes > BATCH_FILE_BYTES_MAX)
        complain(&reading, 1, "the file is longer than 32 MiB");
    else if (read_columns(&reading))
        read_rows(&reading);
    if (reading.rows && reading.errors == 0)
        return reading.rows;
    json_decref(reading.rows);
    return NULL;
}
