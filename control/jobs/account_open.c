/* account_open: a sub-account at the carrier for an organisation, once.
 *
 * An account bears the organisation's id in its name, so one that was made by a request whose
 * answer never came is found again; a second try comes half a minute after the first at the
 * earliest (pause and lease), when that one has had its effect. An account nobody found costs
 * nothing, and the oldest is the one that is kept. */
#include "common/log.h"
#include "control/base/json_read.h"
#include "control/carrier/carrier_figures.h"
#include "control/carrier/twilio_rest.h"
#include "control/jobs/kinds.h"
#include "control/store/accounts.h"

#define NAME_BYTES 64

struct opening {
    struct job *job;
    const struct options *options;
    const char *by;
    struct twilio_rest rest;
    struct http_client_response response;
    char name[NAME_BYTES];
    char sid[TWILIO_REST_SID_BYTES];
    char token[ACCOUNTS_SECRET_MAX]; /* in the clear: wiped by run */
    bool kept;
};

static bool take_account(struct opening *opening, const json_t *account)
{
    const char *sid = json_read_text(account, "sid", TWILIO_REST_SID_BYTES - 1);
    const char *token = json_read_text(account, "auth_token", ACCOUNTS_SECRET_MAX - 1);
    if (!twilio_rest_is_sid(sid, "AC"))
        return false;
    snprintf(opening->sid, sizeof opening->sid, "%s", sid);
    snprintf(opening->token, sizeof opening->token, "%s", token ? token : "");
    return true;
}

/* The list has the newest first. */
static bool is_ours(const json_t *account, void *context)
{
    struct opening *opening = context;
    const char *name = json_read_text(account, "friendly_name", NAME_BYTES);
    const char *status = json_read_text(account, "status", 20);
    if (name && strcmp(name, opening->name) == 0 && status && strcmp(status, "active") == 0)
        take_account(opening, account);
    return true;
}

static bool find(struct opening *opening)
{
    const struct twilio_rest_pair pairs[] = {{"FriendlyName", opening->name}};
    return twilio_rest_list(&opening->rest, TWILIO_REST_ACCOUNTS, "accounts", pairs, 1, is_ours,
                            opening, &opening->response);
}

static bool make(struct opening *opening)
{
    const struct twilio_rest_pair pairs[] = {{"FriendlyName", opening->name}};
    json_t *answer;
    http_client_free(&opening->response);
    bool made = twilio_rest_ask(&opening->rest, "POST", TWILIO_REST_ACCOUNTS, pairs, 1, &answer,
                                &opening->response);
    if (made && !take_account(opening, answer)) {
        snprintf(opening->response.error, sizeof opening->response.error,
                 "Twilio's answer names no account");
        opening->response.try_again = true;
        made = false;
    }
    json_decref(answer);
    return made;
}

static enum db_result put_on_record(struct db *db, void *context)
{
    struct opening *opening = context;
    return accounts_keep(db, &opening->options->seal, opening->job->claimed.organization,
                         opening->sid, span_of(opening->token), opening->by, &opening->kept);
}

static enum job_end open_account(struct opening *opening, struct db *db)
{
    struct job *job = opening->job;
    if (!find(opening) || (!opening->sid[0] && !make(opening)))
        return job_asked(job, &opening->response);
    if (!opening->token[0])
        return job_dead(job,
                        "Twilio does not tell the auth token of %s; `ringbridge-control "
                        "credential add twilio` takes it",
                        opening->sid);
    if (job_commit(job, db, put_on_record, opening) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    if (opening->kept)
        carrier_figures_count(CARRIER_accounts_opened);
    log_info("account opened", log_text("account", opening->sid),
             log_text("organization", job->claimed.organization), log_text("by", opening->by));
    return JOB_DONE;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *by = json_read_text(job->payload, "by", 200);
    struct opening opening = {.job = job, .options = given->options, .by = by ? by : "unknown"};
    enum job_end end = JOB_DEAD;
    snprintf(opening.name, sizeof opening.name, "ringbridge %s", job->claimed.organization);
    if (!given->options->seal.has_key)
        return job_later(job, "this control has no RINGBRIDGE_SECRET_KEY");
    if (twilio_rest_open_main(&opening.rest, given->options, job->error, sizeof job->error)) {
        opening.rest.must_stop = job_must_stop_asking;
        opening.rest.context = job;
        end = open_account(&opening, db);
    }
    http_client_free(&opening.response);
    twilio_rest_close(&opening.rest);
    explicit_bzero(opening.token, sizeof opening.token);
    return end;
}

const struct job_kind account_open = {
    .limits = {.name = "account_open", .concurrency = 1, .lease_ms = 30000},
    .pause_ms = 30000,
    .run = run,
};
