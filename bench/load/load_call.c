#include "bench/load/load.h"

#include "common/panic.h"
#include "tests/practice/carrier_sign.h"
#include "tests/practice/carrier_twiml.h"
#include "tests/practice/carrier_webhook.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void send_text(struct peer_conn *conn, const char *text, size_t bytes)
{
    peer_ws_send(conn, PEER_TEXT, span_from(text, bytes));
}

void load_call_fail(struct load_call *call, const char *why)
{
    struct load *load = call->load;
    if (call->state == LOAD_OVER || call->state == LOAD_IDLE)
        return;
    if (load->figures.failed++ < 5)
        fprintf(stderr, "load: call %u: %s\n", call->index, why);
    if (call->state == LOAD_TALKING)
        load->talking--;
    call->state = LOAD_OVER;
    load->over++;
    if (call->carrier)
        peer_reset(call->carrier);
    if (call->model)
        peer_reset(call->model);
    if (load->waiting == call)
        load_call_next(load);
}

/* Both sides stand: the call talks, and the next one may come. */
static void check_talking(struct load_call *call)
{
    if (call->state != LOAD_DIALING || !call->carrier || !call->model_ready ||
        !call->stream.sequence)
        return;
    call->state = LOAD_TALKING;
    call->load->talking++;
    load_call_next(call->load);
}

/* ---- the AI's side ---- */

static void on_model_open(struct peer_conn *conn)
{
    struct load_call *call = peer_owner(conn);
    char text[512];
    peer_ws_set_fast(conn);
    if (!call->load->options.edge) {
        call->model_ready = true;
        check_talking(call);
        return;
    }
    int bytes = snprintf(text, sizeof text,
                         "{\"type\":\"session.created\",\"event_id\":\"event_%uA\",\"session\":{"
                         "\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":"
                         "\"sess_load%u\",\"model\":\"load\",\"expires_at\":4000000000}}",
                         call->index, call->index);
    send_text(conn, text, (size_t)bytes);
}

/* session.updated repeats what was asked for, as the real one does. */
static void answer_update(struct load_call *call, struct span text)
{
    json_t *update = json_loadb((const char *)text.data, text.bytes, 0, NULL);
    json_t *session = json_object_get(update, "session");
    if (!session) {
        json_decref(update);
        load_call_fail(call, "the relay sent an update without a session");
        return;
    }
    char id[64];
    snprintf(id, sizeof id, "sess_load%u", call->index);
    json_object_set_new(session, "id", json_string(id));
    json_object_set_new(session, "object", json_string("realtime.session"));
    json_object_set_new(session, "expires_at", json_integer(4000000000));
    json_t *updated = json_pack("{s:s, s:s, s:O}", "type", "session.updated", "event_id",
                                "event_updated", "session", session);
    char *answer = json_dumps(updated, JSON_COMPACT);
    assert(answer);
    send_text(call->model, answer, strlen(answer));
    free(answer);
    json_decref(updated);
    json_decref(update);
    call->model_ready = true;
    check_talking(call);
}

static void on_model_message(struct peer_conn *conn, enum peer_opcode opcode, struct span text)
{
    struct load_call *call = peer_owner(conn);
    if (opcode != PEER_TEXT || load_up_receive(call, text) || !call->load->options.edge)
        return;
    if (memmem(text.data, text.bytes < 200 ? text.bytes : 200, "\"session.update\"", 16))
        answer_update(call, text);
}

static void on_model_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct load_call *call = peer_owner(conn);
    if (call->model != conn)
        return;
    call->model = NULL;
    if (call->state != LOAD_OVER)
        load_call_fail(call, ending->why);
}

static const struct peer_hooks model_hooks = {
    .open = on_model_open, .message = on_model_message, .closed = on_model_closed};

static void on_model_request(struct peer_conn *conn, const struct peer_request *request)
{
    struct load *load = peer_owner(conn);
    struct load_call *call = load->waiting;
    if (!request->upgrade || !call || call->model) {
        peer_http_respond(conn, 503, NULL, span_of("nobody is expected\n"));
        return;
    }
    call->model = conn;
    peer_set_owner(conn, call);
    peer_set_hooks(conn, &model_hooks);
    peer_ws_accept(conn, NULL);
}

const struct peer_hooks load_model_hooks = {.request = on_model_request};

/* ---- the carrier's side ---- */

static void on_carrier_open(struct peer_conn *conn)
{
    struct load_call *call = peer_owner(conn);
    char text[CARRIER_MESSAGE_BYTES_MAX];
    call->carrier = conn;
    peer_ws_set_fast(conn);
    send_text(conn, text, carrier_message_connected(text));
    send_text(conn, text, carrier_message_start(&call->stream, NULL, 0, text));
    check_talking(call);
}

static void on_carrier_refused(struct peer_conn *conn, const struct peer_response *response)
{
    char why[64];
    snprintf(why, sizeof why, "the stream was refused with %u", response->status);
    load_call_fail(peer_owner(conn), why);
}

static void on_carrier_message(struct peer_conn *conn, enum peer_opcode opcode, struct span text)
{
    if (opcode == PEER_TEXT)
        load_down_receive(peer_owner(conn), text);
}

static void on_carrier_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct load_call *call = peer_owner(conn);
    call->carrier = NULL;
    if (call->state != LOAD_OVER)
        load_call_fail(call, ending->why);
}

static const struct peer_hooks carrier_hooks = {.open = on_carrier_open,
                                                .response = on_carrier_refused,
                                                .message = on_carrier_message,
                                                .closed = on_carrier_closed};

static void dial(struct load_call *call, const char *url, const char *connect_to,
                 const char *headers)
{
    struct load *load = call->load;
    call->state = LOAD_DIALING;
    call->carrier = peer_ws_dial(load->loop, &(struct peer_dial){.url = url,
                                                                 .connect_to = connect_to,
                                                                 .headers = headers,
                                                                 .tls = load->tls,
                                                                 .hooks = &carrier_hooks,
                                                                 .owner = call});
    if (!call->carrier)
        load_call_fail(call, "cannot connect");
}

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
    dial(call, address, connect_to[0] ? connect_to : NULL, headers);
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
        load_call_fail(call, "the TwiML has no stream");
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

static void begin(struct load_call *call)
{
    const struct load_options *options = &call->load->options;
    carrier_sid("CA", call->stream.call_sid);
    carrier_sid("MZ", call->stream.stream_sid);
    snprintf(call->stream.account_sid, sizeof call->stream.account_sid, "%s",
             options->edge ? options->carrier.account_sid : "AC00000000000000000000000000000000");
    call->load->waiting = call;
    if (options->edge)
        ask_webhook(call);
    else
        dial(call, "ws://floor.example/twilio-media-stream/none", options->relay, NULL);
}

static void place_fired(void *owner)
{
    struct load *load = owner;
    begin(&load->calls[load->begun++]);
}

void load_call_next(struct load *load)
{
    load->waiting = NULL;
    if (load->begun == load->options.calls)
        return;
    uint64_t gap = (uint64_t)(1e9 / load->options.rate);
    load->place =
        (struct peer_timer){.fire = place_fired, .owner = load, .place = load->place.place};
    peer_timer_set(load->loop, &load->place, peer_loop_now_ns(load->loop) + gap);
}

void load_call_hang_up(struct load_call *call)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    if (call->state != LOAD_TALKING)
        return;
    call->state = LOAD_OVER;
    call->load->over++;
    call->load->talking--;
    if (call->carrier) {
        send_text(call->carrier, text, carrier_message_stop(&call->stream, text));
        peer_ws_close(call->carrier, 1000, "");
    }
}
