#include "edge/report/link_read.h"

#include "common/panic.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static json_t *parse(struct span json)
{
    json_error_t where;
    json_t *object =
        json_loadb((const char *)json.data, json.bytes, JSON_REJECT_DUPLICATES, &where);
    if (object && !json_is_object(object)) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

enum link_hello link_read_hello(const struct link_frame *frame, char *why, size_t room)
{
    enum link_hello result = LINK_HELLO_GOOD;
    json_t *object = parse(frame->json);
    snprintf(why, room, "%s", text(object, "name"));
    if (frame->id != LINK_VERSION) {
        snprintf(why, room, "control speaks version %llu of the link, this edge %d",
                 (unsigned long long)frame->id, LINK_VERSION);
        result = LINK_HELLO_OTHER_VERSION;
    } else if (json_object_get(object, "error")) {
        snprintf(why, room, "%s", text(object, "error"));
        result = LINK_HELLO_REFUSED;
    } else if (strcmp(text(object, "role"), "control") != 0) {
        snprintf(why, room, "the hello is not control's");
        result = LINK_HELLO_BAD;
    }
    json_decref(object);
    return result;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *name)
{
    static const char letters[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return name[0] && name[strspn(name, letters)] == '\0';
}

/* No control character but TAB: nothing in it can end the line. */
static bool is_field_value(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < ' ' && *value != '\t') || *value == 0x7f)
            return false;
    return true;
}

/* Fields that speak about the connection or the length are the edge's to write. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {
        "connection",        "content-length", "date", "keep-alive",
        "proxy-connection",  "server",         "te",   "trailer",
        "transfer-encoding", "upgrade",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return strncasecmp(name, "sec-websocket-", strlen("sec-websocket-")) == 0;
}

static bool put_field(struct link_answer *answer, const char *name, const char *value)
{
    if (strcasecmp(name, "content-type") == 0)
        return span_copy_text(span_of(value), answer->content_type, sizeof answer->content_type);
    if (strcasecmp(name, "location") == 0)
        return span_copy_text(span_of(value), answer->location, sizeof answer->location);
    if (strcasecmp(name, "retry-after") == 0)
        return span_copy_text(span_of(value), answer->retry_after, sizeof answer->retry_after);
    size_t used = strlen(answer->extra), room = sizeof answer->extra - used;
    int bytes = snprintf(answer->extra + used, room, "%s: %s\r\n", name, value);
    return bytes > 0 && (size_t)bytes < room;
}

static bool read_fields(json_t *fields, struct link_answer *answer)
{
    const char *name;
    json_t *value;
    if (!fields)
        return true;
    if (!json_is_object(fields))
        return false;
    json_object_foreach(fields, name, value)
    {
        if (!is_token(name) || !json_is_string(value) || !is_field_value(json_string_value(value)))
            return false;
        if (!is_ours(name) && !put_field(answer, name, json_string_value(value)))
            return false;
    }
    return true;
}

static bool read_plan(json_t *object, unsigned cores, struct link_answer *answer)
{
    char ignored[128];
    json_t *plan = json_object_get(object, "plan");
    if (!plan)
        return true;
    if (answer->status != 200)
        return false;
    answer->plan = plan_read_object(plan, cores, ignored, sizeof ignored);
    return answer->plan != NULL;
}

static bool read_id(const json_t *object, const char *name, char id[37])
{
    struct span value = span_of(text(object, name));
    return value.bytes == 36 && span_copy_text(value, id, 37);
}

/* Both or neither. */
static bool read_listener(const json_t *object, struct link_answer *answer)
{
    if (!json_object_get(object, "call"))
        return true;
    return answer->status == 200 && read_id(object, "call", answer->call) &&
           read_id(object, "organization", answer->organization);
}

/* Of a body there is a beginning, and a rest. */
static bool read_more(const json_t *object, struct span body, struct link_answer *answer)
{
    const json_t *more = json_object_get(object, "more"), *bytes = json_object_get(more, "bytes");
    struct span ask = span_of(text(more, "ask"));
    if (!more)
        return true;
    if (answer->status != 200 || !json_is_integer(bytes) || ask.bytes == 0 || body.bytes == 0 ||
        json_integer_value(bytes) <= (json_int_t)body.bytes)
        return false;
    answer->whole_bytes = (uint64_t)json_integer_value(bytes);
    return span_copy_text(ask, answer->more_ask, sizeof answer->more_ask);
}

static bool put_body(struct link_answer **answer, struct span body)
{
    if (body.bytes == 0)
        return true;
    if (body.bytes > HTTP_RESPONSE_BYTES_MAX)
        return false;
    struct link_answer *larger = realloc(*answer, sizeof *larger + body.bytes);
    if (!larger)
        return false;
    memcpy(larger->body, body.data, body.bytes);
    larger->body_bytes = body.bytes;
    *answer = larger;
    return true;
}

bool link_read_answer(const struct link_frame *frame, unsigned cores, struct link_answer **answer)
{
    assert((*answer)->status == 0 && (*answer)->plan == NULL);
    json_t *object = parse(frame->json);
    const json_t *status = json_object_get(object, "status");
    bool good = json_is_integer(status) && json_integer_value(status) >= 200 &&
                json_integer_value(status) <= 599;
    if (good)
        (*answer)->status = (int)json_integer_value(status);
    good = good && read_fields(json_object_get(object, "headers"), *answer) &&
           read_more(object, frame->raw, *answer) && put_body(answer, frame->raw) &&
           read_plan(object, cores, *answer) && read_listener(object, *answer);
    json_decref(object);
    if (!good) {
        plan_free((*answer)->plan);
        memset(*answer, 0, sizeof **answer);
    }
    return good;
}

