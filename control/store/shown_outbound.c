/* Calls that we make: what was asked for, batches, whom not to call, and how much. */
#include "control/store/shown.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID_ROW                                                                                     \
    {                                                                                              \
        "id", SHOWN_ID, "Its id."                                                                  \
    }
#define NUMBER_FILTER "{\"type\":\"string\",\"maxLength\":20}"

#define CALL_STATES "{\"type\":\"string\",\"enum\":[\"waiting\",\"calling\",\"done\"]}"
#define CALL_FIELDS(F)                                                                             \
    F("to", "o.to_number", SHOWN_TEXT, "Who is called; E.164.")                                    \
    F("from", "o.from_number", SHOWN_TEXT, "Which of our numbers is shown.")                       \
    F("batch", "o.batch_id", SHOWN_ID_NULL, "Of which batch; null: asked for by itself.")          \
    F("line", "o.line", SHOWN_WHOLE, "Where in the batch's numbers; 0: in none.")                  \
    F("state", "o.state", CALL_STATES, "waiting until due_at; calling: an attempt is open; done.") \
    F("outcome", "o.outcome", SHOWN_TEXT_NULL, "How the last call ended, or why there was none.")  \
    F("error", "o.error", SHOWN_TEXT_NULL, "The same in words.")                                   \
    F("due_at", "o.due_at", SHOWN_TIME_NULL, "Not before.")                                        \
    F("lead", "o.lead", SHOWN_TEXT, "What whoever asked calls the callee.")                        \
    F("variables", "o.variables", SHOWN_ANY, "Put for {{name}} into instructions and greeting.")   \
    F("plan", "o.plan", SHOWN_ANY_NULL, "What is done with the call; null: as the batch says.")    \
    F("requested_by", "o.requested_by", SHOWN_TEXT, "Who asked.")                                  \
    F("created_at", "o.created_at", SHOWN_TIME, "When it was asked for.")                          \
    F("attempts",                                                                                  \
      "(SELECT coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'state', a.state, 'call', "       \
      "(SELECT "                                                                                   \
      "c.id FROM conversations AS c WHERE c.account_sid = a.account_sid AND c.call_sid = "         \
      "a.call_sid AND c.organization_id = a.organization_id), 'call_sid', a.call_sid, 'status', "  \
      "a.call_status, 'answered_by', a.answered_by, 'error', a.error, 'created_at', "              \
      "a.created_at) ORDER BY a.number), '[]') FROM call_attempts AS a WHERE a.outbound_call_id "  \
      "= o.id AND a.organization_id = o.organization_id)",                                         \
      "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}",                                      \
      "Each call that was made for it, or may have been: state, call (its id here), status.")
static const struct shown_field call_fields[] = {ID_ROW, CALL_FIELDS(SHOWN_ROW)};
const struct shown shown_outbound_calls = {
    .name = "OutboundCall",
    .says = "Somebody to be called, once, or until he answers.",
    .fields = call_fields,
    .fields_count = COUNT_OF(call_fields),
    .filters = {{"batch", SHOWN_ID, "Only those of this batch."},
                {"state", CALL_STATES, "Only those in this state."},
                {"to", NUMBER_FILTER, "Only calls to this number, as E.164."}},
    SHOWN_QUERIES(CALL_FIELDS, "outbound_calls AS o", "o.id", "uuid", "o.created_at", "DESC", "<",
                  "\'infinity\'", "o.batch_id = $4::uuid", "o.state = $5", "o.to_number = $6",
                  "o.id = $1::uuid")};

#define BATCH_STATES "{\"type\":\"string\",\"enum\":[\"running\",\"paused\",\"stopped\",\"done\"]}"
#define BATCH_FIELDS(F)                                                                            \
    F("name", "b.name", SHOWN_TEXT, "What people call it.")                                        \
    F("state", "b.state", BATCH_STATES, "paused: until it is resumed; stopped: for good.")         \
    F("reason", "b.reason", SHOWN_TEXT, "Why it was paused for you.")                              \
    F("from", "b.from_number", SHOWN_TEXT, "Which of our numbers is shown.")                       \
    F("calls_per_minute", "b.calls_per_minute", SHOWN_WHOLE, "Its pace.")                          \
    F("days", "b.days", SHOWN_DAYS, "Days of the week; 1 is Monday.")                              \
    F("opens", "to_char(b.opens, 'HH24:MI')", SHOWN_TEXT, "From when on, by the callee's clock.")  \
    F("closes", "to_char(b.closes, 'HH24:MI')", SHOWN_TEXT, "Until when.")                         \
    F("time_zone", "b.time_zone", SHOWN_TEXT_NULL, "Where a number does not say its own.")         \
    F("retries", "b.retries", SHOWN_WHOLE, "How often after busy or no answer.")                   \
    F("retry_after_s", "b.retry_after_s", SHOWN_WHOLE, "How long after.")                          \
    F("plan", "b.plan", SHOWN_ANY, "What is done with an answered call.")                          \
    F("numbers",                                                                                   \
      "(SELECT coalesce(jsonb_object_agg(n.what, n.count), '{}') FROM (SELECT coalesce(outcome, "  \
      "state) AS what, count(*) FROM outbound_calls AS o WHERE o.batch_id = b.id AND "             \
      "o.organization_id = b.organization_id GROUP BY 1) AS n)",                                   \
      SHOWN_ANY, "How many numbers by what came of them, or by state.")                            \
    F("requested_by", "b.requested_by", SHOWN_TEXT, "Who asked.")                                  \
    F("created_at", "b.created_at", SHOWN_TIME, "When it was made.")
