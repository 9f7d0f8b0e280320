/* appointments: when they can be had, and who has one (sql/0010).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_APPOINTMENTS_H
#define RINGBRIDGE_CONTROL_STORE_APPOINTMENTS_H

#include "control/db/db.h"

struct appointments_wish {
    const char *calendar, *start; /* local time of the calendar, or with an offset */
    const char *name, *phone, *note;
    const char *conversation, *call; /* by which it is booked; NULL: by a person */
};

/* Within a transaction of the organisation. Rows: outcome (booked, taken, past, closed, unclear,
 * none), local start, local end. Whoever else wants the same slot waits for this transaction. */
enum db_result appointments_book(struct db *db, const char *organization,
                                 const struct appointments_wish *wish, struct db_rows **rows);

/* The id of the one that was booked in this transaction. */
enum db_result appointments_booked_now(struct db *db, const char *calendar, char id[37]);

/* Free slots from a local date on ("": now) for so many days: local start, local end. At most 100.
 */
enum db_result appointments_free(struct db *db, const char *organization, const char *calendar,
                                 const char *from, unsigned days, struct db_rows **rows);

/* Local date and time now, day of the week in words, time zone; no row when the calendar has no
 * hours. */
enum db_result appointments_now(struct db *db, const char *organization, const char *calendar,
                                struct db_rows **rows);

/* ---- for people ---- */

/* id, start, end, calendar, name, phone, note, state, conversation, organisation; those to come
 * unless past is set. */
enum db_result appointments_list(struct db *db, const char *organization, bool past, unsigned limit,
                                 struct db_rows **rows);
enum db_result appointments_cancel(struct db *db, const char *id, bool *cancelled);

struct appointments_hours {
    const char *calendar, *days, *opens, *closes, *time_zone;
    unsigned slot_minutes;
};

enum db_result appointments_add_hours(struct db *db, const char *organization,
                                      const struct appointments_hours *hours, char id[37]);
enum db_result appointments_remove_hours(struct db *db, const char *id, int *removed);
/* id, calendar, hours in words, time zone, slot in minutes, organisation. */
enum db_result appointments_list_hours(struct db *db, const char *organization,
                                       struct db_rows **rows);

#endif
