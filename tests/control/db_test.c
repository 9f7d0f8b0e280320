/* Connections that break, servers that restart, freeze or refuse: what db makes of it. The cluster
 * is pg.sh's (PG_DIR and PG_SH say where), so it may be stopped and started here. */
#include "tests/control/database.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct db_figures figures;
static struct db *db;

static int begin(void **state)
{
    (void)state;
    database_migrate();
    database_do("CREATE TABLE ledger (entry integer PRIMARY KEY);"
                "GRANT ALL ON ledger TO ringbridge_serving");
    return 0;
}

static int open_one(void **state)
{
    (void)state;
    memset(&figures, 0, sizeof figures);
    db = database_serving(&figures);
    database_do("DELETE FROM ledger");
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    db_close(db);
    return 0;
}

static uint64_t read_figure(atomic_uint_fast64_t *figure)
{
    return atomic_load(figure);
}

static int backend_of(struct db *of)
{
    static const struct db_statement query = {"SELECT pg_backend_pid()", 0};
    struct db_rows *rows;
    assert_int_equal(db_run(of, &query, NULL, 0, &rows), DB_OK);
    int pid = (int)db_cell_number(rows, 0, 0);
    db_rows_free(rows);
    return pid;
}

static void kill_backend(int pid)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d, 5000)", pid);
    database_do(sql);
}

static enum db_result insert(struct db *into, int64_t entry)
{
    static const struct db_statement query = {"INSERT INTO ledger VALUES ($1::integer)", 1};
    return db_run(into, &query, db_values(db_number(entry)), NULL);
}

static void a_statement_outlives_its_connection(void **state)
{
    (void)state;
    kill_backend(backend_of(db));
    assert_int_equal(insert(db, 1), DB_OK);
    assert_string_equal(database_ask("SELECT 1"), "1");
    assert_int_equal(read_figure(&figures.connects), 2);
    assert_true(read_figure(&figures.retries) >= 1);
}

/* Writes two rows; on its first attempt somebody kills the connection in between. */
struct attempt {
    int times;
};

static enum db_result write_two(struct db *into, void *context)
{
    struct attempt *attempt = context;
    enum db_result result = insert(into, 1);
    if (result == DB_OK && attempt->times++ == 0)
        kill_backend(backend_of(into));
    return result == DB_OK ? insert(into, 2) : result;
}

static void a_transaction_is_begun_again_as_a_whole(void **state)
{
    (void)state;
    struct attempt attempt = {0};
    assert_int_equal(db_transact(db, NULL, write_two, &attempt), DB_OK);
    assert_int_equal(attempt.times, 2);
    struct db *look = database_serving(NULL);
    static const struct db_statement count = {"SELECT count(*) FROM ledger", 0};
    struct db_rows *rows;
    assert_int_equal(db_run(look, &count, NULL, 0, &rows), DB_OK);
    assert_int_equal(db_cell_number(rows, 0, 0), 2);
    db_rows_free(rows);
    db_close(look);
}

static enum db_result write_and_refuse(struct db *into, void *context)
{
    (void)context;
    enum db_result result = insert(into, 7);
    return result == DB_OK ? insert(into, 7) : result;
}

static void a_refused_transaction_leaves_nothing_and_says_why(void **state)
{
    (void)state;
    assert_int_equal(db_transact(db, NULL, write_and_refuse, NULL), DB_REFUSED);
    assert_string_equal(db_sqlstate(db), "23505");
    assert_string_equal(db_constraint(db), "ledger_pkey");
    assert_null(strstr(db_error(db), "(7)")); /* DETAIL holds data and is left out */
    assert_int_equal(insert(db, 7), DB_OK);
}

