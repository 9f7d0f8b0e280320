#include "tests/practice/carrier_webhook.h"

#include "common/panic.h"
#include "tests/practice/carrier_sign.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define TOTAL_MS      15000
#define REDIRECTS_MAX 5

/* A request on its way; dies in `finish`. */
struct request {
    struct carrier_webhook webhook;
    struct carrier_form form;
    uint64_t begun_ns;
    unsigned redirects, tries_left;
    bool answered; /* the connection brought a response */
    struct peer_timer retry;
};

static void attempt(struct request *request);

void carrier_webhook_uuid(char text[37])
{
    unsigned char r[16];
    int made = RAND_bytes(r, sizeof r);
    assert(made == 1);
    r[6] = (unsigned char)((r[6] & 15) | 64);
    r[8] = (unsigned char)((r[8] & 63) | 128);
    snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
             r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
             r[14], r[15]);
}

void carrier_webhook_route(const struct carrier_options *options, struct carrier_url *url,
                           bool stream, char *connect_to, size_t room)
{
    connect_to[0] = '\0';
    if (strcasecmp(url->host, options->public_url.host) != 0 ||
        carrier_url_port(url) != carrier_url_port(&options->public_url))
        return;
    bool tls = stream ? options->connect_tls : carrier_url_secure(&options->webhook);
    if (stream)
        snprintf(connect_to, room, "%s", options->connect);
    else
        snprintf(connect_to, room, "%s:%u", options->webhook.host,
                 (unsigned)carrier_url_port(&options->webhook));
    bool websocket = url->scheme[0] == 'w';
    snprintf(url->scheme, sizeof url->scheme, "%s%s", websocket ? "ws" : "http", tls ? "s" : "");
}

static void finish(struct request *request, struct carrier_answer answer)
{
    struct carrier_webhook *webhook = &request->webhook;
    peer_timer_clear(webhook->loop, &request->retry);
    answer.url = &webhook->url;
    answer.took_ms = (peer_loop_now_ns(webhook->loop) - request->begun_ns) / 1000000;
    webhook->answered(webhook->owner, &answer);
    free(request);
}

/* Does the URL's fragment ask for this kind of failure to be repeated? */
static bool repeats(const struct request *request, unsigned status)
{
    const char *policy = strstr(request->webhook.url.fragment, "rp=");
    if (!policy)
        return status == 0;
    size_t bytes = strcspn(policy, "&");
    const char *kind = status == 0 ? "ct" : status >= 500 ? "5xx" : "4xx";
    const char *all = strstr(policy, "all"), *this = strstr(policy, kind);
    return (all && all < policy + bytes) || (this && this < policy + bytes);
}

static unsigned tries(const struct carrier_url *url)
{
    const char *count = strstr(url->fragment, "rc=");
    if (count && count[3] >= '0' && count[3] <= '5')
        return (unsigned)(count[3] - '0');
    return 1;
}

static void retry_fired(void *owner)
{
    attempt(owner);
}

/* Repeats a failure if that is wanted and there is time; true when it will. */
static bool retry(struct request *request, unsigned status)
{
    uint64_t now = peer_loop_now_ns(request->webhook.loop);
    bool late = now - request->begun_ns > (TOTAL_MS - 1000) * 1000000ull;
    if (status >= 200 && status < 400)
        return false;
    if (late || request->tries_left == 0 || !repeats(request, status))
        return false;
    request->tries_left--;
    request->retry = (struct peer_timer){.fire = retry_fired, .owner = request};
    peer_timer_set(request->webhook.loop, &request->retry, now + 200000000ull);
    return true;
}

static bool redirect(struct request *request, const struct peer_response *response)
{
    unsigned status = response->status;
    bool moved = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    struct span location = peer_header_find(response->headers, response->header_count, "location");
    char text[CARRIER_URL_BYTES_MAX];
    if (!moved || request->redirects == REDIRECTS_MAX || !location.data ||
        !span_copy_text(location, text, sizeof text))
        return false;
    struct carrier_url next;
    if (!carrier_url_resolve(&request->webhook.url, text, &next))
        return false;
    request->webhook.url = next;
    request->redirects++;
    if (status < 307)
        request->webhook.get = true;
    return true;
}

