#include "control/carrier/carrier_figures.h"

#include "control/store/number_checks.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

static atomic_uint_fast64_t counts[CARRIER_FIGURES_COUNT];

void carrier_figures_count(enum carrier_figure figure)
{
    atomic_fetch_add_explicit(&counts[figure], 1, memory_order_relaxed);
}

static const char *const states[] = {
#define ROW(name) #name,
    CARRIER_STATES(ROW)
#undef ROW
};
#define STATES_COUNT (sizeof states / sizeof states[0])

static atomic_uint_fast64_t found[STATES_COUNT];

static uint64_t read_count(const struct db_rows *rows, const char *state)
{
    for (int row = 0; row < db_rows_count(rows); row++)
        if (strcmp(db_cell(rows, row, 0), state) == 0)
            return (uint64_t)db_cell_number(rows, row, 1);
    return 0;
}

void carrier_figures_look(struct db *db)
{
    struct db_rows *rows;
    if (number_checks_count(db, &rows) == DB_OK)
        for (size_t i = 0; i < STATES_COUNT; i++)
            atomic_store_explicit(&found[i], read_count(rows, states[i]), memory_order_relaxed);
    db_rows_free(rows);
}

static void write_states(FILE *out)
{
    fprintf(out, "# HELP ringbridge_control_numbers_checked Numbers in use by what the last "
                 "comparison with the carrier found.\n# TYPE ringbridge_control_numbers_checked "
                 "gauge\n");
    for (size_t i = 0; i < STATES_COUNT; i++)
        fprintf(out, "ringbridge_control_numbers_checked{state=\"%s\"} %" PRIuFAST64 "\n",
                states[i], atomic_load_explicit(&found[i], memory_order_relaxed));
}

void carrier_figures_write(FILE *out)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
#define ROW(name, help) {#name, help},
        CARRIER_FIGURES(ROW)
#undef ROW
    };
    for (int i = 0; i < CARRIER_FIGURES_COUNT; i++)
        fprintf(out,
                "# HELP ringbridge_control_%s_total %s\n# TYPE ringbridge_control_%s_total "
                "counter\nringbridge_control_%s_total %" PRIuFAST64 "\n",
                rows[i].name, rows[i].help, rows[i].name, rows[i].name,
                atomic_load_explicit(&counts[i], memory_order_relaxed));
    write_states(out);
}
