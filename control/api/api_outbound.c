/* Calls that we make: one by one, in batches, whom not, and how much. */
#include "control/api/api_groups.h"
#include "control/outbound/batches_make.h"
#include "control/outbound/calls_make.h"
#include "control/outbound/outbound_plan.h"

#include <stdio.h>

#define TEXT(bytes)        "{\"type\":\"string\",\"maxLength\":" #bytes "}"
#define WHOLE(least, most) "{\"type\":\"integer\",\"minimum\":" #least ",\"maximum\":" #most "}"
#define WORDS(words)       "{\"type\":\"string\",\"enum\":[" words "]}"

/* What calls and batches have in common (control/outbound/outbound_plan.h). */
#define PLAN_MEMBERS                                                                               \
    {"step",                                                                                       \
     "{\"type\":\"object\",\"required\":[\"step\"],\"properties\":{\"step\":{\"type\":\"string\"}" \
     "}}",                                                                                         \
     "What is done when somebody answers, as in a route. Without it the agent talks.", false},     \
        {"twiml", TEXT(4000), "TwiML that is answered as it stands, instead of a step.", false},   \
        {"instructions", TEXT(65536), "For the agent, instead of the organisation's.", false},     \
        {"greeting", TEXT(65536), "For the agent, instead of the organisation's.", false},         \
        {"record", "{\"type\":\"boolean\"}", "Keep both sides.", false},                           \
        {"machine_detection", WORDS("\"off\",\"detect\",\"message_end\""),                         \
         "detect: who has answered? message_end: .. and when it has spoken.", false},              \
        {"on_machine", WORDS("\"go_on\",\"hangup\""), "When a machine or a fax has answered.",     \
         false},                                                                                   \
        {"ring_s", WHOLE(5, 600), "How long it rings; 60.", false},                                \
    {                                                                                              \
        "limit_s", WHOLE(10, 86400), "No call is longer; 14400.", false                            \
    }

/* The thing of this row's path must be there before its state is spoken of. */
static enum db_result find(struct api *api, const struct shown *shown)
{
    struct db_rows *rows;
    uint8_t uuid[UUID_BYTES];
    if (!uuid_read(api->arguments[0], uuid))
        return api_missing(api);
    enum db_result result = shown_one(api->db, shown, api->arguments[0], &rows);
    if (result != DB_OK)
        return result;
    bool found = db_rows_count(rows) == 1;
    db_rows_free(rows);
    return found ? DB_OK : api_missing(api);
}

/* ---- one call ---- */

static enum db_result make(struct api *api)
{
    static const enum problem problems[] = {[OUTBOUND_OTHER_REQUEST] = PROBLEM_key_reused,
                                            [OUTBOUND_NOT_OURS] = PROBLEM_invalid,
                                            [OUTBOUND_DO_NOT_CALL] = PROBLEM_conflict,
                                            [OUTBOUND_NO_ACCOUNT] = PROBLEM_conflict};
    char who[64];
    struct calls_made made;
    enum db_result result = calls_make(api->db, api->service->options, api->caller.organization,
                                       api_who(api, who), api->body, &made);
    if (result != DB_OK)
        return result;
    if (made.error[0])
        return api_refuse(api, made.understood ? problems[made.verdict] : PROBLEM_invalid, "%s.",
                          made.error);
    snprintf(api->made, sizeof api->made, "%s", made.id);
    return DB_OK;
}

#define CALLS "outbound-calls"
static const struct api_member call_body[] = {
    {"to", TEXT(40), "Who is called: with the country, like +15550123.", true},
    {"from", TEXT(40), "Which number of the organisation's is shown.", true},
    {"lead", TEXT(200), "What you call the callee; kept with the conversation.", false},
    {"variables",
     "{\"type\":\"object\",\"maxProperties\":32,"
     "\"additionalProperties\":{\"type\":\"string\",\"maxLength\":1024}}",
     "Put for {{name}} into step, instructions and greeting.", false},
    {"idempotency_key", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":200}",
     "The same key with the same request is the same call, whoever of the organisation sends it.",
     false},
    PLAN_MEMBERS,
    API_END};

static const struct api_row call_rows[] = {
    {API_LISTS(API_PREFIX "outbound-calls", "list_outbound_calls", "Whom we call, newest first.",
               CALLS, shown_outbound_calls)},
    {API_SHOWS(API_PREFIX "outbound-calls/{id}", "show_outbound_call", "One of these.", CALLS,
               shown_outbound_calls)},
    {.method = "POST",
     .path = API_PREFIX "outbound-calls",
     .alias = API_PREFIX "twilio/calls/make",
     .name = "make_call",
     .says = "Calls somebody, as soon as the organisation's limits allow.",
     .group = CALLS,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_outbound_calls,
     .where = API_PREFIX "outbound-calls/",
     .body = call_body,
     .act = make},
};
const struct api_group api_outbound_calls = {CALLS, "Calls that we make, one by one.", call_rows,
                                             API_COUNT(call_rows)};

