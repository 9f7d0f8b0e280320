/* Jobs against a real PostgreSQL: one effect under crashes at any line, leases taken over, poison
 * parked, fairness, limits, and the way back. The kinds are this test's own; the engine takes the
 * table from whoever opens it. */
#include "tests/control/database.h"

#include "common/clock.h"
#include "control/jobs/job.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RUN_A "11111111-1111-4111-8111-111111111111"
#define RUN_B "22222222-2222-4222-8222-222222222222"

static struct db *db;
static char acme[37], beta[37];

static int begin(void **state)
{
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", acme);
    database_organization("Beta", "+15550101", beta);
    database_do("CREATE TABLE effects (organization_id uuid, key text, at timestamptz DEFAULT "
                "clock_timestamp()); GRANT SELECT, INSERT ON effects TO ringbridge_serving, "
                "ringbridge_admin;");
    db = database_serving(NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db_close(db);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    database_do("TRUNCATE effects; DELETE FROM jobs;");
    return 0;
}

/* ---- making jobs ---- */

struct wish {
    const char *organization, *kind, *key, *payload;
    bool made, fails;
};

static enum db_result wish(struct db *mine, void *context)
{
    struct wish *wish = context;
    enum db_result result =
        jobs_enqueue(mine, wish->organization, wish->kind, wish->key, wish->payload, &wish->made);
    return wish->fails && result == DB_OK ? DB_REFUSED : result;
}

static bool make(const char *organization, const char *kind, const char *key, const char *payload)
{
    struct wish one = {organization, kind, key, payload, false, false};
    assert_int_equal(db_transact(db, organization, wish, &one), DB_OK);
    return one.made;
}

static void make_many(const char *organization, const char *kind, int count)
{
    char key[32];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%05d", i);
        assert_true(make(organization, kind, key, "{}"));
    }
}

static int asked(const char *sql)
{
    return (int)strtol(database_ask(sql), NULL, 10);
}

static void await(const char *sql, const char *answer)
{
    uint64_t until_ns = clock_monotonic_ns() + UINT64_C(60000000000);
    while (strcmp(database_ask(sql), answer) != 0) {
        if (clock_monotonic_ns() > until_ns)
            fail_msg("%s never became %s but %s", sql, answer, database_ask(sql));
        usleep(20000); /* between two questions */
    }
}

/* ---- the kinds of this test ---- */

static atomic_int at_once, at_once_most;

static enum db_result note_effect(struct db *mine, void *context)
{
    static const struct db_statement query = {
        "INSERT INTO effects (organization_id, key) VALUES ($1::uuid, $2)", 2};
    const struct job *job = context;
    return db_run(mine, &query,
                  db_values(db_text(job->claimed.organization), db_text(job->claimed.key)), NULL);
}

static enum job_end tally(struct job *job, struct db *mine, void *context)
{
    (void)context;
    int now = ++at_once;
    if (now > at_once_most)
        at_once_most = now;
    enum db_result result = job_commit(job, mine, note_effect, job);
    at_once--;
    return result == DB_OK ? JOB_DONE : job_later(job, "%s", db_error(mine));
}

/* Ends the whole process when it meets poison, as a decoder's crash would. */
static enum job_end poisonable(struct job *job, struct db *mine, void *context)
{
    if (json_is_true(json_object_get(job->payload, "poison")))
        _exit(3);
    return tally(job, mine, context);
}

static enum job_end failing(struct job *job, struct db *mine, void *context)
{
    (void)mine;
    (void)context;
    return job_later(job, "the other side said %d", 500);
}

static enum job_end hopeless(struct job *job, struct db *mine, void *context)
{
    (void)mine;
    (void)context;
    return job_dead(job, "there is no such thing");
}

/* Works until it is told to stop. */
static enum job_end endless(struct job *job, struct db *mine, void *context)
{
    (void)mine;
    (void)context;
    while (!job_must_stop(job))
        usleep(1000);
    return JOB_RETURNED;
}

/* As if somebody had answered 429 the first time, 404 the second. */
static enum job_end asking(struct job *job, struct db *mine, void *context)
{
    const struct http_client_response busy = {.retry_after_s = 1800,
                                              .try_again = true,
                                              .error = "they answered 429"},
                                      never = {.retry_after_s = -1, .error = "they answered 404"};
    (void)mine;
    (void)context;
    return job_asked(job, job->claimed.tries == 1 ? &busy : &never);
}

