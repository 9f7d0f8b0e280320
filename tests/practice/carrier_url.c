#include "tests/practice/carrier_url.h"

#include "common/span.h"

#include <ctype.h>
#include <stdio.h>

static bool known_scheme(const char *scheme)
{
    return strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0 ||
           strcmp(scheme, "ws") == 0 || strcmp(scheme, "wss") == 0;
}

static bool read_scheme(const char *text, const char **rest, struct carrier_url *url)
{
    const char *colon = strstr(text, "://");
    if (!colon || (size_t)(colon - text) >= sizeof url->scheme)
        return false;
    size_t bytes = (size_t)(colon - text);
    for (size_t i = 0; i < bytes; i++)
        url->scheme[i] = (char)tolower((unsigned char)text[i]);
    url->scheme[bytes] = '\0';
    *rest = colon + 3;
    return known_scheme(url->scheme);
}

static bool read_port(const char *text, size_t bytes, struct carrier_url *url)
{
    unsigned port = 0;
    if (bytes == 0 || bytes > 5)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port == 0 || port > 65535)
        return false;
    url->port = (uint16_t)port;
    return true;
}

/* host, host:port, [v6], [v6]:port; anything before an @ is userinfo. */
static bool read_authority(const char *text, size_t bytes, struct carrier_url *url)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '@') {
            text += i + 1;
            bytes -= i + 1;
            i = (size_t)-1;
        }
    }
    const char *end = text + bytes;
    const char *host_end = memchr(text, ':', bytes);
    const char *host = text;
    if (bytes && *text == '[') {
        host = text + 1;
        const char *bracket = memchr(text, ']', bytes);
        if (!bracket ||
            !span_copy_text(span_from(host, (size_t)(bracket - host)), url->host, sizeof url->host))
            return false;
        host_end = bracket + 1 < end ? bracket + 1 : NULL;
        if (host_end && *host_end != ':')
            return false;
    } else if (!span_copy_text(span_from(host, (size_t)((host_end ? host_end : end) - host)),
                               url->host, sizeof url->host)) {
        return false;
    }
    if (url->host[0] == '\0')
        return false;
    return !host_end || read_port(host_end + 1, (size_t)(end - host_end - 1), url);
}

/* Path, query and fragment. */
static bool read_target(const char *text, struct carrier_url *url)
{
    size_t bytes = strcspn(text, "#");
    const char *slash = *text == '/' ? "" : "/";
    int written = snprintf(url->target, sizeof url->target, "%s%.*s", slash, (int)bytes, text);
    if (written < 0 || (size_t)written >= sizeof url->target)
        return false;
    const char *fragment = text[bytes] == '#' ? text + bytes + 1 : "";
    return span_copy_text(span_of(fragment), url->fragment, sizeof url->fragment);
}

bool carrier_url_read(const char *text, struct carrier_url *url)
{
    memset(url, 0, sizeof *url);
    if (strlen(text) >= CARRIER_URL_BYTES_MAX)
        return false;
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at <= ' ' || *at == 127)
            return false;
    const char *rest;
    if (!read_scheme(text, &rest, url))
        return false;
    size_t authority = strcspn(rest, "/?#");
    return read_authority(rest, authority, url) && read_target(rest + authority, url);
}

bool carrier_url_resolve(const struct carrier_url *base, const char *reference,
                         struct carrier_url *url)
{
    if (strstr(reference, "://") && strcspn(reference, ":") < strcspn(reference, "/?#"))
        return carrier_url_read(reference, url);
    *url = *base;
    url->fragment[0] = '\0';
    if (*reference == '\0')
        return true;
    if (*reference == '/')
        return read_target(reference, url);
    /* Relative to the directory of the document's path. */
    char joined[2 * CARRIER_URL_BYTES_MAX];
    size_t path = strcspn(base->target, "?");
    if (*reference != '?')
        while (path && base->target[path - 1] != '/')
            path--;
    int written = snprintf(joined, sizeof joined, "%.*s%s", (int)path, base->target, reference);
    return written >= 0 && (size_t)written < sizeof url->target && read_target(joined, url);
}

uint16_t carrier_url_port(const struct carrier_url *url)
{
    if (url->port)
        return url->port;
    return carrier_url_secure(url) ? 443 : 80;
}

bool carrier_url_secure(const struct carrier_url *url)
{
    return strcmp(url->scheme, "https") == 0 || strcmp(url->scheme, "wss") == 0;
}

void carrier_url_drop_query(struct carrier_url *url)
{
    url->target[strcspn(url->target, "?")] = '\0';
}

bool carrier_url_write(const struct carrier_url *url, bool with_port, char *text, size_t room)
{
    char port[8] = "";
    if (with_port && url->port)
        snprintf(port, sizeof port, ":%u", (unsigned)url->port);
    bool v6 = strchr(url->host, ':') != NULL;
    int written = snprintf(text, room, "%s://%s%s%s%s%s", url->scheme, v6 ? "[" : "", url->host,
                           v6 ? "]" : "", port, url->target);
    return written >= 0 && (size_t)written < room;
}
