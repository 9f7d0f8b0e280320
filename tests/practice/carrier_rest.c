#include "tests/practice/carrier_rest.h"

#include "common/panic.h"
#include "tests/practice/carrier_rest_order.h"
#include "tests/practice/carrier_verbs.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PATH_BYTES    128
#define PAGE_SIZE     50
#define PAGE_SIZE_MAX 1000
#define ANSWER_BYTES  4096
#define RESPONSE_TYPE "Content-Type: application/json\r\n"

enum trouble {
    TROUBLE_429,
    TROUBLE_500,
    TROUBLE_500_AFTER,
    TROUBLE_CUT,
    TROUBLE_CUT_AFTER,
    TROUBLE_HALF_AFTER,
    TROUBLE_SILENT,
    TROUBLE_SILENT_AFTER,
    TROUBLE_MUTE_AFTER,
    TROUBLE_COUNT,
    TROUBLE_NONE = TROUBLE_COUNT
};

static const char *const trouble_names[TROUBLE_COUNT] = {"429",    "500",          "500-after",
                                                         "cut",    "cut-after",    "half-after",
                                                         "silent", "silent-after", "mute-after"};

/* A call, and what was ordered. */
struct ordered {
    struct carrier_call call;
    struct carrier_rest_order order;
    time_t created;
};

struct carrier_rest {
    struct carrier *carrier;
    struct peer_listener *listener;
    struct ordered *orders[CARRIER_ORDERS_MAX];
    unsigned count, orders_seen;
    unsigned every[TROUBLE_COUNT]; /* 0: never */
    char authorization[256], prefix[PATH_BYTES];
};

/* ---- answers ---- */

static void respond(struct peer_conn *conn, unsigned status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    assert(text);
    peer_http_respond(conn, status, RESPONSE_TYPE, span_of(text));
    free(text);
    json_decref(json);
}

static void refuse(struct peer_conn *conn, unsigned status, int code, const char *why)
{
    char more[64];
    snprintf(more, sizeof more, "https://www.twilio.com/docs/errors/%d", code);
    respond(conn, status,
            json_pack("{s:i, s:s, s:s, s:i}", "code", code, "message", why, "more_info", more,
                      "status", (int)status));
}

static void write_time(time_t at, char text[64])
{
    struct tm utc;
    gmtime_r(&at, &utc);
    strftime(text, 64, "%a, %d %b %Y %H:%M:%S +0000", &utc);
}

static json_t *describe(const struct carrier_rest *rest, const struct ordered *ordered)
{
    const struct carrier_call *call = &ordered->call;
    char created[64];
    write_time(ordered->created, created);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:s, s:s?}", "sid",
                     call->call_sid, "account_sid", rest->carrier->options->account_sid, "from",
                     ordered->order.order.from, "to", ordered->order.order.to, "status",
                     carrier_call_status(call), "direction", "outbound-api", "date_created",
                     created, "api_version", "2010-04-01", "price", "price_unit", "USD",
                     "start_time", call->rings ? created : NULL);
}

/* ---- troubles ---- */

static void read_troubles(struct carrier_rest *rest)
{
    const struct carrier_options *options = rest->carrier->options;
    for (size_t i = 0; i < options->troubles_count; i++) {
        const char *word = options->troubles[i], *colon = strchr(word, ':');
        size_t bytes = colon ? (size_t)(colon - word) : strlen(word);
        for (unsigned t = 0; t < TROUBLE_COUNT; t++)
            if (strlen(trouble_names[t]) == bytes && strncmp(trouble_names[t], word, bytes) == 0)
                rest->every[t] = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 1;
    }
}

static enum trouble choose_trouble(struct carrier_rest *rest)
{
    rest->orders_seen++;
    for (unsigned t = 0; t < TROUBLE_COUNT; t++)
        if (rest->every[t] && rest->orders_seen % rest->every[t] == 0)
            return (enum trouble)t;
    return TROUBLE_NONE;
}

