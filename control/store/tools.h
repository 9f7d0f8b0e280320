/* tools: functions that AIs may call, and each call of one (sql/0010), for those who carry them out
 * and for the command line.
 *
 * Thread: the owner of db. Rows belong to the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_TOOLS_H
#define RINGBRIDGE_CONTROL_STORE_TOOLS_H

#include "control/base/uuid.h"
#include "control/db/db.h"

#define TOOLS_OUTPUT_BYTES_MAX 36000 /* of a result, as jsonb prints it; an edge takes 40960 */

/* A call that somebody is at. Texts live as long as rows. */
struct tools_claimed {
    char id[UUID_TEXT_BYTES + 1], organization[UUID_TEXT_BYTES + 1];
    char conversation[UUID_TEXT_BYTES + 1];
    const char *name, *arguments;
    int64_t tries, left_ms; /* until the AI gets an answer in any case */
    struct db_rows *rows;
};

/* What is known about a call and its tool. Texts live as long as rows; "" where there is none. */
struct tools_described {
    bool found; /* there is a tool of this name, and it is active */
    const char *action, *settings_json, *parameters_json;
    int64_t tries_max, timeout_ms;
    const char *channel, *account_sid;
    const char *from_number, *to_number; /* theirs and ours, whoever called */
    uint8_t *headers_sealed;             /* malloc'ed, freed with the rest; NULL: none */
    size_t headers_bytes;
    struct db_rows *rows;
};

/* Takes one call under a lease; claimed->rows is NULL when there is none, else the caller's. */
enum db_result tools_claim(struct db *db, const char *worker, unsigned lease_ms,
                           struct tools_claimed *claimed);
enum db_result tools_renew(struct db *db, const char *worker, unsigned lease_ms);

/* Within a transaction of the call's organisation. */
enum db_result tools_describe(struct db *db, const char *call, struct tools_described *described);
void tools_described_free(struct tools_described *described);

/* Ends a call within a transaction of its organisation: output is a JSON object; ends: how the
 * conversation's stream ends with it, or NULL. held: false when it was not ours any more; then
 * nothing was changed. */
enum db_result tools_finish(struct db *db, const struct tools_claimed *claimed, const char *worker,
                            bool ok, const char *output_json, const char *ends, bool *held);

/* Where a conversation goes on when its stream is over; within a transaction. */
enum db_result tools_set_next_step(struct db *db, const char *conversation, const char *step_json);

/* A function called where no edge is, in a transaction of the organisation: writes the id under
 * which tools_result finds what came of it. DB_REFUSED: no such conversation. */
enum db_result tools_ask(struct db *db, const char *organization, const char *conversation,
                         const char *call_id, const char *name, const char *arguments,
                         char id[UUID_TEXT_BYTES + 1]);
/* state, output. */
enum db_result tools_result(struct db *db, const char *id, struct db_rows **rows);

/* Results that these edges wait for: id, edge's run, call, order. And that one has arrived. */
enum db_result tools_take_results(struct db *db, const char *const *runs, int count,
                                  struct db_rows **rows);
enum db_result tools_settle(struct db *db, const char *id);

/* ---- for people ---- */

struct tools_new {
    const char *name, *description, *action;
    const char *parameters_json, *settings_json;
    struct span headers_sealed; /* empty: none */
    const char *channels;       /* {voice,sms} */
    unsigned tries_max, timeout_ms, deadline_ms, interim_ms, position;
};

/* Adds a tool, or changes the one of this name. DB_REFUSED: db_constraint says why. */
enum db_result tools_put(struct db *db, const char *organization, const struct tools_new *tool);
enum db_result tools_remove(struct db *db, const char *organization, const char *name,
                            int *removed);

/* name, action, description, settings, headers (yes, no), deadline_ms, channels, organisation,
 * parameters. organization NULL: all. */
enum db_result tools_list(struct db *db, const char *organization, struct db_rows **rows);

/* One of them, by name, as tools_describe has it but for the conversation. */
enum db_result tools_find(struct db *db, const char *organization, const char *name,
                          struct tools_described *described);

/* id, asked, name, arguments, state, output, took in ms, told, conversation, organisation. Newest
 * first. conversation NULL: all. */
enum db_result tools_calls(struct db *db, const char *organization, const char *conversation,
                           unsigned limit, struct db_rows **rows);

/* What headers are sealed with: bound to organisation and name. */
#define TOOLS_CONTEXT_MAX 160
void tools_context(const char *organization, const char *name, char context[TOOLS_CONTEXT_MAX]);

#endif
