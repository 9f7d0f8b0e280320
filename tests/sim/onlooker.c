#include "tests/sim/onlooker.h"

#include "common/panic.h"
#include "edge/call/listen.h"
#include "tests/sim/control.h"
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE 160

/* ---- who he is ---- */

static void mint(struct onlooker *onlooker, const struct story *story)
{
    struct ticket ticket = {.home_core = (uint16_t)story->home_core,
                            .expires_at_ms = kernel_wall_ms() + 60000};
    for (size_t i = 0; i < sizeof ticket.nonce; i++)
        ticket.nonce[i] = (uint8_t)dice_draw(&onlooker->dice);
    ticket_write(&ticket, onlooker->ticket);
}

void onlooker_open(struct onlooker *onlooker, const struct story *story, struct dice dice)
{
    uint8_t *in = onlooker->peer.in;
    size_t room = onlooker->peer.in_room;
    *onlooker = (struct onlooker){
        .dice = dice, .story = story, .peer.in = in, .peer.in_room = room, .fate_ns = NEVER};
    if (dice_chance(&onlooker->dice, 600))
        onlooker->fate = (enum onlooker_fate)dice_below(&onlooker->dice, ONLOOKER_FATES);
    onlooker->tls = dice_chance(&onlooker->dice, 300);
    onlooker->core = (unsigned)dice_below(&onlooker->dice, 2);
    onlooker->next_ns = story->prepare_ns + dice_below(&onlooker->dice, 3500) * MS;
    onlooker->give_up_ns = NEVER;
    mint(onlooker, story);
}

void onlooker_leave(struct onlooker *onlooker)
{
    peer_leave(&onlooker->peer);
    onlooker->stage = LOOK_OVER;
    onlooker->next_ns = onlooker->fate_ns = onlooker->give_up_ns = NEVER;
}

struct link_answer *onlooker_answer(const struct onlooker *onlooker)
{
    struct link_answer *answer =
        control_make_answer(onlooker->fate == ONLOOKER_STRANGER ? 403 : 200, "");
    if (answer->status != 200)
        return answer;
    memcpy(answer->call, onlooker->story->call, sizeof answer->call);
    memcpy(answer->organization, onlooker->story->organization, sizeof answer->organization);
    if (onlooker->fate == ONLOOKER_FOREIGN)
        answer->organization[0] = 'f';
    return answer;
}

/* ---- what befalls him ---- */

static void suffer(struct onlooker *onlooker)
{
    onlooker->doomed = true;
    onlooker->fate_ns = NEVER;
    trace("onlooker's fate", onlooker->story->number, onlooker->fate, 0);
    switch (onlooker->fate) {
    case ONLOOKER_SLOW:
        tcp_narrow(onlooker->peer.tcp, NARROW_BYTES);
        onlooker->peer.budget = 100 + dice_below(&onlooker->dice, 3000);
        return;
    case ONLOOKER_DEAF:
        tcp_narrow(onlooker->peer.tcp, NARROW_BYTES);
        onlooker->peer.deaf = true;
        return;
    case ONLOOKER_SPEAKS:
        peer_send_text(&onlooker->peer, "%s", "{\"kind\":\"hello\"}");
        return;
    case ONLOOKER_RESETS:
        tcp_reset(onlooker->peer.tcp);
        onlooker_leave(onlooker);
        return;
    case ONLOOKER_FINISHES:
        tcp_finish(onlooker->peer.tcp);
        onlooker_leave(onlooker);
        return;
    case ONLOOKER_CLOSES:
        peer_send_close(&onlooker->peer, 1000);
        return;
    default:
        return;
    }
}

/* ---- what he hears ---- */

static const uint8_t *caller_at(const struct onlooker *onlooker, uint64_t position, size_t samples)
{
    const struct ledger *said = &onlooker->story->caller;
    expect(position + samples <= said->count, "%" PRIu64 " samples of %zu", position + samples,
           said->count);
    return said->bytes + position;
}

/* What was before the tap was opened, within the first piece, is silence. */
static void hear_caller(const struct onlooker *onlooker, uint64_t position, struct span codes)
{
    const uint8_t *said = caller_at(onlooker, position, codes.bytes);
    size_t skipped = 0;
    while (position + skipped < onlooker->first + PIECE && skipped < codes.bytes &&
           codes.data[skipped] == LEDGER_SILENCE)
        skipped++;
    expect(memcmp(said + skipped, codes.data + skipped, codes.bytes - skipped) == 0,
           "a listener hears what the caller has not said");
}

