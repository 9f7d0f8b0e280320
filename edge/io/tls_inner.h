/* tls_inner: what the files of tls share and nobody else sees.
 *
 *      tls.c          one connection: handshake, records, the end; the little crypto
 *      tls_server.c   a listener's certificate and its tickets
 *      tls_client.c   roots, and the sessions of servers that we dialled before
 * Owner, thread, bounds: tls.h. */
#ifndef RINGBRIDGE_EDGE_IO_TLS_INNER_H
#define RINGBRIDGE_EDGE_IO_TLS_INNER_H

#include "edge/io/tls.h"

#include <openssl/ssl.h>

#define TLS_ALPN_HTTP11    "\x08http/1.1"
#define TLS_NAME_BYTES_MAX 255

/* What SSL_get_app_data gives. Server or client is set. */
struct tls {
    SSL *ssl;
    struct tls_flow *flow; /* of the call that runs, else NULL */
    bool secured, broken, finished;
    struct tls_server *server;
    struct tls_client *client;
    uint16_t port; /* client only, and host */
    char host[];
};

/* Versions, ciphers and curves of both roles. NULL when memory is out. */
SSL_CTX *tls_make_context(void);

/* What the library says last is nearest to the mend: "NO_START_LINE", "No such file". */
void tls_explain(char *error, size_t room, const char *what, const char *path);

/* A connection of either role, its BIO set. NULL when memory is out. */
struct tls *tls_make(SSL_CTX *context, const char *host);

#endif
