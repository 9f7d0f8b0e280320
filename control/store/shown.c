#include "control/store/shown.h"

enum db_result shown_page(struct db *db, const struct shown *shown, const struct shown_place *place,
                          unsigned limit, const char *const filters[SHOWN_FILTERS_MAX],
                          struct db_rows **rows)
{
    return db_run(db, &shown->page,
                  db_values(db_number_or_null(place->at_us),
                            db_text(place->at_us < 0 ? NULL : place->tie), db_number(limit),
                            db_text(filters[0]), db_text(filters[1]), db_text(filters[2])),
                  rows);
}

enum db_result shown_one(struct db *db, const struct shown *shown, const char *key,
                         struct db_rows **rows)
{
    return db_run(db, &shown->one, db_values(db_text(key)), rows);
}
