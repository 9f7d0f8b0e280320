/* configurations: how an organisation's agent behaves on a channel, for the command line.
 *
 * Keys are the columns of channel_configurations, and settings.NAME for what has no column.
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_CONFIGURATIONS_H
#define RINGBRIDGE_CONTROL_STORE_CONFIGURATIONS_H

#include "control/db.h"

struct configurations_setting {
    const char *key;
    const char *value; /* NULL: back to the built-in default. settings.NAME: JSON text */
};

/* Is this a key? */
bool configurations_has(const char *key);

/* Names of the columns, for messages: "instructions, model, ...". */
const char *configurations_keys(void);

/* All or none of them. DB_REFUSED: db_constraint names the column's rule. Keys must be keys. */
enum db_result configurations_set(struct db *db, const char *organization, const char *channel,
                                  const struct configurations_setting *settings, int count);

/* key, value, "own" or "built-in": what is in force. */
enum db_result configurations_show(struct db *db, const char *organization, const char *channel,
                                   struct db_rows **rows);

#endif
