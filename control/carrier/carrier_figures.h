/* carrier_figures: what this process did at the carrier beside calls: numbers, webhooks of numbers,
 * accounts, and how the numbers were found there. One set for the process, shown to Prometheus.
 * Thread: any. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_CARRIER_FIGURES_H
#define RINGBRIDGE_CONTROL_CARRIER_CARRIER_FIGURES_H

#include "control/db/db.h"

#include <stdio.h>

/* One row: the name (ringbridge_control_NAME_total) and its help. */
#define CARRIER_FIGURES(ROW)                                                                       \
    ROW(numbers_bought, "Numbers bought.")                                                         \
    ROW(numbers_found, "Of those: found at the carrier after an answer that never came.")          \
    ROW(numbers_doubted, "Purchases of which the carrier did not say whether it made them.")       \
    ROW(numbers_refused, "Orders of numbers that came to nothing.")                                \
    ROW(numbers_released, "Numbers given back.")                                                   \
    ROW(accounts_opened, "Accounts made for organisations.")

enum carrier_figure {
#define ROW(name, help) CARRIER_##name,
    CARRIER_FIGURES(ROW)
#undef ROW
        CARRIER_FIGURES_COUNT
};

/* What the last comparisons with the carrier found (sql/0019), a gauge of numbers by state. */
#define CARRIER_STATES(ROW) ROW(as_wanted) ROW(differs) ROW(missing) ROW(unasked)

void carrier_figures_count(enum carrier_figure figure);

/* Asks the database for the gauge; it stays as it was when that is away. An hour old at most
 * (kinds_hourly). */
void carrier_figures_look(struct db *db);

void carrier_figures_write(FILE *out);

#endif
