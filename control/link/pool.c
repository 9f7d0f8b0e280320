#include "control/link/pool.h"

#include "common/clock.h"
#include "common/panic.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct pool {
    struct pool_config config;
    pthread_mutex_t lock;
    pthread_cond_t some, room, idle;
    struct work waiting[POOL_WAITING_MAX];
    size_t head, count;
    unsigned busy, started;
    bool closing;
    pthread_t threads[POOL_WORKERS_MAX];
};

void work_free(struct work *work)
{
    free(work->frame);
    if (work->edge)
        edge_drop(work->edge);
    work->frame = NULL;
    work->edge = NULL;
}

/* The oldest piece of work; false: the pool is closing and nothing waits. */
static bool take(struct pool *pool, struct work *work)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->count == 0 && !pool->closing)
        pthread_cond_wait(&pool->some, &pool->lock);
    bool taken = pool->count > 0;
    if (taken) {
        *work = pool->waiting[pool->head];
        pool->head = (pool->head + 1) % POOL_WAITING_MAX;
        pool->count--;
        pool->busy++;
        UNCOUNT(pool->config.metrics, queue_waiting);
        COUNT(pool->config.metrics, workers_busy);
        pthread_cond_signal(&pool->room);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

static void put_back(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    assert(pool->busy > 0);
    pool->busy--;
    UNCOUNT(pool->config.metrics, workers_busy);
    if (pool->busy == 0 && pool->count == 0)
        pthread_cond_broadcast(&pool->idle);
    pthread_mutex_unlock(&pool->lock);
}

static void *work_on(void *argument)
{
    struct pool *pool = argument;
    struct work work;
    struct db *db = db_open(&pool->config.db);
    assert(db); /* no memory at boot */
    while (take(pool, &work)) {
        pool->config.answer(pool->config.context, db, &work);
        work_free(&work);
        put_back(pool);
    }
    db_close(db);
    return NULL;
}

static void start_workers(struct pool *pool)
{
    while (pool->started < pool->config.workers &&
           pthread_create(&pool->threads[pool->started], NULL, work_on, pool) == 0)
        pool->started++;
    COUNT_BY(pool->config.metrics, workers, pool->started);
}

struct pool *pool_open(const struct pool_config *config, char *error, size_t room)
{
    assert(config->workers > 0 && config->workers <= POOL_WORKERS_MAX);
    struct pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        snprintf(error, room, "no memory for the workers");
        return NULL;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pool->config = *config;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->some, NULL);
    pthread_cond_init(&pool->room, NULL);
    pthread_cond_init(&pool->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    start_workers(pool);
    if (pool->started < config->workers) {
        snprintf(error, room, "only %u of %u workers could be started", pool->started,
                 config->workers);
        pool_close(pool, 0);
        return NULL;
    }
    return pool;
}

/* With the lock held. */
static bool put(struct pool *pool, const struct work *work)
{
    if (pool->closing || pool->count == POOL_WAITING_MAX)
        return false;
    pool->waiting[(pool->head + pool->count) % POOL_WAITING_MAX] = *work;
    pool->count++;
    COUNT(pool->config.metrics, queue_waiting);
    pthread_cond_signal(&pool->some);
    return true;
}

bool pool_submit(struct pool *pool, const struct work *work)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->count == POOL_WAITING_MAX && !pool->closing)
        pthread_cond_wait(&pool->room, &pool->lock);
    bool taken = put(pool, work);
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

bool pool_hand_on(struct pool *to, struct work *work)
{
    pthread_mutex_lock(&to->lock);
    bool taken = put(to, work);
    pthread_mutex_unlock(&to->lock);
    if (taken)
        *work = (struct work){.edge = NULL};
    return taken;
}

/* What still waits then is thrown away: the edge answers it itself. */
static void drain(struct pool *pool, unsigned wait_ms)
{
    struct timespec until;
    uint64_t at_ns = clock_monotonic_ns() + (uint64_t)wait_ms * 1000000u;
    until.tv_sec = (time_t)(at_ns / 1000000000u);
    until.tv_nsec = (long)(at_ns % 1000000000u);
    pthread_mutex_lock(&pool->lock);
    int late = 0;
    while ((pool->count || pool->busy) && late == 0)
        late = pthread_cond_timedwait(&pool->idle, &pool->lock, &until);
    for (; pool->count; pool->count--) {
        work_free(&pool->waiting[pool->head]);
        pool->head = (pool->head + 1) % POOL_WAITING_MAX;
    }
    pool->closing = true;
    pthread_cond_broadcast(&pool->some);
    pthread_cond_broadcast(&pool->room);
    pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool, unsigned wait_ms)
{
    drain(pool, wait_ms);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->some);
    pthread_cond_destroy(&pool->room);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