static const struct shown_field batch_fields[] = {ID_ROW, BATCH_FIELDS(SHOWN_ROW)};
const struct shown shown_batches = {
    .name = "Batch",
    .says = "Numbers that are called one after the other.",
    .fields = batch_fields,
    .fields_count = COUNT_OF(batch_fields),
    .filters = {{"state", BATCH_STATES, "Only those in this state."},
                {"name", "{\"type\":\"string\",\"maxLength\":200}", "Only the one of this name."}},
    SHOWN_QUERIES(BATCH_FIELDS, "call_batches AS b", "b.id", "uuid", "b.created_at", "DESC", "<",
                  "\'infinity\'", "b.state = $4", "b.name = $5", "true", "b.id = $1::uuid")};

#define NOT_CALLED_FIELDS(F)                                                                       \
    F("number", "d.phone_number", SHOWN_TEXT, "Whom; E.164.")                                      \
    F("reason", "d.reason", SHOWN_TEXT, "Why.")                                                    \
    F("added_by", "d.added_by", SHOWN_TEXT, "Who said so.")                                        \
    F("created_at", "d.created_at", SHOWN_TIME, "Since when.")
static const struct shown_field not_called_fields[] = {ID_ROW, NOT_CALLED_FIELDS(SHOWN_ROW)};
const struct shown shown_do_not_call = {
    .name = "NotCalled",
    .says = "A number that is not called, whoever asks for it.",
    .fields = not_called_fields,
    .fields_count = COUNT_OF(not_called_fields),
    .filters = {{"number", NUMBER_FILTER, "Only this one, as E.164."}},
    SHOWN_QUERIES(NOT_CALLED_FIELDS, "do_not_call AS d", "d.id", "uuid", "d.created_at", "DESC",
                  "<", "\'infinity\'", "d.phone_number = $4", "true", "true", "d.id = $1::uuid")};

#define LIMITS_FIELDS(F)                                                                           \
    F("calls_at_once", "l.calls_at_once", SHOWN_WHOLE, "Asked for and not over; 0: none.")         \
    F("calls_per_minute", "l.calls_per_minute", SHOWN_WHOLE, "Calls begun.")                       \
    F("calls_per_day", "l.calls_per_day", SHOWN_WHOLE, "Begun since midnight of time_zone.")       \
    F("time_zone", "l.time_zone", SHOWN_TEXT, "The organisation's own.")                           \
    F("settle_s", "l.settle_s", SHOWN_WHOLE,                                                       \
      "How long a call is looked for when the carrier did not say whether it was made.")           \
    F("today",                                                                                     \
      "(SELECT count(*) FROM call_attempts AS a WHERE a.organization_id = l.organization_id AND "  \
      "a.state <> 'dropped' AND a.created_at >= date_trunc('day', now(), l.time_zone))",           \
      SHOWN_WHOLE, "Calls begun today.")
static const struct shown_field limits_fields[] = {ID_ROW, LIMITS_FIELDS(SHOWN_ROW)};
const struct shown shown_outbound_limits = {
    .name = "OutboundLimits",
    .key_is_name = true,
    .says = "How much the organisation may call.",
    .fields = limits_fields,
    .fields_count = COUNT_OF(limits_fields),
    SHOWN_QUERIES(LIMITS_FIELDS, "outbound_limits_in_force(current_organization()) AS l", "l.organization_id", "uuid",
                  "l.updated_at", "DESC", "<", "\'infinity\'", "true", "true", "true",
                  "l.organization_id::text = $1 OR $1 = ''")};
