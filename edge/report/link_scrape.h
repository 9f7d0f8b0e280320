/* link_scrape: how the metrics thread waits for control's figures.
 *
 * One asker at a time, a number per question, so that the answer to a question given up on is
 * thrown away. Thread: ask and wait the metrics thread, answer the link's. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_SCRAPE_H
#define RINGBRIDGE_EDGE_REPORT_LINK_SCRAPE_H

#include "common/span.h"

#include <pthread.h>

struct link_scrape {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    uint64_t asked;   /* number of the question that somebody waits for; 0: nobody */
    uint64_t numbers; /* given out */
    bool done;
    char *text; /* malloc'ed, or NULL: no answer */
    size_t bytes;
};

void link_scrape_open(struct link_scrape *scrape);
void link_scrape_close(struct link_scrape *scrape);

/* Begins a question: its number. */
uint64_t link_scrape_ask(struct link_scrape *scrape);

/* Waits for the answer for at most wait_ms: malloc'ed text, or NULL. Ends the question. */
char *link_scrape_wait(struct link_scrape *scrape, unsigned wait_ms, size_t *bytes);

/* Answers; text is copied. data NULL: there is no answer. */
void link_scrape_answer(struct link_scrape *scrape, uint64_t number, struct span text);

#endif
