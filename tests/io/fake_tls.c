/* fake_tls: tls.h without cryptography, for histories that a byte string decides.
 *
 * A record is a type, a length of one byte, and so many bytes. Types, of the low three bits: 0 to 3
 * data, 4 a handshake's flight, 5 close_notify, 6 something that wants an answer (a key update),
 * 7 a record that is broken. Records come in any slices, several at once, as real ones do. */
#include "common/panic.h"
#include "edge/io/tls.h"

#include <stdio.h>
#include <stdlib.h>

#define RECORD_BYTES_MAX 255

enum record { RECORD_DATA = 0, RECORD_FLIGHT = 4, RECORD_CLOSE, RECORD_UPDATE, RECORD_BROKEN };

struct tls {
    bool client, greeted, secured, broken, finished;
    uint8_t held[2 + RECORD_BYTES_MAX];
    size_t held_bytes;
};

static struct tls *make(bool client)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls)
        tls->client = client;
    return tls;
}

struct tls *tls_accept(struct tls_server *server)
{
    (void)server;
    return make(false);
}

struct tls *tls_dial(struct tls_client *client, const char *host, uint16_t port)
{
    (void)client, (void)host, (void)port;
    return make(true);
}

void tls_free(struct tls *tls)
{
    free(tls);
}

static void say(struct tls_flow *flow, uint8_t type, struct span bytes)
{
    assert(bytes.bytes <= RECORD_BYTES_MAX);
    assert(flow->out_room - flow->out_bytes >= 2 + bytes.bytes);
    flow->out[flow->out_bytes++] = type;
    flow->out[flow->out_bytes++] = (uint8_t)bytes.bytes;
    if (bytes.bytes)
        memcpy(flow->out + flow->out_bytes, bytes.data, bytes.bytes);
    flow->out_bytes += bytes.bytes;
}

/* Takes bytes until a record is whole. */
static bool take_record(struct tls *tls, struct tls_flow *flow)
{
    while (tls->held_bytes < 2 || tls->held_bytes < 2u + tls->held[1]) {
        if (flow->in.bytes == 0)
            return false;
        tls->held[tls->held_bytes++] = flow->in.data[0];
        flow->in.data++;
        flow->in.bytes--;
    }
    tls->held_bytes = 0;
    return true;
}

static enum tls_step give_up(struct tls *tls, struct tls_flow *flow, enum fault *fault)
{
    say(flow, RECORD_BROKEN, span_of("alert"));
    tls->broken = true;
    *fault = tls->secured ? FAULT_tls_record : FAULT_tls_handshake;
    return TLS_BAD;
}

enum tls_step tls_handshake(struct tls *tls, struct tls_flow *flow, enum fault *fault)
{
    assert(!tls->secured && !tls->broken);
    if (tls->client && !tls->greeted)
        say(flow, RECORD_FLIGHT, span_of("hello"));
    tls->greeted = true;
    if (!take_record(tls, flow))
        return TLS_MORE;
    if ((tls->held[0] & 7) != RECORD_FLIGHT)
        return give_up(tls, flow, fault);
    if (!tls->client)
        say(flow, RECORD_FLIGHT, span_of("certificate"));
    tls->secured = true;
    return TLS_DONE;
}

bool tls_resumed(const struct tls *tls)
{
    return tls->held[1] & 1;
}

enum tls_step tls_read(struct tls *tls, struct tls_flow *flow, uint8_t *plain, size_t *plain_bytes,
                       enum fault *fault)
{
    assert(tls->secured);
    *plain_bytes = 0;
    if (tls->broken) {
        *fault = FAULT_tls_record;
        return TLS_BAD;
    }
    while (take_record(tls, flow)) {
        uint8_t type = tls->held[0] & 7;
        if (type == RECORD_BROKEN || type == RECORD_FLIGHT)
            return give_up(tls, flow, fault);
        if (type == RECORD_CLOSE)
            return TLS_CLOSED;
        if (type == RECORD_UPDATE)
            say(flow, RECORD_UPDATE, span_of("updated"));
        *plain_bytes = type < RECORD_FLIGHT ? tls->held[1] : 0;
        memcpy(plain, tls->held + 2, *plain_bytes);
        if (*plain_bytes)
            return TLS_DONE;
    }
    return TLS_MORE;
}

size_t tls_sealed_bytes_max(const struct tls *tls, size_t plain_bytes)
{
    (void)tls;
    return plain_bytes + (plain_bytes / RECORD_BYTES_MAX + 1) * 2;
}

bool tls_write(struct tls *tls, struct tls_flow *flow, struct span plain)
{
    assert(tls->secured && !tls->finished);
    while (plain.bytes && !tls->broken) {
        size_t bytes = plain.bytes < RECORD_BYTES_MAX ? plain.bytes : RECORD_BYTES_MAX;
        say(flow, RECORD_DATA, span_from(plain.data, bytes));
        plain = span_from(plain.data + bytes, plain.bytes - bytes);
    }
    return !tls->broken;
}

void tls_finish(struct tls *tls, struct tls_flow *flow)
{
    if (tls->secured && !tls->broken && !tls->finished)
        say(flow, RECORD_CLOSE, span_of(""));
    tls->finished = true;
}

void tls_websocket_accept(struct span key, char accept[29])
{
    snprintf(accept, 29, "%028u", key.bytes ? key.data[0] : 0u);
}

void tls_random(void *bytes, size_t count)
{
    memset(bytes, 0x5a, count);
}
