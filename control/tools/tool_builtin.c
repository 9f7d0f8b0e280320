#include "control/tools/tool_builtin.h"

#include "common/log.h"
#include "control/carrier/steps.h"
#include "control/store/appointments.h"
#include "control/store/messages.h"
#include "control/tools/tool_output.h"

#include <stdlib.h>
#include <string.h>

#define FREE_DAYS 7

static const char *given(const struct tool_builtin *builtin, const char *name)
{
    const char *text = json_string_value(json_object_get(builtin->arguments, name));
    return text ? text : "";
}

static const char *set(const struct tool_builtin *builtin, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(builtin->settings, name));
    return text ? text : otherwise;
}

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

/* ---- connecting ---- */

/* The step is noted for the moment when the stream is over; then the channel ends the stream. */
static enum db_result transfer(struct db *db, const struct tool_builtin *builtin, json_t **output,
                               const char **ends)
{
    const char *to = given(builtin, "to");
    const json_t *step = json_object_get(json_object_get(builtin->settings, "to"), to);
    if (strcmp(builtin->described->channel, "voice") != 0) {
        *output = tool_output_error("Only a telephone call can be connected.");
        return DB_OK;
    }
    if (!step) {
        *output = tool_output_error("There is nobody called \"%.60s\" to connect with.", to);
        return DB_OK;
    }
    json_t *copy = json_copy((json_t *)(uintptr_t)step); /* shallow: one member may be added */
    if (steps_is_warm(step) && given(builtin, "briefing")[0])
        json_object_set_new(copy, "briefing", json_string(given(builtin, "briefing")));
    char *text = json_dumps(copy, JSON_COMPACT);
    json_decref(copy);
    enum db_result result = tools_set_next_step(db, builtin->claimed->conversation, text);
    free(text);
    *output = done();
    *ends = "transferred";
    return result;
}

/* ---- messages ---- */

static enum db_result leave_message(struct db *db, const struct tool_builtin *builtin,
                                    json_t **output)
{
    const char *phone = given(builtin, "phone");
    const struct messages_left message = {
        .conversation = builtin->claimed->conversation,
        .call = builtin->claimed->id,
        .name = given(builtin, "name"),
        .phone = phone[0] ? phone : builtin->described->from_number,
        .body = given(builtin, "message"),
        .urgent = json_is_true(json_object_get(builtin->arguments, "urgent"))};
    *output = done();
    return messages_leave(db, builtin->claimed->organization, &message);
}

static bool is_number(const char *text)
{
    size_t digits = text[0] == '+' ? strspn(text + 1, "0123456789") : 0;
    return digits >= 2 && digits <= 15 && text[1] != '0' && text[1 + digits] == '\0';
}

/* To the caller alone, unless the organisation allows more: what an AI is talked into sending
 * costs money and goes to people. */
static enum db_result send_sms(struct db *db, const struct tool_builtin *builtin, json_t **output)
{
    const struct tools_described *described = builtin->described;
    const char *wanted = given(builtin, "to"), *caller = described->from_number;
    const char *to = wanted[0] ? wanted : caller;
    const struct messages_text text = {.conversation = builtin->claimed->conversation,
                                       .call = builtin->claimed->id,
                                       .account_sid = described->account_sid,
                                       .from_number = set(builtin, "from", described->to_number),
                                       .to_number = to,
                                       .body = given(builtin, "text")};
    bool anybody = strcmp(set(builtin, "to", "caller"), "any") == 0;
    if (!anybody && strcmp(to, caller) != 0)
        *output = tool_output_error("Text messages go to the caller's own number only.");
    else if (!is_number(to))
        *output = tool_output_error("This is not a number that can get a text message; with the "
                                    "country it looks like +15550100.");
    else if (!is_number(text.from_number) || !described->account_sid[0])
        *output = tool_output_error("No number is set up from which text messages are sent.");
    else {
        *output = json_pack("{s:b, s:s}", "ok", 1, "note",
                            "The message is on its way; it arrives within a minute or so.");
        return messages_queue_text(db, builtin->claimed->organization, &text);
    }
    return DB_OK;
}

/* ---- appointments ---- */

static json_t *list_times(const struct db_rows *rows)
{
    json_t *times = json_array();
    for (int row = 0; row < db_rows_count(rows); row++)
        json_array_append_new(times, json_string(db_cell(rows, row, 0)));
    return times;
}

