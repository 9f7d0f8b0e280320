#include "control/store/after_calls.h"

#include "common/panic.h"
#include "control/db/db_array.h"

#include <stdlib.h>

enum db_result after_calls_facts(struct db *db, const char *conversation, json_t **facts)
{
    static const struct db_statement query = {"SELECT after_call_facts($1::uuid)", 1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(conversation)), &rows);
    const char *text = result == DB_OK ? db_cell(rows, 0, 0) : NULL;
    *facts = text ? json_loads(text, 0, NULL) : NULL;
    if (text && !*facts)
        result = DB_BUSY; /* no memory for it now */
    db_rows_free(rows);
    return result;
}

enum db_result after_calls_outcome(struct db *db, const char *conversation, json_t **outcome)
{
    static const struct db_statement query = {
        "SELECT jsonb_strip_nulls(to_jsonb(a) - '{organization_id,conversation_id}'::text[]) "
        "FROM after_calls AS a WHERE conversation_id = $1::uuid",
        1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(conversation)), &rows);
    const char *text = result == DB_OK && db_rows_count(rows) == 1 ? db_cell(rows, 0, 0) : NULL;
    *outcome = text ? json_loads(text, 0, NULL) : NULL;
    db_rows_free(rows);
    return result;
}

enum db_result after_calls_job_age(struct db *db, const char *job, int64_t *age_s)
{
    static const struct db_statement query = {
        "SELECT extract(epoch FROM now() - created_at)::bigint FROM jobs WHERE id = $1::uuid", 1};
    struct db_rows *rows;
    enum db_result result = db_run(db, &query, db_values(db_text(job)), &rows);
    *age_s = result == DB_OK && db_rows_count(rows) == 1 ? db_cell_number(rows, 0, 0) : 0;
    db_rows_free(rows);
    return result;
}

enum db_result after_calls_ai_key(struct db *db, const struct seal *seal, const char *organization,
                                  char key[ACCOUNTS_SECRET_MAX], bool *lost)
{
    static const struct db_statement query = {
        "SELECT sealed FROM credentials WHERE organization_id = $1::uuid AND kind = 'openai'", 1};
    struct db_rows *rows;
    char context[ACCOUNTS_CONTEXT_MAX];
    size_t bytes;
    key[0] = '\0';
    *lost = false;
    enum db_result result = db_run(db, &query, db_values(db_text(organization)), &rows);
    if (result == DB_OK && db_rows_count(rows) == 1) {
        uint8_t *sealed = db_cell_bytes(rows, 0, 0, &bytes);
        accounts_context(organization, "openai", "", context);
        *lost = !sealed ||
                !seal_read(seal, context, span_from(sealed, bytes), key, ACCOUNTS_SECRET_MAX);
        if (*lost)
            key[0] = '\0';
        free(sealed);
    }
    db_rows_free(rows);
    return result;
}

/* The list's texts as an array for PostgreSQL. */
static bool write_list(const json_t *list, struct db_array *array)
{
    size_t i;
    const json_t *text;
    if (!db_array_open(array))
        return false;
    json_array_foreach(list, i, text) db_array_add(array, json_string_value(text));
    return true;
}

enum db_result after_calls_add(struct db *db, const char *organization, const char *conversation,
                               bool complete, const json_t *outcome, bool *added)
{
    static const struct db_statement query = {
        "INSERT INTO after_calls (organization_id, conversation_id, complete, state, summary, "
        "outcome, intent, sentiment, callback_needed, model, response_id, input_tokens, "
        "output_tokens, error, follow_up) "
        "SELECT $1::uuid, $2::uuid, $3::boolean, o ->> 'state', o ->> 'summary', o ->> 'outcome', "
        "o ->> 'intent', o ->> 'sentiment', (o ->> 'callback_needed')::boolean, o ->> 'model', "
        "o ->> 'response_id', (o ->> 'input_tokens')::bigint, (o ->> 'output_tokens')::bigint, "
        "left(o ->> 'error', 2000), $5::text[] FROM (SELECT $4::jsonb) AS said (o) "
        "ON CONFLICT (organization_id, conversation_id) DO NOTHING RETURNING conversation_id",
        5};
    struct db_rows *rows = NULL;
    struct db_array follow_up = {.count = 0};
    char *text = json_dumps(outcome, JSON_COMPACT);
    enum db_result result = DB_BUSY;
    if (text && write_list(json_object_get(outcome, "follow_up"), &follow_up))
        result = db_run(db, &query,
                        db_values(db_text(organization), db_text(conversation), db_bool(complete),
                                  db_text(text), db_array_value(&follow_up)),
                        &rows);
    *added = result == DB_OK && db_rows_count(rows) == 1;
    db_rows_free(rows);
    db_array_free(&follow_up);
    free(text);
    return result;
}

enum db_result after_calls_voicemail(struct db *db, const char *voicemail, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT conversation, transcription, duration_ms, path, store, recording FROM "
        "voicemail_sound($1::uuid)",
        1};
    return db_run(db, &query, db_values(db_text(voicemail)), rows);
}

