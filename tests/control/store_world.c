#include "tests/control/store_world.h"

#include "tests/control/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct store_world world;

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

struct calls_webhook world_webhook(char sid[35], const char *to)
{
    static unsigned sids;
    database_sid(sid, "CA", ++sids);
    return (struct calls_webhook){.account_sid = world.own,
                                  .call_sid = sid,
                                  .from = "+15550199",
                                  .to = to,
                                  .direction = "inbound",
                                  .status = "ringing",
                                  .sequence_number = -1,
                                  .duration_s = -1,
                                  .sip_response_code = -1,
                                  .parameters_json = "{\"CallerCity\":\"\"}"};
}

void world_call(const char *to, char sid[35], char conversation[37])
{
    struct calls_incoming incoming;
    struct calls_webhook webhook = world_webhook(sid, to);
    assert_int_equal(calls_incoming(world.db, &database_seal, &webhook, &incoming), DB_OK);
    assert_int_equal(incoming.found, CALLS_FOUND);
    memcpy(conversation, incoming.conversation, 37);
    calls_incoming_free(&incoming);
}
