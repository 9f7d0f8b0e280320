/* incoming_call: a number of ours is being called. One question to the database, the order to
 * prepare the AI, and the TwiML that connects the stream: in this order, so that the edge knows the
 * call before the carrier knows where to connect. */
#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/base/uuid.h"
#include "control/carrier/steps.h"
#include "control/link/plan_write.h"
#include "control/store/edges.h"
#include "control/webhooks/convoy.h"
#include "control/webhooks/last_known.h"
#include "control/webhooks/webhook.h"

#define STREAM_PATH        "/twilio-media-stream/"
#define STREAM_STATUS_PATH "/api/twilio/stream-status#rc=5&rp=all"
#define AFTER_STREAM_PATH  "/api/twilio/after-stream#rc=3&rp=all"

/* The same call gets the same core again, so that a repeated webhook meets its own first plan. */
static unsigned choose_core(const uint8_t conversation[UUID_BYTES], unsigned cores)
{
    uint32_t hash = 0;
    assert(cores > 0);
    for (size_t i = 0; i < UUID_BYTES; i++)
        hash = hash * 31 + conversation[i];
    return hash % cores;
}

static bool mint(const struct webhook *webhook, const struct calls_incoming *call,
                 struct ticket *ticket, char text[TICKET_TEXT_BYTES + 1])
{
    bool ids = uuid_read(call->conversation, ticket->conversation) &&
               uuid_read(call->organization, ticket->organization);
    assert(ids); /* the database printed them */
    ticket->home_core =
        (uint16_t)choose_core(ticket->conversation, edge_identity(webhook->edge)->cores);
    ticket->expires_at_ms = clock_wall_ms() + TICKET_LIFE_MS;
    return ticket_mint(&webhook->service->ticket_keys, ticket, text);
}

/* Without the order the call still comes about: the edge asks when the stream arrives. */
static void order_prepare(struct webhook *webhook, const struct webhook_fields *fields,
                          const struct calls_incoming *call, const struct ticket *ticket,
                          const char *ticket_text, const char *stream_base, const char *stream_path)
{
    struct signature_tokens tokens = tokens_for_signature(&webhook->accounts);
    struct plan_facts facts = {.call = call,
                               .call_sid = fields->call_sid,
                               .account_sid = fields->account_sid,
                               .ticket = ticket_text,
                               .home_core = ticket->home_core,
                               .expires_at_ms = ticket->expires_at_ms,
                               .first_seq = plan_write_first_seq(call->created),
                               .stream_base = stream_base,
                               .stream_path = stream_path,
                               .tokens = &tokens};
    char *order = plan_write_order(plan_write(webhook->service->options, &facts));
    if (!order || !edge_order(webhook->edge, call->conversation, "", span_of(order)))
        log_error("call not prepared", log_text("conversation", call->conversation),
                  log_text("reason", order ? "the edge did not take the order"
                                           : "its configuration makes no plan"));
    plan_write_free(order);
}

/* A full edge sends its call to another that has room; false when there is none, and the full one
 * has to judge for itself. The other asks when the stream arrives: it was not told. */
static bool find_other_edge(struct webhook *webhook, const struct calls_incoming *call,
                            char url[EDGE_URL_BYTES_MAX + 1])
{
    const struct edge_hello *edge = edge_identity(webhook->edge);
    if (!edge_is_full(webhook->edge) ||
        edges_pick(webhook->db, edge_key(edge), url, EDGE_URL_BYTES_MAX + 1) != DB_OK || !url[0])
        return false;
    COUNT(webhook->service->metrics, calls_moved);
    log_info("call sent to another edge", log_text("conversation", call->conversation),
             log_text("edge", edge->name), log_text("to", url));
    return true;
}

static void write_answer(struct webhook *webhook, const char *stream_base, const char *stream_path)
{
    const struct options *options = webhook->service->options;
    char stream_url[1024], status_url[1024], after_url[1024];
    struct twiml twiml;
    snprintf(stream_url, sizeof stream_url, "%s%s", stream_base, stream_path);
    snprintf(status_url, sizeof status_url, "%s" STREAM_STATUS_PATH, options->public_url);
    snprintf(after_url, sizeof after_url, "%s" AFTER_STREAM_PATH, options->public_url);
    response_twiml(webhook->response, &twiml);
    twiml_connect_stream(&twiml, stream_url, status_url);
    twiml_redirect(&twiml, after_url);
    response_twiml_done(webhook->response, &twiml);
}