/* Of what goes wrong before the call is made. True: it did. */
static bool go_wrong_before(struct peer_conn *conn, enum trouble trouble)
{
    if (trouble == TROUBLE_429)
        refuse(conn, 429, 20429, "Too Many Requests");
    else if (trouble == TROUBLE_500)
        peer_http_respond(conn, 500, "Content-Type: text/html\r\n", span_of("<html>sorry</html>"));
    else if (trouble == TROUBLE_CUT)
        peer_reset(conn);
    return trouble == TROUBLE_429 || trouble == TROUBLE_500 || trouble == TROUBLE_CUT ||
           trouble == TROUBLE_SILENT;
}

static void send_half(struct peer_conn *conn, json_t *json)
{
    char answer[ANSWER_BYTES];
    char *text = json_dumps(json, JSON_COMPACT);
    assert(text);
    int bytes = snprintf(answer, sizeof answer,
                         "HTTP/1.1 201 Created\r\n" RESPONSE_TYPE "Content-Length: %zu\r\n\r\n%.*s",
                         strlen(text), (int)(strlen(text) / 2), text);
    assert(bytes > 0 && (size_t)bytes < sizeof answer);
    peer_send_raw(conn, span_from(answer, (size_t)bytes));
    peer_finish(conn);
    free(text);
    json_decref(json);
}

/* The answer to an order that was carried out, as well or badly as it is given. */
static void answer_made(struct carrier_rest *rest, struct peer_conn *conn, struct ordered *ordered,
                        enum trouble trouble)
{
    json_t *json = describe(rest, ordered);
    switch (trouble) {
    case TROUBLE_HALF_AFTER:
        send_half(conn, json);
        return;
    case TROUBLE_500_AFTER:
        peer_http_respond(conn, 500, "Content-Type: text/html\r\n", span_of("<html>sorry</html>"));
        break;
    case TROUBLE_CUT_AFTER:
    case TROUBLE_MUTE_AFTER:
        peer_reset(conn);
        break;
    case TROUBLE_SILENT_AFTER:
        break;
    default:
        respond(conn, 201, json);
        return;
    }
    json_decref(json);
}

/* ---- orders ---- */

static unsigned calls_to(const struct carrier_rest *rest, const char *number)
{
    unsigned count = 0;
    for (unsigned i = 0; i < rest->count; i++)
        count += strcmp(rest->orders[i]->order.order.to, number) == 0 ? 1 : 0;
    return count;
}

static enum carrier_callee read_callee(const char *word, size_t bytes)
{
    static const char *const words[] = {"answer", "busy", "no-answer", "fail", "machine"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == bytes && strncmp(words[i], word, bytes) == 0)
            return (enum carrier_callee)i;
    return CALLEE_ANSWERS;
}

/* What this number does with its next call: the words of --callee in order, the last for ever. */
static enum carrier_callee choose_callee(const struct carrier_rest *rest, const char *number)
{
    const struct carrier_options *options = rest->carrier->options;
    unsigned before = calls_to(rest, number);
    for (size_t i = 0; i < options->callees_count; i++) {
        const char *rule = options->callees[i], *how = strchr(rule, '=');
        if (!how || strlen(number) != (size_t)(how - rule) ||
            strncmp(rule, number, (size_t)(how - rule)) != 0)
            continue;
        how++;
        for (const char *comma; before > 0 && (comma = strchr(how, ',')); before--)
            how = comma + 1;
        return read_callee(how, strcspn(how, ","));
    }
    return CALLEE_ANSWERS;
}

static void create(struct carrier_rest *rest, struct peer_conn *conn, struct span form)
{
    struct carrier_rest_order order;
    const char *why;
    enum trouble trouble = choose_trouble(rest);
    int code = carrier_rest_order_read(form, &order, &why);
    if (code != 0 || rest->count == CARRIER_ORDERS_MAX) {
        refuse(conn, 400, code, why);
        carrier_rest_order_free(&order);
        return;
    }
    if (go_wrong_before(conn, trouble)) {
        carrier_rest_order_free(&order);
        return;
    }
    struct ordered *ordered = calloc(1, sizeof *ordered);
    assert(ordered);
    ordered->order = order;
    ordered->created = time(NULL);
    ordered->order.order.callee = choose_callee(rest, order.order.to);
    ordered->order.order.ring_ms = rest->carrier->options->ring_ms;
    ordered->order.order.mute = trouble == TROUBLE_MUTE_AFTER;
    rest->orders[rest->count++] = ordered;
    carrier_call_begin_ordered(&ordered->call, rest->carrier, rest->count, &ordered->order.order);
    answer_made(rest, conn, ordered, trouble);
}

