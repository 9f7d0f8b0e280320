/* http: what the gate must refuse, limits at n-1, n and n+1, how fields are judged together, both
 * kinds of heads; each text is also fed byte by byte. */
#include "tests/wire/http_fuzz.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define KEY     "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define SOCKET  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n"

/* The fault of a request (FAULT_NONE: read whole), at once and in drops. */
static enum fault judge_span(struct span text, struct http_head *head)
{
    size_t head_bytes = 0, scanned = 0;
    enum fault fault = FAULT_NONE;
    enum decode decode = assert_dribbles(http_request_read, text, head, &head_bytes);
    assert_int_not_equal(decode, DECODE_MORE);
    assert_int_equal(http_request_read(text, &scanned, head, &head_bytes, &fault), decode);
    return fault;
}

static enum fault judge(const char *text)
{
    struct http_head head;
    return judge_span(span_of(text), &head);
}

static void assert_span(struct span span, const char *text)
{
    if (!span_is(span, text))
        fail_msg("wanted '%s', got '%.*s'", text, (int)span.bytes, (const char *)span.data);
}

static void reads_a_webhook(void **state)
{
    static const char text[] = "POST /api/twilio/status-callback?a=1&b=?/ HTTP/1.1\r\n"
                               "Host: edge.example.com:8443\r\n"
                               "content-length: 12\r\n"
                               "X-Twilio-Signature:\t 0K+abc=  \t\r\n"
                               "Empty:\r\n"
                               "Blank:   \r\n"
                               "Latin: caf\xe9\r\n"
                               "\r\n"
                               "a=b";
    struct http_head head;
    size_t head_bytes = 0, scanned = 0;
    enum fault fault;
    (void)state;
    assert_int_equal(http_request_read(span_of(text), &scanned, &head, &head_bytes, &fault),
                     DECODE_DONE);
    assert_int_equal(head_bytes, strlen(text) - 3);
    assert_span(head.method, "POST");
    assert_span(head.target, "/api/twilio/status-callback?a=1&b=?/");
    assert_span(head.path, "/api/twilio/status-callback");
    assert_span(head.query, "a=1&b=?/");
    assert_int_equal(head.minor, 1);
    assert_int_equal(head.fields_count, 6);
    assert_int_equal(head.content_length, 12);
    assert_true(head.keep_alive);
    assert_false(head.upgrade);
    assert_span(head.fields[0].name, "Host");
    assert_span(http_field(&head, "HOST"), "edge.example.com:8443");
    assert_span(http_field(&head, "x-twilio-signature"), "0K+abc=");
    assert_span(http_field(&head, "Latin"), "caf\xe9");
    assert_non_null(http_field(&head, "Empty").data);
    assert_int_equal(http_field(&head, "Empty").bytes, 0);
    assert_int_equal(http_field(&head, "Blank").bytes, 0);
    assert_null(http_field(&head, "Hos").data);
    assert_null(http_field(&head, "Hostt").data);
}

static void takes_ordinary_requests(void **state)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
        "GET / HTTP/1.1\r\nHOST:x\r\n\r\n",
        "DELETE /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT /%41~b HTTP/1.1\r\nHost: x\r\nContent-Length: 00012\r\n\r\n",
        "GET /a..b/.c/...//d. HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /?../..%2f%00%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://x:80/a HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET HTTPS://x HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n!#$%&'*+-.^_`|~09az: v\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: \x80\xff\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1844674407370955160\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (judge(texts[i]) != FAULT_NONE)
            fail_msg("%s: %s", fault_name(judge(texts[i])), texts[i]);
}

