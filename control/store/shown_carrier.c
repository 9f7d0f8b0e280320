/* What an organisation has at the carrier beside calls: orders of numbers, their money, how they
 * were found there, accounts; and text messages that came in. */
#include "control/store/shown.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID_ROW                                                                                     \
    {                                                                                              \
        "id", SHOWN_ID, "Its id."                                                                  \
    }
#define KINDS  "{\"type\":\"string\",\"enum\":[\"local\",\"toll_free\",\"mobile\"]}"
#define NUMBER "{\"type\":\"string\",\"maxLength\":20}"

#define ORDER_STATES                                                                               \
    "{\"type\":\"string\",\"enum\":[\"ordered\",\"asked\",\"bought\",\"refused\",\"releasing\","   \
    "\"released\"]}"
#define NUMBER_ORDER_FIELDS(F)                                                                     \
    F("state", "r.state", ORDER_STATES,                                                            \
      "asked: the carrier may have sold it, or may not; refused: error says why.")                 \
    F("country", "r.country", SHOWN_TEXT, "ISO 3166, two letters.")                                \
    F("kind", "r.kind", KINDS, "What kind of number.")                                             \
    F("wish", "r.wish", SHOWN_ANY, "What was wanted.")                                             \
    F("number", "r.phone_number", SHOWN_TEXT_NULL, "The one that was chosen.")                     \
    F("price", "r.price::text", SHOWN_TEXT, "A month.")                                            \
    F("price_unit", "r.price_unit", SHOWN_TEXT, "The currency.")                                   \
    F("error", "r.error", SHOWN_TEXT_NULL, "Why it was refused, or what is not right with it.")    \
    F("ordered_by", "r.ordered_by", SHOWN_TEXT, "By whom.")                                        \
    F("bought_at", "r.bought_at", SHOWN_TIME_NULL, "When it was known to be ours.")                \
    F("released_at", "r.released_at", SHOWN_TIME_NULL, "When it was given back.")                  \
    F("created_at", "r.created_at", SHOWN_TIME, "When it was ordered.")
static const struct shown_field number_order_fields[] = {ID_ROW, NUMBER_ORDER_FIELDS(SHOWN_ROW)};
const struct shown shown_number_orders = {
    .name = "NumberOrder",
    .says = "A number that somebody wanted bought.",
    .fields = number_order_fields,
    .fields_count = COUNT_OF(number_order_fields),
    .filters = {{"state", ORDER_STATES, "Only those in this state."},
                {"number", NUMBER, "Only of this number, as E.164."}},
    SHOWN_QUERIES(NUMBER_ORDER_FIELDS, "number_orders AS r", "r.id", "uuid", "r.created_at", "DESC",
                  "<", "\'infinity\'", "r.state = $4", "r.phone_number = $5", "true",
                  "r.id = $1::uuid")};

#define PRICE_FIELDS(F)                                                                            \
    F("country", "p.country", SHOWN_TEXT, "ISO 3166, two letters.")                                \
    F("kind", "p.kind", KINDS, "What kind of number.")                                             \
    F("price", "p.price::text", SHOWN_TEXT, "A month.")                                            \
    F("price_unit", "p.price_unit", SHOWN_TEXT, "The currency.")
static const struct shown_field price_fields[] = {
    {"id", SHOWN_ID, "Of country and kind, the same for all organisations."},
    PRICE_FIELDS(SHOWN_ROW)};
const struct shown shown_number_prices = {
    .name = "NumberPrice",
    .says = "What a number costs; what has no price here is not bought.",
    .fields = price_fields,
    .fields_count = COUNT_OF(price_fields),
    SHOWN_QUERIES(PRICE_FIELDS, "number_prices AS p", "md5(p.country || p.kind)::uuid", "uuid",
                  "p.updated_at", "DESC", "<", "\'infinity\'", "true", "true", "true",
                  "md5(p.country || p.kind)::uuid = $1::uuid")};

#define LIMIT_FIELDS(F)                                                                            \
    F("spend_max", "l.spend_max::text", SHOWN_TEXT, "What all numbers of a month may cost.")       \
    F("this_month", "number_spend(l.organization_id, l.price_unit)::text", SHOWN_TEXT,             \
      "What they cost this month.")                                                                \
    F("price_unit", "l.price_unit", SHOWN_TEXT, "The currency.")                                   \
    F("updated_at", "l.updated_at", SHOWN_TIME, "When it was set.")
