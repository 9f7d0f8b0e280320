/* What happened: calls, what was said and done in them, what was kept of them. */
#include "control/store/shown.h"

#define COUNT_OF(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define ID_ROW                                                                                     \
    {                                                                                              \
        "id", SHOWN_ID, "Its id."                                                                  \
    }
#define STATUSES                                                                                   \
    "{\"type\":\"string\",\"enum\":[\"queued\",\"initiated\",\"ringing\",\"in-progress\","         \
    "\"completed\",\"busy\",\"no-answer\",\"failed\",\"canceled\"]}"
#define CALL_FILTER                                                                                \
    {                                                                                              \
        "call", SHOWN_ID, "Only those of this call."                                               \
    }

#define CALL_FIELDS(F)                                                                             \
    F("call_sid", "c.call_sid", SHOWN_TEXT, "The carrier's name of it.")                           \
    F("direction", "c.direction", "{\"type\":\"string\",\"enum\":[\"inbound\",\"outbound\"]}",     \
      "Who called whom.")                                                                          \
    F("from", "c.from_number", SHOWN_TEXT_NULL, "Who called.")                                     \
    F("to", "c.to_number", SHOWN_TEXT_NULL, "Who was called.")                                     \
    F("status", "c.call_status", STATUSES, "The carrier's word for how far it is.")                \
    F("started_at", "c.start_timestamp", SHOWN_TIME, "When it began.")                             \
    F("ended_at", "c.end_timestamp", SHOWN_TIME_NULL, "When it ended; null: not yet.")             \
    F("duration_ms", "c.duration_ms", SHOWN_WHOLE_NULL,                                            \
      "From answer to end; the edge's or the carrier's.")                                          \
    F("stream_duration_ms", "c.stream_duration_ms", SHOWN_WHOLE_NULL,                              \
      "How long the agent was in it.")                                                             \
    F("ended_reason", "c.ended_reason", SHOWN_TEXT_NULL, "Why the agent's part of it ended.")      \
    F("disconnection_reason", "c.disconnection_reason", SHOWN_TEXT_NULL,                           \
      "Why it ended, as the carrier says.")                                                        \
    F("sip_response_code", "c.sip_response_code", SHOWN_WHOLE_NULL, "The carrier's last answer.")  \
    F("price", "c.price::text", SHOWN_TEXT_NULL, "What the carrier took for it, as a decimal.")    \
    F("price_unit", "c.price_unit", SHOWN_TEXT_NULL, "In which currency.")                         \
    F("figures", "c.figures", SHOWN_ANY_NULL, "What the edge measured.")                           \
    F("summary", "s.summary", SHOWN_TEXT_NULL, "What an AI wrote about it afterwards.")            \
    F("outcome", "s.outcome", SHOWN_TEXT_NULL, "What came of it, in a word or two.")               \
    F("intent", "s.intent", SHOWN_TEXT_NULL, "What the caller wanted.")                            \
    F("sentiment", "s.sentiment", SHOWN_TEXT_NULL, "How the caller felt.")                         \
    F("follow_up", "coalesce(s.follow_up, '{}')", SHOWN_TEXTS, "What is to be done.")              \
    F("callback_needed", "s.callback_needed", SHOWN_FLAG_NULL, "Is the caller to be called back?")
static const struct shown_field call_fields[] = {ID_ROW, CALL_FIELDS(SHOWN_ROW)};
const struct shown shown_calls = {
    .name = "Call",
    .says = "A telephone call.",
    .fields = call_fields,
    .fields_count = COUNT_OF(call_fields),
    .filters = {{"status", STATUSES, "Only calls that are so far."},
                {"from", "{\"type\":\"string\",\"maxLength\":64}", "Only calls from this number."},
                {"to", "{\"type\":\"string\",\"maxLength\":64}", "Only calls to this number."}},
    SHOWN_QUERIES(CALL_FIELDS,
                  "(SELECT * FROM conversations WHERE channel = 'voice') AS c LEFT JOIN "
                  "after_calls AS s ON s.conversation_id = c.id "
                  "AND s.organization_id = c.organization_id",
                  "c.id", "uuid", "c.start_timestamp", "DESC", "<", "\'infinity\'",
                  "c.call_status = $4", "c.from_number = $5", "c.to_number = $6",
                  "c.id = $1::uuid")};

