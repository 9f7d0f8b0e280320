#include "tests/control/outbound_world.h"

#include "control/store/batches.h"
#include "tests/control/database.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct outbound_world world;

int world_begin(void **state)
{
    (void)state;
    database_migrate();
    database_organization("Acme", "+15550100", world.acme);
    database_organization("Beta", "+15550101", world.beta);
    database_sid(world.own, "AC", 1);
    world.db = database_serving(NULL);
    return 0;
}

int world_end(void **state)
{
    (void)state;
    db_close(world.db);
    return 0;
}

/* Nothing to call, and limits that do not matter. */
int world_clear(void **state)
{
    (void)state;
    database_do("SET row_security = off; DELETE FROM jobs; DELETE FROM outbound_calls; "
                "DELETE FROM call_batches; DELETE FROM do_not_call; DELETE FROM conversations; "
                "DELETE FROM outbound_limits; INSERT INTO outbound_limits SELECT "
                "(outbound_limits_in_force(id)).* FROM organizations; UPDATE phone_numbers SET "
                "is_active = true; UPDATE outbound_limits SET "
                "calls_at_once = 1000, calls_per_minute = 6000, settle_s = 5");
    return 0;
}

const char *world_ask(const char *format, ...)
{
    char sql[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    return database_ask(sql);
}

void world_must(const char *format, ...)
{
    char sql[2048];
    va_list arguments;
    va_start(arguments, format);
    int bytes = snprintf(sql, sizeof sql, "SET row_security = off; ");
    vsnprintf(sql + bytes, sizeof sql - (size_t)bytes, format, arguments);
    va_end(arguments);
    database_do(sql);
}

static enum db_result add(struct db *with, void *context)
{
    struct world_wish *wish = context;
    return outbound_add(with, wish->organization, &wish->call, &wish->verdict, wish->id);
}

struct world_wish world_wish(const char *to, const char *key)
{
    return (struct world_wish){.organization = world.acme,
                               .call = {.to = to,
                                        .from = "+15550100",
                                        .account = world.own,
                                        .plan_json = "{\"step\":{\"step\":\"hangup\"}}",
                                        .variables_json = "{}",
                                        .lead = "",
                                        .key = key,
                                        .by = "a test"}};
}

enum outbound_verdict world_make(struct world_wish *wish)
{
    if (db_transact(world.db, wish->organization, add, wish) != DB_OK)
        fail_msg("%s", db_error(world.db));
    return wish->verdict;
}

int64_t world_release(void)
{
    int64_t released;
    if (outbound_release(world.db, &released) != DB_OK)
        fail_msg("%s", db_error(world.db));
    return released;
}

/* Its latest attempt. */
const char *world_attempt(const char *call)
{
    static char id[37];
    snprintf(id, sizeof id, "%s",
             world_ask("SELECT id FROM call_attempts WHERE outbound_call_id = '%s' "
                       "ORDER BY number DESC LIMIT 1",
                       call));
    return id;
}

struct putting {
    const struct batches_new *batch;
    const json_t *rows;
    enum batches_verdict verdict;
    char id[37];
    int64_t added;
};

static enum db_result put(struct db *with, void *context)
{
    struct putting *putting = context;
    return batches_put(with, world.acme, putting->batch, putting->rows, &putting->verdict,
                       putting->id, &putting->added);
}

void world_batch(const char *name, unsigned count, const char *more)
{
    json_t *rows = json_array();
    for (unsigned i = 0; i < count; i++) {
        char number[17];
        snprintf(number, sizeof number, "+1555%07u", 1000000 + i);
        json_array_append_new(rows, json_pack("{s:i, s:s, s:s, s:{s:s}}", "line", (int)i + 2, "to",
                                              number, "lead", "", "variables", "name", "Ada"));
    }
    struct batches_new batch = {.name = name,
                                .from = "+15550100",
                                .account = world.own,
                                .plan_json =
                                    "{\"step\":{\"step\":\"hangup\",\"say\":\"{{name}}\"}}",
                                .calls_per_minute = 6000,
                                .days = "{1,2,3,4,5,6,7}",
                                .opens = "00:00",
                                .closes = "24:00",
                                .retries = 1,
                                .retry_after_s = 60,
                                .by = "a test"};
    struct putting putting = {.batch = &batch, .rows = rows};
    if (db_transact(world.db, world.acme, put, &putting) != DB_OK)
        fail_msg("%s", db_error(world.db));
    assert_int_equal(putting.verdict, BATCHES_MADE);
    assert_int_equal(putting.added, count);
    json_decref(rows);
    if (more)
        world_must("UPDATE call_batches SET %s WHERE id = '%s'", more, putting.id);
}
