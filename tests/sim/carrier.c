/* The carrier: Twilio's side of a stream. It upgrades with the ticket, says connected and start, a
 * frame of the caller's audio every 20 ms with gaps where some were lost, plays what comes in real
 * time, echoes marks when they have been played, and stops. Or meets its fate. */
#include "common/base64.h"
#include "edge/io/tls.h"
#include "edge/limits.h"
#include "tests/sim/story.h"
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdio.h>

#define FRAME_MS      20
#define SAMPLES_BY_MS 8
#define KEY           "c2ltdWxhdGVkIGNhcnJpZQ=="

/* ---- its fate ---- */

void carrier_open(struct story *story)
{
    struct carrier *carrier = &story->carrier;
    carrier->dice = dice_open(dice_draw(&story->dice), 1);
    struct dice *dice = &carrier->dice;
    carrier->begin_ns = story->prepare_ns + dice_between(dice, 10, 900) * MS;
    carrier->next_ns = carrier->begin_ns;
    carrier->ear.found = true; /* from the agent's first word */
    carrier->stop_ns = carrier->fate_ns = carrier->give_up_ns = NEVER;
    carrier->loss_permille = dice_chance(dice, 300) ? (unsigned)dice_below(dice, 30) : 0;
    carrier->jitter_permille = dice_chance(dice, 200) ? 200 : 0;
    carrier->odd_permille = dice_chance(dice, 200) ? 100 : 0;
    carrier->dtmf_permille = dice_chance(dice, 200) ? 20 : 0;
}

static const enum end excuses[CARRIER_FATES] = {
    [CARRIER_NO_START] = END_carrier_no_start, [CARRIER_WRONG_CALL] = END_carrier_wrong_call,
    [CARRIER_SILENT] = END_carrier_silent,     [CARRIER_RESETS] = END_carrier_lost,
    [CARRIER_FINISHES] = END_carrier_lost,     [CARRIER_CLOSES] = END_carrier_lost,
    [CARRIER_GARBAGE] = END_carrier_protocol,  [CARRIER_DEAF] = END_carrier_too_slow,
    [CARRIER_SLOW] = END_carrier_too_slow,
};

static void strike(struct story *story)
{
    struct carrier *carrier = &story->carrier;
    carrier->doomed = true;
    trace("carrier's fate", story->number, carrier->fate, 0);
    if (excuses[carrier->fate])
        story_excuse(story, excuses[carrier->fate]);
    if (carrier->stage < STAGE_STARTED)
        story_excuse(story, END_carrier_no_start);
}

static void leave(struct story *story)
{
    struct carrier *carrier = &story->carrier;
    trace("carrier leaves", story->number, carrier->stage, 0);
    if (carrier->stage < STAGE_CONNECTED)
        story_excuse(story, END_carrier_no_show);
    else if (!carrier->stopped && !peer_over(&carrier->peer)) /* its own doing */
        story_excuse(story, END_carrier_lost);
    peer_leave(&carrier->peer);
    carrier->stage = STAGE_OVER;
    carrier->next_ns = carrier->give_up_ns = NEVER;
}

void carrier_leave(struct story *story)
{
    peer_leave(&story->carrier.intruder);
    if (story->carrier.peer.tcp)
        leave(story);
    story->carrier.stage = STAGE_OVER;
}

static void say_garbage(struct story *story)
{
    static const char *const texts[] = {
        "{\"event\":\"media\"}",
        "{\"event\":\"start\"}",
        "nothing of the kind",
        "{\"event\":\"connected\"}{",
        "{\"event\":\"mark\",\"sequenceNumber\":\"1\",\"streamSid\":\"MZ0\",\"mark\":{\"name\":"
        "\"m1\"}}",
        "{\"event\":\"media\",\"sequenceNumber\":\"3\",\"media\":{\"track\":\"inbound\",\"chunk\":"
        "\"1\",\"timestamp\":\"5\",\"payload\":\"*\"},\"streamSid\":\"MZ0\"}",
    };
    struct carrier *carrier = &story->carrier;
    uint64_t which = dice_below(&carrier->dice, 9);
    story_excuse(story, END_carrier_wrong_call); /* a stream's name that is not its own */
    if (which < 6)
        peer_send_text(&carrier->peer, "%s", texts[which]);
    else if (which == 6)
        peer_send(&carrier->peer, PEER_BINARY, span_of("binary"));
    else if (which == 7)
        peer_say(&carrier->peer, span_of("\xff\xff\xff\xff\xff\xff\xff"));
    else
        peer_send(&carrier->peer, PEER_TEXT, span_of("\xc3\x28"));
}

