#include "edge/report/link_peer.h"

#include "common/panic.h"
#include "edge/report/link_read.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

/* UUID version 4. */
static void draw_run(char run[37])
{
    uint8_t bytes[16];
    ssize_t drawn = getrandom(bytes, sizeof bytes, 0);
    assert(drawn == (ssize_t)sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0, at = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            run[at++] = '-';
        snprintf(run + at, 3, "%02x", bytes[i]);
        at += 2;
    }
}

struct link_peer *link_peer_open(unsigned cores_count, struct mail *const inboxes[],
                                 uint64_t now_ms)
{
    struct link_peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->cores_count = cores_count;
    FIGURE_SET(&peer->figures, gone_ms, now_ms);
    draw_run(peer->run);
    link_requests_open(&peer->requests);
    link_post_open(&peer->post, cores_count, inboxes, &peer->figures);
    link_scrape_open(&peer->scrape);
    return peer;
}

void link_peer_close(struct link_peer *peer)
{
    link_store_close(&peer->store);
    link_requests_close(&peer->requests);
    link_post_close(&peer->post);
    link_scrape_close(&peer->scrape);
    explicit_bzero(peer->in, peer->in_bytes); /* what was taken is wiped already */
    free(peer);
}

static size_t room_out(const struct link_peer *peer)
{
    return sizeof peer->out - (peer->out_tail - peer->out_head);
}

/* Appends header and JSON; returns where raw bytes go. */
static uint8_t *put_frame(struct link_peer *peer, enum link_type type, uint64_t id,
                          struct span json, size_t raw_bytes)
{
    size_t bytes = LINK_HEADER_BYTES + json.bytes + raw_bytes;
    assert(bytes <= room_out(peer));
    if (bytes > sizeof peer->out - peer->out_tail) {
        memmove(peer->out, peer->out + peer->out_head, peer->out_tail - peer->out_head);
        peer->out_tail -= peer->out_head;
        peer->out_head = 0;
    }
    uint8_t *at = peer->out + peer->out_tail;
    link_encode_header(at, type, id, json.bytes, raw_bytes);
    memcpy(at + LINK_HEADER_BYTES, json.data, json.bytes);
    peer->out_tail += bytes;
    return at + LINK_HEADER_BYTES + json.bytes;
}

