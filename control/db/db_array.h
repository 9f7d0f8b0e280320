/* db_array: a PostgreSQL array, written as text for one parameter of a statement.
 *
 * What it is: the quoting of array literals, so that a batch of rows is one round trip
 * (unnest($1::uuid[], $2::text[], ..)). What it is not: SQL. Owner of memory: the array's, until
 * db_array_free; what db_array_value gives lives as long. Thread: the caller's. Bound: the caller's
 * batch. */
#ifndef RINGBRIDGE_CONTROL_DB_DB_ARRAY_H
#define RINGBRIDGE_CONTROL_DB_DB_ARRAY_H

#include "control/db/db.h"

struct db_array {
    FILE *out; /* private */
    char *text;
    size_t bytes;
    int count;
};

/* False when memory is out; db_array_free is right all the same. */
bool db_array_open(struct db_array *array);

void db_array_add(struct db_array *array, const char *text);
void db_array_add_number(struct db_array *array, int64_t number);

/* Ends the array. SQL NULL when memory ran out meanwhile. */
struct db_value db_array_value(struct db_array *array);

void db_array_free(struct db_array *array);

#endif
