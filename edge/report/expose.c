#include "edge/report/expose.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "edge/report/exposition.h"
#include "edge/report/pulse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_QUEUE 16
#define DRAIN_BYTES                                                                                \
    65536 /* of what a client says after its head, read so that it gets the answer */
#define ADDRESS_BYTES 64

struct expose {
    struct expose_config config;
    int listener, stop; /* stop: an eventfd */
    uint16_t port;
    pthread_t thread;
    struct pulse pulse;
};

struct reply {
    int status;
    const char *type;
    char *body; /* malloc'ed */
    size_t body_bytes;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

static int find_stuck(struct expose *expose)
{
    pulse_look(&expose->pulse, now_ms());
    return pulse_stuck(&expose->pulse);
}

static void watch(struct expose *expose)
{
    struct pulse_stall stall;
    int stuck = find_stuck(expose);
    while (pulse_stalled(&expose->pulse, &stall))
        log_warn("a core took long", log_number("core", stall.core), log_number("ms", stall.ms),
                 log_number("turns", stall.turns));
    if (stuck < 0 || !expose->config.guard)
        return;
    log_error("a core stands still", log_number("core", stuck), log_number("ms", PULSE_STILL_MS));
    never("a core that does not turn");
}

/* Waits for events on a descriptor, looking at the cores meanwhile. False when the time is up or
 * the listener is to end. */
static bool await(struct expose *expose, int descriptor, short events, uint64_t until_ms)
{
    for (;;) {
        uint64_t time_ms = now_ms();
        if (time_ms >= until_ms)
            return false;
        uint64_t left_ms = until_ms - time_ms;
        struct pollfd polls[2] = {{.fd = expose->stop, .events = POLLIN},
                                  {.fd = descriptor, .events = events}};
        int ready = poll(polls, 2, (int)(left_ms < PULSE_LOOK_MS ? left_ms : PULSE_LOOK_MS));
        watch(expose);
        if (ready > 0 && polls[0].revents)
            return false;
        if (ready > 0)
            return true;
    }
}

/* What is answered. */

__attribute__((format(printf, 2, 3))) static struct reply say(int status, const char *format, ...)
{
    struct reply reply = {.status = status, .type = "text/plain; charset=utf-8"};
    va_list arguments;
    va_start(arguments, format);
    int bytes = vasprintf(&reply.body, format, arguments);
    va_end(arguments);
    if (bytes < 0)
        reply.body = NULL;
    reply.body_bytes = bytes < 0 ? 0 : (size_t)bytes;
    return reply;
}

static void write_own(FILE *out, const struct expose *expose)
{
    metrics_write(out, expose->config.metrics, expose->config.cores_count);
    if (expose->config.link)
        link_metrics_write(out, expose->config.link);
}

/* Control's figures behind ours, and how many of its lines could not be shown. */
static void write_control(FILE *out, struct expose *expose, struct span ours)
{
    const char *name = "ringbridge_control_lines_dropped";
    size_t bytes = 0;
    char *text = link_control_metrics(expose->config.link, EXPOSE_CONTROL_MS, &bytes);
    fprintf(out, "# HELP %s Lines of control's metrics not shown: malformed or doubled.\n", name);
    fprintf(out, "# TYPE %s gauge\n", name);
    fprintf(out, "%s %zu\n", name, exposition_join(out, ours, span_from(text, bytes)));
    free(text);
}

static struct reply tell_metrics(struct expose *expose)
{
    struct reply reply = {.status = 200, .type = "text/plain; version=0.0.4; charset=utf-8"};
    char *own = NULL;
    size_t own_bytes = 0;
    FILE *out = open_memstream(&own, &own_bytes);
    if (!out)
        return say(503, "no memory\n");
    write_own(out, expose);
    fclose(out);
    out = open_memstream(&reply.body, &reply.body_bytes);
    if (!own || !out) {
        free(own);
        return say(503, "no memory\n");
    }
    fwrite(own, 1, own_bytes, out);
    if (expose->config.link)
        write_control(out, expose, span_from(own, own_bytes));
    fclose(out);
    free(own);
    return reply;
}

static struct reply tell_health(struct expose *expose)
{
    int stuck = find_stuck(expose);
    return stuck < 0 ? say(200, "ok\n") : say(503, "core %d stands still\n", stuck);
}

static struct reply tell_ready(struct expose *expose)
{
    int stuck = find_stuck(expose);
    const char *why = expose->config.link ? link_unready(expose->config.link) : NULL;
    if (__atomic_load_n(expose->config.draining, __ATOMIC_RELAXED))
        why = "draining";
    if (why)
        return say(503, "%s\n", why);
    return stuck < 0 ? say(200, "ok\n") : say(503, "core %d stands still\n", stuck);
}

/* One client. */

/* Reads up to the empty line. Bytes read, 0 when the client went or took too long, or room when the
 * head is too large. */
static size_t read_head(struct expose *expose, int client, char *head, size_t room,
                        uint64_t until_ms)
{
    size_t bytes = 0;
    while (bytes < room && !memmem(head, bytes, "\r\n\r\n", 4)) {
        if (!await(expose, client, POLLIN, until_ms))
            return 0;
        ssize_t taken = recv(client, head + bytes, room - bytes, MSG_DONTWAIT);
        if (taken == 0 || (taken < 0 && errno != EAGAIN && errno != EINTR))
            return 0;
        bytes += taken > 0 ? (size_t)taken : 0;
    }
    return bytes;
}

/* "GET path HTTP/1.x": the path without its query, or what to answer instead. */
static int read_target(struct span head, struct span *path)
{
    const uint8_t *end = memmem(head.data, head.bytes, "\r\n", 2);
    struct span line = span_from(head.data, end ? (size_t)(end - head.data) : 0);
    const uint8_t *method_end = line.bytes ? memchr(line.data, ' ', line.bytes) : NULL;
    if (!method_end)
        return 400;
    struct span method = span_from(line.data, (size_t)(method_end - line.data));
    struct span rest = span_from(method_end + 1, line.bytes - method.bytes - 1);
    const uint8_t *space = rest.bytes ? memchr(rest.data, ' ', rest.bytes) : NULL;
    if (!space)
        return 400;
    struct span version = span_from(space + 1, rest.bytes - (size_t)(space - rest.data) - 1);
    if (!span_is(version, "HTTP/1.1") && !span_is(version, "HTTP/1.0"))
        return 400;
    if (!span_is(method, "GET"))
        return 405;
    *path = span_from(rest.data, (size_t)(space - rest.data));
    const uint8_t *query = path->bytes ? memchr(path->data, '?', path->bytes) : NULL;
    if (query)
        path->bytes = (size_t)(query - path->data);
    return 0;
}

static struct reply choose(struct expose *expose, struct span head, bool too_large)
{
    struct span path;
    if (too_large)
        return say(431, "the head is larger than %d bytes\n", EXPOSE_HEAD_BYTES_MAX);
    int wrong = read_target(head, &path);
    if (wrong)
        return say(wrong, wrong == 405 ? "only GET\n" : "not HTTP/1.1\n");
    if (span_is(path, "/metrics"))
        return tell_metrics(expose);
    if (span_is(path, "/healthz"))
        return tell_health(expose);
    if (span_is(path, "/readyz"))
        return tell_ready(expose);
    return say(404, "here are /metrics, /healthz and /readyz\n");
}

static bool send_all(struct expose *expose, int client, struct span bytes, uint64_t until_ms)
{
    while (bytes.bytes) {
        ssize_t sent = send(client, bytes.data, bytes.bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent > 0)
            bytes = span_from(bytes.data + sent, bytes.bytes - (size_t)sent);
        else if (!await(expose, client, POLLOUT, until_ms))
            return false;
    }
    return true;
}

static const char *phrase(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default:
        return "Bad Request";
    }
}

