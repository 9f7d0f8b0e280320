/* Two readers, one after the other. The gate sees every byte once, as it comes, and decides where
 * the head ends; then lines are checked, and what passed goes to http_parser, whose fields are the
 * ones we keep. The judges at the end decide what the fields may say together. */
#include "edge/wire/http.h"

#include "common/panic.h"

#include <http_parser.h>
#include <strings.h>

/* ---- the gate ---- */

/* May this byte stand here? Lines end with CRLF and with nothing else, none begins with a blank
 * (that would fold it into the one before), and no control byte but TAB occurs. What may stand in a
 * name or a target is judged with the line. */
static bool byte_fits(const uint8_t *data, size_t at)
{
    uint8_t byte = data[at];
    uint8_t before = at ? data[at - 1] : '\n';
    if (before == '\r')
        return byte == '\n';
    if (byte == ' ' || byte == '\t')
        return before != '\n';
    return byte == '\r' || (byte > ' ' && byte != 0x7f);
}

/* Takes bytes until the empty line that ends the head. No state but *at is needed: each byte is
 * judged by its neighbours. */
static enum decode pass_gate(struct span input, size_t *at, enum fault *fault)
{
    for (; *at < input.bytes; (*at)++) {
        if (*at == HTTP_HEAD_BYTES_MAX) {
            *fault = FAULT_http_head_too_large;
            return DECODE_BAD;
        }
        if (!byte_fits(input.data, *at)) {
            *fault = FAULT_http_malformed;
            return DECODE_BAD;
        }
        if (*at == HTTP_LINE_BYTES_MAX + 1 && !memchr(input.data, '\n', *at + 1)) {
            *fault = FAULT_http_line_too_long;
            return DECODE_BAD;
        }
        if (input.data[*at] == '\n' && (*at < 2 || input.data[*at - 2] == '\n')) {
            (*at)++;
            return DECODE_DONE;
        }
    }
    return DECODE_MORE;
}

/* ---- lines ---- */

/* RFC 9110 section 5.6.2. */
static bool is_token(struct span span)
{
    for (size_t i = 0; i < span.bytes; i++) {
        uint8_t byte = span.data[i], lower = byte | 0x20;
        bool alphanumeric = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9');
        if (!alphanumeric && (byte == 0 || !strchr("!#$%&'*+-.^_`|~", byte)))
            return false;
    }
    return span.bytes > 0;
}

/* Cuts what stands before the first mark off the front of *rest, mark dropped. Without a mark all
 * of it, and false. */
static bool cut(struct span *rest, uint8_t mark, struct span *part)
{
    const uint8_t *found = rest->bytes ? memchr(rest->data, mark, rest->bytes) : NULL;
    size_t bytes = found ? (size_t)(found - rest->data) : rest->bytes;
    size_t taken = found ? bytes + 1 : bytes;
    *part = span_from(rest->data, bytes);
    *rest = span_from(rest->data + taken, rest->bytes - taken);
    return found != NULL;
}

/* Cuts the next line off the head, without its CRLF. */
static struct span cut_line(struct span *head)
{
    struct span line;
    bool found = cut(head, '\r', &line);
    assert(found && head->bytes > 0 && head->data[0] == '\n');
    *head = span_from(head->data + 1, head->bytes - 1);
    return line;
}

static struct span trim(struct span span)
{
    while (span.bytes && (span.data[0] == ' ' || span.data[0] == '\t'))
        span = span_from(span.data + 1, span.bytes - 1);
    while (span.bytes && (span.data[span.bytes - 1] == ' ' || span.data[span.bytes - 1] == '\t'))
        span.bytes--;
    return span;
}

static enum fault judge_version(struct span version, unsigned *minor)
{
    if (version.bytes != 8 || !span_starts(version, "HTTP/") || version.data[6] != '.' ||
        version.data[5] < '0' || version.data[5] > '9' || version.data[7] < '0' ||
        version.data[7] > '9')
        return FAULT_http_malformed;
    if (version.data[5] != '1' || version.data[7] > '1')
        return FAULT_http_version;
    *minor = version.data[7] - '0';
    return FAULT_NONE;
}

/* method SP target SP version, single blanks. */
static enum fault judge_request_line(struct span line, struct http_head *head)
{
    if (!cut(&line, ' ', &head->method) || !cut(&line, ' ', &head->target) ||
        !is_token(head->method) || head->target.bytes == 0)
        return FAULT_http_malformed;
    for (size_t i = 0; i < head->target.bytes; i++)
        if (head->target.data[i] <= ' ' || head->target.data[i] >= 0x7f)
            return FAULT_http_malformed;
    return judge_version(line, &head->minor);
}

