#include "control/tools/tool_pool.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct tool_pool {
    struct tool_pool_config config;
    atomic_bool stopping;
    atomic_uint at_work;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned wakes; /* not yet taken by a worker */
    pthread_t threads[TOOL_POOL_WORKERS_MAX], keeper;
    unsigned started;
    bool has_keeper;
    struct tool_figures unseen; /* when nobody asked for figures */
};

void tool_pool_wake(struct tool_pool *pool, unsigned count)
{
    if (!pool || count == 0)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->wakes += count;
    if (pool->wakes > pool->started)
        pool->wakes = pool->started; /* each looks until there is nothing left */
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

static bool must_stop(void *context)
{
    return ((struct tool_pool *)context)->stopping;
}

/* ---- a worker ---- */

static bool await_wake(struct tool_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->wakes == 0 && !pool->stopping)
        pthread_cond_wait(&pool->changed, &pool->lock);
    if (pool->wakes > 0)
        pool->wakes--;
    pthread_mutex_unlock(&pool->lock);
    return !pool->stopping;
}

static void count(struct tool_figures *figures, enum tool_ran ran)
{
    atomic_fetch_add(ran == TOOL_DONE     ? &figures->done
                     : ran == TOOL_FAILED ? &figures->failed
                                          : &figures->lost,
                     1);
}

/* False: there was nothing to do. */
static bool work_once(struct tool_pool *pool, struct db *db)
{
    struct tool_figures *figures = pool->config.figures;
    const struct tool_runner runner = {pool->config.options, pool->config.run, must_stop, pool};
    struct tools_claimed claimed;
    enum db_result result = tools_claim(db, pool->config.run, TOOL_POOL_LEASE_MS, &claimed);
    if (result != DB_OK && result != DB_AWAY)
        log_error("no function can be claimed", log_text("result", db_result_name(result)),
                  log_text("error", db_error(db)));
    if (!claimed.rows)
        return false;
    atomic_fetch_add(&figures->running, 1);
    atomic_fetch_add(&pool->at_work, 1);
    count(figures, tool_run(&runner, db, &claimed));
    atomic_fetch_sub(&pool->at_work, 1);
    atomic_fetch_sub(&figures->running, 1);
    db_rows_free(claimed.rows);
    return true;
}

static void *work(void *argument)
{
    struct tool_pool *pool = argument;
    struct db *db = db_open(&pool->config.db);
    assert(db);
    while (await_wake(pool)) {
        bool any = false;
        while (!pool->stopping && work_once(pool, db)) {
            any = true;
            if (pool->config.told)
                pool->config.told(pool->config.context);
        }
        if (!any && pool->config.told)
            pool->config.told(pool->config.context); /* what was too late is ended by claiming */
    }
    db_close(db);
    return NULL;
}

/* ---- the keeper ---- */

static bool rest(struct tool_pool *pool)
{
    uint64_t at_ns = clock_monotonic_ns() + TOOL_POOL_KEEP_MS * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};
    int late = 0;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping && late == 0)
        late = pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
    pthread_mutex_unlock(&pool->lock);
    return !pool->stopping || pool->at_work > 0;
}

/* Renews as long as anybody works, the end of the process included. */
static void *keep(void *argument)
{
    struct tool_pool *pool = argument;
    const struct timespec tick = {.tv_nsec = 100000000};
    struct db *db = db_open(&pool->config.db);
    assert(db);
    while (rest(pool)) {
        if (pool->at_work > 0 && tools_renew(db, pool->config.run, TOOL_POOL_LEASE_MS) != DB_OK)
            log_warn("leases of functions are not renewed", log_text("error", db_error(db)));
        if (pool->stopping)
            nanosleep(&tick, NULL);
        else
            tool_pool_wake(pool, 1); /* a look at what nobody told of */
    }
    db_close(db);
    return NULL;
}

/* ---- life ---- */

static bool start_threads(struct tool_pool *pool)
{
    for (; pool->started < pool->config.workers; pool->started++)
        if (pthread_create(&pool->threads[pool->started], NULL, work, pool) != 0)
            return false;
    pool->has_keeper = pthread_create(&pool->keeper, NULL, keep, pool) == 0;
    return pool->has_keeper;
}

struct tool_pool *tool_pool_open(const struct tool_pool_config *config, char *error, size_t room)
{
    assert(config->workers > 0 && config->workers <= TOOL_POOL_WORKERS_MAX);
    struct tool_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t monotonic;
    if (!pool) {
        snprintf(error, room, "no memory for functions");
        return NULL;
    }
    pool->config = *config;
    if (!pool->config.figures)
        pool->config.figures = &pool->unseen;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (start_threads(pool))
        return pool;
    snprintf(error, room, "no threads for functions");
    tool_pool_close(pool);
    return NULL;
}

void tool_pool_close(struct tool_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    if (pool->has_keeper)
        pthread_join(pool->keeper, NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void tool_figures_write(FILE *out, const struct tool_figures *figures)
{
    fprintf(out,
            "# HELP ringbridge_control_tool_calls_total Functions carried out, by what came of "
            "them.\n# TYPE ringbridge_control_tool_calls_total counter\n"
            "ringbridge_control_tool_calls_total{result=\"done\"} %llu\n"
            "ringbridge_control_tool_calls_total{result=\"failed\"} %llu\n"
            "ringbridge_control_tool_calls_total{result=\"lost\"} %llu\n"
            "# HELP ringbridge_control_tool_calls_running Functions being carried out.\n"
            "# TYPE ringbridge_control_tool_calls_running gauge\n"
            "ringbridge_control_tool_calls_running %llu\n",
            (unsigned long long)figures->done, (unsigned long long)figures->failed,
            (unsigned long long)figures->lost, (unsigned long long)figures->running);
}