/* A filter that began anew makes other samples than the AI's own did. A listener may be the first
 * to hear them, so what the caller has heard so far does not tell. */
static bool may_differ(const struct story *story)
{
    const struct carrier *carrier = &story->carrier;
    return story->pcm &&
           (carrier->inexact || carrier->clears_seen || story->cuts || story->sessions > 1);
}

static void hear_agent(struct onlooker *onlooker, struct span codes)
{
    const struct story *story = onlooker->story;
    expect(voice_hear(&onlooker->tracks[LISTEN_AGENT].voice, &story->agent, codes) ||
               may_differ(story),
           "a listener hears what the agent has not said");
}

/* Audio in which nothing is missing that was not told. */
static void hear_audio(struct onlooker *onlooker, struct span body)
{
    uint64_t position = 0;
    expect(onlooker->greeted && !onlooker->ended, "audio in between");
    expect(body.bytes > LISTEN_HEADER_BYTES && body.data[0] == LISTEN_VERSION &&
               body.data[1] < LISTEN_TRACKS && body.data[2] == 0 && body.data[3] == 0,
           "%zu bytes", body.bytes);
    struct overheard *track = &onlooker->tracks[body.data[1]];
    for (unsigned i = 8; i-- > 0;)
        position = position << 8 | body.data[4 + i];
    struct span codes =
        span_from(body.data + LISTEN_HEADER_BYTES, body.bytes - LISTEN_HEADER_BYTES);
    expect(codes.bytes <= LISTEN_CHUNK_SAMPLES, "%zu samples", codes.bytes);
    expect(position == track->next, "track %d goes on at %" PRIu64 ", not %" PRIu64, body.data[1],
           position, track->next);
    track->next = position + codes.bytes;
    track->samples += codes.bytes;
    if (body.data[1] == LISTEN_CALLER)
        hear_caller(onlooker, position, codes);
    else
        hear_agent(onlooker, codes);
}

static void hear_missed(struct onlooker *onlooker, struct span text)
{
    bool agent = span_is(peer_member(text, "track"), "agent");
    struct overheard *track = &onlooker->tracks[agent];
    expect(peer_number(text, "from") == track->next, "missed from %" PRIu64 ", not %" PRIu64,
           peer_number(text, "from"), track->next);
    track->next += peer_number(text, "samples");
    track->voice.speaking = false;
}

static void hear_text(struct onlooker *onlooker, struct span text)
{
    struct span kind = peer_member(text, "kind");
    bool first = span_is(kind, "listening");
    expect(first != onlooker->greeted && !onlooker->ended, "%.*s", (int)text.bytes,
           (const char *)text.data);
    peer_number(text, "clock_ms");
    if (first) {
        expect(span_is(peer_member(text, "call"), onlooker->story->call), "the call's name");
        onlooker->greeted = true;
        onlooker->first = peer_number(text, "position");
        onlooker->tracks[0].next = onlooker->tracks[1].next = onlooker->first;
        expect(onlooker->first % PIECE == 0, "%" PRIu64, onlooker->first);
    }
    if (span_is(kind, "missed"))
        hear_missed(onlooker, text);
    onlooker->ended |= span_is(kind, "ended");
    expect(!span_is(kind, "started") && !span_is(kind, "usage"), "that is control's alone");
}

static void hear_close(struct onlooker *onlooker, struct span body)
{
    unsigned code = body.bytes >= 2 ? (unsigned)(body.data[0] << 8 | body.data[1]) : 0;
    trace("onlooker hears close", onlooker->story->number, code, onlooker->doomed);
    expect(code != 1000 || onlooker->ended || onlooker->doomed, "closed before the end");
    onlooker->closed = true;
    if (!onlooker->peer.said_close)
        peer_send_close(&onlooker->peer, 1000);
    onlooker->give_up_ns = kernel_now_ns() + 3 * SECOND;
}

static void listen(struct onlooker *onlooker)
{
    struct peer_message message;
    while (onlooker->peer.tcp && peer_next(&onlooker->peer, &message)) {
        if (message.opcode == PEER_BINARY)
            hear_audio(onlooker, message.body);
        else if (message.opcode == PEER_TEXT)
            hear_text(onlooker, message.body);
        else if (message.opcode == PEER_CLOSE)
            hear_close(onlooker, message.body);
        else if (message.opcode == PEER_PING && onlooker->fate != ONLOOKER_MUTE)
            peer_send(&onlooker->peer, PEER_PONG, message.body);
    }
}

/* ---- from the socket on ---- */

