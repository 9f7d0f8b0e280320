/* admit: the door. A request is a media stream that proves with its ticket which call it is, or a
 * webhook that control answers. Nothing that the network says about organisations is believed here.
 */
#include "common/clock.h"
#include "common/panic.h"
#include "common/ticket.h"
#include "edge/call/own.h"

#include <jansson.h>
#include <stdlib.h>

#define STREAM_PATH  "/twilio-media-stream/"
#define LISTEN_PATH  "/listen/"
#define AFTER_STREAM "/api/twilio/after-stream"
#define SOFT_BYTES   256

/* ---- tickets of prepared calls ---- */

static size_t bucket_of(const uint8_t nonce[16])
{
    uint32_t hash;
    memcpy(&hash, nonce, sizeof hash);
    return hash & (TICKET_BUCKETS - 1);
}

void admit_index(struct calls *calls, struct call *call)
{
    struct ticket ticket;
    bool readable = ticket_read(span_of(call->plan->ticket), &ticket);
    assert(readable); /* plan_read refuses others */
    struct call **head = &calls->by_ticket[bucket_of(ticket.nonce)];
    call->next_by_ticket = *head;
    *head = call;
}

/* The ticket of a call that goes is remembered until it expires, so that it cannot come twice. */
void admit_forget(struct calls *calls, struct call *call)
{
    struct ticket ticket;
    bool readable = ticket_read(span_of(call->plan->ticket), &ticket);
    assert(readable);
    size_t bucket = bucket_of(ticket.nonce);
    struct call **link = &calls->by_ticket[bucket];
    while (*link != call)
        link = &(*link)->next_by_ticket;
    *link = call->next_by_ticket;
    struct used_ticket *oldest = &calls->used[bucket][0];
    for (unsigned way = 1; way < USED_WAYS; way++)
        if (calls->used[bucket][way].expires_at_ms < oldest->expires_at_ms)
            oldest = &calls->used[bucket][way];
    memcpy(oldest->nonce, ticket.nonce, sizeof oldest->nonce);
    oldest->expires_at_ms = ticket.expires_at_ms;
}

static struct call *find_prepared(struct calls *calls, struct span text, const uint8_t nonce[16])
{
    struct call *found = NULL;
    for (struct call *call = calls->by_ticket[bucket_of(nonce)]; call; call = call->next_by_ticket)
        if (span_equal_secret(span_of(call->plan->ticket), text))
            found = call;
    return found;
}

static bool was_used(const struct calls *calls, const uint8_t nonce[16])
{
    const struct used_ticket *ways = calls->used[bucket_of(nonce)];
    bool used = false;
    for (unsigned way = 0; way < USED_WAYS; way++)
        used |= ways[way].expires_at_ms && memcmp(ways[way].nonce, nonce, 16) == 0;
    return used;
}

static bool signature_good(const struct plan *plan, struct span signature)
{
    bool good = false;
    for (unsigned i = 0; i < plan->signatures_count; i++)
        good |= span_equal_secret(span_of(plan->signatures[i]), signature);
    return good;
}

/* ---- a stream at the door ---- */

static enum fault judge_stream(const struct call *call, struct span signature)
{
    if (call->state != CALL_PREPARED)
        return FAULT_ticket_used;
    if (call->plan->expires_at_ms < clock_wall_ms())
        return FAULT_ticket_expired;
    return signature_good(call->plan, signature) ? FAULT_NONE : FAULT_signature_invalid;
}

/* The carrier does not ask twice: without its connection there is no call. */
static void let_in(struct calls *calls, struct call *call, struct conn *conn)
{
    if (conn_upgrade(calls->io, conn, WS_CARRIER_MESSAGE_BYTES_MAX))
        call_attach(calls, call, conn);
    else
        call_end(calls, call, END_no_capacity);
}

static void admit_stream(struct calls *calls, struct call *call, struct conn *conn,
                         struct span signature)
{
    enum fault fault = judge_stream(call, signature);
    if (fault != FAULT_NONE) {
        conn_refuse(calls->io, conn, fault);
        return;
    }
    let_in(calls, call, conn);
}

enum asked { ASKED_WEBHOOK, ASKED_STREAM, ASKED_LISTEN, ASKED_MORE };

/* Who waits for an answer of control. The letter that brings it carries this back. */
struct waiting {
    struct waiting *previous, *next; /* of this core's */
    uint64_t conn;
    uint64_t asked_ns;
    enum asked asked; /* an upgrade waits for its plan, or for its call, or a webhook for words */
    char soft[SOFT_BYTES]; /* a caller waits with it: where to come back to; else "" */
};

