#include "control/db/db.h"

#include "common/clock.h"
#include "common/panic.h"
#include "control/db/db_gate.h"
#include "control/db/db_inner.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define PREPARED_MAX   128
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 1000

struct db {
    struct db_config config;
    PGconn *connection; /* NULL: not connected */
    const struct db_statement *prepared[PREPARED_MAX];
    int prepared_count;
    uint64_t next_try_ns;   /* no connecting before then; 0: the last attempt succeeded */
    uint64_t away_since_ns; /* when the connection was found to be gone; 0: it is not */
    unsigned backoff_ms;
    bool in_transaction;
    char error[512];
    char sqlstate[6];
    char constraint[64];
};

/* One server, one gate: all that serve meet it. */
static struct db_gate serving_gate;

struct db_config db_config_serving(const char *url, struct db_figures *figures)
{
    return (struct db_config){.url = url,
                              .role = DB_ROLE_SERVING,
                              .application = "ringbridge-control",
                              .statement_ms = 2000,
                              .lock_ms = 1000,
                              .idle_ms = 10000,
                              .tries = DB_TRIES_MAX,
                              .patience_ms = 800,
                              .figures = figures,
                              .gate = &serving_gate};
}

struct db_config db_config_admin(const char *url)
{
    return (struct db_config){.url = url,
                              .role = DB_ROLE_ADMIN,
                              .application = "ringbridge-control command",
                              .statement_ms = 30000,
                              .lock_ms = 10000,
                              .idle_ms = 60000,
                              .tries = 1};
}

struct db *db_open(const struct db_config *config)
{
    assert(config->url && config->application);
    assert(config->tries >= 1 && config->tries <= DB_TRIES_MAX);
    struct db *db = calloc(1, sizeof *db);
    if (db)
        db->config = *config;
    return db;
}

static void disconnect(struct db *db)
{
    if (db->connection)
        PQfinish(db->connection);
    if (db->away_since_ns == 0)
        db->away_since_ns = clock_monotonic_ns();
    db->connection = NULL;
    db->prepared_count = 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    disconnect(db);
    free(db);
}

const char *db_error(const struct db *db)
{
    return db->error;
}

const char *db_sqlstate(const struct db *db)
{
    return db->sqlstate;
}

const char *db_constraint(const struct db *db)
{
    return db->constraint;
}

void db_share_error(struct db *to, const struct db *from)
{
    memcpy(to->error, from->error, sizeof to->error);
    memcpy(to->sqlstate, from->sqlstate, sizeof to->sqlstate);
    memcpy(to->constraint, from->constraint, sizeof to->constraint);
}

static void count(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Notes an error in words and drops the rest of libpq's lines: DETAIL may hold row data. */
static void note_error(struct db *db, const char *sqlstate, const char *constraint,
                       const char *text)
{
    int line = (int)strcspn(text, "\n");
    snprintf(db->sqlstate, sizeof db->sqlstate, "%s", sqlstate);
    snprintf(db->constraint, sizeof db->constraint, "%s", constraint);
    snprintf(db->error, sizeof db->error, "%s %.*s", sqlstate, line, text);
}

/* While a backoff runs the reason for it stays. */
static void clear_error(struct db *db)
{
    if (!db->connection && clock_monotonic_ns() < db->next_try_ns)
        return;
    db->error[0] = db->sqlstate[0] = db->constraint[0] = '\0';
}

/* The connection is of no use any more. */
static enum db_result lose(struct db *db, const char *why)
{
    note_error(db, "08006", "", why);
    disconnect(db);
    return DB_AWAY;
}

/* -- connecting -------------------------------------------------------------------------------- */

static int left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = clock_monotonic_ns();
    return now_ns >= deadline_ns ? 0 : (int)((deadline_ns - now_ns) / 1000000 + 1);
}

