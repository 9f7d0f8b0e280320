#include "control/base/hours.h"
#include "control/commands/command.h"
#include "control/store/appointments.h"

static int list(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"id",           "starts",      "ends", "calendar",
                                           "name",         "phone",       "note", "state",
                                           "conversation", "organization"};
    struct db_rows *rows;
    bool past = options->words_count > 2; /* "all" */
    if (past && strcmp(options->words[2], "all") != 0)
        return command_misuse("appointment list [all]");
    enum db_result result =
        appointments_list(db, organization[0] ? organization : NULL, past, options->limit, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 10);
    db_rows_free(rows);
    return COMMAND_DONE;
}

struct booking {
    struct appointments_wish wish;
    const char *organization;
    char outcome[16], starts[64], id[COMMAND_ID_TEXT];
};

static enum db_result book_within(struct db *db, void *context)
{
    struct booking *booking = context;
    struct db_rows *rows = NULL;
    enum db_result result = appointments_book(db, booking->organization, &booking->wish, &rows);
    if (result == DB_OK) {
        const char *starts = db_cell(rows, 0, 1);
        snprintf(booking->outcome, sizeof booking->outcome, "%s", db_cell(rows, 0, 0));
        snprintf(booking->starts, sizeof booking->starts, "%s", starts ? starts : "");
    }
    db_rows_free(rows);
    if (result != DB_OK || strcmp(booking->outcome, "booked") != 0)
        return result;
    return appointments_booked_now(db, booking->wish.calendar, booking->id);
}

static int explain_outcome(const char *outcome, const char *start)
{
    if (strcmp(outcome, "taken") == 0)
        return command_fail("somebody has %s already", start);
    if (strcmp(outcome, "past") == 0)
        return command_fail("%s is over", start);
    if (strcmp(outcome, "unclear") == 0)
        return command_fail("\"%s\" is not a local time like 2026-11-23T09:30", start);
    return command_fail("there are no appointments at %s; `ringbridge-control appointment hours` "
                        "shows when there are",
                        start);
}

static const char *word(const struct options *options, int index)
{
    return options->words_count > index ? options->words[index] : "";
}

static int book(const struct options *options, struct db *db, const char *organization)
{
    struct booking booking = {.organization = organization,
                              .wish = {.calendar = options->calendar,
                                       .start = options->words[2],
                                       .name = word(options, 3),
                                       .phone = word(options, 4),
                                       .note = word(options, 5)}};
    if (!organization[0])
        return command_misuse("which organisation? --org NAME (or its id)");
    enum db_result result = db_transact(db, organization, book_within, &booking);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (strcmp(booking.outcome, "booked") != 0)
        return explain_outcome(booking.outcome, options->words[2]);
    printf("%s %s\n", booking.id, booking.starts);
    return COMMAND_DONE;
}

static int cancel(const struct options *options, struct db *db, const char *organization)
{
    bool cancelled;
    (void)organization;
    enum db_result result = appointments_cancel(db, options->words[2], &cancelled);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (!cancelled)
        return command_fail("there is no such appointment; `ringbridge-control appointment list` "
                            "shows them");
    printf("cancelled %s\n", options->words[2]);
    return COMMAND_DONE;
}

static int explain_refusal(const struct options *options, struct db *db)
{
    const char *constraint = db_constraint(db);
    if (strcmp(constraint, "availability_time_zone") == 0)
        return command_fail("\"%s\" is not a time zone; write it as Europe/Berlin",
                            options->time_zone);
    if (strcmp(constraint, "availability_hours") == 0)
        return command_fail("--hours must open before they close, on the same day");
    if (strcmp(constraint, "availability_calendar") == 0)
        return command_fail("--calendar is small letters, digits, - and _");
    return command_fail("the database refuses the hours: %s", db_error(db));
}

static int open_hours(const struct options *options, struct db *db, const char *organization)
{
    char id[COMMAND_ID_TEXT];
    struct hours hours;
    if (!organization[0])
        return command_misuse("which organisation? --org NAME (or its id)");
    if (!hours_read(options->hours, &hours))
        return command_misuse("--hours \"%s\" is not like \"mon-fri 09:00-17:00\"", options->hours);
    const struct appointments_hours row = {.calendar = options->calendar,
                                           .days = hours.days,
                                           .opens = hours.opens,
                                           .closes = hours.closes,
                                           .time_zone = options->time_zone,
                                           .slot_minutes = options->slot};
    enum db_result result = appointments_add_hours(db, organization, &row, id);
    if (result == DB_REFUSED)
        return explain_refusal(options, db);
    if (result != DB_OK)
        return command_database_failed(db, result);
    printf("%s\n", id);
    return COMMAND_DONE;
}

static int show_hours(const struct options *options, struct db *db, const char *organization)
{
    static const char *const headings[] = {"id",        "calendar",     "hours",
                                           "time_zone", "slot_minutes", "organization"};
    struct db_rows *rows;
    enum db_result result =
        appointments_list_hours(db, organization[0] ? organization : NULL, &rows);
    if (result != DB_OK)
        return command_database_failed(db, result);
    command_print(options, rows, headings, 6);
    db_rows_free(rows);
    return COMMAND_DONE;
}

static int close_hours(const struct options *options, struct db *db, const char *organization)
{
    int removed;
    (void)organization;
    enum db_result result = appointments_remove_hours(db, options->words[2], &removed);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (removed == 0)
        return command_fail("there are no such hours; `ringbridge-control appointment hours` shows "
                            "them");
    printf("removed %s\n", options->words[2]);
    return COMMAND_DONE;
}

int command_appointment(const struct options *options)
{
    int (*act)(const struct options *, struct db *, const char *) =
        command_is(options, "list", 0, 1)     ? list
        : command_is(options, "book", 1, 4)   ? book
        : command_is(options, "cancel", 1, 1) ? cancel
        : command_is(options, "open", 0, 0)   ? open_hours
        : command_is(options, "close", 1, 1)  ? close_hours
        : command_is(options, "hours", 0, 0)  ? show_hours
                                              : NULL;
    char organization[COMMAND_ID_TEXT];
    if (!act)
        return command_misuse(
            "appointment list [all] [--org NAME] | appointment book START [NAME [PHONE [NOTE]]] "
            "--org NAME "
            "[--calendar NAME] | appointment cancel ID | appointment open --org "
            "NAME --hours \"mon-fri 09:00-17:00\" --time-zone Europe/Berlin [--slot 30] "
            "[--calendar NAME] | appointment hours | appointment close ID");
    struct db *db = command_open(options);
    if (!db)
        return COMMAND_FAILED;
    int status = COMMAND_FAILED;
    if (command_maybe_organization(options, db, organization))
        status = act(options, db, organization);
    db_close(db);
    return status;
}
