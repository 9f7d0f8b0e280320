#include "control/link/intake.h"

#include "common/clock.h"
#include "common/end.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/base/json_read.h"
#include "control/base/uuid.h"
#include "control/store/calls.h"

#include <stdlib.h>

#define KIND_BYTES_MAX 40

enum type { TEXT, NAME, COUNT_OF_MS, FLAG, OBJECT, ANYTHING };

/* What a kind's members must be. A member that is null or absent is right unless it is needed. */
static const struct member {
    const char *kind, *name;
    enum type type;
    bool needed;
} members[] = {
    {"started", "call_sid", NAME, true},
    {"started", "stream_sid", NAME, true},
    {"started", "account_sid", NAME, false},
    {"started", "media_format", OBJECT, false},
    {"started", "parameters", OBJECT, false},
    {"ai_ready", "session_id", NAME, false},
    {"ai_ready", "dial_ms", COUNT_OF_MS, false},
    {"message", "role", NAME, true},
    {"message", "item_id", NAME, false},
    {"message", "text", TEXT, true},
    {"message", "interrupted", FLAG, false},
    {"message", "audio_ms", COUNT_OF_MS, false},
    {"message", "heard_ms", COUNT_OF_MS, false},
    {"barge_in", "item_id", NAME, false},
    {"barge_in", "audio_end_ms", COUNT_OF_MS, false},
    {"barge_in", "audio_ms", COUNT_OF_MS, false},
    {"dtmf", "digit", NAME, true},
    {"tool_call", "call_id", NAME, true},
    {"tool_call", "name", NAME, true},
    {"tool_call", "arguments", ANYTHING, false},
    {"tool_call", "at_edge", FLAG, false},
    {"tool_result", "number", COUNT_OF_MS, true},
    {"tool_result", "ok", FLAG, true},
    {"tool_result", "output", OBJECT, false},
    {"usage", "response_id", NAME, false},
    {"usage", "status", NAME, false},
    {"usage", "usage", OBJECT, false},
    {"ended", "reason", NAME, true},
    {"ended", "duration_ms", COUNT_OF_MS, true},
    {"ended", "figures", OBJECT, false},
    {"ai_error", "code", NAME, false},
    {"recording", "file", NAME, true},
    {"recording", "samples", COUNT_OF_MS, false},
    {"ai_error", "error_type", NAME, false},
    {"ai_error", "text", TEXT, false},
};

static bool right_type(const json_t *value, enum type type)
{
    switch (type) {
    case TEXT:
        return json_is_string(value) && json_string_length(value) <= INTAKE_TEXT_BYTES_MAX;
    case NAME:
        return json_is_string(value) && json_string_length(value) <= INTAKE_NAME_BYTES_MAX;
    case COUNT_OF_MS:
        return json_is_integer(value) && json_integer_value(value) >= 0;
    case FLAG:
        return json_is_boolean(value);
    case OBJECT:
        return json_is_object(value);
    case ANYTHING:
        return true;
    }
    return false;
}

static bool known_reason(const char *name)
{
    for (int end = END_NONE + 1; end < END_COUNT; end++)
        if (strcmp(name, end_name((enum end)end)) == 0)
            return true;
    return false;
}

/* What types alone cannot say. */
static const char *judge_meaning(const json_t *object, const char *kind)
{
    if (strcmp(kind, "message") == 0) {
        const char *role = json_string_value(json_object_get(object, "role"));
        if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
            return "role";
    }
    if (strcmp(kind, "dtmf") == 0) {
        const char *digit = json_string_value(json_object_get(object, "digit"));
        if (strlen(digit) != 1 || !strchr("0123456789*#ABCD", digit[0]))
            return "digit";
    }
    if (strcmp(kind, "ended") == 0 &&
        !known_reason(json_string_value(json_object_get(object, "reason"))))
        return "reason";
    return NULL;
}

static bool well_named(const char *kind)
{
    size_t bytes = strlen(kind);
    return bytes > 0 && bytes <= KIND_BYTES_MAX &&
           strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_") == bytes;
}

/* A kind that is not known here comes from a newer edge: it goes into the ledger as it is. */
static const char *judge_members(const json_t *object, const char *kind)
{
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(members[i].kind, kind) != 0)
            continue;
        const json_t *value = json_object_get(object, members[i].name);
        bool absent = !value || json_is_null(value);
        if (absent ? members[i].needed : !right_type(value, members[i].type))
            return members[i].name;
    }
    return well_named(kind) ? judge_meaning(object, kind) : "kind";
}

