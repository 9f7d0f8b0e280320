#include "control/outbound/pacer.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/store/outbound.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define TICK_NS (UINT64_C(1000000000) / PACER_PER_S)

struct pacer {
    struct db_config db;
    struct job_pool *pool;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool closing;
};

static bool rest(struct pacer *pacer, uint64_t at_ns)
{
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};
    int late = 0;
    pthread_mutex_lock(&pacer->lock);
    while (!pacer->closing && late == 0)
        late = pthread_cond_timedwait(&pacer->changed, &pacer->lock, &until);
    bool goes_on = !pacer->closing;
    pthread_mutex_unlock(&pacer->lock);
    return goes_on;
}

/* The log hears of trouble when it begins and when it ends, not five times a second. */
static enum db_result release(struct pacer *pacer, struct db *db, enum db_result before)
{
    int64_t released;
    enum db_result result = outbound_release(db, &released);
    if (result != DB_OK && before == DB_OK)
        log_warn("no call can be released", log_text("result", db_result_name(result)),
                 log_text("error", db_error(db)));
    else if (result == DB_OK && before != DB_OK)
        log_info("calls are released again");
    if (released > 0)
        job_wake(pacer->pool);
    return result;
}

static void *pace(void *argument)
{
    struct pacer *pacer = argument;
    struct db *db = db_open(&pacer->db);
    enum db_result result = DB_OK;
    uint64_t next_ns;
    assert(db);
    do {
        next_ns = clock_monotonic_ns() + TICK_NS;
        result = release(pacer, db, result);
    } while (rest(pacer, next_ns));
    db_close(db);
    return NULL;
}

struct pacer *pacer_open(const struct db_config *db, struct job_pool *pool, char *error,
                         size_t room)
{
    struct pacer *pacer = calloc(1, sizeof *pacer);
    pthread_condattr_t monotonic;
    if (!pacer) {
        snprintf(error, room, "no memory for the pace of calls");
        return NULL;
    }
    *pacer = (struct pacer){.db = *db, .pool = pool};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pacer->lock, NULL);
    pthread_cond_init(&pacer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&pacer->thread, NULL, pace, pacer) == 0)
        return pacer;
    snprintf(error, room, "no thread for the pace of calls");
    free(pacer);
    return NULL;
}

void pacer_close(struct pacer *pacer)
{
    if (!pacer)
        return;
    pthread_mutex_lock(&pacer->lock);
    pacer->closing = true;
    pthread_cond_signal(&pacer->changed);
    pthread_mutex_unlock(&pacer->lock);
    pthread_join(pacer->thread, NULL);
    pthread_cond_destroy(&pacer->changed);
    pthread_mutex_destroy(&pacer->lock);
    free(pacer);
}