static const struct job_kind tally_kind = {{"tally", 0, 0, 1000}, 10, 0, tally};
static const struct job_kind single_kind = {{"single", 1, 0, 1000}, 10, 0, tally};
static const struct job_kind poison_kind = {{"poisonable", 0, 0, 300}, 10, 0, poisonable};
static const struct job_kind failing_kind = {{"failing", 0, 0, 1000}, 2, 0, failing};
static const struct job_kind hopeless_kind = {{"hopeless", 0, 0, 1000}, 10, 0, hopeless};
static const struct job_kind endless_kind = {{"endless", 0, 0, 4000}, 10, 0, endless};
static const struct job_kind asking_kind = {{"asking", 0, 0, 1000}, 2, 0, asking};
static const struct job_kind *const kinds[] = {&tally_kind,   &single_kind,   &poison_kind,
                                               &failing_kind, &hopeless_kind, &endless_kind,
                                               &asking_kind};
static const struct jobs_kind limited[] = {{"tally", 0, 5, 60000}};

static struct job_pool *open_pool(const char *run, unsigned workers, struct job_figures *figures)
{
    char error[256];
    struct job_config config = {.workers = workers,
                                .kinds = kinds,
                                .kinds_count = 7,
                                .run = run,
                                .db = db_config_serving(database_url(), NULL),
                                .figures = figures};
    struct job_pool *pool = job_open(&config, error, sizeof error);
    if (!pool)
        fail_msg("%s", error);
    return pool;
}

#define EACH_ONCE                                                                                  \
    "SELECT count(*) = count(DISTINCT (organization_id, key)) AND count(*) = (SELECT count(*) "    \
    "FROM jobs WHERE state = 'done') FROM effects"

/* ---- tests ---- */

static void a_job_is_made_once_with_the_fact_or_not_at_all(void **state)
{
    (void)state;
    assert_true(make(acme, "tally", "one", "{\"a\":1}"));
    assert_false(make(acme, "tally", "one", "{\"a\":2}"));
    assert_true(make(beta, "tally", "one", "{}")); /* keys of two organisations never meet */
    struct wish undone = {acme, "tally", "two", "{}", false, true};
    assert_int_equal(db_transact(db, acme, wish, &undone), DB_REFUSED);
    struct wish foreign = {beta, "tally", "three", "{}", false, false};
    assert_int_not_equal(db_transact(db, acme, wish, &foreign), DB_OK);
    char *large = malloc(JOBS_PAYLOAD_BYTES + 64);
    assert_non_null(large);
    int head = sprintf(large, "{\"x\":\"");
    memset(large + head, 'x', JOBS_PAYLOAD_BYTES);
    memcpy(large + head + JOBS_PAYLOAD_BYTES, "\"}", 3);
    struct wish huge = {acme, "tally", "four", large, false, false};
    assert_int_equal(db_transact(db, acme, wish, &huge), DB_REFUSED);
    free(large);
    assert_string_equal(
        database_ask(
            "SELECT string_agg(payload::text, ' ' ORDER BY length(payload::text)) FROM jobs"),
        "{} {\"a\": 1}");
}

static void two_controls_share_the_work(void **state)
{
    (void)state;
    struct job_figures figures[7] = {{.kind = NULL}};
    make_many(acme, "tally", 60);
    make_many(beta, "tally", 60);
    struct job_pool *a = open_pool(RUN_A, 3, figures), *b = open_pool(RUN_B, 3, NULL);
    await("SELECT count(*) FROM jobs WHERE state = 'done'", "120");
    job_close(a);
    job_close(b);
    assert_string_equal(database_ask(EACH_ONCE), "t");
    assert_int_equal(asked("SELECT max(tries) FROM jobs"), 1);
    assert_in_range(figures[0].done, 1, 119);
    assert_int_equal(figures[0].failed + figures[0].lost + figures[0].dead, 0);
}

static void a_long_queue_of_one_does_not_delay_another(void **state)
{
    (void)state;
    make_many(acme, "tally", 40);
    make_many(beta, "tally", 5);
    struct job_pool *pool = open_pool(RUN_A, 1, NULL);
    await("SELECT count(*) FROM jobs WHERE state = 'done'", "45");
    job_close(pool);
    /* Beta came last and was done every second turn. */
    assert_in_range(asked("SELECT max(n) FROM (SELECT organization_id, row_number() OVER (ORDER BY "
                          "at) AS n FROM effects) AS e WHERE organization_id = (SELECT id FROM "
                          "organizations WHERE name = 'Beta')"),
                    9, 11);
}

static void limits_hold_over_all_controls(void **state)
{
    (void)state;
    struct jobs_claimed claimed;
    at_once_most = 0;
    make_many(acme, "single", 20);
    struct job_pool *a = open_pool(RUN_A, 4, NULL);
    await("SELECT count(*) FROM jobs WHERE state = 'done'", "20");
    job_close(a);
    assert_int_equal(at_once_most, 1);

    make_many(acme, "tally", 4);
    make_many(beta, "tally", 4);
    for (int i = 0; i < 6; i++) { /* five a minute, whoever asks */
        assert_int_equal(jobs_claim(db, limited, 1, 0, i % 2 ? RUN_A : RUN_B, &claimed), DB_OK);
        assert_int_equal(claimed.rows != NULL, i < 5);
        db_rows_free(claimed.rows);
    }
}