/* Struck in the middle of the call. */
static void suffer(struct story *story)
{
    struct carrier *carrier = &story->carrier;
    strike(story);
    carrier->fate_ns = NEVER;
    switch (carrier->fate) {
    case CARRIER_RESETS:
        tcp_reset(carrier->peer.tcp);
        leave(story);
        return;
    case CARRIER_FINISHES:
        tcp_finish(carrier->peer.tcp);
        carrier->stop_ns = NEVER;
        carrier->give_up_ns = kernel_now_ns() + 3 * SECOND;
        carrier->next_ns = NEVER;
        return;
    case CARRIER_CLOSES:
        peer_send_close(&carrier->peer, dice_chance(&carrier->dice, 500) ? 1000 : 0);
        carrier->stop_ns = carrier->next_ns = NEVER;
        carrier->give_up_ns = kernel_now_ns() + 5 * SECOND;
        return;
    case CARRIER_GARBAGE:
        say_garbage(story);
        return;
    case CARRIER_SILENT:
        carrier->stop_ns = carrier->next_ns = NEVER;
        carrier->give_up_ns = kernel_now_ns() + 20 * SECOND;
        return;
    case CARRIER_DEAF:
        carrier->peer.deaf = true;
        tcp_narrow(carrier->peer.tcp, NARROW_BYTES);
        carrier->stop_ns += 15 * SECOND;
        return;
    case CARRIER_SLOW:
        tcp_narrow(carrier->peer.tcp, NARROW_BYTES);
        carrier->peer.budget = 100 + dice_below(&carrier->dice, 3000);
        return;
    default:
        return;
    }
}

/* ---- from the socket to the start ---- */

static void call_the_edge(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    if (carrier->fate == CARRIER_NO_SHOW) {
        strike(story);
        leave(story);
        return;
    }
    uint16_t port = story->carrier_tls ? PORT_TLS : PORT_PLAIN;
    uint16_t core = (uint16_t)dice_below(&carrier->dice, 2);
    struct tcp *tcp = tcp_connect((uint16_t)(port + core));
    if (!tcp && core)
        tcp = tcp_connect(port);
    if (!tcp) {
        leave(story);
        return;
    }
    peer_open(&carrier->peer, tcp, true, story->carrier_tls, carrier->dice);
    carrier->stage = STAGE_SECURING;
    carrier->next_ns = NEVER;
    carrier->give_up_ns = now_ns + 30 * SECOND;
    if (carrier->fate >= CARRIER_SILENT && dice_chance(&carrier->dice, 150))
        carrier->fate_ns = now_ns + dice_below(&carrier->dice, 400) * MS;
}

static void ask(struct peer *peer, const struct story *story, bool signature)
{
    char head[700];
    int bytes = snprintf(head, sizeof head,
                         "GET /twilio-media-stream/%s HTTP/1.1\r\nHost: calls.example.com\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " KEY
                         "\r\nSec-WebSocket-Version: 13\r\nX-Twilio-Signature: %s\r\n\r\n",
                         story->ticket, signature ? story->signature : "wrong");
    if (peer->sealed && dice_chance(&peer->dice, 500)) /* a key update wants an answer */
        tcp_say(peer->tcp, "\6\0", 2);
    peer_say(peer, span_from(head, (size_t)bytes));
}

/* A second one with the same ticket is turned away. */
static void send_intruder(struct story *story)
{
    struct carrier *carrier = &story->carrier;
    struct tcp *tcp = tcp_connect(PORT_PLAIN);
    if (!tcp)
        return;
    peer_open(&carrier->intruder, tcp, true, false, carrier->dice);
    ask(&carrier->intruder, story, true);
}

static void watch_intruder(struct carrier *carrier)
{
    struct peer *intruder = &carrier->intruder;
    peer_read(intruder);
    struct span head = peer_head(intruder);
    if (!head.bytes && !peer_over(intruder))
        return;
    expect(!head.bytes || span_starts(head, "HTTP/1.1 4") || span_starts(head, "HTTP/1.1 5"),
           "%.*s", (int)head.bytes, (const char *)head.data);
    peer_leave(intruder);
}

