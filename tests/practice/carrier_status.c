#include "tests/practice/carrier_status.h"

#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>

#define LATE_NS 3000000000ull

static bool misbehaves(const struct carrier_status *status, enum carrier_misdeed misdeed)
{
    return status->options->misdeeds[misdeed];
}

static bool holds_back(const struct carrier_status *status)
{
    return misbehaves(status, MISDEED_STATUS_SHUFFLED) || misbehaves(status, MISDEED_STATUS_LATE);
}

static void send_next(struct carrier_status *status);

static void on_answer(void *owner, const struct carrier_answer *answer)
{
    struct carrier_status *status = owner;
    struct carrier_callback *sent = &status->queue[status->sent++];
    status->sending = false;
    status->answered(status->owner, sent->label, answer);
    free(sent->form);
    sent->form = NULL;
    send_next(status);
}

static void send_next(struct carrier_status *status)
{
    if (status->sending)
        return;
    if (status->sent == status->count) {
        if (status->finished)
            status->idle(status->owner);
        return;
    }
    struct carrier_callback *next = &status->queue[status->sent];
    struct carrier_webhook webhook = {.options = status->options,
                                      .loop = status->loop,
                                      .tls = status->tls,
                                      .url = status->url,
                                      .form = next->form,
                                      .answered = on_answer,
                                      .owner = status};
    memcpy(webhook.idempotency, next->idempotency, sizeof webhook.idempotency);
    status->sending = true;
    carrier_webhook_send(&webhook);
}

static void append(struct carrier_status *status, const struct carrier_form *form,
                   const char *label, const char *idempotency)
{
    assert(status->count < CARRIER_STATUS_MAX);
    struct carrier_callback *callback = &status->queue[status->count++];
    callback->form = malloc(sizeof *callback->form);
    assert(callback->form);
    carrier_form_copy(callback->form, form);
    snprintf(callback->label, sizeof callback->label, "%s", label);
    memcpy(callback->idempotency, idempotency, sizeof callback->idempotency);
}

void carrier_status_add(struct carrier_status *status, const struct carrier_form *form,
                        const char *label)
{
    char idempotency[37];
    assert(!status->finished);
    if (misbehaves(status, MISDEED_STATUS_LOST) && strcmp(label, "completed") == 0)
        return;
    carrier_webhook_uuid(idempotency);
    append(status, form, label, idempotency);
    if (misbehaves(status, MISDEED_STATUS_DOUBLED))
        append(status, form, label, idempotency); /* as a retry: the same token */
    if (!holds_back(status))
        send_next(status);
}

static void shuffle(struct carrier_status *status)
{
    uint64_t state = status->options->seed * 2862933555777941757ull + 3037000493ull;
    for (size_t left = status->count; left > 1; left--) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        size_t pick = (size_t)(state >> 33) % left;
        struct carrier_callback swapped = status->queue[pick];
        status->queue[pick] = status->queue[left - 1];
        status->queue[left - 1] = swapped;
    }
}

static void timer_fired(void *owner)
{
    send_next(owner);
}

void carrier_status_finish(struct carrier_status *status)
{
    assert(!status->finished);
    status->finished = true;
    if (misbehaves(status, MISDEED_STATUS_SHUFFLED))
        shuffle(status);
    uint64_t wait_ns = misbehaves(status, MISDEED_STATUS_LATE) ? LATE_NS : 0;
    status->timer = (struct peer_timer){.fire = timer_fired, .owner = status};
    peer_timer_set(status->loop, &status->timer, peer_loop_now_ns(status->loop) + wait_ns);
}