static void on_response(struct peer_conn *conn, const struct peer_response *response)
{
    struct request *request = peer_owner(conn);
    request->answered = true;
    peer_set_owner(conn, NULL);
    if (redirect(request, response)) {
        attempt(request);
        return;
    }
    if (retry(request, response->status))
        return;
    struct span type = peer_header_find(response->headers, response->header_count, "content-type");
    finish(request, (struct carrier_answer){
                        .status = response->status, .body = response->body, .type = type});
}

static void on_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct request *request = peer_owner(conn);
    if (!request || retry(request, 0))
        return;
    finish(request, (struct carrier_answer){.why = ending->why});
}

static const struct peer_hooks hooks = {.response = on_response, .closed = on_closed};

static void sign(const struct request *request, const struct carrier_url *url, char *signature)
{
    const struct carrier_options *options = request->webhook.options;
    char address[CARRIER_URL_BYTES_MAX + 300];
    bool fits = carrier_sign_address(url, address, sizeof address);
    assert(fits);
    carrier_sign(options->token, address, request->webhook.get ? NULL : &request->form, signature);
    if (options->misdeeds[MISDEED_WRONG_SIGNATURE])
        signature[0] = signature[0] == 'A' ? 'B' : 'A';
}

/* GET: the parameters go into the query. */
static void add_query(struct carrier_url *url, const char *body)
{
    size_t used = strlen(url->target);
    snprintf(url->target + used, sizeof url->target - used, "%s%s",
             strchr(url->target, '?') ? "&" : "?", body);
}

static void give_up(void *owner)
{
    finish(owner, (struct carrier_answer){.why = "cannot connect"});
}

static void attempt(struct request *request)
{
    struct carrier_webhook *webhook = &request->webhook;
    const struct carrier_options *options = webhook->options;
    static char body[3 * CARRIER_FORM_BYTES_MAX];
    char signature[CARRIER_SIGNATURE_ROOM], headers[512], text[CARRIER_URL_BYTES_MAX + 300];
    char connect_to[300];
    size_t bytes = carrier_form_write(&request->form, body, sizeof body);
    struct carrier_url url = webhook->url;
    if (webhook->get)
        add_query(&url, body);
    sign(request, &url, signature);
    snprintf(headers, sizeof headers,
             "User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
             "I-Twilio-Idempotency-Token: %s\r\n%s%s%s%s",
             webhook->idempotency,
             webhook->get ? ""
                          : "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n",
             options->misdeeds[MISDEED_NO_SIGNATURE] ? "" : "X-Twilio-Signature: ",
             options->misdeeds[MISDEED_NO_SIGNATURE] ? "" : signature,
             options->misdeeds[MISDEED_NO_SIGNATURE] ? "" : "\r\n");
    carrier_webhook_route(options, &url, false, connect_to, sizeof connect_to);
    bool fits = carrier_url_write(&url, true, text, sizeof text);
    assert(fits);
    request->answered = false;
    struct peer_dial dial = {.url = text,
                             .connect_to = connect_to[0] ? connect_to : NULL,
                             .method = webhook->get ? "GET" : "POST",
                             .headers = headers,
                             .body = webhook->get ? (struct span){0} : span_from(body, bytes),
                             .tls = webhook->tls,
                             .hooks = &hooks,
                             .owner = request,
                             .timeout_ms = TOTAL_MS};
    if (!peer_http_request(webhook->loop, &dial)) {
        /* Later, so that nobody is called back from within his own call. */
        request->retry = (struct peer_timer){.fire = give_up, .owner = request};
        peer_timer_set(webhook->loop, &request->retry, peer_loop_now_ns(webhook->loop));
    }
}

void carrier_webhook_send(const struct carrier_webhook *webhook)
{
    struct request *request = calloc(1, sizeof *request);
    assert(request);
    request->webhook = *webhook;
    carrier_form_copy(&request->form, webhook->form);
    request->webhook.form = NULL;
    if (!request->webhook.idempotency[0])
        carrier_webhook_uuid(request->webhook.idempotency);
    request->begun_ns = peer_loop_now_ns(webhook->loop);
    request->tries_left = tries(&webhook->url);
    attempt(request);
}