static void read_upgrade(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    struct span head = peer_head(&carrier->peer);
    if (head.bytes == 0)
        return;
    if (!span_starts(head, "HTTP/1.1 101 ")) {
        expect(span_starts(head, "HTTP/1.1 4") || span_starts(head, "HTTP/1.1 5"), "%.*s",
               (int)head.bytes, (const char *)head.data);
        trace("carrier is refused", story->number, head.data[9] - '0', head.data[11] - '0');
        carrier->refused = true;
        leave(story);
        return;
    }
    char accept[29];
    tls_websocket_accept(span_of(KEY), accept);
    expect(memmem(head.data, head.bytes, accept, strlen(accept)), "the right accept");
    peer_drop(&carrier->peer, head.bytes);
    carrier->stage = STAGE_CONNECTED;
    carrier->upgraded_ns = now_ns;
    carrier->next_ns = now_ns + dice_below(&carrier->dice, 50) * MS;
    if (carrier->fate == CARRIER_NO_START) {
        strike(story);
        carrier->next_ns = NEVER;
        carrier->give_up_ns = now_ns + 12 * SECOND;
        if (dice_chance(&carrier->dice, 500))
            peer_send_text(&carrier->peer, "{\"event\":\"connected\",\"protocol\":\"Call\"}");
    }
    if (carrier->fate == CARRIER_TWICE)
        send_intruder(story);
}

static void say_start(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    bool wrong = carrier->fate == CARRIER_WRONG_CALL;
    if (wrong)
        strike(story);
    peer_send_text(&carrier->peer,
                   "{\"event\":\"start\",\"sequenceNumber\":\"%" PRIu64
                   "\",\"start\":{\"accountSid\":\"%s\",\"streamSid\":\"%s\",\"callSid\":\"%s\","
                   "\"tracks\":[\"inbound\"],\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\","
                   "\"sampleRate\":8000,\"channels\":1},\"customParameters\":{}},\"streamSid\":"
                   "\"%s\"}",
                   ++carrier->sequence, story->account_sid, story->stream_sid,
                   wrong ? "CAffffffffffffffffffffffffffffffff" : story->call_sid,
                   story->stream_sid);
    carrier->stage = STAGE_STARTED;
    carrier->started_ns = now_ns;
    carrier->stop_ns = now_ns + story->life_ns;
    carrier->give_up_ns = NEVER;
    carrier->next_ns = now_ns + dice_below(&carrier->dice, 100) * MS;
    carrier->frame = dice_below(&carrier->dice, 20); /* Twilio's first timestamps are not 0 */
    if (carrier->fate >= CARRIER_SILENT && carrier->fate_ns == NEVER)
        carrier->fate_ns = now_ns + dice_below(&carrier->dice, story->life_ns);
}

static void connect_or_start(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    if (carrier->greeted) {
        say_start(story, now_ns);
        return;
    }
    carrier->greeted = true;
    peer_send_text(&carrier->peer,
                   "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}");
    carrier->next_ns = now_ns + dice_below(&carrier->dice, 120) * MS;
}

/* ---- the caller ---- */

/* What the edge has to make of timestamps (up.c): samples are the clock, what a timestamp runs
 * ahead of them by half a frame or more is a gap, and a jump beyond the bound a new clock. */
static void keep_time(struct story *story, uint64_t timestamp_ms, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    if (!carrier->timed) {
        carrier->timed = true;
        carrier->base_ms = timestamp_ms;
        return;
    }
    int64_t due_ms = (int64_t)(carrier->base_ms + story->caller.count / SAMPLES_BY_MS);
    int64_t ahead_ms = (int64_t)timestamp_ms - due_ms;
    if (ahead_ms > STREAM_GAP_FILL_MS_MAX || ahead_ms < -STREAM_GAP_FILL_MS_MAX) {
        carrier->base_ms += (uint64_t)ahead_ms;
        carrier->leapt = true;
    } else if (ahead_ms >= FRAME_MS / 2) {
        carrier->gap_samples += (uint64_t)ahead_ms * SAMPLES_BY_MS;
        carrier->leapt |= ahead_ms > 800;
        ledger_keep_silent(&story->caller, (size_t)ahead_ms * SAMPLES_BY_MS, now_ns);
    }
}

