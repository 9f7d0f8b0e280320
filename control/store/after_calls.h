/* after_calls: what an organisation wants done after its calls, and that it was done (sql/0011).
 *
 * Thread: the owner of db. Rows and objects belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_AFTER_CALLS_H
#define RINGBRIDGE_CONTROL_STORE_AFTER_CALLS_H

#include "control/base/seal.h"
#include "control/db/db.h"
#include "control/store/accounts.h"

#include <jansson.h>

/* What is known of a call (after_call_facts). Within a transaction of its organisation, or as the
 * admin. *facts is NULL when there is no such call; else the caller releases it. */
enum db_result after_calls_facts(struct db *db, const char *conversation, json_t **facts);

/* How long ago a job was made, in seconds. Within a transaction of its organisation. */
enum db_result after_calls_job_age(struct db *db, const char *job, int64_t *age_s);

/* The organisation's own key for the AI, or "". lost: it has one that does not open, and the
 * installation's is not to be billed for it. Within its transaction; wipe it. */
enum db_result after_calls_ai_key(struct db *db, const struct seal *seal, const char *organization,
                                  char key[ACCOUNTS_SECRET_MAX], bool *lost);

/* The call is done with. added: false when it was before; then nothing was changed. Within a
 * transaction. outcome: summary.h. */
enum db_result after_calls_add(struct db *db, const char *organization, const char *conversation,
                               bool complete, const json_t *outcome, bool *added);

/* What was found out about a call, as summary.h has it; NULL when nothing was (yet). As the admin.
 */
enum db_result after_calls_outcome(struct db *db, const char *conversation, json_t **outcome);

/* A message that a caller left. No row: there is none. Within a transaction of the organisation. */
enum after_calls_voicemail {
    AFTER_CALLS_CONVERSATION,
    AFTER_CALLS_TRANSCRIPTION, /* or NULL: not written down yet */
    AFTER_CALLS_DURATION_MS,
    AFTER_CALLS_PATH, /* or NULL: its sound has not been fetched */
    AFTER_CALLS_STORE,
    AFTER_CALLS_RECORDING
};
enum db_result after_calls_voicemail(struct db *db, const char *voicemail, struct db_rows **rows);

/* Its words or its summary; NULL: as it is. Within a transaction of the organisation. */
enum db_result after_calls_voicemail_put(struct db *db, const char *voicemail,
                                         const char *transcription, const char *summary);

/* For people: key, value, own or default. */
enum db_result after_calls_settings(struct db *db, const char *organization, struct db_rows **rows);

/* Is there such a setting? What may it be? All keys, in one text. */
bool after_calls_setting_is(const char *key);
const char *after_calls_setting_rule(const char *key);
const char *after_calls_setting_keys(void);

struct after_calls_setting {
    const char *key, *value; /* NULL: the default again */
};

/* All or none. *refused: the key that was, with DB_REFUSED. */
enum db_result after_calls_set(struct db *db, const char *organization,
                               const struct after_calls_setting *settings, int count,
                               const char **refused);

/* The same within a transaction of the organisation. */
enum db_result after_calls_put(struct db *db, const char *organization,
                               const struct after_calls_setting *settings, int count,
                               const char **refused);

#endif
