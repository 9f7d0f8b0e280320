/* http_client: one bounded, blocking HTTP request, and the only file that knows libcurl.
 *
 * What it is: what jobs and tools ask the outside world with: method, URL, headers, a body from
 * memory or a file, credentials; an answer into memory or a file, with a cap. Everything has a
 * deadline, and a request ends early when its owner must stop. What it is not: a queue or a retry
 * (job.h), nor a place where an answer's meaning is judged.
 *
 * Where it goes: http and https only, no proxies, certificates checked. A socket is opened to
 * public addresses only (address.h), asked of the very address it is opened to and again of
 * each connection that is used again, so that no name that changes its mind helps. Allowed beside
 * that: the hosts of `allow_private`, and, for URLs that the operator and nobody else has chosen,
 * the URL's own host (`by_operator`).
 *
 * Redirects are answers like others (status 3xx) unless redirects_max says more; then GET and HEAD
 * follow them, never from https to http, and what was meant for one origin (credentials, headers
 * marked secret) stays behind when host, port or scheme change.
 *
 * Nothing secret is logged, nor any URL: only method, host, status, size and time, at debug level.
 *
 * A connection that was kept may have died, and libcurl then sends the request again on a new one
 * by itself, although the first may have been read. A request with an effect that must not happen
 * twice says `once`, and gets a connection that nobody has used.
 *
 * Owner: the caller of everything in the request, for the time of the call; the answer's body is
 * the caller's until http_client_free. Thread: any; each thread keeps one handle and its
 * connections until it ends. Bounds: as in the request; 64 KiB of response headers, 16 redirects,
 * 32 headers, HTTP_CLIENT_URL_BYTES_MAX. */
#ifndef RINGBRIDGE_CONTROL_NET_HTTP_CLIENT_H
#define RINGBRIDGE_CONTROL_NET_HTTP_CLIENT_H

#include "common/span.h"

#include <stdatomic.h>
#include <stdio.h>

#define HTTP_CLIENT_URL_BYTES_MAX   4096
#define HTTP_CLIENT_HEADERS_MAX     32
#define HTTP_CLIENT_REDIRECTS_MAX   16
#define HTTP_CLIENT_TEXT_BYTES      256
#define HTTP_CLIENT_ERROR_BYTES     520
#define HTTP_CLIENT_ERROR_BODY_MAX  8192 /* kept of a body that was not wanted in a file */
#define HTTP_CLIENT_RETRY_AFTER_MAX 3600 /* s; who asks for longer gets this */

/* How a request ended. One row: the name (a metric label), is trying again later worth it?
 * For `answered` the status decides: 408, 425, 429, 500, 502, 503 and 504 are. */
#define HTTP_CLIENT_ENDS(ROW)                                                                      \
    ROW(answered, false)   /* a whole response, whatever its status */                             \
    ROW(unresolved, true)  /* the name has no address now */                                       \
    ROW(unreachable, true) /* no connection: refused, no route; nothing of it was asked */         \
    ROW(cut, true)         /* it broke in the middle: whether it was asked is not known */         \
    ROW(timed_out, true)   /* connecting, or all of it, took too long; or nothing came */          \
    ROW(tls, true)         /* no handshake, or a certificate we do not accept */                   \
    ROW(broken, true)      /* truncated, or not HTTP */                                            \
    ROW(refused, false)    /* ours: a URL we do not take, or an address that is not public */      \
    ROW(too_large, false)  /* more than bytes_max */                                               \
    ROW(stopped, true)     /* must_stop said so */                                                 \
    ROW(failed, true)      /* ours: memory, or a file that cannot be read or written */

enum http_client_end {
#define ROW(name, again) HTTP_CLIENT_##name,
    HTTP_CLIENT_ENDS(ROW)
#undef ROW
        HTTP_CLIENT_ENDS_COUNT
};

struct http_client_header {
    const char *name, *value;
    bool secret; /* stays behind when a redirect leaves the origin */
};

/* A response's header that the caller wants: value is "" when it did not come. */
struct http_client_wanted {
    const char *name;
    char value[HTTP_CLIENT_TEXT_BYTES];
};

struct http_client_request {
    const char *method;                       /* "GET", "POST", ...: capital letters */
    const char *url;                          /* no user or password in it; refused otherwise */
    const struct http_client_header *headers; /* refused with control characters in them */
    size_t headers_count;
    struct span body;      /* or */
    const char *body_path; /* a file, sent as long as it is now */
    /* credentials: one of these at most, or none */
    const char *user, *password; /* basic, both set */
    const char *bearer;
    const char *sigv4; /* "aws:amz:REGION:SERVICE"; user and password are the key and its secret */
    /* where to */
    bool by_operator;          /* the URL's own host may be private */
    const char *allow_private; /* hosts or host:port, with commas between; or NULL */
    const char *ca_path;       /* a file of authorities beside the system's; or NULL */
    unsigned redirects_max;    /* 0: none is followed */
    bool once;                 /* never sent a second time by libcurl: see above */
    /* the answer */
    const char *to_path; /* a 2xx body goes to this file, made anew, 0600; NULL: to memory */
    uint64_t bytes_max;  /* 1 at least */
    unsigned connect_ms; /* with name and handshake */
    unsigned total_ms;   /* of everything, redirects included */
    unsigned stall_ms;   /* 0, or: nothing for so long is the end (whole seconds) */
    struct http_client_wanted *wanted; /* filled in */
    size_t wanted_count;
    bool (*must_stop)(void *context); /* or NULL; asked about once a second */
    void *context;
};

struct http_client_response {
    enum http_client_end end;
    unsigned status;       /* 0 unless answered */
    bool try_again;        /* later, not at once */
    int64_t retry_after_s; /* of Retry-After, at most HTTP_CLIENT_RETRY_AFTER_MAX; -1: none */
    char content_type[HTTP_CLIENT_TEXT_BYTES]; /* as it came, or "" */
    uint64_t bytes;                            /* of the body */
    char *body; /* malloc'ed, with a NUL behind; NULL when it went to a file */
    char error[HTTP_CLIENT_ERROR_BYTES]; /* a sentence; "" for a status of 2xx and 3xx */
};

/* What all threads have asked, by end; and answers by class of status (index status / 100). */
struct http_client_figures {
    atomic_uint_fast64_t ends[HTTP_CLIENT_ENDS_COUNT], statuses[6];
};

const char *http_client_end_name(enum http_client_end end);
bool http_client_end_may_mend(enum http_client_end end);
bool http_client_status_may_mend(unsigned status);

/* For http_client.c: one more. */
void http_client_count(const struct http_client_response *response);

/* Asks, and waits for the answer. Fills in all of response; its body is the caller's. True when the
 * status is 2xx. */
bool http_client_run(const struct http_client_request *request,
                     struct http_client_response *response);

/* Wipes and frees the body. */
void http_client_free(struct http_client_response *response);

/* Figures of the process as Prometheus text (ringbridge_control_http_*). */
void http_client_write_figures(FILE *out);

#endif
