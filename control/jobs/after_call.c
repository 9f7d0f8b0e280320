/* after_call: a call is over and everything about it is told (or the wait for the rest is): it is
 * summed up, and everybody who wants to know is written to.
 *
 * The facts are read, the AI is asked, everything is composed; then the row of after_calls, all
 * deliveries with their jobs, and the end of this one are one transaction. Whoever dies before it
 * has done nothing but ask the AI; after it there is nothing left to do. */
#include "control/jobs/after.h"
#include "control/store/after_calls.h"

/* The row first: when it is there, somebody has told everybody already. */
static enum db_result put(struct db *db, void *context)
{
    const struct after *after = context;
    bool added;
    enum db_result result = after_calls_add(
        db, after->job->claimed.organization, after->conversation,
        json_is_true(json_object_get(after->facts, "complete")), after->outcome, &added);
    return result == DB_OK && added ? after_put(after, db, "call.completed") : result;
}

/* A message that the caller left gets an e-mail of its own; two about one call are one too many. */
static bool wants_email(const json_t *facts)
{
    return json_array_size(json_object_get(facts, "voicemails")) == 0;
}

static enum job_end finish(struct after *after, struct db *db)
{
    char about[64];
    const json_t *recording = json_array_get(json_object_get(after->facts, "recordings"), 0);
    const struct after_render_matter matter = {
        .facts = after->facts,
        .outcome = after->outcome,
        .recording_url = after_link(after, json_string_value(json_object_get(recording, "id")))};
    snprintf(about, sizeof about, "call/%s", after->conversation);
    if (!after_compose(after, &matter, wants_email(after->facts), about))
        return job_later(after->job, "no memory for what is to be sent");
    if (job_commit(after->job, db, put, after) != DB_OK)
        return job_later(after->job, "not on record: %s", db_error(db));
    return JOB_DONE;
}

/* How long after it was made the job goes on waiting for what makes it better. */
static int64_t patience_s(const struct after *after)
{
    bool complete = json_is_true(json_object_get(after->facts, "complete"));
    return after_setting_number(after, "summary_wait_s") +
           (complete ? 0 : after_setting_number(after, "wait_s"));
}

static enum job_end run_loaded(struct after *after, struct db *db)
{
    enum job_end end;
    if (json_is_true(json_object_get(after->facts, "recordings_to_come")) &&
        after->age_s < patience_s(after))
        return job_later(after->job, "its recording is not kept yet");
    return after_sum_up(after, NULL, patience_s(after), &end) ? finish(after, db) : end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *conversation = json_string_value(json_object_get(job->payload, "conversation"));
    uint8_t ignored[UUID_BYTES];
    struct after after = {.job = job, .options = given->options};
    enum job_end end;
    if (!uuid_read(conversation, ignored))
        return job_dead(job, "its payload names no call");
    memcpy(after.conversation, conversation, sizeof after.conversation);
    if (after_read(&after, db) != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (!after.facts)
        end = job_dead(job, "there is no such call");
    else
        end = run_loaded(&after, db);
    after_free(&after);
    return end;
}

const struct job_kind after_call = {
    .limits = {.name = "after_call", .lease_ms = 15000},
    .pause_ms = 1000,
    .pause_ms_max = 15000,
    .run = run,
};
