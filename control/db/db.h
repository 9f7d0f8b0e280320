/* db: one PostgreSQL connection, and the only file that knows libpq.
 *
 * What it is: prepared statements, transactions that carry an organisation, deadlines, reconnecting
 * and retrying. What it is not: SQL (each query stands once, in control/store) or a pool (each
 * worker opens a struct db of its own; control/serve.c owns the workers). Owner of memory: db_rows
 * belong to the caller until db_rows_free. Thread: a struct db belongs to one thread at a time;
 * struct db_figures may be shared by all of them. Bounds: connecting DB_CONNECT_MS, a statement
 * statement_ms on the server and DB_GRACE_MS more here (then the connection is dropped, so a frozen
 * server cannot freeze a worker), DB_TRIES_MAX tries of a transaction.
 *
 * The connection is made at the first use and again after it broke. A server that restarts is
 * waited for, patience_ms from when it was missed; after that calls fail at once with DB_AWAY
 * except for one attempt per backoff interval (50 ms to 1 s, jittered), so a webhook always learns
 * within a second. */
#ifndef RINGBRIDGE_CONTROL_DB_DB_H
#define RINGBRIDGE_CONTROL_DB_DB_H

#include "common/span.h"

#include <stdatomic.h>
#include <stdio.h>

#define DB_CONNECT_MS     1000
#define DB_GRACE_MS       500
#define DB_TRIES_MAX      4
#define DB_PARAMETERS_MAX 24
#define DB_BUCKETS        14

/* How a statement or transaction went. Everything but DB_OK has its words in db_error(). */
enum db_result {
    DB_OK = 0,
    DB_AWAY,    /* no connection, and no better luck on trying again: answer 503, try later */
    DB_BUSY,    /* a lock, a deadlock or a deadline, after all tries: answer 503, try later */
    DB_REFUSED, /* the data broke a constraint or a type: trying again is no use */
    DB_BROKEN   /* our bug or a wrong set-up: missing table, missing right, syntax */
};

const char *db_result_name(enum db_result result); /* "ok", "away", ... ; a metric label */

/* Counts of everything a struct db did; zero it, share it, read it at any time. */
struct db_figures {
    atomic_uint_fast64_t statements;
    atomic_uint_fast64_t results[DB_BROKEN + 1]; /* per statement or transaction, by db_result */
    atomic_uint_fast64_t retries;                /* transactions begun again */
    atomic_uint_fast64_t connects;
    atomic_uint_fast64_t connect_failures;
    atomic_uint_fast64_t
        buckets[DB_BUCKETS]; /* statement latency, not cumulative; the last is +Inf */
    atomic_uint_fast64_t latency_us_sum;
};

/* Counts one statement. For db.c. */
void db_figures_note(struct db_figures *figures, uint64_t took_us, enum db_result result);

/* Writes the figures as Prometheus text (ringbridge_control_database_*). */
void db_figures_write(FILE *out, const struct db_figures *figures);

struct db_gate;

struct db_config {
    const char *url;         /* libpq connection string or URL; borrowed */
    const char *role;        /* SET ROLE after connecting; NULL: stay who we are; borrowed */
    const char *application; /* shown in pg_stat_activity; borrowed */
    unsigned statement_ms;   /* statement_timeout; 0: none (migrations) */
    unsigned lock_ms;        /* lock_timeout; 0: none */
    unsigned idle_ms;        /* idle_in_transaction_session_timeout; 0: none */
    unsigned tries;          /* 1 to DB_TRIES_MAX; 1: never retry */
    unsigned patience_ms;    /* a server that went away is waited for so long, once per absence */
    struct db_figures *figures; /* or NULL */
    struct db_gate *gate;       /* shared with others of the same server, or NULL (db_gate.h) */
};

/* What request paths use: 2 s a statement (a webhook must be answered in less than the edge waits,
 * HTTP_CONTROL_MS of edge/limits.h, also when the server freezes under it), 1 s a lock, 10 s idle,
 * DB_TRIES_MAX tries, one gate for the process. */
struct db_config db_config_serving(const char *url, struct db_figures *figures);

/* What the command line uses: the admin role, 30 s a statement, one try. */
struct db_config db_config_admin(const char *url);

