/* link_post: puts the link's letters into the cores' inboxes, and keeps those that find no room.
 *
 * A letter of the link is never lost: when an inbox is full the letter waits here, in order per
 * core, and is tried again every LINK_POST_RETRY_MS. Policy at the bound: answers always have a
 * place, because there are at most LINK_REQUESTS_MAX requests and each counts until its answer is
 * delivered; orders have LINK_ORDERS_KEPT_MAX places, and one that finds none is refused, which
 * control is told in its RESULT. A core whose inbox stays full does not hold up the others.
 * Thread: the link's alone. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_POST_H
#define RINGBRIDGE_EDGE_REPORT_LINK_POST_H

#include "common/mail.h"
#include "edge/limits.h"
#include "edge/report/link_figures.h"

#define LINK_POST_RETRY_MS 5
#define LINK_POST_PLACES   (LINK_REQUESTS_MAX + LINK_ORDERS_KEPT_MAX)
#define LINK_POST_NOWHERE  UINT32_MAX

struct link_post {
    unsigned cores_count;
    struct mail *inboxes[CORES_MAX];                      /* borrowed */
    struct link_figures *figures;                         /* borrowed */
    uint32_t firsts[CORES_MAX], lasts[CORES_MAX], unused; /* places, or LINK_POST_NOWHERE */
    uint32_t kept, orders_kept;
    struct {
        struct letter letter;
        uint32_t next;
    } places[LINK_POST_PLACES];
};

void link_post_open(struct link_post *post, unsigned cores_count, struct mail *const inboxes[],
                    struct link_figures *figures);

/* Delivers or keeps an answer; its request stops counting when it is delivered. */
void link_post_answer(struct link_post *post, unsigned core, struct letter letter);

/* Room for an order's letters to so many cores, should all of their inboxes be full? */
bool link_post_has_room(const struct link_post *post, unsigned letters);

/* Delivers or keeps a letter that an order caused; there must be room. */
void link_post_order(struct link_post *post, unsigned core, struct letter letter);

/* Tries again what is kept. True when something still is. */
bool link_post_retry(struct link_post *post);

/* Gives up what is kept: the cores have ended. */
void link_post_close(struct link_post *post);

#endif