/* Bytes of the client that lie unread when the socket closes would reset it and take the answer
 * back. */
static void part(struct expose *expose, int client, uint64_t until_ms)
{
    char rest[4096];
    size_t left = DRAIN_BYTES;
    shutdown(client, SHUT_WR);
    while (left > 0 && await(expose, client, POLLIN, until_ms)) {
        ssize_t taken = recv(client, rest, sizeof rest, MSG_DONTWAIT);
        if (taken <= 0)
            break;
        left -= (size_t)taken < left ? (size_t)taken : left;
    }
}

static void serve(struct expose *expose, int client)
{
    char head[EXPOSE_HEAD_BYTES_MAX + 1], answer[256];
    size_t bytes = read_head(expose, client, head, sizeof head, now_ms() + EXPOSE_CLIENT_MS);
    if (bytes == 0)
        return;
    struct reply reply = choose(expose, span_from(head, bytes), bytes == sizeof head);
    uint64_t until_ms = now_ms() + EXPOSE_CLIENT_MS; /* control may have taken its time */
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
                          "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
                          reply.status, phrase(reply.status), reply.type, reply.body_bytes,
                          reply.status == 405 ? "Allow: GET\r\n" : "");
    assert(length > 0 && (size_t)length < sizeof answer);
    if (send_all(expose, client, span_from(answer, (size_t)length), until_ms) &&
        send_all(expose, client, span_from(reply.body, reply.body_bytes), until_ms))
        part(expose, client, until_ms);
    free(reply.body);
}