/* True when the socket is ready in time. */
static bool wait_socket(PGconn *connection, short events, uint64_t deadline_ns)
{
    struct pollfd waiting = {.fd = PQsocket(connection), .events = events};
    for (;;) {
        int ready = poll(&waiting, 1, left_ms(deadline_ns));
        if (ready > 0)
            return true;
        if (ready == 0 && left_ms(deadline_ns) == 0)
            return false;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

static bool finish_connecting(PGconn *connection, uint64_t deadline_ns)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_socket(connection, events, deadline_ns))
            return false;
        status = PQconnectPoll(connection);
    }
    return status == PGRES_POLLING_OK && PQsetnonblocking(connection, 1) == 0;
}

/* Doubles the wait and spreads it, so that workers do not come back all at once. */
static void back_off(struct db *db)
{
    uint32_t dice = 0;
    if (getrandom(&dice, sizeof dice, GRND_NONBLOCK) != sizeof dice)
        dice = (uint32_t)clock_monotonic_ns();
    db->backoff_ms = db->backoff_ms ? db->backoff_ms * 2 : BACKOFF_MIN_MS;
    if (db->backoff_ms > BACKOFF_MAX_MS)
        db->backoff_ms = BACKOFF_MAX_MS;
    uint64_t wait_ms = db->backoff_ms / 2 + dice % (db->backoff_ms / 2 + 1);
    db->next_try_ns = clock_monotonic_ns() + wait_ms * 1000000;
}

/* What a server sends beside results ("there is already a transaction", "skipping") is no news. */
static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

static PGconn *start_connecting(const struct db_config *config)
{
    const char *const keywords[] = {"dbname", "application_name", "client_encoding", NULL};
    const char *const values[] = {config->url, config->application, "UTF8", NULL};
    PGconn *connection = PQconnectStartParams(keywords, values, 1);
    if (connection)
        PQsetNoticeReceiver(connection, ignore_notice, NULL);
    return connection;
}

/* -- one exchange with the server ---------------------------------------------------------------
 */

static enum db_result judge_state(const char *sqlstate)
{
    if (strncmp(sqlstate, "08", 2) == 0 || strncmp(sqlstate, "57P", 3) == 0)
        return DB_AWAY;
    if (strncmp(sqlstate, "40", 2) == 0 || strncmp(sqlstate, "53", 2) == 0 ||
        strncmp(sqlstate, "55", 2) == 0 || strcmp(sqlstate, "57014") == 0 ||
        strcmp(sqlstate, "25P03") == 0)
        return DB_BUSY;
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
        strncmp(sqlstate, "54", 2) == 0 || strcmp(sqlstate, "P0001") == 0)
        return DB_REFUSED;
    return DB_BROKEN;
}

static enum db_result judge(struct db *db, const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return DB_OK;
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    if (!sqlstate) /* made by libpq itself: the connection broke */
        return lose(db, PQerrorMessage(db->connection));
    note_error(db, sqlstate, constraint ? constraint : "", text ? text : "");
    enum db_result verdict = judge_state(db->sqlstate);
    if (verdict == DB_AWAY)
        disconnect(db);
    return verdict;
}

static uint64_t statement_deadline(const struct db *db)
{
    if (db->config.statement_ms == 0)
        return clock_monotonic_ns() + UINT64_C(3600) * 1000000000;
    return clock_monotonic_ns() + (db->config.statement_ms + DB_GRACE_MS) * UINT64_C(1000000);
}

