#include "control/router.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/admit.h"
#include "control/api/api_answer.h"
#include "control/base/address.h"
#include "control/base/limit.h"
#include "control/service/listen_ticket.h"
#include "control/service/media_link.h"
#include "control/webhooks/webhook.h"

#include <stdlib.h>

static const struct route {
    const char *path;
    enum metrics_route name;
    webhook_handler *answer;
} routes[] = {
    {"/api/twilio/incoming-call", ROUTE_incoming_call, incoming_call_answer},
    {"/api/twilio/voice-webhook", ROUTE_incoming_call, incoming_call_answer},
    {"/api/aloha/webhooks/incoming-call", ROUTE_incoming_call, incoming_call_answer},
    {"/api/twilio/incoming-sms", ROUTE_incoming_sms, incoming_sms_answer},
    {"/api/twilio/sms-webhook", ROUTE_incoming_sms, incoming_sms_answer},
    {"/api/twilio/status-callback", ROUTE_status_callback, status_callback_answer},
    {"/api/twilio/call-status", ROUTE_status_callback, status_callback_answer},
    {"/api/aloha/webhooks/call-status", ROUTE_status_callback, status_callback_answer},
    {"/api/twilio/after-stream", ROUTE_after_stream, after_stream_answer},
    {"/api/twilio/stream-status", ROUTE_stream_status, stream_status_answer},
    {"/api/twilio/call-step", ROUTE_call_step, call_step_answer},
    {"/api/twilio/queue-wait", ROUTE_queue_wait, queue_wait_answer},
    {"/api/twilio/transfer-wait", ROUTE_transfer_wait, transfer_wait_answer},
    {"/api/twilio/transfer-answered", ROUTE_transfer_answered, transfer_answered_answer},
    {"/api/twilio/transfer-decision", ROUTE_transfer_decision, transfer_decision_answer},
    {"/api/twilio/transfer-status", ROUTE_transfer_status, transfer_status_answer},
    {"/api/twilio/conference-status", ROUTE_conference_status, conference_status_answer},
    {"/api/twilio/recording-status", ROUTE_recording_status, recording_status_answer},
    {"/api/twilio/voicemail-recording", ROUTE_voicemail_recording, voicemail_recording_answer},
    {"/api/aloha/webhooks/voicemail-recorded", ROUTE_voicemail_recording,
     voicemail_recording_answer},
    {"/api/twilio/outbound-call", ROUTE_outbound_call, outbound_call_answer},
    {"/api/twilio/outbound-status", ROUTE_outbound_status, outbound_status_answer},
    {"/api/twilio/outbound-amd", ROUTE_outbound_amd, outbound_amd_answer},
};

#define ROUTES_COUNT (sizeof routes / sizeof routes[0])

const char *router_path(size_t index)
{
    return index < ROUTES_COUNT ? routes[index].path : NULL;
}

static const struct route *find_route(struct span path)
{
    for (size_t i = 0; i < ROUTES_COUNT; i++)
        if (span_is(path, routes[i].path))
            return &routes[i];
    return NULL;
}

/* ---- the door ---- */

static bool is_form(const struct request *request)
{
    static const char type[] = "application/x-www-form-urlencoded";
    const char *value = request_header(request, "content-type");
    if (!value || strncasecmp(value, type, strlen(type)) != 0)
        return false;
    char after = value[strlen(type)];
    return after == '\0' || after == ';' || after == ' ';
}

static enum metrics_outcome put_off(struct webhook *webhook, int status, unsigned wait_s)
{
    response_sentence(webhook->response, status, "Too many at the moment; come back later.");
    webhook->response->retry_after_s = wait_s;
    return OUTCOME_too_many;
}

/* One more that is refused: an address has only so many of them. What is signed well takes none,
 * so a carrier behind the same proxy as whoever floods us is not touched. */
static bool may_be_refused(const struct webhook *webhook, unsigned *wait_s)
{
    char key[ADDRESS_KEY_BYTES];
    const char *peer = json_string_value(json_object_get(webhook->request->object, "peer"));
    address_write_key(peer && peer[0] ? peer : "somebody", key);
    return limit_take(webhook->service->limit, key, ROUTER_REFUSALS_PER_MINUTE,
                      clock_monotonic_ns(), wait_s);
}

