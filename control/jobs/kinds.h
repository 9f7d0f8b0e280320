/* kinds: the kinds of jobs there are, a file each, a row each in kinds.c.
 *
 * Thread: boot. */
#ifndef RINGBRIDGE_CONTROL_JOBS_KINDS_H
#define RINGBRIDGE_CONTROL_JOBS_KINDS_H

#include "control/base/options.h"
#include "control/jobs/job.h"

/* What a run gets as its context. */
struct kinds_context {
    const struct options *options;
};

extern const struct job_kind recording_encode;
extern const struct job_kind after_call;
extern const struct job_kind email_send;
extern const struct job_kind webhook_send;
extern const struct job_kind slack_send;
extern const struct job_kind recording_fetch;
extern const struct job_kind recording_delete;
extern const struct job_kind carrier_delete;
extern const struct job_kind voicemail_after;
extern const struct job_kind reconcile_job;
extern const struct job_kind media_check;
extern const struct job_kind text_send;
extern const struct job_kind number_buy;
extern const struct job_kind number_search;
extern const struct job_kind number_release;
extern const struct job_kind number_verify;
extern const struct job_kind account_open;
extern const struct job_kind transfer_call;
extern const struct job_kind transfer_watch;
extern const struct job_kind call_make;
extern const struct job_kind call_hangup;

/* Those that this control can do, with what it was given (--spool). Returns how many. */
int kinds_choose(const struct options *options, const struct job_kind *kinds[JOBS_KINDS_MAX]);

/* Once an hour: what time alone brings up (retention, the day's comparisons). For
 * job_config.hourly. */
void kinds_hourly(struct db *db);

#endif
