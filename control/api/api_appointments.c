#include "control/api/api_groups.h"
#include "control/base/hours.h"
#include "control/store/appointments.h"

#include <string.h>

#define GROUP "appointments"

static enum db_result refuse_outcome(struct api *api, const char *outcome)
{
    static const struct {
        const char *outcome;
        enum problem problem;
        const char *words;
    } words[] = {{"taken", PROBLEM_conflict, "Somebody has this time already."},
                 {"past", PROBLEM_invalid, "This time is over."},
                 {"closed", PROBLEM_invalid, "There are no appointments at this time."},
                 {"unclear", PROBLEM_invalid, "start is a local time: 2026-11-23T09:30."},
                 {"none", PROBLEM_conflict, "The calendar has no opening hours."}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(outcome, words[i].outcome) == 0)
            return api_refuse(api, words[i].problem, "%s", words[i].words);
    return DB_BROKEN;
}

static enum db_result book(struct api *api)
{
    struct db_rows *rows = NULL;
    const struct appointments_wish wish = {.calendar = api_text(api, "calendar", "default"),
                                           .start = api_text(api, "start", ""),
                                           .name = api_text(api, "name", ""),
                                           .phone = api_text(api, "phone", ""),
                                           .note = api_text(api, "note", "")};
    enum db_result result = appointments_book(api->db, api->caller.organization, &wish, &rows);
    if (result == DB_OK && strcmp(db_cell(rows, 0, 0), "booked") != 0)
        result = refuse_outcome(api, db_cell(rows, 0, 0));
    db_rows_free(rows);
    return result == DB_OK ? appointments_booked_now(api->db, wish.calendar, api->made) : result;
}

static enum db_result cancel(struct api *api)
{
    bool cancelled;
    enum db_result result = appointments_cancel(api->db, api->arguments[0], &cancelled);
    return result == DB_OK && !cancelled ? api_missing(api) : result;
}

static enum db_result open_hours(struct api *api)
{
    struct hours hours;
    if (!hours_read(api_text(api, "hours", ""), &hours))
        return api_refuse(api, PROBLEM_invalid, "hours are written as \"mon-fri 09:00-17:00\".");
    const struct appointments_hours wanted = {.calendar = api_text(api, "calendar", "default"),
                                              .days = hours.days,
                                              .opens = hours.opens,
                                              .closes = hours.closes,
                                              .time_zone = api_text(api, "time_zone", "UTC"),
                                              .slot_minutes =
                                                  (unsigned)api_number(api, "slot_minutes", 30)};
    return appointments_add_hours(api->db, api->caller.organization, &wanted, api->made);
}

static enum db_result close_hours(struct api *api)
{
    int removed;
    enum db_result result = appointments_remove_hours(api->db, api->arguments[0], &removed);
    return result == DB_OK && removed == 0 ? api_missing(api) : result;
}

#define TEXT(most) "{\"type\":\"string\",\"maxLength\":" #most "}"
static const struct api_member book_body[] = {
    {"start", "{\"type\":\"string\",\"minLength\":10,\"maxLength\":40}",
     "Local time of the calendar (2026-11-23T09:30), or with an offset.", true},
    {"calendar", TEXT(64), "In which calendar; default.", false},
    {"name", TEXT(200), "With whom.", false},
    {"phone", TEXT(64), "Their number.", false},
    {"note", TEXT(2000), "What it is about.", false},
    API_END};
static const struct api_member hours_body[] = {
    {"hours", TEXT(100), "\"mon-fri 09:00-17:00\".", true},
    {"calendar", TEXT(64), "Of which calendar; default.", false},
    {"time_zone", TEXT(64), "Whose local time: Europe/Berlin.", false},
    {"slot_minutes", "{\"type\":\"integer\",\"minimum\":5,\"maximum\":480}",
     "How long an appointment is; 30.", false},
    API_END};

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "appointments", "list_appointments", "Appointments, in order of time.",
               GROUP, shown_appointments)},
    {API_SHOWS(API_PREFIX "appointments/{id}", "show_appointment", "One appointment.", GROUP,
               shown_appointments)},
    {.method = "POST",
     .path = API_PREFIX "appointments",
     .name = "book_appointment",
     .says = "Books a time that is free.",
     .group = GROUP,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_appointments,
     .where = API_PREFIX "appointments/",
     .body = book_body,
     .act = book},
    {.method = "DELETE",
     .path = API_PREFIX "appointments/{id}",
     .name = "cancel_appointment",
     .says = "Cancels an appointment; it stays on record.",
     .group = GROUP,
     .role = API_OPERATOR,
     .status = 204,
     .act = cancel},
    {API_LISTS(API_PREFIX "opening-hours", "list_opening_hours", "When appointments can be had.",
               GROUP, shown_opening_hours)},
    {API_SHOWS(API_PREFIX "opening-hours/{id}", "show_opening_hours", "One of these times.", GROUP,
               shown_opening_hours)},
    {.method = "POST",
     .path = API_PREFIX "opening-hours",
     .name = "add_opening_hours",
     .says = "Appointments can be had at these times too.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_opening_hours,
     .where = API_PREFIX "opening-hours/",
     .body = hours_body,
     .act = open_hours},
    {.method = "DELETE",
     .path = API_PREFIX "opening-hours/{id}",
     .name = "remove_opening_hours",
     .says = "No new appointments at these times.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 204,
     .act = close_hours},
};
const struct api_group api_appointments = {GROUP, "Appointments and when they can be had.", rows,
                                           API_COUNT(rows)};
