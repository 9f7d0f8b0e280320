#include "control/tools/tool_http.h"

#include "common/clock.h"
#include "common/log.h"
#include "control/net/http_client.h"
#include "control/store/clean.h"
#include "control/tools/tool_output.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define CONNECT_MS     3000
#define PAUSE_MS       250 /* before the second try; doubles */
#define NAME_BYTES     65
#define VALUE_BYTES    1024
#define DETAIL_BYTES   1000 /* of what a system says about its refusal */
#define LEFT_MS_TO_ASK 300  /* with less there is no use in asking again */

/* ---- the URL ---- */

struct writer {
    char *text;
    size_t bytes, room;
};

static void put(struct writer *writer, const char *text, size_t bytes)
{
    if (writer->bytes + bytes < writer->room) {
        memcpy(writer->text + writer->bytes, text, bytes);
        writer->text[writer->bytes + bytes] = '\0';
    }
    writer->bytes += bytes;
}

static void put_encoded(struct writer *writer, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *text; text++) {
        char escape[4];
        if (strchr(plain, *text)) {
            put(writer, text, 1);
        } else {
            snprintf(escape, sizeof escape, "%%%02X", (unsigned char)*text);
            put(writer, escape, 3);
        }
    }
}

/* A value as it stands in a URL. False: it is none that can. */
static bool write_value(const json_t *value, char text[VALUE_BYTES])
{
    int bytes = -1;
    if (json_is_string(value))
        bytes = snprintf(text, VALUE_BYTES, "%s", json_string_value(value));
    else if (json_is_integer(value))
        bytes = snprintf(text, VALUE_BYTES, "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        bytes = snprintf(text, VALUE_BYTES, "%.15g", json_real_value(value));
    else if (json_is_boolean(value))
        bytes = snprintf(text, VALUE_BYTES, "%s", json_is_true(value) ? "true" : "false");
    return bytes >= 0 && bytes < VALUE_BYTES;
}

static bool is_dots(const char *text)
{
    return strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

static bool is_named(const char *pattern, const char *name)
{
    char mark[NAME_BYTES + 2];
    snprintf(mark, sizeof mark, "{%.64s}", name);
    return strstr(pattern, mark) != NULL;
}

static bool put_query(struct writer *writer, const char *pattern, const json_t *arguments,
                      char *error, size_t room)
{
    char mark = strchr(pattern, '?') ? '&' : '?';
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)arguments, name, value)
    {
        char text[VALUE_BYTES];
        if (is_named(pattern, name) || json_is_null(value))
            continue;
        if (!write_value(value, text)) {
            snprintf(error, room, "%.64s must be a plain value of at most %d bytes", name,
                     VALUE_BYTES - 1);
            return false;
        }
        put(writer, &mark, 1);
        put_encoded(writer, name);
        put(writer, "=", 1);
        put_encoded(writer, text);
        mark = '&';
    }
    return true;
}

/* pattern stands behind a "{"; returns what follows its "}", NULL with a sentence. */
static const char *put_argument(struct writer *writer, const char *pattern, const json_t *arguments,
                                char *error, size_t room)
{
    char name[NAME_BYTES], text[VALUE_BYTES];
    size_t bytes = strcspn(pattern, "}");
    if (pattern[bytes] != '}' || bytes >= sizeof name) {
        snprintf(error, room, "the URL has a { without its }");
        return NULL;
    }
    memcpy(name, pattern, bytes);
    name[bytes] = '\0';
    if (!write_value(json_object_get(arguments, name), text) || !text[0] || is_dots(text)) {
        snprintf(error, room, "%s is needed, as a plain value of at most %d bytes", name,
                 VALUE_BYTES - 1);
        return NULL;
    }
    put_encoded(writer, text);
    return pattern + bytes + 1;
}

bool tool_http_url(const char *pattern, const json_t *arguments, bool with_query, char *url,
                   size_t room, char *error, size_t error_room)
{
    struct writer writer = {url, 0, room};
    const char *at = pattern;
    url[0] = '\0';
    while (*at) {
        size_t plain = strcspn(at, "{");
        put(&writer, at, plain);
        at += plain;
        if (*at && !(at = put_argument(&writer, at + 1, arguments, error, error_room)))
            return false;
    }
    if (with_query && !put_query(&writer, pattern, arguments, error, error_room))
        return false;
    if (writer.bytes < room)
        return true;
    snprintf(error, error_room, "the arguments are too long");
    return false;
}

/* ---- headers ---- */

static bool is_ours(const char *name)
{
    static const char *const names[] = {"host",       "content-length",  "content-type",
                                        "connection", "idempotency-key", "transfer-encoding"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool is_clean(const char *text, const char *besides)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f || strchr(besides, *text))
            return false;
    return true;
}

bool tool_http_check_headers(const json_t *headers, char *error, size_t room)
{
    const char *name;
    json_t *value;
    if (!json_is_object(headers) || json_object_size(headers) > TOOL_HTTP_HEADERS_MAX) {
        snprintf(error, room,
                 "headers must be a JSON object of at most %d texts, "
                 "{\"Authorization\":\"Bearer ..\"}",
                 TOOL_HTTP_HEADERS_MAX);
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)headers, name, value)
    {
        const char *text = json_string_value(value);
        if (name[0] && text && is_clean(name, " :") && is_clean(text, "") && !is_ours(name))
            continue;
        snprintf(error, room, "the header %.60s cannot be sent so", name);
        return false;
    }
    return true;
}

