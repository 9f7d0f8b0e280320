#include "tests/sim/asker.h"

#include "tests/sim/kernel.h"
#include "tests/sim/trace.h"

#include <stdlib.h>

void asker_open(struct asker *asker, struct dice dice)
{
    uint8_t *in = asker->peer.in;
    size_t room = asker->peer.in_room;
    *asker = (struct asker){.dice = dice, .peer.in = in, .peer.in_room = room};
    asker->tls = dice_chance(&asker->dice, 300);
    asker->requests = 1 + (unsigned)dice_below(&asker->dice, 3);
    asker->next_ns = kernel_now_ns() + dice_below(&asker->dice, 4000) * MS;
    asker->give_up_ns = NEVER;
}

void asker_leave(struct asker *asker)
{
    peer_leave(&asker->peer);
    asker->over = true;
    asker->next_ns = asker->give_up_ns = NEVER;
}

static void say_request(struct asker *asker)
{
    static const char *const requests[] = {
        "POST /api/twilio/incoming-call HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nCallSid=1",
        "POST /api/twilio/after-stream HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "GET /api/calls HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /twilio-media-stream/short HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Key: c2ltdWxhdGVkIGNhcnJpZQ==\r\nSec-WebSocket-Version: "
        "13\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nless than that",
        "GET / HTTP/1.1\r\nHost: x\r\nX: \1\r\n\r\n",
        "nothing",
    };
    const char *text = requests[dice_below(&asker->dice, sizeof requests / sizeof requests[0])];
    struct span whole = span_of(text);
    size_t part = dice_chance(&asker->dice, 300) ? dice_below(&asker->dice, whole.bytes) : 0;
    if (part)
        peer_say(&asker->peer, span_from(whole.data, part));
    peer_say(&asker->peer, span_from(whole.data + part, whole.bytes - part));
    asker->said++;
}

static size_t body_bytes(struct span head)
{
    const char *field = memmem(head.data, head.bytes, "Content-Length: ", 16);
    return field ? (size_t)strtoul(field + 16, NULL, 10) : 0;
}

static void read_answers(struct asker *asker)
{
    struct span head;
    peer_read(&asker->peer);
    while ((head = peer_head(&asker->peer)).bytes) {
        size_t bytes = head.bytes + body_bytes(head);
        expect(span_starts(head, "HTTP/1.1 "), "%.*s", (int)head.bytes, (const char *)head.data);
        if (asker->peer.in_bytes < bytes)
            return;
        asker->answers++;
        expect(asker->answers <= asker->said, "an answer for each request");
        peer_drop(&asker->peer, bytes);
    }
}

static void begin(struct asker *asker, uint64_t now_ns)
{
    struct tcp *tcp = tcp_connect(asker->tls ? PORT_TLS : PORT_PLAIN);
    if (!tcp) {
        asker_leave(asker);
        return;
    }
    peer_open(&asker->peer, tcp, true, asker->tls, asker->dice);
    asker->next_ns = now_ns;
    asker->give_up_ns = now_ns + dice_between(&asker->dice, 1, 15000) * MS;
}

static void act(struct asker *asker, uint64_t now_ns)
{
    if (!asker->peer.tcp)
        begin(asker, now_ns);
    if (!asker->peer.tcp || !peer_ready(&asker->peer))
        return;
    say_request(asker);
    asker->next_ns = asker->said < asker->requests
                         ? now_ns + (dice_chance(&asker->dice, 500) ? 0 : 500 * MS)
                         : NEVER;
}

uint64_t asker_step(struct asker *asker, uint64_t now_ns)
{
    if (asker->over)
        return NEVER;
    if (asker->peer.tcp)
        read_answers(asker);
    if (now_ns >= asker->next_ns)
        act(asker, now_ns);
    if (asker->peer.tcp && (now_ns >= asker->give_up_ns || peer_over(&asker->peer)))
        asker_leave(asker);
    if (!asker->peer.tcp)
        return asker->next_ns;
    uint64_t next_ns = asker->next_ns < asker->give_up_ns ? asker->next_ns : asker->give_up_ns;
    if (!asker->peer.secured && next_ns <= now_ns)
        next_ns = asker->give_up_ns;
    uint64_t arrival_ns = tcp_arrival_ns(asker->peer.tcp);
    return arrival_ns < next_ns ? arrival_ns : next_ns;
}