enum db_result after_calls_voicemail_put(struct db *db, const char *voicemail,
                                         const char *transcription, const char *summary)
{
    static const struct db_statement query = {
        "UPDATE voicemails SET transcription = coalesce($2, transcription), "
        "summary = coalesce($3, summary) WHERE id = $1::uuid",
        3};
    return db_run(db, &query,
                  db_values(db_text(voicemail), db_text(transcription), db_text(summary)), NULL);
}

/* ---- settings ---- */

/* Each column: its name, how its value is read from a text, and its rule in words. */
#define COLUMNS(ROW)                                                                               \
    ROW(email_to, "string_to_array(nullif(replace($2, ' ', ''), ''), ',')",                        \
        "addresses with commas between, 20 at most; empty: no e-mail")                             \
    ROW(email_from, "$2", "an address, or Name <address>")                                         \
    ROW(email_reply_to, "$2", "an address")                                                        \
    ROW(language, "$2", "en or de")                                                                \
    ROW(time_zone, "$2", "a time zone, e.g. Europe/Berlin")                                        \
    ROW(summary, "$2::boolean", "true or false")                                                   \
    ROW(summary_model, "$2", "a model's name")                                                     \
    ROW(summary_instructions, "$2", "a text of at most 8192 characters")                           \
    ROW(transcription_model, "$2", "a model's name")                                               \
    ROW(wait_s, "$2::integer", "from 1 to 3600 seconds")                                           \
    ROW(summary_wait_s, "$2::integer", "from 0 to 3600 seconds")                                   \
    ROW(link_days, "$2::integer", "from 0 to 90 days; 0: no link to the recording is sent")

static const struct column {
    const char *key, *rule;
    struct db_statement set, unset;
} columns[] = {
#define ROW(name, read, rule)                                                                      \
    {#name,                                                                                        \
     rule,                                                                                         \
     {"UPDATE after_call_settings SET " #name " = coalesce(" read                                  \
      ", (after_call_setting(NULL))." #name ") WHERE organization_id = $1::uuid",                  \
      2},                                                                                          \
     {"UPDATE after_call_settings SET " #name " = (after_call_setting(NULL))." #name               \
      " WHERE organization_id = $1::uuid",                                                         \
      1}},
    COLUMNS(ROW)
#undef ROW
};

static const struct column *find_column(const char *key)
{
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (strcmp(key, columns[i].key) == 0)
            return &columns[i];
    return NULL;
}

bool after_calls_setting_is(const char *key)
{
    return find_column(key) != NULL;
}

const char *after_calls_setting_rule(const char *key)
{
    const struct column *column = find_column(key);
    assert(column);
    return column->rule;
}

const char *after_calls_setting_keys(void)
{
#define ROW(name, read, rule) #name " "
    return COLUMNS(ROW);
#undef ROW
}

enum db_result after_calls_settings(struct db *db, const char *organization, struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT f.key, CASE WHEN f.key = 'email_to' "
        "THEN array_to_string(ARRAY(SELECT jsonb_array_elements_text(f.value)), ',') "
        "ELSE f.value #>> '{}' END, CASE WHEN f.value IS DISTINCT FROM d.value THEN 'own' "
        "ELSE 'default' END "
        "FROM jsonb_each(to_jsonb(after_call_setting($1::uuid)) "
        "     - '{organization_id,created_at,updated_at}'::text[]) AS f "
        "JOIN jsonb_each(to_jsonb(after_call_setting(NULL))) AS d ON d.key = f.key ORDER BY 1",
        1};
    return db_run(db, &query, db_values(db_text(organization)), rows);
}

struct change {
    const char *organization;
    const struct after_calls_setting *settings;
    int count;
    const char *refused; /* the key at which it stopped */
};

static enum db_result set_all(struct db *db, void *context)
{
    static const struct db_statement make = {
        "INSERT INTO after_call_settings (organization_id) VALUES ($1::uuid) ON CONFLICT DO "
        "NOTHING",
        1};
    struct change *change = context;
    enum db_result result = db_run(db, &make, db_values(db_text(change->organization)), NULL);
    for (int i = 0; i < change->count && result == DB_OK; i++) {
        const struct after_calls_setting *setting = &change->settings[i];
        const struct column *column = find_column(setting->key);
        assert(column);
        change->refused = setting->key;
        if (setting->value)
            result =
                db_run(db, &column->set,
                       db_values(db_text(change->organization), db_text(setting->value)), NULL);
        else
            result = db_run(db, &column->unset, db_values(db_text(change->organization)), NULL);
    }
    return result;
}

enum db_result after_calls_put(struct db *db, const char *organization,
                               const struct after_calls_setting *settings, int count,
                               const char **refused)
{
    struct change change = {organization, settings, count, NULL};
    enum db_result result = set_all(db, &change);
    *refused = result == DB_REFUSED ? change.refused : NULL;
    return result;
}

enum db_result after_calls_set(struct db *db, const char *organization,
                               const struct after_calls_setting *settings, int count,
                               const char **refused)
{
    struct change change = {organization, settings, count, NULL};
    enum db_result result = db_transact(db, organization, set_all, &change);
    *refused = result == DB_REFUSED ? change.refused : NULL;
    return result;
}
