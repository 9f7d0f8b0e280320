/* What is done at the carrier beside calls: numbers searched, ordered, compared, given back;
 * accounts. Nobody here asks the carrier: each is an order that a job carries out. Prices and
 * limits are the operator's: shown here, set on the command line. */
#include "control/api/api_groups.h"
#include "control/store/carrier_numbers.h"
#include "control/store/number_checks.h"
#include "control/store/number_searches.h"
#include "control/store/numbers.h"

#include <string.h>

#define GROUP         "carrier"
#define WHO_BYTES     64
#define SEARCH_WAIT_S 5 /* until one of those that wait is over, likely */

static const struct {
    const char *why, *sentence;
} refusals[] = {
    {"no_price", "What such a number costs is not known."},
    {"no_limit", "The organisation may not spend anything on numbers."},
    {"currency", "Price and limit are in different currencies."},
    {"over_limit", "That would be more than its numbers may cost a month."},
};

static enum db_result search(struct api *api)
{
    const struct number_searches_wish wish = {.country = api_text(api, "country", "US"),
                                              .kind = api_text(api, "kind", "local"),
                                              .area_code = api_text(api, "area_code", NULL),
                                              .contains = api_text(api, "contains", NULL),
                                              .limit = api_number(api, "limit", 20)};
    char who[WHO_BYTES];
    enum db_result result = number_searches_want(api->db, api->caller.organization, &wish,
                                                 api_who(api, who), api->made);
    if (result != DB_OK || api->made[0])
        return result;
    api->retry_after_s = SEARCH_WAIT_S;
    return api_refuse(api, PROBLEM_too_fast, "Many searches of the organisation wait already.");
}

static enum db_result order_wish(struct api *api, const struct carrier_numbers_wish *wish)
{
    struct carrier_numbers_ordered ordered;
    char who[WHO_BYTES];
    enum db_result result =
        carrier_numbers_order(api->db, api->caller.organization, wish, api->key, api_who(api, who),
                              "admin", &ordered); /* the row asks for the role */
    if (result != DB_OK)
        return result;
    if (strcmp(ordered.why, "key_reused") == 0)
        return api_refuse(api, PROBLEM_key_reused, "An order with this key was another.");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (strcmp(ordered.why, refusals[i].why) == 0)
            return api_refuse(api, PROBLEM_conflict, "%s", refusals[i].sentence);
    memcpy(api->made, ordered.id, sizeof ordered.id);
    return ordered.id[0] ? DB_OK : DB_BROKEN;
}

static enum db_result order(struct api *api)
{
    const struct carrier_numbers_wish wish = {.country = api_text(api, "country", "US"),
                                              .kind = api_text(api, "kind", "local"),
                                              .area_code = api_text(api, "area_code", NULL),
                                              .contains = api_text(api, "contains", NULL),
                                              .phone_number = api_text(api, "number", NULL),
                                              .address_sid = api_text(api, "address_sid", NULL),
                                              .bundle_sid = api_text(api, "bundle_sid", NULL)};
    return order_wish(api, &wish);
}

/* As programs have it that were written for other installations. */
static enum db_result purchase(struct api *api)
{
    const struct carrier_numbers_wish wish = {
        .country = "US", .kind = "local", .phone_number = api_text(api, "phoneNumber", NULL)};
    return order_wish(api, &wish);
}

static enum db_result release(struct api *api)
{
    char who[WHO_BYTES], why[16];
    const char *number = api_text(api, "number", "");
    enum db_result result = carrier_numbers_release(api->db, api->caller.organization, number,
                                                    api_who(api, who), "admin", why);
    if (result == DB_OK && strcmp(why, "unknown") == 0)
        return api_refuse(api, PROBLEM_invalid, "number is none of the organisation's.");
    return result;
}

/* The request's id makes the job's key, so it is made once. */
static enum db_result want_check(struct api *api, const char *number, bool mend)
{
    char who[WHO_BYTES], key[64];
    snprintf(key, sizeof key, "api/%s", api->id);
    return number_checks_want(api->db, api->caller.organization, number, mend, api_who(api, who),
                              key, api->made);
}

