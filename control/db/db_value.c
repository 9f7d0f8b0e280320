#include "control/db/db.h"

#include <inttypes.h>

struct db_value db_number(int64_t number)
{
    struct db_value value = {.in_room = true};
    snprintf(value.room, sizeof value.room, "%" PRId64, number);
    return value;
}

struct db_value db_number_or_null(int64_t number)
{
    return number < 0 ? db_text(NULL) : db_number(number);
}

struct db_value db_bool(bool value)
{
    return db_text(value ? "t" : "f");
}
