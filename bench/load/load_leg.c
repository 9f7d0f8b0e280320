/* The two sockets of a call: opened by the practice peer, then lent to the wire. */
#include "bench/load/load.h"

#include "common/panic.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void send_text(struct peer_conn *conn, const char *text, size_t bytes)
{
    peer_ws_send(conn, PEER_TEXT, span_from(text, bytes));
}

static void take_message(void *owner, struct span text, uint64_t at_ns)
{
    struct load_leg *leg = owner;
    if (leg->carrier)
        load_down_receive(leg->call, text, at_ns);
    else
        load_up_receive(leg, text, at_ns);
}

static void note_closed(void *owner, const char *why)
{
    struct load_leg *leg = owner;
    leg->closed = true;
    leg->conn = NULL;
    if (leg->call)
        load_call_fail(leg->call, why);
}

static const struct wire_hooks wire_hooks = {.message = take_message, .closed = note_closed};

/* ---- from peer to wire ---- */

static void want_lent(struct load_leg *leg)
{
    if (leg->wanted)
        return;
    leg->wanted = true;
    leg->lend_next = leg->load->lending;
    leg->load->lending = leg;
}

/* The caller speaks when its stream stands, and its AI too where frames cannot say whose they are.
 */
static void check_talking(struct load_call *call)
{
    if (!call || call->state != LOAD_DIALING || !call->carrier.lent)
        return;
    bool numbered = load_numbered(call->load);
    if (!numbered && (!call->model || !call->model->lent))
        return;
    call->state = LOAD_TALKING;
    if (!numbered)
        load_call_established(call);
}

void load_leg_lend(struct load *load)
{
    struct load_leg *leg = load->lending;
    load->lending = NULL;
    while (leg) {
        struct load_leg *next = leg->lend_next;
        if (!leg->closed) {
            leg->lent =
                wire_take(load->wire, &leg->side, leg->conn, leg->carrier, &wire_hooks, leg);
            leg->conn = leg->lent ? NULL : leg->conn;
            leg->wanted = false;
            if (leg->lent)
                check_talking(leg->call);
            else
                want_lent(leg);
        }
        leg = next;
    }
}

void load_leg_claim(struct load_leg *leg, struct load_call *call)
{
    assert(!leg->call && !call->model);
    leg->call = call;
    call->model = leg;
}

void load_leg_cut(struct load_leg *leg, const char *why)
{
    if (leg->closed)
        return;
    if (leg->lent)
        wire_cut(&leg->side, why);
    else if (leg->conn)
        peer_reset(leg->conn);
}

void load_leg_free_all(struct load *load)
{
    for (unsigned i = 0; i < load->calls_all; i++)
        wire_forget(&load->calls[i].carrier.side);
    while (load->models) {
        struct load_leg *leg = load->models;
        load->models = leg->next;
        wire_forget(&leg->side);
        free(leg);
    }
}

/* ---- the AI's side ---- */

static void on_model_open(struct peer_conn *conn)
{
    struct load_leg *leg = peer_owner(conn);
    peer_ws_set_fast(conn);
    if (leg->load->options.kind == LOAD_FLOOR) {
        want_lent(leg);
        return;
    }
    static const char created[] =
        "{\"type\":\"session.created\",\"event_id\":\"event_created\",\"session\":{\"type\":"
        "\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_load\",\"model\":\"load\","
        "\"expires_at\":4000000000}}";
    send_text(conn, created, sizeof created - 1);
}

/* session.updated repeats what was asked for, as the real one does. */
static void answer_update(struct load_leg *leg, struct span text)
{
    json_t *update = json_loadb((const char *)text.data, text.bytes, 0, NULL);
    json_t *session = json_object_get(update, "session");
    if (session) {
        json_object_set_new(session, "id", json_string("sess_load"));
        json_object_set_new(session, "object", json_string("realtime.session"));
        json_object_set_new(session, "expires_at", json_integer(4000000000));
        json_t *updated = json_pack("{s:s, s:s, s:O}", "type", "session.updated", "event_id",
                                    "event_updated", "session", session);
        char *answer = json_dumps(updated, JSON_COMPACT);
        assert(answer);
        send_text(leg->conn, answer, strlen(answer));
        free(answer);
        json_decref(updated);
        want_lent(leg);
    }
    json_decref(update);
}

static void on_model_message(struct peer_conn *conn, enum peer_opcode opcode, struct span text)
{
    struct load_leg *leg = peer_owner(conn);
    if (opcode != PEER_TEXT)
        return;
    if (!leg->wanted && memmem(text.data, text.bytes, "\"session.update\"", 16))
        answer_update(leg, text);
    else
        load_up_receive(leg, text, wire_now_ns());
}

static void on_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct load_leg *leg = peer_owner(conn);
    if (leg->conn == conn)
        note_closed(leg, ending->why);
}

static const struct peer_hooks model_hooks = {
    .open = on_model_open, .message = on_model_message, .closed = on_closed};

static void on_model_request(struct peer_conn *conn, const struct peer_request *request)
{
    struct load *load = peer_owner(conn);
    struct load_call *call = load->waiting;
    bool expected = load_numbered(load) || (call && !call->model);
    struct load_leg *leg = request->upgrade && expected ? calloc(1, sizeof *leg) : NULL;
    if (!leg) {
        peer_http_respond(conn, 503, NULL, span_of("nobody is expected\n"));
        return;
    }
    leg->load = load;
    leg->conn = conn;
    leg->next = load->models;
    load->models = leg;
    if (!load_numbered(load))
        load_leg_claim(leg, call);
    peer_set_owner(conn, leg);
    peer_set_hooks(conn, &model_hooks);
    peer_ws_accept(conn, NULL);
}

const struct peer_hooks load_model_hooks = {.request = on_model_request};

/* ---- the carrier's side ---- */

static void on_carrier_open(struct peer_conn *conn)
{
    struct load_leg *leg = peer_owner(conn);
    char text[CARRIER_MESSAGE_BYTES_MAX];
    peer_ws_set_fast(conn);
    send_text(conn, text, carrier_message_connected(text));
    send_text(conn, text, carrier_message_start(&leg->call->stream, NULL, 0, text));
    want_lent(leg);
}

static void on_carrier_refused(struct peer_conn *conn, const struct peer_response *response)
{
    struct load_leg *leg = peer_owner(conn);
    char why[64];
    snprintf(why, sizeof why, "the stream was refused with %u", response->status);
    load_call_fail(leg->call, why);
}

static void on_carrier_message(struct peer_conn *conn, enum peer_opcode opcode, struct span text)
{
    struct load_leg *leg = peer_owner(conn);
    if (opcode == PEER_TEXT)
        load_down_receive(leg->call, text, wire_now_ns());
}

static const struct peer_hooks carrier_hooks = {.open = on_carrier_open,
                                                .response = on_carrier_refused,
                                                .message = on_carrier_message,
                                                .closed = on_closed};

void load_leg_dial(struct load_call *call, const char *url, const char *connect_to,
                   const char *headers)
{
    struct load *load = call->load;
    call->state = LOAD_DIALING;
    call->carrier = (struct load_leg){.load = load, .call = call, .carrier = true};
    call->carrier.conn = peer_ws_dial(load->loop, &(struct peer_dial){.url = url,
                                                                      .connect_to = connect_to,
                                                                      .headers = headers,
                                                                      .tls = load->tls,
                                                                      .hooks = &carrier_hooks,
                                                                      .owner = &call->carrier});
    if (!call->carrier.conn)
        load_call_fail(call, "cannot connect");
}
