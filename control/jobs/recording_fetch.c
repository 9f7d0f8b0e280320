/* recording_fetch: a recording that the carrier made, of a call or of a message that a caller left,
 * becomes a file in our store and a row of recordings.
 *
 * In this order, so that a crash at any line loses nothing and doubles nothing: ask whether it is
 * ready and what it should be, fetch it beside its place, look at what came (a WAV file of that
 * length, by its bytes), keep it; row, link with its message, and end of the job in one
 * transaction. Names come from the job's id, so whoever begins anew writes over what was left. */
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/media/peaks.h"
#include "control/media/store.h"
#include "control/media/wav_file.h"
#include "control/store/recordings.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES_MAX (UINT64_C(1) << 30) /* nine hours in two channels */
#define SHORT_MS_MAX   2000                /* the carrier rounds; more is missing sound */
#define MEDIA_TYPE     "audio/wav"

struct fetching {
    struct job *job;
    const struct options *options;
    const char *recording, *account, *conversation, *purpose; /* of the payload */
    struct twilio_rest rest;
    struct media_path place;
    const struct store_kind *kind;
    /* what the carrier says of it */
    int64_t channels, duration_ms, started_at_ms;
    /* what came */
    struct wav_file wav;
    struct peaks peaks;
    uint64_t bytes;
    uint8_t sha256[32];
};

/* ---- what the carrier says ---- */

/* A number, or a string that is one; -1 else. */
static int64_t read_number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_integer(value))
        return json_integer_value(value);
    const char *text = json_string_value(value);
    return text && text[0] >= '0' && text[0] <= '9' ? strtoll(text, NULL, 10) : -1;
}

/* "Fri, 14 Oct 2016 21:56:34 +0000"; now for what is not one. */
static int64_t read_time_ms(const json_t *object, const char *name)
{
    struct tm tm = {.tm_sec = 0};
    const char *text = json_read_text(object, name, 64);
    const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) : NULL;
    return end ? (int64_t)timegm(&tm) * 1000 : (int64_t)time(NULL) * 1000;
}

static enum job_end read_facts(struct fetching *fetching, const json_t *json)
{
    const char *status = json_read_text(json, "status", 32);
    if (!status || strcmp(status, "completed") != 0) {
        static const char *const never[] = {"absent", "deleted", "failed"};
        for (size_t i = 0; status && i < sizeof never / sizeof never[0]; i++)
            if (strcmp(status, never[i]) == 0)
                return job_dead(fetching->job, "the carrier says that it is %s", status);
        return job_later(fetching->job, "the carrier is not done with it: %s",
                         status ? status : "no status");
    }
    fetching->channels = read_number(json, "channels");
    fetching->duration_ms = read_number(json, "duration") * 1000;
    fetching->started_at_ms = read_time_ms(json, "start_time");
    return JOB_DONE;
}

/* 404 may mend: the callback can be quicker than the carrier's own tables. */
static enum job_end ask_facts(struct fetching *fetching)
{
    char path[TWILIO_REST_PATH_BYTES];
    struct http_client_response response;
    json_t *json;
    snprintf(path, sizeof path, "Recordings/%s.json", fetching->recording);
    bool answered =
        twilio_rest_ask(&fetching->rest, "GET", path, NULL, 0, &json, &response) && json;
    if (response.status == 404)
        response.try_again = true;
    enum job_end end = answered ? read_facts(fetching, json) : job_asked(fetching->job, &response);
    json_decref(json);
    http_client_free(&response);
    return end;
}

static enum job_end fetch(struct fetching *fetching)
{
    char path[TWILIO_REST_PATH_BYTES];
    struct http_client_response response;
    snprintf(path, sizeof path, "Recordings/%s.wav%s", fetching->recording,
             fetching->channels == 2 ? "?RequestedChannels=2" : "");
    enum job_end end = JOB_DONE;
    if (!twilio_rest_fetch(&fetching->rest, path, fetching->place.part, FILE_BYTES_MAX, &response))
        end = job_asked(fetching->job, &response);
    fetching->bytes = response.bytes;
    http_client_free(&response);
    return end;
}

