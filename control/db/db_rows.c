#include "common/panic.h"
#include "control/db/db_inner.h"

#include <stdlib.h>

int db_rows_count(const struct db_rows *rows)
{
    return PQntuples(rows->result);
}

const char *db_cell(const struct db_rows *rows, int row, int column)
{
    assert(row < PQntuples(rows->result) && column < PQnfields(rows->result));
    return PQgetisnull(rows->result, row, column) ? NULL : PQgetvalue(rows->result, row, column);
}

int64_t db_cell_number(const struct db_rows *rows, int row, int column)
{
    const char *text = db_cell(rows, row, column);
    return text ? strtoll(text, NULL, 10) : -1;
}

bool db_cell_bool(const struct db_rows *rows, int row, int column)
{
    const char *text = db_cell(rows, row, column);
    return text && text[0] == 't';
}

uint8_t *db_cell_bytes(const struct db_rows *rows, int row, int column, size_t *bytes)
{
    const char *text = db_cell(rows, row, column);
    *bytes = 0;
    if (!text)
        return NULL;
    unsigned char *decoded = PQunescapeBytea((const unsigned char *)text, bytes);
    uint8_t *copy = malloc(*bytes + 1); /* libpq's memory wants libpq's free */
    assert(decoded && copy);
    memcpy(copy, decoded, *bytes);
    PQfreemem(decoded);
    return copy;
}

void db_rows_free(struct db_rows *rows)
{
    if (!rows)
        return;
    PQclear(rows->result);
    free(rows);
}

struct db_rows *db_rows_copy(const struct db_rows *rows)
{
    struct db_rows *copy = malloc(sizeof *copy);
    if (copy)
        copy->result = PQcopyResult(rows->result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    if (copy && copy->result)
        return copy;
    free(copy);
    return NULL;
}

struct db_rows *db_rows_pick(const struct db_rows *rows, int row)
{
    struct db_rows *one = malloc(sizeof *one);
    assert(one && row < PQntuples(rows->result));
    one->result = PQcopyResult(rows->result, PG_COPYRES_ATTRS);
    bool copied = one->result != NULL;
    for (int column = 0; copied && column < PQnfields(rows->result); column++) {
        bool is_null = PQgetisnull(rows->result, row, column);
        copied = PQsetvalue(one->result, 0, column,
                            is_null ? NULL : PQgetvalue(rows->result, row, column),
                            is_null ? -1 : PQgetlength(rows->result, row, column));
    }
    assert(copied); /* as in db_run: without so little memory there is nothing sensible to do */
    return one;
}
