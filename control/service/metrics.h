/* metrics: what control counts, and how it is shown to Prometheus.
 *
 * One struct, shared by all threads, relaxed atomics, never reset. The database's own figures are
 * db.h's and are shown with these. Thread: any. Bound: fixed size. */
#ifndef RINGBRIDGE_CONTROL_SERVICE_METRICS_H
#define RINGBRIDGE_CONTROL_SERVICE_METRICS_H

#include "control/db/db.h"
#include "control/service/job_figures.h"
#include "control/store/events.h"
#include "control/store/jobs.h"
#include "control/tools/tool_pool.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

/* Which webhook: one row, one enum, one label. Aliases count under their canonical name. */
#define METRICS_ROUTES(ROW)                                                                        \
    ROW(incoming_call)                                                                             \
    ROW(status_callback)                                                                           \
    ROW(message_status)                                                                            \
    ROW(incoming_sms)                                                                              \
    ROW(after_stream)                                                                              \
    ROW(stream_status)                                                                             \
    ROW(call_step)                                                                                 \
    ROW(queue_wait)                                                                                \
    ROW(transfer_wait)                                                                             \
    ROW(transfer_answered)                                                                         \
    ROW(transfer_decision)                                                                         \
    ROW(transfer_status)                                                                           \
    ROW(conference_status)                                                                         \
    ROW(recording_status)                                                                          \
    ROW(voicemail_recording)                                                                       \
    ROW(outbound_call)                                                                             \
    ROW(outbound_status)                                                                           \
    ROW(outbound_amd)                                                                              \
    ROW(media) /* no webhook: somebody with a link to a recording */                               \
    ROW(api)   /* no webhook: the REST API */                                                      \
    ROW(other)

/* What became of a webhook. */
#define METRICS_OUTCOMES(ROW)                                                                      \
    ROW(answered)        /* done as asked */                                                       \
    ROW(repeated)        /* known already, answered all the same */                                \
    ROW(soft)            /* words and a redirect, because the database is away */                  \
    ROW(given_up)        /* words and a hang-up, after too many of those */                        \
    ROW(unknown_number)  /* no organisation has the number */                                      \
    ROW(unknown_call)    /* no conversation has the CallSid */                                     \
    ROW(remembered)      /* without the database, as the number's calls were answered last */      \
    ROW(kept)            /* acknowledged and in the journal, because the database is away */       \
    ROW(call_over)       /* the call had ended before */                                           \
    ROW(bad_signature)   /* 403 */                                                                 \
    ROW(unknown_account) /* 403: nobody's AccountSid */                                            \
    ROW(wrong_account)   /* 403: the account belongs to another organisation */                    \
    ROW(malformed)       /* 400, 413 */                                                            \
    ROW(refused)         /* by the API: token, role, rate, or a value */                           \
    ROW(not_found)       /* 404 */                                                                 \
    ROW(too_many)        /* 429, 503: beyond the door's rates */                                   \
    ROW(wrong_method)    /* 405 */                                                                 \
    ROW(unavailable)     /* 503: try again */                                                      \
    ROW(failed)          /* a bug or a wrong set-up of ours */

/* What became of an edge's question about a ticket. */
#define METRICS_ADMISSIONS(ROW)                                                                    \
    ROW(admitted)                                                                                  \
    ROW(ticket_invalid)                                                                            \
    ROW(ticket_expired)                                                                            \
    ROW(ticket_used)                                                                               \
    ROW(signature_invalid)                                                                         \
    ROW(unknown_call)                                                                              \
    ROW(unavailable)

enum metrics_route {
#define ROW(name) ROUTE_##name,
    METRICS_ROUTES(ROW)
#undef ROW
        ROUTE_COUNT
};

enum metrics_outcome {
#define ROW(name) OUTCOME_##name,
    METRICS_OUTCOMES(ROW)
#undef ROW
        OUTCOME_COUNT
};

enum metrics_admission {
#define ROW(name) ADMISSION_##name,
    METRICS_ADMISSIONS(ROW)
#undef ROW
        ADMISSION_COUNT
};

#define METRICS_BUCKETS 14 /* 1 ms .. 10 s, then +Inf */

typedef atomic_uint_fast64_t metrics_count;

struct metrics {
    metrics_count webhooks[ROUTE_COUNT][OUTCOME_COUNT];
    metrics_count webhook_buckets[METRICS_BUCKETS], webhook_us_sum; /* read to answered */
    metrics_count admissions[ADMISSION_COUNT];
    metrics_count requests, requests_late, requests_malformed;
    metrics_count events_received, events[EVENTS_PARKED + 1], events_malformed, events_retried;
    metrics_count orders, orders_ok, orders_refused, orders_lost;
    metrics_count journal_stored, journal_refused; /* webhooks that were kept, when it was back */
    metrics_count calls_moved;                     /* to another edge, because this one was full */
    metrics_count calls_together;                  /* that shared a statement (convoy.h) */
    metrics_count frames_unknown, links_accepted, links_refused, links_broken;
    metrics_count lookups_throttled; /* of unknown accounts */
    metrics_count tokens_unopened;   /* sealed with a key we do not have */
    metrics_count links;             /* gauges from here on */
    metrics_count queue_waiting, calls_waiting, events_waiting, journal_waiting, workers_busy,
        workers;
    struct db_figures database;
    struct tool_figures tools;
    struct job_figures jobs[JOBS_KINDS_MAX]; /* by kind, as many as this control has */
};

#define COUNT(metrics_, field) COUNT_BY(metrics_, field, 1)
#define COUNT_BY(metrics_, field, amount)                                                          \
    atomic_fetch_add_explicit(&(metrics_)->field, (amount), memory_order_relaxed)
#define UNCOUNT(metrics_, field) UNCOUNT_BY(metrics_, field, 1)
#define UNCOUNT_BY(metrics_, field, amount)                                                        \
    atomic_fetch_sub_explicit(&(metrics_)->field, (amount), memory_order_relaxed)

const char *metrics_route_name(enum metrics_route route);
const char *metrics_outcome_name(enum metrics_outcome outcome);

/* Counts one webhook and how long it took. */
void metrics_webhook(struct metrics *metrics, enum metrics_route route,
                     enum metrics_outcome outcome, uint64_t took_us);

/* Writes everything as Prometheus text (ringbridge_control_*). */
void metrics_write(FILE *out, const struct metrics *metrics);

#endif
