#include "tests/practice/carrier_call.h"

#include "common/panic.h"
#include "tests/practice/carrier_verbs.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_MS 1000000ull

static uint64_t now_ns(const struct carrier_call *call)
{
    return peer_loop_now_ns(call->carrier->loop);
}

/* ---- telling ---- */

void carrier_call_tell(struct carrier_call *call, const char *format, ...)
{
    const struct carrier *carrier = call->carrier;
    if (carrier->options->quiet)
        return;
    char line[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    double at = (double)(now_ns(call) - carrier->begun_ns) / 1e9;
    if (carrier->options->calls > 1)
        printf("%9.3f  call %u  %s\n", at, call->number, line);
    else
        printf("%9.3f  %s\n", at, line);
    fflush(stdout);
}

void carrier_call_error(struct carrier_call *call, unsigned code, const char *why)
{
    carrier_call_tell(call, "error %u: %s", code, why);
    json_array_append_new(call->errors, json_pack("{s:i, s:s}", "code", (int)code, "text", why));
}

static void note_answer(struct carrier_call *call, const char *label,
                        const struct carrier_answer *answer)
{
    json_array_append_new(call->webhooks,
                          json_pack("{s:s, s:i, s:I}", "event", label, "status",
                                    (int)answer->status, "ms", (json_int_t)answer->took_ms));
    if (answer->status == 0)
        carrier_call_error(call, 11200, answer->why);
    else
        carrier_call_tell(call, "webhook %s answered %u in %llu ms", label, answer->status,
                          (unsigned long long)answer->took_ms);
}

/* ---- what every request says ---- */

static const char *from_of(const struct carrier_call *call)
{
    return call->order ? call->order->from : call->carrier->options->from;
}

static const char *to_of(const struct carrier_call *call)
{
    return call->order ? call->order->to : call->carrier->options->to;
}

void carrier_call_fill(const struct carrier_call *call, const char *call_status,
                       struct carrier_form *form)
{
    const struct carrier_options *options = call->carrier->options;
    const char *const fixed[][2] = {
        {"ApiVersion", "2010-04-01"},
        {"Direction", call->order ? "outbound-api" : "inbound"},
        {"CallerCity", "SAN FRANCISCO"},
        {"CallerState", "CA"},
        {"CallerZip", "94105"},
        {"CallerCountry", "US"},
        {"FromCity", "SAN FRANCISCO"},
        {"FromState", "CA"},
        {"FromZip", "94105"},
        {"FromCountry", "US"},
        {"CalledCity", ""},
        {"CalledState", "CA"},
        {"CalledZip", ""},
        {"CalledCountry", "US"},
        {"ToCity", ""},
        {"ToState", "CA"},
        {"ToZip", ""},
        {"ToCountry", "US"},
        {"StirVerstat", "TN-Validation-Passed-A"},
    };
    carrier_form_begin(form);
    carrier_form_add(form, "AccountSid", options->account_sid);
    carrier_form_add(form, "CallSid", call->call_sid);
    carrier_form_add(form, "CallStatus", call_status);
    carrier_form_add(form, "From", from_of(call));
    carrier_form_add(form, "Caller", from_of(call));
    carrier_form_add(form, "To", to_of(call));
    carrier_form_add(form, "Called", to_of(call));
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        carrier_form_add(form, fixed[i][0], fixed[i][1]);
}

static void add_rfc2822_time(struct carrier_form *form)
{
    char text[64];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &utc);
    carrier_form_add(form, "Timestamp", text);
}

void carrier_call_add_iso_time(struct carrier_form *form)
{
    char text[64], whole[32];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%09ldZ", whole, now.tv_nsec);
    carrier_form_add(form, "Timestamp", text);
}

/* ---- status callbacks ---- */

void carrier_call_check(struct carrier_call *call)
{
    bool over = call->ended && call->idle && call->requests == 0 && !call->leg_running;
    if (!over || call->done)
        return;
    call->done = true;
    call->carrier->calls_done++;
    call->carrier->done(call->carrier);
}

static void on_status_answer(void *owner, const char *label, const struct carrier_answer *answer)
{
    char name[64];
    snprintf(name, sizeof name, "status-callback %s", label);
    note_answer(owner, name, answer);
}

static void on_status_idle(void *owner)
{
    struct carrier_call *call = owner;
    call->idle = true;
    carrier_call_check(call);
}

/* Did whoever created the call ask for this? */
static bool is_wanted(const struct carrier_call *call, const char *call_status, bool terminal)
{
    const struct carrier_order *order = call->order;
    unsigned event = terminal                                ? EVENT_COMPLETED
                     : strcmp(call_status, "initiated") == 0 ? EVENT_INITIATED
                     : strcmp(call_status, "ringing") == 0   ? EVENT_RINGING
                                                             : EVENT_ANSWERED;
    if (!order)
        return call->carrier->options->status;
    return order->status_url[0] && !order->mute && (order->events & event) != 0;
}