void link_peer_begin(struct link_peer *peer)
{
    char name[128] = "", json[384 + STREAM_URL_BYTES_MAX], load[64 + STREAM_URL_BYTES_MAX] = "";
    assert(!peer->greeted && peer->out_tail == 0 && peer->in_bytes == 0);
    gethostname(name, sizeof name - 1);
    for (char *at = name; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\\')
            *at = '?';
    if (peer->facts.calls_max)
        snprintf(load, sizeof load, ",\"calls_max\":%u,\"stream_url\":\"%s\"",
                 peer->facts.calls_max, peer->facts.stream_url ? peer->facts.stream_url : "");
    int bytes = snprintf(json, sizeof json,
                         "{\"role\":\"edge\",\"name\":\"%s\",\"run\":\"%s\",\"cores\":%u%s}", name,
                         peer->run, peer->cores_count, load);
    assert(bytes > 0 && (size_t)bytes < sizeof json);
    put_frame(peer, LINK_HELLO, LINK_VERSION, span_from(json, (size_t)bytes), 0);
}

/* Gives the request's answer to who asked, and ends the request. The figures first: who has the
 * answer finds its room free. */
static void answer(struct link_peer *peer, struct link_request *request)
{
    if (request->json)
        FIGURE_SUB(&peer->figures, requests_bytes, request->json_bytes + request->body_bytes);
    if (request->core == LINK_SCRAPE_CORE) {
        FIGURE_SUB(&peer->figures, requests_waiting, 1);
        link_scrape_answer(&peer->scrape, request->id, (struct span){NULL, 0});
    } else {
        struct letter letter = {
            .kind = LETTER_ANSWER, .id = request->id, .content = request->answer};
        request->answer = NULL; /* the letter's now */
        link_post_answer(&peer->post, request->core, letter);
    }
    link_request_free(request);
}

static enum link_verdict fail(struct link_peer *peer, const char *why)
{
    snprintf(peer->why, sizeof peer->why, "%s", why);
    return LINK_VERDICT_BROKEN;
}

static enum link_verdict take_hello(struct link_peer *peer, const struct link_frame *frame)
{
    if (peer->greeted)
        return fail(peer, "control said hello twice");
    switch (link_read_hello(frame, peer->why, sizeof peer->why)) {
    case LINK_HELLO_GOOD:
        break;
    case LINK_HELLO_BAD:
        return LINK_VERDICT_BROKEN;
    case LINK_HELLO_OTHER_VERSION:
    case LINK_HELLO_REFUSED:
        return LINK_VERDICT_REFUSED;
    }
    peer->greeted = true;
    FIGURE_SET(&peer->figures, up, 1);
    FIGURE_ADD(&peer->figures, greetings, 1);
    return LINK_VERDICT_GOOD;
}

static void take_response(struct link_peer *peer, const struct link_frame *frame)
{
    struct link_request *request = link_requests_find(&peer->requests, frame->id);
    if (!request || request->json) { /* late, doubled, or never asked */
        FIGURE_ADD(&peer->figures, skipped_response, 1);
        return;
    }
    link_requests_remove(&peer->requests, request);
    if (request->core == LINK_SCRAPE_CORE) {
        link_scrape_answer(&peer->scrape, request->id, frame->raw);
        FIGURE_ADD(&peer->figures, requests_answered, 1);
    } else if (link_read_answer(frame, peer->cores_count, &request->answer)) {
        FIGURE_ADD(&peer->figures, requests_answered, 1);
    } else {
        FIGURE_ADD(&peer->figures, requests_malformed, 1);
    }
    answer(peer, request);
}

static void take_ack(struct link_peer *peer, uint64_t id)
{
    ptrdiff_t bytes = link_store_acknowledge(&peer->store, id);
    if (bytes < 0) {
        FIGURE_ADD(&peer->figures, skipped_ack, 1);
        return;
    }
    FIGURE_ADD(&peer->figures, events_acknowledged, 1);
    FIGURE_SUB(&peer->figures, events_waiting, 1);
    FIGURE_SUB(&peer->figures, events_bytes, (size_t)bytes + LINK_EVENT_COST);
}

/* Nobody here knows whose call it is: each core gets a copy, and one has the call or none. */
static bool tell_every_core(struct link_peer *peer, uint32_t kind, const void *content,
                            size_t bytes)
{
    void *copies[CORES_MAX] = {NULL};
    for (unsigned core = 0; core < peer->cores_count; core++) {
        copies[core] = malloc(bytes);
        if (!copies[core]) {
            while (core-- > 0)
                free(copies[core]);
            return false;
        }
        memcpy(copies[core], content, bytes);
    }
    for (unsigned core = 0; core < peer->cores_count; core++)
        link_post_order(&peer->post, core, (struct letter){.kind = kind, .content = copies[core]});
    return true;
}

static bool tell_all(struct link_peer *peer, enum link_letter kind, const void *content,
                     size_t bytes, char *told, size_t room)
{
    bool done = tell_every_core(peer, kind, content, bytes);
    if (!done)
        snprintf(told, room, "no memory");
    return done;
}

/* ,"calls":n,"draining":bool: how full this edge is. */
static void tell_load(const struct link_peer *peer, char *text, size_t room)
{
    const struct link_facts *facts = &peer->facts;
    uint64_t calls = 0;
    for (unsigned core = 0; facts->cores && core < peer->cores_count; core++)
        calls += __atomic_load_n(&facts->cores[core]->calls_live, __ATOMIC_RELAXED) +
                 __atomic_load_n(&facts->cores[core]->calls_prepared, __ATOMIC_RELAXED);
    bool draining = facts->draining && __atomic_load_n(facts->draining, __ATOMIC_RELAXED);
    snprintf(text, room, ",\"calls\":%llu,\"draining\":%s", (unsigned long long)calls,
             draining ? "true" : "false");
}

/* True when done, and what there is to tell in told; else why not is in told. */
static bool carry_out(struct link_peer *peer, const struct link_frame *frame, char *told,
                      size_t room)
{
    struct link_order_read order = {.plan = NULL};
    if (!link_post_has_room(&peer->post, peer->cores_count)) {
        snprintf(told, room, "the edge's cores do not take orders at the moment");
        return false;
    }
    switch (link_read_order(frame, peer->cores_count, &order, told, room)) {
    case LINK_ORDER_BAD:
        return false;
    case LINK_ORDER_PREPARE:
        link_post_order(&peer->post, order.plan->home_core,
                        (struct letter){.kind = LETTER_PLAN, .content = order.plan});
        return true;
    case LINK_ORDER_HANGUP:
        return tell_all(peer, LETTER_HANGUP, &order.hangup, sizeof order.hangup, told, room);
    case LINK_ORDER_SAY:
        return tell_all(peer, LETTER_SAY, &order.say, sizeof order.say, told, room);
    case LINK_ORDER_RECORD:
        if (!peer->facts.records) {
            snprintf(told, room, "this edge keeps no recordings: it was given no --spool");
            return false;
        }
        return tell_all(peer, LETTER_RECORD, &order.record, sizeof order.record, told, room);
    case LINK_ORDER_TOOL_RESULT:
        return tell_all(peer, LETTER_TOOL_RESULT, &order.tool_result,
                        link_tool_result_bytes(&order.tool_result), told, room);
    case LINK_ORDER_LOAD:
        tell_load(peer, told, room);
        return true;
    case LINK_ORDER_DRAIN:
        for (unsigned core = 0; core < peer->cores_count; core++)
            link_post_order(&peer->post, core, (struct letter){.kind = LETTER_DRAIN});
        return true;
    }
    return false;
}

static void take_order(struct link_peer *peer, const struct link_frame *frame)
{
    char told[128] = "", json[256];
    bool done = carry_out(peer, frame, told, sizeof told);
    FIGURE_ADD(&peer->figures, orders_taken, done);
    FIGURE_ADD(&peer->figures, orders_refused, !done);
    for (char *at = told; !done && *at;
         at++) /* our own words, but never let them break the frame */
        if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\')
            *at = '?';
    int bytes = done ? snprintf(json, sizeof json, "{\"ok\":true%s}", told)
                     : snprintf(json, sizeof json, "{\"ok\":false,\"error\":\"%s\"}", told);
    assert(bytes > 0 && LINK_HEADER_BYTES + (size_t)bytes <= LINK_PEER_RESULT_BYTES);
    put_frame(peer, LINK_RESULT, frame->id, span_from(json, (size_t)bytes), 0);
}

static enum link_verdict take_frame(struct link_peer *peer, const struct link_frame *frame)
{
    if (frame->type == LINK_HELLO)
        return take_hello(peer, frame);
    if (!peer->greeted)
        return fail(peer, "control did not say hello first");
    if (frame->type == LINK_RESPONSE)
        take_response(peer, frame);
    else if (frame->type == LINK_ACK)
        take_ack(peer, frame->id);
    else if (frame->type == LINK_ORDER)
        take_order(peer, frame);
    else
        FIGURE_ADD(&peer->figures, skipped_type, 1);
    return LINK_VERDICT_GOOD;
}

uint8_t *link_peer_room(struct link_peer *peer, size_t *bytes)
{
    bool may = room_out(peer) >= LINK_PEER_RESULT_BYTES;
    *bytes = may ? sizeof peer->in - peer->in_bytes : 0;
    return peer->in + peer->in_bytes;
}

/* Plans carry keys, and plans come in orders and responses: what was handled is wiped. */
static void drop_input(struct link_peer *peer, size_t bytes)
{
    assert(bytes <= peer->in_bytes);
    memmove(peer->in, peer->in + bytes, peer->in_bytes - bytes);
    explicit_bzero(peer->in + peer->in_bytes - bytes, bytes);
    peer->in_bytes -= bytes;
}

enum link_verdict link_peer_received(struct link_peer *peer, size_t bytes)
{
    size_t taken = 0;
    enum link_verdict verdict = LINK_VERDICT_GOOD;
    assert(bytes <= sizeof peer->in - peer->in_bytes);
    peer->in_bytes += bytes;
    while (verdict == LINK_VERDICT_GOOD && room_out(peer) >= LINK_PEER_RESULT_BYTES) {
        struct link_frame frame;
        size_t used;
        enum link_decode decoded =
            link_decode(span_from(peer->in + taken, peer->in_bytes - taken), &frame, &used);
        if (decoded == LINK_BAD)
            verdict = fail(peer, "control sent a frame whose lengths are wrong");
        if (decoded != LINK_DONE)
            break;
        verdict = take_frame(peer, &frame);
        taken += used;
    }
    drop_input(peer, taken);
    return verdict;
}

/* The asker's JSON with the time that is left put in at its end. */
static void put_request(struct link_peer *peer, const struct link_request *request, uint64_t now_ms)
{
    char ending[40];
    uint64_t left_ms = request->deadline_ms > now_ms ? request->deadline_ms - now_ms : 0;
    int bytes =
        snprintf(ending, sizeof ending, ",\"deadline_ms\":%llu}", (unsigned long long)left_ms);
    assert(bytes > 0 && (size_t)bytes < LINK_REQUEST_ENDING_BYTES);
    struct span front = span_from(request->json, request->json_bytes - 1); /* without its "}" */
    uint8_t *raw =
        put_frame(peer, LINK_REQUEST, request->number, front, (size_t)bytes + request->body_bytes);
    memcpy(raw, ending, (size_t)bytes);
    if (request->body_bytes)
        memcpy(raw + bytes, request->body, request->body_bytes);
    link_encode_header(raw - front.bytes - LINK_HEADER_BYTES, LINK_REQUEST, request->number,
                       front.bytes + (size_t)bytes, request->body_bytes);
}

static void fill_requests(struct link_peer *peer, uint64_t now_ms)
{
    while (peer->requests.unsent) {
        const struct link_request *request = peer->requests.unsent;
        size_t text_bytes = request->json_bytes + request->body_bytes;
        if (room_out(peer) < text_bytes + LINK_HEADER_BYTES + LINK_REQUEST_ENDING_BYTES)
            return;
        put_request(peer, request, now_ms);
        FIGURE_SUB(&peer->figures, requests_bytes, text_bytes);
        link_requests_advance(&peer->requests);
    }
}

static void fill_events(struct link_peer *peer)
{
    struct link_event *event;
    while (peer->out_tail - peer->out_head < LINK_PEER_EVENTS_BYTES &&
           (event = link_store_next(&peer->store)) &&
           room_out(peer) >= LINK_HEADER_BYTES + event->json_bytes) {
        put_frame(peer, LINK_EVENT, event->id, span_from(event->json, event->json_bytes), 0);
        FIGURE_ADD(&peer->figures, events_resent, event->sent);
        link_store_advance(&peer->store);
    }
}

void link_peer_fill(struct link_peer *peer, uint64_t now_ms)
{
    if (!peer->greeted)
        return;
    fill_requests(peer, now_ms);
    fill_events(peer);
}

struct span link_peer_output(const struct link_peer *peer)
{
    return span_from(peer->out + peer->out_head, peer->out_tail - peer->out_head);
}

void link_peer_sent(struct link_peer *peer, size_t bytes)
{
    assert(bytes <= peer->out_tail - peer->out_head);
    peer->out_head += bytes;
    if (peer->out_head == peer->out_tail)
        peer->out_head = peer->out_tail = 0;
}

/* Answers all requests up to the first that was not sent. */
static void give_up_sent(struct link_peer *peer)
{
    while (peer->requests.first && !peer->requests.first->json) {
        struct link_request *request = peer->requests.first;
        link_requests_remove(&peer->requests, request);
        FIGURE_ADD(&peer->figures, requests_away, 1);
        answer(peer, request);
    }
}

void link_peer_end(struct link_peer *peer, uint64_t now_ms)
{
    if (peer->greeted)
        FIGURE_SET(&peer->figures, gone_ms, now_ms);
    peer->greeted = false;
    FIGURE_SET(&peer->figures, up, 0);
    explicit_bzero(peer->in, peer->in_bytes);
    peer->in_bytes = peer->out_head = peer->out_tail = 0;
    link_store_rewind(&peer->store);
    give_up_sent(peer);
}

/* From when on waiting for control is hopeless. */
static uint64_t away_ms(const struct link_peer *peer)
{
    return peer->greeted ? UINT64_MAX : FIGURE_GET(&peer->figures, gone_ms) + LINK_AWAY_MS;
}

void link_peer_expire(struct link_peer *peer, uint64_t now_ms)
{
    struct link_request *request;
    while ((request = link_requests_overdue(&peer->requests, now_ms))) {
        FIGURE_ADD(&peer->figures, requests_late, 1);
        answer(peer, request);
    }
    while (now_ms >= away_ms(peer) && peer->requests.first) {
        request = peer->requests.first;
        link_requests_remove(&peer->requests, request);
        FIGURE_ADD(&peer->figures, requests_away, 1);
        answer(peer, request);
    }
}

uint64_t link_peer_expires_ms(const struct link_peer *peer)
{
    if (!peer->requests.first)
        return UINT64_MAX;
    uint64_t hopeless_ms = away_ms(peer);
    return peer->requests.deadline_ms < hopeless_ms ? peer->requests.deadline_ms : hopeless_ms;
}