static enum metrics_outcome refuse_signature(struct webhook *webhook)
{
    unsigned wait_s;
    if (!may_be_refused(webhook, &wait_s))
        return put_off(webhook, 429, wait_s);
    response_sentence(webhook->response, 403, fault_sentence(FAULT_signature_invalid));
    return OUTCOME_bad_signature;
}

/* Questions that the carrier waits on with a caller. */
static bool has_a_caller(const struct webhook *webhook)
{
    return webhook->route == ROUTE_incoming_call || webhook->route == ROUTE_after_stream ||
           webhook->route == ROUTE_call_step || webhook->route == ROUTE_queue_wait ||
           webhook->route == ROUTE_transfer_wait || webhook->route == ROUTE_transfer_answered ||
           webhook->route == ROUTE_transfer_decision || webhook->route == ROUTE_outbound_call;
}

/* The account's tokens, or who refuses. OUTCOME_answered: found. */
static enum metrics_outcome find_tokens(struct webhook *webhook)
{
    unsigned wait_s;
    char account_sid[WEBHOOK_TEXT_BYTES];
    webhook_text(webhook, "AccountSid", account_sid, sizeof account_sid);
    switch (tokens_find(webhook->service->tokens, webhook->db, account_sid, &webhook->accounts)) {
    case TOKENS_FOUND:
        return OUTCOME_answered;
    case TOKENS_AWAY:
        if (has_a_caller(webhook))
            return webhook_answer_softly(webhook);
        return webhook_refuse_now(webhook, DB_AWAY); /* whose word it is cannot be checked */
    case TOKENS_BUSY: /* perhaps a good one among inventions: it comes again */
        return has_a_caller(webhook) ? webhook_answer_softly(webhook) : put_off(webhook, 503, 1);
    case TOKENS_UNKNOWN:
        break;
    }
    if (!may_be_refused(webhook, &wait_s))
        return put_off(webhook, 429, wait_s);
    response_sentence(webhook->response, 403, "This account is not known here.");
    return OUTCOME_unknown_account;
}

static bool signed_well(const struct webhook *webhook)
{
    const char *presented = request_header(webhook->request, "x-twilio-signature");
    struct signature_tokens tokens = tokens_for_signature(&webhook->accounts);
    struct signature_request request = {.base = webhook->service->options->public_url,
                                        .target = webhook->request->target,
                                        .body = webhook->request->body,
                                        .form = webhook->form};
    if (presented)
        request.presented = span_of(presented);
    return signature_check(&request, &tokens);
}

/* One account may not take all of control. */
static bool account_may(const struct webhook *webhook, unsigned *wait_s)
{
    char account_sid[48];
    webhook_text(webhook, "AccountSid", account_sid, sizeof account_sid);
    return limit_take(webhook->service->limit, account_sid, webhook->service->options->account_rate,
                      clock_monotonic_ns(), wait_s);
}

static enum metrics_outcome pass_door(struct webhook *webhook, const struct route *route)
{
    unsigned wait_s;
    enum metrics_outcome outcome = find_tokens(webhook);
    if (outcome != OUTCOME_answered)
        return outcome;
    if (!signed_well(webhook))
        return refuse_signature(webhook);
    if (account_may(webhook, &wait_s))
        return route->answer(webhook);
    /* 429 would end the call, or send it to the number's fallback; a callback comes again. */
    return has_a_caller(webhook) ? webhook_answer_softly(webhook) : put_off(webhook, 429, wait_s);
}

static enum metrics_outcome read_and_pass(struct webhook *webhook, const struct route *route)
{
    struct form form = {.count = 0};
    enum fault fault = FAULT_NONE;
    unsigned wait_s;
    if (!request_header(webhook->request, "x-twilio-signature"))
        return refuse_signature(webhook);
    if (!is_form(webhook->request) && webhook->request->body.bytes)
        fault = FAULT_form_malformed; /* every webhook here is a form */
    else
        fault = form_read(webhook->request->body, &form);
    if (fault != FAULT_NONE && !may_be_refused(webhook, &wait_s))
        return put_off(webhook, 429, wait_s);
    if (fault != FAULT_NONE) {
        response_sentence(webhook->response, fault_http(fault), fault_sentence(fault));
        return OUTCOME_malformed;
    }
    webhook->form = &form;
    enum metrics_outcome outcome = pass_door(webhook, route);
    accounts_wipe(&webhook->accounts);
    webhook->form = NULL;
    form_free(&form);
    return outcome;
}

