/* recordings: what was kept of calls (sql/0008).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_RECORDINGS_H
#define RINGBRIDGE_CONTROL_STORE_RECORDINGS_H

#include "control/db.h"

struct recordings_row {
    const char *id, *organization, *conversation;
    const char *source, *source_name;
    const char *edge; /* or NULL */
    const char *path, *media_type;
    int64_t started_at_ms, duration_ms, bytes;
    struct span sha256, peaks;
    unsigned peak_ms;
};

/* Within a transaction of its organisation. Once per source name: a repetition changes nothing. */
enum db_result recordings_add(struct db *db, const struct recordings_row *row);

/* Is there one made from this? Within a transaction of the organisation. */
enum db_result recordings_has(struct db *db, const char *source, const char *source_name,
                              bool *has);

/* Bit rate in force for an organisation. */
enum db_result recordings_kbps(struct db *db, const char *organization, unsigned *kbps);

/* For people: id, started, organization, call, duration, bytes, state. */
enum db_result recordings_list(struct db *db, const char *organization, unsigned limit,
                               struct db_rows **rows);
enum db_result recordings_show(struct db *db, const char *id, struct db_rows **rows); /* JSON */
/* path, sha256, state. */
enum db_result recordings_find(struct db *db, const char *id, struct db_rows **rows);

#endif
