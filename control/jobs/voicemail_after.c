/* voicemail_after: a message that a caller left is written down, summed up, and told to everybody
 * who wants to know.
 *
 * Its sound is fetched by another job (recording_fetch); this one becomes due when it is there. The
 * words go on record as soon as they are known, so that no second try pays for them again; the
 * summary, everything that is sent, and the end of the job are one transaction. What does not
 * come in time is left out, and the e-mail says so. */
#include "common/log.h"
#include "control/base/summary.h"
#include "control/jobs/after.h"
#include "control/store/after_calls.h"

#include <stdlib.h>

#define FETCH_PATIENCE_S 300  /* for the sound, before what the organisation waits for summaries */
#define SHORTEST_MS      1000 /* of less, AIs invent words */

struct message {
    struct after after;
    const char *id;
    struct db_rows *rows; /* of after_calls_voicemail */
    json_t *shown;        /* its element of facts.voicemails */
    char *transcription;  /* new words */
};

/* ---- reading ---- */

static enum db_result load(struct db *db, void *context)
{
    struct message *message = context;
    db_rows_free(message->rows);
    message->rows = NULL;
    return after_calls_voicemail(db, message->id, &message->rows);
}

static json_t *find_shown(const struct message *message)
{
    size_t i;
    json_t *voicemail;
    json_array_foreach(json_object_get(message->after.facts, "voicemails"), i, voicemail)
    {
        const char *id = json_string_value(json_object_get(voicemail, "id"));
        if (id && strcmp(id, message->id) == 0)
            return voicemail;
    }
    return NULL;
}

static bool read_message(struct message *message, struct db *db, enum job_end *end)
{
    struct job *job = message->after.job;
    if (db_transact(db, job->claimed.organization, load, message) != DB_OK) {
        *end = job_later(job, "%s", db_error(db));
        return false;
    }
    if (db_rows_count(message->rows) != 1) {
        *end = job_dead(job, "there is no such message");
        return false;
    }
    memcpy(message->after.conversation, db_cell(message->rows, 0, AFTER_CALLS_CONVERSATION),
           sizeof message->after.conversation);
    if (after_read(&message->after, db) != DB_OK) {
        *end = job_later(job, "%s", db_error(db));
        return false;
    }
    message->shown = message->after.facts ? find_shown(message) : NULL;
    if (!message->shown)
        *end = job_dead(job, "there is no such message");
    return message->shown != NULL;
}

/* ---- the words ---- */

static enum db_result put_words(struct db *db, void *context)
{
    const struct message *message = context;
    return after_calls_voicemail_put(db, message->id, message->transcription, NULL);
}

static enum ai_rest_end transcribe(struct message *message, const char *path,
                                   struct http_client_response *response)
{
    struct after *after = &message->after;
    struct ai_rest ai;
    const char *model = after_setting(after, "transcription_model");
    const char *ending = strrchr(path, '.');
    size_t bytes = 0;
    *response = (struct http_client_response){.end = HTTP_CLIENT_failed, .retry_after_s = -1};
    if (!after_ai(after, &ai)) {
        snprintf(response->error, sizeof response->error,
                 "there is no API key for the AI, or it does not open");
        return AI_REST_NEVER;
    }
    uint8_t *sound = after_sound(after, path, db_cell(message->rows, 0, AFTER_CALLS_STORE), &bytes,
                                 response->error, sizeof response->error);
    if (!sound)
        return AI_REST_LATER;
    enum ai_rest_end end =
        ai_rest_transcribe(&ai, span_from(sound, bytes), ending ? ending : ".wav",
                           model[0] ? model : after->options->transcription_model, "",
                           &message->transcription, response);
    free(sound);
    return end;
}

/* Sets transcription, from record or anew; NULL: it could not be had in time. False: try again. */
static bool write_down(struct message *message, struct db *db, int64_t patience_s,
                       enum job_end *end)
{
    struct job *job = message->after.job;
    struct http_client_response response;
    const char *known = db_cell(message->rows, 0, AFTER_CALLS_TRANSCRIPTION);
    const char *path = db_cell(message->rows, 0, AFTER_CALLS_PATH);
    int64_t duration_ms = db_cell_number(message->rows, 0, AFTER_CALLS_DURATION_MS);
    enum ai_rest_end asked = AI_REST_LATER;
    if (known)
        return true;
    if (duration_ms >= 0 && duration_ms < SHORTEST_MS) {
        message->transcription = strdup("");
        asked = AI_REST_ANSWERED;
    } else if (path) {
        asked = transcribe(message, path, &response);
        job_later(job, "not written down: %s", response.error);
        if (response.retry_after_s > 0 && response.retry_after_s < patience_s)
            job->pause_least_ms = response.retry_after_s * 1000;
        http_client_free(&response);
    } else {
        job_later(job, "its sound has not been fetched yet");
    }
    if (asked == AI_REST_LATER && message->after.age_s < patience_s) {
        *end = job_must_stop(job) ? JOB_RETURNED : JOB_LATER;
        return false;
    }
    if (!message->transcription) {
        log_warn("a voicemail is not written down", log_text("voicemail", message->id),
                 log_text("error", job->error));
        return true;
    }
    json_object_set_new(message->shown, "transcription", json_string(message->transcription));
    if (db_transact(db, job->claimed.organization, put_words, message) == DB_OK)
        return true;
    *end = job_later(job, "%s", db_error(db));
    return false;
}

/* ---- telling ---- */

static enum db_result put(struct db *db, void *context)
{
    const struct message *message = context;
    const json_t *summary = json_object_get(message->after.outcome, "summary");
    enum db_result result =
        after_calls_voicemail_put(db, message->id, NULL, json_string_value(summary));
    return result == DB_OK ? after_put(&message->after, db, "voicemail.received") : result;
}

static enum job_end finish(struct message *message, struct db *db)
{
    struct after *after = &message->after;
    char about[64];
    const struct after_render_matter matter = {
        .facts = after->facts,
        .outcome = after->outcome,
        .voicemail = message->shown,
        .recording_url = after_link(after, db_cell(message->rows, 0, AFTER_CALLS_RECORDING))};
    snprintf(about, sizeof about, "voicemail/%s", message->id);
    if (!after_compose(after, &matter, true, about))
        return job_later(after->job, "no memory for what is to be sent");
    if (job_commit(after->job, db, put, message) != DB_OK)
        return job_later(after->job, "not on record: %s", db_error(db));
    return JOB_DONE;
}

static enum job_end run_loaded(struct message *message, struct db *db)
{
    struct after *after = &message->after;
    enum job_end end;
    int64_t patience_s = FETCH_PATIENCE_S + after_setting_number(after, "summary_wait_s");
    if (!write_down(message, db, patience_s, &end))
        return end;
    const char *words = json_string_value(json_object_get(message->shown, "transcription"));
    if (!words || !words[0])
        after->outcome = summary_none("silent", NULL);
    else if (!after_sum_up(after, message->shown, patience_s, &end))
        return end;
    return finish(message, db);
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct message message = {.after = {.job = job, .options = given->options},
                              .id = json_string_value(json_object_get(job->payload, "voicemail"))};
    enum job_end end = JOB_LATER; /* read_message says otherwise */
    if (!message.id)
        return job_dead(job, "its payload names no message");
    if (read_message(&message, db, &end))
        end = run_loaded(&message, db);
    db_rows_free(message.rows);
    free(message.transcription);
    after_free(&message.after);
    return end;
}

const struct job_kind voicemail_after = {
    .limits = {.name = "voicemail_after", .lease_ms = 15000},
    .pause_ms = 2000,
    .pause_ms_max = 30000,
    .run = run,
};