static enum db_result add_free(struct db *db, const struct tool_builtin *builtin, const char *from,
                               unsigned days, const char *name, json_t *output)
{
    struct db_rows *rows;
    enum db_result result = appointments_free(
        db, builtin->claimed->organization, set(builtin, "calendar", "default"), from, days, &rows);
    if (result == DB_OK)
        json_object_set_new(output, name, list_times(rows));
    db_rows_free(rows);
    return result;
}

static enum db_result find_times(struct db *db, const struct tool_builtin *builtin, json_t **output)
{
    struct db_rows *rows;
    const char *calendar = set(builtin, "calendar", "default");
    const json_t *days = json_object_get(builtin->arguments, "days");
    enum db_result result = appointments_now(db, builtin->claimed->organization, calendar, &rows);
    if (result == DB_OK && db_rows_count(rows) == 0) {
        *output = tool_output_error("No hours for appointments are set up.");
    } else if (result == DB_OK) {
        *output = json_pack("{s:b, s:s, s:s, s:s}", "ok", 1, "now", db_cell(rows, 0, 0), "weekday",
                            db_cell(rows, 0, 1), "time_zone", db_cell(rows, 0, 2));
        result = add_free(db, builtin, given(builtin, "from"),
                          days ? (unsigned)json_number_value(days) : FREE_DAYS, "free", *output);
    }
    db_rows_free(rows);
    return result;
}

static json_t *explain_booking(const char *outcome)
{
    static const struct {
        const char *outcome, *sentence;
    } words[] = {
        {"taken", "Somebody else has this time. Offer another one."},
        {"past", "This time is over. Offer one that is to come."},
        {"closed", "No appointment begins at this time. Offer one of the free times."},
        {"unclear", "\"start\" must be a date and time like 2026-11-23T09:30."},
        {"none", "No hours for appointments are set up."},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(outcome, words[i].outcome) == 0)
            return tool_output_error("%s", words[i].sentence);
    return tool_output_error("It could not be booked.");
}

static enum db_result book(struct db *db, const struct tool_builtin *builtin, json_t **output)
{
    struct db_rows *rows;
    const char *phone = given(builtin, "phone");
    const struct appointments_wish wish = {.calendar = set(builtin, "calendar", "default"),
                                           .start = given(builtin, "start"),
                                           .name = given(builtin, "name"),
                                           .phone =
                                               phone[0] ? phone : builtin->described->from_number,
                                           .note = given(builtin, "note"),
                                           .conversation = builtin->claimed->conversation,
                                           .call = builtin->claimed->id};
    enum db_result result = appointments_book(db, builtin->claimed->organization, &wish, &rows);
    const char *outcome = result == DB_OK ? db_cell(rows, 0, 0) : "";
    if (result == DB_OK && strcmp(outcome, "booked") == 0) {
        *output = json_pack("{s:b, s:s, s:s}", "ok", 1, "start", db_cell(rows, 0, 1), "end",
                            db_cell(rows, 0, 2));
    } else if (result == DB_OK) {
        *output = explain_booking(outcome);
        if (strcmp(outcome, "taken") == 0 || strcmp(outcome, "closed") == 0)
            result = add_free(db, builtin, wish.start, 3, "free", *output);
    }
    db_rows_free(rows);
    return result;
}

enum db_result tool_builtin_run(struct db *db, const struct tool_builtin *builtin, json_t **output,
                                const char **ends)
{
    switch (builtin->action) {
    case TOOL_TRANSFER:
        return transfer(db, builtin, output, ends);
    case TOOL_LEAVE_MESSAGE:
        return leave_message(db, builtin, output);
    case TOOL_SEND_SMS:
        return send_sms(db, builtin, output);
    case TOOL_BOOK_APPOINTMENT:
        return book(db, builtin, output);
    case TOOL_FIND_TIMES:
        return find_times(db, builtin, output);
    case TOOL_END_CALL: /* a channel without an edge of its own: it ends by not going on */
        *output = done();
        *ends = "agent_hung_up";
        return DB_OK;
    case TOOL_COLLECT_DIGITS:
        *output = tool_output_error("Only a telephone has keys to press.");
        return DB_OK;
    case TOOL_HTTP:
    case TOOL_UNKNOWN:
        break;
    }
    *output = tool_output_error("This function is not known here.");
    return DB_OK;
}
