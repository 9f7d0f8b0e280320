/* outbound_world: what the tests of calls that we make stand on: two organisations, limits that do
 * not matter, wishes for calls and batches of numbers.
 *
 * Each test begins with nothing to call (world_clear). Failures are cmocka's. Thread: one. */
#ifndef RINGBRIDGE_TESTS_CONTROL_OUTBOUND_WORLD_H
#define RINGBRIDGE_TESTS_CONTROL_OUTBOUND_WORLD_H

#include "control/store/outbound.h"

extern struct outbound_world {
    struct db *db;           /* as control serves */
    char acme[37], beta[37]; /* organisations: +15550100 is Acme's, +15550101 Beta's */
    char own[35];            /* the account that calls */
} world;

int world_begin(void **state);
int world_end(void **state);
int world_clear(void **state);

/* First cell of a question past the store, valid until the next; and a statement past it. */
__attribute__((format(printf, 1, 2))) const char *world_ask(const char *format, ...);
__attribute__((format(printf, 1, 2))) void world_must(const char *format, ...);

struct world_wish {
    struct outbound_new call;
    const char *organization;
    enum outbound_verdict verdict;
    char id[37];
};

/* A call of Acme's that ends at once. key: NULL for none. */
struct world_wish world_wish(const char *to, const char *key);
/* Asks for it; fills in verdict and id. */
enum outbound_verdict world_make(struct world_wish *wish);

/* A running batch of Acme's: numbers from +15551000000 on, 6000 a minute, at any hour, one retry a
 * minute later. more: what is otherwise (SQL: columns of call_batches), or NULL. */
void world_batch(const char *name, unsigned count, const char *more);

/* One tick of the pace; how many calls it released. */
int64_t world_release(void);

/* The latest attempt of a call, valid until the next question of this kind. */
const char *world_attempt(const char *call);

#endif