static void come(struct onlooker *onlooker, uint64_t now_ns)
{
    uint16_t port = onlooker->tls ? PORT_TLS : PORT_PLAIN;
    struct tcp *tcp = tcp_connect((uint16_t)(port + onlooker->core));
    if (!tcp && onlooker->core)
        tcp = tcp_connect(port);
    if (!tcp) {
        onlooker_leave(onlooker);
        return;
    }
    peer_open(&onlooker->peer, tcp, true, onlooker->tls, onlooker->dice);
    onlooker->peer.hears_binary = true;
    onlooker->stage = LOOK_SECURING;
    onlooker->next_ns = NEVER;
    onlooker->give_up_ns = now_ns + 30 * SECOND;
}

static void ask(struct onlooker *onlooker)
{
    char head[400];
    int bytes = snprintf(head, sizeof head,
                         "GET /listen/%s HTTP/1.1\r\nHost: calls.example.com\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                         "c2ltdWxhdGVkIGNhcnJpZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                         onlooker->ticket);
    peer_say(&onlooker->peer, span_from(head, (size_t)bytes));
    onlooker->stage = LOOK_UPGRADING;
}

static void read_upgrade(struct onlooker *onlooker, uint64_t now_ns)
{
    struct span head = peer_head(&onlooker->peer);
    if (head.bytes == 0)
        return;
    trace("onlooker is answered", onlooker->story->number, head.data[9] - '0', head.data[11] - '0');
    if (!span_starts(head, "HTTP/1.1 101 ")) {
        expect(span_starts(head, "HTTP/1.1 4") || span_starts(head, "HTTP/1.1 5"), "%.*s",
               (int)head.bytes, (const char *)head.data);
        onlooker_leave(onlooker);
        return;
    }
    expect(onlooker->fate != ONLOOKER_STRANGER && onlooker->fate != ONLOOKER_FOREIGN,
           "somebody listens who may not");
    peer_drop(&onlooker->peer, head.bytes);
    onlooker->stage = LOOK_OPEN;
    onlooker->give_up_ns = NEVER;
    if (onlooker->fate != ONLOOKER_FINE)
        onlooker->fate_ns = now_ns + dice_below(&onlooker->dice, 2500) * MS;
}

static void read_socket(struct onlooker *onlooker, uint64_t now_ns)
{
    if (onlooker->peer.budget && now_ns < onlooker->read_ns)
        return;
    onlooker->read_ns = now_ns + 100 * MS;
    peer_read(&onlooker->peer);
}

static void act(struct onlooker *onlooker, uint64_t now_ns)
{
    if (onlooker->stage == LOOK_AWAY && now_ns >= onlooker->next_ns)
        come(onlooker, now_ns);
    if (onlooker->peer.tcp)
        read_socket(onlooker, now_ns);
    if (onlooker->stage == LOOK_SECURING && peer_ready(&onlooker->peer))
        ask(onlooker);
    if (onlooker->stage == LOOK_UPGRADING)
        read_upgrade(onlooker, now_ns);
    if (onlooker->stage == LOOK_OPEN)
        listen(onlooker);
    if (onlooker->stage == LOOK_OPEN && now_ns >= onlooker->fate_ns)
        suffer(onlooker);
}

uint64_t onlooker_step(struct onlooker *onlooker, uint64_t now_ns)
{
    if (onlooker->stage == LOOK_OVER)
        return NEVER;
    act(onlooker, now_ns);
    if (onlooker->peer.tcp && (now_ns >= onlooker->give_up_ns || peer_over(&onlooker->peer)))
        onlooker_leave(onlooker);
    if (!onlooker->peer.tcp)
        return onlooker->next_ns;
    uint64_t next_ns = sooner(onlooker->fate_ns, onlooker->give_up_ns);
    if (onlooker->peer.budget && tcp_waiting(onlooker->peer.tcp))
        next_ns = sooner(next_ns, onlooker->read_ns);
    return sooner(next_ns, tcp_arrival_ns(onlooker->peer.tcp));
}

/* Of a call in which nothing goes wrong he who listens well has everything, or was told. */
void onlooker_check(const struct onlooker *onlooker)
{
    const struct story *story = onlooker->story;
    if (!onlooker->greeted || onlooker->fate != ONLOOKER_FINE || !story->strict)
        return;
    expect(onlooker->ended && onlooker->closed, "a listener was not told of the end");
    for (unsigned i = 0; i < LISTEN_TRACKS; i++)
        expect(onlooker->tracks[i].next == story->recordings.clock_at_end,
               "track %u ends at %" PRIu64 " of %" PRIu64, i, onlooker->tracks[i].next,
               story->recordings.clock_at_end);
}
