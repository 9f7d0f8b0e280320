#include "control/jobs/after.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/panic.h"
#include "control/base/summary.h"
#include "control/media/store.h"
#include "control/service/media_link.h"
#include "control/store/after_calls.h"
#include "control/store/deliveries.h"
#include "control/store/recordings.h"

#include <stdlib.h>
#include <time.h>

/* ---- reading ---- */

static enum db_result read_all(struct db *db, void *context)
{
    struct after *after = context;
    const struct jobs_claimed *claimed = &after->job->claimed;
    json_decref(after->facts); /* of a try before */
    enum db_result result = after_calls_facts(db, after->conversation, &after->facts);
    if (result == DB_OK)
        result = after_calls_job_age(db, claimed->id, &after->age_s);
    if (result == DB_OK)
        result = after_calls_ai_key(db, &after->options->seal, claimed->organization, after->ai_key,
                                    &after->ai_key_lost);
    return result;
}

enum db_result after_read(struct after *after, struct db *db)
{
    return db_transact(db, after->job->claimed.organization, read_all, after);
}

const char *after_setting(const struct after *after, const char *name)
{
    const json_t *settings = json_object_get(after->facts, "settings");
    const char *text = json_string_value(json_object_get(settings, name));
    return text ? text : "";
}

int64_t after_setting_number(const struct after *after, const char *name)
{
    const json_t *settings = json_object_get(after->facts, "settings");
    return json_integer_value(json_object_get(settings, name));
}

void after_free(struct after *after)
{
    json_decref(after->facts);
    json_decref(after->outcome);
    json_decref(after->messages);
    explicit_bzero(after->ai_key, sizeof after->ai_key);
}

/* ---- the summary ---- */

bool after_ai(struct after *after, struct ai_rest *ai)
{
    const struct options *options = after->options;
    *ai = (struct ai_rest){.base_url = options->openai_base_url,
                           .key = after->ai_key[0] ? after->ai_key : options->openai_api_key,
                           .ca_path = options->ca_path,
                           .must_stop = job_must_stop_asking,
                           .context = after->job};
    return ai->key && !after->ai_key_lost;
}

static bool was_said(const json_t *facts)
{
    size_t i;
    const json_t *message;
    json_array_foreach(json_object_get(facts, "messages"), i, message)
    {
        const char *role = json_string_value(json_object_get(message, "role"));
        if (role && strcmp(role, "user") == 0)
            return true;
    }
    return false;
}

/* One question. Sets outcome when it was answered well. */
static enum ai_rest_end ask(struct after *after, const struct ai_rest *ai, const json_t *voicemail,
                            struct http_client_response *response)
{
    const char *model = after_setting(after, "summary_model");
    char *body =
        summary_request(after->facts, voicemail, model[0] ? model : after->options->summary_model);
    bool again = true;
    if (!body) {
        *response = (struct http_client_response){.end = HTTP_CLIENT_failed, .retry_after_s = -1};
        snprintf(response->error, sizeof response->error, "no memory");
        return AI_REST_LATER;
    }
    enum ai_rest_end end = ai_rest_respond(ai, body, response);
    if (end == AI_REST_ANSWERED) {
        after->outcome = summary_read(span_from(response->body, response->bytes), &again,
                                      response->error, sizeof response->error);
        end = after->outcome ? end : again ? AI_REST_LATER : AI_REST_NEVER;
    }
    free(body);
    return end;
}

bool after_sum_up(struct after *after, const json_t *voicemail, int64_t patience_s,
                  enum job_end *end)
{
    struct ai_rest ai;
    struct http_client_response response;
    const json_t *settings = json_object_get(after->facts, "settings");
    if (!json_is_true(json_object_get(settings, "summary")))
        after->outcome = summary_none("not_wanted", NULL);
    else if (!voicemail && !was_said(after->facts))
        after->outcome = summary_none("silent", NULL);
    else if (!after_ai(after, &ai))
        after->outcome =
            summary_none("failed", "there is no API key for the AI, or it does not open");
    if (after->outcome)
        return true;
    enum ai_rest_end asked = ask(after, &ai, voicemail, &response);
    bool stopped = response.end == HTTP_CLIENT_stopped;
    if (asked == AI_REST_LATER && (stopped || after->age_s < patience_s)) {
        if (response.retry_after_s > 0 && response.retry_after_s < patience_s)
            after->job->pause_least_ms = response.retry_after_s * 1000;
        *end = stopped ? JOB_RETURNED : job_later(after->job, "no summary: %s", response.error);
    } else if (!after->outcome) {
        log_warn("no summary", log_text("conversation", after->conversation),
                 log_text("error", response.error));
        after->outcome = summary_none("failed", response.error);
    }
    http_client_free(&response);
    return after->outcome != NULL;
}

/* ---- telling everybody ---- */

static bool add(struct after *after, const char *id, const char *kind, const char *endpoint,
                const char *target, const char *about, char *body)
{
    char key[200];
    if (!body)
        return false;
    snprintf(key, sizeof key, "%s/%s/%s", about, kind, endpoint ? endpoint : "all");
    json_t *message = json_pack("{s:s,s:s,s:s*,s:s,s:s,s:s}", "id", id, "kind", kind, "endpoint",
                                endpoint, "target", target, "key", key, "body", body);
    free(body);
    return message && json_array_append_new(after->messages, message) == 0;
}

/* The request to Resend; SMTP's message is made from it. Without a sender of the organisation's own
 * the installation's is put in when it is sent. */
