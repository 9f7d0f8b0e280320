#include "edge/report/plan_url.h"

#include "common/panic.h"

#include <arpa/inet.h>
#include <string.h>

#define HOST_BYTES_MAX 253 /* of a DNS name in text */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_name_byte(char byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           byte == '-' || byte == '_';
}

/* Labels of 1 to 63 bytes with single dots between them. A closing dot is refused: certificates do
 * not know it. */
static bool is_name(const char *host)
{
    size_t label_bytes = 0;
    if (host[0] == '-' || strlen(host) > HOST_BYTES_MAX)
        return false;
    for (; *host; host++) {
        if (*host == '.' ? label_bytes == 0 : !is_name_byte(*host))
            return false;
        label_bytes = *host == '.' ? 0 : label_bytes + 1;
        if (label_bytes > 63)
            return false;
    }
    return label_bytes > 0;
}

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcmp(host, "localhost") == 0;
}

static bool copy(const char *text, size_t bytes, char *out, size_t room)
{
    if (bytes >= room)
        return false;
    memcpy(out, text, bytes);
    out[bytes] = '\0';
    return true;
}

/* Takes "name" or "[address]" from the front; the rest begins at the return value. */
static const char *take_host(const char *text, struct plan_url *url)
{
    struct in6_addr six;
    bool bracketed = text[0] == '[';
    text += bracketed;
    size_t bytes = strcspn(text, bracketed ? "]" : ":/?");
    if (!copy(text, bytes, url->host, sizeof url->host))
        return NULL;
    text += bytes;
    if (!bracketed)
        return is_name(url->host) ? text : NULL;
    return *text == ']' && inet_pton(AF_INET6, url->host, &six) == 1 ? text + 1 : NULL;
}

static const char *take_port(const char *text, struct plan_url *url)
{
    uint32_t port = 0;
    int digits = 0;
    if (*text != ':') {
        url->port = url->tls ? 443 : 80;
        return text;
    }
    for (text++; is_digit(*text) && digits < 5; text++, digits++)
        port = port * 10 + (uint32_t)(*text - '0');
    if (digits == 0 || port == 0 || port > UINT16_MAX)
        return NULL;
    url->port = (uint16_t)port;
    return text;
}

static const char *take_target(const char *text, struct plan_url *url)
{
    if (*text != '\0' && *text != '/' && *text != '?')
        return "holds something odd after the host";
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '#')
            return "holds a character that may not stand there";
    size_t slash = *text != '/';
    if (slash)
        url->target[0] = '/';
    if (!copy(text, strlen(text), url->target + slash, sizeof url->target - slash))
        return "is too long";
    return NULL;
}

const char *plan_url_read(const char *text, struct plan_url *url)
{
    memset(url, 0, sizeof *url);
    url->tls = strncmp(text, "wss://", 6) == 0;
    if (!url->tls && strncmp(text, "ws://", 5) != 0)
        return "is not a wss:// URL";
    text = take_host(text + (url->tls ? 6 : 5), url);
    if (!text)
        return "has no valid host";
    text = take_port(text, url);
    if (!text)
        return "has no valid port";
    const char *wrong = take_target(text, url);
    if (wrong)
        return wrong;
    if (!url->tls && !is_loopback(url->host))
        return "is ws:// to a host that is not loopback";
    assert(url->host[0] && url->port && url->target[0] == '/');
    return NULL;
}
