/* number_release: gives a number back to the carrier, then takes it off our lists. Harmless to
 * repeat: what the carrier does not have is given back already. */
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/carrier_figures.h"
#include "control/carrier/carrier_number.h"
#include "control/jobs/kinds.h"
#include "control/store/carrier_numbers.h"

struct releasing {
    struct job *job;
    const char *number, *by;
    struct twilio_rest rest;
    struct http_client_response response;
    char sid[TWILIO_REST_SID_BYTES]; /* "": the carrier does not have it */
};

static enum db_result put_on_record(struct db *db, void *context)
{
    const struct releasing *releasing = context;
    return carrier_numbers_released(db, releasing->number, releasing->rest.account, releasing->by);
}

static enum job_end commit(struct releasing *releasing, struct db *db)
{
    struct job *job = releasing->job;
    if (job_commit(job, db, put_on_record, releasing) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    carrier_figures_count(CARRIER_numbers_released);
    log_info("number released", log_text("number_sid", releasing->sid),
             log_text("organization", job->claimed.organization), log_text("by", releasing->by));
    return JOB_DONE;
}

static bool is_it(const json_t *number, void *context)
{
    struct releasing *releasing = context;
    const char *text = json_read_text(number, "phone_number", 32);
    const char *sid = json_read_text(number, "sid", TWILIO_REST_SID_BYTES - 1);
    if (!text || strcmp(text, releasing->number) != 0 || !twilio_rest_is_sid(sid, "PN"))
        return true;
    snprintf(releasing->sid, sizeof releasing->sid, "%s", sid);
    return false;
}

static bool find(struct releasing *releasing)
{
    const struct twilio_rest_pair pairs[] = {{"PhoneNumber", releasing->number}};
    bool listed =
        twilio_rest_list(&releasing->rest, "IncomingPhoneNumbers.json", "incoming_phone_numbers",
                         pairs, 1, is_it, releasing, &releasing->response);
    return listed;
}

static bool give_back(struct releasing *releasing)
{
    char path[TWILIO_REST_PATH_BYTES];
    snprintf(path, sizeof path, "IncomingPhoneNumbers/%s.json", releasing->sid);
    http_client_free(&releasing->response);
    return twilio_rest_ask(&releasing->rest, "DELETE", path, NULL, 0, NULL, &releasing->response) ||
           releasing->response.status == 404;
}

static enum job_end release(struct releasing *releasing, struct db *db)
{
    if (!find(releasing) || (releasing->sid[0] && !give_back(releasing)))
        return job_asked(releasing->job, &releasing->response);
    return commit(releasing, db);
}

/* Where it was bought, else the organisation's own account, else the installation's. */
static enum db_result choose_account(const struct releasing *releasing, struct db *db,
                                     const struct options *options, char account[35])
{
    const char *bought_with =
        json_read_text(releasing->job->payload, "account", TWILIO_REST_SID_BYTES - 1);
    account[0] = '\0';
    enum db_result result = DB_OK;
    if (bought_with)
        snprintf(account, 35, "%s", bought_with);
    else
        result = carrier_numbers_account(db, releasing->job->claimed.organization, account);
    if (!account[0] && options->account_sid)
        snprintf(account, 35, "%s", options->account_sid);
    return result;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *by = json_read_text(job->payload, "by", 200);
    struct releasing releasing = {.job = job,
                                  .number = json_read_text(job->payload, "number", 16),
                                  .by = by ? by : "unknown"};
    char account[35];
    enum job_end end = JOB_DEAD;
    if (!carrier_number_is_e164(releasing.number))
        return job_dead(job, "its payload names no number");
    if (choose_account(&releasing, db, given->options, account) != DB_OK)
        return job_later(job, "%s", db_error(db));
    switch (twilio_rest_open(&releasing.rest, db, given->options, account, job->error,
                             sizeof job->error)) {
    case TWILIO_REST_OPENED:
        releasing.rest.must_stop = job_must_stop_asking;
        releasing.rest.context = job;
        end = release(&releasing, db);
        break;
    case TWILIO_REST_UNKNOWN:
        break; /* job->error says why */
    case TWILIO_REST_AWAY:
        end = job_later(job, "%s", db_error(db));
        break;
    }
    http_client_free(&releasing.response);
    twilio_rest_close(&releasing.rest);
    return end;
}

const struct job_kind number_release = {
    .limits = {.name = "number_release", .concurrency = 4, .lease_ms = 30000},
    .pause_ms = 2000,
    .pause_ms_max = 5 * 60 * 1000,
    .run = run,
};