#define MESSAGE_FIELDS(F)                                                                          \
    F("at", "m.\"timestamp\"", SHOWN_TIME, "When it was said.")                                    \
    F("role", "m.role",                                                                            \
      "{\"type\":\"string\",\"enum\":[\"user\",\"assistant\",\"system\",\"tool\"]}",               \
      "Who said it: the caller is user.")                                                          \
    F("text", "m.content", SHOWN_TEXT, "The words.")                                               \
    F("interrupted", "m.interrupted", SHOWN_FLAG, "The caller did not let the agent finish.")      \
    F("audio_ms", "m.audio_ms", SHOWN_WHOLE_NULL, "How long it was.")                              \
    F("heard_ms", "m.heard_ms", SHOWN_WHOLE_NULL, "How much of it the caller heard.")
static const struct shown_field message_fields[] = {ID_ROW, MESSAGE_FIELDS(SHOWN_ROW)};
const struct shown shown_messages = {.name = "Utterance",
                                     .says = "Something that was said in a call.",
                                     .fields = message_fields,
                                     .fields_count = COUNT_OF(message_fields),
                                     .filters = {CALL_FILTER},
                                     SHOWN_QUERIES(MESSAGE_FIELDS, "conversation_messages AS m",
                                                   "m.id", "uuid", "m.\"timestamp\"", "ASC", ">",
                                                   "\'-infinity\'", "m.conversation_id = $4::uuid",
                                                   "true", "true", "m.id = $1::uuid")};

#define EVENT_FIELDS(F)                                                                            \
    F("at", "e.at", SHOWN_TIME, "When it happened.")                                               \
    F("source", "e.source", "{\"type\":\"string\",\"enum\":[\"edge\",\"carrier\",\"operator\"]}",  \
      "Who told it.")                                                                              \
    F("kind", "e.kind", SHOWN_TEXT, "What it is; more kinds may come.")                            \
    F("body", "e.body", SHOWN_ANY, "What is known of it.")
static const struct shown_field event_fields[] = {
    {"id", SHOWN_WHOLE, "Its number, in order of arrival."}, EVENT_FIELDS(SHOWN_ROW)};
const struct shown shown_events = {.name = "Event",
                                   .says = "Something that happened in a call.",
                                   .fields = event_fields,
                                   .fields_count = COUNT_OF(event_fields),
                                   .filters = {CALL_FILTER},
                                   .tie_is_number = true,
                                   SHOWN_QUERIES(EVENT_FIELDS, "call_events AS e", "e.id", "bigint",
                                                 "e.at", "ASC", ">", "\'-infinity\'",
                                                 "e.conversation_id = $4::uuid", "true", "true",
                                                 "e.id = $1::bigint")};

#define ORDER_FIELDS(F)                                                                            \
    F("call", "r.conversation_id", SHOWN_ID, "For which call.")                                    \
    F("order", "r.body", SHOWN_ANY, "What is wanted.")                                             \
    F("state", "r.state",                                                                          \
      "{\"type\":\"string\",\"enum\":[\"waiting\",\"sent\",\"done\",\"refused\",\"expired\"]}",    \
      "done and refused are the edge's words; expired: nobody took it in time.")                   \
    F("error", "r.error", SHOWN_TEXT_NULL, "Why it was refused.")                                  \
    F("ordered_by", "r.ordered_by", SHOWN_TEXT, "Who wants it.")                                   \
    F("expires_at", "r.expires_at", SHOWN_TIME, "Not after: what comes late does harm.")           \
    F("created_at", "r.created_at", SHOWN_TIME, "When it was given.")
static const struct shown_field order_fields[] = {ID_ROW, ORDER_FIELDS(SHOWN_ROW)};
const struct shown shown_orders = {.name = "Order",
                                   .says = "Something that somebody wants done with a live call.",
                                   .fields = order_fields,
                                   .fields_count = COUNT_OF(order_fields),
                                   .filters = {CALL_FILTER},
                                   SHOWN_QUERIES(ORDER_FIELDS, "call_orders AS r", "r.id", "uuid",
                                                 "r.created_at", "DESC", "<", "\'infinity\'",
                                                 "r.conversation_id = $4::uuid", "true", "true",
                                                 "r.id = $1::uuid")};

