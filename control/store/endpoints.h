/* endpoints: an organisation's own systems that hear of its calls (sql/0011).
 *
 * Secrets are sealed to organisation and endpoint. Thread: the owner of db. Rows belong to the
 * caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_ENDPOINTS_H
#define RINGBRIDGE_CONTROL_STORE_ENDPOINTS_H

#include "control/base/seal.h"
#include "control/base/uuid.h"
#include "control/db/db.h"

#define ENDPOINTS_CONTEXT_MAX 128
#define ENDPOINTS_SECRET_MAX  2048 /* a signing secret, or Slack's URL; with NUL */

/* url: of a webhook, with the secret that signs; NULL: Slack's, and the secret is the URL. */
enum db_result endpoints_add(struct db *db, const struct seal *seal, const char *organization,
                             const char *url, const char *label, const char *secret,
                             char id[UUID_TEXT_BYTES + 1]);
enum db_result endpoints_remove(struct db *db, const char *organization, const char *id,
                                bool *removed);
/* id, kind, target, label, state, created, organisation. No secrets. organization NULL: all. */
enum db_result endpoints_list(struct db *db, const char *organization, struct db_rows **rows);

/* What an endpoint's secret is sealed to: it opens nowhere else. */
void endpoints_context(const char *organization, const char *id,
                       char context[ENDPOINTS_CONTEXT_MAX]);

/* What sending needs. Within a transaction of the organisation. found: false when it is gone or
 * disabled; opened: false when the secret does not open. */
struct endpoints_target {
    bool found, opened;
    char url[ENDPOINTS_SECRET_MAX], secret[ENDPOINTS_SECRET_MAX]; /* wipe */
};
enum db_result endpoints_open(struct db *db, const struct seal *seal, const char *organization,
                              const char *id, struct endpoints_target *target);

/* Nothing more goes there. Within a transaction of the organisation. */
enum db_result endpoints_disable(struct db *db, const char *organization, const char *id,
                                 const char *reason);

#endif
