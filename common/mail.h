/* mail: a bounded queue from thread to thread, with a doorbell.
 *
 * What it is: any number of senders, one receiver, letters of fixed size, an eventfd that becomes
 * readable when a letter lies there. What it is not: a way to share memory; a letter's pointer
 * belongs to the receiver from the moment mail_send said yes.
 * Who owns what: the mailbox owns its letters; the caller owns what a refused letter points to.
 * Thread: mail_send any, the rest the receiver. Bound: the capacity given to mail_open. */
#ifndef RINGBRIDGE_COMMON_MAIL_H
#define RINGBRIDGE_COMMON_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct letter {
    uint32_t kind; /* meaning is the receiver's */
    uint32_t number;
    uint64_t id;
    void *content; /* owned by the receiver after mail_send returned true */
};

struct mail;

/* A mailbox for up to capacity letters (rounded up to a power of two). NULL when memory or
 * descriptors are out. */
struct mail *mail_open(size_t capacity);

/* Nobody may send any more. Letters still waiting are dropped with what they own: receive first. */
void mail_close(struct mail *mail);

/* The eventfd (non-blocking) that rings when a letter comes to a receiver that had seen the box
 * empty. The receiver may poll it, or read it through its ring; mail_receive works without. Who
 * reads it must receive until false before waiting again: until then it does not ring anew. */
int mail_doorbell(const struct mail *mail);

/* Posts one letter and rings. False when the box is full: nothing was taken. */
bool mail_send(struct mail *mail, struct letter letter);

/* Takes the oldest letter. False when there is none; the doorbell is armed again by then, so that a
 * letter sent after a false return always rings. */
bool mail_receive(struct mail *mail, struct letter *letter);

/* Letters waiting now; a figure for metrics. */
size_t mail_waiting(const struct mail *mail);

#endif