static void log_call(const struct webhook *webhook, const struct webhook_fields *fields,
                     const struct calls_incoming *call, const char *step)
{
    char from[8], to[8];
    log_info(call->created ? "call taken" : "call taken again",
             log_text("organization", call->organization),
             log_text("organization_name", call->organization_name),
             log_text("conversation", call->conversation), log_text("call_sid", fields->call_sid),
             log_text("from", webhook_shorten(fields->from, from)),
             log_text("to", webhook_shorten(fields->to, to)), log_text("step", step),
             log_text("configuration", call->configured ? "own" : "built-in"),
             log_text("ai_backend", call->ai_backend), log_text("model", call->model),
             log_text("edge", edge_identity(webhook->edge)->name));
}

/* The installation's own key then answers, if there is one. */
static void log_lost_key(const struct calls_incoming *call)
{
    if (call->ai_key_lost)
        log_error("the organisation's AI key does not open: RINGBRIDGE_SECRET_KEY is not the one "
                  "it was sealed with",
                  log_text("organization", call->organization));
}

static enum metrics_outcome connect(struct webhook *webhook, const struct webhook_fields *fields,
                                    const struct calls_incoming *call)
{
    struct ticket ticket;
    char text[TICKET_TEXT_BYTES + 1];
    char stream_path[sizeof STREAM_PATH + TICKET_TEXT_BYTES], other[EDGE_URL_BYTES_MAX + 1];
    const char *base = edge_identity(webhook->edge)->stream_url;
    if (!mint(webhook, call, &ticket, text)) {
        log_error("no ticket: no randomness", log_text("conversation", call->conversation));
        webhook_say_goodbye(webhook, "We are sorry, something went wrong. Please call again.");
        return OUTCOME_failed;
    }
    snprintf(stream_path, sizeof stream_path, STREAM_PATH "%s", text);
    if (!base[0])
        base = webhook->service->options->websocket_url;
    if (find_other_edge(webhook, call, other))
        base = other;
    else
        order_prepare(webhook, fields, call, &ticket, text, base, stream_path);
    write_answer(webhook, base, stream_path);
    log_call(webhook, fields, call, "agent");
    log_lost_key(call);
    return call->created ? OUTCOME_answered : OUTCOME_repeated;
}

/* Our own redirect to the agent, from a step or after a stream that broke. */
static bool asks_for_agent(const struct webhook *webhook)
{
    return span_starts(webhook->request->query, "at=agent");
}

/* A call that we made may have brought its own document (control/outbound/outbound_plan.h). */
static void answer_as_written(struct webhook *webhook, const char *twiml)
{
    struct response *response = webhook->response;
    response_empty(response, 200);
    response->content_type = "text/xml";
    response->bytes = strlen(twiml);
    assert(response->bytes < sizeof response->body);
    memcpy(response->body, twiml, response->bytes);
}

/* What the organisation has chosen for this number at this hour; for the agent the stream follows
 * at once, without another question. */
static enum metrics_outcome begin(struct webhook *webhook, const struct webhook_fields *fields,
                                  const struct calls_incoming *call)
{
    json_t *route = json_loads(call->route_json, 0, NULL);
    json_t *steps = json_pack("{s:o?}", "route", route);
    const json_t *step = steps_at(steps, "route");
    enum metrics_outcome outcome = call->created ? OUTCOME_answered : OUTCOME_repeated;
    if (json_is_string(json_object_get(route, "twiml"))) {
        answer_as_written(webhook, json_string_value(json_object_get(route, "twiml")));
        log_call(webhook, fields, call, "twiml");
    } else if (!step || asks_for_agent(webhook) || strcmp(steps_kind(step), "agent") == 0) {
        outcome = connect(webhook, fields, call);
    } else {
        webhook_answer_step(webhook, fields, call->organization, steps, "route", 0);
        log_call(webhook, fields, call, steps_kind(step));
    }
    json_decref(steps);
    return outcome;
}

