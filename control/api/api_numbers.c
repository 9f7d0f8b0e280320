#include "control/api/api_groups.h"
#include "control/store/numbers.h"

#include <string.h>

#define GROUP    "numbers"
#define NOT_OURS "42501" /* row security: the row is there, and another's */

/* Who else has a number is not said; that it is not to be had must be. */
static enum db_result refuse_number(struct api *api, enum db_result result)
{
    bool taken = strcmp(db_sqlstate(api->db), NOT_OURS) == 0 ||
                 strcmp(db_constraint(api->db), "phone_numbers_one_organization") == 0;
    if (taken)
        return api_refuse(api, PROBLEM_conflict, "This number is not to be had.");
    if (strcmp(db_constraint(api->db), "phone_numbers_e164") == 0)
        return api_refuse(api, PROBLEM_invalid, "number is written as E.164: +15550100.");
    return result;
}

static enum db_result add(struct api *api)
{
    bool found;
    const char *number = api_text(api, "number", ""), *channel = api_text(api, "channel", "twilio");
    enum db_result result = numbers_add(api->db, api->caller.organization, number, channel);
    if (result != DB_OK)
        return refuse_number(api, result);
    result = numbers_id(api->db, number, channel, api->made, &found);
    return result == DB_OK && !found ? DB_BROKEN : result;
}

static enum db_result change(struct api *api)
{
    bool found;
    enum db_result result = numbers_switch(api->db, api->arguments[0],
                                           json_is_true(api_member(api, "is_active")), &found);
    return result == DB_OK && !found ? api_missing(api) : result;
}

static enum db_result drop(struct api *api)
{
    bool found;
    enum db_result result = numbers_drop(api->db, api->arguments[0], &found);
    return result == DB_OK && !found ? api_missing(api) : result;
}

static const struct api_member add_body[] = {
    {"number", "{\"type\":\"string\",\"minLength\":3,\"maxLength\":16}", "E.164: +15550100.", true},
    {"channel", "{\"type\":\"string\",\"enum\":[\"twilio\",\"retell\",\"whatsapp\"]}",
     "Through whom it is reached; twilio.", false},
    API_END};
static const struct api_member change_body[] = {
    {"is_active", SHOWN_FLAG, "False: calls to it are refused in words.", true}, API_END};

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "numbers", "list_numbers", "The organisation's numbers.", GROUP,
               shown_numbers)},
    {API_SHOWS(API_PREFIX "numbers/{id}", "show_number", "One number.", GROUP, shown_numbers)},
    {.method = "POST",
     .path = API_PREFIX "numbers",
     .name = "add_number",
     .says = "Calls to this number are the organisation's from now on.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 201,
     .shown = &shown_numbers,
     .where = API_PREFIX "numbers/",
     .body = add_body,
     .act = add},
    {.method = "PATCH",
     .path = API_PREFIX "numbers/{id}",
     .name = "change_number",
     .says = "Puts a number in or out of use.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_numbers,
     .body = change_body,
     .act = change},
    {.method = "DELETE",
     .path = API_PREFIX "numbers/{id}",
     .name = "remove_number",
     .says = "Takes a number away from the organisation; its routes go with it.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 204,
     .act = drop},
};
const struct api_group api_numbers = {GROUP, "Telephone numbers.", rows, API_COUNT(rows)};
