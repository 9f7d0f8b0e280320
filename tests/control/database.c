#include "tests/control/database.h"

#include "control/db/migrate.h"
#include "control/store/numbers.h"
#include "control/store/organizations.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct seal database_seal = {.key = {1, 2, 3}, .has_key = true};

const char *database_url(void)
{
    const char *url = getenv("DATABASE_URL");
    if (!url) {
        fprintf(stderr, "set DATABASE_URL to an empty database: tests/control/pg.sh run \"\" %s\n",
                program_invocation_name);
        exit(1);
    }
    return url;
}

void database_migrate(void)
{
    char error[1024] = "";
    int applied;
    struct db_config config = migrate_config(database_url());
    struct db *db = db_open(&config);
    if (!migrate_run(db, NULL, &applied, error, sizeof error))
        fail_msg("%s", error);
    db_close(db);
}

struct db *database_serving(struct db_figures *figures)
{
    struct db_config config = db_config_serving(database_url(), figures);
    return db_open(&config);
}

struct db *database_admin(void)
{
    struct db_config config = db_config_admin(database_url());
    return db_open(&config);
}

const char *database_ask(const char *sql)
{
    static char answer[65536];
    const struct db_statement query = {sql, 0};
    struct db_rows *rows;
    struct db *db = database_admin();
    answer[0] = '\0';
    if (db_run(db, &query, NULL, 0, &rows) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
    if (db_rows_count(rows) > 0 && db_cell(rows, 0, 0))
        assert_true(span_copy_text(span_of(db_cell(rows, 0, 0)), answer, sizeof answer));
    db_rows_free(rows);
    db_close(db);
    return answer;
}

void database_do(const char *sql)
{
    struct db_config config = migrate_config(database_url());
    struct db *db = db_open(&config);
    if (db_script(db, sql) != DB_OK)
        fail_msg("%s: %s", sql, db_error(db));
    db_close(db);
}

void database_organization(const char *name, const char *number, char id[37])
{
    struct db *db = database_admin();
    if (organizations_add(db, name, id) != DB_OK || numbers_add(db, id, number, "twilio") != DB_OK)
        fail_msg("%s", db_error(db));
    db_close(db);
}

void database_sid(char sid[35], const char *kind, unsigned number)
{
    snprintf(sid, 35, "%.2s%032x", kind, number);
}
