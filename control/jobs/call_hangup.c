/* call_hangup: the carrier is asked to end a call of ours: a machine has answered, or an attempt
 * turned out to have a second call. Harmless to repeat: a call that is over stays over. */
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"

static enum job_end ask(struct job *job, const struct twilio_rest *rest, const char *call)
{
    static const struct twilio_rest_pair completed[] = {{"Status", "completed"}};
    struct http_client_response response;
    char path[TWILIO_REST_PATH_BYTES];
    snprintf(path, sizeof path, "Calls/%s.json", call);
    bool asked = twilio_rest_ask(rest, "POST", path, completed, 1, NULL, &response);
    bool is_over = response.status == 404 || response.status == 400;
    enum job_end end = asked || is_over ? JOB_DONE : job_asked(job, &response);
    http_client_free(&response);
    return end;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *account = json_string_value(json_object_get(job->payload, "account"));
    const char *call = json_string_value(json_object_get(job->payload, "call"));
    struct twilio_rest rest;
    char error[256];
    if (!twilio_rest_is_sid(call, "CA"))
        return job_dead(job, "its payload names no call");
    switch (twilio_rest_open(&rest, db, given->options, account, error, sizeof error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return job_dead(job, "%s", error);
    case TWILIO_REST_AWAY:
        return job_later(job, "%s", db_error(db));
    }
    rest.must_stop = job_must_stop_asking;
    rest.context = job;
    enum job_end end = ask(job, &rest, call);
    twilio_rest_close(&rest);
    return end;
}

const struct job_kind call_hangup = {
    .limits = {.name = "call_hangup", .lease_ms = 15000},
    .pause_ms = 1000,
    .run = run,
};