/* Collects the answer to what was sent: the last result, which the caller clears. NULL: lost. */
static PGresult *await(struct db *db)
{
    uint64_t deadline_ns = statement_deadline(db);
    PGresult *last = NULL;
    int unsent;
    while ((unsent = PQflush(db->connection)) > 0) {
        if (!wait_socket(db->connection, POLLOUT | POLLIN, deadline_ns) ||
            !PQconsumeInput(db->connection))
            break;
    }
    bool fine = unsent == 0;
    while (fine) {
        while (fine && PQisBusy(db->connection))
            fine =
                wait_socket(db->connection, POLLIN, deadline_ns) && PQconsumeInput(db->connection);
        if (!fine)
            break;
        PGresult *next = PQgetResult(db->connection);
        if (!next)
            return last;
        /* of several statements the first error counts, else the last result */
        if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
            PQclear(next);
        } else {
            PQclear(last);
            last = next;
        }
    }
    PQclear(last);
    bool frozen = left_ms(deadline_ns) == 0;
    if (frozen) /* the whole server, or this one backend? One of the others finds out for all */
        db_gate_close(db->config.gate, clock_monotonic_ns());
    lose(db, frozen ? "the server did not answer in time" : PQerrorMessage(db->connection));
    return NULL;
}

/* One exchange: what was sent (or why not), its answer, its verdict. */
static enum db_result conclude(struct db *db, int sent, PGresult **result)
{
    *result = NULL;
    if (!sent)
        return lose(db, PQerrorMessage(db->connection));
    *result = await(db);
    if (!*result)
        return DB_AWAY;
    db_gate_open(db->config.gate);
    enum db_result verdict = judge(db, *result);
    if (verdict != DB_OK) {
        PQclear(*result);
        *result = NULL;
    }
    return verdict;
}

static enum db_result simple(struct db *db, const char *sql)
{
    PGresult *result;
    enum db_result verdict = conclude(db, PQsendQuery(db->connection, sql), &result);
    PQclear(result);
    return verdict;
}

/* Names the role and the limits, in one exchange. */
static enum db_result introduce(struct db *db)
{
    char sql[512];
    int bytes =
        snprintf(sql, sizeof sql,
                 "SET statement_timeout = %u; SET lock_timeout = %u; "
                 "SET idle_in_transaction_session_timeout = %u; "
                 "SET search_path = public; SET timezone = 'UTC'; "
                 "SET intervalstyle = 'postgres'; SET bytea_output = 'hex'%s%s",
                 db->config.statement_ms, db->config.lock_ms, db->config.idle_ms,
                 db->config.role ? "; SET ROLE " : "", db->config.role ? db->config.role : "");
    assert(bytes > 0 && (size_t)bytes < sizeof sql);
    return simple(db, sql);
}

/* A server that refuses may be there in a moment; one that says nothing is given longer. */
static enum db_result fail_connecting(struct db *db, enum db_result verdict, uint64_t deadline_ns)
{
    if (db->config.figures)
        count(&db->config.figures->connect_failures);
    disconnect(db);
    back_off(db);
    db_gate_close(db->config.gate, clock_monotonic_ns() >= deadline_ns
                                       ? clock_monotonic_ns() + BACKOFF_MAX_MS * UINT64_C(1000000)
                                       : db->next_try_ns);
    return verdict;
}

/* Another connection has found the server away: ours is left as it is. */
static enum db_result stand_back(struct db *db, uint64_t until_ns)
{
    note_error(db, "08006", "", "the server is away, as another connection has found");
    if (db->away_since_ns == 0)
        db->away_since_ns = clock_monotonic_ns();
    uint64_t soon_ns = clock_monotonic_ns() + BACKOFF_MIN_MS * UINT64_C(1000000);
    db->next_try_ns = until_ns < soon_ns ? until_ns : soon_ns;
    return DB_AWAY;
}