/* Roles of sql/0001. The URL's user must be one of them or a member. */
#define DB_ROLE_SERVING "ringbridge_serving"
#define DB_ROLE_API     "ringbridge_api"
#define DB_ROLE_ADMIN   "ringbridge_admin"

struct db;

/* Does not connect yet. NULL only when memory is gone. */
struct db *db_open(const struct db_config *config);
void db_close(struct db *db); /* NULL is fine */

/* Connects if need be and asks the server a trifle: for readiness and for doctor. */
enum db_result db_ping(struct db *db);

/* What went wrong last, for a log line or a person: "SQLSTATE message". Holds no row data beyond
 * what PostgreSQL's primary message has. Valid until the next call. Never NULL. */
const char *db_error(const struct db *db);

/* SQLSTATE of the last error, "" when there is none ("08006" stands for a lost connection). */
const char *db_sqlstate(const struct db *db);

/* What went wrong for one went wrong for another, which waited for it. Neither may be in use. */
void db_share_error(struct db *to, const struct db *from);

/* Name of the constraint that refused the last statement, or "". */
const char *db_constraint(const struct db *db);

/* A query, written once as a static constant. Prepared on a connection at its first use there;
 * known by its address. */
struct db_statement {
    const char *sql;
    int parameters;
};

struct db_value {
    const char *text; /* NULL: SQL NULL */
    int bytes;        /* binary: length of text */
    bool binary;      /* bytea as it is; everything else goes as text */
    char room[24];    /* numbers are written here */
    bool in_room;
};

static inline struct db_value db_text(const char *text) /* NULL is SQL NULL; borrowed */
{
    return (struct db_value){.text = text};
}

static inline struct db_value db_bytes(struct span bytes) /* bytea; borrowed */
{
    return (struct db_value){
        .text = (const char *)bytes.data, .bytes = (int)bytes.bytes, .binary = true};
}

struct db_value db_number(int64_t number);
struct db_value db_number_or_null(int64_t number); /* negative is SQL NULL */
struct db_value db_bool(bool value);

struct db_rows;

/* Runs one statement with its parameters (count of them must match, assert) and gives its rows to
 * the caller (rows may be NULL: thrown away). Outside db_transact it is its own transaction and is
 * tried again after a serialization failure, a deadlock or a lost connection, so it must be
 * harmless to run twice. Inside db_transact it is tried once. */
enum db_result db_run(struct db *db, const struct db_statement *statement,
                      const struct db_value *values, int count, struct db_rows **rows);

/* db_run(db, &query, db_values(db_text(a), db_number(b)), &rows) */
#define db_values(...)                                                                             \
    (const struct db_value[]){__VA_ARGS__},                                                        \
        (int)(sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))

/* BEGIN, SET LOCAL the organisation (NULL: none is set), work, COMMIT. When work or the commit
 * fails for a reason that trying again may mend, everything is rolled back and begun anew with the
 * same context; so work must start from scratch each time and have no effect outside the
 * database, and committing twice must be harmless (the answer to a COMMIT can get lost). Any other
 * answer than DB_OK from work rolls back and is returned. Not nestable (assert). */
enum db_result db_transact(struct db *db, const char *organization,
                           enum db_result (*work)(struct db *db, void *context), void *context);

/* Is a transaction of db_transact under way? */
bool db_in_transaction(const struct db *db);

/* Runs SQL text of several statements without parameters: migrations only. */
enum db_result db_script(struct db *db, const char *sql);

int db_rows_count(const struct db_rows *rows);
/* The cell as NUL-terminated text, NULL for SQL NULL. Lives as long as rows. */
const char *db_cell(const struct db_rows *rows, int row, int column);
int64_t db_cell_number(const struct db_rows *rows, int row, int column); /* NULL is -1 */
bool db_cell_bool(const struct db_rows *rows, int row, int column);      /* NULL is false */
/* A bytea cell decoded; malloc'ed, NULL for SQL NULL. */
uint8_t *db_cell_bytes(const struct db_rows *rows, int row, int column, size_t *bytes);
void db_rows_free(struct db_rows *rows); /* NULL is fine */
/* The same rows once more; NULL without memory. */
struct db_rows *db_rows_copy(const struct db_rows *rows);
/* One of them, as rows of its own; never NULL. */
struct db_rows *db_rows_pick(const struct db_rows *rows, int row);

#endif
