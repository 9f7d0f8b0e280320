#include "tests/sim/peer.h"

#include "common/panic.h"
#include "tests/sim/kernel.h"
#include "tests/sim/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum record { RECORD_FLIGHT = 4, RECORD_CLOSE = 5, RECORD_UPDATE = 6, RECORD_BROKEN = 7 };

#define MESSAGE_ROOM (1 << 18)

void peer_open(struct peer *peer, struct tcp *tcp, bool client, bool sealed, struct dice dice)
{
    uint8_t *in = peer->in;
    size_t room = peer->in_room;
    *peer = (struct peer){.tcp = tcp,
                          .client = client,
                          .sealed = sealed,
                          .secured = !sealed,
                          .dice = dice,
                          .in = in,
                          .in_room = room};
    if (sealed && client)
        tcp_say(tcp, "\4\5hello", 7);
}

void peer_leave(struct peer *peer)
{
    if (peer->tcp)
        tcp_leave(peer->tcp);
    peer->tcp = NULL;
}

void peer_free(struct peer *peer)
{
    free(peer->in);
    peer->in = NULL;
    peer->in_room = 0;
}

bool peer_over(const struct peer *peer)
{
    return !peer->tcp || tcp_over(peer->tcp);
}

bool peer_ready(const struct peer *peer)
{
    return peer->tcp && peer->secured;
}

/* ---- in ---- */

static void keep(struct peer *peer, const uint8_t *data, size_t bytes)
{
    if (peer->in_first + peer->in_bytes + bytes > peer->in_room) {
        if (peer->in_bytes)
            memmove(peer->in, peer->in + peer->in_first, peer->in_bytes);
        peer->in_first = 0;
        if (peer->in_bytes + bytes > peer->in_room) {
            peer->in_room = 2 * (peer->in_bytes + bytes);
            peer->in = realloc(peer->in, peer->in_room);
            assert(peer->in);
        }
    }
    memcpy(peer->in + peer->in_first + peer->in_bytes, data, bytes);
    peer->in_bytes += bytes;
}

static void take_record(struct peer *peer)
{
    unsigned type = peer->record[0] & 7u;
    if (type < RECORD_FLIGHT) {
        expect(peer->secured && !peer->notified, "data in a record of a session that has none");
        keep(peer, peer->record + 2, peer->record[1]);
    } else if (type == RECORD_FLIGHT) {
        if (!peer->secured && !peer->client)
            tcp_say(peer->tcp, "\4\6answer", 8);
        peer->secured = true;
    } else if (type == RECORD_CLOSE) {
        peer->notified = true;
    }
}

static void unseal(struct peer *peer, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        peer->record[peer->record_bytes++] = data[i];
        if (peer->record_bytes < 2 || peer->record_bytes < 2u + peer->record[1])
            continue;
        take_record(peer);
        peer->record_bytes = 0;
    }
}

void peer_read(struct peer *peer)
{
    uint8_t bytes[16384];
    if (!peer->tcp || peer->deaf)
        return;
    size_t left = peer->budget ? peer->budget : SIZE_MAX;
    while (left) {
        size_t room = left < sizeof bytes ? left : sizeof bytes;
        size_t got = tcp_hear(peer->tcp, bytes, room);
        if (got == 0)
            return;
        left -= got;
        if (peer->sealed)
            unseal(peer, bytes, got);
        else
            keep(peer, bytes, got);
    }
}

struct span peer_head(const struct peer *peer)
{
    const uint8_t *first = peer->in + peer->in_first;
    const uint8_t *end = peer->in_bytes ? memmem(first, peer->in_bytes, "\r\n\r\n", 4) : NULL;
    return end ? span_from(first, (size_t)(end - first) + 4) : (struct span){NULL, 0};
}

void peer_drop(struct peer *peer, size_t bytes)
{
    assert(bytes <= peer->in_bytes);
    peer->in_first += bytes;
    peer->in_bytes -= bytes;
    if (peer->in_bytes == 0)
        peer->in_first = 0;
}

/* Header length with the payload's; 0: not all here. */
static size_t read_header(const struct peer *peer, const uint8_t *in, size_t *payload_bytes)
{
    bool masked = !peer->client;
    if (peer->in_bytes < 2)
        return 0;
    expect((in[0] & 0xf0) == 0x80, "a first byte 0x%02x", in[0]);
    expect((in[1] & 0x80) == (masked ? 0x80 : 0), "a mask where none belongs, or none");
    unsigned short_length = in[1] & 0x7fu;
    size_t length_bytes = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
    size_t header_bytes = 2 + length_bytes + (masked ? 4 : 0);
    if (peer->in_bytes < header_bytes)
        return 0;
    *payload_bytes = length_bytes ? 0 : short_length;
    for (size_t i = 0; i < length_bytes; i++)
        *payload_bytes = *payload_bytes << 8 | in[2 + i];
    expect(length_bytes != 2 || *payload_bytes >= 126, "a length that is not the shortest");
    expect(length_bytes != 8 || *payload_bytes >= 65536, "a length that is not the shortest");
    return header_bytes;
}

