#include "common/clock.h"
#include "control/api/api_groups.h"
#include "control/service/listen_ticket.h"
#include "control/store/orders.h"

#include <stdio.h>
#include <stdlib.h>

#define GROUP       "calls"
#define PATIENCE_MS 10000

static enum db_result refuse_given(struct api *api, enum orders_given given)
{
    return api_refuse(api, PROBLEM_not_live,
                      given == ORDERS_OVER ? "The call is over."
                                           : "No edge carries the call at the moment.");
}

/* The call of the path must be there before its state is spoken of. */
static enum db_result find_call(struct api *api)
{
    struct db_rows *rows;
    uint8_t uuid[UUID_BYTES];
    if (!uuid_read(api->arguments[0], uuid))
        return api_missing(api);
    enum db_result result = shown_one(api->db, &shown_calls, api->arguments[0], &rows);
    if (result != DB_OK)
        return result;
    bool found = db_rows_count(rows) == 1;
    db_rows_free(rows);
    return found ? DB_OK : api_missing(api);
}

/* Takes the body. */
static enum db_result order(struct api *api, json_t *body)
{
    char who[64], id[UUID_TEXT_BYTES + 1];
    enum orders_given given;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    enum db_result result = text ? find_call(api) : DB_BROKEN;
    if (result == DB_OK)
        result = orders_give(api->db, api->arguments[0], text, api_who(api, who), PATIENCE_MS,
                             &given, id);
    free(text);
    if (result != DB_OK)
        return result;
    if (given != ORDERS_GIVEN)
        return refuse_given(api, given);
    snprintf(api->made, sizeof api->made, "%s", id);
    return DB_OK;
}

static enum db_result hang_up(struct api *api)
{
    return order(api, json_pack("{s:s, s:s}", "kind", "hangup", "reason", "hung_up_by_order"));
}

static enum db_result say(struct api *api)
{
    return order(api, json_pack("{s:s, s:s, s:b}", "kind", "say", "text", api_text(api, "text", ""),
                                "interruptible", !json_is_false(api_member(api, "interruptible"))));
}

static enum db_result record(struct api *api)
{
    return order(api,
                 json_pack("{s:s, s:s}", "kind", "record", "action", api_text(api, "action", "")));
}

static enum db_result write_listener(struct api *api, const struct db_rows *rows)
{
    char ticket[TICKET_TEXT_BYTES + 1], url[SERVICE_URL_BYTES_MAX + TICKET_TEXT_BYTES + 32];
    const char *base = db_cell(rows, 0, 1);
    uint16_t core = (uint16_t)strtoul(db_cell(rows, 0, 2), NULL, 10); /* note_listener bounds it */
    if (!listen_ticket_mint(&api->service->listen_keys, db_cell(rows, 0, 0), api->arguments[0],
                            core, ticket))
        return DB_BROKEN;
    snprintf(url, sizeof url, "%s" LISTEN_PATH "%s",
             base ? base : api->service->options->websocket_url, ticket);
    return api_more(api, json_pack("{s:s, s:i}", "url", url, "seconds", TICKET_LIFE_MS / 1000));
}

static enum db_result listen(struct api *api)
{
    char who[64];
    enum orders_given given;
    struct db_rows *rows = NULL;
    enum db_result result = find_call(api);
    if (result == DB_OK)
        result = orders_note_listener(api->db, api->arguments[0], api_who(api, who), &given, &rows);
    if (result == DB_OK)
        result = given == ORDERS_GIVEN ? write_listener(api, rows) : refuse_given(api, given);
    db_rows_free(rows);
    return result;
}

static const struct api_member say_body[] = {
    {"text", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":4000}", "What the agent says.",
     true},
    {"interruptible", "{\"type\":\"boolean\",\"default\":true}",
     "False: the caller hears it to its end.", false},
    API_END};
static const struct api_member record_body[] = {
    {"action", "{\"type\":\"string\",\"enum\":[\"start\",\"pause\",\"resume\",\"stop\"]}",
     "What is to be done with the recording.", true},
    API_END};
static const struct api_member listen_more[] = {
    {"url", "{\"type\":\"string\",\"format\":\"uri\"}",
     "A WebSocket with both sides' audio: for one person, once.", true},
    {"seconds", SHOWN_WHOLE, "How long it is good for.", true},
    API_END};

#define ORDERS(path_, name_, says_)                                                                \
    .method = "POST", .path = API_PREFIX "calls/{id}/" path_, .name = (name_), .says = (says_),    \
    .group = GROUP, .role = API_OPERATOR, .shape = API_ONE, .status = 202, .shown = &shown_orders, \
    .where = API_PREFIX "orders/"
#define PARTS(path_, name_, says_, shown_)                                                         \
    API_LISTS(API_PREFIX "calls/{id}/" path_, name_, says_, GROUP, shown_), .parent = "call",      \
                                                                            .of = &shown_calls

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "calls", "list_calls", "Calls, newest first.", GROUP, shown_calls),
     .alias = API_PREFIX "aloha/calls"},
    {API_SHOWS(API_PREFIX "calls/{id}", "show_call", "One call.", GROUP, shown_calls),
     .alias = API_PREFIX "aloha/calls/{id}"},
    {PARTS("messages", "list_call_messages", "What was said in a call.", shown_messages)},
    {PARTS("events", "list_call_events", "What happened in a call.", shown_events)},
    {PARTS("orders", "list_call_orders", "What was ordered about a call.", shown_orders)},
    {ORDERS("hangup", "hang_up_call", "Ends a live call."), .act = hang_up},
    {ORDERS("say", "say_in_call", "The agent says this to the caller."), .body = say_body,
     .act = say},
    {ORDERS("record", "record_call", "Starts, pauses, resumes or stops recording a live call."),
     .body = record_body, .act = record},
    {.method = "POST",
     .path = API_PREFIX "calls/{id}/listen",
     .name = "listen_to_call",
     .says = "An address by which one person may hear a live call.",
     .group = GROUP,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 201,
     .more = listen_more,
     .act = listen},
    {API_SHOWS(API_PREFIX "orders/{id}", "show_order", "An order, and what the edge answered.",
               GROUP, shown_orders)},
};
const struct api_group api_calls = {GROUP, "Calls, their transcripts, and orders about live ones.",
                                    rows, API_COUNT(rows)};

#define TRANSFERS "transfers"
static const struct api_row transfer_rows[] = {
    {API_LISTS(API_PREFIX "transfers", "list_transfers", "Warm transfers, newest first.", TRANSFERS,
               shown_transfers)},
    {API_SHOWS(API_PREFIX "transfers/{id}", "show_transfer", "One warm transfer.", TRANSFERS,
               shown_transfers)},
};
const struct api_group api_transfers = {TRANSFERS, "Callers who waited for a person.",
                                        transfer_rows, API_COUNT(transfer_rows)};
