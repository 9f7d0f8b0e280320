#include "control/jobs/job.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS_MIN     50
#define TICK_MS_MAX     5000
#define PRUNE_EVERY_NS  (UINT64_C(3600) * 1000000000)
#define NS_PER_MS       UINT64_C(1000000)
#define ADD(count, how) atomic_fetch_add_explicit(&(count)->how, 1, memory_order_relaxed)

struct job_pool {
    struct job_config config;
    struct jobs_kind kinds[JOBS_KINDS_MAX];
    atomic_bool stopping;
    atomic_uint turn; /* which kind is looked at first */
    unsigned tick_ms;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    uint64_t wakes;
    struct job *running[JOB_WORKERS_MAX];
    unsigned started;

    pthread_t threads[JOB_WORKERS_MAX], keeper;
    bool has_keeper;
    struct job_figures unseen[JOBS_KINDS_MAX]; /* when nobody asked for figures */
};

/* ---- waiting ---- */

static uint64_t wakes_so_far(struct job_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    uint64_t wakes = pool->wakes;
    pthread_mutex_unlock(&pool->lock);
    return wakes;
}

/* Until somebody wakes us who has not yet (seen), the pool stops, or the time is up. */
static void rest(struct job_pool *pool, uint64_t seen, unsigned wait_ms)
{
    uint64_t at_ns = clock_monotonic_ns() + wait_ms * NS_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};
    int late = 0;
    pthread_mutex_lock(&pool->lock);
    while (pool->wakes == seen && !pool->stopping && late == 0)
        late = pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
    pthread_mutex_unlock(&pool->lock);
}