/* ---- the list ---- */

struct filter {
    char to[64], from[64];
    unsigned page, page_size;
};

static void read_filter(struct span query, struct filter *filter)
{
    char name[64], value[CARRIER_ORDER_VALUE_BYTES];
    *filter = (struct filter){.page_size = PAGE_SIZE};
    while (carrier_rest_next(&query, name, value)) {
        if (strcmp(name, "To") == 0)
            snprintf(filter->to, sizeof filter->to, "%.63s", value);
        else if (strcmp(name, "From") == 0)
            snprintf(filter->from, sizeof filter->from, "%.63s", value);
        else if (strcmp(name, "Page") == 0)
            filter->page = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "PageSize") == 0)
            filter->page_size = (unsigned)strtoul(value, NULL, 10);
    }
    if (filter->page_size == 0 || filter->page_size > PAGE_SIZE_MAX)
        filter->page_size = PAGE_SIZE;
}

static bool passes(const struct ordered *ordered, const struct filter *filter)
{
    const struct carrier_order *order = &ordered->order.order;
    return (!filter->to[0] || strcmp(filter->to, order->to) == 0) &&
           (!filter->from[0] || strcmp(filter->from, order->from) == 0);
}

static void list(struct carrier_rest *rest, struct peer_conn *conn, struct span query)
{
    struct filter filter;
    json_t *calls = json_array();
    unsigned seen = 0;
    read_filter(query, &filter);
    for (unsigned i = rest->count; i-- > 0;) {
        if (!passes(rest->orders[i], &filter))
            continue;
        if (seen / filter.page_size == filter.page)
            json_array_append_new(calls, describe(rest, rest->orders[i]));
        seen++;
    }
    char next[512] = "";
    if (seen > (filter.page + 1) * filter.page_size)
        snprintf(next, sizeof next, "%s.json?To=%s%s&From=%s%s&PageSize=%u&Page=%u", rest->prefix,
                 filter.to[0] ? "%2B" : "", filter.to[0] ? filter.to + 1 : "",
                 filter.from[0] ? "%2B" : "", filter.from[0] ? filter.from + 1 : "",
                 filter.page_size, filter.page + 1);
    respond(conn, 200,
            json_pack("{s:o, s:i, s:i, s:s?}", "calls", calls, "page", (int)filter.page,
                      "page_size", (int)filter.page_size, "next_page_uri", next[0] ? next : NULL));
}

/* ---- one call ---- */

static struct ordered *find(const struct carrier_rest *rest, struct span sid)
{
    for (unsigned i = 0; i < rest->count; i++)
        if (span_is(sid, rest->orders[i]->call.call_sid))
            return rest->orders[i];
    return NULL;
}

static void update(struct carrier_rest *rest, struct peer_conn *conn, struct ordered *ordered,
                   struct span form)
{
    char name[64], value[CARRIER_ORDER_VALUE_BYTES];
    struct carrier_call *call = &ordered->call;
    while (carrier_rest_next(&form, name, value)) {
        bool ends = strcmp(name, "Status") == 0 &&
                    (strcmp(value, "completed") == 0 || strcmp(value, "canceled") == 0);
        if (!ends || call->ended)
            continue;
        if (call->leg_running)
            carrier_call_hang_up(call);
        else
            carrier_call_end(call, "REST", call->answered ? "completed" : "canceled");
    }
    respond(conn, 200, describe(rest, ordered));
}

/* ---- requests ---- */

static bool is_authorized(const struct carrier_rest *rest, const struct peer_request *request)
{
    struct span given = peer_header_find(request->headers, request->header_count, "authorization");
    return given.data && span_is(given, rest->authorization);
}

