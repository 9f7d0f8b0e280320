/* job: the workers that do what jobs say, one at a time each, from top to bottom.
 *
 * What it is: claim, lease, run, finish, back off, give up. A kind is one file in control/jobs/
 * with one row in control/jobs/kinds.c. What it is not: the rows (store/jobs.h).
 *
 * Exactly one effect: whoever dies in the middle leaves a lease that runs out, and the next begins
 * anew; so a run must be harmless to repeat up to job_commit, which makes the effect in the
 * database and the end of the job one transaction, and refuses when the lease was lost. An effect
 * outside is made harmless to repeat by its own key.
 *
 * Threads: N workers at low priority, so that encoding never competes with a call, and a keeper
 * that renews leases; each has a database connection. Bounds: JOBS_KINDS_MAX kinds, JOB_WORKERS_MAX
 * workers; waiting work is found JOB_POLL_MS late at most. */
#ifndef RINGBRIDGE_CONTROL_JOBS_JOB_H
#define RINGBRIDGE_CONTROL_JOBS_JOB_H

#include "control/net/http_client.h"
#include "control/service/job_figures.h"
#include "control/store/jobs.h"

#include <jansson.h>

#define JOB_WORKERS_MAX  64
#define JOB_POLL_MS      500
#define JOB_NICE         15
#define JOB_ERROR_BYTES  HTTP_CLIENT_ERROR_BYTES
#define JOB_PAUSE_MS_MAX (60 * 60 * 1000) /* between two tries */

enum job_end {
    JOB_DONE,    /* finished, or job_commit has said so */
    JOB_LATER,   /* try again after a pause; job->error says why */
    JOB_DEAD,    /* never; job->error says why */
    JOB_RETURNED /* it was told to stop: somebody else shall begin it anew */
};

struct job;

struct job_kind {
    struct jobs_kind limits;
    unsigned pause_ms;     /* before the second try; doubles, with jitter */
    unsigned pause_ms_max; /* and never gets longer; 0: JOB_PAUSE_MS_MAX */
    enum job_end (*run)(struct job *job, struct db *db, void *context);
};

struct job {
    struct jobs_claimed claimed;
    const struct job_kind *kind;
    json_t *payload; /* an object */
    char error[JOB_ERROR_BYTES];
    int64_t pause_least_ms; /* a run may set it: not tried again before */
    struct job_pool *pool;  /* private from here on */
    bool committed;
    uint64_t claimed_ns;
    atomic_uint_fast64_t lease_ends_ns;
};

struct job_config {
    unsigned workers; /* 0: none; this control leaves jobs to others */
    const struct job_kind *const *kinds;
    int kinds_count;
    const char *run; /* uuid of this control's life */
    struct db_config db;
    struct job_figures *figures;   /* of kinds_count, or NULL */
    void *context;                 /* for run */
    void (*hourly)(struct db *db); /* or NULL; by the keeper, at its beginning too */
};

struct job_pool;

/* Starts the workers. NULL with a sentence in error. Boot thread. */
struct job_pool *job_open(const struct job_config *config, char *error, size_t room);

/* Somebody has made a job: look now. Any thread. */
void job_wake(struct job_pool *pool);

/* Tells runs to stop, waits for them, returns what they had not finished. NULL is fine. */
void job_close(struct job_pool *pool);

/* ---- for a run ---- */

/* The effect (NULL: none) and the job's end in one transaction of its organisation, with
 * db_transact's rules for work. DB_REFUSED also when the lease was lost: then nothing happened. */
enum db_result job_commit(struct job *job, struct db *db,
                          enum db_result (*work)(struct db *db, void *context), void *context);

/* Asked now and then by a long run: is the process stopping or the lease lost? */
bool job_must_stop(struct job *job);

/* Write job->error and return JOB_LATER or JOB_DEAD. */
__attribute__((format(printf, 2, 3))) enum job_end job_later(struct job *job, const char *format,
                                                             ...);
__attribute__((format(printf, 2, 3))) enum job_end job_dead(struct job *job, const char *format,
                                                            ...);

/* How a run ends whose request did not go well: tried again not before the other side wants it,
 * given up, or returned. */
enum job_end job_asked(struct job *job, const struct http_client_response *response);

/* job_must_stop for http_client_request.must_stop; context is the job. */
bool job_must_stop_asking(void *job);

#endif
