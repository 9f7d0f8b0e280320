#include "control/carrier_figures.h"

#include <inttypes.h>
#include <stdatomic.h>

static atomic_uint_fast64_t counts[CARRIER_FIGURES_COUNT];

void carrier_figures_count(enum carrier_figure figure)
{
    atomic_fetch_add_explicit(&counts[figure], 1, memory_order_relaxed);
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
}
