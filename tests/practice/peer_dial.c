/* Listening and dialling: how connections come about. */
#include "tests/practice/peer_inner.h"

#include "common/panic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIAL_MS       15000
#define TLS_ACCEPT_MS 10000

struct url {
    bool sealed, websocket;
    char host[256], port[8];
    const char *target; /* into the text, or "/" */
};

/* ---- listening ---- */

static void allow_many_sockets(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int bind_to(const struct peer_listen *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    const char *text = options->address ? options->address : "127.0.0.1";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (options->receive_bytes) /* before listening: a connection inherits it */
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &options->receive_bytes, sizeof(int));
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
        fprintf(stderr, "peer: cannot listen on %s:%u: %s\n", text, options->port, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

struct peer_listener *peer_listen(struct peer_loop *loop, const struct peer_listen *options)
{
    allow_many_sockets();
    struct peer_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    int fd = bind_to(options);
    if (fd < 0) {
        free(listener);
        return NULL;
    }
    *listener = (struct peer_listener){
        .source = {PEER_SOURCE_LISTENER, fd}, .loop = loop, .options = *options};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        close(fd);
        free(listener);
        return NULL;
    }
    listener->next = loop->listeners;
    loop->listeners = listener;
    return listener;
}

uint16_t peer_listener_port(const struct peer_listener *listener)
{
    struct sockaddr_in address = {0};
    socklen_t bytes = sizeof address;
    getsockname(listener->source.fd, (struct sockaddr *)&address, &bytes);
    return ntohs(address.sin_port);
}

void peer_listener_close(struct peer_listener *listener)
{
    assert(!listener->closed);
    close(listener->source.fd);
    listener->closed = true;
    listener->loop->closed_some = true;
}

static void adopt(struct peer_listener *listener, int fd)
{
    const struct peer_listen *options = &listener->options;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct peer_conn *conn = peer_new(listener->loop, fd, false);
    if (!conn) {
        close(fd);
        return;
    }
    conn->hooks = options->hooks;
    conn->owner = options->owner;
    conn->speech = PEER_HTTP_SERVER;
    conn->message_bytes_max =
        options->message_bytes_max ? options->message_bytes_max : PEER_MESSAGE_BYTES_MAX;
    if (!options->tls) {
        peer_ready(conn);
        return;
    }
    conn->state = PEER_HANDSHAKING;
    peer_arm(conn, TLS_ACCEPT_MS, "TLS handshake took too long");
    if (!peer_tls_begin(conn, options->tls))
        peer_over(conn, "out of memory");
}

void peer_accept(struct peer_listener *listener)
{
    for (int budget = 64; budget && !listener->closed; budget--) {
        int fd = accept4(listener->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        adopt(listener, fd);
    }
}

/* ---- dialling ---- */

static bool cut_host(struct span text, bool sealed, struct url *url)
{
    const uint8_t *colon = memchr(text.data, ':', text.bytes);
    size_t host_bytes = colon ? (size_t)(colon - text.data) : text.bytes;
    struct span port =
        colon ? span_from(colon + 1, text.bytes - host_bytes - 1) : span_of(sealed ? "443" : "80");
    return host_bytes &&
           span_copy_text(span_from(text.data, host_bytes), url->host, sizeof url->host) &&
           port.bytes && span_copy_text(port, url->port, sizeof url->port);
}

static bool read_url(const char *text, struct url *url)
{
    static const struct {
        const char *scheme;
        bool sealed, websocket;
    } schemes[] = {{"http://", false, false},
                   {"https://", true, false},
                   {"ws://", false, true},
                   {"wss://", true, true}};
    *url = (struct url){.target = "/"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t bytes = strlen(schemes[i].scheme);
        if (strncmp(text, schemes[i].scheme, bytes) != 0)
            continue;
        url->sealed = schemes[i].sealed;
        url->websocket = schemes[i].websocket;
        const char *slash = strchr(text + bytes, '/');
        size_t host_bytes = slash ? (size_t)(slash - text) - bytes : strlen(text + bytes);
        if (slash)
            url->target = slash;
        return cut_host(span_from(text + bytes, host_bytes), url->sealed, url);
    }
    return false;
}

static int connect_to(const char *host, const char *port)
{
    struct addrinfo *list, want = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, port, &want, &list) != 0)
        return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (connect(fd, list->ai_addr, list->ai_addrlen) != 0 && errno != EINPROGRESS) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static struct peer_conn *dial(struct peer_loop *loop, const struct peer_dial *options,
                              const struct url *url)
{
    struct url via = *url;
    if (options->connect_to && !cut_host(span_of(options->connect_to), url->sealed, &via))
        return NULL;
    if (url->sealed && !options->tls)
        return NULL;
    int fd = connect_to(via.host, via.port);
    if (fd < 0)
        return NULL;
    struct peer_conn *conn = peer_new(loop, fd, true);
    if (!conn) {
        close(fd);
        return NULL;
    }
    conn->state = PEER_CONNECTING;
    conn->hooks = options->hooks;
    conn->owner = options->owner;
    conn->message_bytes_max =
        options->message_bytes_max ? options->message_bytes_max : PEER_MESSAGE_BYTES_MAX;
    conn->host = strdup(url->host);
    peer_arm(conn, options->timeout_ms ? options->timeout_ms : DIAL_MS, "took too long");
    if (!conn->host || (url->sealed && !peer_tls_begin(conn, options->tls)))
        peer_over(conn, "out of memory");
    return conn;
}

static void say(struct peer_conn *conn, const char *text)
{
    peer_queue(conn, span_of(text));
}

static void queue_head(struct peer_conn *conn, const char *method, const struct url *url,
                       const char *headers)
{
    bool usual = strcmp(url->port, url->sealed ? "443" : "80") == 0;
    const char *const words[] = {method,
                                 " ",
                                 url->target,
                                 " HTTP/1.1\r\nHost: ",
                                 url->host,
                                 usual ? "" : ":",
                                 usual ? "" : url->port,
                                 "\r\n",
                                 headers ? headers : ""};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        say(conn, words[i]);
}

struct peer_conn *peer_http_request(struct peer_loop *loop, const struct peer_dial *options)
{
    struct url url;
    if (!read_url(options->url, &url) || url.websocket)
        return NULL;
    struct peer_conn *conn = dial(loop, options, &url);
    if (!conn)
        return NULL;
    conn->speech = PEER_HTTP_CLIENT;
    const char *method = options->method ? options->method : options->body.data ? "POST" : "GET";
    char length[64];
    snprintf(length, sizeof length, "Content-Length: %zu\r\nConnection: close\r\n\r\n",
             options->body.bytes);
    queue_head(conn, method, &url, options->headers);
    say(conn, options->body.data ? length : "Connection: close\r\n\r\n");
    peer_queue(conn, options->body);
    return conn;
}

struct peer_conn *peer_ws_dial(struct peer_loop *loop, const struct peer_dial *options)
{
    struct url url;
    if (!read_url(options->url, &url) || !url.websocket)
        return NULL;
    struct peer_conn *conn = dial(loop, options, &url);
    if (!conn)
        return NULL;
    conn->speech = PEER_WS_CLIENT;
    unsigned char nonce[16];
    RAND_bytes(nonce, sizeof nonce);
    EVP_EncodeBlock((unsigned char *)conn->ws_key, nonce, sizeof nonce);
    queue_head(conn, "GET", &url, options->headers);
    say(conn, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: ");
    say(conn, conn->ws_key);
    say(conn, "\r\n\r\n");
    return conn;
}
