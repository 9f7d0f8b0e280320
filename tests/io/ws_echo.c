/* ws_echo: the edge's own modules as an echo, so that outside conformance suites can judge HTTP,
 * TLS and both WebSocket roles. A test program; installed nowhere.
 *
 *      ws_echo serve ADDR:PORT [--cert FILE --key FILE]
 *          echoes messages of up to 16 MiB; answers plain requests of any method and path with 200
 *          and their body. Prints "listening on PORT" when it is ready (port 0: any). Ends on
 *          SIGTERM or SIGINT.
 *      ws_echo call URL --agent NAME
 *          plays an echoing client through numbered cases: URL/getCaseCount, URL/runCase?case=N&
 *          agent=NAME, URL/updateReports?agent=NAME. ws:// only, numeric host or localhost. */
#include "edge/io/conn.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES_MAX (16u << 20)
#define QUEUE_BYTES_MAX   (64u << 20)
/* Suites send what no carrier does: 16 MiB in pieces of 64 bytes, pings between all of them. */
#define FRAGMENTS_MAX           (1u << 20)
#define CONTROLS_PER_SECOND_MAX 100000
#define WAIT_MS                 200

static volatile sig_atomic_t ending;

static void end(int signal)
{
    (void)signal;
    ending = 1;
}

struct echo {
    struct io *io;
    struct metrics metrics;
    bool serving;
    /* call: one connection after the other */
    bool over;
    unsigned long count; /* what getCaseCount said */
};

static void echo_message(struct echo *echo, struct conn *conn, const struct message *message)
{
    bool sent = message->kind == MESSAGE_TEXT ? conn_send_text(echo->io, conn, message->body)
                                              : conn_send_binary(echo->io, conn, message->body);
    if (!sent)
        conn_close(echo->io, conn, FAULT_peer_slow);
}

static void answer(struct echo *echo, struct conn *conn, const struct message *message)
{
    if (message->head->upgrade) {
        conn_upgrade(echo->io, conn, MESSAGE_BYTES_MAX);
        return;
    }
    char type[256];
    if (!span_copy_text(http_field(message->head, "content-type"), type, sizeof type))
        snprintf(type, sizeof type, "application/octet-stream");
    conn_respond(echo->io, conn, 200, type, "", message->body, false);
}

static void take(struct echo *echo, struct conn *conn, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_REQUEST:
        answer(echo, conn, message);
        break;
    case MESSAGE_OPEN:
    case MESSAGE_MORE: /* it answers in one piece */
        break;
    case MESSAGE_TEXT:
        if (!echo->serving && conn_leg(conn) == 0) { /* the count of cases */
            char text[32];
            if (span_copy_text(message->body, text, sizeof text))
                echo->count = strtoul(text, NULL, 10);
            break;
        }
        echo_message(echo, conn, message);
        break;
    case MESSAGE_BINARY:
        echo_message(echo, conn, message);
        break;
    case MESSAGE_END:
        echo->over = true;
        break;
    }
}

static void pull(struct echo *echo, struct conn *conn)
{
    struct message message;
    while (conn && conn_next(echo->io, conn, &message))
        take(echo, conn, &message);
}

static void turn(struct echo *echo)
{
    struct io_done done;
    struct timer *timer;
    io_wait(echo->io, WAIT_MS);
    while (io_next(echo->io, &done)) {
        if (done.op == OP_ACCEPT)
            conn_accepted(echo->io, &done);
        else if (done.op == OP_CONNECT)
            conn_connected(echo->io, &done);
        else if (done.op == OP_RECEIVE)
            conn_received(echo->io, &done);
        else if (done.op == OP_SEND)
            conn_sent(echo->io, &done);
        pull(echo, done.conn);
    }
    while ((timer = wheel_take(io_wheel(echo->io))))
        pull(echo, conn_expired(echo->io, timer));
    io_flush(echo->io);
}

static bool read_address(const char *text, struct sockaddr_in *address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || !span_copy_text(span_from(text, (size_t)(colon - text)), host, sizeof host))
        return false;
    if (strcmp(host, "localhost") == 0)
        snprintf(host, sizeof host, "127.0.0.1");
    *address = (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))};
    return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static int serve(struct echo *echo, const char *where, bool tls)
{
    struct sockaddr_in address;
    char error[256];
    if (!read_address(where, &address)) {
        fprintf(stderr, "ws_echo: %s is not ADDR:PORT\n", where);
        return 2;
    }
    if (!io_listen(echo->io, (struct sockaddr *)&address, sizeof address, tls, error,
                   sizeof error)) {
        fprintf(stderr, "ws_echo: %s\n", error);
        return 1;
    }
    printf("listening on %u\n", io_port(echo->io));
    fflush(stdout);
    echo->serving = true;
    while (!ending)
        turn(echo);
    return 0;
}