void job_wake(struct job_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->wakes++;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

/* ---- for a run ---- */

bool job_must_stop(struct job *job)
{
    return job->pool->stopping || clock_monotonic_ns() > job->lease_ends_ns;
}

enum job_end job_later(struct job *job, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(job->error, sizeof job->error, format, arguments);
    va_end(arguments);
    return JOB_LATER;
}

enum job_end job_dead(struct job *job, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(job->error, sizeof job->error, format, arguments);
    va_end(arguments);
    return JOB_DEAD;
}

enum job_end job_asked(struct job *job, const struct http_client_response *response)
{
    snprintf(job->error, sizeof job->error, "%s", response->error);
    if (response->end == HTTP_CLIENT_stopped)
        return JOB_RETURNED;
    if (response->retry_after_s > 0)
        job->pause_least_ms = response->retry_after_s * 1000;
    return response->try_again ? JOB_LATER : JOB_DEAD;
}

bool job_must_stop_asking(void *job)
{
    return job_must_stop(job);
}

struct commitment {
    struct job *job;
    enum db_result (*work)(struct db *db, void *context);
    void *context;
};

/* The lease first: its row is locked until the effect is committed with it. */
static enum db_result commit(struct db *db, void *context)
{
    const struct commitment *commitment = context;
    const struct job *job = commitment->job;
    bool held;
    enum db_result result = jobs_done(db, &job->claimed, job->pool->config.run, &held);
    if (result != DB_OK || !held)
        return result == DB_OK ? DB_REFUSED : result;
    return commitment->work ? commitment->work(db, commitment->context) : DB_OK;
}

enum db_result job_commit(struct job *job, struct db *db,
                          enum db_result (*work)(struct db *db, void *context), void *context)
{
    struct commitment commitment = {job, work, context};
    assert(!job->committed);
    enum db_result result = db_transact(db, job->claimed.organization, commit, &commitment);
    job->committed = result == DB_OK;
    return result;
}

/* ---- the end of a run ---- */

/* Doubles with every try; half of it is luck, so that what failed together does not come back
 * together. */
static int64_t choose_pause_ms(const struct job *job)
{
    int64_t pause_ms = job->kind->pause_ms;
    int64_t most_ms = job->kind->pause_ms_max ? job->kind->pause_ms_max : JOB_PAUSE_MS_MAX;
    uint32_t dice = 0;
    for (int64_t i = 1; i < job->claimed.tries && pause_ms < most_ms; i++)
        pause_ms *= 2;
    if (pause_ms > most_ms)
        pause_ms = most_ms;
    if (pause_ms < 2 * job->pause_least_ms)
        pause_ms = 2 * job->pause_least_ms; /* half of it is luck */
    if (getrandom(&dice, sizeof dice, 0) != sizeof dice)
        dice = 0;
    return pause_ms / 2 + (int64_t)(dice % (uint64_t)(pause_ms / 2 + 1));
}

struct ending {
    struct job *job;
    enum job_end end;
    bool held;
};

static enum db_result give_back(struct db *db, void *context)
{
    struct ending *ending = context;
    struct job *job = ending->job;
    const char *run = job->pool->config.run;
    if (ending->end == JOB_RETURNED)
        return jobs_return(db, &job->claimed, run, &ending->held);
    if (ending->end == JOB_DEAD)
        return jobs_dead(db, &job->claimed, run, job->error, &ending->held);
    assert(ending->end == JOB_LATER);
    return jobs_again(db, &job->claimed, run, job->error, choose_pause_ms(job), &ending->held);
}

static void log_end(const struct job *job, const char *message, enum log_level level)
{
    log_at(level, message, log_text("kind", job->kind->limits.name),
           log_text("job", job->claimed.id), log_text("organization", job->claimed.organization),
           log_number("tries", job->claimed.tries),
           log_text("error", job->error[0] ? job->error : NULL));
}

static void count_end(struct job *job, struct job_figures *figures, enum job_end end, bool held)
{
    if (!held) {
        ADD(figures, lost);
        log_end(job, "job lost: its lease ran out or its end is not on record", LOG_WARN);
    } else if (end == JOB_DONE) {
        ADD(figures, done);
        log_end(job, "job done", LOG_DEBUG);
    } else if (end == JOB_RETURNED) {
        ADD(figures, returned);
    } else if (end == JOB_DEAD) {
        ADD(figures, dead);
        log_end(job, "job given up", LOG_ERROR);
    } else {
        ADD(figures, failed);
        log_end(job, "job failed, to be tried again", LOG_WARN);
    }
}

static void settle(struct job *job, struct db *db, struct job_figures *figures, enum job_end end)
{
    struct ending ending = {.job = job, .end = end};
    if (end == JOB_LATER && job->claimed.tries >= job->claimed.max_tries)
        ending.end = JOB_DEAD;
    if (job->committed) {
        ending = (struct ending){job, JOB_DONE, true};
    } else if (end == JOB_DONE) {
        ending.held = job_commit(job, db, NULL, NULL) == DB_OK;
    } else {
        enum db_result result = db_transact(db, job->claimed.organization, give_back, &ending);
        ending.held &= result == DB_OK;
    }
    count_end(job, figures, ending.end, ending.held);
}

/* ---- a worker ---- */

static void set_running(struct job_pool *pool, unsigned slot, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    pool->running[slot] = job;
    pthread_mutex_unlock(&pool->lock);
}

static void run(struct job_pool *pool, struct db *db, unsigned slot, struct jobs_claimed *claimed,
                uint64_t claimed_ns)
{
    struct job_figures *figures = &pool->config.figures[claimed->kind];
    struct job job = {.claimed = *claimed,
                      .kind = pool->config.kinds[claimed->kind],
                      .payload = json_loads(claimed->payload_json, 0, NULL),
                      .pool = pool,
                      .claimed_ns = claimed_ns,
                      .lease_ends_ns =
                          claimed_ns + pool->kinds[claimed->kind].lease_ms * NS_PER_MS};
    enum job_end end;
    set_running(pool, slot, &job);
    if (job.payload)
        end = job.kind->run(&job, db, pool->config.context);
    else
        end = job_dead(&job, "its payload cannot be read");
    set_running(pool, slot, NULL);
    job_figures_took(figures, (clock_monotonic_ns() - claimed_ns) / 1000);
    settle(&job, db, figures, end);
    json_decref(job.payload);
    db_rows_free(claimed->rows);
}

/* False: there was nothing to do. */
static bool work_once(struct job_pool *pool, struct db *db, unsigned slot)
{
    struct jobs_claimed claimed;
    int first = (int)(atomic_fetch_add(&pool->turn, 1) % (unsigned)pool->config.kinds_count);
    uint64_t claimed_ns =
        clock_monotonic_ns(); /* before: the lease cannot end earlier than we think */
    enum db_result result =
        jobs_claim(db, pool->kinds, pool->config.kinds_count, first, pool->config.run, &claimed);
    if (result != DB_OK && result != DB_AWAY)
        log_error("no job can be claimed", log_text("result", db_result_name(result)),
                  log_text("error", db_error(db)));
    if (!claimed.rows)
        return false;
    run(pool, db, slot, &claimed, claimed_ns);
    return true;
}

struct worker {
    struct job_pool *pool;
    unsigned slot;
};

static void *work_on(void *argument)
{
    struct worker worker = *(struct worker *)argument;
    struct job_pool *pool = worker.pool;
    struct db *db = db_open(&pool->config.db);
    free(argument);
    assert(db);
    setpriority(PRIO_PROCESS, (id_t)gettid(), JOB_NICE);
    while (!pool->stopping) {
        uint64_t seen = wakes_so_far(pool);
        if (!work_once(pool, db, worker.slot))
            rest(pool, seen, JOB_POLL_MS);
    }
    db_close(db);
    return NULL;
}

/* ---- the keeper ---- */

static bool is_among(const struct db_rows *rows, const char *id)
{
    for (int row = 0; row < db_rows_count(rows); row++)
        if (strcmp(db_cell(rows, row, 0), id) == 0)
            return true;
    return false;
}

/* What the database did not prolong is somebody else's by now: the run learns it from the clock. */
static void note_leases(struct job_pool *pool, const struct db_rows *rows, uint64_t asked_ns)
{
    pthread_mutex_lock(&pool->lock);
    for (unsigned slot = 0; slot < pool->started; slot++) {
        struct job *job = pool->running[slot];
        if (!job || job->claimed_ns >= asked_ns)
            continue;
        if (is_among(rows, job->claimed.id))
            job->lease_ends_ns = asked_ns + job->kind->limits.lease_ms * NS_PER_MS;
        else
            job->lease_ends_ns = 0;
    }
    pthread_mutex_unlock(&pool->lock);
}

static bool is_busy(struct job_pool *pool)
{
    bool busy = false;
    pthread_mutex_lock(&pool->lock);
    for (unsigned slot = 0; slot < pool->started; slot++)
        busy |= pool->running[slot] != NULL;
    pthread_mutex_unlock(&pool->lock);
    return busy;
}

static void renew(struct job_pool *pool, struct db *db)
{
    struct db_rows *rows;
    uint64_t asked_ns = clock_monotonic_ns();
    if (jobs_renew(db, pool->kinds, pool->config.kinds_count, pool->config.run, &rows) == DB_OK)
        note_leases(pool, rows, asked_ns);
    db_rows_free(rows);
}

static void read_figures(struct job_pool *pool, struct db *db)
{
    struct db_rows *rows;
    enum db_result result = jobs_figures(db, pool->kinds, pool->config.kinds_count, &rows);
    for (int row = 0; result == DB_OK && row < db_rows_count(rows); row++)
        for (int kind = 0; kind < pool->config.kinds_count; kind++) {
            if (strcmp(pool->kinds[kind].name, db_cell(rows, row, 0)) != 0)
                continue;
            struct job_figures *figures = &pool->config.figures[kind];
            figures->waiting = (uint64_t)db_cell_number(rows, row, 1);
            figures->running = (uint64_t)db_cell_number(rows, row, 2);
            figures->buried = (uint64_t)db_cell_number(rows, row, 3);
            figures->oldest_ms = (uint64_t)db_cell_number(rows, row, 4);
        }
    db_rows_free(rows);
}

static void *keep(void *argument)
{
    struct job_pool *pool = argument;
    struct db *db = db_open(&pool->config.db);
    uint64_t figures_ns = 0, pruned_ns = 0;
    assert(db);
    while (!pool->stopping || is_busy(pool)) {
        uint64_t now_ns = clock_monotonic_ns();
        if (is_busy(pool))
            renew(pool, db);
        if (now_ns - figures_ns > JOB_FIGURES_MS * NS_PER_MS) {
            read_figures(pool, db);
            figures_ns = now_ns;
        }
        if (now_ns - pruned_ns > PRUNE_EVERY_NS) {
            jobs_prune(db);
            if (pool->config.hourly)
                pool->config.hourly(db);
            pruned_ns = now_ns;
        }
        struct timespec tick = {.tv_sec = pool->tick_ms / 1000,
                                .tv_nsec = (long)(pool->tick_ms % 1000 * NS_PER_MS)};
        if (pool->stopping)
            nanosleep(&tick, NULL); /* a run is at its last */
        else
            rest(pool, wakes_so_far(pool), pool->tick_ms);
    }
    db_close(db);
    return NULL;
}

/* ---- life ---- */

/* Often enough that two lost ticks lose no lease. */
static unsigned choose_tick_ms(const struct job_config *config)
{
    unsigned tick_ms = TICK_MS_MAX;
    for (int i = 0; i < config->kinds_count; i++)
        if (config->kinds[i]->limits.lease_ms / 4 < tick_ms)
            tick_ms = config->kinds[i]->limits.lease_ms / 4;
    return tick_ms < TICK_MS_MIN ? TICK_MS_MIN : tick_ms;
}

static bool start_worker(struct job_pool *pool)
{
    struct worker *worker = malloc(sizeof *worker);
    if (!worker)
        return false;
    *worker = (struct worker){pool, pool->started};
    if (pthread_create(&pool->threads[pool->started], NULL, work_on, worker) != 0) {
        free(worker);
        return false;
    }
    pthread_mutex_lock(&pool->lock);
    pool->started++;
    pthread_mutex_unlock(&pool->lock);
    return true;
}

static struct job_pool *make_pool(const struct job_config *config)
{
    struct job_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t monotonic;
    if (!pool)
        return NULL;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pool->config = *config;
    if (!config->figures)
        pool->config.figures = pool->unseen;
    pool->tick_ms = choose_tick_ms(config);
    for (int i = 0; i < config->kinds_count; i++) {
        pool->kinds[i] = config->kinds[i]->limits;
        pool->config.figures[i].kind = pool->kinds[i].name;
    }
    return pool;
}

struct job_pool *job_open(const struct job_config *config, char *error, size_t room)
{
    assert(config->workers <= JOB_WORKERS_MAX && config->kinds_count <= JOBS_KINDS_MAX);
    assert(config->kinds_count > 0);
    struct job_pool *pool = make_pool(config);
    if (!pool) {
        snprintf(error, room, "no memory for the workers of jobs");
        return NULL;
    }
    pool->has_keeper = pthread_create(&pool->keeper, NULL, keep, pool) == 0;
    while (pool->has_keeper && pool->started < config->workers && start_worker(pool))
        continue;
    if (!pool->has_keeper || pool->started < config->workers) {
        snprintf(error, room, "the workers of jobs could not be started");
        job_close(pool);
        return NULL;
    }
    return pool;
}

void job_close(struct job_pool *pool)
{
    if (!pool)
        return;
    pool->stopping = true;
    job_wake(pool);
    for (unsigned i = 0; i < pool->started; i++)
        pthread_join(pool->threads[i], NULL);
    if (pool->has_keeper)
        pthread_join(pool->keeper, NULL);
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