static void say_media(struct story *story, uint64_t timestamp_ms, size_t bytes, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    char payload[4 * FRAME * 4 / 3 + 8];
    keep_time(story, timestamp_ms, now_ns);
    const uint8_t *codes = ledger_speak(&story->caller, bytes, now_ns);
    base64_encode(span_from(codes, bytes), (uint8_t *)payload);
    if (dice_chance(&carrier->dice, carrier->odd_permille)) /* as others might write it */
        peer_send_text(
            &carrier->peer,
            "{ \"streamSid\": \"%s\", \"media\": {\"payload\": \"%.*s\", \"timestamp\": \"%" PRIu64
            "\", \"chunk\": \"%" PRIu64 "\", \"track\": \"inbound\", \"more\": [1, {}]},\n"
            " \"sequenceNumber\": \"%" PRIu64 "\", \"event\": \"media\"}",
            story->stream_sid, (int)base64_encoded_bytes(bytes), payload, timestamp_ms,
            carrier->sequence, carrier->sequence + 1);
    else
        peer_send_text(&carrier->peer,
                       "{\"event\":\"media\",\"sequenceNumber\":\"%" PRIu64
                       "\",\"media\":{\"track\":\"inbound\",\"chunk\":\"%" PRIu64
                       "\",\"timestamp\":\"%" PRIu64
                       "\",\"payload\":\"%.*s\"},\"streamSid\":\"%s\"}",
                       carrier->sequence + 1, carrier->sequence, timestamp_ms,
                       (int)base64_encoded_bytes(bytes), payload, story->stream_sid);
    carrier->sequence++;
    carrier->media_said++;
    trace("frame: story, ms", story->number, (int64_t)timestamp_ms, (int64_t)bytes);
}

static void say_frame(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    struct dice *dice = &carrier->dice;
    uint64_t frame = carrier->frame, timestamp_ms = frame * FRAME_MS;
    if (dice_chance(dice, carrier->jitter_permille))
        timestamp_ms += dice_below(dice, 5);
    if (frame > carrier->lost_until && dice_chance(dice, carrier->loss_permille))
        carrier->lost_until = frame + (dice_chance(dice, 50) ? 350 : 1 + dice_below(dice, 30));
    carrier->frame++;
    if (frame < carrier->lost_until)
        return;
    if (dice_chance(dice, carrier->odd_permille)) { /* two frames in one, or one in two */
        if (dice_chance(dice, 500)) {
            carrier->frame++;
            say_media(story, timestamp_ms, 2 * FRAME, now_ns);
        } else {
            say_media(story, timestamp_ms, FRAME / 2, now_ns);
            say_media(story, timestamp_ms + FRAME_MS / 2, FRAME / 2, now_ns);
        }
        return;
    }
    say_media(story, timestamp_ms, FRAME, now_ns);
    if (dice_chance(dice, carrier->dtmf_permille))
        peer_send_text(&carrier->peer,
                       "{\"event\":\"dtmf\",\"streamSid\":\"%s\",\"sequenceNumber\":\"%" PRIu64
                       "\",\"dtmf\":{\"track\":\"inbound_track\",\"digit\":\"%c\"}}",
                       story->stream_sid, ++carrier->sequence,
                       "0123456789*#"[dice_below(dice, 12)]);
}

static void speak(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    if (now_ns >= carrier->stop_ns) {
        peer_send_text(
            &carrier->peer,
            "{\"event\":\"stop\",\"sequenceNumber\":\"%" PRIu64
            "\",\"stop\":{\"accountSid\":\"%s\",\"callSid\":\"%s\"},\"streamSid\":\"%s\"}",
            ++carrier->sequence, story->account_sid, story->call_sid, story->stream_sid);
        carrier->stopped = true;
        story_excuse(story, END_caller_hung_up);
        carrier->stage = STAGE_STOPPED;
        carrier->next_ns = NEVER;
        carrier->give_up_ns = now_ns + 6 * SECOND;
        return;
    }
    say_frame(story, now_ns);
    uint64_t late = dice_chance(&carrier->dice, carrier->jitter_permille)
                        ? dice_below(&carrier->dice, 15) * MS
                        : 0;
    uint64_t next_ns = carrier->started_ns + (carrier->frame * FRAME_MS) * MS + late;
    carrier->next_ns = next_ns > now_ns ? next_ns : now_ns;
}