static void take_request(struct carrier_rest *rest, struct peer_conn *conn,
                         const struct peer_request *request)
{
    char collection[PATH_BYTES + 8];
    size_t prefix = strlen(rest->prefix);
    bool posts = span_is(request->method, "POST");
    snprintf(collection, sizeof collection, "%s.json", rest->prefix);
    if (span_is(request->path, collection)) {
        if (posts)
            create(rest, conn, request->body);
        else
            list(rest, conn, request->query);
        return;
    }
    struct ordered *ordered = NULL;
    if (span_starts(request->path, rest->prefix) &&
        request->path.bytes == prefix + 1 + CARRIER_SID_BYTES + strlen(".json"))
        ordered = find(rest, span_from(request->path.data + prefix + 1, CARRIER_SID_BYTES));
    if (!ordered)
        refuse(conn, 404, 20404, "The requested resource was not found");
    else if (posts)
        update(rest, conn, ordered, request->body);
    else
        respond(conn, 200, describe(rest, ordered));
}

static void on_request(struct peer_conn *conn, const struct peer_request *request)
{
    struct carrier_rest *rest = peer_owner(conn);
    if (is_authorized(rest, request))
        take_request(rest, conn, request);
    else
        refuse(conn, 401, 20003, "Authenticate");
}

static const struct peer_hooks hooks = {.request = on_request};

/* ---- life ---- */

struct carrier_rest *carrier_rest_open(struct carrier *carrier)
{
    const struct carrier_options *options = carrier->options;
    struct carrier_rest *rest = calloc(1, sizeof *rest);
    char credentials[160], address[64], encoded[224];
    const char *colon = strrchr(options->rest, ':');
    assert(rest);
    rest->carrier = carrier;
    read_troubles(rest);
    int bytes =
        snprintf(credentials, sizeof credentials, "%s:%s", options->account_sid, options->token);
    assert(bytes > 0 && (size_t)bytes < sizeof credentials);
    EVP_EncodeBlock((unsigned char *)encoded, (unsigned char *)credentials, bytes);
    snprintf(rest->authorization, sizeof rest->authorization, "Basic %s", encoded);
    snprintf(rest->prefix, sizeof rest->prefix, "/2010-04-01/Accounts/%s/Calls",
             options->account_sid);
    snprintf(address, sizeof address, "%.*s",
             colon ? (int)(colon - options->rest) : (int)strlen(options->rest), options->rest);
    rest->listener = peer_listen(
        carrier->loop, &(struct peer_listen){.address = address,
                                             .port = colon ? (uint16_t)atoi(colon + 1) : 0,
                                             .hooks = &hooks,
                                             .owner = rest});
    if (rest->listener)
        return rest;
    free(rest);
    return NULL;
}

void carrier_rest_end(struct carrier_rest *rest)
{
    peer_listener_close(rest->listener);
    rest->listener = NULL;
    for (unsigned i = 0; i < rest->count; i++)
        carrier_call_hang_up(&rest->orders[i]->call);
}

bool carrier_rest_idle(const struct carrier_rest *rest)
{
    return rest->carrier->calls_done == rest->count;
}

json_t *carrier_rest_report(const struct carrier_rest *rest)
{
    json_t *calls = json_array();
    for (unsigned i = 0; i < rest->count; i++) {
        const struct ordered *ordered = rest->orders[i];
        json_t *report = carrier_call_report(&ordered->call);
        json_object_set_new(report, "to", json_string(ordered->order.order.to));
        json_object_set_new(report, "from", json_string(ordered->order.order.from));
        json_object_set_new(report, "url", json_string(ordered->order.order.url));
        json_array_append_new(calls, report);
    }
    return calls;
}

void carrier_rest_close(struct carrier_rest *rest)
{
    for (unsigned i = 0; i < rest->count; i++) {
        carrier_call_close(&rest->orders[i]->call);
        carrier_rest_order_free(&rest->orders[i]->order);
        free(rest->orders[i]);
    }
    free(rest);
}