static enum db_result check(struct api *api)
{
    return want_check(api, api_text(api, "number", NULL), json_is_true(api_member(api, "mend")));
}

static enum db_result configure(struct api *api)
{
    char number[17];
    bool found;
    const char *id = api_text(api, "phoneNumberId", "");
    enum db_result result = numbers_text(api->db, id, number, &found);
    if (result == DB_OK && !found)
        return api_refuse(api, PROBLEM_invalid, "phoneNumberId is none of the organisation's.");
    return result == DB_OK ? want_check(api, number, true) : result;
}

static enum db_result open_account(struct api *api)
{
    char who[WHO_BYTES], account[35];
    bool made;
    enum db_result result = carrier_numbers_account(api->db, api->caller.organization, account);
    if (result == DB_OK && account[0])
        return api_refuse(api, PROBLEM_conflict, "The organisation has an account: %s.", account);
    if (result != DB_OK)
        return result;
    return carrier_numbers_want_account(api->db, api->caller.organization, api_who(api, who),
                                        &made);
}

#define COUNTRY "{\"type\":\"string\",\"minLength\":2,\"maxLength\":2,\"default\":\"US\"}"
#define KIND                                                                                       \
    "{\"type\":\"string\",\"enum\":[\"local\",\"toll_free\",\"mobile\"],\"default\":\"local\"}"
#define AREA_CODE "{\"type\":\"string\",\"minLength\":2,\"maxLength\":6}"
#define CONTAINS  "{\"type\":\"string\",\"minLength\":2,\"maxLength\":16}"

static const struct api_member search_body[] = {
    {"country", COUNTRY, "ISO 3166, two letters.", false},
    {"kind", KIND, "What kind of number.", false},
    {"area_code", AREA_CODE, "Digits.", false},
    {"contains", CONTAINS, "Digits, letters, * for any digit.", false},
    {"limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,\"default\":20}",
     "So many are enough.", false},
    API_END};
static const struct api_member order_body[] = {
    {"country", COUNTRY, "ISO 3166, two letters.", false},
    {"kind", KIND, "What kind of number.", false},
    {"number", "{\"type\":\"string\",\"minLength\":3,\"maxLength\":16}",
     "This very one, as E.164; otherwise the first that fits.", false},
    {"area_code", AREA_CODE, "Digits.", false},
    {"contains", CONTAINS, "Digits, letters, * for any digit.", false},
    {"address_sid", "{\"type\":\"string\",\"minLength\":34,\"maxLength\":34}",
     "An address at the carrier, for countries that want one.", false},
    {"bundle_sid", "{\"type\":\"string\",\"minLength\":34,\"maxLength\":34}",
     "A regulatory bundle at the carrier, for countries that want one.", false},
    API_END};
static const struct api_member number_body[] = {
    {"number", "{\"type\":\"string\",\"minLength\":3,\"maxLength\":16}", "Which, as E.164.", true},
    API_END};
static const struct api_member purchase_body[] = {
    {"phoneNumber", "{\"type\":\"string\",\"minLength\":3,\"maxLength\":16}", "Which, as E.164.",
     true},
    API_END};
static const struct api_member configure_body[] = {
    {"phoneNumberId", SHOWN_ID, "Which: the id that /api/numbers shows.", true}, API_END};
static const struct api_member check_body[] = {
    {"number", "{\"type\":\"string\",\"minLength\":3,\"maxLength\":16}",
     "Only this one, as E.164; otherwise all.", false},
    {"mend", SHOWN_FLAG, "And set what differs as we want it.", false},
    API_END};