/* ---- what came ---- */

static enum job_end measure(struct fetching *fetching)
{
    struct job *job = fetching->job;
    size_t count;
    int16_t *frames = malloc(2 * WAV_FILE_FRAMES_MAX * sizeof frames[0]);
    peaks_open(&fetching->peaks, fetching->wav.rate_hz);
    while (frames && (count = wav_file_read(&fetching->wav, frames)) > 0)
        peaks_add(&fetching->peaks, frames, count);
    free(frames);
    if (fetching->wav.read_frames != fetching->wav.frames)
        return job_later(job, "what was fetched cannot be read");
    int64_t came_ms = (int64_t)(fetching->wav.frames * 1000 / fetching->wav.rate_hz);
    if (came_ms + SHORT_MS_MAX < fetching->duration_ms)
        return job_later(job, "%lld ms came of %lld", (long long)came_ms,
                         (long long)fetching->duration_ms);
    fetching->duration_ms = came_ms > 0 ? came_ms : 1;
    return JOB_DONE;
}

static enum job_end look(struct fetching *fetching, FILE *file)
{
    switch (wav_file_open(&fetching->wav, file, fetching->bytes)) {
    case WAV_FILE_OPENED:
        return measure(fetching);
    case WAV_FILE_OTHER:
        return job_dead(fetching->job, "what came is no recording: not WAV, PCM of 16 bits");
    case WAV_FILE_EMPTY:
        return job_dead(fetching->job, "it is empty");
    case WAV_FILE_TRUNCATED:
        break;
    }
    return job_later(fetching->job, "what came is not all of it");
}

