/* recordings: what was kept of calls (sql/0008).
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_RECORDINGS_H
#define RINGBRIDGE_CONTROL_STORE_RECORDINGS_H

#include "control/db/db.h"

struct recordings_row {
    const char *id, *organization, *conversation;
    const char *source, *source_name;
    const char *edge;    /* or NULL */
    const char *account; /* of the carrier, or NULL */
    const char *purpose; /* call or voicemail */
    const char *store;   /* disk or s3 */
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

/* Links a message that a caller left with its sound, where its callback has come. */
enum db_result recordings_link_voicemail(struct db *db, const char *account, const char *sid,
                                         const char *recording);

/* Does the organisation want the carrier's copy deleted? Within a transaction of it. */
enum db_result recordings_wants_carrier_copy_deleted(struct db *db, bool *wants);

/* What is to be deleted. Within a transaction of the organisation. rows: path, store, state,
 * source_name, account, carrier_deleted; none: there is no such recording. */
enum db_result recordings_look(struct db *db, const char *id, struct db_rows **rows);

/* It is gone here, or at the carrier; with who had it done. Within a transaction of the
 * organisation. */
enum db_result recordings_deleted(struct db *db, const char *id, bool at_carrier, const char *by);

/* Has what is too old deleted, for all organisations. */
enum db_result recordings_expire(struct db *db);

/* Notes an access ("link", "read", "exported") under this id, NULL: any. expires_at_ms: -1: none.
 * In a transaction of the organisation, or as the admin. DB_REFUSED: no such recording. */
enum db_result recordings_note(struct db *db, const char *access, const char *id, const char *what,
                               const char *by, int64_t expires_at_ms);

/* Has one deleted by a job, because somebody wants it. made: false: that was under way. */
enum db_result recordings_order_deletion(struct db *db, const char *id, const char *by, bool *made);

/* For people: id, started, organization, call, duration, bytes, state. */
enum db_result recordings_list(struct db *db, const char *organization, unsigned limit,
                               struct db_rows **rows);
enum db_result recordings_show(struct db *db, const char *id, struct db_rows **rows); /* JSON */
/* path, sha256, state, store, bytes, media type, organization. */
enum db_result recordings_find(struct db *db, const char *id, struct db_rows **rows);

#endif
