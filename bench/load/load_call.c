/* How a call comes about and ends. */
#include "bench/load/load.h"

#include "common/clock.h"
#include "common/panic.h"
#include "tests/practice/carrier_sign.h"
#include "tests/practice/carrier_twiml.h"
#include "tests/practice/carrier_webhook.h"

#include <stdio.h>

#define BEGINNING_MAX                                                                              \
    24 /* calls that are not established yet: no burst that control would turn away */

/* ---- outcomes ---- */

void load_call_established(struct load_call *call)
{
    struct load *load = call->load;
    if (call->established)
        return;
    call->established = true;
    load->established++;
    if (load->waiting == call)
        load->waiting = NULL;
    if (load_call_short(call)) {
        load->figures.short_established++;
        histogram_add(&load->figures.setup, wire_now_ns() - call->begun_ns);
    }
}

void load_call_fail(struct load_call *call, const char *why)
{
    struct load *load = call->load;
    if (call->state == LOAD_OVER || call->state == LOAD_IDLE)
        return;
    call->state = LOAD_OVER;
    load->over += call->established ? 0 : 1;
    if (load->waiting == call)
        load->waiting = NULL;
    if (load->figures.failed + load->figures.short_failed < 5)
        fprintf(stderr, "load: call %u: %s\n", call->index, why);
    if (load_call_short(call))
        load->figures.short_failed++;
    else
        load->figures.failed++;
    load_leg_cut(&call->carrier, "failed");
    if (call->model)
        load_leg_cut(call->model, "failed");
}

/* The relay ends the AI's side by itself. */
void load_call_hang_up(struct load_call *call)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    if (call->state != LOAD_TALKING)
        return;
    call->state = LOAD_OVER;
    call->load->over += call->established ? 0 : 1;
    wire_send(&call->carrier.side, span_from(text, carrier_message_stop(&call->stream, text)));
    wire_finish(&call->carrier.side);
}

/* ---- the webhook ---- */

/* Signs for the URL as written, connects to where the edge is. */
static void dial_stream(struct load_call *call, struct carrier_url *url)
{
    const struct carrier_options *options = &call->load->options.carrier;
    char address[CARRIER_URL_BYTES_MAX + 300], connect_to[300], headers[128];
    char signature[CARRIER_SIGNATURE_ROOM];
    bool fits = carrier_sign_address(url, address, sizeof address);
    assert(fits);
    carrier_sign(options->token, address, NULL, signature);
    snprintf(headers, sizeof headers, "x-twilio-signature: %s\r\n", signature);
    carrier_webhook_route(options, url, true, connect_to, sizeof connect_to);
    fits = carrier_url_write(url, true, address, sizeof address);
    assert(fits);
    load_leg_dial(call, address, connect_to[0] ? connect_to : NULL, headers);
}

static void on_twiml(void *owner, const struct carrier_answer *answer)
{
    struct load_call *call = owner;
    static struct carrier_twiml twiml;
    struct carrier_url url;
    if (call->state != LOAD_ASKING)
        return;
    if (answer->status != 200 || !carrier_twiml_read(answer->body, &twiml)) {
        load_call_fail(call, answer->status ? "the webhook answered no TwiML" : answer->why);
        return;
    }
    int connect = carrier_twiml_next(&twiml, 0, 0, "Connect");
    int stream = connect < 0 ? -1 : carrier_twiml_next(&twiml, connect, connect, "Stream");
    if (stream < 0 || !carrier_url_read(carrier_twiml_attribute(&twiml, stream, "url", ""), &url)) {
        char why[400];
        snprintf(why, sizeof why, "the TwiML has no stream: %.*s", (int)answer->body.bytes,
                 (const char *)answer->body.data);
        load_call_fail(call, why);
        return;
    }
    carrier_url_drop_query(&url);
    dial_stream(call, &url);
}

static void ask_webhook(struct load_call *call)
{
    const struct carrier_options *options = &call->load->options.carrier;
    struct carrier_form form;
    struct carrier_webhook webhook = {.options = options,
                                      .loop = call->load->loop,
                                      .tls = call->load->tls,
                                      .url = options->public_url,
                                      .form = &form,
                                      .answered = on_twiml,
                                      .owner = call};
    snprintf(webhook.url.target, sizeof webhook.url.target, "%s", options->webhook.target);
    carrier_form_begin(&form);
    carrier_form_add(&form, "AccountSid", options->account_sid);
    carrier_form_add(&form, "ApiVersion", "2010-04-01");
    carrier_form_add(&form, "CallSid", call->stream.call_sid);
    carrier_form_add(&form, "CallStatus", "ringing");
    carrier_form_add(&form, "Direction", "inbound");
    carrier_form_add(&form, "From", options->from);
    carrier_form_add(&form, "Caller", options->from);
    carrier_form_add(&form, "To", options->to);
    carrier_form_add(&form, "Called", options->to);
    call->state = LOAD_ASKING;
    carrier_webhook_send(&webhook);
}

/* ---- beginnings ---- */

static void begin(struct load_call *call)
{
    struct load *load = call->load;
    const struct load_options *options = &load->options;
    carrier_sid("CA", call->stream.call_sid);
    carrier_sid("MZ", call->stream.stream_sid);
    snprintf(call->stream.account_sid, sizeof call->stream.account_sid, "%s",
             options->kind == LOAD_EDGE ? options->carrier.account_sid
                                        : "AC00000000000000000000000000000000");
    call->begun_ns = wire_now_ns();
    load->waiting = load_numbered(load) ? NULL : call;
    load->figures.short_begun += load_call_short(call) ? 1 : 0;
    if (options->kind == LOAD_EDGE)
        ask_webhook(call);
    else if (options->kind == LOAD_RIVAL)
        load_leg_dial(call, options->relay, NULL, NULL);
    else
        load_leg_dial(call, "ws://floor.example/twilio-media-stream/none", options->relay, NULL);
}

void load_call_begin_due(struct load *load)
{
    uint64_t now = clock_monotonic_ns();
    double rate = load->measuring ? load->options.setup_rate : load->options.rate;
    while (load->begun < load->begin_end && load->next_begin_ns <= now && !load->waiting &&
           load->begun - load->established - load->over < BEGINNING_MAX) {
        uint64_t gap = (uint64_t)(1e9 / rate);
        load->next_begin_ns += gap;
        if (load->next_begin_ns + 50 * gap < now) /* it could not keep up: no burst later */
            load->next_begin_ns = now;
        begin(&load->calls[load->begun++]);
    }
}
