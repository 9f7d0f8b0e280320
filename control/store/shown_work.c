/* What the agent may do, and what is done around a call. */
#include "control/store/shown.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID_ROW                                                                                     \
    {                                                                                              \
        "id", SHOWN_ID, "Its id."                                                                  \
    }
#define CALL_FILTER                                                                                \
    {                                                                                              \
        "call", SHOWN_ID, "Only those of this call."                                               \
    }
#define CALENDAR_FILTER                                                                            \
    {                                                                                              \
        "calendar", "{\"type\":\"string\",\"maxLength\":64}", "Only those of this calendar."       \
    }

#define TOOL_FIELDS(F)                                                                             \
    F("name", "t.name", SHOWN_TEXT, "The function's name, as the AI knows it.")                    \
    F("description", "t.description", SHOWN_TEXT, "What the AI is told about it.")                 \
    F("action", "t.action", SHOWN_TEXT, "http, or what is built in.")                              \
    F("parameters", "t.parameters", SHOWN_ANY, "JSON Schema of its arguments.")                    \
    F("settings", "t.settings", SHOWN_ANY, "What its action needs: a URL, for example.")           \
    F("has_headers", "t.headers_sealed IS NOT NULL", SHOWN_FLAG, "Secret headers go with it.")     \
    F("channels", "t.channels", SHOWN_TEXTS, "Where it may be called.")                            \
    F("tries", "t.tries_max", SHOWN_WHOLE, "How often it is tried.")                               \
    F("timeout_ms", "t.timeout_ms", SHOWN_WHOLE, "What one try may take.")                         \
    F("deadline_ms", "t.deadline_ms", SHOWN_WHOLE, "When the AI gets an answer in any case.")      \
    F("interim_ms", "t.interim_ms", SHOWN_WHOLE, "When the AI may say that it takes longer.")      \
    F("position", "t.position", SHOWN_WHOLE, "Those with a smaller one are told first.")           \
    F("is_active", "t.is_active", SHOWN_FLAG, "False: the AI does not know of it.")                \
    F("created_at", "t.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field tool_fields[] = {ID_ROW, TOOL_FIELDS(SHOWN_ROW)};
const struct shown shown_tools = {.name = "Tool",
                                  .key_is_name = true,
                                  .says = "A function that the AI may call.",
                                  .fields = tool_fields,
                                  .fields_count = COUNT_OF(tool_fields),
                                  SHOWN_QUERIES(TOOL_FIELDS, "tools AS t", "t.id", "uuid",
                                                "t.created_at", "DESC", "<", "\'infinity\'", "true",
                                                "true", "true", "t.name = $1")};

#define TOOL_STATES "{\"type\":\"string\",\"enum\":[\"waiting\",\"running\",\"done\",\"failed\"]}"
#define TOOL_CALL_FIELDS(F)                                                                        \
    F("call", "k.conversation_id", SHOWN_ID, "In which call.")                                     \
    F("name", "k.name", SHOWN_TEXT, "Of which function.")                                          \
    F("arguments", "k.arguments", SHOWN_TEXT, "As the AI wrote them.")                             \
    F("state", "k.state", TOOL_STATES, "How far it is.")                                           \
    F("tries", "k.tries", SHOWN_WHOLE, "How often it was tried.")                                  \
    F("output", "k.output", SHOWN_ANY_NULL, "What the AI was told.")                               \
    F("asked_at", "k.asked_at", SHOWN_TIME, "When the AI asked.")                                  \
    F("finished_at", "k.finished_at", SHOWN_TIME_NULL, "When it was done.")                        \
    F("told_at", "k.told_at", SHOWN_TIME_NULL, "When the AI was told.")
static const struct shown_field tool_call_fields[] = {ID_ROW, TOOL_CALL_FIELDS(SHOWN_ROW)};
const struct shown shown_tool_calls = {
    .name = "ToolCall",
    .says = "A function that the AI called.",
    .fields = tool_call_fields,
    .fields_count = COUNT_OF(tool_call_fields),
    .filters = {CALL_FILTER,
                {"state", TOOL_STATES, "Only those in this state."},
                {"name", "{\"type\":\"string\",\"maxLength\":256}", "Only this function."}},
    SHOWN_QUERIES(TOOL_CALL_FIELDS, "tool_calls AS k", "k.id", "uuid", "k.asked_at", "DESC", "<",
                  "\'infinity\'", "k.conversation_id = $4::uuid", "k.state = $5", "k.name = $6",
                  "k.id = $1::uuid")};

#define APPOINTMENT_STATES "{\"type\":\"string\",\"enum\":[\"booked\",\"cancelled\"]}"
#define APPOINTMENT_FIELDS(F)                                                                      \
    F("calendar", "a.calendar", SHOWN_TEXT, "In which calendar.")                                  \
    F("starts_at", "a.starts_at", SHOWN_TIME, "When it begins.")                                   \
    F("ends_at", "a.ends_at", SHOWN_TIME, "When it ends.")                                         \
    F("name", "a.name", SHOWN_TEXT, "With whom.")                                                  \
    F("phone", "a.phone", SHOWN_TEXT, "Their number.")                                             \
    F("note", "a.note", SHOWN_TEXT, "What it is about.")                                           \
    F("state", "a.state", APPOINTMENT_STATES, "booked or cancelled.")                              \
    F("call", "a.conversation_id", SHOWN_ID_NULL, "In which call it was made; null: by a person.") \
    F("created_at", "a.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field appointment_fields[] = {ID_ROW, APPOINTMENT_FIELDS(SHOWN_ROW)};
const struct shown shown_appointments = {
    .name = "Appointment",
    .says = "A time that somebody has.",
    .fields = appointment_fields,
    .fields_count = COUNT_OF(appointment_fields),
    .filters = {CALENDAR_FILTER,
                {"state", APPOINTMENT_STATES, "Only those in this state."},
                {"from", SHOWN_TIME, "Only those that begin then or later."}},
    SHOWN_QUERIES(APPOINTMENT_FIELDS, "appointments AS a", "a.id", "uuid", "a.starts_at", "ASC",
                  ">", "\'-infinity\'", "a.calendar = $4", "a.state = $5",
                  "a.starts_at >= $6::timestamptz", "a.id = $1::uuid")};

#define OPENING_FIELDS(F)                                                                          \
    F("calendar", "h.calendar", SHOWN_TEXT, "Of which calendar.")                                  \
    F("days", "h.days", SHOWN_DAYS, "Days of the week; 1 is Monday.")                              \
    F("opens", "to_char(h.opens, 'HH24:MI')", SHOWN_TEXT, "From when on, local time.")             \
    F("closes", "to_char(h.closes, 'HH24:MI')", SHOWN_TEXT, "Until when.")                         \
    F("time_zone", "h.time_zone", SHOWN_TEXT, "Whose local time.")                                 \
    F("slot_minutes", "h.slot_minutes", SHOWN_WHOLE, "How long an appointment is.")                \
    F("created_at", "h.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field opening_fields[] = {ID_ROW, OPENING_FIELDS(SHOWN_ROW)};
const struct shown shown_opening_hours = {
    .name = "OpeningHours",
    .says = "When appointments can be had.",
    .fields = opening_fields,
    .fields_count = COUNT_OF(opening_fields),
    .filters = {CALENDAR_FILTER},
    SHOWN_QUERIES(OPENING_FIELDS, "availability AS h", "h.id", "uuid", "h.created_at", "DESC", "<",
                  "\'infinity\'", "h.calendar = $4", "true", "true", "h.id = $1::uuid")};

#define LEFT_STATES "{\"type\":\"string\",\"enum\":[\"new\",\"read\",\"archived\"]}"
#define LEFT_FIELDS(F)                                                                             \
    F("call", "m.conversation_id", SHOWN_ID, "In which call.")                                     \
    F("name", "m.name", SHOWN_TEXT, "Who left it.")                                                \
    F("phone", "m.phone", SHOWN_TEXT, "Where they can be reached.")                                \
    F("body", "m.body", SHOWN_TEXT, "What is to be passed on.")                                    \
    F("is_urgent", "m.is_urgent", SHOWN_FLAG, "The caller said so.")                               \
    F("state", "m.state", LEFT_STATES, "What people have done with it.")                           \
    F("created_at", "m.created_at", SHOWN_TIME, "When it was left.")
static const struct shown_field left_fields[] = {ID_ROW, LEFT_FIELDS(SHOWN_ROW)};
const struct shown shown_left_messages = {
    .name = "LeftMessage",
    .says = "What a caller asked the agent to pass on.",
    .fields = left_fields,
    .fields_count = COUNT_OF(left_fields),
    .filters = {CALL_FILTER, {"state", LEFT_STATES, "Only those in this state."}},
    SHOWN_QUERIES(LEFT_FIELDS, "left_messages AS m", "m.id", "uuid", "m.created_at", "DESC", "<",
                  "\'infinity\'", "m.conversation_id = $4::uuid", "m.state = $5", "true",
                  "m.id = $1::uuid")};

#define AFTER_FIELDS(F)                                                                            \
    F("own", "a.own", SHOWN_TEXTS, "The settings that are not the built-in ones.")                 \
    F("settings", "a.settings", SHOWN_ANY, "Every setting, as it is in force.")
#define AFTER_FROM                                                                                 \
    "(SELECT current_organization() AS id, now() AS at, f.settings, coalesce((SELECT "             \
    "jsonb_agg(m.key ORDER BY m.key) FROM jsonb_each(f.settings) AS m JOIN jsonb_each("            \
    "to_jsonb(after_call_setting(NULL))) AS d ON d.key = m.key WHERE m.value IS DISTINCT FROM "    \
    "d.value), '[]') AS own FROM (SELECT to_jsonb(after_call_setting(current_organization())) "    \
    "- '{organization_id,created_at,updated_at}'::text[] AS settings) AS f) AS a"
static const struct shown_field after_fields[] = {{"id", SHOWN_ID, "The organisation's id."},
                                                  AFTER_FIELDS(SHOWN_ROW)};
const struct shown shown_after_call = {.name = "AfterCall",
                                       .key_is_name = true,
                                       .says = "What is done after a call.",
                                       .fields = after_fields,
                                       .fields_count = COUNT_OF(after_fields),
                                       SHOWN_QUERIES(AFTER_FIELDS, AFTER_FROM, "a.id", "uuid",
                                                     "a.at", "DESC", "<", "\'infinity\'", "true",
                                                     "true", "true", "$1 = ''")};

#define ENDPOINT_FIELDS(F)                                                                         \
    F("kind", "e.kind", "{\"type\":\"string\",\"enum\":[\"webhook\",\"slack\"]}", "What it is.")   \
    F("url", "e.url", SHOWN_TEXT_NULL, "Where it is; null for Slack, whose URL is the secret.")    \
    F("label", "e.label", SHOWN_TEXT, "What people call it.")                                      \
    F("disabled_at", "e.disabled_at", SHOWN_TIME_NULL, "Nothing is sent there since.")             \
    F("disabled_reason", "e.disabled_reason", SHOWN_TEXT_NULL, "Why.")                             \
    F("created_at", "e.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field endpoint_fields[] = {ID_ROW, ENDPOINT_FIELDS(SHOWN_ROW)};
const struct shown shown_endpoints = {
    .name = "Endpoint",
    .says = "A system of the organisation's that hears of its calls.",
    .fields = endpoint_fields,
    .fields_count = COUNT_OF(endpoint_fields),
    SHOWN_QUERIES(ENDPOINT_FIELDS, "endpoints AS e", "e.id", "uuid", "e.created_at", "DESC", "<",
                  "\'infinity\'", "true", "true", "true", "e.id = $1::uuid")};

#define DELIVERY_KINDS "{\"type\":\"string\",\"enum\":[\"email\",\"webhook\",\"slack\"]}"
#define DELIVERY_FIELDS(F)                                                                         \
    F("call", "d.conversation_id", SHOWN_ID, "About which call.")                                  \
    F("endpoint", "d.endpoint_id", SHOWN_ID_NULL, "To which endpoint; null: an e-mail.")           \
    F("kind", "d.kind", DELIVERY_KINDS, "How it is sent.")                                         \
    F("event", "d.event", SHOWN_TEXT, "What is told.")                                             \
    F("target", "d.target", SHOWN_TEXT, "To whom.")                                                \
    F("sent_at", "d.sent_at", SHOWN_TIME_NULL, "When it arrived; null: not yet.")                  \
    F("maybe_twice", "d.maybe_twice", SHOWN_FLAG, "Nobody knows whether it arrived before.")       \
    F("answer", "d.answer", SHOWN_WHOLE_NULL, "The receiver's status.")                            \
    F("created_at", "d.created_at", SHOWN_TIME, "When it was decided on.")
static const struct shown_field delivery_fields[] = {ID_ROW, DELIVERY_FIELDS(SHOWN_ROW)};
const struct shown shown_deliveries = {
    .name = "Delivery",
    .says = "An e-mail, a webhook or a Slack message about a call.",
    .fields = delivery_fields,
    .fields_count = COUNT_OF(delivery_fields),
    .filters = {CALL_FILTER,
                {"kind", DELIVERY_KINDS, "Only those that go this way."},
                {"endpoint", SHOWN_ID, "Only those to this endpoint."}},
    SHOWN_QUERIES(DELIVERY_FIELDS, "deliveries AS d", "d.id", "uuid", "d.created_at", "DESC", "<",
                  "\'infinity\'", "d.conversation_id = $4::uuid", "d.kind = $5",
                  "d.endpoint_id = $6::uuid", "d.id = $1::uuid")};

#define JOB_STATES "{\"type\":\"string\",\"enum\":[\"queued\",\"leased\",\"done\",\"dead\"]}"
#define JOB_FIELDS(F)                                                                              \
    F("kind", "j.kind", SHOWN_TEXT, "What is to be done.")                                         \
    F("state", "j.state", JOB_STATES, "leased: somebody is at it; dead: given up.")                \
    F("due_at", "j.due_at", SHOWN_TIME_NULL, "When it is tried next.")                             \
    F("tries", "j.tries", SHOWN_WHOLE, "How often it was tried.")                                  \
    F("max_tries", "j.max_tries", SHOWN_WHOLE, "When it is given up.")                             \
    F("error", "j.last_error", SHOWN_TEXT_NULL, "What went wrong last.")                           \
    F("started_at", "j.started_at", SHOWN_TIME_NULL, "When it was tried last.")                    \
    F("finished_at", "j.finished_at", SHOWN_TIME_NULL, "When it was done or given up.")            \
    F("created_at", "j.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field job_fields[] = {ID_ROW, JOB_FIELDS(SHOWN_ROW)};
const struct shown shown_jobs = {
    .name = "Job",
    .says = "Slow work outside of a call.",
    .fields = job_fields,
    .fields_count = COUNT_OF(job_fields),
    .filters = {{"state", JOB_STATES, "Only those in this state."},
                {"kind", "{\"type\":\"string\",\"maxLength\":40}", "Only those of this kind."}},
    SHOWN_QUERIES(JOB_FIELDS, "jobs AS j", "j.id", "uuid", "j.created_at", "DESC", "<",
                  "\'infinity\'", "j.state = $4", "j.kind = $5", "true", "j.id = $1::uuid")};

#define RECONCILIATION_FIELDS(F)                                                                   \
    F("since", "r.since", SHOWN_TIME, "From when on.")                                             \
    F("until", "r.until", SHOWN_TIME, "Until when.")                                               \
    F("account_sid", "r.account_sid", SHOWN_TEXT, "Of which account at the carrier.")              \
    F("calls_seen", "r.calls_seen", SHOWN_WHOLE, "Calls that the carrier listed.")                 \
    F("calls_opened", "r.calls_opened", SHOWN_WHOLE, "Of those: put on record now.")               \
    F("calls_ended", "r.calls_ended", SHOWN_WHOLE, "Of those: their end was not known.")           \
    F("calls_priced", "r.calls_priced", SHOWN_WHOLE, "Of those: their price was not known.")       \
    F("calls_differing", "r.calls_differing", SHOWN_TEXTS, "CallSids that differ; they stay.")     \
    F("calls_unlisted", "r.calls_unlisted", SHOWN_TEXTS, "CallSids that the carrier has not.")     \
    F("recordings_seen", "r.recordings_seen", SHOWN_WHOLE, "Recordings that it listed.")           \
    F("recordings_found", "r.recordings_found", SHOWN_WHOLE, "Of those: put on record now.")       \
    F("created_at", "r.created_at", SHOWN_TIME, "When it was done.")
static const struct shown_field reconciliation_fields[] = {ID_ROW,
                                                           RECONCILIATION_FIELDS(SHOWN_ROW)};
const struct shown shown_reconciliations = {
    .name = "Reconciliation",
    .says = "Our record beside the carrier's lists.",
    .fields = reconciliation_fields,
    .fields_count = COUNT_OF(reconciliation_fields),
    SHOWN_QUERIES(RECONCILIATION_FIELDS, "reconciliations AS r", "r.id", "uuid", "r.created_at",
                  "DESC", "<", "\'infinity\'", "true", "true", "true", "r.id = $1::uuid")};