static enum db_result read_organization(struct db *from, void *context)
{
    static const struct db_statement query = {
        "SELECT coalesce(current_setting('ringbridge.organization', true), '')", 0};
    struct db_rows *rows;
    enum db_result result = db_run(from, &query, NULL, 0, &rows);
    if (result == DB_OK)
        snprintf(context, 64, "%s", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

static void the_organization_is_named_for_one_transaction(void **state)
{
    (void)state;
    static const char id[] = "aaaaaaaa-0000-4000-8000-000000000001";
    char named[64];
    assert_int_equal(db_transact(db, id, read_organization, named), DB_OK);
    assert_string_equal(named, id);
    assert_int_equal(db_transact(db, NULL, read_organization, named), DB_OK);
    assert_string_equal(named, "");
}

/* Two transactions that take two rows in opposite order. */
struct crossing {
    struct db *db;
    int first, second;
    pthread_barrier_t *meet;
    bool met;
    enum db_result result;
};

static enum db_result cross(struct db *in, void *context)
{
    static const struct db_statement take = {
        "SELECT FROM ledger WHERE entry = $1::integer FOR UPDATE", 1};
    struct crossing *crossing = context;
    enum db_result result = db_run(in, &take, db_values(db_number(crossing->first)), NULL);
    if (!crossing->met) {
        crossing->met = true;
        pthread_barrier_wait(crossing->meet);
    }
    if (result == DB_OK)
        result = db_run(in, &take, db_values(db_number(crossing->second)), NULL);
    return result;
}

static void *run_crossing(void *context)
{
    struct crossing *crossing = context;
    crossing->result = db_transact(crossing->db, NULL, cross, crossing);
    return NULL;
}

static void a_deadlock_is_tried_again(void **state)
{
    (void)state;
    pthread_barrier_t meet;
    pthread_t threads[2];
    struct crossing crossings[2];
    struct db_config config = db_config_serving(database_url(), &figures);
    config.lock_ms = 20000; /* the server's deadlock check comes first */
    config.statement_ms = 20000;
    assert_int_equal(insert(db, 1), DB_OK);
    assert_int_equal(insert(db, 2), DB_OK);
    pthread_barrier_init(&meet, NULL, 2);
    for (int i = 0; i < 2; i++) {
        crossings[i] = (struct crossing){db_open(&config), i + 1, 2 - i, &meet, false, DB_BROKEN};
        pthread_create(&threads[i], NULL, run_crossing, &crossings[i]);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(crossings[i].result, DB_OK);
        db_close(crossings[i].db);
    }
    pthread_barrier_destroy(&meet);
    assert_true(read_figure(&figures.retries) >= 1);
}

static enum db_result lock_ledger(struct db *in, void *context)
{
    static const struct db_statement lock = {"LOCK TABLE ledger", 0};
    struct db *other = context;
    enum db_result result = db_run(in, &lock, NULL, 0, NULL);
    if (result == DB_OK) {
        assert_int_equal(insert(other, 1), DB_BUSY);
        assert_string_equal(db_sqlstate(other), "55P03");
    }
    return result;
}

static void a_lock_that_is_held_is_busy(void **state)
{
    (void)state;
    struct db_config config = db_config_serving(database_url(), NULL);
    config.lock_ms = 50;
    struct db *other = db_open(&config);
    assert_int_equal(db_transact(db, NULL, lock_ledger, other), DB_OK);
    db_close(other);
}

static void a_statement_that_takes_too_long_is_busy(void **state)
{
    (void)state;
    static const struct db_statement sleeps = {"SELECT pg_sleep(60)", 0};
    struct db_config config = db_config_serving(database_url(), NULL);
    config.statement_ms = 50;
    struct db *impatient = db_open(&config);
    assert_int_equal(db_run(impatient, &sleeps, NULL, 0, NULL), DB_BUSY);
    assert_string_equal(db_sqlstate(impatient), "57014");
    db_close(impatient);
}

static void a_frozen_server_does_not_freeze_us(void **state)
{
    (void)state;
    struct db_config config = db_config_serving(database_url(), NULL);
    config.statement_ms = 100;
    config.patience_ms = 0;
    config.tries = 1;
    struct db *mine = db_open(&config);
    int pid = backend_of(mine);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(db_ping(mine), DB_AWAY);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(db_ping(mine), DB_OK);
    db_close(mine);
}

static void a_wrong_set_up_is_broken_and_not_tried_again(void **state)
{
    (void)state;
    static const struct db_statement missing = {"SELECT * FROM no_such_table", 0};
    static const struct db_statement forbidden = {"SELECT * FROM schema_migrations", 0};
    assert_int_equal(db_run(db, &missing, NULL, 0, NULL), DB_BROKEN);
    assert_int_equal(db_run(db, &forbidden, NULL, 0, NULL), DB_BROKEN);
    assert_int_equal(read_figure(&figures.retries), 0);
    struct db_config config = db_config_serving(database_url(), NULL);
    config.role = "no_such_role";
    struct db *other = db_open(&config);
    assert_int_equal(db_ping(other), DB_BROKEN);
    assert_non_null(strstr(db_error(other), "no_such_role"));
    db_close(other);
}

static void binary_and_null_come_back_as_they_went(void **state)
{
    (void)state;
    static const struct db_statement echo = {"SELECT $1::bytea, $2::text, $3::boolean, $4::bigint",
                                             4};
    uint8_t bytes[256];
    size_t length;
    struct db_rows *rows;
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(db_run(db, &echo,
                            db_values(db_bytes(span_from(bytes, 256)), db_text(NULL), db_bool(true),
                                      db_number(INT64_MIN)),
                            &rows),
                     DB_OK);
    uint8_t *back = db_cell_bytes(rows, 0, 0, &length);
    assert_int_equal(length, 256);
    assert_memory_equal(back, bytes, 256);
    assert_null(db_cell(rows, 0, 1));
    assert_true(db_cell_bool(rows, 0, 2));
    assert_string_equal(db_cell(rows, 0, 3), "-9223372036854775808");
    free(back);
    db_rows_free(rows);
}

static void say_to_server(const char *words)
{
    char command[2048];
    const char *dir = getenv("PG_DIR"), *script = getenv("PG_SH");
    assert_non_null(dir);
    assert_non_null(script);
    snprintf(command, sizeof command, "PG_FSYNC=off %s %s %s >/dev/null", script, words, dir);
    assert_int_equal(system(command), 0);
}

/* Writes entries until told to stop; each must be there exactly once in the end. */
struct writer {
    atomic_bool stop;
    atomic_int acknowledged;
    int away;
};

static void *keep_writing(void *context)
{
    static const struct db_statement query = {
        "INSERT INTO ledger VALUES ($1::integer) ON CONFLICT DO NOTHING", 1};
    struct writer *writer = context;
    struct db *mine = database_serving(&figures);
    int entry = 1000;
    while (!atomic_load(&writer->stop)) {
        enum db_result result = db_run(mine, &query, db_values(db_number(entry)), NULL);
        if (result == DB_OK) {
            entry++;
            atomic_fetch_add(&writer->acknowledged, 1);
        } else {
            writer->away++;
            assert_true(result == DB_AWAY || result == DB_BUSY);
        }
    }
    db_close(mine);
    return NULL;
}

static void wait_for_more(struct writer *writer)
{
    int before = atomic_load(&writer->acknowledged);
    while (atomic_load(&writer->acknowledged) < before + 20)
        sched_yield();
}

static void what_was_acknowledged_survives_a_crash_of_the_server(void **state)
{
    (void)state;
    struct writer writer = {0};
    pthread_t thread;
    char expected[32];
    pthread_create(&thread, NULL, keep_writing, &writer);
    wait_for_more(&writer);
    say_to_server("crash");
    say_to_server("start");
    wait_for_more(&writer);
    atomic_store(&writer.stop, true);
    pthread_join(thread, NULL);
    snprintf(expected, sizeof expected, "%d", atomic_load(&writer.acknowledged));
    static const struct db_statement count = {"SELECT count(*) FROM ledger WHERE entry >= 1000", 0};
    struct db_rows *rows;
    assert_int_equal(db_run(db, &count, NULL, 0, &rows), DB_OK);
    assert_string_equal(db_cell(rows, 0, 0), expected);
    db_rows_free(rows);
    assert_true(read_figure(&figures.connects) >= 2);
}

static void without_a_server_calls_fail_and_do_not_wait_for_ever(void **state)
{
    (void)state;
    assert_int_equal(db_ping(db), DB_OK);
    say_to_server("stop");
    assert_int_equal(db_ping(db), DB_AWAY);
    /* the absence is known now: within a backoff interval not even an attempt is made */
    uint64_t failures = read_figure(&figures.connect_failures);
    for (int i = 0; i < 100; i++)
        assert_int_equal(db_ping(db), DB_AWAY);
    assert_true(read_figure(&figures.connect_failures) - failures < 100);
    assert_true(db_error(db)[0]);
    say_to_server("start");
    while (db_ping(db) == DB_AWAY)
        sched_yield();
    assert_int_equal(db_ping(db), DB_OK);
}

static void figures_are_told_in_prometheus_words(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(db_ping(db), DB_OK);
    assert_int_equal(insert(db, 1), DB_OK);
    assert_int_equal(insert(db, 1), DB_REFUSED);
    db_figures_write(out, &figures);
    fclose(out);
    assert_non_null(strstr(text, "statements_total{result=\"ok\"} 2\n"));
    assert_non_null(strstr(text, "statements_total{result=\"refused\"} 1\n"));
    assert_non_null(strstr(text, "statement_seconds_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "statement_seconds_count 3\n"));
    free(text);
}

#define one(test) cmocka_unit_test_setup_teardown(test, open_one, close_one)

int main(void)
{
    const struct CMUnitTest tests[] = {
        one(a_statement_outlives_its_connection),
        one(a_transaction_is_begun_again_as_a_whole),
        one(a_refused_transaction_leaves_nothing_and_says_why),
        one(the_organization_is_named_for_one_transaction),
        one(a_deadlock_is_tried_again),
        one(a_lock_that_is_held_is_busy),
        one(a_statement_that_takes_too_long_is_busy),
        one(a_frozen_server_does_not_freeze_us),
        one(a_wrong_set_up_is_broken_and_not_tried_again),
        one(binary_and_null_come_back_as_they_went),
        one(what_was_acknowledged_survives_a_crash_of_the_server),
        one(without_a_server_calls_fail_and_do_not_wait_for_ever),
        one(figures_are_told_in_prometheus_words),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
