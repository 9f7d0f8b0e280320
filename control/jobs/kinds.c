#include "control/jobs/kinds.h"

int kinds_choose(const struct options *options, const struct job_kind *kinds[JOBS_KINDS_MAX])
{
    int count = 0;
    if (options->spool_dir)
        kinds[count++] = &recording_encode;
    return count;
}
