/* configurations: how an organisation's agent behaves on a channel, for the command line
 * and the API.
 *
 * Keys are the columns of channel_configurations, and settings.NAME for what has no column.
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_CONFIGURATIONS_H
#define RINGBRIDGE_CONTROL_STORE_CONFIGURATIONS_H

#include "control/db/db.h"

struct configurations_setting {
    const char *key;
    const char *value; /* NULL: back to the built-in default. settings.NAME: JSON text */
};

/* Is this a key? */
bool configurations_has(const char *key);

/* Names of the columns, for messages: "instructions, model, ...". */
const char *configurations_keys(void);

/* What a key's value must be, in words: "20, 40, 60 or 100 milliseconds". */
const char *configurations_rule(const char *key);

/* All or none of them. DB_REFUSED: *refused (may be NULL) is the key whose value was, or
 * db_constraint says that the channel is none. Keys must be keys. */
enum db_result configurations_set(struct db *db, const char *organization, const char *channel,
                                  const struct configurations_setting *settings, int count,
                                  const char **refused);

/* The same within a transaction of the organisation; refused may not be NULL. */
enum db_result configurations_put(struct db *db, const char *organization, const char *channel,
                                  const struct configurations_setting *settings, int count,
                                  const char **refused);

/* key, value, "own" or "built-in": what is in force. */
enum db_result configurations_show(struct db *db, const char *organization, const char *channel,
                                   struct db_rows **rows);

#endif
