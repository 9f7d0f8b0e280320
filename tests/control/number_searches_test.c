/* Searches of numbers in the database, with the rights of the API and of the job: how many there
 * may be, how each ends, and when it is gone. */
#include "tests/control/database.h"

#include "control/store/number_searches.h"
#include "control/store/shown.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAIT_MAX 10
#define KEPT_MAX "100"
#define FOUND    "[{\"number\":\"+15550111\"}]"

static struct db *api, *serving;
static char ours[37], theirs[37];
static const struct number_searches_wish any = {.country = "US", .kind = "local", .limit = 20};

static int begin(void **state)
{
    struct db_config config = db_config_serving(database_url(), NULL);
    (void)state;
    database_migrate();
    config.role = DB_ROLE_API;
    api = db_open(&config);
    serving = database_serving(NULL);
    database_organization("Ours", "+15550100", ours);
    database_organization("Theirs", "+15550200", theirs);
    return 0;
}

static int end(void **state)
{
    (void)state;
    db_close(api);
    db_close(serving);
    return 0;
}

static int clear(void **state)
{
    (void)state;
    database_do("SET row_security = off; DELETE FROM number_searches; DELETE FROM jobs");
    return 0;
}

/* ---- one thing in a transaction of an organisation ---- */

struct step {
    const struct number_searches_wish *wish;
    const char *organization, *search, *text;
    enum db_result (*put)(struct db *db, const char *search, const char *text);
    char id[UUID_TEXT_BYTES + 1];
    char shown[512];
};

static enum db_result want_step(struct db *db, void *context)
{
    struct step *step = context;
    return number_searches_want(db, step->organization, step->wish, "somebody", step->id);
}

static enum db_result put_step(struct db *db, void *context)
{
    const struct step *step = context;
    return step->put(db, step->search, step->text);
}

static enum db_result show_step(struct db *db, void *context)
{
    struct step *step = context;
    struct db_rows *rows;
    enum db_result result = shown_one(db, &shown_number_searches, step->search, &rows);
    const char *text = result == DB_OK && db_rows_count(rows) == 1 ? db_cell(rows, 0, 0) : "";
    assert_true(span_copy_text(span_of(text), step->shown, sizeof step->shown));
    db_rows_free(rows);
    return result;
}

static struct step want(const char *organization)
{
    struct step step = {.wish = &any, .organization = organization};
    if (db_transact(api, organization, want_step, &step) != DB_OK)
        fail_msg("%s", db_error(api));
    return step;
}

static void put(const char *organization, const char *search,
                enum db_result (*how)(struct db *, const char *, const char *), const char *text)
{
    struct step step = {.search = search, .put = how, .text = text};
    if (db_transact(serving, organization, put_step, &step) != DB_OK)
        fail_msg("%s", db_error(serving));
}

static const char *show(const char *organization, const char *search)
{
    static struct step step;
    step = (struct step){.search = search};
    if (db_transact(api, organization, show_step, &step) != DB_OK)
        fail_msg("%s", db_error(api));
    return step.shown;
}

static bool waits(const char *organization, const char *search)
{
    struct db_rows *rows;
    assert_int_equal(number_searches_read(serving, organization, search, &rows), DB_OK);
    bool found = db_rows_count(rows) == 1;
    if (found)
        assert_string_equal(db_cell(rows, 0, SEARCH_COUNTRY), "US");
    db_rows_free(rows);
    return found;
}

static const char *count(const char *what)
{
    char sql[256];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", what);
    return database_ask(sql);
}

/* ---- */

static void a_search_waits_and_is_done_once(void **state)
{
    (void)state;
    struct step search = want(ours);
    assert_int_equal(strlen(search.id), UUID_TEXT_BYTES);
    assert_non_null(strstr(show(ours, search.id), "\"queued\""));
    assert_true(waits(ours, search.id));
    assert_string_equal(count("jobs WHERE kind = 'number_search' AND max_tries < 10"), "1");
    put(ours, search.id, number_searches_done, FOUND);
    assert_non_null(strstr(show(ours, search.id), "\"done\""));
    assert_non_null(strstr(show(ours, search.id), "+15550111"));
    assert_false(waits(ours, search.id));
    put(ours, search.id, number_searches_fail, "too late");
    put(ours, search.id, number_searches_done, "[]");
    assert_non_null(strstr(show(ours, search.id), "+15550111"));
}

static void what_has_failed_says_why(void **state)
{
    (void)state;
    struct step search = want(ours);
    put(ours, search.id, number_searches_fail, "the carrier was busy");
    assert_non_null(strstr(show(ours, search.id), "\"failed\""));
    assert_non_null(strstr(show(ours, search.id), "the carrier was busy"));
}

