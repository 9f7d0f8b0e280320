/* smtp_client: hands one message to a mail server, by libcurl.
 *
 * What it is: connect, TLS, log in, hand over, wait for the server's word; blocking and bounded.
 * What it is not: a queue (job.h). SMTP has no idempotency key: when the connection breaks after
 * the message was sent and before the answer came, nobody knows whether it was taken. That end has
 * a name of its own, SMTP_CLIENT_UNSURE, so that nobody takes it for a failure.
 *
 * Where it goes: one server that the operator has chosen (smtp:// with STARTTLS, smtps://), so no
 * address is refused. Thread: any. Bounds: SMTP_CLIENT_TOTAL_MS. */
#ifndef RINGBRIDGE_CONTROL_NET_SMTP_CLIENT_H
#define RINGBRIDGE_CONTROL_NET_SMTP_CLIENT_H

#include "common/span.h"

#define SMTP_CLIENT_CONNECT_MS  10000
#define SMTP_CLIENT_TOTAL_MS    60000
#define SMTP_CLIENT_ERROR_BYTES 320

enum smtp_client_end {
    SMTP_CLIENT_TAKEN,  /* the server has said 250 */
    SMTP_CLIENT_LATER,  /* not taken; another try may help */
    SMTP_CLIENT_NEVER,  /* refused for good */
    SMTP_CLIENT_UNSURE, /* perhaps taken */
};

struct smtp_client_request {
    const char *url;             /* smtp://host:port or smtps://host:port */
    const char *user, *password; /* both or neither */
    bool needs_tls;              /* false on loopback only */
    const char *ca_path;         /* a file of authorities; or NULL: the system's */
    const char *from;            /* addresses, no names */
    const char *const *to;
    int to_count;
    struct span message;
};

struct smtp_client_response {
    enum smtp_client_end end;
    int status; /* of the server, 0: none */
    char error[SMTP_CLIENT_ERROR_BYTES];
};

void smtp_client_run(const struct smtp_client_request *request,
                     struct smtp_client_response *response);

#endif
