/* store_world: what the tests of the store stand on: two organisations, and calls of theirs.
 * Failures are cmocka's. Thread: one. */
#ifndef RINGBRIDGE_TESTS_CONTROL_STORE_WORLD_H
#define RINGBRIDGE_TESTS_CONTROL_STORE_WORLD_H

#include "control/store/calls.h"

extern struct store_world {
    struct db *db;           /* as control serves */
    char acme[37], beta[37]; /* organisations: +15550100 is Acme's, +15550101 Beta's */
    char own[35];            /* the installation's account */
} world;

int world_begin(void **state);
int world_end(void **state);

/* A webhook for a call of its own. sid has to live as long. */
struct calls_webhook world_webhook(char sid[35], const char *to);

/* A call that has come in, and its conversation. */
void world_call(const char *to, char sid[35], char conversation[37]);

#endif
