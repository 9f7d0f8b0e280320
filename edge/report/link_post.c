#include "edge/report/link_post.h"

#include "common/panic.h"
#include "edge/report/link.h"

#include <stdlib.h>
#include <string.h>

void link_post_open(struct link_post *post, unsigned cores_count, struct mail *const inboxes[],
                    struct link_figures *figures)
{
    assert(cores_count > 0 && cores_count <= CORES_MAX);
    memset(post, 0, sizeof *post);
    post->cores_count = cores_count;
    post->figures = figures;
    for (unsigned core = 0; core < CORES_MAX; core++) {
        post->inboxes[core] = core < cores_count ? inboxes[core] : NULL;
        post->firsts[core] = post->lasts[core] = LINK_POST_NOWHERE;
    }
    for (uint32_t place = 0; place < LINK_POST_PLACES; place++)
        post->places[place].next = place + 1 < LINK_POST_PLACES ? place + 1 : LINK_POST_NOWHERE;
    post->unused = 0;
}

static void keep(struct link_post *post, unsigned core, struct letter letter)
{
    uint32_t place = post->unused;
    assert(place != LINK_POST_NOWHERE);
    post->unused = post->places[place].next;
    post->places[place].letter = letter;
    post->places[place].next = LINK_POST_NOWHERE;
    if (post->firsts[core] == LINK_POST_NOWHERE)
        post->firsts[core] = place;
    else
        post->places[post->lasts[core]].next = place;
    post->lasts[core] = place;
    post->kept++;
    post->orders_kept += letter.kind != LETTER_ANSWER;
    FIGURE_SET(post->figures, letters_kept, post->kept);
}

static struct letter release(struct link_post *post, unsigned core)
{
    uint32_t place = post->firsts[core];
    assert(place != LINK_POST_NOWHERE && post->kept > 0);
    struct letter letter = post->places[place].letter;
    post->firsts[core] = post->places[place].next;
    if (post->firsts[core] == LINK_POST_NOWHERE)
        post->lasts[core] = LINK_POST_NOWHERE;
    post->places[place].next = post->unused;
    post->unused = place;
    post->kept--;
    post->orders_kept -= letter.kind != LETTER_ANSWER;
    FIGURE_SET(post->figures, letters_kept, post->kept);
    return letter;
}

/* The request stops counting before its answer can be seen: whoever has the answer finds the place
 * free. */
static bool deliver(struct link_post *post, unsigned core, struct letter letter)
{
    bool answer = letter.kind == LETTER_ANSWER;
    if (answer)
        FIGURE_SUB(post->figures, requests_waiting, 1);
    bool sent = mail_send(post->inboxes[core], letter);
    if (answer && !sent)
        FIGURE_ADD(post->figures, requests_waiting, 1);
    return sent;
}

static void deliver_or_keep(struct link_post *post, unsigned core, struct letter letter)
{
    assert(core < post->cores_count);
    bool behind = post->firsts[core] != LINK_POST_NOWHERE; /* letters keep their order */
    if (behind || !deliver(post, core, letter))
        keep(post, core, letter);
}

void link_post_answer(struct link_post *post, unsigned core, struct letter letter)
{
    assert(letter.kind == LETTER_ANSWER && letter.content);
    deliver_or_keep(post, core, letter);
}

bool link_post_has_room(const struct link_post *post, unsigned letters)
{
    return post->orders_kept + letters <= LINK_ORDERS_KEPT_MAX;
}

void link_post_order(struct link_post *post, unsigned core, struct letter letter)
{
    assert(letter.kind != LETTER_ANSWER && link_post_has_room(post, 1));
    deliver_or_keep(post, core, letter);
}

bool link_post_retry(struct link_post *post)
{
    for (unsigned core = 0; core < post->cores_count && post->kept; core++)
        while (post->firsts[core] != LINK_POST_NOWHERE &&
               deliver(post, core, post->places[post->firsts[core]].letter))
            release(post, core);
    return post->kept > 0;
}

void link_post_close(struct link_post *post)
{
    for (unsigned core = 0; core < post->cores_count; core++)
        while (post->firsts[core] != LINK_POST_NOWHERE)
            link_letter_free(release(post, core));
    assert(post->kept == 0 && post->orders_kept == 0);
}

void link_letter_free(struct letter letter)
{
    switch ((enum link_letter)letter.kind) {
    case LETTER_ANSWER:
        link_answer_free(letter.content);
        break;
    case LETTER_PLAN:
        plan_free(letter.content);
        break;
    case LETTER_HANGUP:
    case LETTER_SAY:
    case LETTER_RECORD:
    case LETTER_TOOL_RESULT:
        free(letter.content);
        break;
    case LETTER_DRAIN:
        break;
    }
}

void link_answer_free(struct link_answer *answer)
{
    if (!answer)
        return;
    plan_free(answer->plan);
    free(answer);
}
