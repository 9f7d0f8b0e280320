/* seals: every sealed secret of the installation at once, for a change of its key.
 *
 * The key is changed in three steps: serve with the new key and the old one as the previous;
 * seals_renew; forget the old one. Thread: the owner of db. */
#ifndef RINGBRIDGE_CONTROL_STORE_SEALS_H
#define RINGBRIDGE_CONTROL_STORE_SEALS_H

#include "control/base/seal.h"
#include "control/db/db.h"

struct seals_renewed {
    int renewed;  /* secrets that are sealed with the current key now */
    int unopened; /* with neither key; they stay as they are */
};

/* Opens every secret (credentials with their previous ones, endpoints, tools) and seals it anew
 * with the current key; in one transaction, as admin. Whoever changed a secret meanwhile wins. by:
 * for the audit. The caller has made sure of a key. */
enum db_result seals_renew(struct db *db, const struct seal *seal, const char *by,
                           struct seals_renewed *renewed);

#endif
