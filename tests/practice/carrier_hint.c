#include "tests/practice/carrier_hint.h"

#include "common/panic.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void on_response(struct peer_conn *conn, const struct peer_response *response)
{
    peer_set_owner(conn, NULL);
    if (response->status >= 300)
        fprintf(stderr, "practice-carrier: the practice AI refused a hint (%u)\n",
                response->status);
}

static void on_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    if (peer_owner(conn))
        fprintf(stderr, "practice-carrier: a hint did not reach the practice AI: %s\n",
                ending->why);
}

static const struct peer_hooks hooks = {.response = on_response, .closed = on_closed};

void carrier_hint_send(const struct carrier_options *options, struct peer_loop *loop,
                       struct peer_tls *tls, const char *text)
{
    char url[600];
    if (!options->ai_hint)
        return;
    snprintf(url, sizeof url, "%s/practice/expect", options->ai_hint);
    json_t *hint = json_pack("{s:s, s:s*}", "text", text, "match", options->ai_hint_match);
    char *body = json_dumps(hint, JSON_COMPACT);
    assert(body);
    struct peer_dial dial = {.url = url,
                             .method = "POST",
                             .headers = "Content-Type: application/json\r\n",
                             .body = span_of(body),
                             .tls = tls,
                             .hooks = &hooks,
                             .owner = loop};
    if (!peer_http_request(loop, &dial))
        fprintf(stderr, "practice-carrier: no practice AI at %s\n", options->ai_hint);
    free(body);
    json_decref(hint);
}