static void stop_waiting(struct calls *calls, struct waiting *waiting)
{
    *(waiting->previous ? &waiting->previous->next : &calls->waiting) = waiting->next;
    if (waiting->next)
        waiting->next->previous = waiting->previous;
    free(waiting);
}

static void start_waiting(struct calls *calls, struct waiting *waiting)
{
    waiting->asked_ns = io_now_ns(calls->io);
    waiting->previous = NULL;
    waiting->next = calls->waiting;
    if (waiting->next)
        waiting->next->previous = waiting;
    calls->waiting = waiting;
}

/* Control may owe answers when the edge stops. */
void admit_close(struct calls *calls)
{
    while (calls->waiting)
        stop_waiting(calls, calls->waiting);
}

static bool ask(struct calls *calls, struct waiting waiting, json_t *request, struct span body)
{
    struct waiting *kept = malloc(sizeof *kept);
    char *json = request && kept ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (!json) {
        free(kept);
        return false;
    }
    *kept = waiting;
    start_waiting(calls, kept);
    if (link_request(calls->config.link, calls->config.core, (uint64_t)(uintptr_t)kept, json,
                     strlen(json), body, HTTP_CONTROL_MS))
        return true;
    stop_waiting(calls, kept);
    return false;
}

/* A ticket that this edge was not told about: another edge prepared it, or control restarted. */
static void ask_control(struct calls *calls, struct conn *conn, struct span ticket,
                        struct span signature)
{
    if (calls->draining || calls->free_count == 0) {
        conn_refuse(calls->io, conn, FAULT_no_capacity);
        return;
    }
    json_t *request = json_pack(
        "{s:s, s:s%, s:s%}", "kind", "admit", "ticket", (const char *)ticket.data, ticket.bytes,
        "signature", signature.bytes ? (const char *)signature.data : "", signature.bytes);
    struct waiting waiting = {.conn = conn_ref(conn), .asked = ASKED_STREAM};
    if (!request)
        conn_refuse(calls->io, conn, FAULT_signature_invalid); /* not UTF-8 */
    else if (!ask(calls, waiting, request, span_of("")))
        conn_refuse(calls->io, conn, FAULT_no_control);
}

static struct span ticket_text(const struct http_head *head, const char *path)
{
    size_t skip = strlen(path);
    struct span text = span_from(head->path.data + skip, head->path.bytes - skip);
    if (text.bytes && text.data[text.bytes - 1] == '/')
        text.bytes--;
    return text;
}

static void stream_request(struct calls *calls, struct conn *conn, const struct http_head *head)
{
    const struct calls_config *config = &calls->config;
    struct span text = ticket_text(head, STREAM_PATH);
    struct span signature = http_field(head, "x-twilio-signature");
    struct ticket ticket;
    if (!head->upgrade)
        conn_refuse(calls->io, conn, FAULT_upgrade_malformed);
    else if (!ticket_read(text, &ticket))
        conn_refuse(calls->io, conn, FAULT_ticket_invalid);
    else if (ticket.expires_at_ms < clock_wall_ms())
        conn_refuse(calls->io, conn, FAULT_ticket_expired);
    else if (ticket.home_core != config->core && ticket.home_core < config->cores_count)
        conn_hand_over(calls->io, conn, config->inboxes[ticket.home_core], LETTER_CONN);
    else {
        struct call *call = find_prepared(calls, text, ticket.nonce);
        if (call)
            admit_stream(calls, call, conn, signature);
        else if (was_used(calls, ticket.nonce))
            conn_refuse(calls->io, conn, FAULT_ticket_used);
        else
            ask_control(calls, conn, text, signature);
    }
}

static void admitted(struct calls *calls, struct conn *conn, struct link_answer *answer)
{
    struct plan *plan = answer->plan;
    answer->plan = NULL;
    struct call *call = call_prepare(calls, plan);
    if (!call) {
        conn_refuse(calls->io, conn, FAULT_no_capacity);
        return;
    }
    let_in(calls, call, conn);
}

/* ---- a listener at the door ---- */

static void ask_listen(struct calls *calls, struct conn *conn, struct span ticket)
{
    json_t *request = json_pack("{s:s, s:s%}", "kind", "listen", "ticket",
                                (const char *)ticket.data, ticket.bytes);
    struct waiting waiting = {.conn = conn_ref(conn), .asked = ASKED_LISTEN};
    if (!ask(calls, waiting, request, span_of("")))
        conn_refuse(calls->io, conn, FAULT_no_control);
}