static enum db_result connect_if_needed(struct db *db)
{
    uint64_t now_ns = clock_monotonic_ns(), until_ns;
    uint64_t deadline_ns = now_ns + DB_CONNECT_MS * UINT64_C(1000000);
    if (db->in_transaction && db->connection)
        return DB_OK;
    if (db_gate_closed(db->config.gate, now_ns, &until_ns))
        return stand_back(db, until_ns);
    if (!db->connection && now_ns < db->next_try_ns)
        return DB_AWAY; /* db->error still says why */
    if (!db_gate_try(db->config.gate, now_ns, deadline_ns))
        return stand_back(db, UINT64_MAX);
    if (db_gate_closed(db->config.gate, now_ns, &until_ns))
        disconnect(db); /* ours to try, by what is soon known: a connection made anew */
    if (db->connection) {
        db->next_try_ns = db->away_since_ns = 0;
        return DB_OK;
    }
    db->connection = start_connecting(&db->config);
    if (!db->connection || !finish_connecting(db->connection, deadline_ns)) {
        const char *why = db->connection ? PQerrorMessage(db->connection) : "out of memory";
        note_error(db, "08001", "", why[0] ? why : "no answer while connecting");
        return fail_connecting(db, DB_AWAY, deadline_ns);
    }
    enum db_result verdict = introduce(db);
    if (verdict != DB_OK) /* a role that is not there is our set-up, not somebody's data */
        return fail_connecting(db, verdict == DB_REFUSED ? DB_BROKEN : verdict, deadline_ns);
    if (db->config.figures)
        count(&db->config.figures->connects);
    db->backoff_ms = 0;
    db->next_try_ns = 0;
    db->away_since_ns = 0;
    db_gate_open(db->config.gate);
    return DB_OK;
}

/* -- statements ---------------------------------------------------------------------------------
 */

static void name_statement(int index, char name[16])
{
    snprintf(name, 16, "s%d", index);
}

static enum db_result prepare_if_needed(struct db *db, const struct db_statement *statement,
                                        char name[16])
{
    int index = 0;
    while (index < db->prepared_count && db->prepared[index] != statement)
        index++;
    name_statement(index, name);
    if (index < db->prepared_count)
        return DB_OK;
    assert(index < PREPARED_MAX); /* raise it when control has more queries */
    PGresult *result;
    enum db_result verdict =
        conclude(db, PQsendPrepare(db->connection, name, statement->sql, 0, NULL), &result);
    PQclear(result);
    if (verdict == DB_OK)
        db->prepared[db->prepared_count++] = statement;
    return verdict;
}

static enum db_result execute(struct db *db, const char *name, const struct db_value *values,
                              int values_count, PGresult **result)
{
    const char *texts[DB_PARAMETERS_MAX];
    int lengths[DB_PARAMETERS_MAX], formats[DB_PARAMETERS_MAX];
    assert(values_count <= DB_PARAMETERS_MAX);
    for (int i = 0; i < values_count; i++) {
        texts[i] = values[i].in_room ? values[i].room : values[i].text;
        lengths[i] = values[i].bytes;
        formats[i] = values[i].binary;
    }
    return conclude(
        db, PQsendQueryPrepared(db->connection, name, values_count, texts, lengths, formats, 0),
        result);
}

static enum db_result run_once(struct db *db, const struct db_statement *statement,
                               const struct db_value *values, int values_count, PGresult **result)
{
    char name[16];
    *result = NULL;
    uint64_t began_ns = clock_monotonic_ns();
    enum db_result verdict = connect_if_needed(db);
    if (verdict == DB_OK)
        verdict = prepare_if_needed(db, statement, name);
    if (verdict == DB_OK)
        verdict = execute(db, name, values, values_count, result);
    if (db->config.figures)
        db_figures_note(db->config.figures, (clock_monotonic_ns() - began_ns) / 1000, verdict);
    return verdict;
}

static void sleep_until(uint64_t wake_ns)
{
    struct timespec wake = {.tv_sec = (time_t)(wake_ns / 1000000000),
                            .tv_nsec = (long)(wake_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL) == EINTR)
        ;
}

/* Is another try worth while? Waits for its time when the server is away but has not been for
 * longer than our patience. Tries that met the server count; what a connection that cannot be made
 * costs is bounded by the patience. */
static bool may_mend(struct db *db, enum db_result verdict, unsigned *tries)
{
    bool met_server = db->next_try_ns == 0;
    if (met_server && ++*tries >= db->config.tries)
        return false;
    if (verdict == DB_BUSY)
        return strncmp(db->sqlstate, "40", 2) == 0;
    if (verdict != DB_AWAY)
        return false;
    if (db->next_try_ns > db->away_since_ns + db->config.patience_ms * UINT64_C(1000000))
        return false;
    sleep_until(db->next_try_ns);
    return true;
}

