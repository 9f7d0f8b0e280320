/* What an organisation has set up: itself, numbers, configurations, routes, tokens. */
#include "control/store/shown.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID_ROW                                                                                     \
    {                                                                                              \
        "id", SHOWN_ID, "Its id."                                                                  \
    }
#define ROLES    "{\"type\":\"string\",\"enum\":[\"viewer\",\"operator\",\"admin\"]}"
#define CHANNELS "{\"type\":\"string\",\"enum\":[\"voice\",\"sms\",\"whatsapp\"]}"

#define ORGANIZATION_FIELDS(F)                                                                     \
    F("name", "o.name", SHOWN_TEXT, "What people call it.")                                        \
    F("created_at", "o.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field organization_fields[] = {ID_ROW, ORGANIZATION_FIELDS(SHOWN_ROW)};
const struct shown shown_organization = {
    .name = "Organization",
    .key_is_name = true,
    .says = "The organisation that a token speaks for.",
    .fields = organization_fields,
    .fields_count = COUNT_OF(organization_fields),
    SHOWN_QUERIES(ORGANIZATION_FIELDS, "organizations AS o", "o.id", "uuid", "o.created_at", "DESC",
                  "<", "\'infinity\'", "true", "true", "true", "o.id::text = $1 OR $1 = ''")};

#define NUMBER_FIELDS(F)                                                                           \
    F("number", "n.phone_number", SHOWN_TEXT, "E.164, with the plus sign.")                        \
    F("channel", "n.channel",                                                                      \
      "{\"type\":\"string\",\"enum\":[\"twilio\",\"retell\",\"whatsapp\"]}",                       \
      "Through whom it is reached.")                                                               \
    F("is_active", "n.is_active", SHOWN_FLAG, "False: calls to it are refused in words.")          \
    F("created_at", "n.created_at", SHOWN_TIME, "When it was added.")
static const struct shown_field number_fields[] = {ID_ROW, NUMBER_FIELDS(SHOWN_ROW)};
const struct shown shown_numbers = {
    .name = "Number",
    .says = "A telephone number of the organisation's.",
    .fields = number_fields,
    .fields_count = COUNT_OF(number_fields),
    .filters = {{"number", "{\"type\":\"string\",\"maxLength\":20}", "Only this one, as E.164."}},
    SHOWN_QUERIES(NUMBER_FIELDS, "phone_numbers AS n", "n.id", "uuid", "n.created_at", "DESC", "<",
                  "\'infinity\'", "n.phone_number = $4", "true", "true", "n.id = $1::uuid")};

/* What is in force on each channel, and which of it is the organisation's own. */
#define CONFIGURATION_FIELDS(F)                                                                    \
    F("channel", "c.channel", CHANNELS, "What it is for.")                                         \
    F("own", "c.own", SHOWN_TEXTS, "The settings that are not the built-in ones.")                 \
    F("settings", "c.settings", SHOWN_ANY, "Every setting, as it is in force.")
#define CONFIGURATION_FROM                                                                         \
    "(SELECT k.id, k.channel, timestamptz 'epoch' + k.rank * interval '1 second' AS at, "          \
    "to_jsonb(f) - 'configured' - 'settings' || jsonb_build_object('other', f.settings) "          \
    "AS settings, coalesce((SELECT jsonb_agg(own.key ORDER BY own.key) FROM "                      \
    "jsonb_each(to_jsonb(r) - '{id,organization_id,channel,settings,created_at,updated_at}'"       \
    "::text[]) AS own WHERE own.value <> 'null'), '[]') AS own "                                   \
    "FROM (VALUES ('00000000-0000-4000-8000-000000000001'::uuid, 'voice', 1), "                    \
    "('00000000-0000-4000-8000-000000000002', 'sms', 2), "                                         \
    "('00000000-0000-4000-8000-000000000003', 'whatsapp', 3)) AS k (id, channel, rank) "           \
    "CROSS JOIN LATERAL channel_configuration(current_organization(), k.channel) AS f "            \
    "LEFT JOIN channel_configurations AS r ON r.channel = k.channel "                              \
    "AND r.organization_id = current_organization()) AS c"
static const struct shown_field configuration_fields[] = {
    {"id", SHOWN_ID, "The channel's own id, the same for all organisations."},
    CONFIGURATION_FIELDS(SHOWN_ROW)};
const struct shown shown_configurations = {
    .name = "Configuration",
    .key_is_name = true,
    .says = "How the organisation's agent behaves on a channel.",
    .fields = configuration_fields,
    .fields_count = COUNT_OF(configuration_fields),
    SHOWN_QUERIES(CONFIGURATION_FIELDS, CONFIGURATION_FROM, "c.id", "uuid", "c.at", "ASC", ">",
                  "\'-infinity\'", "true", "true", "true", "c.channel = $1")};

#define ROUTE_FIELDS(F)                                                                            \
    F("number", "n.phone_number", SHOWN_TEXT_NULL, "For calls to this number; null: to any.")      \
    F("purpose", "r.purpose", "{\"type\":\"string\",\"enum\":[\"answer\",\"fallback\"]}",          \
      "answer: what happens first; fallback: when the agent could not go on.")                     \
    F("position", "r.position", SHOWN_WHOLE, "Those with a smaller one are asked first.")          \
    F("days", "r.days", SHOWN_DAYS, "Days of the week; 1 is Monday.")                              \
    F("opens", "to_char(r.opens, 'HH24:MI')", SHOWN_TEXT, "From when on, local time.")             \
    F("closes", "to_char(r.closes, 'HH24:MI')", SHOWN_TEXT,                                        \
      "Until when; not after opens: on the following day.")                                        \
    F("time_zone", "r.time_zone", SHOWN_TEXT, "Whose local time.")                                 \
    F("step", "r.step", SHOWN_ANY, "What is done with the call.")                                  \
    F("label", "r.label", SHOWN_TEXT, "What people call it.")                                      \
    F("created_at", "r.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field route_fields[] = {ID_ROW, ROUTE_FIELDS(SHOWN_ROW)};
const struct shown shown_routes = {
    .name = "Route",
    .says = "What is done with calls, by number and hours.",
    .fields = route_fields,
    .fields_count = COUNT_OF(route_fields),
    .filters = {{"purpose", "{\"type\":\"string\",\"enum\":[\"answer\",\"fallback\"]}",
                 "Only those of this purpose."}},
    SHOWN_QUERIES(ROUTE_FIELDS,
                  "call_routes AS r LEFT JOIN phone_numbers AS n ON n.id = r.phone_number_id",
                  "r.id", "uuid", "r.created_at", "DESC", "<", "\'infinity\'", "r.purpose = $4",
                  "true", "true", "r.id = $1::uuid")};

#define TOKEN_FIELDS(F)                                                                            \
    F("role", "t.role", ROLES, "viewer reads, operator acts, admin configures.")                   \
    F("scopes", "t.scopes", "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\"}}",     \
      "The groups it is good for; null: all.")                                                     \
    F("label", "t.label", SHOWN_TEXT, "For whom it was made.")                                     \
    F("rate_per_minute", "t.rate_per_minute", SHOWN_WHOLE,                                         \
      "Requests a minute; a sixth of them at once.")                                               \
    F("expires_at", "t.expires_at", SHOWN_TIME_NULL, "Not valid from then on.")                    \
    F("revoked_at", "t.revoked_at", SHOWN_TIME_NULL, "When it was taken back.")                    \
    F("created_at", "t.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field token_fields[] = {ID_ROW, TOKEN_FIELDS(SHOWN_ROW)};
const struct shown shown_tokens = {.name = "Token",
                                   .says = "Who may use the API for the organisation.",
                                   .fields = token_fields,
                                   .fields_count = COUNT_OF(token_fields),
                                   SHOWN_QUERIES(TOKEN_FIELDS, "api_tokens AS t", "t.id", "uuid",
                                                 "t.created_at", "DESC", "<", "\'infinity\'",
                                                 "true", "true", "true", "t.id = $1::uuid")};

#define AUDIT_FIELDS(F)                                                                            \
    F("at", "a.at", SHOWN_TIME, "When.")                                                           \
    F("token_id", "a.token_id", SHOWN_ID, "With which token.")                                     \
    F("token_label", "a.token_label", SHOWN_TEXT, "For whom that token was made.")                 \
    F("operation", "a.operation", SHOWN_TEXT, "What: an operationId of this document.")            \
    F("target", "a.target", SHOWN_TEXT, "On what: the path as it came.")                           \
    F("status", "a.status", SHOWN_WHOLE, "The answer's; from 400 on nothing was changed.")         \
    F("peer", "a.peer", SHOWN_TEXT, "From which address.")
static const struct shown_field audit_fields[] = {
    {"id", SHOWN_ID, "The request's id, as in its answer's Request-Id."}, AUDIT_FIELDS(SHOWN_ROW)};
const struct shown shown_audit = {
    .name = "AuditEntry",
    .says = "Something that somebody wanted changed.",
    .fields = audit_fields,
    .fields_count = COUNT_OF(audit_fields),
    .filters = {{"token_id", SHOWN_ID, "Only what this token asked for."},
                {"operation", "{\"type\":\"string\",\"maxLength\":100}", "Only this operation."}},
    SHOWN_QUERIES(AUDIT_FIELDS, "api_audit AS a", "a.id", "uuid", "a.at", "DESC", "<",
                  "\'infinity\'", "a.token_id = $4::uuid", "a.operation = $5", "true",
                  "a.id = $1::uuid")};