/* As a stream's, but control alone knows whether the ticket is good: the edge was told nothing. */
static void listen_request(struct calls *calls, struct conn *conn, const struct http_head *head)
{
    const struct calls_config *config = &calls->config;
    struct span text = ticket_text(head, LISTEN_PATH);
    struct ticket ticket;
    if (!head->upgrade)
        conn_refuse(calls->io, conn, FAULT_upgrade_malformed);
    else if (!ticket_read(text, &ticket))
        conn_refuse(calls->io, conn, FAULT_ticket_invalid);
    else if (ticket.expires_at_ms < clock_wall_ms())
        conn_refuse(calls->io, conn, FAULT_ticket_expired);
    else if (ticket.home_core != config->core && ticket.home_core < config->cores_count)
        conn_hand_over(calls->io, conn, config->inboxes[ticket.home_core], LETTER_CONN);
    else
        ask_listen(calls, conn, text);
}

/* ---- a webhook at the door ---- */

static json_t *pass_headers(const struct http_head *head)
{
    static const char *const passed[] = {"host",
                                         "content-type",
                                         "authorization",
                                         "x-twilio-signature",
                                         "i-twilio-idempotency-token",
                                         "user-agent",
                                         "accept",
                                         "origin",
                                         "cookie",
                                         "x-retell-signature",
                                         "range",
                                         "idempotency-key"};
    json_t *headers = json_object();
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        struct span value = http_field(head, passed[i]);
        if (value.data &&
            json_object_set_new(headers, passed[i],
                                json_stringn((const char *)value.data, value.bytes)) != 0) {
            json_decref(headers);
            return NULL; /* not UTF-8 */
        }
    }
    return headers;
}

/* Webhooks that a caller waits for, by the names under which Twilio may know them. When control is
 * away he must hear words, not silence, and come back to the place where he is. Those of a transfer
 * can be asked again without what Twilio told with them. */
static const char *const arrivals[] = {"/api/twilio/incoming-call", "/api/twilio/voice-webhook",
                                       "/api/aloha/webhooks/incoming-call",
                                       "/api/twilio/outbound-call"};
static const char *const transfers[] = {"/api/twilio/call-step", "/api/twilio/transfer-answered",
                                        "/api/twilio/transfer-decision"};

static bool is_among(struct span path, const char *const *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(path, paths[i]))
            return true;
    return false;
}

static bool is_arrival(struct span path)
{
    return is_among(path, arrivals, sizeof arrivals / sizeof arrivals[0]);
}

/* Nobody has checked who asks: what is said again needs nothing but '&' escaped, or it is not. */
static void find_soft(const struct http_head *head, char soft[SOFT_BYTES])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/?&=%._~-";
    bool voice = is_arrival(head->path) || span_is(head->path, AFTER_STREAM);
    bool again = is_among(head->path, transfers, sizeof transfers / sizeof transfers[0]);
    bool whole = span_copy_text(head->target, soft, SOFT_BYTES) && !soft[strspn(soft, plain)];
    if (voice && !whole)
        whole = span_copy_text(head->path, soft, SOFT_BYTES);
    if (!whole || !(voice || (again && strstr(soft, "transfer="))))
        soft[0] = '\0';
}

/* '&' as XML has it. */
static void escape(const char *target, char *text)
{
    for (; *target; target++)
        if (*target == '&')
            text = stpcpy(text, "&amp;");
        else
            *text++ = *target;
    *text = '\0';
}

/* A pause, and the same question again. */
static void answer_softly(struct calls *calls, struct conn *conn, const char *target)
{
    char body[SOFT_BYTES * 5 + 256], text[SOFT_BYTES * 5];
    escape(target, text);
    int length = snprintf(body, sizeof body,
                          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Say>One moment "
                          "please.</Say><Pause length=\"2\"/><Redirect method=\"POST\">%s"
                          "</Redirect></Response>\n",
                          text);
    assert(length > 0 && (size_t)length < sizeof body);
    conn_respond(calls->io, conn, 200, "text/xml", "", span_from(body, (size_t)length), false);
}

static void answer_without_control(struct calls *calls, struct conn *conn, const char *soft)
{
    COUNT(calls->metrics, faults[FAULT_no_control]);
    if (soft[0])
        answer_softly(calls, conn, soft);
    else
        conn_respond(calls->io, conn, fault_http(FAULT_no_control), "text/plain",
                     "Retry-After: 2\r\n", span_of(fault_sentence(FAULT_no_control)), false);
}