bool peer_next(struct peer *peer, struct peer_message *message)
{
    uint8_t *in = peer->in + peer->in_first;
    size_t payload_bytes, header_bytes = read_header(peer, in, &payload_bytes);
    if (header_bytes == 0 || peer->in_bytes - header_bytes < payload_bytes)
        return false;
    uint8_t *payload = in + header_bytes;
    const uint8_t *mask = payload - 4;
    for (size_t i = 0; !peer->client && i < payload_bytes; i++)
        payload[i] ^= mask[i % 4];
    message->opcode = in[0] & 0xfu;
    message->body = span_from(payload, payload_bytes);
    expect(message->opcode == PEER_TEXT || message->opcode >= PEER_CLOSE ||
               (peer->hears_binary && message->opcode == PEER_BINARY),
           "opcode %u", message->opcode);
    peer->in_first += header_bytes + payload_bytes;
    peer->in_bytes -= header_bytes + payload_bytes;
    return true;
}

struct span peer_member(struct span text, const char *name)
{
    char sought[64];
    int bytes = snprintf(sought, sizeof sought, "\"%s\":\"", name);
    const uint8_t *begin = memmem(text.data, text.bytes, sought, (size_t)bytes);
    if (!begin)
        return (struct span){NULL, 0};
    begin += bytes;
    const uint8_t *end = memchr(begin, '"', text.bytes - (size_t)(begin - text.data));
    expect(end, "a string that ends");
    return span_from(begin, (size_t)(end - begin));
}

uint64_t peer_number(struct span text, const char *name)
{
    char sought[64];
    uint64_t number = 0;
    int bytes = snprintf(sought, sizeof sought, "\"%s\":", name);
    const uint8_t *at = memmem(text.data, text.bytes, sought, (size_t)bytes);
    expect(at, "%s in %.*s", name, (int)text.bytes, (const char *)text.data);
    for (at += bytes; *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (unsigned)(*at - '0');
    return number;
}

/* ---- out ---- */

static void seal(struct peer *peer, struct span bytes)
{
    while (bytes.bytes) {
        uint8_t record[257];
        size_t part = bytes.bytes < 255 ? bytes.bytes : 255;
        if (part > 1 && dice_chance(&peer->dice, 100))
            part = 1 + dice_below(&peer->dice, part);
        record[0] = (uint8_t)dice_below(&peer->dice, 4);
        record[1] = (uint8_t)part;
        memcpy(record + 2, bytes.data, part);
        tcp_say(peer->tcp, record, 2 + part);
        bytes = span_from(bytes.data + part, bytes.bytes - part);
    }
    if (dice_chance(&peer->dice, 5))
        tcp_say(peer->tcp, "\6\0", 2); /* a key update, which wants an answer */
}

void peer_say(struct peer *peer, struct span bytes)
{
    if (!peer->tcp)
        return;
    trace_bytes("peer says", tcp_number(peer->tcp), bytes);
    if (peer->sealed)
        seal(peer, bytes);
    else
        tcp_say(peer->tcp, bytes.data, bytes.bytes);
}

static void say_frame(struct peer *peer, unsigned first, struct span body)
{
    static uint8_t frame[MESSAGE_ROOM];
    uint8_t mask[4] = {0}, *at = frame;
    uint8_t masked = peer->client ? 0x80 : 0;
    assert(body.bytes + 14 <= sizeof frame);
    *at++ = (uint8_t)first;
    if (body.bytes < 126) {
        *at++ = (uint8_t)(masked | body.bytes);
    } else {
        unsigned length_bytes = body.bytes < 65536 ? 2 : 8;
        *at++ = (uint8_t)(masked | (length_bytes == 2 ? 126 : 127));
        for (unsigned i = length_bytes; i-- > 0;)
            *at++ = (uint8_t)(body.bytes >> 8 * i);
    }
    if (masked) {
        uint32_t word = (uint32_t)dice_draw(&peer->dice);
        memcpy(mask, &word, 4);
        memcpy(at, mask, 4);
        at += 4;
    }
    for (size_t i = 0; i < body.bytes; i++)
        at[i] = body.data[i] ^ mask[i % 4];
    peer_say(peer, span_from(frame, (size_t)(at - frame) + body.bytes));
}

void peer_send(struct peer *peer, unsigned opcode, struct span body)
{
    unsigned first = opcode;
    if (peer->said_close)
        return;
    while (opcode < PEER_CLOSE && body.bytes > 1 && dice_chance(&peer->dice, 20)) {
        size_t part = 1 + dice_below(&peer->dice, body.bytes - 1);
        say_frame(peer, first, span_from(body.data, part));
        body = span_from(body.data + part, body.bytes - part);
        first = 0;
    }
    say_frame(peer, 0x80 | first, body);
    if (opcode < PEER_CLOSE && dice_chance(&peer->dice, 4))
        say_frame(peer, 0x80 | PEER_PING, span_of("are you there?"));
}

void peer_send_text(struct peer *peer, const char *format, ...)
{
    static char text[MESSAGE_ROOM - 14];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(bytes >= 0 && (size_t)bytes < sizeof text);
    peer_send(peer, PEER_TEXT, span_from(text, (size_t)bytes));
}

void peer_send_close(struct peer *peer, unsigned code)
{
    uint8_t body[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    peer_send(peer, PEER_CLOSE, span_from(body, code ? 2 : 0));
    peer->said_close = true;
}

void peer_finish(struct peer *peer)
{
    if (!peer->tcp)
        return;
    if (peer->sealed && peer->secured)
        tcp_say(peer->tcp, "\5\0", 2);
    tcp_finish(peer->tcp);
}
