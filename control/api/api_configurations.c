/* Settings: how the agent behaves on a channel, and what is done after a call. */
#include "control/api/api_groups.h"
#include "control/store/after_calls.h"
#include "control/store/configurations.h"

#include <stdio.h>
#include <stdlib.h>

#define SETTINGS_MAX 64
#define OTHER        "settings" /* what has no column */

/* Settings as the store takes them, with the texts that were made for them. */
struct draft {
    struct configurations_setting settings[SETTINGS_MAX];
    char *owned[2 * SETTINGS_MAX];
    int count, owned_count;
    bool full;
};

static char *keep(struct draft *draft, char *text)
{
    draft->owned[draft->owned_count++] = text;
    return text;
}

/* NULL: back to the default. A text as it stands, but for is_json; all else as JSON. */
static const char *write_value(struct draft *draft, const json_t *value, bool is_json)
{
    if (json_is_null(value))
        return NULL;
    if (json_is_string(value) && !is_json)
        return json_string_value(value);
    return keep(draft, json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT));
}

static void add(struct draft *draft, const char *prefix, const char *name, const json_t *value)
{
    char *key = NULL;
    if (draft->count == SETTINGS_MAX) {
        draft->full = true;
        return;
    }
    if (asprintf(&key, "%s%s", prefix, name) < 0)
        key = NULL;
    struct configurations_setting *setting = &draft->settings[draft->count++];
    setting->key = keep(draft, key);
    setting->value = write_value(draft, value, prefix[0] != '\0');
}

static void collect(const struct api *api, struct draft *draft)
{
    const char *name;
    json_t *value;
    json_object_foreach(api->body, name, value)
    {
        const char *inner_name;
        json_t *inner;
        if (strcmp(name, OTHER) != 0)
            add(draft, "", name, value);
        else
            json_object_foreach(value, inner_name, inner) add(draft, OTHER ".", inner_name, inner);
    }
}

static void drop(struct draft *draft)
{
    while (draft->owned_count > 0)
        free(draft->owned[--draft->owned_count]);
}

static enum db_result put(struct api *api, const struct draft *draft, const char *channel)
{
    const char *refused;
    for (int i = 0; i < draft->count; i++)
        if (!draft->settings[i].key || !configurations_has(draft->settings[i].key))
            return api_refuse(api, PROBLEM_invalid, "There is no setting %s.",
                              draft->settings[i].key ? draft->settings[i].key : "");
    enum db_result result = configurations_put(api->db, api->caller.organization, channel,
                                               draft->settings, draft->count, &refused);
    if (result == DB_REFUSED && refused)
        return api_refuse(api, PROBLEM_invalid, "%s is %s.", refused, configurations_rule(refused));
    return result;
}

static enum db_result change(struct api *api)
{
    struct draft draft = {.count = 0};
    const char *channel = api->arguments[0];
    if (strcmp(channel, "voice") != 0 && strcmp(channel, "sms") != 0 &&
        strcmp(channel, "whatsapp") != 0)
        return api_missing(api);
    collect(api, &draft);
    enum db_result result = draft.full ? api_refuse(api, PROBLEM_invalid, "Too many settings.")
                                       : put(api, &draft, channel);
    drop(&draft);
    return result;
}

/* ---- after a call ---- */

/* A list of addresses is written with commas between, as the command line takes it. */
static char *join_texts(const json_t *list)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    for (size_t i = 0; out && i < json_array_size(list); i++)
        fprintf(out, "%s%s", i ? "," : "", json_string_value(json_array_get(list, i)));
    if (out)
        fclose(out);
    return text;
}

static enum db_result change_after(struct api *api)
{
    struct draft draft = {.count = 0};
    struct after_calls_setting settings[API_MEMBERS_MAX];
    const char *name, *refused;
    json_t *value;
    int count = 0;
    json_object_foreach(api->body, name, value)
    {
        settings[count].key = name;
        settings[count++].value = json_is_array(value) ? keep(&draft, join_texts(value))
                                                       : write_value(&draft, value, false);
    }
    enum db_result result =
        after_calls_put(api->db, api->caller.organization, settings, count, &refused);
    if (result == DB_REFUSED && refused)
        result = api_refuse(api, PROBLEM_invalid, "%s is %s.", refused,
                            after_calls_setting_rule(refused));
    drop(&draft);
    return result;
}

/* null anywhere: the built-in value again. */
#define TEXT(most) "{\"type\":[\"string\",\"null\"],\"maxLength\":" #most "}"
#define WHOLE(from, to)                                                                            \
    "{\"type\":[\"integer\",\"null\"],\"minimum\":" #from ",\"maximum\":" #to "}"

