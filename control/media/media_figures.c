#include "control/media/media_figures.h"

#include "control/store/media_checks.h"

#include <inttypes.h>
#include <stdatomic.h>

static atomic_uint_fast64_t counts[MEDIA_FIGURES_COUNT], missing, lingering;

void media_figures_count(enum media_figure figure, uint64_t amount)
{
    atomic_fetch_add_explicit(&counts[figure], amount, memory_order_relaxed);
}

void media_figures_look(struct db *db)
{
    struct db_rows *rows;
    if (media_checks_count(db, &rows) == DB_OK) {
        atomic_store_explicit(&missing, (uint64_t)db_cell_number(rows, 0, 0), memory_order_relaxed);
        atomic_store_explicit(&lingering, (uint64_t)db_cell_number(rows, 0, 1),
                              memory_order_relaxed);
    }
    db_rows_free(rows);
}

static void write_figure(FILE *out, const char *name, const char *type, const char *help,
                         const atomic_uint_fast64_t *count)
{
    fprintf(out,
            "# HELP ringbridge_control_%s %s\n# TYPE ringbridge_control_%s %s\n"
            "ringbridge_control_%s %" PRIuFAST64 "\n",
            name, help, name, type, name, atomic_load_explicit(count, memory_order_relaxed));
}

void media_figures_write(FILE *out)
{
    static const struct {
        const char *name, *help;
    } rows[] = {
#define ROW(name, help) {"media_" #name "_total", help},
        MEDIA_FIGURES(ROW)
#undef ROW
    };
    for (int i = 0; i < MEDIA_FIGURES_COUNT; i++)
        write_figure(out, rows[i].name, "counter", rows[i].help, &counts[i]);
    write_figure(out, "recordings_missing", "gauge",
                 "Recordings whose file was missing when it was last looked for.", &missing);
    write_figure(out, "recordings_lingering", "gauge",
                 "Deleted recordings whose file was there when it was last looked for.",
                 &lingering);
}
