/* carrier_webhook: one request to a webhook, as Twilio makes it.
 *
 * What it is: signs for the public URL, connects to where that is served here, follows redirects,
 * repeats what the URL's #rc= and #rp= say (one repetition of failed connections by default), all
 * within 15 s. What it is not: what the request says or what the answer means. Owner: a request
 * owns itself and is gone after its answered hook. Thread: the loop's. Bounds: 64 KiB of answer are
 * looked at, 5 redirects, 5 repetitions. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_WEBHOOK_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_WEBHOOK_H

#include "tests/practice/carrier_form.h"
#include "tests/practice/carrier_options.h"
#include "tests/practice/peer.h"

struct carrier_answer {
    unsigned status;               /* 0: none came */
    struct span body, type;        /* good until the hook returns */
    const char *why;               /* status 0: what happened instead */
    const struct carrier_url *url; /* that answered, after redirects */
    uint64_t took_ms;
};

struct carrier_webhook {
    const struct carrier_options *options;
    struct peer_loop *loop;
    struct peer_tls *tls;
    struct carrier_url url;          /* as Twilio sees it */
    const struct carrier_form *form; /* copied */
    bool get;
    char idempotency[37]; /* a UUID; "": one is made */
    void (*answered)(void *owner, const struct carrier_answer *answer);
    void *owner;
};

/* Sends it. The hook comes exactly once, later. */
void carrier_webhook_send(const struct carrier_webhook *webhook);

/* Where a public URL is served here: rewrites scheme and gives the address, if its host is the
 * public one. stream: the address is --connect's. */
void carrier_webhook_route(const struct carrier_options *options, struct carrier_url *url,
                           bool stream, char *connect_to, size_t room);

/* A random UUID. */
void carrier_webhook_uuid(char text[37]);

#endif
