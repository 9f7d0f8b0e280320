#include "control/carrier/signature.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

/* The parts of a base URL, as spans into it. */
struct base {
    struct span scheme, host, port, prefix; /* port empty when not written */
    const char *default_port;
    bool websocket;
};

static bool read_scheme(struct base *base, struct span *rest)
{
    static const struct {
        const char *text, *port;
        bool websocket;
    } schemes[] = {{"https://", "443", false},
                   {"http://", "80", false},
                   {"wss://", "443", true},
                   {"ws://", "80", true}};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (!span_starts(*rest, schemes[i].text))
            continue;
        base->scheme = span_from(rest->data, strlen(schemes[i].text));
        base->default_port = schemes[i].port;
        base->websocket = schemes[i].websocket;
        *rest = span_from(rest->data + base->scheme.bytes, rest->bytes - base->scheme.bytes);
        return true;
    }
    return false;
}

static bool port_valid(struct span port)
{
    uint32_t value = 0;
    for (size_t i = 0; i < port.bytes; i++) {
        if (port.data[i] < '0' || port.data[i] > '9' || i == 5)
            return false;
        value = value * 10 + (uint32_t)(port.data[i] - '0');
    }
    return port.bytes > 0 && value > 0 && value <= 65535;
}

/* host, host:port or [v6]:port. */
static bool read_authority(struct base *base, struct span authority)
{
    const uint8_t *at = memrchr(authority.data, '@', authority.bytes);
    if (at) {
        size_t userinfo_bytes = (size_t)(at - authority.data) + 1;
        authority = span_from(at + 1, authority.bytes - userinfo_bytes);
    }
    const uint8_t *bracket = memrchr(authority.data, ']', authority.bytes);
    size_t host_min = bracket ? (size_t)(bracket - authority.data) + 1 : 0;
    const uint8_t *colon = memchr(authority.data + host_min, ':', authority.bytes - host_min);
    size_t host_bytes = colon ? (size_t)(colon - authority.data) : authority.bytes;
    base->host = span_from(authority.data, host_bytes);
    base->port = span_from(authority.data + host_bytes, 0);
    if (colon)
        base->port = span_from(colon + 1, authority.bytes - host_bytes - 1);
    return host_bytes > 0 && host_bytes <= SIGNATURE_HOST_BYTES_MAX &&
           (!colon || port_valid(base->port));
}

static bool read_base(const char *text, struct base *base)
{
    struct span rest = span_of(text);
    if (!read_scheme(base, &rest) || rest.bytes == 0)
        return false;
    if (strpbrk(text, "?# \t\r\n"))
        return false;
    const uint8_t *slash = memchr(rest.data, '/', rest.bytes);
    size_t authority_bytes = slash ? (size_t)(slash - rest.data) : rest.bytes;
    if (authority_bytes == 0)
        return false;
    base->prefix = span_from(rest.data + authority_bytes, rest.bytes - authority_bytes);
    while (base->prefix.bytes && base->prefix.data[base->prefix.bytes - 1] == '/')
        base->prefix.bytes--; /* the target brings its own */
    return read_authority(base, span_from(rest.data, authority_bytes));
}

bool signature_base_valid(const char *base)
{
    struct base parts;
    return base && read_base(base, &parts);
}

struct writer {
    char *text;
    size_t room, bytes;
    bool full;
};

static void put(struct writer *writer, struct span span)
{
    if (writer->full || span.bytes >= writer->room - writer->bytes) {
        writer->full = true;
        return;
    }
    if (span.bytes)
        memcpy(writer->text + writer->bytes, span.data, span.bytes);
    writer->bytes += span.bytes;
}

/* The query's apostrophes: as they came, all as %27, or all plain. */
enum apostrophe { APOSTROPHE_KEPT, APOSTROPHE_ESCAPED, APOSTROPHE_PLAIN, APOSTROPHE_WAYS };

static void put_query(struct writer *writer, struct span query, enum apostrophe way)
{
    for (size_t i = 0; i < query.bytes; i++) {
        struct span rest = span_from(query.data + i, query.bytes - i);
        if (way == APOSTROPHE_ESCAPED && rest.data[0] == '\'') {
            put(writer, span_of("%27"));
        } else if (way == APOSTROPHE_PLAIN && span_starts(rest, "%27")) {
            put(writer, span_of("'"));
            i += 2;
        } else {
            put(writer, span_from(rest.data, 1));
        }
    }
}