static char *write_email(const struct after *after, const struct after_render_matter *matter,
                         const char *id)
{
    struct after_render_email email;
    const json_t *settings = json_object_get(after->facts, "settings");
    char *body = NULL;
    if (!after_render_email(matter, &email))
        return NULL;
    json_t *request = json_pack(
        "{s:O,s:s,s:s,s:s,s:{s:s}}", "to", json_object_get(settings, "email_to"), "subject",
        email.subject, "text", email.text, "html", email.html, "headers", "X-Entity-Ref-ID", id);
    if (after_setting(after, "email_from")[0])
        json_object_set_new(request, "from", json_string(after_setting(after, "email_from")));
    if (after_setting(after, "email_reply_to")[0])
        json_object_set_new(request, "reply_to",
                            json_string(after_setting(after, "email_reply_to")));
    body = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    after_render_email_free(&email);
    return body;
}

static char *list_recipients(const json_t *to)
{
    char *text = NULL;
    size_t bytes, i;
    const json_t *address;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    json_array_foreach(to, i, address)
        fprintf(out, "%s%s", i ? "," : "", json_string_value(address));
    fclose(out);
    return text;
}

static bool compose_email(struct after *after, const struct after_render_matter *matter,
                          const char *about)
{
    char id[UUID_TEXT_BYTES + 1];
    const json_t *settings = json_object_get(after->facts, "settings");
    const json_t *to = json_object_get(settings, "email_to");
    if (json_array_size(to) == 0)
        return true;
    uuid_make(id);
    char *target = list_recipients(to);
    bool fine =
        target && add(after, id, "email", NULL, target, about, write_email(after, matter, id));
    free(target);
    return fine;
}

static bool compose_endpoint(struct after *after, const struct after_render_matter *matter,
                             const json_t *endpoint, const char *about)
{
    char id[UUID_TEXT_BYTES + 1], now[32];
    const char *kind = json_string_value(json_object_get(endpoint, "kind"));
    int64_t now_ms = clock_wall_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&now_s, &utc);
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    uuid_make(id);
    bool webhook = kind && strcmp(kind, "webhook") == 0;
    return add(after, id, webhook ? "webhook" : "slack",
               json_string_value(json_object_get(endpoint, "id")),
               json_string_value(json_object_get(endpoint, "target")), about,
               webhook ? after_render_webhook(matter, id, now) : after_render_slack(matter));
}

bool after_compose(struct after *after, const struct after_render_matter *matter, bool with_email,
                   const char *about)
{
    size_t i;
    const json_t *endpoint;
    bool fine = true;
    after->messages = json_array();
    if (with_email)
        fine = compose_email(after, matter, about);
    json_array_foreach(json_object_get(after->facts, "endpoints"), i, endpoint) fine =
        fine && compose_endpoint(after, matter, endpoint, about);
    return fine;
}

const char *after_link(struct after *after, const char *recording)
{
    struct ticket_keys keys = {.has_previous = false};
    char ticket[TICKET_TEXT_BYTES + 1];
    int64_t days = after_setting_number(after, "link_days");
    if (!recording || days == 0 ||
        !seal_derive(&after->options->seal, MEDIA_LINK_KEY_LABEL, false, keys.current))
        return NULL;
    after->link_expires_ms = clock_wall_ms() + days * 24 * 60 * 60 * 1000;
    bool minted = media_link_mint(&keys, after->job->claimed.organization, recording,
                                  after->link_expires_ms, ticket, after->link_id);
    explicit_bzero(&keys, sizeof keys);
    if (!minted)
        return NULL;
    after->recording = recording;
    snprintf(after->link, sizeof after->link, "%s" MEDIA_LINK_PATH "%s", after->options->public_url,
             ticket);
    return after->link;
}

enum db_result after_put(const struct after *after, struct db *db, const char *event)
{
    size_t i;
    const json_t *message;
    enum db_result result = DB_OK;
    if (after->recording)
        result = recordings_note(db, after->link_id, after->recording, "link",
                                 "whoever is told after the call", after->link_expires_ms);
    json_array_foreach(after->messages, i, message)
    {
        const struct deliveries_new delivery = {
            .id = json_string_value(json_object_get(message, "id")),
            .organization = after->job->claimed.organization,
            .conversation = after->conversation,
            .endpoint = json_string_value(json_object_get(message, "endpoint")),
            .kind = json_string_value(json_object_get(message, "kind")),
            .event = event,
            .key = json_string_value(json_object_get(message, "key")),
            .target = json_string_value(json_object_get(message, "target")),
            .body = json_string_value(json_object_get(message, "body"))};
        if (result == DB_OK)
            result = deliveries_add(db, &delivery);
    }
    return result;
}

/* ---- sound ---- */

uint8_t *after_sound(struct after *after, const char *path, const char *store, size_t *bytes,
                     char *error, size_t room)
{
    struct store from = {
        .options = after->options, .must_stop = job_must_stop_asking, .context = after->job};
    const struct store_kind *kind = store_named(after->options, store);
    uint8_t *sound = kind ? malloc(AI_REST_SOUND_BYTES + STORE_PIECE_BYTES) : NULL;
    size_t taken = 1;
    *bytes = 0;
    if (!sound) {
        snprintf(error, room, kind ? "no memory" : "this control has no store \"%s\"", store);
        return NULL;
    }
    while (taken > 0 && *bytes < AI_REST_SOUND_BYTES) {
        enum store_end end =
            kind->read(&from, path, *bytes, sound + *bytes, STORE_PIECE_BYTES, &taken);
        if (end != STORE_DONE) {
            snprintf(error, room, "%s",
                     end == STORE_MISSING ? "its file is not there" : from.error);
            free(sound);
            return NULL;
        }
        *bytes += taken;
    }
    return sound;
}