static void note_retry(struct db *db)
{
    clear_error(db);
    if (db->config.figures)
        count(&db->config.figures->retries);
}

enum db_result db_run(struct db *db, const struct db_statement *statement,
                      const struct db_value *values, int values_count, struct db_rows **rows)
{
    assert(values_count == statement->parameters);
    PGresult *result = NULL;
    enum db_result verdict;
    if (rows)
        *rows = NULL;
    if (db->in_transaction && !db->connection)
        return DB_AWAY; /* it broke inside the transaction: only db_transact may begin again */
    clear_error(db);
    for (unsigned tries = 0;;) {
        verdict = run_once(db, statement, values, values_count, &result);
        if (db->in_transaction || verdict == DB_OK || !may_mend(db, verdict, &tries))
            break;
        note_retry(db);
    }
    if (verdict != DB_OK || !rows) {
        PQclear(result);
        return verdict;
    }
    *rows = malloc(sizeof **rows);
    assert(*rows); /* control may allocate; without 16 bytes there is nothing sensible to do */
    (*rows)->result = result;
    return DB_OK;
}

enum db_result db_script(struct db *db, const char *sql)
{
    enum db_result verdict = connect_if_needed(db);
    return verdict == DB_OK ? simple(db, sql) : verdict;
}

enum db_result db_ping(struct db *db)
{
    static const struct db_statement ping = {"SELECT 1", 0};
    return db_run(db, &ping, NULL, 0, NULL);
}

/* -- transactions -------------------------------------------------------------------------------
 */

static enum db_result begin(struct db *db, const char *organization)
{
    static const struct db_statement name_organization = {
        "SELECT set_config('ringbridge.organization', $1, true)", 1};
    PGresult *result = NULL;
    enum db_result verdict = connect_if_needed(db);
    if (verdict == DB_OK)
        verdict = simple(db, "BEGIN");
    if (verdict == DB_OK && organization) {
        struct db_value value = db_text(organization);
        verdict = run_once(db, &name_organization, &value, 1, &result);
        PQclear(result);
    }
    return verdict;
}

/* Keeps the words of the error that led here. */
static void roll_back(struct db *db)
{
    if (!db->connection)
        return;
    PGresult *result = NULL;
    if (PQsendQuery(db->connection, "ROLLBACK"))
        result = await(db);
    if (db->connection && (!result || PQresultStatus(result) != PGRES_COMMAND_OK))
        disconnect(db);
    PQclear(result);
}

static enum db_result transact_once(struct db *db, const char *organization,
                                    enum db_result (*work)(struct db *db, void *context),
                                    void *context)
{
    enum db_result verdict = begin(db, organization);
    if (verdict == DB_OK) {
        db->in_transaction = true;
        verdict = work(db, context);
        db->in_transaction = false;
        if (verdict == DB_OK && !db->connection)
            verdict = DB_AWAY; /* work overlooked that the connection broke */
    }
    assert(verdict != DB_OK || PQtransactionStatus(db->connection) == PQTRANS_INTRANS);
    if (verdict == DB_OK)
        verdict = simple(db, "COMMIT");
    if (verdict != DB_OK)
        roll_back(db);
    return verdict;
}

bool db_in_transaction(const struct db *db)
{
    return db->in_transaction;
}

enum db_result db_transact(struct db *db, const char *organization,
                           enum db_result (*work)(struct db *db, void *context), void *context)
{
    assert(!db->in_transaction);
    clear_error(db);
    for (unsigned tries = 0;;) {
        enum db_result verdict = transact_once(db, organization, work, context);
        if (verdict == DB_OK || !may_mend(db, verdict, &tries))
            return verdict;
        note_retry(db);
    }
}