struct settlement {
    const struct jobs_claimed *job;
    const char *worker;
    bool held;
};

static enum db_result say_done(struct db *mine, void *context)
{
    struct settlement *settlement = context;
    return jobs_done(mine, settlement->job, settlement->worker, &settlement->held);
}

static void a_lease_that_ran_out_is_taken_over_and_its_old_holder_changes_nothing(void **state)
{
    (void)state;
    static const struct jobs_kind brief[] = {{"tally", 0, 0, 1}};
    struct jobs_claimed first, second;
    make_many(acme, "tally", 1);
    assert_int_equal(jobs_claim(db, brief, 1, 0, RUN_A, &first), DB_OK);
    assert_non_null(first.rows);
    await("SELECT due_at < now() FROM jobs", "t");
    assert_int_equal(jobs_claim(db, limited, 1, 0, RUN_B, &second), DB_OK);
    assert_non_null(second.rows);
    assert_string_equal(first.id, second.id);
    assert_int_equal(second.tries, 2);
    struct settlement late = {&first, RUN_A, true}, right = {&second, RUN_B, false};
    assert_int_equal(db_transact(db, acme, say_done, &late), DB_OK);
    assert_false(late.held);
    assert_string_equal(database_ask("SELECT state FROM jobs"), "leased");
    /* the same process, an earlier try: the number of tries tells them apart */
    struct settlement stale = {&first, RUN_B, true};
    assert_int_equal(db_transact(db, acme, say_done, &stale), DB_OK);
    assert_false(stale.held);
    assert_int_equal(db_transact(db, acme, say_done, &right), DB_OK);
    assert_true(right.held);
    db_rows_free(first.rows);
    db_rows_free(second.rows);
}

static void a_long_run_keeps_its_lease_and_gives_it_back_when_told_to_stop(void **state)
{
    (void)state;
    make_many(acme, "endless", 1);
    struct job_pool *pool = open_pool(RUN_A, 1, NULL);
    await("SELECT state FROM jobs", "leased");
    char question[128], until[64];
    snprintf(until, sizeof until, "%s", database_ask("SELECT due_at FROM jobs"));
    snprintf(question, sizeof question, "SELECT due_at > '%s' FROM jobs", until);
    await(question, "t");
    job_close(pool);
    assert_string_equal(database_ask("SELECT concat_ws(' ', state, tries, leased_by) FROM jobs"),
                        "queued 0");
}

static void failures_are_tried_again_and_then_given_up(void **state)
{
    (void)state;
    bool changed;
    char id[64];
    struct db *admin = database_admin();
    make_many(acme, "failing", 1);
    make_many(acme, "hopeless", 1);
    database_do("UPDATE jobs SET max_tries = 3");
    struct job_pool *pool = open_pool(RUN_A, 2, NULL);
    await("SELECT count(*) FROM jobs WHERE state = 'dead'", "2");
    assert_string_equal(database_ask("SELECT string_agg(concat_ws(' ', kind, tries, last_error), "
                                     "', ' ORDER BY kind) FROM jobs"),
                        "failing 3 the other side said 500, hopeless 1 there is no such thing");
    job_close(pool);
    snprintf(id, sizeof id, "%s", database_ask("SELECT id FROM jobs WHERE kind = 'failing'"));
    assert_int_equal(jobs_retry(admin, id, &changed), DB_OK);
    assert_true(changed);
    assert_string_equal(database_ask("SELECT concat_ws(' ', state, tries) FROM jobs WHERE kind = "
                                     "'failing'"),
                        "queued 0");
    assert_int_equal(jobs_drop(admin, id, &changed), DB_OK);
    assert_true(changed);
    assert_int_equal(jobs_drop(admin, "x' OR true", &changed), DB_OK);
    assert_false(changed);
    assert_int_equal(asked("SELECT count(*) FROM jobs"), 1);
    database_do("UPDATE jobs SET state = 'done'");
    snprintf(id, sizeof id, "%s", database_ask("SELECT id FROM jobs"));
    assert_int_equal(jobs_drop(admin, id, &changed), DB_OK);
    assert_false(changed); /* or it would be done again when it is told again */
    db_close(admin);
}

static void who_asks_for_patience_gets_it(void **state)
{
    (void)state;
    make_many(acme, "asking", 1);
    struct job_pool *pool = open_pool(RUN_A, 1, NULL);
    await("SELECT last_error FROM jobs", "they answered 429");
    assert_string_equal(database_ask("SELECT due_at - now() BETWEEN interval '29 min' AND "
                                     "interval '60 min' FROM jobs"),
                        "t");
    database_do("UPDATE jobs SET due_at = now()");
    job_wake(pool);
    await("SELECT concat_ws(' ', state, last_error) FROM jobs", "dead they answered 404");
    job_close(pool);
}