static enum metrics_outcome answer_webhook(struct webhook *webhook)
{
    const struct route *route = find_route(webhook->request->path);
    if (!route) {
        response_sentence(webhook->response, 404, fault_sentence(FAULT_not_found));
        return OUTCOME_not_found;
    }
    webhook->route = route->name;
    if (strcmp(webhook->request->method, "POST") != 0) {
        response_sentence(webhook->response, 405, fault_sentence(FAULT_http_method));
        webhook->response->allow = "POST";
        return OUTCOME_wrong_method;
    }
    return read_and_pass(webhook, route);
}

/* ---- answers ---- */

static uint64_t elapsed_us(const struct work *work)
{
    return (clock_monotonic_ns() - work->received_ns) / 1000;
}

static bool is_late(const struct work *work, const struct request *request)
{
    return elapsed_us(work) > (uint64_t)request->deadline_ms * 1000;
}

static char *write_head(const struct response *response)
{
    json_t *headers = json_object();
    if (response->content_type)
        json_object_set_new(headers, "content-type", json_string(response->content_type));
    if (response->allow)
        json_object_set_new(headers, "allow", json_string(response->allow));
    if (response->retry_after_s) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", response->retry_after_s);
        json_object_set_new(headers, "retry-after", json_string(seconds));
    }
    json_t *head = json_pack("{s:i, s:o}", "status", response->status, "headers", headers);
    char *text = head ? json_dumps(head, JSON_COMPACT) : NULL;
    json_decref(head);
    return text;
}

static void send_response(const struct work *work, const struct response *response)
{
    char *head = write_head(response);
    if (head)
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of(head),
                  span_from(response->body, response->bytes));
    free(head);
}

static void answer_http(const struct service *service, struct db *db, const struct work *work,
                        const struct request *request)
{
    struct response response;
    struct webhook webhook = {.service = service,
                              .db = db,
                              .edge = work->edge,
                              .events_mark = work->events_mark,
                              .request = request,
                              .frame_json = work->json,
                              .route = ROUTE_other,
                              .response = &response};
    response_empty(&response, 500);
    enum metrics_outcome outcome = answer_webhook(&webhook);
    metrics_webhook(service->metrics, webhook.route, outcome, elapsed_us(work));
    if (is_late(work, request))
        COUNT(service->metrics, requests_late);
    else
        send_response(work, &response);
    log_at(outcome >= OUTCOME_bad_signature && outcome <= OUTCOME_malformed ? LOG_WARN : LOG_DEBUG,
           "webhook", log_text("path", metrics_route_name(webhook.route)),
           log_text("result", metrics_outcome_name(outcome)), log_number("status", response.status),
           log_text("peer", json_string_value(json_object_get(request->object, "peer"))));
}

enum metrics_outcome router_store_kept(const struct service *service, struct db *db,
                                       const struct link_frame *frame)
{
    struct request request;
    struct response response;
    struct form form = {.count = 0};
    enum metrics_outcome outcome = OUTCOME_malformed;
    if (!request_read(frame->json, frame->raw, &request))
        return outcome;
    const struct route *route = request.kind == REQUEST_HTTP ? find_route(request.path) : NULL;
    struct webhook webhook = {.service = service,
                              .db = db,
                              .request = &request,
                              .form = &form,
                              .kept_ms = (int64_t)frame->id,
                              .response = &response};
    if (route && form_read(request.body, &form) == FAULT_NONE) {
        webhook.route = route->name;
        outcome = route->answer(&webhook);
        form_free(&form);
    }
    request_free(&request);
    return outcome;
}

static enum metrics_outcome outcome_of(int status)
{
    switch (status) {
    case 400:
    case 416:
        return OUTCOME_malformed;
    case 403:
        return OUTCOME_bad_signature;
    case 405:
        return OUTCOME_wrong_method;
    case 410:
        return OUTCOME_not_found;
    case 503:
        return OUTCOME_unavailable;
    default:
        return OUTCOME_answered;
    }
}

