/* number_verify: an organisation's numbers beside what the carrier has of them, once a day and when
 * somebody asks; with mend in the payload, what differs is set as we want it. Harmless to repeat:
 * what was mended is found as wanted. */
#include "control/base/json_read.h"
#include "control/carrier/carrier_check.h"
#include "control/carrier/carrier_figures.h"
#include "control/jobs/kinds.h"
#include "control/store/number_checks.h"

#include <stdlib.h>

struct verifying {
    struct job *job;
    const char *number;
    json_t *found;
};

static void keep(const struct carrier_check_told *told, void *context)
{
    static const char *const kinds[] = {[CARRIER_CHECK_DIFFERS] = "differs",
                                        [CARRIER_CHECK_MISSING] = "missing",
                                        [CARRIER_CHECK_UNKNOWN] = "unknown",
                                        [CARRIER_CHECK_UNASKED] = "unasked"};
    struct verifying *verifying = context;
    json_array_append_new(verifying->found,
                          json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:b, s:s?}", "number",
                                    told->number, "kind", kinds[told->kind], "property",
                                    told->property, "has", told->has, "wants", told->wants,
                                    "mended", told->mended, "why", told->why));
}

static enum db_result put_on_record(struct db *db, void *context)
{
    struct verifying *verifying = context;
    char *text = json_dumps(verifying->found, JSON_COMPACT);
    enum db_result result = number_checks_note(db, verifying->job->claimed.organization,
                                               verifying->number, text ? text : "[]");
    free(text);
    return result;
}

/* What the carrier did not say today it may say later: on record all the same. */
static enum job_end conclude(struct verifying *verifying, const struct carrier_check *check,
                             struct db *db)
{
    struct job *job = verifying->job;
    enum db_result result;
    if (check->unasked > 0)
        result = db_transact(db, job->claimed.organization, put_on_record, verifying);
    else
        result = job_commit(job, db, put_on_record, verifying);
    if (result != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    carrier_figures_look(db);
    return check->unasked > 0 ? job_later(job, "the carrier did not say all: number checks")
                              : JOB_DONE;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *by = json_read_text(job->payload, "by", 200);
    struct verifying verifying = {.job = job, .number = json_read_text(job->payload, "number", 16)};
    struct carrier_number_want want;
    struct carrier_check check = {.options = given->options,
                                  .organization = job->claimed.organization,
                                  .number = verifying.number,
                                  .mend = json_is_true(json_object_get(job->payload, "mend")),
                                  .by = by ? by : "unknown",
                                  .tell = keep,
                                  .context = &verifying,
                                  .must_stop = job_must_stop_asking,
                                  .must_stop_context = job};
    enum job_end end;
    if (!given->options->public_url || !carrier_number_wish(&want, given->options->public_url))
        return job_dead(job, "this control has no PUBLIC_URL, or one that is too long");
    verifying.found = json_array();
    if (carrier_check_run(&check, db) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (job_must_stop(job))
        end = JOB_RETURNED; /* what was not asked for that reason is no finding */
    else
        end = conclude(&verifying, &check, db);
    json_decref(verifying.found);
    return end;
}

const struct job_kind number_verify = {
    .limits = {.name = "number_verify", .concurrency = 2, .lease_ms = 60000},
    .pause_ms = 60000,
    .run = run,
};