static const char *read_envelope(const json_t *object, struct events_event *event)
{
    uint8_t id[UUID_BYTES];
    event->kind = json_read_text(object, "kind", INTAKE_NAME_BYTES_MAX);
    event->call = json_read_text(object, "call", UUID_TEXT_BYTES);
    event->organization = json_read_text(object, "organization", UUID_TEXT_BYTES);
    if (!event->kind)
        return "kind";
    if (!uuid_read(event->call, id))
        return "call";
    if (!uuid_read(event->organization, id))
        return "organization";
    if (!json_read_integer(object, "seq", 1, INTAKE_NUMBER_MAX, &event->seq))
        return "seq";
    if (!json_read_integer(object, "at_ms", 1, INTAKE_NUMBER_MAX, &event->at_ms))
        return "at_ms";
    return NULL;
}

/* A ticket is a secret for as long as it lives: it is used up, not stored. */
static void take_ticket(struct intake_event *event)
{
    const char *ticket = json_read_text(event->object, "ticket", TICKET_TEXT_BYTES);
    if (ticket && strcmp(event->event.kind, "started") == 0)
        memcpy(event->ticket, ticket, strlen(ticket) + 1);
    json_object_del(event->object, "ticket");
}

/* Where a stream is, by our own knowledge and not by the event's word. */
static void note_origin(struct intake_event *event, const struct intake_origin *origin)
{
    static const char *const kinds[] = {"started", "recording", "tool_call"};
    bool wanted = false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        wanted |= strcmp(event->event.kind, kinds[i]) == 0;
    if (!wanted)
        return;
    json_object_set_new(event->object, "edge", json_string(origin->edge));
    json_object_set_new(event->object, "edge_run", json_string(origin->run));
}

const char *intake_read(struct span json, const struct intake_origin *origin,
                        struct intake_event *event)
{
    *event = (struct intake_event){.object = NULL};
    if (json.bytes > INTAKE_EVENT_BYTES_MAX)
        return "size";
    event->object = json_read_object(json);
    const char *wrong = event->object ? read_envelope(event->object, &event->event) : "json";
    if (!wrong)
        wrong = judge_members(event->object, event->event.kind);
    if (!wrong) {
        take_ticket(event);
        if (origin)
            note_origin(event, origin);
        event->body = json_dumps(event->object, JSON_COMPACT);
        event->event.body_json = event->body;
        wrong = event->body ? NULL : "memory";
    }
    if (wrong)
        intake_free(event);
    return wrong;
}

void intake_free(struct intake_event *event)
{
    json_decref(event->object);
    free(event->body);
    *event = (struct intake_event){.object = NULL};
}

/* The organisation and the call are those of the ticket itself, whatever the event says. */
static enum db_result use_ticket(struct db *db, const struct ticket_keys *keys, const char *text)
{
    struct ticket ticket;
    enum calls_ticket answer;
    char call[UUID_TEXT_BYTES + 1], organization[UUID_TEXT_BYTES + 1];
    if (ticket_verify(keys, span_of(text), clock_wall_ms(), &ticket) != FAULT_NONE)
        return DB_OK; /* expired meanwhile, or never ours: nothing to use up */
    uuid_write(ticket.conversation, call);
    uuid_write(ticket.organization, organization);
    enum db_result result =
        calls_use_ticket(db, organization, call, span_from(ticket.nonce, sizeof ticket.nonce),
                         ticket.expires_at_ms, &answer);
    return result == DB_REFUSED ? DB_OK : result;
}

static void count_taken(struct metrics *metrics, const struct events_event *event,
                        enum events_taken taken)
{
    COUNT(metrics, events[taken]);
    if (taken == EVENTS_STORED || taken == EVENTS_DOUBLE)
        return;
    log_warn("event not applied", log_text("result", events_taken_name(taken)),
             log_text("kind", event->kind), log_text("conversation", event->call),
             log_text("organization", event->organization), log_number("seq", event->seq));
}

/* Stores them one at a time, when the batch as a whole was refused: none may stop its neighbours.
 */
static enum db_result store_singly(struct db *db, const struct intake_event *events, int count,
                                   enum events_taken *taken)
{
    for (int i = 0; i < count; i++) {
        enum db_result result = events_take(db, &events[i].event, &taken[i]);
        if (result == DB_REFUSED)
            taken[i] = EVENTS_INVALID;
        else if (result != DB_OK)
            return result;
    }
    return DB_OK;
}

enum db_result intake_store(struct db *db, const struct ticket_keys *keys, struct metrics *metrics,
                            const struct intake_event *events, int count)
{
    struct events_event batch[EVENTS_BATCH_MAX];
    enum events_taken taken[EVENTS_BATCH_MAX];
    assert(count > 0 && count <= EVENTS_BATCH_MAX);
    for (int i = 0; i < count; i++)
        batch[i] = events[i].event;
    enum db_result result = events_take_batch(db, batch, count, taken);
    if (result == DB_REFUSED)
        result = store_singly(db, events, count, taken);
    for (int i = 0; i < count && result == DB_OK; i++)
        if (events[i].ticket[0])
            result = use_ticket(db, keys, events[i].ticket);
    for (int i = 0; i < count && result == DB_OK; i++)
        count_taken(metrics, &batch[i], taken[i]);
    return result;
}