static void put_origin(struct writer *writer, const struct base *base, bool with_port)
{
    put(writer, base->scheme);
    put(writer, base->host);
    if (!with_port)
        return;
    put(writer, span_of(":"));
    put(writer, base->port.bytes ? base->port : span_of(base->default_port));
}

static bool has_way(struct span query, enum apostrophe way)
{
    switch (way) {
    case APOSTROPHE_ESCAPED:
        return query.bytes && memchr(query.data, '\'', query.bytes);
    case APOSTROPHE_PLAIN:
        return query.bytes && memmem(query.data, query.bytes, "%27", 3);
    default:
        return true;
    }
}

/* The index-th (port, apostrophe) pair that makes a string of its own. */
static bool choose(struct span query, unsigned index, bool *with_port, enum apostrophe *way)
{
    for (unsigned choice = 0; choice < 2 * APOSTROPHE_WAYS; choice++) {
        *with_port = choice % 2 == 1;
        *way = (enum apostrophe)(choice / 2);
        if (has_way(query, *way) && index-- == 0)
            return true;
    }
    return false;
}

size_t signature_url(const char *base, struct span target, unsigned index, char *url, size_t room)
{
    struct base parts;
    if (room == 0)
        return 0;
    url[0] = '\0';
    if (!read_base(base, &parts) || target.bytes == 0 || target.data[0] != '/' ||
        memchr(target.data, '#', target.bytes))
        return 0;
    const uint8_t *mark = memchr(target.data, '?', target.bytes);
    size_t path_bytes = mark ? (size_t)(mark - target.data) : target.bytes;
    struct span query = span_from(target.data + path_bytes, target.bytes - path_bytes);
    bool with_port;
    enum apostrophe way;
    if (!choose(query, index, &with_port, &way))
        return 0;
    struct writer writer = {.text = url, .room = room};
    put_origin(&writer, &parts, with_port);
    put(&writer, parts.prefix);
    put(&writer, span_from(target.data, path_bytes));
    put_query(&writer, query, way);
    if (writer.full)
        return 0;
    url[writer.bytes] = '\0';
    return writer.bytes;
}

static int compare_spans(struct span left, struct span right)
{
    size_t shorter = left.bytes < right.bytes ? left.bytes : right.bytes;
    int order = shorter ? memcmp(left.data, right.data, shorter) : 0;
    if (order != 0)
        return order;
    return left.bytes < right.bytes ? -1 : left.bytes > right.bytes;
}

/* By name first: names and values joined would sort "Reason" + "Participant" wrongly before
 * "ReasonConferenceEnded". */
static int compare_fields(const void *left, const void *right)
{
    const struct form_field *one = left, *other = right;
    int order = compare_spans(one->name, other->name);
    return order ? order : compare_spans(one->value, other->value);
}

static bool same_field(const struct form_field *left, const struct form_field *right)
{
    return compare_fields(left, right) == 0;
}

static char *copy_sorted(const struct form_field *sorted, size_t count, size_t *bytes)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += sorted[i].name.bytes + sorted[i].value.bytes;
    char *text = malloc(room + 1);
    if (!text)
        return NULL;
    struct writer writer = {.text = text, .room = room + 1};
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && same_field(&sorted[i - 1], &sorted[i]))
            continue;
        put(&writer, sorted[i].name);
        put(&writer, sorted[i].value);
    }
    assert(!writer.full);
    text[writer.bytes] = '\0';
    *bytes = writer.bytes;
    return text;
}

char *signature_fields(const struct form *form, size_t *bytes)
{
    struct form_field sorted[FORM_FIELDS_MAX];
    size_t count = form ? form->count : 0;
    assert(count <= FORM_FIELDS_MAX);
    if (count) {
        memcpy(sorted, form->fields, count * sizeof sorted[0]);
        qsort(sorted, count, sizeof sorted[0], compare_fields);
    }
    return copy_sorted(sorted, count, bytes);
}

void signature_compute(const char *token, struct span url, struct span fields,
                       char text[SIGNATURE_TEXT_BYTES + 1])
{
    uint8_t digest[SHA_DIGEST_LENGTH];
    size_t digest_bytes = 0;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    char digest_name[] = "SHA1";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest_name, 0),
                               OSSL_PARAM_construct_end()};
    assert(context);
    int ok = EVP_MAC_init(context, (const uint8_t *)token, strlen(token), parameters) == 1 &&
             EVP_MAC_update(context, url.data, url.bytes) == 1 &&
             (fields.bytes == 0 || EVP_MAC_update(context, fields.data, fields.bytes) == 1) &&
             EVP_MAC_final(context, digest, &digest_bytes, sizeof digest) == 1;
    assert(ok && digest_bytes == sizeof digest);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    int written = EVP_EncodeBlock((uint8_t *)text, digest, sizeof digest);
    assert(written == SIGNATURE_TEXT_BYTES);
}