static const struct api_member body[] = {
    {"instructions", TEXT(65536), "What the agent is told about its task.", false},
    {"greeting", TEXT(4096), "What it says first; empty: it waits.", false},
    {"model", TEXT(100), "The model's name.", false},
    {"voice", TEXT(100), "The voice's name.", false},
    {"ai_backend", TEXT(40), "Which dialect the AI speaks: openai_realtime.", false},
    {"audio_format", "{\"enum\":[\"pcmu\",\"pcm\",null]}", "What goes to and from the AI.", false},
    {"language", TEXT(40), "The caller's language, e.g. en; empty: found out.", false},
    {"transcription_model", TEXT(100), "What writes down the caller's words; empty: nobody.",
     false},
    {"duration_max_s", WHOLE(10, 86400), "Longest call.", false},
    {"tools", "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"object\"}}",
     "Functions that the AI is told of as they stand.", false},
    {"append_ms", "{\"enum\":[20,40,60,100,null]}", "Caller audio in one message to the AI.",
     false},
    {"greeting_interruptible", SHOWN_FLAG_NULL, "False: heard to its end.", false},
    {"interrupt_after_ms", WHOLE(0, 2000), "Speech before the agent falls silent.", false},
    {"vad_prefix_ms", WHOLE(0, 2000), "Audio before the detected speech.", false},
    {"vad_silence_ms", WHOLE(100, 5000), "Silence that ends a turn.", false},
    {"vad_threshold_percent", WHOLE(0, 100), "How sure the AI must be.", false},
    {"session_max_s", WHOLE(10, 86400), "How long the AI's maker lets a session live.", false},
    {"record", SHOWN_FLAG_NULL, "Keep both sides of every call.", false},
    {"record_kbps", WHOLE(8, 256), "Opus bit rate of what is kept.", false},
    {OTHER, "{\"type\":\"object\"}", "What has no member of its own: keep_days, carrier_copy.",
     false},
    API_END};

#define GROUP "configurations"
static const struct api_row rows[] = {
    {API_LISTS(API_PREFIX "configurations", "list_configurations",
               "What is in force on each channel.", GROUP, shown_configurations)},
    {API_SHOWS(API_PREFIX "configurations/{channel}", "show_configuration",
               "What is in force on a channel.", GROUP, shown_configurations)},
    {.method = "PATCH",
     .path = API_PREFIX "configurations/{channel}",
     .name = "change_configuration",
     .says = "Sets these settings, all or none; null: the built-in value again.",
     .group = GROUP,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_configurations,
     .body = body,
     .act = change},
};
const struct api_group api_configurations = {GROUP, "How the agent behaves.", rows,
                                             API_COUNT(rows)};

static const struct api_member after_body[] = {
    {"email_to",
     "{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\",\"minLength\":3},"
     "\"maxItems\":20}",
     "Who gets an e-mail about each call.", false},
    {"email_from", TEXT(320), "Its sender.", false},
    {"email_reply_to", TEXT(320), "Where answers to it go.", false},
    {"language", "{\"enum\":[\"en\",\"de\",null]}", "Of what is sent.", false},
    {"time_zone", TEXT(64), "Of the times in it: Europe/Berlin.", false},
    {"summary", SHOWN_FLAG_NULL, "Does an AI sum calls up?", false},
    {"summary_model", TEXT(100), "Which.", false},
    {"summary_instructions", TEXT(8192), "What it is told.", false},
    {"transcription_model", TEXT(100), "What writes voicemails down.", false},
    {"wait_s", WHOLE(1, 3600), "How long the call's last facts are waited for.", false},
    {"summary_wait_s", WHOLE(0, 3600), "How long the summary is waited for.", false},
    {"link_days", WHOLE(0, 90), "How long links to recordings in it are good.", false},
    API_END};

#define AFTER "after-call"
static const struct api_row after_rows[] = {
    {API_SHOWS(API_PREFIX "after-call", "show_after_call", "What is done after a call.", AFTER,
               shown_after_call)},
    {.method = "PATCH",
     .path = API_PREFIX "after-call",
     .name = "change_after_call",
     .says = "Sets these settings, all or none; null: the built-in value again.",
     .group = AFTER,
     .role = API_ADMIN,
     .shape = API_ONE,
     .status = 200,
     .shown = &shown_after_call,
     .body = after_body,
     .act = change_after},
};
const struct api_group api_after_call = {AFTER, "What is done after a call.", after_rows,
                                         API_COUNT(after_rows)};
