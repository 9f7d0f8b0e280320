#include "control/jobs/kinds.h"

#include "common/log.h"
#include "control/carrier/carrier_figures.h"
#include "control/media/media_figures.h"
#include "control/store/media_checks.h"
#include "control/store/number_checks.h"
#include "control/store/number_searches.h"
#include "control/store/reconciliations.h"
#include "control/store/recordings.h"

int kinds_choose(const struct options *options, const struct job_kind *kinds[JOBS_KINDS_MAX])
{
    int count = 0;
    kinds[count++] = &transfer_watch; /* somebody waits for these two: first of all */
    kinds[count++] = &transfer_call;
    kinds[count++] = &text_send;
    kinds[count++] = &call_make;
    kinds[count++] = &call_hangup;
    kinds[count++] = &number_search;
    if (options->spool_dir)
        kinds[count++] = &recording_encode;
    kinds[count++] = &after_call;
    kinds[count++] = &email_send;
    kinds[count++] = &webhook_send;
    kinds[count++] = &slack_send;
    kinds[count++] = &recording_fetch;
    kinds[count++] = &recording_delete;
    kinds[count++] = &carrier_delete;
    kinds[count++] = &voicemail_after;
    kinds[count++] = &reconcile_job;
    kinds[count++] = &media_check;
    kinds[count++] = &number_buy;
    kinds[count++] = &number_release;
    kinds[count++] = &number_verify;
    kinds[count++] = &account_open;
    return count;
}

void kinds_hourly(struct db *db)
{
    if (reconciliations_plan(db) != DB_OK)
        log_warn("comparisons with the carrier cannot be planned", log_text("error", db_error(db)));
    if (number_checks_plan(db) != DB_OK)
        log_warn("comparisons of numbers cannot be planned", log_text("error", db_error(db)));
    if (number_searches_clean(db) != DB_OK)
        log_warn("searches of numbers that have expired cannot be forgotten",
                 log_text("error", db_error(db)));
    carrier_figures_look(db);
    if (media_checks_plan(db) != DB_OK)
        log_warn("comparisons of stores cannot be planned", log_text("error", db_error(db)));
    media_figures_look(db);
    if (recordings_expire(db) != DB_OK)
        log_warn("recordings that grew too old cannot be found", log_text("error", db_error(db)));
}
