/* tokens: which auth tokens may have signed a webhook, by its AccountSid.
 *
 * What it is: the installation's own token (and its previous one) for its own account, and the
 * organisations' sealed ones for theirs, remembered for a short while so that a webhook costs no
 * extra round trip, and for longer while the database is away. What it is not: the check that the
 * account may speak for the organisation of the call: the SQL functions of store/calls.h do that.
 *
 * A flood of invented AccountSids must not become a flood of queries: accounts not known yet share
 * TOKENS_LOOKUPS_PER_SECOND; those known before are not touched by it. Secrets are wiped when they
 * leave the memory. Thread: any. Bound: TOKENS_REMEMBERED. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_TOKENS_H
#define RINGBRIDGE_CONTROL_SERVICE_TOKENS_H

#include "control/base/options.h"
#include "control/carrier/signature.h"
#include "control/service/metrics.h"
#include "control/store/accounts.h"

#define TOKENS_SETS               64
#define TOKENS_WAYS               4
#define TOKENS_REMEMBERED         (TOKENS_SETS * TOKENS_WAYS)
#define TOKENS_FRESH_MS           5000
#define TOKENS_STALE_MS           3600000 /* what is believed while the database is away */
#define TOKENS_LOOKUPS_PER_SECOND 50
#define TOKENS_ACCOUNT_BYTES      34 /* AC and 32 hexadecimal digits */

enum tokens_found {
    TOKENS_FOUND,
    TOKENS_UNKNOWN, /* nobody's account */
    TOKENS_BUSY,    /* not known, and too many of those at the moment */
    TOKENS_AWAY     /* the database did not say */
};

struct tokens;

/* options is borrowed. NULL only without memory. Boot thread. */
struct tokens *tokens_open(const struct options *options, struct metrics *metrics);
void tokens_close(struct tokens *tokens);

/* Copies the tokens of an account; the caller wipes them (accounts_wipe). */
enum tokens_found tokens_find(struct tokens *tokens, struct db *db, const char *account_sid,
                              struct accounts_tokens *found);

/* The same as signature.h takes them, borrowed from found. */
struct signature_tokens tokens_for_signature(const struct accounts_tokens *found);

#endif
