#include "control/link/dispatch.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/link/edge.h"
#include "control/store/edges.h"
#include "control/store/orders.h"
#include "control/store/tools.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define ERROR_BYTES 256

struct answer {
    char order[UUID_TEXT_BYTES + 1];
    bool ok;
    char error[ERROR_BYTES];
};

struct dispatch {
    struct db_config db;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool closing, woken;
    struct edge *edges[DISPATCH_EDGES_MAX];
    struct answer answers[DISPATCH_ANSWERS_MAX];
    int answers_count;
};

void dispatch_join(struct dispatch *dispatch, struct edge *edge)
{
    pthread_mutex_lock(&dispatch->lock);
    for (int i = 0; i < DISPATCH_EDGES_MAX; i++)
        if (!dispatch->edges[i]) {
            dispatch->edges[i] = edge_hold(edge);
            break;
        }
    pthread_mutex_unlock(&dispatch->lock);
}

void dispatch_leave(struct dispatch *dispatch, struct edge *edge)
{
    pthread_mutex_lock(&dispatch->lock);
    for (int i = 0; i < DISPATCH_EDGES_MAX; i++)
        if (dispatch->edges[i] == edge) {
            dispatch->edges[i] = NULL;
            edge_drop(edge);
            break;
        }
    pthread_mutex_unlock(&dispatch->lock);
}

void dispatch_settle(struct dispatch *dispatch, const char *order, bool ok, const char *error)
{
    pthread_mutex_lock(&dispatch->lock);
    if (dispatch->answers_count < DISPATCH_ANSWERS_MAX) {
        struct answer *answer = &dispatch->answers[dispatch->answers_count++];
        *answer = (struct answer){.ok = ok};
        snprintf(answer->order, sizeof answer->order, "%s", order);
        snprintf(answer->error, sizeof answer->error, "%s", error ? error : "");
        pthread_cond_signal(&dispatch->changed);
    }
    pthread_mutex_unlock(&dispatch->lock);
}

void dispatch_wake(struct dispatch *dispatch)
{
    pthread_mutex_lock(&dispatch->lock);
    dispatch->woken = true;
    pthread_cond_signal(&dispatch->changed);
    pthread_mutex_unlock(&dispatch->lock);
}

/* The edges as they are now, each with a reference of its own. */
static int hold_edges(struct dispatch *dispatch, struct edge *held[DISPATCH_EDGES_MAX])
{
    int count = 0;
    pthread_mutex_lock(&dispatch->lock);
    for (int i = 0; i < DISPATCH_EDGES_MAX; i++)
        if (dispatch->edges[i])
            held[count++] = edge_hold(dispatch->edges[i]);
    pthread_mutex_unlock(&dispatch->lock);
    return count;
}

static void send_order(struct dispatch *dispatch, struct edge *const *edges, int count,
                       const struct db_rows *rows, int row)
{
    const char *order = db_cell(rows, row, 0), *run = db_cell(rows, row, 1);
    bool sent = false;
    for (int i = 0; i < count; i++)
        if (strcmp(edge_identity(edges[i])->run, run) == 0)
            sent =
                edge_order(edges[i], db_cell(rows, row, 2), order, span_of(db_cell(rows, row, 3)));
    if (!sent)
        dispatch_settle(dispatch, order, false, "the link to the edge broke");
}

/* take_rows: of orders, or of results of functions. */
static void take(struct dispatch *dispatch, struct db *db,
                 enum db_result (*take_rows)(struct db *db, const char *const *runs, int count,
                                             struct db_rows **rows))
{
    struct edge *edges[DISPATCH_EDGES_MAX];
    const char *runs[DISPATCH_EDGES_MAX];
    struct db_rows *rows = NULL;
    int count = hold_edges(dispatch, edges);
    for (int i = 0; i < count; i++)
        runs[i] = edge_identity(edges[i])->run;
    if (count > 0 && take_rows(db, runs, count, &rows) == DB_OK)
        for (int row = 0; row < db_rows_count(rows); row++)
            send_order(dispatch, edges, count, rows, row);
    db_rows_free(rows);
    for (int i = 0; i < count; i++)
        edge_drop(edges[i]);
}