/* ---- the client's cases ---- */

struct target {
    struct sockaddr_in address;
    char host[64];
    char path[128];
};

static bool read_url(const char *url, struct target *target)
{
    char authority[64];
    if (strncmp(url, "ws://", 5) != 0)
        return false;
    size_t bytes = strcspn(url + 5, "/");
    if (!span_copy_text(span_from(url + 5, bytes), authority, sizeof authority) ||
        !read_address(authority, &target->address))
        return false;
    snprintf(target->host, sizeof target->host, "%.*s", (int)strcspn(authority, ":"), authority);
    snprintf(target->path, sizeof target->path, "%s", url + 5 + bytes);
    size_t path_bytes = strlen(target->path);
    if (path_bytes && target->path[path_bytes - 1] == '/')
        target->path[path_bytes - 1] = '\0';
    return true;
}

/* Dials, and echoes until it is over. leg 0: the connection that only tells the count. */
static bool visit(struct echo *echo, const struct target *target, const char *path, uint32_t leg)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", target->path, path);
    struct dial dial = {.address_bytes = sizeof target->address,
                        .host = target->host,
                        .port = ntohs(target->address.sin_port),
                        .target = full,
                        .headers = "",
                        .message_bytes_max = MESSAGE_BYTES_MAX,
                        .leg = leg};
    memcpy(&dial.address, &target->address, sizeof target->address);
    echo->over = false;
    if (!conn_dial(echo->io, &dial))
        return false;
    while (!echo->over && !ending)
        turn(echo);
    return !ending;
}

static int call(struct echo *echo, const char *url, const char *agent)
{
    struct target target;
    char path[256];
    if (!read_url(url, &target)) {
        fprintf(stderr, "ws_echo: %s is not ws://ADDR:PORT[/PATH]\n", url);
        return 2;
    }
    if (!visit(echo, &target, "/getCaseCount", 0) || echo->count == 0) {
        fprintf(stderr, "ws_echo: no count of cases from %s\n", url);
        return 1;
    }
    printf("%lu cases\n", echo->count);
    for (unsigned long at = 1; at <= echo->count; at++) {
        snprintf(path, sizeof path, "/runCase?case=%lu&agent=%s", at, agent);
        if (!visit(echo, &target, path, 1))
            return 1;
    }
    snprintf(path, sizeof path, "/updateReports?agent=%s", agent);
    return visit(echo, &target, path, 1) ? 0 : 1;
}

static const char *option(int count, char **words, const char *name)
{
    for (int i = 0; i + 1 < count; i++)
        if (strcmp(words[i], name) == 0)
            return words[i + 1];
    return NULL;
}

static int usage(void)
{
    fputs("usage: ws_echo serve ADDR:PORT [--cert FILE --key FILE]\n"
          "       ws_echo call URL --agent NAME\n",
          stderr);
    return 2;
}

int main(int count, char **words)
{
    static struct echo echo;
    char error[256];
    if (count < 3)
        return usage();
    const char *certificate = option(count, words, "--cert"), *key = option(count, words, "--key");
    const char *agent = option(count, words, "--agent");
    bool serving = strcmp(words[1], "serve") == 0;
    if (!serving && (strcmp(words[1], "call") != 0 || !agent))
        return usage();
    signal(SIGTERM, end);
    signal(SIGINT, end);

    struct io_config config = {.metrics = &echo.metrics,
                               .doorbell = -1,
                               .conns_max = 4096,
                               .send_queue_bytes_max = QUEUE_BYTES_MAX,
                               .fragments_max = FRAGMENTS_MAX,
                               .controls_per_second = CONTROLS_PER_SECOND_MAX};
    if (certificate && key &&
        !(config.tls_server = tls_server_open(certificate, key, error, sizeof error))) {
        fprintf(stderr, "ws_echo: %s\n", error);
        return 1;
    }
    echo.io = io_open(&config, error, sizeof error);
    if (!echo.io) {
        fprintf(stderr, "ws_echo: %s\n", error);
        return 1;
    }
    int result = serving ? serve(&echo, words[2], config.tls_server) : call(&echo, words[2], agent);
    io_close(echo.io);
    tls_server_close(config.tls_server);
    return result;
}
