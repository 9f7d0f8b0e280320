/* control: link.h and resolve.h without threads and sockets: a control that prepares calls, answers
 * requests late or never, keeps every event and checks it, gives orders, is away for a while; and a
 * resolver. Letters reach the cores' inboxes when they are due. */
#ifndef RINGBRIDGE_TESTS_SIM_CONTROL_H
#define RINGBRIDGE_TESTS_SIM_CONTROL_H

#include "common/mail.h"
#include "edge/report/link.h"
#include "tests/sim/story.h"

struct control_config {
    uint64_t seed;
    unsigned cores_count;
    struct mail *const *inboxes;
    struct story *stories;
    unsigned stories_count;
    struct onlooker *onlookers;
    unsigned onlookers_count;
    struct reader *readers;
    unsigned readers_count;
    bool records; /* recordings are begun, paused, resumed and ended by order */
    unsigned misfortune_permille;
    bool reliable; /* no order, no refusal, never away */
    bool forgets;  /* memory runs out: events may be missing */
};

void control_open(const struct control_config *config);

/* What is due is posted; returns when something is due next. */
uint64_t control_step(uint64_t now_ns);

/* All that waits is posted now: what a link does when it is closed. */
void control_close(void);

/* malloc'ed, with this body. */
struct link_answer *control_make_answer(int status, const char *body);

/* What cores take: any pointer will do. */
struct link *control_link(void);

/* Events by ending, and events that found no room. */
struct control_figures {
    uint64_t ends[END_COUNT];
    uint64_t events, refused, http_asked, plans;
};
const struct control_figures *control_figures(void);

#endif