/* Out of descriptors or the like: try again a little later instead of spinning. */
static void pause_accepting(struct expose *expose)
{
    await(expose, -1, 0, now_ms() + 100);
}

static bool is_stopped(const struct expose *expose)
{
    struct pollfd stop = {.fd = expose->stop, .events = POLLIN};
    return poll(&stop, 1, 0) > 0;
}

static void *run(void *context)
{
    struct expose *expose = context;
    while (!is_stopped(expose)) {
        if (!await(expose, expose->listener, POLLIN, UINT64_MAX))
            continue;
        int client = accept4(expose->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) {
            pause_accepting(expose);
            continue;
        }
        serve(expose, client);
        close(client);
    }
    return NULL;
}

/* Boot. */

/* Splits "address:port", with brackets around an IPv6 address. */
static bool read_address(const char *text, struct sockaddr_storage *address, socklen_t *bytes)
{
    char host[ADDRESS_BYTES], *end;
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool six = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (length == 0 || !span_copy_text(span_from(text + six, length - 2 * six), host, sizeof host))
        return false;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end || end == colon + 1 || colon[1] == '-' || colon[1] == '+' || port > UINT16_MAX)
        return false;
    memset(address, 0, sizeof *address);
    if (six) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        *bytes = sizeof *in6;
        return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
    }
    struct sockaddr_in *in4 = (struct sockaddr_in *)address;
    in4->sin_family = AF_INET;
    in4->sin_port = htons((uint16_t)port);
    *bytes = sizeof *in4;
    return inet_pton(AF_INET, host, &in4->sin_addr) == 1;
}

static bool listen_on(struct expose *expose, char *error, size_t room)
{
    struct sockaddr_storage address;
    socklen_t bytes;
    int one = 1;
    if (!read_address(expose->config.address, &address, &bytes)) {
        snprintf(error, room, "metrics: not ADDRESS:PORT: %s", expose->config.address);
        return false;
    }
    expose->listener =
        socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (expose->listener < 0 ||
        setsockopt(expose->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(expose->listener, (struct sockaddr *)&address, bytes) != 0 ||
        listen(expose->listener, ACCEPT_QUEUE) != 0 ||
        getsockname(expose->listener, (struct sockaddr *)&address, &bytes) != 0) {
        snprintf(error, room, "metrics: cannot listen on %s: %s", expose->config.address,
                 strerror(errno));
        return false;
    }
    expose->port =
        ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                            : ((struct sockaddr_in *)&address)->sin_port);
    return true;
}

static void release(struct expose *expose)
{
    if (expose->listener >= 0)
        close(expose->listener);
    if (expose->stop >= 0)
        close(expose->stop);
    free(expose);
}

/* Signals are the boot thread's business. */
static bool start(struct expose *expose)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&expose->thread, NULL, run, expose) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_setname_np(expose->thread, "metrics");
    return started;
}

struct expose *expose_open(const struct expose_config *config, char *error, size_t room)
{
    struct expose *expose = calloc(1, sizeof *expose);
    assert(config->cores_count <= CORES_MAX && config->draining);
    if (!expose) {
        snprintf(error, room, "metrics: no memory");
        return NULL;
    }
    expose->config = *config;
    expose->listener = -1;
    expose->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pulse_open(&expose->pulse, expose->config.metrics, config->cores_count, now_ms());
    if (expose->stop < 0)
        snprintf(error, room, "metrics: no descriptor: %s", strerror(errno));
    else if (listen_on(expose, error, room)) {
        if (start(expose))
            return expose;
        snprintf(error, room, "metrics: no thread");
    }
    release(expose);
    return NULL;
}

uint16_t expose_port(const struct expose *expose)
{
    return expose->port;
}

void expose_close(struct expose *expose)
{
    uint64_t one = 1;
    if (!expose)
        return;
    ssize_t written = write(expose->stop, &one, sizeof one);
    assert(written == (ssize_t)sizeof one);
    pthread_join(expose->thread, NULL);
    release(expose);
}