/* ---- batches ---- */

static enum db_result judge_batch(struct api *api, enum db_result result,
                                  const struct batches_made *made)
{
    bool invalid = !made->understood || result == DB_REFUSED || made->verdict == BATCHES_NOT_OURS;
    if (made->error[0])
        return api_refuse(api, invalid ? PROBLEM_invalid : PROBLEM_conflict, "%.600s.",
                          made->error);
    if (result == DB_OK)
        snprintf(api->made, sizeof api->made, "%s", made->id);
    return result;
}

static enum db_result add_batch(struct api *api)
{
    char who[64];
    struct batches_made made;
    const char *numbers = api_text(api, "numbers", "");
    json_t *asked = json_copy(api->body);
    if (!asked)
        return DB_BROKEN;
    json_object_del(asked, "name");
    json_object_del(asked, "numbers");
    const struct batches_wanted wanted = {.organization = api->caller.organization,
                                          .name = api_text(api, "name", ""),
                                          .by = api_who(api, who),
                                          .asked = asked,
                                          .numbers = numbers,
                                          .numbers_bytes = strlen(numbers)};
    enum db_result result = batches_make(api->db, api->service->options, &wanted, &made);
    json_decref(asked);
    return judge_batch(api, result, &made);
}

/* Whoever asks for what is so already has it. */
static enum db_result change_batch(struct api *api, const char *wanted,
                                   enum db_result (*change)(struct db *, const char *, const char *,
                                                            bool *))
{
    bool changed;
    char state[BATCHES_STATE_TEXT];
    enum db_result result = find(api, &shown_batches);
    if (result == DB_OK)
        result = change(api->db, api->caller.organization, api->arguments[0], &changed);
    if (result == DB_OK)
        result = batches_state(api->db, api->arguments[0], state);
    if (result == DB_OK && strcmp(state, wanted) != 0)
        return api_refuse(api, PROBLEM_conflict, "The batch is %s.", state);
    return result;
}

static enum db_result pause_batch(struct api *api)
{
    return change_batch(api, "paused", batches_pause);
}

static enum db_result resume_batch(struct api *api)
{
    return change_batch(api, "running", batches_resume);
}

static enum db_result stop_batch(struct api *api)
{
    return change_batch(api, "stopped", batches_stop);
}

#define BATCHES "batches"
static const struct api_member batch_body[] = {
    {"name", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":200}", "What people call it.",
     true},
    {"from", TEXT(40), "Which number of the organisation's is shown.", true},
    {"numbers", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":900000}",
     "CSV. The first line names the columns: to, perhaps lead and time_zone; every other one is a "
     "variable.",
     true},
    {"hours", TEXT(100), "When, by the callee's clock: \"mon-fri 09:00-17:00\"; daily.", false},
    {"time_zone", TEXT(64), "Where a number does not say its own: Europe/Berlin.", false},
    {"calls_per_minute", WHOLE(1, 6000), "Its pace; 60.", false},
    {"retries", WHOLE(0, 10), "How often after busy or no answer; 0.", false},
    {"retry_after_s", WHOLE(1, 604800), "How long after; 900.", false},
    {"paused", "{\"type\":\"boolean\"}", "Nothing is called before it is resumed.", false},
    PLAN_MEMBERS,
    API_END};

#define CHANGES(verb_, says_)                                                                      \
    .method = "POST", .path = API_PREFIX "batches/{id}/" verb_, .name = verb_ "_batch",            \
    .says = (says_), .group = BATCHES, .role = API_OPERATOR, .shape = API_ONE, .status = 200,      \
    .shown = &shown_batches