static size_t collect_headers(const struct tool_http *http, bool with_body,
                              struct http_client_header headers[TOOL_HTTP_HEADERS_MAX + 3])
{
    size_t count = 0;
    const char *name;
    json_t *value;
    headers[count++] = (struct http_client_header){"Idempotency-Key", http->call, false};
    headers[count++] = (struct http_client_header){"Accept", "application/json", false};
    if (with_body)
        headers[count++] = (struct http_client_header){"Content-Type", "application/json", false};
    json_object_foreach((json_t *)(uintptr_t)http->headers, name,
                        value) if (count < TOOL_HTTP_HEADERS_MAX + 3) headers[count++] =
        (struct http_client_header){name, json_string_value(value), true};
    return count;
}

/* ---- the answer ---- */

static json_t *read_body(const struct http_client_response *response)
{
    json_t *json = json_loadb(response->body, (size_t)response->bytes, JSON_DECODE_ANY, NULL);
    if (json)
        return json;
    char *text = clean_text(response->body, TOOL_HTTP_BYTES_MAX);
    json = text ? json_string(text) : json_null();
    free(text);
    return json;
}

static json_t *explain_refusal(const struct http_client_response *response)
{
    if (response->status >= 500 || response->status == 429)
        return tool_output_error("The company's system has a problem at the moment (%u).",
                                 response->status);
    if (response->status >= 300 && response->status < 400)
        return tool_output_error("The company's system is not set up for this (%u).",
                                 response->status);
    json_t *output = tool_output_error("The company's system refused this (%u).", response->status);
    char *detail = clean_text(response->body, DETAIL_BYTES);
    if (detail)
        json_object_set_new(output, "detail", json_string(detail));
    free(detail);
    return output;
}

static json_t *explain(const struct http_client_response *response)
{
    switch (response->end) {
    case HTTP_CLIENT_answered:
        if (response->status >= 200 && response->status < 300)
            return json_pack("{s:b, s:o}", "ok", 1, "result", read_body(response));
        return explain_refusal(response);
    case HTTP_CLIENT_timed_out:
        return tool_output_error("The company's system did not answer in time. It is not known "
                                 "whether it was done.");
    case HTTP_CLIENT_too_large:
        return tool_output_error("The company's system answered more than can be read.");
    case HTTP_CLIENT_refused:
        return tool_output_error("This is not set up correctly; the company has to mend it.");
    case HTTP_CLIENT_unresolved:
    case HTTP_CLIENT_unreachable:
    case HTTP_CLIENT_tls:
        return tool_output_error("The company's system cannot be reached at the moment.");
    default:
        return tool_output_error("The company's system gave no answer. It is not known whether it "
                                 "was done.");
    }
}

/* ---- asking ---- */

static char *write_body(const struct tool_http *http)
{
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "tool", http->name, "call", http->call,
                  "conversation", http->conversation, "channel", http->channel, "from", http->from,
                  "to", http->to, "arguments", http->arguments);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static void rest(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

static void log_failure(const struct tool_http *http, const struct http_client_response *response,
                        unsigned tries)
{
    log_warn("a tool's request failed", log_text("tool", http->name), log_text("call", http->call),
             log_text("end", http_client_end_name(response->end)),
             log_number("status", response->status), log_text("error", response->error),
             log_number("try", tries));
}

/* Tries until it is answered for good, the tries are used up or there is no time. */
static json_t *ask(const struct tool_http *http, struct http_client_request *request)
{
    uint64_t until_ns = clock_monotonic_ns() + (uint64_t)http->left_ms * UINT64_C(1000000);
    unsigned pause_ms = PAUSE_MS;
    for (unsigned tries = 1;; tries++) {
        struct http_client_response response;
        uint64_t now_ns = clock_monotonic_ns();
        unsigned left_ms = until_ns > now_ns ? (unsigned)((until_ns - now_ns) / 1000000) : 1;
        request->total_ms = http->timeout_ms < left_ms ? http->timeout_ms : left_ms;
        request->connect_ms = CONNECT_MS < request->total_ms ? CONNECT_MS : request->total_ms;
        bool good = http_client_run(request, &response);
        if (!good)
            log_failure(http, &response, tries);
        now_ns = clock_monotonic_ns() + (uint64_t)pause_ms * UINT64_C(1000000);
        bool again = !good && response.try_again && tries < http->tries_max &&
                     now_ns + LEFT_MS_TO_ASK * UINT64_C(1000000) < until_ns &&
                     !(http->must_stop && http->must_stop(http->context));
        json_t *output = again ? NULL : explain(&response);
        http_client_free(&response);
        if (!again)
            return output;
        rest(pause_ms);
        pause_ms *= 2;
    }
}

json_t *tool_http_run(const struct tool_http *http)
{
    char url[HTTP_CLIENT_URL_BYTES_MAX], error[256];
    struct http_client_header headers[TOOL_HTTP_HEADERS_MAX + 3];
    const char *method = json_string_value(json_object_get(http->settings, "method"));
    const char *pattern = json_string_value(json_object_get(http->settings, "url"));
    if (!method || !pattern || http->left_ms <= 0)
        return tool_output_error("This is not set up correctly; the company has to mend it.");
    bool with_query = strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0;
    if (!tool_http_url(pattern, http->arguments, with_query, url, sizeof url, error, sizeof error))
        return tool_output_error("%s", error);
    char *body = with_query ? NULL : write_body(http);
    struct http_client_request request = {.method = method,
                                          .url = url,
                                          .headers = headers,
                                          .headers_count =
                                              collect_headers(http, !with_query, headers),
                                          .body = body ? span_of(body) : (struct span){NULL, 0},
                                          .allow_private = http->options->allow_private,
                                          .ca_path = http->options->ca_path,
                                          .once = http->tries_max <= 1,
                                          .bytes_max = TOOL_HTTP_BYTES_MAX,
                                          .must_stop = http->must_stop,
                                          .context = http->context};
    json_t *output = ask(http, &request);
    free(body);
    return output;
}
