#include "control/store/configurations.h"

#include "common/panic.h"

/* Each column: its name, its type, and its rule in words for whoever broke it. */
#define COLUMNS(ROW)                                                                               \
    ROW(instructions, text, "a text of at most 65536 characters")                                  \
    ROW(greeting, text, "a text of at most 4096 characters; empty: the agent waits")               \
    ROW(model, text, "the model's name: letters, digits and ._:/-, 100 at most")                   \
    ROW(voice, text, "the voice's name: letters, digits and ._:-, 100 at most")                    \
    ROW(ai_backend, text, "small letters, digits and _, 40 at most: openai_realtime")              \
    ROW(audio_format, text, "pcmu (passed through untouched) or pcm (24 kHz)")                     \
    ROW(language, text, "a language tag such as en or pt-BR; empty: found out")                    \
    ROW(transcription_model, text, "a model's name; empty: the caller's words are not written")    \
    ROW(duration_max_s, integer, "from 10 to 86400 seconds")                                       \
    ROW(tools, jsonb, "a JSON array of function objects, 256 KiB at most")                         \
    ROW(append_ms, integer, "20, 40, 60 or 100 milliseconds")                                      \
    ROW(greeting_interruptible, boolean, "true or false")                                          \
    ROW(interrupt_after_ms, integer, "from 0 to 2000 milliseconds")                                \
    ROW(vad_prefix_ms, integer, "from 0 to 2000 milliseconds")                                     \
    ROW(vad_silence_ms, integer, "from 100 to 5000 milliseconds")                                  \
    ROW(vad_threshold_percent, integer, "from 0 to 100 percent")                                   \
    ROW(session_max_s, integer, "from 10 to 86400 seconds")                                        \
    ROW(record, boolean, "true or false")                                                          \
    ROW(record_kbps, integer, "from 8 to 256 kbit/s")

#define SET(name, type)                                                                            \
    "INSERT INTO channel_configurations (organization_id, channel, " #name ") "                    \
    "VALUES ($1::uuid, $2, $3::" #type ") ON CONFLICT (organization_id, channel) "                 \
    "DO UPDATE SET " #name " = excluded." #name

static const struct column {
    const char *key, *rule;
    struct db_statement set;
} columns[] = {
#define ROW(name, type, rule) {#name, rule, {SET(name, type), 3}},
    COLUMNS(ROW)
#undef ROW
};

static const char other_prefix[] = "settings.";

static const struct column *find_column(const char *key)
{
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (strcmp(key, columns[i].key) == 0)
            return &columns[i];
    return NULL;
}

/* settings.NAME for what has no column; one that has is not to be said twice. */
static bool is_other(const char *key)
{
    size_t bytes = sizeof other_prefix - 1;
    return strncmp(key, other_prefix, bytes) == 0 && key[bytes] && !find_column(key + bytes);
}

bool configurations_has(const char *key)
{
    return find_column(key) || is_other(key);
}

const char *configurations_keys(void)
{
#define ROW(name, type, rule) #name ", "
    return COLUMNS(ROW) "settings.NAME";
#undef ROW
}

const char *configurations_rule(const char *key)
{
    const struct column *column = find_column(key);
    return column ? column->rule : "JSON; all settings together 64 KiB at most";
}

struct change {
    const char *organization, *channel;
    const struct configurations_setting *settings;
    int count;
    const char *refused; /* the key at which it stopped */
};

static enum db_result set_other(struct db *db, const struct change *change,
                                const struct configurations_setting *setting)
{
    static const struct db_statement query = {
        "INSERT INTO channel_configurations AS own (organization_id, channel, settings) "
        "VALUES ($1::uuid, $2, CASE WHEN $4::jsonb IS NULL THEN '{}' "
        "ELSE jsonb_build_object($3::text, $4::jsonb) END) "
        "ON CONFLICT (organization_id, channel) DO UPDATE "
        "SET settings = own.settings - $3::text || excluded.settings",
        4};
    return db_run(db, &query,
                  db_values(db_text(change->organization), db_text(change->channel),
                            db_text(setting->key + sizeof other_prefix - 1),
                            db_text(setting->value)),
                  NULL);
}

static enum db_result set_all(struct db *db, void *context)
{
    struct change *change = context;
    enum db_result result = DB_OK;
    for (int i = 0; i < change->count && result == DB_OK; i++) {
        const struct configurations_setting *setting = &change->settings[i];
        const struct column *column = find_column(setting->key);
        assert(configurations_has(setting->key));
        change->refused = setting->key;
        result = column ? db_run(db, &column->set,
                                 db_values(db_text(change->organization), db_text(change->channel),
                                           db_text(setting->value)),
                                 NULL)
                        : set_other(db, change, setting);
    }
    return result;
}

enum db_result configurations_put(struct db *db, const char *organization, const char *channel,
                                  const struct configurations_setting *settings, int count,
                                  const char **refused)
{
    struct change change = {organization, channel, settings, count, NULL};
    enum db_result result = set_all(db, &change);
    *refused = result == DB_REFUSED ? change.refused : NULL;
    return result;
}

enum db_result configurations_set(struct db *db, const char *organization, const char *channel,
                                  const struct configurations_setting *settings, int count,
                                  const char **refused)
{
    struct change change = {organization, channel, settings, count, NULL};
    enum db_result result = db_transact(db, organization, set_all, &change);
    if (refused)
        *refused = result == DB_REFUSED ? change.refused : NULL;
    return result;
}

enum db_result configurations_show(struct db *db, const char *organization, const char *channel,
                                   struct db_rows **rows)
{
    static const struct db_statement query = {
        "SELECT f.key, f.value #>> '{}', "
        "CASE WHEN own.value IS NULL OR own.value = 'null' THEN 'built-in' ELSE 'own' END "
        "FROM jsonb_each(to_jsonb((SELECT c FROM channel_configuration($1::uuid, $2) AS c)) "
        "                - 'configured') AS f "
        "LEFT JOIN jsonb_each((SELECT to_jsonb(c) FROM channel_configurations AS c "
        "     WHERE c.organization_id = $1::uuid AND c.channel = $2)) AS own ON own.key = f.key "
        "ORDER BY 1",
        2};
    return db_run(db, &query, db_values(db_text(organization), db_text(channel)), rows);
}
