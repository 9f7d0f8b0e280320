/* Orders about a live call: written into the database, taken by the control whose edge carries the
 * call, and waited for. */
#include "control/commands/command.h"
#include "control/store/orders.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_MS 10000
#define LOOK_MS     50
#define SAY_BYTES   2048 /* what an edge takes */

static bool is_record_action(const char *word)
{
    static const char *const actions[] = {"start", "pause", "resume", "stop"};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(word, actions[i]) == 0)
            return true;
    return false;
}

/* What the words ask for, as the edge gets it, and which of them is the call. NULL: not an order.
 */
static json_t *read_words(const struct options *options, const char **call)
{
    const char *const *words = (const char *const *)options->words;
    *call = words[2];
    if (command_is(options, "hangup", 1, 1))
        return json_pack("{s:s, s:s}", "kind", "hangup", "reason", "hung_up_by_order");
    if (command_is(options, "say", 2, 2) && words[3][0] && strlen(words[3]) <= SAY_BYTES)
        return json_pack("{s:s, s:s, s:b}", "kind", "say", "text", words[3], "interruptible", true);
    if (command_is(options, "record", 2, 2) && is_record_action(words[2])) {
        *call = words[3];
        return json_pack("{s:s, s:s}", "kind", "record", "action", words[2]);
    }
    return NULL;
}

/* The answer, when there is one. */
static int judge(const struct db_rows *rows, bool *answered)
{
    const char *state = db_cell(rows, 0, 0), *error = db_cell(rows, 0, 1);
    *answered = true;
    if (strcmp(state, "done") == 0) {
        puts("done");
        return COMMAND_DONE;
    }
    if (strcmp(state, "refused") == 0)
        return command_fail("the edge refused: %s", error && error[0] ? error : "no reason given");
    *answered = false;
    return COMMAND_FAILED;
}

static int await_answer(struct db *db, const char *order)
{
    bool answered = false;
    int status = COMMAND_FAILED;
    for (int waited_ms = 0; waited_ms < PATIENCE_MS && !answered; waited_ms += LOOK_MS) {
        struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
        struct db_rows *rows;
        nanosleep(&pause, NULL);
        enum db_result result = orders_look(db, order, &rows);
        if (result != DB_OK)
            return command_database_failed(db, result);
        status = judge(rows, &answered);
        db_rows_free(rows);
    }
    if (answered)
        return status;
    orders_expire(db, order);
    return command_fail("nobody answered within %d s: does control serve, and is the call's edge "
                        "connected to it?",
                        PATIENCE_MS / 1000);
}

static int give(struct db *db, const char *call, json_t *body)
{
    char order[UUID_TEXT_BYTES + 1];
    enum orders_given given;
    char *text = json_dumps(body, JSON_COMPACT);
    enum db_result result = orders_give(db, call, text, command_who(), PATIENCE_MS, &given, order);
    free(text);
    if (result != DB_OK)
        return command_database_failed(db, result);
    if (given != ORDERS_GIVEN)
        return command_fail(given == ORDERS_OVER ? "the call is over"
                                                 : "no edge carries the call at the moment");
    return await_answer(db, order);
}

int command_calls_order(const struct options *options, struct db *db)
{
    const char *name;
    char id[COMMAND_ID_TEXT];
    int status;
    json_t *body = read_words(options, &name);
    if (!body)
        return command_misuse("calls hangup ID | calls say ID TEXT (%d bytes at most) | calls "
                              "record start|pause|resume|stop ID",
                              SAY_BYTES);
    if (command_find_call(options, db, name, id, &status))
        status = give(db, id, body);
    json_decref(body);
    return status;
}
