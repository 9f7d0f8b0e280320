/* signature: X-Twilio-Signature, checked and computed.
 *
 * What it is: the strings that Twilio may have signed for a request, their HMAC-SHA1 values, and
 * the comparison in constant time. What it is not: the choice of the auth token (accounts.h), or a
 * protection against replay: nothing in it is dated, so handlers must be idempotent.
 *
 * The URL is the configured public one plus path and query exactly as received, never Host. Because
 * Twilio keeps or drops the port depending on product, and encodes an apostrophe in two ways, there
 * is a short list of candidates; a stream's URL may also have got a slash at its end. One match
 * accepts. A form's fields are signed after the URL: names in order of their bytes, equal values of
 * one name once, its values sorted. Any other body must be announced by bodySHA256 in the query.
 * Owner: the caller. Thread: any. Bounds: SIGNATURE_*.
 * Source: twilio.com "Webhooks security", twilio-node src/webhooks/webhooks.ts. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_SIGNATURE_H
#define RINGBRIDGE_CONTROL_CARRIER_SIGNATURE_H

#include "common/span.h"
#include "control/base/form.h"

#define SIGNATURE_TEXT_BYTES     28 /* base64 of 20 bytes */
#define SIGNATURE_URLS_MAX       6  /* {no port, with port} x {as received, %27, '} */
#define SIGNATURE_URL_BYTES_MAX  32768
#define SIGNATURE_TOKENS_MAX     4 /* current and previous ones, during rotation */
#define SIGNATURE_STREAM_MAX     (4 * SIGNATURE_TOKENS_MAX)
#define SIGNATURE_HOST_BYTES_MAX 256

/* Auth tokens that may have signed. Empty ones are skipped: with none nothing is ever accepted. */
struct signature_tokens {
    const char *tokens[SIGNATURE_TOKENS_MAX]; /* borrowed; NULL or "" is no token */
};

struct signature_request {
    const char *base;        /* PUBLIC_URL: "https://host[:port][/prefix]"; userinfo is dropped */
    struct span target;      /* path and query as received; starts with '/' */
    struct span body;        /* as received */
    const struct form *form; /* the body's fields when it is a form, else NULL */
    struct span presented;   /* the header's value; data NULL when there was none */
};

/* Is this a base URL that candidates can be made of: http(s) or ws(s), a host, a port in range, no
 * query, no fragment? */
bool signature_base_valid(const char *base);

/* Writes the index-th URL that may have been signed, with a NUL, and returns its bytes; 0 when
 * there is none of that index or it does not fit. Indexes run from 0 without holes. A target with
 * '#' or without a leading '/' has none. */
size_t signature_url(const char *base, struct span target, unsigned index, char *url, size_t room);

/* What stands after the URL in the signed string: malloc'ed, *bytes long; NULL only without
 * memory. form NULL: empty. */
char *signature_fields(const struct form *form, size_t *bytes);

/* base64(HMAC-SHA1(token, url + fields)) with its NUL. */
void signature_compute(const char *token, struct span url, struct span fields,
                       char text[SIGNATURE_TEXT_BYTES + 1]);

/* Is the presented signature right under one of the tokens? False as well when a body that is not a
 * form has no or a wrong bodySHA256. Time does not depend on where values differ. */
bool signature_check(const struct signature_request *request,
                     const struct signature_tokens *tokens);

/* Every value that is right for a stream's handshake: {no port, port} x {path, path/} x tokens.
 * base is the wss (or ws) base, path starts with '/'. Returns how many were written. */
size_t signature_stream_values(const char *base, const char *path,
                               const struct signature_tokens *tokens,
                               char values[SIGNATURE_STREAM_MAX][SIGNATURE_TEXT_BYTES + 1]);

#endif