static bool take_hash(struct fetching *fetching, FILE *file)
{
    uint8_t bytes[65536];
    size_t taken;
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool whole =
        hash && fseeko(file, 0, SEEK_SET) == 0 && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
    while (whole && (taken = fread(bytes, 1, sizeof bytes, file)) > 0)
        whole = EVP_DigestUpdate(hash, bytes, taken) == 1;
    whole = whole && !ferror(file) && EVP_DigestFinal_ex(hash, fetching->sha256, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return whole;
}

static enum job_end look_at_file(struct fetching *fetching)
{
    FILE *file = fopen(fetching->place.part, "rbe");
    if (!file)
        return job_later(fetching->job, "what was fetched cannot be opened");
    enum job_end end = look(fetching, file);
    if (end == JOB_DONE && !take_hash(fetching, file))
        end = job_later(fetching->job, "what was fetched cannot be read");
    fclose(file);
    return end;
}

static enum job_end keep(struct fetching *fetching)
{
    struct store store = {
        .options = fetching->options, .must_stop = job_must_stop_asking, .context = fetching->job};
    const struct store_file file = {.media_type = MEDIA_TYPE,
                                    .bytes = fetching->bytes,
                                    .sha256 = span_from(fetching->sha256, sizeof fetching->sha256)};
    fetching->kind = store_chosen(fetching->options);
    if (fetching->kind->keep(&store, &fetching->place, &file) == STORE_DONE)
        return JOB_DONE;
    return job_later(fetching->job, "%s", store.error);
}

/* ---- on record ---- */

static enum db_result add_row(struct db *db, const struct fetching *fetching)
{
    const struct recordings_row row = {
        .id = fetching->job->claimed.id,
        .organization = fetching->job->claimed.organization,
        .conversation = fetching->conversation,
        .source = "carrier",
        .source_name = fetching->recording,
        .account = fetching->account,
        .purpose = fetching->purpose,
        .store = fetching->kind->name,
        .path = fetching->place.name,
        .media_type = MEDIA_TYPE,
        .started_at_ms = fetching->started_at_ms,
        .duration_ms = fetching->duration_ms,
        .bytes = (int64_t)fetching->bytes,
        .sha256 = span_from(fetching->sha256, sizeof fetching->sha256),
        .peaks = span_from(fetching->peaks.peaks, fetching->peaks.count * 2),
        .peak_ms = peaks_bucket_ms(&fetching->peaks)};
    return recordings_add(db, &row);
}

static enum db_result put_on_record(struct db *db, void *context)
{
    const struct fetching *fetching = context;
    const struct job *job = fetching->job;
    char payload[128];
    bool wants = false;
    enum db_result result = add_row(db, fetching);
    if (result == DB_OK)
        result =
            recordings_link_voicemail(db, fetching->account, fetching->recording, job->claimed.id);
    if (result == DB_OK)
        result = recordings_wants_carrier_copy_deleted(db, &wants);
    snprintf(payload, sizeof payload, "{\"recording\":\"%s\"}", job->claimed.id);
    if (result == DB_OK && wants)
        result = jobs_enqueue(db, job->claimed.organization, "carrier_delete", fetching->recording,
                              payload, &wants);
    return result;
}

static enum job_end commit(struct fetching *fetching, struct db *db)
{
    if (job_commit(fetching->job, db, put_on_record, fetching) != DB_OK)
        return job_later(fetching->job, "not on record: %s", db_error(db));
    log_info("recording fetched", log_text("recording", fetching->job->claimed.id),
             log_text("recording_sid", fetching->recording),
             log_text("conversation", fetching->conversation),
             log_text("organization", fetching->job->claimed.organization),
             log_text("purpose", fetching->purpose),
             log_number("duration_ms", fetching->duration_ms),
             log_number("bytes", fetching->bytes));
    return JOB_DONE;
}

static enum job_end go(struct fetching *fetching, struct db *db)
{
    struct job *job = fetching->job;
    if (!media_dir_place(fetching->options->media_dir, job->claimed.organization, job->claimed.id,
                         "wav", &fetching->place, job->error, sizeof job->error))
        return JOB_LATER;
    enum job_end end = ask_facts(fetching);
    if (end == JOB_DONE)
        end = fetch(fetching);
    if (end == JOB_DONE)
        end = look_at_file(fetching);
    if (end == JOB_DONE)
        end = keep(fetching);
    if (end == JOB_DONE)
        end = commit(fetching, db);
    unlink(fetching->place.part); /* it was moved, or sent, or was not right */
    return end;
}

static bool read_payload(struct fetching *fetching, const json_t *payload)
{
    fetching->recording = json_read_text(payload, "recording", 34);
    fetching->account = json_read_text(payload, "account", 34);
    fetching->conversation = json_read_text(payload, "conversation", UUID_TEXT_BYTES);
    fetching->purpose = json_read_text(payload, "purpose", 16);
    return twilio_rest_is_sid(fetching->recording, "RE") && fetching->account &&
           fetching->conversation && fetching->purpose;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    struct fetching fetching = {.job = job, .options = given->options};
    if (!read_payload(&fetching, job->payload))
        return job_dead(job, "its payload names no recording");
    enum job_end end;
    switch (twilio_rest_open(&fetching.rest, db, given->options, fetching.account, job->error,
                             sizeof job->error)) {
    case TWILIO_REST_OPENED:
        fetching.rest.must_stop = job_must_stop_asking;
        fetching.rest.context = job;
        end = go(&fetching, db);
        break;
    case TWILIO_REST_AWAY:
        end = job_later(job, "%s", db_error(db));
        break;
    default: /* somebody may add the credentials */
        end = JOB_LATER;
    }
    twilio_rest_close(&fetching.rest);
    return end;
}

const struct job_kind recording_fetch = {
    .limits = {.name = "recording_fetch", .lease_ms = 30000},
    .pause_ms = 3000,
    .run = run,
};
