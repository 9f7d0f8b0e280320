#include "control/jobs/kinds.h"

int kinds_choose(const struct options *options, const struct job_kind *kinds[JOBS_KINDS_MAX])
{
    int count = 0;
    if (options->spool_dir)
        kinds[count++] = &recording_encode;
    kinds[count++] = &after_call;
    kinds[count++] = &email_send;
    kinds[count++] = &webhook_send;
    kinds[count++] = &slack_send;
    return count;
}
