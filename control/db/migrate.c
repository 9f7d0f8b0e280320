#include "control/db/migrate.h"

#include "common/panic.h"
#include "control/base/seal.h"

#include <stdlib.h>

#define LOCK          "SELECT pg_advisory_lock(7248230151)"
#define UNLOCK        "SELECT pg_advisory_unlock(7248230151)"
#define HASH_TEXT_MAX (2 * SEAL_HASH_BYTES + 1)

/* The table that remembers. Only its owner may see it; the gate answers schema_version() for all.
 * Its own guard, because guard_table() is only made by the first step. */
static const char remember_sql[] =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    " number integer PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
    " applied_at timestamptz NOT NULL DEFAULT now());"
    "COMMENT ON TABLE schema_migrations IS 'Which files of sql/ were applied to this database.';"
    "COMMENT ON COLUMN schema_migrations.number IS 'The file''s number.';"
    "COMMENT ON COLUMN schema_migrations.name IS 'The file''s name.';"
    "COMMENT ON COLUMN schema_migrations.sha256 IS 'What it held, so that a later change is "
    "noticed.';"
    "COMMENT ON COLUMN schema_migrations.applied_at IS 'When it was applied.';"
    "ALTER TABLE schema_migrations ENABLE ROW LEVEL SECURITY;"
    "ALTER TABLE schema_migrations FORCE ROW LEVEL SECURITY;"
    "DO $$ BEGIN"
    " IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = 'public'"
    "                AND tablename = 'schema_migrations' AND policyname = 'owner') THEN"
    "  CREATE POLICY owner ON schema_migrations TO CURRENT_USER USING (true) WITH CHECK (true);"
    "  CREATE POLICY gate ON schema_migrations FOR SELECT TO ringbridge_gate USING (true);"
    "  GRANT SELECT ON schema_migrations TO ringbridge_gate;"
    " END IF; END $$;"
    "CREATE OR REPLACE FUNCTION schema_version() RETURNS integer"
    " LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp"
    " AS 'SELECT coalesce(max(number), 0) FROM schema_migrations';"
    "COMMENT ON FUNCTION schema_version() IS 'Number of the last migration applied.';"
    "REVOKE ALL ON FUNCTION schema_version() FROM PUBLIC;"
    "GRANT EXECUTE ON FUNCTION schema_version() TO ringbridge_serving, ringbridge_admin;"
    "GRANT CREATE ON SCHEMA public TO ringbridge_gate;"
    "ALTER FUNCTION schema_version() OWNER TO ringbridge_gate;"
    "REVOKE CREATE ON SCHEMA public FROM ringbridge_gate;";

static void hash_text(const char *sql, char text[HASH_TEXT_MAX])
{
    uint8_t hash[SEAL_HASH_BYTES];
    seal_hash(span_of(sql), hash);
    for (int i = 0; i < SEAL_HASH_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

static bool explain(struct db *db, const char *what, const char *mend, char *error, size_t room)
{
    snprintf(error, room, "%s: %s%s%s", what, db_error(db), mend[0] ? ". " : "", mend);
    return false;
}

static bool make_roles(struct db *db, char *error, size_t room)
{
    enum db_result result = db_script(db, migrate_roles);
    if (result == DB_OK)
        return true;
    if (result == DB_AWAY)
        return explain(db, "cannot reach the database",
                       "Check DATABASE_URL and that PostgreSQL runs", error, room);
    return explain(db, "cannot make the roles of ringbridge",
                   "Let a superuser run sql/roles.sql once and then: GRANT ringbridge_serving, "
                   "ringbridge_gate, ringbridge_api, ringbridge_admin TO the user of DATABASE_URL;",
                   error, room);
}

/* What was applied must be what this program carries. highest: the last number applied. */
static bool check_history(struct db *db, int *highest, char *error, size_t room)
{
    static const struct db_statement query = {
        "SELECT number, name, sha256 FROM schema_migrations ORDER BY number", 0};
    struct db_rows *rows;
    *highest = 0;
    if (db_run(db, &query, NULL, 0, &rows) != DB_OK)
        return explain(db, "cannot read schema_migrations",
                       "Run migrate as the user who ran it first", error, room);
    bool fine = true;
    for (int row = 0; fine && row < db_rows_count(rows); row++) {
        char hash[HASH_TEXT_MAX];
        *highest = (int)db_cell_number(rows, row, 0);
        if (*highest != row + 1 || *highest > migrate_steps_count) {
            snprintf(error, room,
                     "the database knows migration %d (%s), this program does not: it is older "
                     "than the database. Install the newer program",
                     *highest, db_cell(rows, row, 1));
            fine = false;
            break;
        }
        hash_text(migrate_steps[row].sql, hash);
        if (strcmp(hash, db_cell(rows, row, 2)) != 0) {
            snprintf(error, room,
                     "sql/%s was changed after it was applied. Put it back and write the change as "
                     "a new migration (a development database can be dropped and made anew)",
                     migrate_steps[row].name);
            fine = false;
        }
    }
    db_rows_free(rows);
    return fine;
}

static enum db_result apply(struct db *db, void *context)
{
    static const struct db_statement remember = {
        "INSERT INTO schema_migrations (number, name, sha256) VALUES ($1::integer, $2, $3)", 3};
    const struct migrate_step *step = context;
    char hash[HASH_TEXT_MAX];
    hash_text(step->sql, hash);
    enum db_result result = db_script(db, step->sql);
    if (result == DB_OK)
        result =
            db_run(db, &remember,
                   db_values(db_number(step->number), db_text(step->name), db_text(hash)), NULL);
    return result;
}

static bool apply_missing(struct db *db, FILE *report, int *applied, char *error, size_t room)
{
    int highest;
    if (db_script(db, remember_sql) != DB_OK)
        return explain(
            db, "cannot make schema_migrations",
            "The user of DATABASE_URL must own the database: ALTER DATABASE ... OWNER TO", error,
            room);
    if (!check_history(db, &highest, error, room))
        return false;
    for (int i = highest; i < migrate_steps_count; i++) {
        struct migrate_step step = migrate_steps[i];
        if (db_transact(db, NULL, apply, &step) != DB_OK) {
            char what[128];
            snprintf(what, sizeof what, "sql/%s failed and was rolled back", step.name);
            return explain(db, what, "", error, room);
        }
        ++*applied;
        if (report)
            fprintf(report, "applied %s\n", step.name);
    }
    return true;
}

struct db_config migrate_config(const char *url)
{
    return (struct db_config){.url = url, .application = "ringbridge-control migrate", .tries = 1};
}

bool migrate_run(struct db *db, FILE *report, int *applied, char *error, size_t room)
{
    *applied = 0;
    if (db_script(db, LOCK) != DB_OK)
        return explain(db, "cannot reach the database",
                       "Check DATABASE_URL and that PostgreSQL runs", error, room);
    bool done = make_roles(db, error, room) && apply_missing(db, report, applied, error, room);
    (void)db_script(db, UNLOCK); /* a lost connection has given it back already */
    return done;
}

enum db_result migrate_missing(struct db *db, int *missing)
{
    static const struct db_statement query = {"SELECT schema_version()", 0};
    struct db_rows *rows;
    *missing = migrate_steps_count;
    enum db_result result = db_run(db, &query, NULL, 0, &rows);
    if (result == DB_OK)
        *missing = migrate_steps_count - (int)db_cell_number(rows, 0, 0);
    db_rows_free(rows);
    /* 42883: there is no such function, so nothing was ever applied */
    return result == DB_BROKEN && strcmp(db_sqlstate(db), "42883") == 0 ? DB_OK : result;
}