static enum end find_end(const char *name)
{
    for (int end = END_NONE + 1; end < END_COUNT; end++)
        if (strcmp(name, end_name((enum end)end)) == 0)
            return (enum end)end;
    return END_NONE;
}

static enum link_order read_prepare(json_t *object, unsigned cores, struct link_order_read *order,
                                    char *error, size_t room)
{
    order->plan = plan_read_object(json_object_get(object, "plan"), cores, error, room);
    return order->plan ? LINK_ORDER_PREPARE : LINK_ORDER_BAD;
}

static enum link_order read_hangup(const json_t *object, struct link_order_read *order, char *error,
                                   size_t room)
{
    struct span call = span_of(text(object, "call"));
    order->hangup.reason = find_end(text(object, "reason"));
    if (call.bytes == 36 && span_copy_text(call, order->hangup.call, sizeof order->hangup.call) &&
        order->hangup.reason != END_NONE)
        return LINK_ORDER_HANGUP;
    snprintf(error, room, "hangup needs a call and a reason that the edge knows");
    return LINK_ORDER_BAD;
}

static enum link_order read_say(const json_t *object, struct link_order_read *order, char *error,
                                size_t room)
{
    struct span call = span_of(text(object, "call"));
    struct span words = span_of(text(object, "text"));
    const json_t *interruptible = json_object_get(object, "interruptible");
    order->say.interruptible = !json_is_false(interruptible);
    if (call.bytes == 36 && span_copy_text(call, order->say.call, sizeof order->say.call) &&
        words.bytes > 0 && span_copy_text(words, order->say.text, sizeof order->say.text) &&
        (!interruptible || json_is_boolean(interruptible)))
        return LINK_ORDER_SAY;
    snprintf(error, room, "say needs a call and a text of at most %d bytes", LINK_SAY_BYTES_MAX);
    return LINK_ORDER_BAD;
}

static enum link_order read_record(const json_t *object, struct link_order_read *order, char *error,
                                   size_t room)
{
    static const char *const actions[] = {[LINK_RECORD_START] = "start",
                                          [LINK_RECORD_PAUSE] = "pause",
                                          [LINK_RECORD_RESUME] = "resume",
                                          [LINK_RECORD_STOP] = "stop"};
    struct span call = span_of(text(object, "call"));
    const char *action = text(object, "action");
    bool good =
        call.bytes == 36 && span_copy_text(call, order->record.call, sizeof order->record.call);
    for (size_t i = 0; good && i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(action, actions[i]) == 0) {
            order->record.action = (enum link_record_action)i;
            return LINK_ORDER_RECORD;
        }
    snprintf(error, room, "record needs a call and an action: start, pause, resume or stop");
    return LINK_ORDER_BAD;
}

size_t link_tool_result_bytes(const struct link_tool_result *result)
{
    return offsetof(struct link_tool_result, output) + strlen(result->output) + 1;
}

static enum link_order read_tool_result(const json_t *object, struct link_order_read *order,
                                        char *error, size_t room)
{
    struct link_tool_result *result = &order->tool_result;
    struct span call = span_of(text(object, "call")), output = span_of(text(object, "output"));
    const json_t *number = json_object_get(object, "number");
    const char *end = text(object, "end");
    result->number = json_is_integer(number) && json_integer_value(number) > 0
                         ? (uint64_t)json_integer_value(number)
                         : 0;
    result->end = find_end(end);
    bool ends_well = !json_object_get(object, "end") || result->end == END_agent_hung_up ||
                     result->end == END_transferred;
    if (call.bytes == 36 && span_copy_text(call, result->call, sizeof result->call) &&
        result->number && ends_well && output.bytes > 0 &&
        span_copy_text(output, result->output, sizeof result->output))
        return LINK_ORDER_TOOL_RESULT;
    snprintf(error, room,
             "tool_result needs a call, its event's number and an output of at most "
             "%d bytes",
             TOOL_OUTPUT_BYTES_MAX);
    return LINK_ORDER_BAD;
}

enum link_order link_read_order(const struct link_frame *frame, unsigned cores,
                                struct link_order_read *order, char *error, size_t room)
{
    json_t *object = parse(frame->json);
    const char *kind = text(object, "kind");
    enum link_order result = LINK_ORDER_BAD;
    if (strcmp(kind, "prepare") == 0)
        result = read_prepare(object, cores, order, error, room);
    else if (strcmp(kind, "hangup") == 0)
        result = read_hangup(object, order, error, room);
    else if (strcmp(kind, "say") == 0)
        result = read_say(object, order, error, room);
    else if (strcmp(kind, "record") == 0)
        result = read_record(object, order, error, room);
    else if (strcmp(kind, "tool_result") == 0)
        result = read_tool_result(object, order, error, room);
    else if (strcmp(kind, "drain") == 0)
        result = LINK_ORDER_DRAIN;
    else if (strcmp(kind, "load") == 0)
        result = LINK_ORDER_LOAD;
    else
        snprintf(error, room, object ? "unknown kind of order" : "the order is not a JSON object");
    json_decref(object);
    return result;
}
