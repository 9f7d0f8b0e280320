/* tool_world: what the tests of functions stand on: two organisations with a call and a text
 * conversation, their functions, and a real server of others that misbehaves on request (others.h).
 *
 * Each test begins without functions (world_clear). Waits are for facts and bounded; failures are
 * cmocka's. Thread: one. */
#ifndef RINGBRIDGE_TESTS_CONTROL_TOOL_WORLD_H
#define RINGBRIDGE_TESTS_CONTROL_TOOL_WORLD_H

#include "control/base/options.h"
#include "control/tools/tool_pool.h"

#define WORLD_DEADLINE_MS 120000                                 /* of every call of a function */
#define WORLD_RUN         "11111111-1111-4111-8111-111111111111" /* of this control */
#define WORLD_RUN_DEAD    "22222222-2222-4222-8222-222222222222" /* of one that has died */
#define WORLD_EDGE        "33333333-3333-4333-8333-333333333333"
#define WORLD_ACCOUNT     "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

struct db;

extern struct tool_world {
    struct options options;
    struct db *db;            /* as control serves */
    char acme[37], beta[37];  /* organisations */
    char voice[37], text[37]; /* conversations of Acme's */
    char base[64];            /* the server of others: http://host:port */
    int port;
    int64_t last_seq; /* of the events of Acme's call */
} world;

int world_begin(void **state);
int world_end(void **state);
int world_clear(void **state);

/* A conversation of the organisation; its id. */
void world_conversation(const char *organization, const char *channel, const char *session,
                        char id[37]);

/* A function: NULL for no settings, and for any parameters. The short ones are Acme's and tried
 * once; a path begins with a slash, else it names another host. */
void world_tool_for(const char *organization, const char *name, const char *action,
                    const char *settings, const char *parameters, unsigned tries);
void world_tool(const char *name, const char *action, const char *settings);
void world_http_tool(const char *name, const char *method, const char *path, unsigned tries);

/* An event of the edge, that Acme's AI calls a function, sent twice; its number. */
int64_t world_called(const char *name, const char *arguments);
int64_t world_called_at(const char *name, const char *arguments, int64_t at_ms);

struct tool_pool *world_open_pool(unsigned workers, struct tool_figures *figures);
/* Carries out everything that waits. */
void world_carry_out(void);
/* Waits until the statement's one value is this. */
void world_await(const char *sql, const char *answer);

/* What the AI is told of the call with this number; valid until the next question. */
const char *world_output(int64_t seq);
/* Fails unless it says so. */
void world_expect(int64_t seq, const char *piece);

#endif
