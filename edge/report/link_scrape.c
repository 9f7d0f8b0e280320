#include "edge/report/link_scrape.h"

#include "common/panic.h"

#include <stdlib.h>
#include <time.h>

void link_scrape_open(struct link_scrape *scrape)
{
    pthread_condattr_t attributes;
    memset(scrape, 0, sizeof *scrape);
    pthread_mutex_init(&scrape->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&scrape->answered, &attributes);
    pthread_condattr_destroy(&attributes);
}

void link_scrape_close(struct link_scrape *scrape)
{
    assert(scrape->asked == 0); /* the metrics thread has ended before the link */
    free(scrape->text);
    pthread_cond_destroy(&scrape->answered);
    pthread_mutex_destroy(&scrape->lock);
}

uint64_t link_scrape_ask(struct link_scrape *scrape)
{
    pthread_mutex_lock(&scrape->lock);
    assert(scrape->asked == 0);
    uint64_t number = scrape->asked = ++scrape->numbers;
    scrape->done = false;
    pthread_mutex_unlock(&scrape->lock);
    return number;
}

char *link_scrape_wait(struct link_scrape *scrape, unsigned wait_ms, size_t *bytes)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    long nanoseconds = until.tv_nsec + (long)(wait_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(wait_ms / 1000) + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    pthread_mutex_lock(&scrape->lock);
    int result = 0;
    while (!scrape->done && result == 0)
        result = pthread_cond_timedwait(&scrape->answered, &scrape->lock, &until);
    char *text = scrape->text;
    *bytes = scrape->bytes;
    scrape->text = NULL;
    scrape->bytes = 0;
    scrape->asked = 0;
    pthread_mutex_unlock(&scrape->lock);
    return text;
}

void link_scrape_answer(struct link_scrape *scrape, uint64_t number, struct span text)
{
    pthread_mutex_lock(&scrape->lock);
    if (scrape->asked == number && !scrape->done) {
        scrape->text = text.bytes ? malloc(text.bytes) : NULL;
        if (scrape->text) {
            memcpy(scrape->text, text.data, text.bytes);
            scrape->bytes = text.bytes;
        }
        scrape->done = true;
        pthread_cond_signal(&scrape->answered);
    }
    pthread_mutex_unlock(&scrape->lock);
}
