#include "common/mail.h"

#include "common/panic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A mutex, on purpose: letters are per call, per request and per transcript, never per frame, and
 * a lock held for a copy of 24 bytes is cheaper to trust than a clever queue. */
struct mail {
    pthread_mutex_t lock;
    int doorbell;
    bool rung; /* atomic: the eventfd counts one already; so it is while letters lie here */
    size_t mask, head, tail;
    struct letter letters[];
};

struct mail *mail_open(size_t capacity)
{
    assert(capacity > 0);
    size_t rounded = 1;
    while (rounded < capacity)
        rounded *= 2;
    struct mail *mail = calloc(1, sizeof *mail + rounded * sizeof mail->letters[0]);
    if (!mail)
        return NULL;
    mail->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (mail->doorbell < 0) {
        free(mail);
        return NULL;
    }
    pthread_mutex_init(&mail->lock, NULL);
    mail->mask = rounded - 1;
    return mail;
}

void mail_close(struct mail *mail)
{
    if (!mail)
        return;
    close(mail->doorbell);
    pthread_mutex_destroy(&mail->lock);
    free(mail);
}

int mail_doorbell(const struct mail *mail)
{
    return mail->doorbell;
}

static void ring(struct mail *mail)
{
    uint64_t one = 1;
    if (mail->rung)
        return;
    __atomic_store_n(&mail->rung, true, __ATOMIC_RELEASE);
    ssize_t written = write(mail->doorbell, &one, sizeof one);
    assert(written == (ssize_t)sizeof one);
}

/* The receiver's ring may have read the eventfd already; EAGAIN then is fine. */
static void hush(struct mail *mail)
{
    uint64_t count;
    if (!mail->rung)
        return;
    __atomic_store_n(&mail->rung, false, __ATOMIC_RELEASE);
    ssize_t taken = read(mail->doorbell, &count, sizeof count);
    assert(taken == (ssize_t)sizeof count || errno == EAGAIN);
}

bool mail_send(struct mail *mail, struct letter letter)
{
    pthread_mutex_lock(&mail->lock);
    bool room = mail->tail - mail->head <= mail->mask;
    if (room) {
        mail->letters[mail->tail++ & mail->mask] = letter;
        ring(mail);
    }
    pthread_mutex_unlock(&mail->lock);
    return room;
}

bool mail_receive(struct mail *mail, struct letter *letter)
{
    if (!__atomic_load_n(&mail->rung, __ATOMIC_ACQUIRE)) /* whoever sends now rings */
        return false;
    pthread_mutex_lock(&mail->lock);
    bool some = mail->head != mail->tail;
    if (some)
        *letter = mail->letters[mail->head++ & mail->mask];
    else
        hush(mail);
    pthread_mutex_unlock(&mail->lock);
    return some;
}

size_t mail_waiting(const struct mail *mail)
{
    struct mail *own = (struct mail *)(uintptr_t)mail;
    pthread_mutex_lock(&own->lock);
    size_t waiting = own->tail - own->head;
    pthread_mutex_unlock(&own->lock);
    return waiting;
}