static bool is_over(const char *call_status)
{
    static const char *const over[] = {"completed", "busy", "no-answer", "failed", "canceled"};
    for (size_t i = 0; call_status && i < sizeof over / sizeof over[0]; i++)
        if (strcmp(call_status, over[i]) == 0)
            return true;
    return false;
}

static enum metrics_outcome refuse_number(struct webhook *webhook,
                                          const struct webhook_fields *fields)
{
    char to[8];
    log_warn("call to an unknown number refused", log_text("call_sid", fields->call_sid),
             log_text("to", webhook_shorten(fields->to, to)),
             log_text("mend", "ringbridge-control number add NUMBER --org NAME"));
    webhook_say_goodbye(webhook, "The number you have called is not in service. Goodbye.");
    return OUTCOME_unknown_number;
}

enum metrics_outcome incoming_call_decide(struct webhook *webhook,
                                          const struct webhook_fields *fields,
                                          const struct calls_incoming *call)
{
    switch (call->found) {
    case CALLS_WRONG_ACCOUNT:
        return webhook_refuse_account(webhook);
    case CALLS_INVALID:
    case CALLS_UNKNOWN_CALL:
        return webhook_refuse_fields(webhook);
    case CALLS_UNKNOWN_NUMBER:
        return refuse_number(webhook, fields);
    case CALLS_DOUBLE:
        log_error("a second call of one attempt is hung up",
                  log_text("call_sid", fields->call_sid));
        webhook_say_goodbye(webhook, NULL);
        return OUTCOME_call_over;
    case CALLS_FOUND:
        break;
    }
    if (!is_over(call->call_status))
        return begin(webhook, fields, call);
    webhook_say_goodbye(webhook, NULL);
    return OUTCOME_call_over;
}

/* Our bug or a wrong set-up: the caller hears words, the log says what. */
static enum metrics_outcome apologise(struct webhook *webhook, enum db_result result)
{
    log_error("call not taken", log_text("result", db_result_name(result)),
              log_text("error", db_error(webhook->db)));
    webhook_say_goodbye(webhook, "We are sorry, something went wrong. Please call again later.");
    return OUTCOME_failed;
}

/* The database is away. The webhook is put into the journal, so that the call will be on record,
 * and then answered as calls to this number were answered last. Without either the caller waits. */
static enum metrics_outcome take_without(struct webhook *webhook,
                                         const struct webhook_fields *fields)
{
    struct calls_incoming call;
    const struct service *service = webhook->service;
    enum metrics_outcome outcome = OUTCOME_soft;
    if (last_known_find(service->last_known, fields->account_sid, fields->to, fields->call_sid,
                        &service->options->seal, &call) &&
        webhook_keep(webhook)) {
        log_warn("call taken without the database", log_text("conversation", call.conversation),
                 log_text("error", db_error(webhook->db)));
        begin(webhook, fields, &call);
        outcome = OUTCOME_remembered;
    } else {
        outcome = webhook_answer_softly(webhook);
    }
    calls_incoming_free(&call);
    return outcome;
}

/* One that was kept in the journal was answered long ago: it is only to be on record. */
static enum metrics_outcome record(enum db_result result)
{
    if (result == DB_AWAY || result == DB_BUSY)
        return OUTCOME_unavailable;
    return result == DB_OK ? OUTCOME_answered : OUTCOME_failed;
}

enum metrics_outcome incoming_call_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_incoming call;
    enum metrics_outcome outcome;
    webhook_read(webhook, &fields);
    enum db_result result =
        convoy_incoming(webhook->service->convoy, webhook->db, &webhook->service->options->seal,
                        &fields.fields, &call);
    if (result == DB_OK && !asks_for_agent(webhook)) /* what is said there is this caller's alone */
        last_known_note(webhook->service->last_known, fields.account_sid, fields.to, &call);
    if (webhook->kept_ms)
        outcome = record(result);
    else if (result == DB_OK)
        outcome = incoming_call_decide(webhook, &fields, &call);
    else if (result == DB_AWAY || result == DB_BUSY)
        outcome = take_without(webhook, &fields);
    else
        outcome = apologise(webhook, result);
    calls_incoming_free(&call);
    webhook_fields_free(&fields);
    return outcome;
}
