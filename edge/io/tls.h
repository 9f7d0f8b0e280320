/* tls: BoringSSL as ciphertext in, plaintext out. The only file that includes its headers.
 *
 * What it is: one struct tls per connection, contexts for the process, and the little crypto that
 * the edge needs (SHA-1 for the WebSocket handshake, random masks). What it is not: sockets.
 * Versions 1.2 and 1.3, AEAD with ECDHE only, no renegotiation, no early data, ALPN http/1.1; as a
 * client it verifies chain and host name always and resumes sessions per host and port.
 * Thread: contexts any (they lock inside); a struct tls its core's. */
#ifndef RINGBRIDGE_EDGE_IO_TLS_H
#define RINGBRIDGE_EDGE_IO_TLS_H

#include "common/fault.h"
#include "common/span.h"

struct tls_server; /* certificate and key of a listener */
struct tls_client; /* roots and the session cache */
struct tls;        /* one connection */

/* PEM files. NULL with a sentence in error[room] that names the mend. */
struct tls_server *tls_server_open(const char *certificate_path, const char *key_path, char *error,
                                   size_t room);
/* Reads the files again; on failure the old certificate stays and false is returned. Any thread. */
bool tls_server_reload(struct tls_server *server, char *error, size_t room);
void tls_server_close(struct tls_server *server);

/* roots_path: PEM bundle, or NULL for the system's (/etc/ssl/certs/ca-certificates.crt). */
struct tls_client *tls_client_open(const char *roots_path, char *error, size_t room);
void tls_client_close(struct tls_client *client);

/* Key of RFC 6455 section 4.2.2: base64(SHA-1(key + GUID)), 28 characters and NUL. */
void tls_websocket_accept(struct span key, char accept[29]);

/* Random bytes of the real kind. Cheap enough for a mask per frame. */
void tls_random(void *bytes, size_t count);

#endif
