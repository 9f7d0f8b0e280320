/* The parts of the API that need no database: rows, document, cursors, rates. */
#include "control/api/api_document.h"
#include "control/api/api_query.h"
#include "control/api/api_rows.h"
#include "control/base/limit.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define SOMEBODY  "7f000000-0000-4000-8000-000000000001"

static const struct api_row *find(const char *method, const char *path,
                                  char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES],
                                  char methods[64])
{
    return api_rows_find(span_of(path), method, arguments, methods);
}

static void rows_are_found(void **state)
{
    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES], methods[64];
    (void)state;
    const struct api_row *row = find("GET", "/api/calls", arguments, methods);
    assert_string_equal(row->name, "list_calls");
    assert_ptr_equal(find("GET", "/api/aloha/calls", arguments, methods), row);
    row = find("GET", "/api/calls/" SOMEBODY "/events", arguments, methods);
    assert_string_equal(row->name, "list_call_events");
    assert_string_equal(arguments[0], SOMEBODY);
    assert_null(find("PUT", "/api/numbers/x", arguments, methods));
    assert_string_equal(methods, "GET, PATCH, DELETE");
    static const char *const none[] = {
        "/api/calls/", "/api/calls//events", "/api/calls/a%2fb", "/api/calls/a/b/c", "/api",
        "/api/",       "/api/calls/a'b",     "/api/callsx",      "/api/call"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_null(find("GET", none[i], arguments, methods));
        assert_string_equal(methods, "");
    }
}

static void the_document_names_every_row(void **state)
{
    (void)state;
    char *text = api_document_make("https://calls.example.com");
    json_t *document = json_loads(text, 0, NULL);
    assert_non_null(document);
    print_message("%zu bytes for %d rows\n", strlen(text), api_rows_count());
    assert_in_range(strlen(text), 1, 256000); /* an edge carries 256 KiB */
    for (int i = 0; i < api_rows_count(); i++) {
        const struct api_row *row = api_rows_at(i);
        json_t *item = json_object_get(json_object_get(document, "paths"), row->path);
        assert_non_null(item);
        assert_true(row->status >= 200 && row->status < 300);
        assert_true((row->act != NULL) == (strcmp(row->method, "GET") != 0));
        assert_true(row->shape == API_NOTHING || row->shown || row->more);
        assert_int_equal(row->parent != NULL, row->of != NULL);
    }
    json_decref(document);
    free(text);
}

static void cursors_come_back(void **state)
{
    char cursor[API_CURSOR_BYTES];
    struct shown_place place;
    (void)state;
    api_cursor_write(1763716000123456, SOMEBODY, cursor);
    assert_true(api_cursor_read(cursor, false, &place));
    assert_int_equal(place.at_us, 1763716000123456);
    assert_string_equal(place.tie, SOMEBODY);
    assert_false(api_cursor_read(cursor, true, &place));
    api_cursor_write(0, "17", cursor);
    assert_true(api_cursor_read(cursor, true, &place));
    static const char *const wrong[] = {"",
                                        ".",
                                        "1",
                                        "1.",
                                        "-1.5",
                                        "+1.5",
                                        "01.5",
                                        "1.05",
                                        "1.5 ",
                                        "9999999999999999999.5",
                                        "1.9999999999999999999",
                                        "0x1.5"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(api_cursor_read(wrong[i], true, &place));
}

static void a_query_is_read_strictly(void **state)
{
    struct api_query query;
    char error[API_PROBLEM_DETAIL];
    (void)state;
    assert_true(api_query_read(span_of("limit=3&status=busy&from=%2B15550100"), &shown_calls,
                               &query, error, sizeof error));
    assert_int_equal(query.limit, 3);
    assert_string_equal(query.filters[0], "busy");
    assert_string_equal(query.filters[1], "+15550100");
    assert_false(query.has_filter[2]);
    static const char *const wrong[] = {
        "limit=0",  "limit=201",   "limit=3&limit=3", "status=new", "status=busy&status=busy",
        "cursor=1", "stauts=busy", "from=%00",        "from=%ff",   "limit=%"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(api_query_read(span_of(wrong[i]), &shown_calls, &query, error, sizeof error));
    assert_false(api_query_read(span_of("limit=3"), NULL, &query, error, sizeof error));
    assert_true(api_query_read(span_of(""), NULL, &query, error, sizeof error));
}

/* ---- rates ---- */

static void a_minute_has_so_many(void **state)
{
    struct limit *limit = limit_open();
    uint64_t now_ns = 5 * SECOND_NS;
    unsigned wait_s, taken = 0;
    (void)state;
    for (int i = 0; i < 100; i++)
        taken += limit_take(limit, "a", 60, now_ns, &wait_s);
    assert_int_equal(taken, 60 / LIMIT_BURST);
    assert_int_equal(wait_s, 1);
    assert_true(limit_take(limit, "b", 60, now_ns, &wait_s)); /* nobody else waits */
    assert_true(limit_take(limit, "a", 60, now_ns + SECOND_NS, &wait_s));
    assert_false(limit_take(limit, "a", 60, now_ns + SECOND_NS, &wait_s));
    for (taken = 0; now_ns < 65 * SECOND_NS; now_ns += SECOND_NS / 10)
        taken += limit_take(limit, "c", 60, now_ns, &wait_s);
    assert_in_range(taken, 60, 60 + 60 / LIMIT_BURST);
    assert_true(limit_take(limit, "slow", 1, now_ns, &wait_s));
    assert_false(limit_take(limit, "slow", 1, now_ns, &wait_s));
    assert_int_equal(wait_s, 60);
    limit_close(limit);
}

/* More keys than there is room for: the table stays as large as it is, and who is asked most often
 * is still held back. */
static void the_table_is_bounded(void **state)
{
    struct limit *limit = limit_open();
    char key[37];
    unsigned wait_s;
    (void)state;
    for (int i = 0; i < 100000; i++) {
        snprintf(key, sizeof key, "key %d", i);
        assert_true(limit_take(limit, key, 60, SECOND_NS, &wait_s));
    }
    for (int i = 0; i < 10; i++)
        limit_take(limit, "a", 60, SECOND_NS, &wait_s);
    assert_false(limit_take(limit, "a", 60, SECOND_NS, &wait_s));
    limit_close(limit);
}

struct hands {
    struct limit *limit;
    atomic_uint taken;
};

static void *take_many(void *context)
{
    struct hands *hands = context;
    unsigned wait_s;
    for (int i = 0; i < 20000; i++)
        if (limit_take(hands->limit, "shared", 600, SECOND_NS, &wait_s))
            atomic_fetch_add(&hands->taken, 1);
    return NULL;
}

static void many_workers_share_one_rate(void **state)
{
    struct hands hands = {.limit = limit_open()};
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &hands), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(hands.taken, 600 / LIMIT_BURST);
    limit_close(hands.limit);
}

static int open_rows(void **state)
{
    char error[256];
    (void)state;
    bool opened = api_rows_open(error, sizeof error);
    if (!opened)
        print_error("%s\n", error);
    return opened ? 0 : -1;
}

static int close_rows(void **state)
{
    (void)state;
    api_rows_close();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(the_document_names_every_row),
        cmocka_unit_test(cursors_come_back),
        cmocka_unit_test(a_query_is_read_strictly),
        cmocka_unit_test(a_minute_has_so_many),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(many_workers_share_one_rate),
    };
    return cmocka_run_group_tests(tests, open_rows, close_rows);
}