static void add_status(struct carrier_call *call, const char *call_status, bool terminal)
{
    struct carrier_form form;
    if (!is_wanted(call, call_status, terminal))
        return;
    carrier_call_fill(call, call_status, &form);
    carrier_form_add(&form, "CallbackSource", "call-progress-events");
    carrier_form_add_number(&form, "SequenceNumber", call->sequence++);
    add_rfc2822_time(&form);
    if (terminal) {
        uint64_t seconds = call->answered
                               ? (call->ended_ns - call->answered_ns + 500 * NS_PER_MS) / 1000000000
                               : 0;
        carrier_form_add_number(&form, "CallDuration", seconds);
        carrier_form_add_number(&form, "Duration", (seconds + 59) / 60);
        carrier_form_add(&form, "SipResponseCode", "200");
    }
    carrier_status_add(&call->status, &form, call_status);
}

static void open_status(struct carrier_call *call)
{
    const struct carrier_options *options = call->carrier->options;
    struct carrier_url base = options->public_url;
    snprintf(base.target, sizeof base.target, "%s", options->webhook.target);
    const char *reference = options->status_url[0] ? options->status_url : "status-callback";
    if (call->order && call->order->status_url[0])
        reference = call->order->status_url;
    call->status = (struct carrier_status){.options = options,
                                           .loop = call->carrier->loop,
                                           .tls = call->carrier->tls,
                                           .answered = on_status_answer,
                                           .idle = on_status_idle,
                                           .owner = call};
    bool resolved = carrier_url_resolve(&base, reference, &call->status.url);
    assert(resolved);
}

/* ---- requests ---- */

struct call_request {
    struct carrier_call *call;
    char label[64];
    void (*answered)(struct carrier_call *call, const struct carrier_answer *answer);
};

static void on_answer(void *owner, const struct carrier_answer *answer)
{
    struct call_request *request = owner;
    struct carrier_call *call = request->call;
    note_answer(call, request->label, answer);
    call->requests--;
    if (request->answered)
        request->answered(call, answer);
    free(request);
    carrier_call_check(call);
}

void carrier_call_request(struct carrier_call *call, const struct carrier_url *url, bool get,
                          const struct carrier_form *form, const char *label,
                          void (*answered)(struct carrier_call *call,
                                           const struct carrier_answer *answer))
{
    struct call_request *request = calloc(1, sizeof *request);
    assert(request);
    request->call = call;
    request->answered = answered;
    snprintf(request->label, sizeof request->label, "%s", label);
    call->requests++;
    carrier_webhook_send(&(struct carrier_webhook){.options = call->carrier->options,
                                                   .loop = call->carrier->loop,
                                                   .tls = call->carrier->tls,
                                                   .url = *url,
                                                   .form = form,
                                                   .get = get,
                                                   .answered = on_answer,
                                                   .owner = request});
}

/* ---- the document ---- */

static bool is_twiml(struct span type)
{
    return span_starts(type, "text/xml") || span_starts(type, "application/xml") ||
           span_starts(type, "text/html");
}

static void on_document(struct carrier_call *call, const struct carrier_answer *answer)
{
    if (call->ended)
        return;
    if (answer->status < 200 || answer->status > 299 || !is_twiml(answer->type)) {
        if (answer->status)
            carrier_call_error(call, answer->status > 299 ? 11200 : 12300,
                               "the webhook did not answer with TwiML");
        carrier_call_end(call, "application error", call->answered ? "completed" : "failed");
        return;
    }
    if (!call->twiml)
        call->twiml = malloc(sizeof *call->twiml);
    assert(call->twiml);
    call->document = *answer->url;
    call->verb = 0;
    if (!carrier_twiml_read(answer->body, call->twiml)) {
        carrier_call_error(call, call->twiml->error_code, call->twiml->error);
        carrier_call_end(call, "application error", call->answered ? "completed" : "failed");
        return;
    }
    carrier_verbs_next(call);
}

void carrier_call_fetch(struct carrier_call *call, const char *reference, bool get,
                        const struct carrier_form *form, const char *label)
{
    struct carrier_url url;
    if (call->ended)
        return;
    if (!carrier_url_resolve(&call->document, reference, &url) ||
        ++call->documents > CARRIER_DOCUMENTS_MAX) {
        carrier_call_error(call, 11100, "not a URL, or a loop of documents");
        carrier_call_end(call, "application error", "completed");
        return;
    }
    carrier_call_request(call, &url, get, form, label, on_document);
}

/* ---- beginning and end ---- */

void carrier_call_answer(struct carrier_call *call)
{
    if (call->answered)
        return;
    call->answered = true;
    call->answered_ns = now_ns(call);
    add_status(call, "in-progress", false);
}

void carrier_call_end(struct carrier_call *call, const char *by, const char *final_status)
{
    if (call->ended)
        return;
    call->ended = true;
    call->ended_by = by;
    call->final_status = final_status;
    call->ended_ns = now_ns(call);
    peer_timer_clear(call->carrier->loop, &call->timer);
    if (call->leg_running)
        carrier_leg_hang_up(&call->leg);
    carrier_call_tell(call, "call over (%s), status %s", by, final_status);
    add_status(call, final_status, true);
    carrier_status_finish(&call->status);
}