static const struct shown_field limit_fields[] = {{"id", SHOWN_ID, "The organisation's."},
                                                  LIMIT_FIELDS(SHOWN_ROW)};
const struct shown shown_number_limits = {
    .name = "NumberLimit",
    .says = "What the organisation may spend on numbers; without one it buys none.",
    .fields = limit_fields,
    .fields_count = COUNT_OF(limit_fields),
    SHOWN_QUERIES(LIMIT_FIELDS, "number_limits AS l", "l.organization_id", "uuid", "l.created_at",
                  "DESC", "<", "\'infinity\'", "true", "true", "true",
                  "l.organization_id = $1::uuid")};

#define CHECK_STATES                                                                               \
    "{\"type\":\"string\",\"enum\":[\"as_wanted\",\"differs\",\"missing\",\"unasked\"]}"
#define CHECK_FIELDS(F)                                                                            \
    F("number", "n.phone_number", SHOWN_TEXT, "Which number.")                                     \
    F("state", "c.state", CHECK_STATES,                                                            \
      "missing: the carrier does not have it; unasked: the carrier did not say.")                  \
    F("differences", "c.differences", "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",      \
      "Each property that differed: property, has, wants, mended.")                                \
    F("error", "c.error", SHOWN_TEXT_NULL, "Why the carrier did not say.")                         \
    F("checked_at", "c.checked_at", SHOWN_TIME, "When it was compared.")
static const struct shown_field check_fields[] = {{"id", SHOWN_ID, "The number's."},
                                                  CHECK_FIELDS(SHOWN_ROW)};
const struct shown shown_number_checks = {
    .name = "NumberCheck",
    .says = "A number beside what the carrier has of it, as last compared.",
    .fields = check_fields,
    .fields_count = COUNT_OF(check_fields),
    .filters = {{"state", CHECK_STATES, "Only those in this state."}},
    SHOWN_QUERIES(CHECK_FIELDS,
                  "number_checks AS c JOIN phone_numbers AS n ON n.id = c.phone_number_id",
                  "c.phone_number_id", "uuid", "c.checked_at", "DESC", "<", "\'infinity\'",
                  "c.state = $4", "true", "true", "c.phone_number_id = $1::uuid")};

/* One that nobody did in time has failed, whatever its row says; one that has expired is not there.
 */
#define SEARCH_FROM                                                                                \
    "(SELECT *, CASE WHEN state = 'queued' AND deadline_at <= now() THEN 'failed' ELSE state END " \
    "AS state_now FROM number_searches WHERE expires_at > now()) AS s"
#define SEARCH_STATES "{\"type\":\"string\",\"enum\":[\"queued\",\"done\",\"failed\"]}"
#define SEARCH_NUMBERS                                                                             \
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"number\":"               \
    "{\"type\":\"string\"},\"locality\":{\"type\":\"string\"},\"region\":{\"type\":\"string\"},"   \
    "\"address_requirements\":{\"type\":\"string\"},\"capabilities\":{\"type\":\"array\","         \
    "\"items\":"                                                                                   \
    "{\"type\":\"string\",\"enum\":[\"voice\",\"sms\",\"mms\"]}}},\"required\":[\"number\","       \
    "\"locality\",\"region\",\"address_requirements\",\"capabilities\"]}}"
#define SEARCH_FIELDS(F)                                                                           \
    F("state", "s.state_now", SEARCH_STATES,                                                       \
      "queued: ask again in a second; done: numbers has them; failed: error says why.")            \
    F("country", "s.country", SHOWN_TEXT, "ISO 3166, two letters.")                                \
    F("kind", "s.kind", KINDS, "What kind of number.")                                             \
    F("area_code", "s.area_code", SHOWN_TEXT_NULL, "Digits.")                                      \
    F("contains", "s.contains", SHOWN_TEXT_NULL, "Digits, letters, * for any digit.")              \
    F("limit", "s.numbers_max", SHOWN_WHOLE, "So many are enough.")                                \
    F("numbers", "s.numbers", SEARCH_NUMBERS, "Which there were then; each may be gone by now.")   \
    F("error",                                                                                     \
      "CASE WHEN s.state_now = 'failed' THEN coalesce(s.error, "                                   \
      "'The carrier was not asked in time.') END",                                                 \
      SHOWN_TEXT_NULL, "Why it is not known.")                                                     \
    F("searched_by", "s.searched_by", SHOWN_TEXT, "By whom.")                                      \
    F("finished_at", "s.finished_at", SHOWN_TIME_NULL, "When the carrier had answered.")           \
    F("expires_at", "s.expires_at", SHOWN_TIME, "From then on it is not here any more.")           \
    F("created_at", "s.created_at", SHOWN_TIME, "When it was asked for.")