static void a_wish_that_is_none_is_refused(void **state)
{
    static const struct {
        struct number_searches_wish wish;
        const char *constraint;
    } wrong[] = {
        {{.country = "us", .kind = "local", .limit = 1}, "number_searches_country"},
        {{.country = "US", .kind = "short", .limit = 1}, "number_searches_kind"},
        {{.country = "US", .kind = "local", .area_code = "5/5", .limit = 1},
         "number_searches_area"},
        {{.country = "US", .kind = "local", .contains = "a&b", .limit = 1},
         "number_searches_contains"},
        {{.country = "US", .kind = "local", .limit = NUMBER_SEARCHES_LIMIT_MAX + 1},
         "number_searches_max"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct step step = {.wish = &wrong[i].wish, .organization = ours};
        assert_int_equal(db_transact(api, ours, want_step, &step), DB_REFUSED);
        assert_string_equal(db_constraint(api), wrong[i].constraint);
    }
    assert_string_equal(count("number_searches"), "0");
    assert_string_equal(count("jobs"), "0");
}

static void ten_of_an_organisation_wait(void **state)
{
    struct step last;
    (void)state;
    for (int i = 0; i < WAIT_MAX; i++)
        last = want(ours);
    assert_string_equal(want(ours).id, "");
    assert_string_not_equal(want(theirs).id, ""); /* nobody else waits for them */
    assert_string_equal(count("jobs"), "11");
    put(ours, last.id, number_searches_done, "[]");
    assert_string_not_equal(want(ours).id, "");
}

/* Those that wait are never the ones that make room. */
static void a_hundred_of_an_organisation_are_kept(void **state)
{
    (void)state;
    struct step waiting = want(ours), other = want(theirs);
    database_do("SET row_security = off; UPDATE number_searches SET created_at = now() - "
                "interval '2 hours'; "
                "INSERT INTO number_searches (organization_id, country, kind, numbers_max, state, "
                "finished_at, searched_by, created_at) SELECT o.id, 'US', 'local', 1, 'done', "
                "now(), 'n' || n, now() - n * interval '1 second' "
                "FROM organizations AS o, generate_series(1, 120) AS n");
    struct step made = want(ours);
    assert_string_equal(count("number_searches AS s JOIN organizations AS o ON "
                              "o.id = s.organization_id WHERE o.name = 'Ours'"),
                        KEPT_MAX);
    assert_string_equal(count("number_searches AS s JOIN organizations AS o ON "
                              "o.id = s.organization_id WHERE o.name = 'Theirs'"),
                        "121");
    assert_true(waits(ours, waiting.id) && waits(ours, made.id) && waits(theirs, other.id));
    assert_string_equal(database_ask("SELECT max(ltrim(searched_by, 'n')::integer) "
                                     "FROM number_searches AS s JOIN organizations AS o ON "
                                     "o.id = s.organization_id WHERE o.name = 'Ours' "
                                     "AND searched_by LIKE 'n%'"),
                        "98"); /* the youngest stay */
}

static void what_nobody_did_in_time_has_failed(void **state)
{
    (void)state;
    struct step search = want(ours);
    database_do("SET row_security = off; UPDATE number_searches SET deadline_at = now()");
    assert_non_null(strstr(show(ours, search.id), "\"failed\""));
    assert_non_null(strstr(show(ours, search.id), "not asked in time"));
    assert_false(waits(ours, search.id));
    put(ours, search.id, number_searches_done, FOUND); /* whoever was at it all the time */
    assert_non_null(strstr(show(ours, search.id), "\"failed\""));
    assert_null(strstr(show(ours, search.id), "+15550111"));
}

static void after_a_day_it_is_gone(void **state)
{
    (void)state;
    struct step old = want(ours), others = want(theirs), young = want(ours);
    char sql[256];
    assert_string_equal(count("number_searches WHERE expires_at = created_at + interval '1 day'"),
                        "3");
    snprintf(sql, sizeof sql,
             "SET row_security = off; UPDATE number_searches SET expires_at = now() - "
             "interval '1 second' WHERE id <> '%s'",
             young.id);
    database_do(sql);
    assert_string_equal(show(ours, old.id), "");
    assert_string_not_equal(show(ours, young.id), "");
    assert_int_equal(number_searches_clean(serving), DB_OK);
    assert_string_equal(show(theirs, others.id), "");
    assert_string_equal(count("number_searches"), "1");
    assert_true(waits(ours, young.id));
}

static void nobody_sees_another_s(void **state)
{
    (void)state;
    struct step search = want(ours);
    assert_string_equal(show(theirs, search.id), "");
    assert_false(waits(theirs, search.id));
    put(theirs, search.id, number_searches_done, FOUND);
    put(theirs, search.id, number_searches_fail, "by others");
    assert_true(waits(ours, search.id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_search_waits_and_is_done_once, clear),
        cmocka_unit_test_setup(what_has_failed_says_why, clear),
        cmocka_unit_test_setup(a_wish_that_is_none_is_refused, clear),
        cmocka_unit_test_setup(ten_of_an_organisation_wait, clear),
        cmocka_unit_test_setup(a_hundred_of_an_organisation_are_kept, clear),
        cmocka_unit_test_setup(what_nobody_did_in_time_has_failed, clear),
        cmocka_unit_test_setup(after_a_day_it_is_gone, clear),
        cmocka_unit_test_setup(nobody_sees_another_s, clear),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
