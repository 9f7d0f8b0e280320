/* reconcile: an organisation's record beside the carrier's lists (control/carrier/reconcile.h),
 * once an hour. What it repairs it repairs at once, each fact by itself, so whoever begins anew
 * finds those known. */
#include "control/carrier/reconcile.h"

#include "control/jobs/kinds.h"

static bool must_stop(void *context)
{
    return job_must_stop(context);
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *kinds = context;
    json_int_t hours = json_integer_value(json_object_get(job->payload, "hours"));
    struct reconcile reconcile = {
        .options = kinds->options,
        .organization = job->claimed.organization,
        .hours = hours > 0 && hours <= RECONCILE_HOURS_MAX ? (unsigned)hours : 48,
        .must_stop = must_stop,
        .context = job};
    enum job_end end = JOB_DONE;
    switch (reconcile_run(&reconcile, db)) {
    case RECONCILE_DONE:
    case RECONCILE_NOTHING: /* nobody's fault: there is nothing to compare with */
        break;
    case RECONCILE_CARRIER:
        end = job_asked(job, &reconcile.response);
        break;
    case RECONCILE_DATABASE:
        end = job_later(job, "%s", db_error(db));
        break;
    }
    http_client_free(&reconcile.response);
    return end;
}

const struct job_kind reconcile_job = {
    .limits = {.name = "reconcile", .concurrency = 2, .lease_ms = 60000},
    .pause_ms = 60000,
    .run = run};