static const struct api_row batch_rows[] = {
    {API_LISTS(API_PREFIX "batches", "list_batches", "Batches, newest first.", BATCHES,
               shown_batches)},
    {API_SHOWS(API_PREFIX "batches/{id}", "show_batch", "One batch.", BATCHES, shown_batches)},
    {API_LISTS(API_PREFIX "batches/{id}/calls", "list_batch_calls", "What came of its numbers.",
               BATCHES, shown_outbound_calls),
     .parent = "batch", .of = &shown_batches},
    {.method = "POST",
     .path = API_PREFIX "batches",
     .name = "add_batch",
     .says = "Calls these numbers one after the other; all of them are taken, or none.",
     .group = BATCHES,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_batches,
     .where = API_PREFIX "batches/",
     .body = batch_body,
     .act = add_batch},
    {CHANGES("pause", "Nothing more is called until it is resumed."), .act = pause_batch},
    {CHANGES("resume", "Goes on."), .act = resume_batch},
    {CHANGES("stop", "Calls nobody any more; calls that are under way go on."), .act = stop_batch},
};
const struct api_group api_batches = {BATCHES, "Numbers that are called one after the other.",
                                      batch_rows, API_COUNT(batch_rows)};

/* ---- whom not ---- */

static enum db_result add_not_called(struct api *api)
{
    char who[64], number[17];
    if (!outbound_plan_number(api_text(api, "number", ""), number))
        return api_refuse(api, PROBLEM_invalid, "number is written like +15550100.");
    return outbound_dnc_put(api->db, api->caller.organization, number, api_text(api, "reason", ""),
                            api_who(api, who), api->made);
}

static enum db_result remove_not_called(struct api *api)
{
    bool removed = false;
    enum db_result result = find(api, &shown_do_not_call);
    if (result == DB_OK)
        result = outbound_dnc_drop(api->db, api->arguments[0], &removed);
    return result == DB_OK && !removed ? api_missing(api) : result;
}

#define NOT_CALLED "do-not-call"
static const struct api_member not_called_body[] = {
    {"number", TEXT(40), "Whom: with the country, like +15550123.", true},
    {"reason", TEXT(500), "Why.", false},
    API_END};
static const struct api_row not_called_rows[] = {
    {API_LISTS(API_PREFIX "do-not-call", "list_not_called", "Whom we do not call.", NOT_CALLED,
               shown_do_not_call)},
    {API_SHOWS(API_PREFIX "do-not-call/{id}", "show_not_called", "One of these numbers.",
               NOT_CALLED, shown_do_not_call)},
    {.method = "POST",
     .path = API_PREFIX "do-not-call",
     .name = "add_not_called",
     .says = "This number is not called any more; calls that wait for it are not made.",
     .group = NOT_CALLED,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_do_not_call,
     .where = API_PREFIX "do-not-call/",
     .body = not_called_body,
     .act = add_not_called},
    {.method = "DELETE",
     .path = API_PREFIX "do-not-call/{id}",
     .name = "remove_not_called",
     .says = "This number may be called again.",
     .group = NOT_CALLED,
     .role = API_OPERATOR,
     .status = 204,
     .act = remove_not_called},
};
const struct api_group api_do_not_call = {NOT_CALLED, "Whom we do not call, whoever asks for it.",
                                          not_called_rows, API_COUNT(not_called_rows)};

/* ---- how much ---- */

static enum db_result change_limits(struct api *api)
{
    static const char *const names[] = {"calls_at_once", "calls_per_minute", "calls_per_day",
                                        "time_zone", "settle_s"};
    char number[24];
    bool known;
    enum db_result result = DB_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && result == DB_OK; i++) {
        const json_t *value = api_member(api, names[i]);
        if (!value)
            continue;
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        result = outbound_limit(api->db, api->caller.organization, names[i],
                                json_is_string(value) ? json_string_value(value) : number, &known);
    }
    return result;
}

#define LIMITS "outbound-limits"
static const struct api_member limits_body[] = {
    {"calls_at_once", WHOLE(0, 10000), "Asked for and not over; 0: none.", false},
    {"calls_per_minute", WHOLE(1, 6000), "Calls begun.", false},
    {"calls_per_day", WHOLE(0, 1000000), "Begun since midnight of time_zone.", false},
    {"time_zone", TEXT(64), "The organisation's own: Europe/Berlin.", false},
    {"settle_s", WHOLE(5, 3600), "How long a call is looked for that may have been made.", false},
    API_END};
static const struct api_row limits_rows[] = {
    {API_SHOWS(API_PREFIX "outbound-limits", "show_outbound_limits",
               "How much the organisation may call.", LIMITS, shown_outbound_limits)},
    {.method = "PATCH",
     .path = API_PREFIX "outbound-limits",
     .name = "change_outbound_limits",
     .says = "Sets these limits, all or none.",
     .group = LIMITS,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_outbound_limits,
     .body = limits_body,
     .act = change_limits},
};
const struct api_group api_outbound_limits = {LIMITS, "How much the organisation may call.",
                                              limits_rows, API_COUNT(limits_rows)};
