/* command: the command line, one file per command, and what they share.
 *
 * Each command gets the options it was called with: words[0] is its name. It prints its result on
 * standard output, what went wrong and how to mend it on standard error, and returns the exit
 * status. Thread: main. */
#ifndef RINGBRIDGE_CONTROL_COMMANDS_COMMAND_H
#define RINGBRIDGE_CONTROL_COMMANDS_COMMAND_H

#include "control/base/options.h"
#include "control/db/db.h"

#define COMMAND_DONE   0 /* exit statuses */
#define COMMAND_FAILED 1
#define COMMAND_USAGE  2

#define COMMAND_ID_TEXT 37

int command_account(const struct options *options);
int command_after(const struct options *options);
int command_batch(const struct options *options);
int command_call(const struct options *options);
int command_dnc(const struct options *options);
int command_appointment(const struct options *options);
int command_audit(const struct options *options);
int command_calls(const struct options *options);
int command_calls_order(const struct options *options, struct db *db); /* hangup, say, record */
int command_calls_listen(const struct options *options, struct db *db);
int command_config(const struct options *options);
int command_credential(const struct options *options);
int command_deliveries(const struct options *options);
int command_doctor(const struct options *options);
int command_endpoint(const struct options *options);
int command_jobs(const struct options *options);
int command_message(const struct options *options);
int command_migrate(const struct options *options);
int command_number(const struct options *options);
bool command_number_carrier_is(const struct options *options); /* search, verify, configure */
int command_number_carrier(const struct options *options, struct db *db);
bool command_number_order_is(const struct options *options); /* buy, release, orders, money */
int command_number_order(const struct options *options, struct db *db);
int command_org(const struct options *options);
int command_route(const struct options *options);
int command_reconcile(const struct options *options);
int command_recordings(const struct options *options);
int command_template(const struct options *options);
int command_token(const struct options *options);
int command_tool(const struct options *options);
int command_transfers(const struct options *options);
int command_verify_signature(const struct options *options);
int command_voicemail(const struct options *options);

/* -- shared --------------------------------------------------------------------------------------
 */

/* Prints "ringbridge-control: ..." on standard error and returns COMMAND_FAILED. */
__attribute__((format(printf, 1, 2))) int command_fail(const char *format, ...);

/* The same for a wrong call; returns COMMAND_USAGE. */
__attribute__((format(printf, 1, 2))) int command_misuse(const char *format, ...);

/* words[1], or "". */
const char *command_verb(const struct options *options);

/* Is it this verb with from least to most words behind it? */
bool command_is(const struct options *options, const char *verb, int least, int most);

/* A database for commands: role ringbridge_admin. NULL after saying why (no DATABASE_URL). The
 * caller closes it. */
struct db *command_open(const struct options *options);

/* Says what the database answered and how to mend it; returns COMMAND_FAILED. */
int command_database_failed(struct db *db, enum db_result result);

/* --org as an id. False after saying what is wrong. */
bool command_organization(const struct options *options, struct db *db, char id[COMMAND_ID_TEXT]);

/* --org as an id when it was given; else id is "" and all organisations are meant. */
bool command_maybe_organization(const struct options *options, struct db *db,
                                char id[COMMAND_ID_TEXT]);

/* Prints rows as an aligned table, or with --json as an array of objects. headings are lower-case
 * words, one per column shown; columns beyond count are left out. */
void command_print(const struct options *options, const struct db_rows *rows,
                   const char *const *headings, int count);

/* Who types: the user's name. Valid until the next call. */
const char *command_who(void);

/* The id of the call with this id or CallSid. False after saying what is wrong; status is then
 * the command's. */
bool command_find_call(const struct options *options, struct db *db, const char *name,
                       char id[COMMAND_ID_TEXT], int *status);

/* Reads a secret from standard input: the first line, without its end. False after saying why. */
bool command_read_secret(const char *what, char *secret, size_t room);

#endif
