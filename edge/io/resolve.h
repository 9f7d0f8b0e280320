/* resolve: the helper thread that may block on DNS.
 *
 * Cores ask, answers come to their inbox. Numeric addresses are answered at once on the same path.
 * Answers are remembered for 60 s (an old answer serves up to 10 min when DNS fails). One thread
 * for the process. Bound: RESOLVE_WAITING_MAX questions; more are refused. */
#ifndef RINGBRIDGE_EDGE_IO_RESOLVE_H
#define RINGBRIDGE_EDGE_IO_RESOLVE_H

#include "common/mail.h"

#include <stdbool.h>
#include <stdint.h>

#include <netinet/in.h>
#include <sys/socket.h>

#define RESOLVE_WAITING_MAX   1024
#define RESOLVE_ADDRESSES_MAX 8
#define LETTER_RESOLVED                                                                            \
    50 /* id: as asked; content: struct resolved, malloc'ed, the receiver frees it */

struct resolved {
    unsigned count; /* 0: not found */
    socklen_t bytes[RESOLVE_ADDRESSES_MAX];
    struct sockaddr_storage addresses[RESOLVE_ADDRESSES_MAX];
};

struct resolve;
struct resolve *resolve_open(void);
void resolve_close(struct resolve *resolve);

/* Asks for host:port; the answer is a LETTER_RESOLVED with id in answer_to. False: refused, no
 * answer comes. Any thread. */
bool resolve_ask(struct resolve *resolve, const char *host, uint16_t port, struct mail *answer_to,
                 uint64_t id);

#endif