/* version SP three digits SP reason; the reason may be empty, its blank may not. */
static enum fault judge_status_line(struct span line, struct http_head *head)
{
    struct span version, status;
    if (!cut(&line, ' ', &version) || !cut(&line, ' ', &status) || status.bytes != 3 ||
        judge_version(version, &head->minor))
        return FAULT_http_response;
    for (size_t i = 0; i < 3; i++) {
        if (status.data[i] < '0' || status.data[i] > '9')
            return FAULT_http_response;
        head->status = head->status * 10 + (unsigned)(status.data[i] - '0');
    }
    return head->status >= 100 && head->status <= 599 ? FAULT_NONE : FAULT_http_response;
}

/* All lines behind the first, up to the empty one. */
static enum fault judge_field_lines(struct span lines, size_t *count)
{
    for (*count = 0;; (*count)++) {
        struct span line = cut_line(&lines), name;
        if (line.bytes == 0)
            return FAULT_NONE;
        if (*count == HTTP_FIELDS_MAX)
            return FAULT_http_head_too_large;
        if (!cut(&line, ':', &name) || !is_token(name))
            return FAULT_http_malformed;
    }
}

/* ---- fields ---- */

static bool same_word(struct span left, const char *right)
{
    return left.bytes == strlen(right) &&
           strncasecmp((const char *)left.data, right, left.bytes) == 0;
}

static size_t count_fields(const struct http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->fields_count; i++)
        count += same_word(head->fields[i].name, name);
    return count;
}

struct span http_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->fields_count; i++)
        if (same_word(head->fields[i].name, name))
            return head->fields[i].value;
    return (struct span){0};
}

/* ---- the parser ---- */

static int keep_name(http_parser *parser, const char *at, size_t bytes)
{
    struct http_head *head = parser->data;
    if (head->fields_count == HTTP_FIELDS_MAX)
        return 1;
    head->fields[head->fields_count++] = (struct http_field){.name = span_from(at, bytes)};
    return 0;
}

static int keep_value(http_parser *parser, const char *at, size_t bytes)
{
    struct http_head *head = parser->data;
    assert(head->fields_count > 0);
    head->fields[head->fields_count - 1].value = trim(span_from(at, bytes));
    return 0;
}

/* Lengths are judged here too, because the parser stops at them. */
static enum fault parser_fault(const http_parser *parser, const struct http_head *head)
{
    switch (HTTP_PARSER_ERRNO(parser)) {
    case HPE_INVALID_METHOD:
        return FAULT_http_method;
    case HPE_INVALID_TRANSFER_ENCODING:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return count_fields(head, "Transfer-Encoding") ? FAULT_http_length_required
                                                       : FAULT_http_length_invalid;
    default:
        return FAULT_http_malformed;
    }
}

/* Runs the parser over a head that passed the gate. It must see what we saw. */
static enum fault parse(struct span text, enum http_parser_type type, size_t fields_count,
                        struct http_head *head)
{
    static const http_parser_settings settings = {.on_header_field = keep_name,
                                                  .on_header_value = keep_value};
    http_parser parser;
    http_parser_init(&parser, type);
    parser.data = head;
    parser.allow_chunked_length = 1; /* the two together are judged below, with a better answer */
    size_t taken = http_parser_execute(&parser, &settings, (const char *)text.data, text.bytes);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK)
        return parser_fault(&parser, head);
    bool agreed = taken == text.bytes && head->fields_count == fields_count &&
                  parser.http_major == 1 && parser.http_minor == head->minor;
    if (type == HTTP_REQUEST)
        agreed = agreed && span_is(head->method, http_method_str(parser.method));
    else
        agreed = agreed && parser.status_code == head->status;
    return agreed ? FAULT_NONE : FAULT_http_malformed;
}

/* Is word one of the comma-separated ones in any field of that name? */
static bool lists(const struct http_head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->fields_count; i++) {
        struct span rest = head->fields[i].value, part;
        while (same_word(head->fields[i].name, name) && rest.bytes) {
            cut(&rest, ',', &part);
            if (same_word(trim(part), word))
                return true;
        }
    }
    return false;
}

/* RFC 9112 section 9.3. */
static bool stays_open(const struct http_head *head)
{
    return !lists(head, "Connection", "close") &&
           (head->minor == 1 || lists(head, "Connection", "keep-alive"));
}