/* Somebody wants to hear a recording: no webhook, so nothing of theirs is asked for. */
static void answer_media(const struct service *service, struct db *db, const struct work *work,
                         const struct request *request)
{
    struct media_link_answer answer;
    if (request->kind == REQUEST_MORE)
        media_link_more(service, db, request, &answer);
    else
        media_link_answer(service, db, request, &answer);
    metrics_webhook(service->metrics, ROUTE_media, outcome_of(answer.status), elapsed_us(work));
    if (is_late(work, request))
        COUNT(service->metrics, requests_late);
    else if (answer.head)
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of(answer.head),
                  span_from(answer.body, answer.body_bytes));
    media_link_answer_free(&answer);
}

/* ---- the API ---- */

static void send_api(const struct service *service, const struct work *work,
                     struct api_answer *answer)
{
    enum metrics_outcome outcome = answer->status >= 500   ? OUTCOME_unavailable
                                   : answer->status == 404 ? OUTCOME_not_found
                                   : answer->status >= 400 ? OUTCOME_refused
                                                           : OUTCOME_answered;
    metrics_webhook(service->metrics, ROUTE_api, outcome, elapsed_us(work));
    if (answer->head)
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of(answer->head),
                  span_from(answer->body, answer->body_bytes));
    api_answer_free(answer);
}

/* What is no webhook of the carrier's. */
static bool is_api(const struct service *service, const struct request *request)
{
    return request->kind == REQUEST_HTTP && service->api_pool && api_answer_is_one(request) &&
           !find_route(request->path);
}

static void hand_on_api(const struct service *service, struct work *work)
{
    struct api_answer answer;
    if (pool_hand_on(service->api_pool, work))
        return;
    api_answer_busy(&answer);
    send_api(service, work, &answer);
}

void router_answer_api(void *context, struct db *db, struct work *work)
{
    const struct service *service = context;
    struct request request;
    struct api_answer answer;
    if (!request_read(work->json, work->raw, &request))
        return; /* it was read before it was handed on */
    if (is_late(work, &request)) {
        COUNT(service->metrics, requests_late);
    } else {
        api_answer(service, db, &request, &answer);
        if (is_late(work, &request))
            COUNT(service->metrics, requests_late);
        send_api(service, work, &answer);
    }
    request_free(&request);
}

static void answer_metrics(const struct service *service, const struct work *work)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return;
    metrics_write(out, service->metrics);
    bool written = fclose(out) == 0;
    if (written)
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of("{\"status\":200}"),
                  span_from(text, bytes));
    free(text);
}

static void answer_admit(const struct service *service, struct db *db, const struct work *work,
                         const struct request *request)
{
    char *text = admit_answer(service, db, edge_identity(work->edge), span_of(request->ticket),
                              request->signature);
    if (is_late(work, request))
        COUNT(service->metrics, requests_late);
    else if (text)
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of(text), (struct span){NULL, 0});
    plan_write_free(text);
}

static void answer_listen(const struct service *service, struct db *db, const struct work *work,
                          const struct request *request)
{
    char *text = listen_ticket_answer(service, db, span_of(request->ticket));
    if (is_late(work, request))
        COUNT(service->metrics, requests_late);
    else if (text)
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of(text), (struct span){NULL, 0});
    free(text);
}

void router_answer(void *context, struct db *db, struct work *work)
{
    const struct service *service = context;
    struct request request;
    if (!request_read(work->json, work->raw, &request)) {
        COUNT(service->metrics, requests_malformed);
        edge_send(work->edge, LINK_RESPONSE, work->id, span_of("{\"status\":400}"),
                  (struct span){NULL, 0});
        return;
    }
    if (is_late(work, &request))
        COUNT(service->metrics, requests_late);
    else if (request.kind == REQUEST_MORE ||
             (request.kind == REQUEST_HTTP && media_link_is_one(&request)))
        answer_media(service, db, work, &request);
    else if (is_api(service, &request))
        hand_on_api(service, work);
    else if (request.kind == REQUEST_HTTP)
        answer_http(service, db, work, &request);
    else if (request.kind == REQUEST_LISTEN)
        answer_listen(service, db, work, &request);
    else if (request.kind == REQUEST_ADMIT)
        answer_admit(service, db, work, &request);
    else
        answer_metrics(service, work);
    request_free(&request);
}