#define RECORDING_FIELDS(F)                                                                        \
    F("call", "r.conversation_id", SHOWN_ID, "Of which call.")                                     \
    F("source", "r.source", "{\"type\":\"string\",\"enum\":[\"edge\",\"carrier\"]}",               \
      "Who recorded.")                                                                             \
    F("purpose", "r.purpose", "{\"type\":\"string\",\"enum\":[\"call\",\"voicemail\"]}",           \
      "The call, or a message that the caller left.")                                              \
    F("state", "r.state", "{\"type\":\"string\",\"enum\":[\"ready\",\"deleted\"]}",                \
      "deleted: only this row is left.")                                                           \
    F("media_type", "r.media_type", SHOWN_TEXT, "What the file is.")                               \
    F("started_at", "r.started_at", SHOWN_TIME, "When it begins.")                                 \
    F("duration_ms", "r.duration_ms", SHOWN_WHOLE, "How long it is.")                              \
    F("bytes", "r.bytes", SHOWN_WHOLE, "How large the file is.")                                   \
    F("sha256", "encode(r.sha256, 'hex')", SHOWN_TEXT, "The file's hash.")                         \
    F("deleted_at", "r.deleted_at", SHOWN_TIME_NULL, "When it was deleted.")                       \
    F("created_at", "r.created_at", SHOWN_TIME, "When it was kept.")
static const struct shown_field recording_fields[] = {ID_ROW, RECORDING_FIELDS(SHOWN_ROW)};
const struct shown shown_recordings = {
    .name = "Recording",
    .says = "The sound of a call, or of a message.",
    .fields = recording_fields,
    .fields_count = COUNT_OF(recording_fields),
    .filters = {CALL_FILTER,
                {"purpose", "{\"type\":\"string\",\"enum\":[\"call\",\"voicemail\"]}",
                 "Only those of this purpose."},
                {"state", "{\"type\":\"string\",\"enum\":[\"ready\",\"deleted\"]}",
                 "Only those in this state."}},
    SHOWN_QUERIES(RECORDING_FIELDS, "recordings AS r", "r.id", "uuid", "r.created_at", "DESC", "<",
                  "\'infinity\'", "r.conversation_id = $4::uuid", "r.purpose = $5", "r.state = $6",
                  "r.id = $1::uuid")};

#define ACCESS_FIELDS(F)                                                                           \
    F("recording", "a.recording_id", SHOWN_ID, "To which recording.")                              \
    F("what", "a.what", SHOWN_TEXT, "link, read, exported, deleted or carrier_deleted.")           \
    F("by", "a.by_whom", SHOWN_TEXT, "Whose it was.")                                              \
    F("expires_at", "a.expires_at", SHOWN_TIME_NULL, "Until when a link is good.")                 \
    F("created_at", "a.created_at", SHOWN_TIME, "When.")
static const struct shown_field access_fields[] = {ID_ROW, ACCESS_FIELDS(SHOWN_ROW)};
const struct shown shown_accesses = {
    .name = "RecordingAccess",
    .says = "Somebody was given a recording, heard it, or had it deleted.",
    .fields = access_fields,
    .fields_count = COUNT_OF(access_fields),
    .filters = {{"recording", SHOWN_ID, "Only those to this recording."}},
    SHOWN_QUERIES(ACCESS_FIELDS, "recording_accesses AS a", "a.id", "uuid", "a.created_at", "DESC",
                  "<", "\'infinity\'", "a.recording_id = $4::uuid", "true", "true",
                  "a.id = $1::uuid")};