/* Digits only and within 64 bits; whether that is too much is for whoever reads the body. */
static bool read_length(struct http_head *head)
{
    struct span text = http_field(head, "Content-Length");
    if (!text.data)
        return true;
    for (size_t i = 0; i < text.bytes; i++)
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(head->content_length, 10u, &head->content_length) ||
            __builtin_add_overflow(head->content_length, (uint64_t)(text.data[i] - '0'),
                                   &head->content_length))
            return false;
    return text.bytes > 0 && count_fields(head, "Content-Length") == 1;
}

/* One host, made of characters that a host and a port are made of (RFC 3986 section 3.2). */
static bool host_is_sound(const struct http_head *head)
{
    size_t count = count_fields(head, "Host");
    struct span host = http_field(head, "Host");
    for (size_t i = 0; i < host.bytes; i++) {
        uint8_t byte = host.data[i], lower = byte | 0x20;
        bool alphanumeric = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9');
        if (!alphanumeric && !strchr("-._~:[]%!$&'()*+;=", byte))
            return false;
    }
    return count == 1 ? host.bytes > 0 : count == 0 && head->minor == 0;
}

/* ---- target ---- */

/* The byte that "%hh" stands for, or -1. */
static int escaped_byte(struct span rest)
{
    int value = 0;
    if (rest.bytes < 3)
        return -1;
    for (size_t i = 1; i < 3; i++) {
        uint8_t byte = rest.data[i], lower = byte | 0x20;
        if (byte >= '0' && byte <= '9')
            value = value * 16 + (byte - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* A path that means one thing however it is normalised: sound escapes, none for '/' or NUL, and no
 * segment that says "here" or "up", escaped or not. */
static bool path_is_normal(struct span path)
{
    size_t segment = 0, dots = 0; /* characters and dots since the last slash */
    for (size_t i = 0; i <= path.bytes; i++) {
        int character = i < path.bytes ? path.data[i] : '/';
        bool escaped = i < path.bytes && character == '%';
        if (escaped) {
            character = escaped_byte(span_from(path.data + i, path.bytes - i));
            if (character <= 0 || character == '/')
                return false;
            i += 2;
        }
        if (character == '/' && dots == segment && (dots == 1 || dots == 2))
            return false;
        segment = character == '/' ? 0 : segment + 1;
        dots = character == '/' ? 0 : dots + (character == '.');
    }
    return true;
}

/* Scheme and authority of an absolute target, which name what Host names and are not used. */
static bool skip_authority(struct span *target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t bytes = strlen(schemes[i]);
        if (target->bytes <= bytes ||
            strncasecmp((const char *)target->data, schemes[i], bytes) != 0)
            continue;
        while (bytes < target->bytes && target->data[bytes] != '/' && target->data[bytes] != '?')
            bytes++;
        *target = span_from(target->data + bytes, target->bytes - bytes);
        return true;
    }
    return false;
}

static enum fault judge_target(struct http_head *head)
{
    struct span rest = head->target;
    if (span_is(head->method, "CONNECT"))
        return FAULT_http_method;
    if (memchr(rest.data, '#', rest.bytes))
        return FAULT_http_malformed;
    if (span_is(rest, "*")) {
        head->path = rest;
        return span_is(head->method, "OPTIONS") ? FAULT_NONE : FAULT_http_malformed;
    }
    if (rest.data[0] != '/' && !skip_authority(&rest))
        return FAULT_http_malformed;
    cut(&rest, '?', &head->path);
    head->query = rest;
    if (head->path.bytes == 0)
        head->path = span_of("/");
    return path_is_normal(head->path) ? FAULT_NONE : FAULT_http_malformed;
}

/* ---- upgrade ---- */

/* 16 bytes in canonical base64: 22 characters, the last with four bits of zeros, and padding. */
static bool key_is_sound(struct span key)
{
    if (key.bytes != 24 || key.data[22] != '=' || key.data[23] != '=' ||
        !memchr("AQgw", key.data[21], 4))
        return false;
    for (size_t i = 0; i < 22; i++) {
        uint8_t byte = key.data[i], lower = byte | 0x20;
        if (!(lower >= 'a' && lower <= 'z') && !(byte >= '0' && byte <= '9') && byte != '+' &&
            byte != '/')
            return false;
    }
    return true;
}

/* RFC 6455 section 4.2.1, for requests that name the protocol. */
static enum fault judge_upgrade(struct http_head *head)
{
    if (!lists(head, "Upgrade", "websocket"))
        return FAULT_NONE;
    struct span version = http_field(head, "Sec-WebSocket-Version");
    head->websocket_key = http_field(head, "Sec-WebSocket-Key");
    if (!span_is(head->method, "GET") || head->minor != 1 || head->content_length ||
        !lists(head, "Connection", "upgrade") || count_fields(head, "Sec-WebSocket-Key") != 1 ||
        !key_is_sound(head->websocket_key) || count_fields(head, "Sec-WebSocket-Version") != 1)
        return FAULT_upgrade_malformed;
    if (!span_is(version, "13"))
        return FAULT_upgrade_version;
    head->upgrade = true;
    return FAULT_NONE;
}

/* ---- the two heads ---- */

static enum fault judge_request(struct http_head *head)
{
    head->keep_alive = stays_open(head);
    if (count_fields(head, "Transfer-Encoding"))
        return FAULT_http_length_required;
    if (!read_length(head))
        return FAULT_http_length_invalid;
    if (!host_is_sound(head))
        return FAULT_http_no_host;
    if (count_fields(head, "Expect"))
        return FAULT_http_expectation;
    enum fault fault = judge_target(head);
    return fault ? fault : judge_upgrade(head);
}

static enum fault read_request(struct span text, struct http_head *head)
{
    struct span lines = text;
    size_t fields_count;
    enum fault fault = judge_request_line(cut_line(&lines), head);
    if (fault == FAULT_NONE)
        fault = judge_field_lines(lines, &fields_count);
    if (fault == FAULT_NONE)
        fault = parse(text, HTTP_REQUEST, fields_count, head);
    return fault ? fault : judge_request(head);
}

/* RFC 6455 section 4.1, except for the value of Sec-WebSocket-Accept. */
static bool accepts_websocket(const struct http_head *head)
{
    return head->status == 101 && head->minor == 1 &&
           same_word(http_field(head, "Upgrade"), "websocket") &&
           count_fields(head, "Upgrade") == 1 && lists(head, "Connection", "upgrade") &&
           count_fields(head, "Sec-WebSocket-Accept") == 1 &&
           !count_fields(head, "Sec-WebSocket-Extensions") &&
           !count_fields(head, "Sec-WebSocket-Protocol") && !count_fields(head, "Content-Length") &&
           !count_fields(head, "Transfer-Encoding");
}

static enum fault read_response(struct span text, struct http_head *head)
{
    struct span lines = text;
    size_t fields_count;
    if (judge_status_line(cut_line(&lines), head) || judge_field_lines(lines, &fields_count) ||
        parse(text, HTTP_RESPONSE, fields_count, head) || !read_length(head))
        return FAULT_http_response;
    head->keep_alive = stays_open(head) && !count_fields(head, "Transfer-Encoding");
    head->upgrade = accepts_websocket(head);
    return FAULT_NONE;
}

enum decode http_request_read(struct span input, size_t *scanned, struct http_head *head,
                              size_t *head_bytes, enum fault *fault)
{
    /* An empty line before a request is some clients' goodbye to the body before (RFC 9112 2.2). */
    size_t lead = input.bytes >= 2 && memcmp(input.data, "\r\n", 2) == 0 ? 2 : 0;
    if (input.bytes == 0 || (input.bytes == 1 && input.data[0] == '\r'))
        return DECODE_MORE;
    struct span text = span_from(input.data + lead, input.bytes - lead);
    size_t at = *scanned > lead ? *scanned - lead : 0;
    enum decode decode = pass_gate(text, &at, fault);
    *scanned = at + lead;
    if (decode != DECODE_DONE)
        return decode;
    *head = (struct http_head){0};
    *fault = read_request(span_from(text.data, at), head);
    *head_bytes = at + lead;
    return *fault ? DECODE_BAD : DECODE_DONE;
}

enum decode http_response_read(struct span input, size_t *scanned, struct http_head *head,
                               size_t *head_bytes, enum fault *fault)
{
    enum decode decode = pass_gate(input, scanned, fault);
    if (decode == DECODE_DONE) {
        *head = (struct http_head){0};
        *head_bytes = *scanned;
        decode = read_response(span_from(input.data, *scanned), head) ? DECODE_BAD : DECODE_DONE;
    }
    if (decode == DECODE_BAD)
        *fault = FAULT_http_response;
    return decode;
}