static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "number-searches", "list_number_searches",
               "What was searched within a day, newest first.", GROUP, shown_number_searches)},
    {API_SHOWS(API_PREFIX "number-searches/{id}", "show_number_search",
               "One search, and the numbers that it found.", GROUP, shown_number_searches)},
    {.method = "POST",
     .path = API_PREFIX "number-searches",
     .name = "search_numbers",
     .says = "Has the carrier asked which numbers it has to give away, by a job.",
     .group = GROUP,
     .role = API_OPERATOR,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_number_searches,
     .where = API_PREFIX "number-searches/",
     .body = search_body,
     .act = search},
    {API_LISTS(API_PREFIX "number-orders", "list_number_orders", "Numbers that were ordered.",
               GROUP, shown_number_orders)},
    {API_SHOWS(API_PREFIX "number-orders/{id}", "show_number_order", "One order of a number.",
               GROUP, shown_number_orders)},
    {.method = "POST",
     .path = API_PREFIX "number-orders",
     .name = "order_number",
     .says = "Buys a number within the organisation's limit, sets it up and routes it, by a job.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_number_orders,
     .where = API_PREFIX "number-orders/",
     .body = order_body,
     .act = order},
    {.method = "POST",
     .path = API_PREFIX "twilio/purchase-number",
     .alias = API_PREFIX "telephony/twilio/purchase-number",
     .name = "purchase_number",
     .says = "The same for one number, in other words.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_number_orders,
     .where = API_PREFIX "number-orders/",
     .body = purchase_body,
     .act = purchase},
    {.method = "POST",
     .path = API_PREFIX "number-releases",
     .name = "release_number",
     .says = "Gives a number back to the carrier, by a job; its calls are refused from now on.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 202,
     .body = number_body,
     .act = release},
    {API_LISTS(API_PREFIX "number-prices", "list_number_prices", "What numbers cost.", GROUP,
               shown_number_prices)},
    {API_LISTS(API_PREFIX "number-limits", "list_number_limits",
               "What the organisation may spend on numbers, and what they cost this month.", GROUP,
               shown_number_limits)},
    {API_LISTS(API_PREFIX "number-checks", "list_number_checks",
               "How the numbers were last found at the carrier.", GROUP, shown_number_checks)},
    {API_SHOWS(API_PREFIX "number-checks/{id}", "show_number_check",
               "How this number was last found at the carrier.", GROUP, shown_number_checks)},
    {.method = "POST",
     .path = API_PREFIX "number-checks",
     .name = "check_numbers",
     .says = "Has numbers compared with what the carrier has, and perhaps mended, by a job.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_jobs,
     .where = API_PREFIX "jobs/",
     .body = check_body,
     .act = check},
    {.method = "POST",
     .path = API_PREFIX "configure-webhooks",
     .alias = API_PREFIX "aloha/configure-webhooks",
     .name = "configure_webhooks",
     .says = "Has one number's webhooks at the carrier set as we want them, by a job.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 202,
     .shown = &shown_jobs,
     .where = API_PREFIX "jobs/",
     .body = configure_body,
     .act = configure},
    {API_LISTS(API_PREFIX "accounts", "list_accounts", "The organisation's own accounts.", GROUP,
               shown_accounts)},
    {API_SHOWS(API_PREFIX "accounts/{id}", "show_account", "One account.", GROUP, shown_accounts)},
    {.method = "POST",
     .path = API_PREFIX "accounts",
     .name = "open_account",
     .says = "Has an account of its own made for the organisation, once, by a job.",
     .group = GROUP,
     .role = API_ADMIN,
     .status = 202,
     .act = open_account},
    {API_LISTS(API_PREFIX "carrier-changes", "list_carrier_changes",
               "What was changed at the carrier, and by whom.", GROUP, shown_carrier_changes)},
    {API_SHOWS(API_PREFIX "carrier-changes/{id}", "show_carrier_change", "One change.", GROUP,
               shown_carrier_changes)},
    {API_LISTS(API_PREFIX "texts", "list_texts", "Text messages that came in.", GROUP,
               shown_texts)},
    {API_SHOWS(API_PREFIX "texts/{id}", "show_text", "One text message.", GROUP, shown_texts)},
};
const struct api_group api_carrier = {GROUP, "Numbers, accounts and texts at the carrier.", rows,
                                      API_COUNT(rows)};
