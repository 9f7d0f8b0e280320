#include "tests/control/tool_world.h"

#include "tests/control/database.h"
#include "tests/control/others.h"

#include "common/clock.h"
#include "control/store/events.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"

struct tool_world world;

static struct others others;
static char allowed[64];

void world_conversation(const char *organization, const char *channel, const char *session,
                        char id[37])
{
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO conversations (organization_id, session_id, channel, account_sid, "
        "call_sid, call_status, from_number, to_number) VALUES ('%s', '%s', '%s', '" WORLD_ACCOUNT
        "', %s, %s, '+15550177', '+15550100')",
        organization, session, channel,
        strcmp(channel, "voice") == 0 ? "'CA' || md5(random()::text)" : "NULL",
        strcmp(channel, "voice") == 0 ? "'in-progress'" : "NULL");
    database_do(sql);
    snprintf(sql, sizeof sql, "SELECT id FROM conversations WHERE session_id = '%s'", session);
    snprintf(id, 37, "%s", database_ask(sql));
}

int world_begin(void **state)
{
    char error[256];
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", world.acme);
    database_organization("Beta", "+15550101", world.beta);
    world_conversation(world.acme, "voice", "twilio_1", world.voice);
    world_conversation(world.acme, "sms", "sms_1", world.text);
    world.db = database_serving(NULL);
    if (!seal_open(&world.options.seal, KEY, NULL, error, sizeof error) ||
        !others_start(&others, "tests/control/http_server.py", "tool"))
        return -1;
    snprintf(allowed, sizeof allowed, "localhost:%d", others.plain);
    snprintf(world.base, sizeof world.base, "http://localhost:%d", others.plain);
    world.port = others.plain;
    world.options.allow_private = allowed;
    world.options.account_sid = WORLD_ACCOUNT;
    world.options.auth_token = "token";
    return 0;
}

int world_end(void **state)
{
    (void)state;
    db_close(world.db);
    return others_stop(&others);
}

int world_clear(void **state)
{
    (void)state;
    database_do("DELETE FROM appointments; DELETE FROM left_messages; DELETE FROM text_messages; "
                "DELETE FROM jobs; DELETE FROM tool_calls; DELETE FROM tools; DELETE FROM "
                "availability; UPDATE conversations SET next_step = NULL;");
    return 0;
}

static void put_tool(const char *organization, const char *name, const char *action,
                     const char *settings, const char *parameters, unsigned tries,
                     unsigned timeout_ms)
{
    struct db *admin = database_admin();
    const struct tools_new tool = {.name = name,
                                   .description = "Does it.",
                                   .action = action,
                                   .parameters_json =
                                       parameters ? parameters : "{\"type\":\"object\"}",
                                   .settings_json = settings ? settings : "{}",
                                   .channels = "{voice,sms}",
                                   .tries_max = tries,
                                   .timeout_ms = timeout_ms,
                                   .deadline_ms = WORLD_DEADLINE_MS,
                                   .interim_ms = 4000,
                                   .position = 100};
    if (tools_put(admin, organization, &tool) != DB_OK)
        fail_msg("%s", db_error(admin));
    db_close(admin);
}

/* A machine that has much to do answers late as well; nobody waits for that but who is silent. */
void world_tool_for(const char *organization, const char *name, const char *action,
                    const char *settings, const char *parameters, unsigned tries)
{
    put_tool(organization, name, action, settings, parameters, tries, 60000);
}

void world_tool(const char *name, const char *action, const char *settings)
{
    world_tool_for(world.acme, name, action, settings, NULL, 1);
}

void world_http_tool(const char *name, const char *method, const char *path, unsigned tries)
{
    char settings[512];
    snprintf(settings, sizeof settings, "{\"method\":\"%s\",\"url\":\"%s%s%s\"}", method,
             path[0] == '/' ? world.base : "", path[0] == '/' ? "" : "http://", path);
    put_tool(world.acme, name, "http", settings, NULL, tries,
             strcmp(path, "/silent") == 0 ? 500 : 60000);
}

/* An event of the edge; its number. */
int64_t world_called_at(const char *name, const char *arguments, int64_t at_ms)
{
    int64_t seq = ++world.last_seq;
    json_t *body = json_pack("{s:s, s:s, s:s, s:b, s:s}", "call_id", "call_x", "name", name,
                             "arguments", arguments, "at_edge", 0, "edge_run", WORLD_EDGE);
    char *written = json_dumps(body, 0);
    const struct events_event event = {.organization = world.acme,
                                       .call = world.voice,
                                       .kind = "tool_call",
                                       .seq = seq,
                                       .at_ms = at_ms,
                                       .body_json = written};
    enum events_taken taken;
    assert_int_equal(events_take(world.db, &event, &taken), DB_OK);
    assert_int_equal(taken, EVENTS_STORED);
    assert_int_equal(events_take(world.db, &event, &taken), DB_OK); /* sent again */
    assert_int_equal(taken, EVENTS_DOUBLE);
    free(written);
    json_decref(body);
    return seq;
}

int64_t world_called(const char *name, const char *arguments)
{
    return world_called_at(name, arguments, clock_wall_ms());
}

struct tool_pool *world_open_pool(unsigned workers, struct tool_figures *figures)
{
    char error[256];
    const struct tool_pool_config config = {.workers = workers,
                                            .options = &world.options,
                                            .run = WORLD_RUN,
                                            .db = db_config_serving(database_url(), NULL),
                                            .figures = figures};
    struct tool_pool *pool = tool_pool_open(&config, error, sizeof error);
    if (!pool)
        fail_msg("%s", error);
    return pool;
}

void world_await(const char *sql, const char *answer)
{
    uint64_t until_ns = clock_monotonic_ns() + UINT64_C(60000000000);
    while (strcmp(database_ask(sql), answer) != 0) {
        if (clock_monotonic_ns() > until_ns)
            fail_msg("%s never became %s but %s", sql, answer, database_ask(sql));
        usleep(20000); /* between two questions */
    }
}

/* Carries out everything that waits. */
void world_carry_out(void)
{
    struct tool_pool *pool = world_open_pool(4, NULL);
    tool_pool_wake(pool, 4);
    world_await("SELECT count(*) FROM tool_calls WHERE state NOT IN ('done', 'failed')", "0");
    tool_pool_close(pool);
}

const char *world_output(int64_t seq)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT output FROM tool_calls WHERE number = %lld", (long long)seq);
    return database_ask(sql);
}

void world_expect(int64_t seq, const char *piece)
{
    if (!strstr(world_output(seq), piece))
        fail_msg("no \"%s\" in %s", piece, world_output(seq));
}
