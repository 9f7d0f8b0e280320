/* tls: BoringSSL as ciphertext in, plaintext out. The only file that includes its headers.
 *
 * What it is: one struct tls per connection, contexts for the process, and the little crypto that
 * the edge needs (SHA-1 for the WebSocket handshake, random masks). What it is not: sockets.
 * Versions 1.2 and 1.3, AEAD with ECDHE only, no renegotiation, no early data, no client
 * certificates, ALPN http/1.1; as a client it verifies chain and host name always and resumes
 * sessions per host and port, the newest first; as a server it gives tickets under keys that change
 * daily.
 * Memory: the library asks heap.c, so a steady connection allocates nothing from malloc.
 * Thread: contexts any (they lock inside); a struct tls its core's, and it may move with its
 * connection from one core to another. Bounds: TLS_HOSTS_MAX, TLS_SESSIONS_MAX. */
#ifndef RINGBRIDGE_EDGE_IO_TLS_H
#define RINGBRIDGE_EDGE_IO_TLS_H

#include "common/fault.h"
#include "common/span.h"

#define TLS_HOSTS_MAX        64    /* hosts whose sessions are kept; the least used one goes */
#define TLS_SESSIONS_MAX     32    /* sessions kept per host; the oldest one goes */
#define TLS_PLAIN_BYTES_MAX  16384 /* plaintext of one record */
#define TLS_FLIGHT_BYTES_MAX 65536 /* our longest handshake flight: the certificate chain */

/* What an established connection takes, for --plan; tls_test measures it. */
#define TLS_ACCEPTED_BYTES 4096
#define TLS_DIALLED_BYTES  4096

struct tls_server; /* certificate and key of a listener */
struct tls_client; /* roots and the session cache */
struct tls;        /* one connection */

/* PEM files. NULL with a sentence in error[room] that names the mend. */
struct tls_server *tls_server_open(const char *certificate_path, const char *key_path, char *error,
                                   size_t room);
/* Reads the files again; on failure the old certificate stays and false is returned. Any thread. */
bool tls_server_reload(struct tls_server *server, char *error, size_t room);
/* Its connections must be gone. NULL is fine. */
void tls_server_close(struct tls_server *server);

/* roots_path: PEM bundle, or NULL for the system's (/etc/ssl/certs/ca-certificates.crt). */
struct tls_client *tls_client_open(const char *roots_path, char *error, size_t room);
/* Its connections must be gone. NULL is fine. */
void tls_client_close(struct tls_client *client);

/* ---- one connection ---- */

/* What goes through one call: ciphertext that came, and room for ciphertext that must be sent. Out
 * may be written by every call, a failed one too: alerts, tickets, key updates. */
struct tls_flow {
    struct span in; /* moved past what was used */
    uint8_t *out;
    size_t out_bytes, out_room;
};

enum tls_step {
    TLS_DONE,   /* handshake: complete; read: some plaintext */
    TLS_MORE,   /* all of in is used, more is needed */
    TLS_CLOSED, /* read: close_notify came */
    TLS_BAD     /* broken for good; the fault says how */
};

/* NULL when memory is out. Server and client must outlive it. */
struct tls *tls_accept(struct tls_server *server);
struct tls *tls_dial(struct tls_client *client, const char *host, uint16_t port);
void tls_free(struct tls *tls); /* NULL is fine */

/* out_room: TLS_FLIGHT_BYTES_MAX. */
enum tls_step tls_handshake(struct tls *tls, struct tls_flow *flow, enum fault *fault);

/* After the handshake: was an earlier session resumed? */
bool tls_resumed(const struct tls *tls);

/* Decrypts one record into plain[TLS_PLAIN_BYTES_MAX]. */
enum tls_step tls_read(struct tls *tls, struct tls_flow *flow, uint8_t *plain, size_t *plain_bytes,
                       enum fault *fault);

/* Room that plaintext needs as ciphertext. */
size_t tls_sealed_bytes_max(const struct tls *tls, size_t plain_bytes);

/* Encrypts all of plain; out_room: tls_sealed_bytes_max. False: the connection is broken. */
bool tls_write(struct tls *tls, struct tls_flow *flow, struct span plain);

/* Writes close_notify, unless the connection is broken or it was written before. */
void tls_finish(struct tls *tls, struct tls_flow *flow);

/* ---- the little crypto ---- */

/* Key of RFC 6455 section 4.2.2: base64(SHA-1(key + GUID)), 28 characters and NUL. */
void tls_websocket_accept(struct span key, char accept[29]);

/* Random bytes of the real kind. Cheap enough for a mask per frame: drawn in batches. */
void tls_random(void *bytes, size_t count);

#endif
