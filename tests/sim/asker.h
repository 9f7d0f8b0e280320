/* asker: somebody at the HTTP door: webhooks, one behind the other, slow, broken off, or no HTTP at
 * all. What is answered must be an answer. */
#ifndef RINGBRIDGE_TESTS_SIM_ASKER_H
#define RINGBRIDGE_TESTS_SIM_ASKER_H

#include "tests/sim/peer.h"

struct asker {
    struct peer peer;
    struct dice dice;
    bool over, tls;
    unsigned requests, said, answers; /* how many it means to send, has sent, has got */
    uint64_t next_ns, give_up_ns;
};

void asker_open(struct asker *asker, struct dice dice);
uint64_t asker_step(struct asker *asker, uint64_t now_ns);
void asker_leave(struct asker *asker);

#endif
