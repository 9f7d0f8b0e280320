/* db_inner: what db.c and db_rows.c share: rows are libpq's result. Not for others. */
#ifndef RINGBRIDGE_CONTROL_DB_DB_INNER_H
#define RINGBRIDGE_CONTROL_DB_DB_INNER_H

#include "control/db/db.h"

#include <libpq-fe.h>

struct db_rows {
    PGresult *result;
};

#endif
