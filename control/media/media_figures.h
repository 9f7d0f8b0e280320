/* media_figures: what this process did in looking through stores of sound (jobs/media_check), and
 * how many recordings were found without their file. One set for the process, shown to Prometheus.
 * Thread: any. */
#ifndef RINGBRIDGE_CONTROL_MEDIA_MEDIA_FIGURES_H
#define RINGBRIDGE_CONTROL_MEDIA_MEDIA_FIGURES_H

#include "control/db/db.h"

#include <stdio.h>

/* One row: the name (ringbridge_control_media_NAME_total) and its help. */
#define MEDIA_FIGURES(ROW)                                                                         \
    ROW(checked, "Files in stores of sound that were compared with our rows.")                     \
    ROW(removed, "Of those: removed, because they were old and nothing named them.")               \
    ROW(lists_refused, "Lists of a store that were not what we asked for.")

enum media_figure {
#define ROW(name, help) MEDIA_##name,
    MEDIA_FIGURES(ROW)
#undef ROW
        MEDIA_FIGURES_COUNT
};

void media_figures_count(enum media_figure figure, uint64_t amount);

/* Asks the database for the gauges; they stay as they were when that is away. */
void media_figures_look(struct db *db);

void media_figures_write(FILE *out);

#endif
