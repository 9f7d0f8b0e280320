/* others: a server that is not ours, as others' servers are: http_server.py, which answers well,
 * wrongly, slowly or not at all, as the path asks. A process of its own, on free ports.
 *
 * Thread: one. */
#ifndef RINGBRIDGE_TESTS_CONTROL_OTHERS_H
#define RINGBRIDGE_TESTS_CONTROL_OTHERS_H

#include <stdbool.h>
#include <sys/types.h>

struct others {
    char directory[64]; /* of its files and certificates; goes with it */
    int plain, plain2;  /* ports: two without TLS, .. */
    int tls, strange;   /* .. one with a certificate for localhost, one with another's */
    int says;           /* closed, it ends */
    pid_t pid;
};

/* Starts this script and waits for its ports, four of them in this order. Name is part of its directory's. */
bool others_start(struct others *others, const char *script, const char *name);
/* Ends it and removes its directory; 0 when that went well. */
int others_stop(struct others *others);

#endif
