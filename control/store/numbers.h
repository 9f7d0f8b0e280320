/* numbers: which organisation is meant when a number is called, for the command line.
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_NUMBERS_H
#define RINGBRIDGE_CONTROL_STORE_NUMBERS_H

#include "control/db/db.h"

/* channel: "twilio", "retell" or "whatsapp". Adding what is there already is fine, and switches it
 * on again. DB_REFUSED: db_constraint says why (phone_numbers_e164, phone_numbers_channel,
 * phone_numbers_one_organization). */
enum db_result numbers_add(struct db *db, const char *organization, const char *number,
                           const char *channel);

/* channel NULL: every channel of the number. removed counts. */
enum db_result numbers_remove(struct db *db, const char *organization, const char *number,
                              const char *channel, int *removed);

/* number, channel, active, organisation, organisation id, created. organization NULL: all. */
enum db_result numbers_list(struct db *db, const char *organization, struct db_rows **rows);

/* ---- within a transaction of the organisation, for the API ---- */

enum db_result numbers_id(struct db *db, const char *number, const char *channel, char id[37],
                          bool *found);
/* Its E.164, by its id. */
enum db_result numbers_text(struct db *db, const char *id, char number[17], bool *found);
/* By its id. found: false when the organisation has no such number. */
enum db_result numbers_switch(struct db *db, const char *id, bool is_active, bool *found);
enum db_result numbers_drop(struct db *db, const char *id, bool *found);

#endif
