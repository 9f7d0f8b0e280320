#include "control/commands/command.h"
#include "control/store/records.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static int list(const struct options *options, struct db *db)
{
    static const char *const headings[] = {"id",     "started",     "organization", "from",    "to",
                                           "status", "duration_ms", "ended_reason", "messages"};
    char organization[COMMAND_ID_TEXT];
    struct db_rows *rows;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        records_list(db, organization[0] ? organization : NULL, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 9);
    db_rows_free(rows);
    return COMMAND_DONE;
}

/* Strangers' words must not move the cursor or colour the terminal. */
static void print_text(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
}

static void print_field(const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    printf("%-14s ", name);
    print_text(value);
    putchar('\n');
}

static void print_seconds(const char *name, int64_t ms)
{
    if (ms >= 0)
        printf("%-14s %" PRId64 ".%03" PRId64 " s\n", name, ms / 1000, ms % 1000);
}

/* "duration       48.123 s  (edge; the carrier says 49 s)" */
static void print_duration(const struct db_rows *rows)
{
    int64_t ms = db_cell_number(rows, 0, RECORDS_DURATION_MS);
    int64_t carrier_ms = db_cell_number(rows, 0, RECORDS_CARRIER_DURATION_MS);
    const char *by = db_cell(rows, 0, RECORDS_DURATION_BY);
    if (ms < 0 || !by)
        return;
    printf("%-14s %" PRId64 ".%03" PRId64 " s  (%s", "duration", ms / 1000, ms % 1000, by);
    if (carrier_ms >= 0 && strcmp(by, "edge") == 0)
        printf("; the carrier says %" PRId64 " s", carrier_ms / 1000);
    printf(")\n");
}

static void print_figures(const char *text)
{
    json_t *figures = text ? json_loads(text, 0, NULL) : NULL;
    const char *name;
    json_t *value;
    json_object_foreach(figures, name, value)
    {
        char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
        printf("  %-24s ", name);
        print_text(shown ? shown : "");
        putchar('\n');
        free(shown);
    }
    json_decref(figures);
}

static void print_head(const struct db_rows *rows)
{
    print_field("call", db_cell(rows, 0, RECORDS_ID));
    print_field("organization", db_cell(rows, 0, RECORDS_ORGANIZATION));
    print_field("from", db_cell(rows, 0, RECORDS_FROM));
    print_field("to", db_cell(rows, 0, RECORDS_TO));
    print_field("direction", db_cell(rows, 0, RECORDS_DIRECTION));
    print_field("CallSid", db_cell(rows, 0, RECORDS_CALL_SID));
    print_field("started", db_cell(rows, 0, RECORDS_STARTED));
    print_field("answered", db_cell(rows, 0, RECORDS_ANSWERED));
    print_field("ended", db_cell(rows, 0, RECORDS_ENDED));
    print_duration(rows);
    print_seconds("stream", db_cell_number(rows, 0, RECORDS_STREAM_DURATION_MS));
    print_field("status", db_cell(rows, 0, RECORDS_STATUS));
    print_field("disconnection", db_cell(rows, 0, RECORDS_DISCONNECTION));
    print_field("SIP code", db_cell(rows, 0, RECORDS_SIP_CODE));
    print_field("ended reason", db_cell(rows, 0, RECORDS_END_REASON));
    print_field("recording", db_cell(rows, 0, RECORDS_RECORDING_URL));
    print_field("outcome", db_cell(rows, 0, RECORDS_OUTCOME));
    print_field("summary", db_cell(rows, 0, RECORDS_SUMMARY));
}

/* "  0:03.250  caller   Hello?" and "  0:07.100  agent    I was sayi...  [interrupted, 1.2 of 3.4 s
 * heard]" */
