/* carrier_status: the status callbacks of one call, in order, or as a test wants them.
 *
 * What it is: a queue of callbacks, each sent when the one before was answered; or held to the end
 * and shuffled, doubled, late, or losing the last. What it is not: what they say. Owner: placed in
 * its call. Thread: the loop's. Bound: CARRIER_STATUS_MAX callbacks. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_STATUS_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_STATUS_H

#include "tests/practice/carrier_webhook.h"

#define CARRIER_STATUS_MAX 16

struct carrier_status {
    const struct carrier_options *options;
    struct peer_loop *loop;
    struct peer_tls *tls;
    struct carrier_url url;
    /* label: what was sent. */
    void (*answered)(void *owner, const char *label, const struct carrier_answer *answer);
    void (*idle)(void *owner); /* after the last of a finished call */
    void *owner;
    /* private from here */
    struct carrier_callback {
        struct carrier_form *form;
        char label[32];
        char idempotency[37];
    } queue[CARRIER_STATUS_MAX];
    size_t count, sent;
    bool finished, sending;
    struct peer_timer timer;
};

/* Queues one. label: its CallStatus. */
void carrier_status_add(struct carrier_status *status, const struct carrier_form *form,
                        const char *label);

/* No more will come; what was held back goes now. idle follows, perhaps at once. */
void carrier_status_finish(struct carrier_status *status);

#endif