static void splits_targets(void **state)
{
    static const struct {
        const char *target, *path, *query;
    } rows[] = {
        {"/", "/", ""},
        {"/a/b?c=d", "/a/b", "c=d"},
        {"/a?", "/a", ""},
        {"/a?b?c", "/a", "b?c"},
        {"http://h.example:80/a?b", "/a", "b"},
        {"http://h.example", "/", ""},
        {"https://h?x=/y", "/", "x=/y"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        struct http_head head;
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", rows[i].target);
        size_t head_bytes, scanned = 0;
        enum fault fault;
        assert_int_equal(http_request_read(span_of(text), &scanned, &head, &head_bytes, &fault),
                         DECODE_DONE);
        assert_span(head.target, rows[i].target);
        assert_span(head.path, rows[i].path);
        assert_span(head.query, rows[i].query);
    }
}

/* Each row: a text that Debian's http-parser or a careless reader would take. */
static const struct {
    const char *text;
    enum fault fault;
} refused[] = {
    /* lines */
    {"GET / HTTP/1.1\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n\ty\r\n\r\n", FAULT_http_malformed},
    {"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {" GET / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"\x16\x03\x01\x02", FAULT_http_malformed},    /* a TLS hello on a plain port, at once */
    {"GET / HTTP/1.1\r\n ", FAULT_http_malformed}, /* these at once too */
    {"GET / HTTP/1.1\r\nA: b\x7f", FAULT_http_malformed},
    {"GET / HTTP/1.1\n", FAULT_http_malformed},
    /* names and values */
    {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA\tb: c\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA(: b\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n\"A\": b\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA\xe9: b\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\x01\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: b\x7f\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nA: \x0b\r\n\r\n", FAULT_http_malformed},
    /* request line */
    {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /  HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /\tHTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / a HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET a HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"get / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_method},
    {"GETT / HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_method},
    {"BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_method},
    {"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_method},
    /* versions */
    {"GET / HTTP/5.6\r\nHost: x\r\n\r\n", FAULT_http_version},
    {"GET / HTTP/0.9\r\nHost: x\r\n\r\n", FAULT_http_version},
    {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", FAULT_http_version},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", FAULT_http_version},
    {"GET / HTTP/11.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1.10\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / http/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / ICY/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET / HTTP/x.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    /* paths */
    {"GET /.. HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /../ HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a/./b HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a/.?b HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a/%2e%2E HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a/.%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a%2fb HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a%2F HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a%00 HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a% HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a%4 HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a%4g HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET /a%4?1 HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    {"GET http://x/../a HTTP/1.1\r\nHost: x\r\n\r\n", FAULT_http_malformed},
    /* host */
    {"GET / HTTP/1.1\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.0\r\nHost: x\r\nhost: y\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n", FAULT_http_no_host},
    {"GET / HTTP/1.1\r\nHost: caf\xc3\xa9\r\n\r\n", FAULT_http_no_host},
    /* lengths */
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
     FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\n",
     FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5 5\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \"5\"\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1.0\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
     FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
     FAULT_http_length_invalid},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
     FAULT_http_length_required},
    {"POST / HTTP/1.1\r\nHost: x\r\ntransfer-encoding: identity\r\n\r\n",
     FAULT_http_length_required},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n", FAULT_http_length_required},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 1\r\n\r\n",
     FAULT_http_length_required},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     FAULT_http_length_required},
    {"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n", FAULT_http_expectation},
    {"POST / HTTP/1.1\r\nHost: x\r\nexpect: nothing\r\n\r\n", FAULT_http_expectation},
    /* upgrades */
    {"POST / HTTP/1.1\r\nHost: x\r\n" UPGRADE SOCKET "\r\n", FAULT_upgrade_malformed},
    {"GET / HTTP/1.0\r\nHost: x\r\n" UPGRADE SOCKET "\r\n", FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" SOCKET "\r\n", FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgraded\r\n" SOCKET "\r\n",
     FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n" UPGRADE SOCKET "\r\n",
     FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE "Sec-WebSocket-Key: " KEY "\r\n\r\n",
     FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE "Sec-WebSocket-Version: 13\r\n\r\n",
     FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE SOCKET "Sec-WebSocket-Key: " KEY "\r\n\r\n",
     FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE SOCKET "Sec-WebSocket-Version: 8\r\n\r\n",
     FAULT_upgrade_malformed},
    {"GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: " KEY
     "\r\n\r\n",
     FAULT_upgrade_version},
    {"GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE "Sec-WebSocket-Version: 130\r\nSec-WebSocket-Key: " KEY
     "\r\n\r\n",
     FAULT_upgrade_version},
};

static void refuses_each(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (judge(refused[i].text) != refused[i].fault)
            fail_msg("wanted %s, got %s: %s", fault_name(refused[i].fault),
                     fault_name(judge(refused[i].text)), refused[i].text);
}

static void refuses_nul_anywhere(void **state)
{
    static const char text[] = "GET /a?b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
    struct http_head head;
    (void)state;
    for (size_t place = 0; place < sizeof text - 1; place++) {
        char copy[sizeof text];
        memcpy(copy, text, sizeof text);
        copy[place] = '\0';
        assert_int_equal(judge_span(span_from(copy, sizeof text - 1), &head), FAULT_http_malformed);
    }
}

static void judges_keys(void **state)
{
    static const struct {
        const char *key;
        enum fault fault;
    } rows[] = {
        {KEY, FAULT_NONE},
        {"AAAAAAAAAAAAAAAAAAAAAA==", FAULT_NONE},
        {"+/+/+/+/+/+/+/+/+/+/+w==", FAULT_NONE},
        {"dGhlIHNhbXBsZSBub25jZR==", FAULT_upgrade_malformed}, /* left-over bits */
        {"dGhlIHNhbXBsZSBub25jZQ=", FAULT_upgrade_malformed},
        {"dGhlIHNhbXBsZSBub25jZQ", FAULT_upgrade_malformed},
        {"dGhlIHNhbXBsZSBub25jZQ===", FAULT_upgrade_malformed},
        {"dGhlIHNhbXBsZSBub25jZWU=", FAULT_upgrade_malformed}, /* 17 bytes */
        {"dGhlIHNhbXBsZSBub25j", FAULT_upgrade_malformed},     /* 15 bytes */
        {"dGhlIHNhbXBsZSBub25-ZQ==", FAULT_upgrade_malformed},
        {"dGhl IHNhbXBsZSBub25ZQ==", FAULT_upgrade_malformed},
        {"", FAULT_upgrade_malformed},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "GET / HTTP/1.1\r\nHost: x\r\n" UPGRADE
                 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
                 rows[i].key);
        if (judge(text) != rows[i].fault)
            fail_msg("%s", rows[i].key);
    }
}

static void accepts_upgrades(void **state)
{
    static const char *const texts[] = {
        "GET /media/T HTTP/1.1\r\nHost: x\r\n" UPGRADE SOCKET "\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUPGRADE: WebSocket\r\nConnection: keep-alive, "
        "UPGRADE\r\n" SOCKET "\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c,websocket\r\nConnection: keep-alive\r\n"
        "Connection: ,upgrade\t,\r\n" SOCKET "Content-Length: 0\r\n\r\n",
    };
    struct http_head head;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t head_bytes, scanned = 0;
        enum fault fault;
        assert_int_equal(judge(texts[i]), FAULT_NONE);
        http_request_read(span_of(texts[i]), &scanned, &head, &head_bytes, &fault);
        assert_true(head.upgrade);
        assert_span(head.websocket_key, KEY);
    }
}

static bool keeps_alive(const char *version, const char *connection)
{
    char text[200];
    struct http_head head;
    size_t head_bytes, scanned = 0;
    enum fault fault;
    snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: x\r\n%s\r\n", version, connection);
    assert_int_equal(http_request_read(span_of(text), &scanned, &head, &head_bytes, &fault),
                     DECODE_DONE);
    return head.keep_alive;
}

static void knows_who_stays(void **state)
{
    (void)state;
    assert_true(keeps_alive("1.1", ""));
    assert_true(keeps_alive("1.1", "Connection: TE, closed\r\n"));
    assert_false(keeps_alive("1.1", "Connection: close\r\n"));
    assert_false(keeps_alive("1.1", "Connection: keep-alive ,\tClose\r\n"));
    assert_false(keeps_alive("1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert_false(keeps_alive("1.0", ""));
    assert_true(keeps_alive("1.0", "Connection: Keep-Alive\r\n"));
    assert_false(keeps_alive("1.0", "Connection: keep-alive, close\r\n"));
}

/* A request whose line (without CRLF) or whole head has exactly so many bytes. */
static enum fault judge_line_of(size_t bytes)
{
    char *text = malloc(bytes + 100);
    struct http_head head;
    memset(text, 'a', bytes);
    memcpy(text, "GET /", 5);
    memcpy(text + bytes - 9, " HTTP/1.1\r\nHost: x\r\n\r\n", 23);
    enum fault fault = judge_span(span_from(text, bytes - 9 + 23), &head);
    free(text);
    return fault;
}

static enum fault judge_head_of(size_t bytes)
{
    static const char front[] = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
    char *text = malloc(bytes);
    struct http_head head;
    memset(text, 'a', bytes);
    memcpy(text, front, sizeof front - 1);
    memcpy(text + bytes - 4, "\r\n\r\n", 4);
    enum fault fault = judge_span(span_from(text, bytes), &head);
    free(text);
    return fault;
}

static enum fault judge_fields_of(size_t count)
{
    char text[HTTP_HEAD_BYTES_MAX] = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (size_t i = 1; i < count; i++)
        strcat(text, "A: b\r\n");
    strcat(text, "\r\n");
    return judge(text);
}

static void bounds_lines_heads_and_fields(void **state)
{
    (void)state;
    assert_int_equal(judge_line_of(HTTP_LINE_BYTES_MAX - 1), FAULT_NONE);
    assert_int_equal(judge_line_of(HTTP_LINE_BYTES_MAX), FAULT_NONE);
    assert_int_equal(judge_line_of(HTTP_LINE_BYTES_MAX + 1), FAULT_http_line_too_long);
    assert_int_equal(judge_line_of(HTTP_HEAD_BYTES_MAX), FAULT_http_line_too_long);
    assert_int_equal(judge_head_of(HTTP_HEAD_BYTES_MAX - 1), FAULT_NONE);
    assert_int_equal(judge_head_of(HTTP_HEAD_BYTES_MAX), FAULT_NONE);
    assert_int_equal(judge_head_of(HTTP_HEAD_BYTES_MAX + 1), FAULT_http_head_too_large);
    assert_int_equal(judge_fields_of(HTTP_FIELDS_MAX - 1), FAULT_NONE);
    assert_int_equal(judge_fields_of(HTTP_FIELDS_MAX), FAULT_NONE);
    assert_int_equal(judge_fields_of(HTTP_FIELDS_MAX + 1), FAULT_http_head_too_large);
}

/* Too much is refused when it has come, not when the line or head ends. */
static void bounds_what_never_ends(void **state)
{
    char *text = malloc(HTTP_HEAD_BYTES_MAX + 1);
    struct http_head head;
    (void)state;
    memset(text, 'a', HTTP_HEAD_BYTES_MAX + 1);
    assert_int_equal(judge_span(span_from(text, HTTP_LINE_BYTES_MAX + 2), &head),
                     FAULT_http_line_too_long);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(judge_span(span_from(text, HTTP_HEAD_BYTES_MAX + 1), &head),
                     FAULT_http_head_too_large);
    free(text);
}

/* A head that dribbles in: each byte is looked at once, and what was searched stays searched even
 * if it were to change. */
static void remembers_what_it_searched(void **state)
{
    char text[] = "GET / HTTP/1.1\r\nHost: x\r\nA: bbbbbbbb\r\n\r\n";
    struct http_head head;
    size_t head_bytes = 0, scanned = 0;
    enum fault fault = FAULT_NONE;
    (void)state;
    for (size_t bytes = 1; bytes < sizeof text - 1; bytes++) {
        assert_int_equal(
            http_request_read(span_from(text, bytes), &scanned, &head, &head_bytes, &fault),
            DECODE_MORE);
        assert_int_equal(scanned, bytes);
    }
    text[2] = '\n'; /* seen before, so the gate does not look again; the line's judge does */
    text[sizeof text - 2] = '\r';
    assert_int_equal(
        http_request_read(span_from(text, sizeof text - 1), &scanned, &head, &head_bytes, &fault),
        DECODE_BAD);
    assert_int_equal(scanned, sizeof text - 2);
}

static void leaves_what_follows(void **state)
{
    static const char one[] = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\n";
    char two[2 * sizeof one];
    struct http_head head;
    size_t head_bytes = 0, scanned = 0;
    enum fault fault;
    (void)state;
    snprintf(two, sizeof two, "%s%s", one, one);
    assert_int_equal(http_request_read(span_of(two), &scanned, &head, &head_bytes, &fault),
                     DECODE_DONE);
    assert_int_equal(head_bytes, sizeof one - 1);
    two[sizeof one] = '\0'; /* behind the head anything may stand */
    scanned = 0;
    assert_int_equal(
        http_request_read(span_from(two, sizeof two - 2), &scanned, &head, &head_bytes, &fault),
        DECODE_DONE);
    assert_int_equal(head_bytes, sizeof one - 1);
}

/* ---- responses ---- */

#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static enum decode read_response_text(const char *text, struct http_head *head)
{
    size_t head_bytes = 0, scanned = 0;
    enum fault fault = FAULT_NONE;
    enum decode decode = assert_dribbles(http_response_read, span_of(text), head, &head_bytes);
    assert_int_equal(http_response_read(span_of(text), &scanned, head, &head_bytes, &fault),
                     decode);
    assert_int_equal(fault, decode == DECODE_BAD ? FAULT_http_response : FAULT_NONE);
    return decode;
}

static void reads_the_switch(void **state)
{
    struct http_head head;
    (void)state;
    assert_int_equal(read_response_text("HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
                                        "connection: keep-alive, upgrade\r\n" ACCEPT "\r\n\x81",
                                        &head),
                     DECODE_DONE);
    assert_int_equal(head.status, 101);
    assert_true(head.upgrade);
    assert_span(http_field(&head, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void refuses_other_switches(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.0 101 x\r\n" UPGRADE ACCEPT "\r\n",
        "HTTP/1.1 100 x\r\n" UPGRADE ACCEPT "\r\n",
        "HTTP/1.1 200 x\r\n" UPGRADE ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE "\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE ACCEPT ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nConnection: upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websockets\r\nConnection: upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c, websocket\r\nConnection: upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE "Upgrade: websocket\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE ACCEPT "Sec-WebSocket-Protocol: realtime\r\n\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE ACCEPT "Content-Length: 0\r\n\r\n",
        "HTTP/1.1 101 x\r\n" UPGRADE ACCEPT "Transfer-Encoding: chunked\r\n\r\n",
    };
    struct http_head head;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (read_response_text(texts[i], &head) != DECODE_DONE || head.upgrade)
            fail_msg("%s", texts[i]);
    }
}

static void reads_refusals(void **state)
{
    struct http_head head;
    (void)state;
    assert_int_equal(
        read_response_text("HTTP/1.1 401 Unauthorized\r\nContent-Length: 17\r\n\r\n{}", &head),
        DECODE_DONE);
    assert_int_equal(head.status, 401);
    assert_int_equal(head.content_length, 17);
    assert_true(head.keep_alive);
    assert_int_equal(
        read_response_text("HTTP/1.1 502 \r\nTransfer-Encoding: chunked\r\n\r\n", &head),
        DECODE_DONE);
    assert_int_equal(head.status, 502);
    assert_false(head.keep_alive);
    assert_int_equal(read_response_text("HTTP/1.0 599 caf\xe9\r\n\r\n", &head), DECODE_DONE);
    assert_false(head.keep_alive);
}

static void refuses_bad_responses(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 101\r\n\r\n",
        "HTTP/1.1  101 x\r\n\r\n",
        "HTTP/1.1 1010 x\r\n\r\n",
        "HTTP/1.1 10 x\r\n\r\n",
        "HTTP/1.1 099 x\r\n\r\n",
        "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 1a1 x\r\n\r\n",
        "HTTP/2.0 200 x\r\n\r\n",
        "HTTP/1.2 200 x\r\n\r\n",
        "http/1.1 200 x\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 x\r\n\r\n",
        "HTTP/1.1 200 x\n\n",
        "HTTP/1.1 200 x\x01\r\n\r\n",
        "HTTP/1.1 200 x\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 x\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 200 x\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 x\r\nContent-Length: 1, 1\r\n\r\n",
        "\x15\x03\x01",
        "SSH-2.0-x\r\n\r\n",
    };
    struct http_head head;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (read_response_text(texts[i], &head) != DECODE_BAD)
            fail_msg("%s", texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_webhook),
        cmocka_unit_test(takes_ordinary_requests),
        cmocka_unit_test(splits_targets),
        cmocka_unit_test(refuses_each),
        cmocka_unit_test(refuses_nul_anywhere),
        cmocka_unit_test(judges_keys),
        cmocka_unit_test(accepts_upgrades),
        cmocka_unit_test(knows_who_stays),
        cmocka_unit_test(bounds_lines_heads_and_fields),
        cmocka_unit_test(bounds_what_never_ends),
        cmocka_unit_test(remembers_what_it_searched),
        cmocka_unit_test(leaves_what_follows),
        cmocka_unit_test(reads_the_switch),
        cmocka_unit_test(refuses_other_switches),
        cmocka_unit_test(reads_refusals),
        cmocka_unit_test(refuses_bad_responses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
