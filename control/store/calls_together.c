#include "common/panic.h"
#include "control/db/db_array.h"
#include "control/store/calls_inner.h"
#include "control/store/clean.h"

#include <stdlib.h>

#define FIELDS    7
#define SID_BYTES 34

static bool is_sid(const char *text, const char *kind)
{
    return text && strncmp(text, kind, 2) == 0 && strlen(text) == SID_BYTES &&
           strspn(text + 2, "0123456789abcdefABCDEF") == SID_BYTES - 2;
}

bool calls_may_go_together(const struct calls_webhook *webhook)
{
    bool comes_in = !webhook->direction || strcmp(webhook->direction, "inbound") == 0;
    return comes_in && is_sid(webhook->call_sid, "CA") && is_sid(webhook->account_sid, "AC") &&
           !webhook->timestamp && webhook->duration_s < 0 && webhook->sip_response_code < 0;
}

/* What the carrier did not send is empty here and NULL on record. */
static void add(struct db_array *array, char *owned)
{
    db_array_add(array, owned ? owned : "");
    free(owned);
}

static void add_webhook(struct db_array arrays[FIELDS], const struct calls_webhook *webhook)
{
    const char *const texts[] = {webhook->account_sid, webhook->call_sid, webhook->from,
                                 webhook->to, webhook->status};
    for (int i = 0; i < 5; i++)
        add(&arrays[i], clean_text(texts[i], CALLS_TEXT_MAX));
    add(&arrays[5], clean_text(webhook->idempotency_token, 128));
    add(&arrays[6], clean_json(webhook->parameters_json));
}

static bool same(const char *cell, const char *text)
{
    return cell && text && strcmp(cell, text) == 0;
}

/* Each answer goes to the first who asked for that call and has none: a call asked for twice in one
 * go is new to one of them. */
static void hand_out(const struct db_rows *all, const struct calls_webhook *const webhooks[],
                     int count, struct db_rows *rows[])
{
    for (int row = 0; row < db_rows_count(all); row++)
        for (int i = 0; i < count; i++)
            if (!rows[i] && same(db_cell(all, row, CALLS_ANSWER_CALL_SID), webhooks[i]->call_sid) &&
                same(db_cell(all, row, CALLS_ANSWER_ACCOUNT_SID), webhooks[i]->account_sid)) {
                rows[i] = db_rows_pick(all, row);
                break;
            }
}

enum db_result calls_incoming_together(struct db *db, const struct calls_webhook *const webhooks[],
                                       int count, struct db_rows *rows[])
{
    static const struct db_statement query = {
        "SELECT " CALLS_ANSWER_COLUMNS " FROM incoming_calls($1::text[], $2::text[], $3::text[], "
        "$4::text[], $5::text[], $6::text[], $7::text[])",
        FIELDS};
    struct db_array arrays[FIELDS];
    struct db_value values[FIELDS];
    struct db_rows *all = NULL;
    bool opened = true;
    assert(count > 0 && count <= CALLS_TOGETHER_MAX);
    memset(rows, 0, sizeof *rows * (size_t)count);
    for (int i = 0; i < FIELDS; i++)
        opened &= db_array_open(&arrays[i]);
    assert(opened); /* control may allocate; without this there is nothing sensible to do */
    for (int i = 0; i < count; i++)
        add_webhook(arrays, webhooks[i]);
    for (int i = 0; i < FIELDS; i++)
        values[i] = db_array_value(&arrays[i]);
    enum db_result result = db_run(db, &query, values, FIELDS, &all);
    if (result == DB_OK)
        hand_out(all, webhooks, count, rows);
    db_rows_free(all);
    for (int i = 0; i < FIELDS; i++)
        db_array_free(&arrays[i]);
    return result;
}