/* A webhook as control wants it; NULL when a header is not UTF-8. */
static json_t *webhook(const struct http_head *head, const struct conn *conn)
{
    char peer[INET6_ADDRSTRLEN];
    json_t *headers = pass_headers(head);
    conn_peer(conn, peer);
    return headers ? json_pack("{s:s, s:s%, s:s%, s:s, s:o}", "kind", "http", "method",
                               (const char *)head->method.data, head->method.bytes, "target",
                               (const char *)head->target.data, head->target.bytes, "peer", peer,
                               "headers", headers)
                   : NULL;
}

static void forward(struct calls *calls, struct conn *conn, const struct message *message)
{
    struct waiting waiting = {.conn = conn_ref(conn)};
    find_soft(message->head, waiting.soft);
    if (calls->draining && is_arrival(message->head->path)) {
        answer_softly(calls, conn, waiting.soft); /* a new call waits for another edge */
        return;
    }
    json_t *request = webhook(message->head, conn);
    if (!request)
        conn_refuse(calls->io, conn, FAULT_http_malformed);
    else if (!ask(calls, waiting, request, message->body))
        answer_without_control(calls, conn, waiting.soft);
}

static void respond(struct calls *calls, struct conn *conn, const struct link_answer *answer)
{
    struct span body = span_from(answer->body, answer->body_bytes);
    char extra[sizeof answer->extra + sizeof answer->location + 64];
    int length =
        snprintf(extra, sizeof extra, "%s%s%s%s%s%s%s", answer->extra,
                 answer->location[0] ? "Location: " : "", answer->location,
                 answer->location[0] ? "\r\n" : "", answer->retry_after[0] ? "Retry-After: " : "",
                 answer->retry_after, answer->retry_after[0] ? "\r\n" : "");
    assert(length >= 0 && (size_t)length < sizeof extra);
    if (answer->whole_bytes)
        download_begin(calls, conn, answer, extra);
    else
        conn_respond(calls->io, conn, (unsigned)answer->status, answer->content_type, extra, body,
                     false);
}

bool admit_ask_more(struct calls *calls, struct conn *conn, const char *asked, uint64_t from)
{
    json_t *request =
        json_pack("{s:s, s:s, s:I}", "kind", "more", "ask", asked, "from", (json_int_t)from);
    struct waiting waiting = {.conn = conn_ref(conn), .asked = ASKED_MORE};
    return ask(calls, waiting, request, span_of(""));
}

void admit_request(struct calls *calls, struct conn *conn, const struct message *message)
{
    if (message->kind != MESSAGE_REQUEST)
        return; /* END: the connection is gone, and with it whoever waited for an answer */
    if (span_starts(message->head->path, STREAM_PATH))
        stream_request(calls, conn, message->head);
    else if (span_starts(message->head->path, LISTEN_PATH))
        listen_request(calls, conn, message->head);
    else if (message->head->upgrade)
        conn_refuse(calls->io, conn, FAULT_not_found);
    else
        forward(calls, conn, message);
}

/* Control says whether a ticket is good and what else kept it from answering; why a ticket is not
 * is its log's to know. */
static enum fault refusal(const struct link_answer *answer)
{
    return answer->status == 403 ? FAULT_ticket_invalid : FAULT_no_control;
}

static void settle(struct calls *calls, struct conn *conn, const struct waiting *waiting,
                   struct link_answer *answer)
{
    if (waiting->asked == ASKED_STREAM && answer->plan)
        admitted(calls, conn, answer);
    else if (waiting->asked == ASKED_STREAM)
        conn_refuse(calls->io, conn, answer->status ? FAULT_ticket_invalid : FAULT_no_control);
    else if (waiting->asked == ASKED_LISTEN && answer->call[0])
        listen_admit(calls, conn, answer->call, answer->organization);
    else if (waiting->asked == ASKED_LISTEN)
        conn_refuse(calls->io, conn, refusal(answer));
    else if (waiting->asked == ASKED_MORE)
        download_goes_on(calls, conn, answer);
    else if (answer->status == 0)
        answer_without_control(calls, conn, waiting->soft);
    else
        respond(calls, conn, answer);
}

void admit_answer(struct calls *calls, uint64_t id, struct link_answer *answer)
{
    struct waiting *waiting = (struct waiting *)(uintptr_t)id;
    struct conn *conn = conn_find(calls->io, waiting->conn);
    uint64_t answered_ns = io_now_ns(calls->io) - waiting->asked_ns;
    histogram_add(&calls->metrics->control_answer, answered_ns / 1000);
    if (conn) /* else the asker hung up */
        settle(calls, conn, waiting, answer);
    link_answer_free(answer);
    stop_waiting(calls, waiting);
}
