#include "control/jobs/sweep.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/media/spool_file.h"
#include "control/store/recordings.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 4096

struct sweep {
    const char *spool_dir;
    struct db_config db;
    struct job_pool *pool;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool closing;
};

/* One file, and what became of it. */
struct finding {
    const char *name;
    char organization[UUID_TEXT_BYTES + 1];
    bool made, recorded;
};

static enum db_result report(struct db *db, void *context)
{
    struct finding *finding = context;
    char payload[SPOOL_NAME_BYTES + 32];
    snprintf(payload, sizeof payload, "{\"file\":\"%s\"}", finding->name);
    enum db_result result = recordings_has(db, "edge", finding->name, &finding->recorded);
    if (result == DB_OK && !finding->recorded)
        result = jobs_enqueue(db, finding->organization, "recording_encode", finding->name, payload,
                              &finding->made);
    return result;
}

static void remove_file(const struct sweep *sweep, const char *name)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", sweep->spool_dir, name);
    if (unlink(path) != 0)
        log_warn("a spool file cannot be removed", log_text("file", name),
                 log_text("error", strerror(errno)));
}

/* With the file locked: no edge writes it, and no job encodes it at this moment. */
static void take_file(struct sweep *sweep, struct db *db, const char *name,
                      const struct spool_file *file)
{
    struct finding finding = {.name = name};
    uuid_write(spool_file_head(file)->organization, finding.organization);
    enum db_result result = db_transact(db, finding.organization, report, &finding);
    if (result == DB_OK && finding.recorded) {
        remove_file(sweep, name);
    } else if (result == DB_OK && finding.made) {
        log_info("recording found", log_text("file", name),
                 log_text("organization", finding.organization));
        job_wake(sweep->pool);
    } else if (result != DB_OK && result != DB_AWAY) {
        log_warn("a recording cannot be taken", log_text("file", name),
                 log_text("error", db_error(db)));
    }
}

/* What an edge was about to name when it died. Older than any edge needs between two steps. */
static void look_at_new(const struct sweep *sweep, const char *name, time_t now)
{
    char path[PATH_BYTES];
    struct stat facts;
    size_t bytes = strlen(name), own_bytes = strlen(SPOOL_NEW);
    if (bytes != SPOOL_NAME_BYTES + own_bytes || strcmp(name + SPOOL_NAME_BYTES, SPOOL_NEW) != 0 ||
        !spool_name_valid(span_from(name, SPOOL_NAME_BYTES)))
        return;
    snprintf(path, sizeof path, "%s/%s", sweep->spool_dir, name);
    if (lstat(path, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size == 0 &&
        now - facts.st_mtime > SWEEP_NEW_S)
        remove_file(sweep, name);
}

static void look_at(struct sweep *sweep, struct db *db, const char *name)
{
    struct spool_file *file = NULL;
    if (!spool_name_valid(span_of(name))) {
        look_at_new(sweep, name, (time_t)(clock_wall_ms() / 1000));
        return;
    }
    switch (spool_file_open(sweep->spool_dir, name, &file)) {
    case SPOOL_FILE_OPENED:
        take_file(sweep, db, name, file);
        break;
    case SPOOL_FILE_EMPTY: /* its edge died within the first second */
        remove_file(sweep, name);
        break;
    case SPOOL_FILE_FAILED:
        log_warn("a spool file cannot be read", log_text("file", name),
                 log_text("error", strerror(errno)));
        break;
    case SPOOL_FILE_MISSING:
    case SPOOL_FILE_BUSY:
        break;
    }
    spool_file_close(file);
}

static void look_around(struct sweep *sweep, struct db *db)
{
    DIR *directory = opendir(sweep->spool_dir);
    const struct dirent *entry;
    if (!directory) {
        log_warn("the spool cannot be read", log_text("spool", sweep->spool_dir),
                 log_text("error", strerror(errno)));
        return;
    }
    while ((entry = readdir(directory)) && !sweep->closing)
        look_at(sweep, db, entry->d_name);
    closedir(directory);
}

static bool rest(struct sweep *sweep)
{
    uint64_t at_ns = clock_monotonic_ns() + SWEEP_EVERY_MS * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(at_ns / 1000000000),
                             .tv_nsec = (long)(at_ns % 1000000000)};
    int late = 0;
    pthread_mutex_lock(&sweep->lock);
    while (!sweep->closing && late == 0)
        late = pthread_cond_timedwait(&sweep->changed, &sweep->lock, &until);
    bool goes_on = !sweep->closing;
    pthread_mutex_unlock(&sweep->lock);
    return goes_on;
}

static void *sweep_on(void *argument)
{
    struct sweep *sweep = argument;
    struct db *db = db_open(&sweep->db);
    assert(db);
    do
        look_around(sweep, db);
    while (rest(sweep));
    db_close(db);
    return NULL;
}

struct sweep *sweep_open(const char *spool_dir, const struct db_config *db, struct job_pool *pool,
                         char *error, size_t room)
{
    struct sweep *sweep = calloc(1, sizeof *sweep);
    pthread_condattr_t monotonic;
    if (!sweep) {
        snprintf(error, room, "no memory for the sweep of the spool");
        return NULL;
    }
    *sweep = (struct sweep){.spool_dir = spool_dir, .db = *db, .pool = pool};
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&sweep->lock, NULL);
    pthread_cond_init(&sweep->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&sweep->thread, NULL, sweep_on, sweep) == 0)
        return sweep;
    snprintf(error, room, "no thread for the sweep of the spool");
    free(sweep);
    return NULL;
}

void sweep_close(struct sweep *sweep)
{
    if (!sweep)
        return;
    pthread_mutex_lock(&sweep->lock);
    sweep->closing = true;
    pthread_cond_signal(&sweep->changed);
    pthread_mutex_unlock(&sweep->lock);
    pthread_join(sweep->thread, NULL);
    pthread_cond_destroy(&sweep->changed);
    pthread_mutex_destroy(&sweep->lock);
    free(sweep);
}