/* Writes what the last question brought, and asks again. */
static void report_loads(struct dispatch *dispatch, struct db *db)
{
    struct edge *edges[DISPATCH_EDGES_MAX];
    int count = hold_edges(dispatch, edges);
    for (int i = 0; i < count; i++) {
        const struct edge_hello *hello = edge_identity(edges[i]);
        struct edge_load load = edge_load_now(edges[i]);
        struct edges_report report = {.name = edge_key(hello),
                                      .run = hello->run,
                                      .websocket_url =
                                          hello->stream_url[0] ? hello->stream_url : NULL,
                                      .cores = hello->cores,
                                      .calls = load.calls,
                                      .calls_max = hello->calls_max,
                                      .draining = load.draining};
        if (load.known)
            edges_report(db, &report);
        if (hello->calls_max > 0)
            edge_ask_load(edges[i]);
        edge_drop(edges[i]);
    }
}

static bool next_answer(struct dispatch *dispatch, struct answer *answer)
{
    pthread_mutex_lock(&dispatch->lock);
    bool some = dispatch->answers_count > 0;
    if (some)
        *answer = dispatch->answers[--dispatch->answers_count];
    pthread_mutex_unlock(&dispatch->lock);
    return some;
}

static void write_answers(struct dispatch *dispatch, struct db *db)
{
    struct answer answer;
    while (next_answer(dispatch, &answer))
        if (orders_settle(db, answer.order, answer.ok, answer.ok ? NULL : answer.error) != DB_OK ||
            (answer.ok && tools_settle(db, answer.order) != DB_OK))
            log_warn("an order's answer is not on record", log_text("order", answer.order),
                     log_text("error", db_error(db)));
}

/* Until an answer came, somebody woke us or the time is up. False: closing. */
static bool rest(struct dispatch *dispatch)
{
    uint64_t at_ns = clock_monotonic_ns() + DISPATCH_POLL_MS * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};
    int late = 0;
    pthread_mutex_lock(&dispatch->lock);
    while (!dispatch->closing && !dispatch->woken && dispatch->answers_count == 0 && late == 0)
        late = pthread_cond_timedwait(&dispatch->changed, &dispatch->lock, &until);
    bool goes_on = !dispatch->closing;
    dispatch->woken = false;
    pthread_mutex_unlock(&dispatch->lock);
    return goes_on;
}

static void *dispatch_orders(void *argument)
{
    struct dispatch *dispatch = argument;
    struct db *db = db_open(&dispatch->db);
    uint64_t reported_ns = 0;
    assert(db);
    while (rest(dispatch)) {
        write_answers(dispatch, db);
        take(dispatch, db, orders_take);
        take(dispatch, db, tools_take_results);
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns - reported_ns < DISPATCH_LOAD_MS * UINT64_C(1000000))
            continue;
        report_loads(dispatch, db);
        reported_ns = now_ns;
    }
    write_answers(dispatch, db);
    db_close(db);
    return NULL;
}

struct dispatch *dispatch_open(const struct db_config *db, char *error, size_t room)
{
    struct dispatch *dispatch = calloc(1, sizeof *dispatch);
    pthread_condattr_t monotonic;
    if (!dispatch) {
        snprintf(error, room, "no memory for orders");
        return NULL;
    }
    dispatch->db = *db;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&dispatch->lock, NULL);
    pthread_cond_init(&dispatch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&dispatch->thread, NULL, dispatch_orders, dispatch) == 0)
        return dispatch;
    snprintf(error, room, "no thread for orders");
    free(dispatch);
    return NULL;
}

void dispatch_close(struct dispatch *dispatch)
{
    if (!dispatch)
        return;
    pthread_mutex_lock(&dispatch->lock);
    dispatch->closing = true;
    pthread_cond_signal(&dispatch->changed);
    pthread_mutex_unlock(&dispatch->lock);
    pthread_join(dispatch->thread, NULL);
    for (int i = 0; i < DISPATCH_EDGES_MAX; i++)
        assert(!dispatch->edges[i]);
    pthread_cond_destroy(&dispatch->changed);
    pthread_mutex_destroy(&dispatch->lock);
    free(dispatch);
}