#define VOICEMAIL_STATES "{\"type\":\"string\",\"enum\":[\"new\",\"listened\",\"archived\"]}"
#define VOICEMAIL_FIELDS(F)                                                                        \
    F("call", "v.conversation_id", SHOWN_ID, "In which call it was left.")                         \
    F("recording", "v.recording_id", SHOWN_ID_NULL, "Its sound; null: not fetched (yet).")         \
    F("state", "v.state", VOICEMAIL_STATES, "What people have done with it.")                      \
    F("status", "v.status", SHOWN_TEXT, "The carrier's word: completed, absent, failed, ..")       \
    F("from", "v.from_number", SHOWN_TEXT_NULL, "Who left it.")                                    \
    F("to", "v.to_number", SHOWN_TEXT_NULL, "Who had been called.")                                \
    F("duration_ms", "v.duration_ms", SHOWN_WHOLE_NULL, "How long it is.")                         \
    F("transcription", "v.transcription", SHOWN_TEXT_NULL, "Its words.")                           \
    F("summary", "v.summary", SHOWN_TEXT_NULL, "What it is about.")                                \
    F("listened_at", "v.listened_at", SHOWN_TIME_NULL, "When it was listened to.")                 \
    F("archived_at", "v.archived_at", SHOWN_TIME_NULL, "When it was put away.")                    \
    F("created_at", "v.created_at", SHOWN_TIME, "When it was left.")
static const struct shown_field voicemail_fields[] = {ID_ROW, VOICEMAIL_FIELDS(SHOWN_ROW)};
const struct shown shown_voicemails = {
    .name = "Voicemail",
    .says = "A message that a caller left after the tone.",
    .fields = voicemail_fields,
    .fields_count = COUNT_OF(voicemail_fields),
    .filters = {CALL_FILTER, {"state", VOICEMAIL_STATES, "Only those in this state."}},
    SHOWN_QUERIES(VOICEMAIL_FIELDS, "voicemails AS v", "v.id", "uuid", "v.created_at", "DESC", "<",
                  "\'infinity\'", "v.conversation_id = $4::uuid", "v.state = $5", "true",
                  "v.id = $1::uuid")};

#define TRANSFER_STATES                                                                            \
    "{\"type\":\"string\",\"enum\":[\"calling\",\"asked\",\"accepted\",\"joined\",\"done\","       \
    "\"returned\",\"abandoned\"]}"
#define TRANSFER_FIELDS(F)                                                                         \
    F("call", "t.conversation_id", SHOWN_ID, "Whose caller waits.")                                \
    F("from", "t.from_number", SHOWN_TEXT, "The number that the person sees.")                     \
    F("to", "t.to_number", SHOWN_TEXT, "Who is called.")                                           \
    F("briefing", "t.step ->> 'briefing'", SHOWN_TEXT_NULL, "What the person hears first.")        \
    F("state", "t.state", TRANSFER_STATES,                                                         \
      "asked: the person hears the briefing; accepted: has pressed the key; joined: they talk; "   \
      "returned: the caller goes on elsewhere; abandoned: the caller hung up before.")             \
    F("reason", "t.reason", SHOWN_TEXT_NULL, "Why the caller was returned.")                       \
    F("callee_sid", "t.callee_sid", SHOWN_TEXT_NULL, "The carrier's name of the person's leg.")    \
    F("deadline_at", "t.deadline_at", SHOWN_TIME, "Who has not accepted by then never will.")      \
    F("asked_at", "t.asked_at", SHOWN_TIME_NULL, "When the person answered.")                      \
    F("accepted_at", "t.accepted_at", SHOWN_TIME_NULL, "When the person pressed the key.")         \
    F("joined_at", "t.joined_at", SHOWN_TIME_NULL, "When the two were told to be together.")       \
    F("ended_at", "t.ended_at", SHOWN_TIME_NULL, "When it ended; null: not yet.")                  \
    F("created_at", "t.created_at", SHOWN_TIME, "When it began.")
static const struct shown_field transfer_fields[] = {ID_ROW, TRANSFER_FIELDS(SHOWN_ROW)};
const struct shown shown_transfers = {
    .name = "Transfer",
    .says = "A caller waited while a person was called.",
    .fields = transfer_fields,
    .fields_count = COUNT_OF(transfer_fields),
    .filters = {CALL_FILTER, {"state", TRANSFER_STATES, "Only those in this state."}},
    SHOWN_QUERIES(TRANSFER_FIELDS, "transfers AS t", "t.id", "uuid", "t.created_at", "DESC", "<",
                  "\'infinity\'", "t.conversation_id = $4::uuid", "t.state = $5", "true",
                  "t.id = $1::uuid")};
