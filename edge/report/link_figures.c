#include "edge/report/link_figures.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* Rows with the same name stand together; the first carries type and help. */
static const struct {
    size_t offset;
    const char *name, *labels, *type, *help;
} rows[] = {
#define ROW(field, name, labels, type, help)                                                       \
    {                                                                                              \
        offsetof(struct link_figures, field), "ringbridge_link_" name, labels, type, help          \
    }
    ROW(up, "up", "", "gauge", "Whether control is connected and has said hello."),
    ROW(events_waiting, "events_waiting", "", "gauge", "Events that control has not acknowledged."),
    ROW(events_bytes, "events_waiting_bytes", "", "gauge", "Memory of the events that wait."),
    ROW(events_acknowledged, "events_total", "{result=\"acknowledged\"}", "counter",
        "Events for control by what became of them."),
    ROW(events_resent, "events_total", "{result=\"resent\"}", "", ""),
    ROW(events_refused, "events_total", "{result=\"refused\"}", "", ""),
    ROW(requests_waiting, "requests_waiting", "", "gauge", "Requests whose answer is owed."),
    ROW(requests_bytes, "requests_waiting_bytes", "", "gauge", "Memory of requests not yet sent."),
    ROW(requests_answered, "requests_total", "{result=\"answered\"}", "counter",
        "Requests to control by what became of them."),
    ROW(requests_late, "requests_total", "{result=\"late\"}", "", ""),
    ROW(requests_away, "requests_total", "{result=\"away\"}", "", ""),
    ROW(requests_refused, "requests_total", "{result=\"refused\"}", "", ""),
    ROW(requests_malformed, "requests_total", "{result=\"malformed\"}", "", ""),
    ROW(orders_taken, "orders_total", "{result=\"taken\"}", "counter",
        "Orders from control by what became of them."),
    ROW(orders_refused, "orders_total", "{result=\"refused\"}", "", ""),
    ROW(skipped_type, "skipped_total", "{frame=\"type\"}", "counter",
        "Frames from control that meant nothing here: of an unknown type, late or doubled."),
    ROW(skipped_response, "skipped_total", "{frame=\"response\"}", "", ""),
    ROW(skipped_ack, "skipped_total", "{frame=\"ack\"}", "", ""),
    ROW(letters_kept, "letters_kept", "", "gauge", "Letters that wait for room in an inbox."),
#undef ROW
};

void link_figures_write(FILE *out, const struct link_figures *figures)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *base = (const char *)figures + rows[i].offset;
        uint64_t value = __atomic_load_n((const uint64_t *)(const void *)base, __ATOMIC_RELAXED);
        if (rows[i].help[0])
            fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help, rows[i].name,
                    rows[i].type);
        fprintf(out, "%s%s %" PRIu64 "\n", rows[i].name, rows[i].labels, value);
    }
    const char *name = "ringbridge_link_reconnects_total";
    uint64_t greetings = FIGURE_GET(figures, greetings);
    fprintf(out, "# HELP %s Times the link came up again after the first.\n# TYPE %s counter\n",
            name, name);
    fprintf(out, "%s %" PRIu64 "\n", name, greetings ? greetings - 1 : 0);
}
