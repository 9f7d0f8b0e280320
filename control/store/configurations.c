#include "control/store/configurations.h"

#include "common/panic.h"

#define COLUMN(name, type)                                                                         \
    {                                                                                              \
#name,                                                                                     \
        {                                                                                          \
            "INSERT INTO channel_configurations (organization_id, channel, " #name ") "            \
            "VALUES ($1::uuid, $2, $3::" #type ") ON CONFLICT (organization_id, channel) "         \
            "DO UPDATE SET " #name " = excluded." #name,                                           \
                3                                                                                  \
        }                                                                                          \
    }

static const struct {
    const char *key;
    struct db_statement set;
} columns[] = {
    COLUMN(ai_backend, text),
    COLUMN(model, text),
    COLUMN(voice, text),
    COLUMN(instructions, text),
    COLUMN(greeting, text),
    COLUMN(audio_format, text),
    COLUMN(language, text),
    COLUMN(transcription_model, text),
    COLUMN(duration_max_s, integer),
    COLUMN(tools, jsonb),
};

static const char other_prefix[] = "settings.";

static const struct db_statement *find_column(const char *key)
{
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (strcmp(key, columns[i].key) == 0)
            return &columns[i].set;
    return NULL;
}

static bool is_other(const char *key)
{
    size_t bytes = sizeof other_prefix - 1;
    return strncmp(key, other_prefix, bytes) == 0 && key[bytes];
}

bool configurations_has(const char *key)
{
    return find_column(key) || is_other(key);
}

const char *configurations_keys(void)
{
    return "instructions, greeting, model, voice, ai_backend, audio_format, language, "
           "transcription_model, duration_max_s, tools, settings.NAME";
}

struct change {
    const char *organization, *channel;
    const struct configurations_setting *settings;
    int count;
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
    const struct change *change = context;
    enum db_result result = DB_OK;
    for (int i = 0; i < change->count && result == DB_OK; i++) {
        const struct configurations_setting *setting = &change->settings[i];
        const struct db_statement *column = find_column(setting->key);
        assert(configurations_has(setting->key));
        result = column ? db_run(db, column,
                                 db_values(db_text(change->organization), db_text(change->channel),
                                           db_text(setting->value)),
                                 NULL)
                        : set_other(db, change, setting);
    }
    return result;
}

enum db_result configurations_set(struct db *db, const char *organization, const char *channel,
                                  const struct configurations_setting *settings, int count)
{
    struct change change = {organization, channel, settings, count};
    return db_transact(db, organization, set_all, &change);
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
