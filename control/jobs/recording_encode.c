/* recording_encode: a spool file that an edge has finished, or left when it died, becomes an Ogg
 * Opus file in the media directory and a row of recordings.
 *
 * In this order, so that a crash at any line loses nothing and doubles nothing: encode under
 * another name, bring to the disk, rename; row and end of the job in one transaction; then the
 * spool file goes. Names come from the job's id, so whoever begins anew writes over what was left.
 */
#include "common/log.h"
#include "control/jobs/kinds.h"
#include "control/media/media_dir.h"
#include "control/media/opus_file.h"
#include "control/media/peaks.h"
#include "control/media/spool_file.h"
#include "control/media/store.h"
#include "control/store/recordings.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MEDIA_TYPE "audio/ogg; codecs=opus"

/* One recording, as far as it has come. */
struct encoding {
    struct job *job;
    const char *name; /* of the spool file */
    const struct options *options;
    struct spool_file *spool;
    char call[UUID_TEXT_BYTES + 1], organization[UUID_TEXT_BYTES + 1];
    struct media_path place;
    const struct store_kind *kind;
    struct peaks peaks;
    struct opus_file_facts facts;
    uint64_t samples;
};

static void remove_spool(const struct encoding *encoding)
{
    char path[MEDIA_DIR_PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", encoding->options->spool_dir, encoding->name);
    if (unlink(path) != 0 && errno != ENOENT)
        log_warn("a spool file cannot be removed", log_text("file", encoding->name),
                 log_text("error", strerror(errno)));
}

/* False: told to stop, or no memory. */
static bool encode_all(struct encoding *encoding, struct opus_file *file)
{
    int16_t *frames = malloc(2 * SPOOL_FILE_FRAMES_MAX * sizeof frames[0]);
    size_t count;
    bool goes_on = frames != NULL;
    while (goes_on && (count = spool_file_read(encoding->spool, frames)) > 0) {
        opus_file_write(file, frames, count);
        peaks_add(&encoding->peaks, frames, count);
        encoding->samples += count;
        goes_on = !job_must_stop(encoding->job);
    }
    free(frames);
    return goes_on;
}

static bool keep(struct encoding *encoding)
{
    struct job *job = encoding->job;
    struct store store = {
        .options = encoding->options, .must_stop = job_must_stop_asking, .context = job};
    const struct store_file file = {
        .media_type = MEDIA_TYPE,
        .bytes = encoding->facts.bytes,
        .sha256 = span_from(encoding->facts.sha256, sizeof encoding->facts.sha256)};
    encoding->kind = store_chosen(encoding->options);
    if (encoding->kind->keep(&store, &encoding->place, &file) == STORE_DONE)
        return true;
    job_later(job, "%s", store.error);
    return false;
}

static enum job_end encode(struct encoding *encoding, struct db *db)
{
    struct job *job = encoding->job;
    char *error = job->error;
    unsigned kbps;
    if (recordings_kbps(db, encoding->organization, &kbps) != DB_OK)
        return job_later(job, "%s", db_error(db));
    if (!media_dir_place(encoding->options->media_dir, encoding->organization, job->claimed.id,
                         "opus", &encoding->place, error, sizeof job->error))
        return JOB_LATER;
    struct opus_file *file =
        opus_file_create(encoding->place.part, SPOOL_RATE_HZ, kbps, error, sizeof job->error);
    if (!file)
        return JOB_LATER;
    peaks_open(&encoding->peaks, SPOOL_RATE_HZ);
    bool whole = encode_all(encoding, file);
    bool written = opus_file_finish(file, &encoding->facts, error, sizeof job->error);
    if (whole && written && encoding->samples > 0)
        written = keep(encoding);
    else
        unlink(encoding->place.part);
    if (!whole)
        return JOB_RETURNED;
    return written ? JOB_DONE : JOB_LATER;
}

static enum db_result add_row(struct db *db, void *context)
{
    const struct encoding *encoding = context;
    if (encoding->samples == 0)
        return DB_OK; /* nothing was said before it ended */
    const struct recordings_row row = {
        .id = encoding->job->claimed.id,
        .organization = encoding->organization,
        .conversation = encoding->call,
        .source = "edge",
        .source_name = encoding->name,
        .edge = json_string_value(json_object_get(encoding->job->payload, "edge")),
        .path = encoding->place.name,
        .store = encoding->kind->name,
        .purpose = "call",
        .media_type = MEDIA_TYPE,
        .started_at_ms = spool_file_head(encoding->spool)->started_at_ms,
        .duration_ms = (int64_t)((encoding->samples * 1000 + SPOOL_RATE_HZ / 2) / SPOOL_RATE_HZ),
        .bytes = (int64_t)encoding->facts.bytes,
        .sha256 = span_from(encoding->facts.sha256, sizeof encoding->facts.sha256),
        .peaks = span_from(encoding->peaks.peaks, encoding->peaks.count * 2),
        .peak_ms = peaks_bucket_ms(&encoding->peaks)};
    return recordings_add(db, &row);
}

static enum job_end commit(struct encoding *encoding, struct db *db)
{
    if (job_commit(encoding->job, db, add_row, encoding) != DB_OK)
        return job_later(encoding->job, "not on record: %s", db_error(db));
    remove_spool(encoding);
    unlink(encoding->place.part); /* where it was sent from */
    log_info("recording encoded", log_text("recording", encoding->job->claimed.id),
             log_text("conversation", encoding->call),
             log_text("organization", encoding->organization),
             log_number("duration_ms", encoding->samples * 1000 / SPOOL_RATE_HZ),
             log_number("bytes", encoding->facts.bytes),
             log_number("lost_ms", spool_file_lost(encoding->spool) * 1000 / SPOOL_RATE_HZ));
    return JOB_DONE;
}

static enum job_end encode_opened(struct encoding *encoding, struct db *db)
{
    const struct spool_head *head = spool_file_head(encoding->spool);
    uuid_write(head->call, encoding->call);
    uuid_write(head->organization, encoding->organization);
    if (strcmp(encoding->organization, encoding->job->claimed.organization) != 0 ||
        strncmp(encoding->name, encoding->call, UUID_TEXT_BYTES) != 0)
        return job_dead(encoding->job, "the file is another organisation's or another call's");
    enum job_end end = encode(encoding, db);
    return end == JOB_DONE ? commit(encoding, db) : end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *name = json_string_value(json_object_get(job->payload, "file"));
    struct encoding encoding = {.job = job, .name = name, .options = given->options};
    if (!name || !spool_name_valid(span_of(name)))
        return job_dead(job, "its payload names no spool file");
    switch (spool_file_open(given->options->spool_dir, name, &encoding.spool)) {
    case SPOOL_FILE_OPENED:
        break;
    case SPOOL_FILE_MISSING:
        return job_later(job, "there is no file %s in this control's spool", name);
    case SPOOL_FILE_BUSY:
        return job_later(job, "an edge is still writing it");
    case SPOOL_FILE_EMPTY:
        remove_spool(&encoding);
        return JOB_DONE;
    case SPOOL_FILE_FAILED:
        return job_later(job, "%s cannot be read: %s", name, strerror(errno));
    }
    enum job_end end = encode_opened(&encoding, db);
    spool_file_close(encoding.spool);
    return end;
}

const struct job_kind recording_encode = {
    .limits = {.name = "recording_encode", .lease_ms = 30000},
    .pause_ms = 2000,
    .run = run,
};