void carrier_call_hang_up(struct carrier_call *call)
{
    if (call->ended)
        return;
    call->caller_gone = true;
    if (call->leg_running)
        carrier_leg_hang_up(&call->leg);
    else
        carrier_call_end(call, "caller", "completed");
}

static void open_call(struct carrier_call *call, struct carrier *carrier, unsigned number)
{
    *call = (struct carrier_call){.carrier = carrier, .number = number};
    call->verbs = json_array();
    call->webhooks = json_array();
    call->errors = json_array();
    call->begun_ns = now_ns(call);
    call->document = carrier->options->public_url;
    snprintf(call->document.target, sizeof call->document.target, "%s",
             carrier->options->webhook.target);
    carrier_sid("CA", call->call_sid);
}

void carrier_call_begin(struct carrier_call *call, struct carrier *carrier, unsigned number)
{
    struct carrier_form form;
    open_call(call, carrier, number);
    open_status(call);
    carrier_call_tell(call, "%s calls %s (%s)", from_of(call), to_of(call), call->call_sid);
    add_status(call, "initiated", false);
    add_status(call, "ringing", false);
    carrier_call_fill(call, "ringing", &form);
    char address[CARRIER_URL_BYTES_MAX];
    if (carrier_url_write(&call->document, true, address, sizeof address))
        carrier_call_fetch(call, address, false, &form, "incoming-call");
}

/* ---- a call that was ordered ---- */

const char *carrier_call_status(const struct carrier_call *call)
{
    if (call->ended)
        return call->final_status;
    return call->answered ? "in-progress" : call->rings ? "ringing" : "queued";
}

static void tell_machine(struct carrier_call *call)
{
    struct carrier_form form;
    struct carrier_url url;
    if (!call->order->amd_url[0] || call->order->mute ||
        !carrier_url_read(call->order->amd_url, &url))
        return;
    carrier_call_fill(call, "in-progress", &form);
    carrier_form_add(&form, "AnsweredBy",
                     call->order->callee == CALLEE_MACHINE ? "machine_start" : "human");
    carrier_form_add_number(&form, "MachineDetectionDuration", 2800);
    carrier_call_request(call, &url, false, &form, "amd", NULL);
}

static void callee_decides(void *owner)
{
    struct carrier_call *call = owner;
    struct carrier_form form;
    switch (call->order->callee) {
    case CALLEE_BUSY:
        carrier_call_end(call, "callee", "busy");
        break;
    case CALLEE_NO_ANSWER:
        carrier_call_end(call, "callee", "no-answer");
        break;
    case CALLEE_FAILS:
        carrier_call_end(call, "network", "failed");
        break;
    case CALLEE_ANSWERS:
    case CALLEE_MACHINE:
        carrier_call_answer(call);
        tell_machine(call);
        carrier_call_fill(call, "in-progress", &form);
        carrier_call_fetch(call, call->order->url, false, &form, "outbound-call");
        break;
    }
    carrier_call_check(call);
}

static void rings(void *owner)
{
    struct carrier_call *call = owner;
    struct carrier *carrier = call->carrier;
    call->rings = true;
    add_status(call, "initiated", false);
    add_status(call, "ringing", false);
    call->timer = (struct peer_timer){.fire = callee_decides, .owner = call};
    peer_timer_set(carrier->loop, &call->timer, now_ns(call) + call->order->ring_ms * NS_PER_MS);
}

void carrier_call_begin_ordered(struct carrier_call *call, struct carrier *carrier, unsigned number,
                                const struct carrier_order *order)
{
    open_call(call, carrier, number);
    call->order = order;
    if (!carrier_url_read(order->url, &call->document))
        carrier_call_error(call, 21205, "the Url is not one");
    open_status(call);
    carrier_call_tell(call, "%s is to be called from %s (%s)", order->to, order->from,
                      call->call_sid);
    call->timer = (struct peer_timer){.fire = rings, .owner = call}; /* after the answer */
    peer_timer_set(carrier->loop, &call->timer, now_ns(call) + 10 * NS_PER_MS);
}

json_t *carrier_call_report(const struct carrier_call *call)
{
    double begun = (double)(call->begun_ns - call->carrier->begun_ns) / 1e6;
    json_t *report =
        json_pack("{s:i, s:s, s:f, s:s?, s:s?, s:b, s:O, s:O, s:O}", "call", (int)call->number,
                  "call_sid", call->call_sid, "begun_ms", begun, "ended_by", call->ended_by,
                  "status", call->final_status, "answered", call->answered, "verbs", call->verbs,
                  "webhooks", call->webhooks, "errors", call->errors);
    json_object_set_new(report, "stream",
                        call->leg_used ? carrier_leg_report(&call->leg) : json_null());
    return report;
}

void carrier_call_close(struct carrier_call *call)
{
    free(call->twiml);
    if (call->leg_used)
        carrier_leg_close(&call->leg);
    json_decref(call->verbs);
    json_decref(call->webhooks);
    json_decref(call->errors);
}