/* ---- processes that die ---- */

static pid_t start_process(const char *run)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        open_pool(run, 3, NULL);
        for (;;)
            pause();
    }
    return pid;
}

static void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void killed_at_any_line_each_effect_happens_once(void **state)
{
    (void)state;
    static const char *const runs[] = {RUN_A, RUN_B};
    pid_t pids[2];
    unsigned dice = 1, kills = 0;
    make_many(acme, "poisonable", 150); /* the kind with the short lease */
    make_many(beta, "poisonable", 150);
    database_do("UPDATE jobs SET max_tries = 1000");
    for (int i = 0; i < 2; i++)
        pids[i] = start_process(runs[i]);
    while (strcmp(database_ask("SELECT count(*) FROM jobs WHERE state = 'done'"), "300") != 0) {
        int victim = (int)(kills % 2);
        dice = dice * 1103515245 + 12345;
        usleep(dice / 65536 % 60000); /* the moment of the crash, not a wait for something */
        end_process(pids[victim]);
        pids[victim] = start_process(runs[victim]);
        kills++;
        assert_true(kills < 2000);
    }
    for (int i = 0; i < 2; i++)
        end_process(pids[i]);
    assert_string_equal(database_ask(EACH_ONCE), "t");
    assert_true(kills >= 5);
}

static void poison_is_parked_and_its_neighbours_are_done(void **state)
{
    (void)state;
    pid_t pid = start_process(RUN_A);
    unsigned deaths = 0;
    make_many(acme, "poisonable", 10);
    assert_true(make(acme, "poisonable", "poison", "{\"poison\":true}"));
    make_many(beta, "poisonable", 10);
    database_do("UPDATE jobs SET max_tries = 3 WHERE idempotency_key = 'poison'");
    while (asked("SELECT count(*) FROM jobs WHERE state IN ('done', 'dead')") < 21) {
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            deaths++;
            pid = start_process(RUN_A);
        }
        usleep(10000); /* between two looks */
    }
    end_process(pid);
    assert_int_equal(deaths, 3);
    assert_string_equal(database_ask(EACH_ONCE), "t");
    assert_string_equal(
        database_ask("SELECT concat_ws(' ', idempotency_key, tries, last_error) FROM jobs WHERE "
                     "state = 'dead'"),
        "poison 3 the worker died or lost its lease on the last try");
}

static void figures_tell_depth_and_age(void **state)
{
    (void)state;
    char *text;
    size_t bytes;
    struct job_figures figures[7] = {{.kind = NULL}};
    make_many(acme, "tally", 3);
    database_do("UPDATE jobs SET due_at = now() - interval '90 s'");
    struct job_pool *pool = open_pool(RUN_A, 0, figures);
    uint64_t until_ns = clock_monotonic_ns() + UINT64_C(30000000000);
    while (figures[0].waiting != 3 && clock_monotonic_ns() < until_ns)
        usleep(10000); /* between two looks */
    job_close(pool);
    assert_true(figures[0].oldest_ms >= 90000);
    FILE *out = open_memstream(&text, &bytes);
    job_figures_write(out, figures, 6);
    fclose(out);
    assert_non_null(strstr(text, "ringbridge_control_jobs_waiting{kind=\"tally\"} 3\n"));
    assert_non_null(
        strstr(text, "ringbridge_control_jobs_total{kind=\"single\",result=\"done\"} 0\n"));
    assert_non_null(strstr(text, "job_seconds_bucket{kind=\"tally\",le=\"+Inf\"} 0\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_job_is_made_once_with_the_fact_or_not_at_all, clear),
        cmocka_unit_test_setup(two_controls_share_the_work, clear),
        cmocka_unit_test_setup(a_long_queue_of_one_does_not_delay_another, clear),
        cmocka_unit_test_setup(limits_hold_over_all_controls, clear),
        cmocka_unit_test_setup(
            a_lease_that_ran_out_is_taken_over_and_its_old_holder_changes_nothing, clear),
        cmocka_unit_test_setup(a_long_run_keeps_its_lease_and_gives_it_back_when_told_to_stop,
                               clear),
        cmocka_unit_test_setup(failures_are_tried_again_and_then_given_up, clear),
        cmocka_unit_test_setup(who_asks_for_patience_gets_it, clear),
        cmocka_unit_test_setup(killed_at_any_line_each_effect_happens_once, clear),
        cmocka_unit_test_setup(poison_is_parked_and_its_neighbours_are_done, clear),
        cmocka_unit_test_setup(figures_tell_depth_and_age, clear),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
