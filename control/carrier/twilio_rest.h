/* twilio_rest: Twilio's REST API, as jobs use it.
 *
 * What it is: whose credentials to ask with, paths under an account, forms, answers as JSON, lists
 * page by page, and a file. What it is not: a queue; a request that did not go well is a job's to
 * try again (job_asked), which waits as long as Twilio's Retry-After wants.
 * The base URL is the operator's (--twilio-api-base). What a webhook says about URLs is never
 * asked: paths are made from sids, which are checked.
 *
 * Owner: struct twilio_rest by value, with a secret in it: twilio_rest_close. Thread: one at a
 * time. Bounds: an answer TWILIO_REST_BYTES_MAX, a list TWILIO_REST_PAGES_MAX pages. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_TWILIO_REST_H
#define RINGBRIDGE_CONTROL_CARRIER_TWILIO_REST_H

#include "control/base/options.h"
#include "control/net/http_client.h"
#include "control/store/accounts.h"

#include <jansson.h>

#define TWILIO_REST_BYTES_MAX  (4 * 1024 * 1024)
#define TWILIO_REST_PAGES_MAX  1000
#define TWILIO_REST_PATH_BYTES 512
#define TWILIO_REST_PAIRS_MAX  24
#define TWILIO_REST_SID_BYTES  35 /* two letters, 32 hexadecimal digits, NUL */
#define TWILIO_REST_ACCOUNTS   "" /* a path: the accounts themselves, not something in one */

struct twilio_rest {
    const struct options *options;
    char account[TWILIO_REST_SID_BYTES];
    char user[ACCOUNTS_SECRET_MAX], secret[ACCOUNTS_SECRET_MAX];
    bool (*must_stop)(void *context); /* or NULL; as in http_client_request */
    void *context;
};

struct twilio_rest_pair {
    const char *name, *value;
};

/* A sid of this kind ("RE", "CA", ...)? */
bool twilio_rest_is_sid(const char *text, const char *kind);

enum twilio_rest_opened {
    TWILIO_REST_OPENED,
    TWILIO_REST_UNKNOWN, /* nobody's account, or no credentials for it: a sentence in error */
    TWILIO_REST_AWAY     /* the database did not say; db_error */
};

/* Chooses the credentials of an account: the organisation's sealed token; else, for the
 * installation's own account and what may be a sub-account of it, the installation's API key or
 * token. options is borrowed. */
enum twilio_rest_opened twilio_rest_open(struct twilio_rest *rest, struct db *db,
                                         const struct options *options, const char *account,
                                         char *error, size_t room);
void twilio_rest_close(struct twilio_rest *rest); /* wipes it */

/* As the main account with its token, which is needed to make others. False with a sentence. */
bool twilio_rest_open_main(struct twilio_rest *rest, const struct options *options, char *error,
                           size_t room);

/* One request. path: behind /2010-04-01/Accounts/SID/, e.g. "Calls/CA....json". pairs: a query for
 * GET, a form else; at most TWILIO_REST_PAIRS_MAX. json (may be NULL): the answer's object of a
 * 2xx, the caller's; NULL where it has none (204). True when the answer is 2xx and, where it has a
 * body and json is wanted, that is an object. Else response says why, with Twilio's own words and
 * code where it gave them; http_client_free in any case. */
bool twilio_rest_ask(const struct twilio_rest *rest, const char *method, const char *path,
                     const struct twilio_rest_pair *pairs, size_t count, json_t **json,
                     struct http_client_response *response);

/* The code of Twilio's own by which it refused, e.g. 21422; 0 where it gave none. Before
 * http_client_free. */
int64_t twilio_rest_code(const struct http_client_response *response);

/* A list, each item in turn, as long as each returns true. name: of the array, e.g. "calls". path
 * and pairs as above; PageSize is set unless given. False: response says why; items seen so far
 * have been seen. An answer that leads out of the account, or endlessly round, is broken. */
bool twilio_rest_list(const struct twilio_rest *rest, const char *path, const char *name,
                      const struct twilio_rest_pair *pairs, size_t count,
                      bool (*each)(const json_t *item, void *context), void *context,
                      struct http_client_response *response);

/* A recording's sound into a file, following redirects without credentials. path as above, e.g.
 * "Recordings/RE....wav?RequestedChannels=2". 404 may mend: it may not be ready yet. */
bool twilio_rest_fetch(const struct twilio_rest *rest, const char *path, const char *to_path,
                       uint64_t bytes_max, struct http_client_response *response);

#endif