/* ---- what it is told ---- */

static void hear_close(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    trace("carrier hears close", story->number, 0, 0);
    if (!carrier->peer.said_close)
        peer_send_close(&carrier->peer, 1000);
    carrier->stage = STAGE_STOPPED;
    carrier->stop_ns = carrier->next_ns = carrier->fate_ns = NEVER;
    carrier->give_up_ns = now_ns + 3 * SECOND;
}

static void listen(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    struct peer_message message;
    while (carrier->peer.tcp && peer_next(&carrier->peer, &message)) {
        if (message.opcode == PEER_CLOSE) {
            hear_close(story, now_ns);
            continue;
        }
        if (message.opcode != PEER_TEXT)
            continue;
        struct span event = peer_member(message.body, "event");
        expect(span_is(peer_member(message.body, "streamSid"), story->stream_sid),
               "its own stream: %.*s", (int)message.body.bytes, (const char *)message.body.data);
        expect(carrier->stage >= STAGE_STARTED, "nothing before start");
        if (span_is(event, "media"))
            listener_hear(story, message.body, now_ns);
        else if (span_is(event, "mark"))
            listener_mark(carrier, message.body);
        else if (span_is(event, "clear"))
            listener_clear(story, now_ns);
        else
            sim_fail("the carrier is told %.*s", (int)message.body.bytes,
                     (const char *)message.body.data);
    }
}

/* ---- the turn ---- */

static void act(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    switch (carrier->stage) {
    case STAGE_AWAY:
        if (now_ns >= carrier->next_ns)
            call_the_edge(story, now_ns);
        return;
    case STAGE_SECURING:
        if (!peer_ready(&carrier->peer))
            return;
        ask(&carrier->peer, story, carrier->fate != CARRIER_BAD_SIGNATURE);
        carrier->stage = STAGE_UPGRADING;
        return;
    case STAGE_UPGRADING:
        read_upgrade(story, now_ns);
        return;
    case STAGE_CONNECTED:
        if (now_ns >= carrier->next_ns)
            connect_or_start(story, now_ns);
        return;
    case STAGE_STARTED:
        while (carrier->stage == STAGE_STARTED && now_ns >= carrier->next_ns)
            speak(story, now_ns);
        return;
    default:
        return;
    }
}

static void read_socket(struct carrier *carrier, uint64_t now_ns)
{
    if (carrier->peer.budget && now_ns < carrier->read_ns)
        return;
    carrier->read_ns = now_ns + 100 * MS;
    peer_read(&carrier->peer);
}

uint64_t carrier_step(struct story *story, uint64_t now_ns)
{
    struct carrier *carrier = &story->carrier;
    if (carrier->intruder.tcp)
        watch_intruder(carrier);
    if (carrier->stage > STAGE_AWAY && carrier->stage < STAGE_OVER) {
        read_socket(carrier, now_ns);
        if (now_ns >= carrier->fate_ns)
            suffer(story);
    }
    act(story, now_ns);
    if (carrier->stage > STAGE_UPGRADING && carrier->stage < STAGE_OVER) {
        listen(story, now_ns);
        listener_echo(story, now_ns);
    }
    if (carrier->stage > STAGE_AWAY && carrier->stage < STAGE_OVER &&
        (peer_over(&carrier->peer) || now_ns >= carrier->give_up_ns))
        leave(story);
    uint64_t next_ns = carrier->next_ns;
    if (carrier->intruder.tcp)
        next_ns = sooner(next_ns, tcp_arrival_ns(carrier->intruder.tcp));
    if (!carrier->peer.tcp)
        return next_ns;
    next_ns = sooner(next_ns, sooner(carrier->fate_ns, carrier->give_up_ns));
    if (carrier->stage == STAGE_STARTED)
        next_ns = sooner(next_ns, listener_due_ns(carrier));
    if (carrier->peer.budget && tcp_waiting(carrier->peer.tcp))
        next_ns = sooner(next_ns, carrier->read_ns);
    return sooner(next_ns, tcp_arrival_ns(carrier->peer.tcp));
}
