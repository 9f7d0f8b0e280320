/* TLS in memory, the edge's tls.c at both ends: handshakes, whole and resumed, split into what each
 * end computes, and records of a caller's frame. */
#include "bench/micro/micro.h"

#include "common/clock.h"
#include "common/panic.h"
#include "edge/io/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDSHAKES 60
#define FRAME      360 /* a media message */

/* One end of a connection, and what it has cost. */
struct end {
    struct tls *tls;
    uint64_t ns;
    bool done;
    uint8_t sent[TLS_FLIGHT_BYTES_MAX];
    size_t sent_bytes;
};

static struct tls_server *server;
static struct tls_client *client;
static struct end near, far; /* the edge's two roles: accepting, dialling */
static uint8_t plain[TLS_PLAIN_BYTES_MAX];

/* Gives one end what the other has sent; reads what comes after the handshake (tickets). */
static void step(struct end *end, struct end *other)
{
    enum fault fault = FAULT_NONE;
    size_t plain_bytes = 0;
    struct tls_flow flow = {.in = span_from(other->sent, other->sent_bytes),
                            .out = end->sent,
                            .out_room = sizeof end->sent};
    uint64_t begin = clock_monotonic_ns();
    enum tls_step result = end->done ? tls_read(end->tls, &flow, plain, &plain_bytes, &fault)
                                     : tls_handshake(end->tls, &flow, &fault);
    if (!end->done && result == TLS_DONE && flow.in.bytes) /* a ticket behind the handshake */
        tls_read(end->tls, &flow, plain, &plain_bytes, &fault);
    end->ns += clock_monotonic_ns() - begin;
    assert(result == TLS_DONE || result == TLS_MORE);
    end->done = end->done || result == TLS_DONE;
    end->sent_bytes = flow.out_bytes;
    other->sent_bytes = 0;
}

static void shake_hands(uint16_t port, bool resumed)
{
    uint64_t begin = clock_monotonic_ns();
    near.tls = tls_accept(server);
    near.ns = clock_monotonic_ns() - begin;
    begin = clock_monotonic_ns();
    far.tls = tls_dial(client, "localhost", port);
    far.ns = clock_monotonic_ns() - begin;
    assert(near.tls && far.tls);
    near.done = far.done = false;
    near.sent_bytes = far.sent_bytes = 0;
    for (int round = 0; round < 6; round++) {
        step(&far, &near);
        step(&near, &far);
    }
    assert(near.done && far.done && tls_resumed(far.tls) == resumed);
    /* The library sends its tickets with the first record. */
    struct tls_flow flow = {.out = near.sent, .out_room = sizeof near.sent};
    bool written = tls_write(near.tls, &flow, span_of("x"));
    assert(written);
    near.sent_bytes = flow.out_bytes;
    step(&far, &near);
}

static void part(void)
{
    tls_free(near.tls);
    tls_free(far.tls);
}

/* A name's port is part of what sessions are kept by: a new one each time meets no session. */
static void time_handshakes(bool resumed)
{
    uint64_t accepting = UINT64_MAX, dialling = UINT64_MAX;
    for (uint16_t i = 0; i < HANDSHAKES; i++) {
        shake_hands(resumed ? 1 : (uint16_t)(1000 + i), resumed);
        accepting = near.ns < accepting ? near.ns : accepting;
        dialling = far.ns < dialling ? far.ns : dialling;
        part();
    }
    micro_figure(resumed ? "resumed, accepting" : "full, accepting", (double)accepting);
    micro_figure(resumed ? "resumed, dialling" : "full, dialling", (double)dialling);
}

static void copy_frame(void *unused)
{
    (void)unused;
    memcpy(near.sent, plain, FRAME);
    __asm__ volatile("" ::: "memory");
}

static void seal_and_open(void *unused)
{
    (void)unused;
    enum fault fault = FAULT_NONE;
    size_t plain_bytes = 0;
    struct tls_flow out = {.out = far.sent, .out_room = sizeof far.sent};
    bool sealed = tls_write(far.tls, &out, span_from(plain, FRAME));
    struct tls_flow in = {
        .in = span_from(far.sent, out.out_bytes), .out = near.sent, .out_room = sizeof near.sent};
    enum tls_step opened = tls_read(near.tls, &in, plain, &plain_bytes, &fault);
    assert(sealed && opened == TLS_DONE && plain_bytes == FRAME);
}

static bool open_contexts(const char *directory, const char *key_kind)
{
    char command[512], cert[128], key[128], error[256] = "";
    snprintf(cert, sizeof cert, "%s/cert.pem", directory);
    snprintf(key, sizeof key, "%s/key.pem", directory);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey %s -nodes -days 2 -subj /CN=localhost -addext "
             "subjectAltName=DNS:localhost -out %s -keyout %s 2>/dev/null",
             key_kind, cert, key);
    if (system(command) != 0)
        return false;
    server = tls_server_open(cert, key, error, sizeof error);
    client = tls_client_open(cert, error, sizeof error);
    unlink(cert);
    unlink(key);
    if (!server || !client)
        fprintf(stderr, "bench_micro: %s\n", error);
    return server && client;
}

static void close_contexts(void)
{
    tls_client_close(client);
    tls_server_close(server);
}

static bool begin_group(const char *title, const char *key_kind)
{
    char directory[] = "/tmp/bench_micro.XXXXXX";
    bool open = mkdtemp(directory) && open_contexts(directory, key_kind);
    rmdir(directory);
    micro_group(title);
    if (!open) {
        printf("  left out: no certificate could be made\n");
        close_contexts();
    }
    return open;
}

void micro_seal(void)
{
    if (begin_group("TLS 1.3 handshake, RSA-2048 certificate, per end", "rsa:2048")) {
        time_handshakes(false);
        close_contexts();
    }
    if (!begin_group("TLS 1.3 handshake, P-256 certificate, per end",
                     "ec -pkeyopt ec_paramgen_curve:P-256"))
        return;
    time_handshakes(false);
    shake_hands(1, false); /* leaves its tickets */
    part();
    time_handshakes(true);
    shake_hands(1, true);
    micro_group("TLS record of a caller frame (360 bytes)");
    micro_row("memcpy", copy_frame, NULL, 2 * FRAME);
    micro_row("seal and open", seal_and_open, NULL, 2 * FRAME);
    part();
    close_contexts();
}
