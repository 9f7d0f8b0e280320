/* carrier_url: the URLs of webhooks and streams, as Twilio takes them apart.
 *
 * What it is: split, resolve and write http(s) and ws(s) URLs. What it is not: a general URL
 * library (no IPv6 zone ids, no data: or mailto:). Pure. Thread: any. Bounds: the fields below; a
 * URL that does not fit is refused. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_URL_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CARRIER_URL_BYTES_MAX 4096

struct carrier_url {
    char scheme[8];                     /* lower case */
    char host[256];                     /* without brackets */
    uint16_t port;                      /* 0: none was written */
    char target[CARRIER_URL_BYTES_MAX]; /* path and query as written, "/" when there is no path */
    char fragment[256];                 /* connection overrides; never sent, never signed */
};

/* Takes an absolute URL apart; user:password@ is dropped, as Twilio drops it. False: not a URL of
 * the four schemes, or too long. */
bool carrier_url_read(const char *text, struct carrier_url *url);

/* Resolves a reference as found in TwiML against the document's own URL. */
bool carrier_url_resolve(const struct carrier_url *base, const char *reference,
                         struct carrier_url *url);

/* The port to connect to. */
uint16_t carrier_url_port(const struct carrier_url *url);

bool carrier_url_secure(const struct carrier_url *url); /* https, wss */

/* Cuts the query off the target: what Twilio does to a Stream's URL. */
void carrier_url_drop_query(struct carrier_url *url);

/* scheme://host[:port]target; the port only when with_port and one was written. No fragment. False
 * when it does not fit. */
bool carrier_url_write(const struct carrier_url *url, bool with_port, char *text, size_t room);

#endif