static const struct shown_field search_fields[] = {ID_ROW, SEARCH_FIELDS(SHOWN_ROW)};
const struct shown shown_number_searches = {
    .name = "NumberSearch",
    .says = "Numbers that the carrier had to give away, as it said when it was asked.",
    .fields = search_fields,
    .fields_count = COUNT_OF(search_fields),
    .filters = {{"state", SEARCH_STATES, "Only those in this state."}},
    SHOWN_QUERIES(SEARCH_FIELDS, SEARCH_FROM, "s.id", "uuid", "s.created_at", "DESC", "<",
                  "\'infinity\'", "s.state_now = $4", "true", "true", "s.id = $1::uuid")};

#define ACCOUNT_FIELDS(F)                                                                          \
    F("account", "a.account", SHOWN_TEXT, "Its name at the carrier.")                              \
    F("updated_at", "a.updated_at", SHOWN_TIME, "When its token was last set.")                    \
    F("created_at", "a.created_at", SHOWN_TIME, "When it was added.")
static const struct shown_field account_fields[] = {ID_ROW, ACCOUNT_FIELDS(SHOWN_ROW)};
const struct shown shown_accounts = {
    .name = "Account",
    .says = "An account of the organisation's own at the carrier. Its token is shown to nobody.",
    .fields = account_fields,
    .fields_count = COUNT_OF(account_fields),
    SHOWN_QUERIES(ACCOUNT_FIELDS,
                  "(SELECT id, account, created_at, updated_at FROM credentials "
                  "WHERE kind = 'twilio') AS a",
                  "a.id", "uuid", "a.created_at", "DESC", "<", "\'infinity\'", "true", "true",
                  "true", "a.id = $1::uuid")};

#define CHANGE_FIELDS(F)                                                                           \
    F("what", "h.what", SHOWN_TEXT, "What was done.")                                              \
    F("number", "h.phone_number", SHOWN_TEXT_NULL, "To which number.")                             \
    F("account", "h.account_sid", SHOWN_TEXT_NULL, "In which of the carrier's accounts.")          \
    F("by", "h.by_whom", SHOWN_TEXT, "By whom.")                                                   \
    F("detail", "h.detail", SHOWN_ANY, "What belongs to it.")                                      \
    F("created_at", "h.created_at", SHOWN_TIME, "When.")
static const struct shown_field change_fields[] = {ID_ROW, CHANGE_FIELDS(SHOWN_ROW)};
const struct shown shown_carrier_changes = {
    .name = "CarrierChange",
    .says = "Something that was changed at the carrier.",
    .fields = change_fields,
    .fields_count = COUNT_OF(change_fields),
    .filters = {{"number", NUMBER, "Only of this number, as E.164."}},
    SHOWN_QUERIES(CHANGE_FIELDS, "carrier_changes AS h", "h.id", "uuid", "h.created_at", "DESC",
                  "<", "\'infinity\'", "h.phone_number = $4", "true", "true", "h.id = $1::uuid")};

#define TEXT_FIELDS(F)                                                                             \
    F("from", "x.from_number", SHOWN_TEXT, "Who wrote: a number, a short code or a word.")         \
    F("to", "x.to_number", SHOWN_TEXT, "To which number.")                                         \
    F("body", "x.body", SHOWN_TEXT, "The words.")                                                  \
    F("media_count", "x.media_count", SHOWN_WHOLE, "How many pictures or files came with it.")     \
    F("message_sid", "x.message_sid", SHOWN_TEXT, "The carrier's name for it.")                    \
    F("received_at", "x.received_at", SHOWN_TIME, "When it came.")
static const struct shown_field text_fields[] = {ID_ROW, TEXT_FIELDS(SHOWN_ROW)};
const struct shown shown_texts = {
    .name = "Text",
    .says = "A text message that came in.",
    .fields = text_fields,
    .fields_count = COUNT_OF(text_fields),
    .filters = {{"from", "{\"type\":\"string\",\"maxLength\":256}", "Only from here."},
                {"to", NUMBER, "Only to this number, as E.164."}},
    SHOWN_QUERIES(TEXT_FIELDS, "received_texts AS x", "x.id", "uuid", "x.received_at", "DESC", "<",
                  "\'infinity\'", "x.from_number = $4", "x.to_number = $5", "true",
                  "x.id = $1::uuid")};
