/* http_client_url: what of a request can be judged before anybody is asked: where a URL leads,
 * whether a header is one. By libcurl's own reading of URLs, so that check and use cannot differ.
 *
 * For http_client.c, and for whoever takes a URL from a person and wants to say no at once. Owner:
 * the caller, by value. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_NET_HTTP_CLIENT_URL_H
#define RINGBRIDGE_CONTROL_NET_HTTP_CLIENT_URL_H

#include <stdbool.h>

struct http_client_origin {
    char scheme[8], host[256], port[8];
};

/* Takes a URL apart. False: another scheme than http and https, no host, a user or a password in
 * it, longer than HTTP_CLIENT_URL_BYTES_MAX. */
bool http_client_origin_read(const char *url, struct http_client_origin *origin);

bool http_client_origin_same(const struct http_client_origin *left,
                             const struct http_client_origin *right);

/* Where a Location leads that came from base. malloc'ed; NULL: nowhere. */
char *http_client_url_join(const char *base, const char *location);

/* Is its host, or host:port, among the words of list (commas between; NULL: none)? */
bool http_client_origin_among(const struct http_client_origin *origin, const char *list);

/* Can this be a header's name; a header's value? */
bool http_client_name_clean(const char *name);
bool http_client_value_clean(const char *value);

#endif