static void print_line(const struct db_rows *rows, int row)
{
    const char *role = db_cell(rows, row, RECORDS_LINE_ROLE);
    const char *text = db_cell(rows, row, RECORDS_LINE_TEXT);
    long long at_ms = db_cell(rows, row, RECORDS_LINE_AT_MS)
                          ? strtoll(db_cell(rows, row, RECORDS_LINE_AT_MS), NULL, 10)
                          : 0;
    if (at_ms < 0)
        at_ms = 0;
    printf("%3lld:%02lld.%03lld  ", at_ms / 60000, at_ms / 1000 % 60, at_ms % 1000);
    if (!role) {
        printf("%-8s (%s) ", db_cell(rows, row, RECORDS_LINE_SOURCE),
               db_cell(rows, row, RECORDS_LINE_KIND));
        print_text(text ? text : "");
        putchar('\n');
        return;
    }
    printf("%-8s ", strcmp(role, "user") == 0        ? "caller"
                    : strcmp(role, "assistant") == 0 ? "agent"
                                                     : role);
    print_text(text ? text : "");
    int64_t heard_ms = db_cell_number(rows, row, RECORDS_LINE_HEARD_MS);
    int64_t audio_ms = db_cell_number(rows, row, RECORDS_LINE_AUDIO_MS);
    if (db_cell_bool(rows, row, RECORDS_LINE_INTERRUPTED) && heard_ms >= 0 && audio_ms >= 0)
        printf("  [interrupted: %.1f of %.1f s heard]", (double)heard_ms / 1000,
               (double)audio_ms / 1000);
    else if (db_cell_bool(rows, row, RECORDS_LINE_INTERRUPTED))
        printf("  [interrupted]");
    putchar('\n');
}

static enum db_result print_call(struct db *db, const char *id)
{
    struct db_rows *call, *lines = NULL;
    enum db_result result = records_call(db, id, &call);
    if (result == DB_OK)
        result = records_lines(db, id, &lines);
    if (result == DB_OK && db_rows_count(call) == 1) {
        print_head(call);
        putchar('\n');
        for (int row = 0; row < db_rows_count(lines); row++)
            print_line(lines, row);
        if (db_cell(call, 0, RECORDS_FIGURES))
            printf("\nfigures\n");
        print_figures(db_cell(call, 0, RECORDS_FIGURES));
    }
    db_rows_free(call);
    db_rows_free(lines);
    return result;
}

static enum db_result print_json(struct db *db, const char *id)
{
    struct db_rows *rows;
    enum db_result result = records_json(db, id, &rows);
    if (result == DB_OK && db_rows_count(rows) == 1)
        printf("%s\n", db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result;
}

static int show(const struct options *options, struct db *db)
{
    char organization[COMMAND_ID_TEXT], id[RECORDS_ID_TEXT];
    int matches;
    if (!command_maybe_organization(options, db, organization))
        return COMMAND_FAILED;
    enum db_result result =
        records_find(db, organization[0] ? organization : NULL, options->words[2], id, &matches);
    if (result == DB_OK && matches != 1)
        return command_fail(matches ? "more than one call is called \"%s\": use its id"
                                    : "there is no call \"%s\"; `ringbridge-control calls list` "
                                      "shows them",
                            options->words[2]);
    if (result == DB_OK)
        result = options->json ? print_json(db, id) : print_call(db, id);
    return result == DB_OK ? COMMAND_DONE : command_database_failed(db, result);
}

int command_calls(const struct options *options)
{
    bool lists = command_is(options, "list", 0, 0), shows = command_is(options, "show", 1, 1);
    bool orders = command_is(options, "hangup", 0, OPTIONS_WORDS_MAX) ||
                  command_is(options, "say", 0, OPTIONS_WORDS_MAX) ||
                  command_is(options, "record", 0, OPTIONS_WORDS_MAX);
    bool listens = command_is(options, "listen", 1, 1);
    if (!lists && !shows && !orders && !listens)
        return command_misuse(
            "calls list [--org NAME] [--limit N] | calls show ID | calls hangup ID | calls say ID "
            "TEXT | calls record start|pause|resume|stop ID | calls listen ID  (ID: the call's id "
            "or "
            "CallSid)");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = lists     ? list(options, db)
                 : shows   ? show(options, db)
                 : listens ? command_calls_listen(options, db)
                           : command_calls_order(options, db);
    db_close(db);
    return status;
}