/* The query's bodySHA256 (64 lower-case hex digits) is that of the body. */
static bool body_announced(struct span target, struct span body)
{
    static const char name[] = "bodySHA256=";
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hex[2 * SHA256_DIGEST_LENGTH + 1];
    const uint8_t *query = memchr(target.data, '?', target.bytes);
    if (!query)
        return false;
    struct span rest = span_from(query + 1, target.bytes - (size_t)(query - target.data) - 1);
    while (!span_starts(rest, name)) {
        const uint8_t *next = rest.bytes ? memchr(rest.data, '&', rest.bytes) : NULL;
        if (!next)
            return false;
        rest = span_from(next + 1, rest.bytes - (size_t)(next - rest.data) - 1);
    }
    rest = span_from(rest.data + strlen(name), rest.bytes - strlen(name));
    const uint8_t *end = rest.bytes ? memchr(rest.data, '&', rest.bytes) : NULL;
    if (end)
        rest.bytes = (size_t)(end - rest.data);
    SHA256(body.data, body.bytes, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return span_equal_secret(rest, span_of(hex));
}

static bool present(const char *token)
{
    return token && token[0] != '\0';
}

/* Every token against one URL, without stopping at a match. */
static bool matches(const struct signature_tokens *tokens, struct span url, struct span fields,
                    struct span presented)
{
    bool match = false;
    for (size_t i = 0; i < SIGNATURE_TOKENS_MAX; i++) {
        char text[SIGNATURE_TEXT_BYTES + 1];
        if (!present(tokens->tokens[i]))
            continue;
        signature_compute(tokens->tokens[i], url, fields, text);
        match |= span_equal_secret(span_of(text), presented);
    }
    return match;
}

bool signature_check(const struct signature_request *request, const struct signature_tokens *tokens)
{
    if (!request->presented.data || request->presented.bytes != SIGNATURE_TEXT_BYTES)
        return false;
    if (!request->form && request->body.bytes && !body_announced(request->target, request->body))
        return false;
    size_t fields_bytes = 0;
    char *fields = signature_fields(request->form, &fields_bytes);
    char *url = malloc(SIGNATURE_URL_BYTES_MAX);
    bool match = false;
    for (unsigned index = 0; fields && url && index < SIGNATURE_URLS_MAX; index++) {
        size_t url_bytes =
            signature_url(request->base, request->target, index, url, SIGNATURE_URL_BYTES_MAX);
        if (url_bytes)
            match |= matches(tokens, span_from(url, url_bytes), span_from(fields, fields_bytes),
                             request->presented);
    }
    free(fields);
    free(url);
    return match;
}

/* The URL of a stream with or without port and closing slash; bytes, or 0 when that makes no string
 * of its own. */
static size_t write_stream_url(const struct base *base, const char *path, bool with_port,
                               bool with_slash, char *url, size_t room)
{
    struct writer writer = {.text = url, .room = room};
    size_t path_bytes = strlen(path);
    bool ends_in_slash = path_bytes > 0 && path[path_bytes - 1] == '/';
    if (with_slash && ends_in_slash)
        return 0;
    put_origin(&writer, base, with_port);
    put(&writer, base->prefix);
    put(&writer, span_from(path, path_bytes));
    if (with_slash)
        put(&writer, span_of("/"));
    return writer.full ? 0 : writer.bytes;
}

size_t signature_stream_values(const char *base, const char *path,
                               const struct signature_tokens *tokens,
                               char values[SIGNATURE_STREAM_MAX][SIGNATURE_TEXT_BYTES + 1])
{
    struct base parts;
    char url[2048];
    size_t count = 0;
    if (!read_base(base, &parts) || !parts.websocket)
        return 0;
    for (unsigned choice = 0; choice < 4; choice++) {
        size_t url_bytes = write_stream_url(&parts, path, choice & 1, choice & 2, url, sizeof url);
        for (size_t i = 0; url_bytes && i < SIGNATURE_TOKENS_MAX; i++)
            if (present(tokens->tokens[i]))
                signature_compute(tokens->tokens[i], span_from(url, url_bytes),
                                  (struct span){NULL, 0}, values[count++]);
    }
    assert(count <= SIGNATURE_STREAM_MAX);
    return count;
}
