/* number_buy: buys the number that was ordered, once.
 *
 * The carrier knows no idempotency key, but a number can be sold once only, and it bears a name. So
 * one number is chosen and put on record before the carrier is asked for that very one, under the
 * order's name; and while it is not known what became of that, no other is chosen. Whoever finds
 * the order asked looks among the account's numbers for the name first, then waits until a request
 * that is still under way must have had its effect, looks again, and only then asks again. */
#include "common/log.h"
#include "common/panic.h"
#include "control/base/json_read.h"
#include "control/carrier/carrier_figures.h"
#include "control/carrier/carrier_search.h"
#include "control/jobs/kinds.h"
#include "control/store/carrier_numbers.h"

#include <stdlib.h>

#define SETTLE_S        60 /* longer than a request of ours may take there and here */
#define PASSED_OVER_MAX 20
#define NUMBER_BYTES    24
#define GONE            21422 /* Twilio: this number is not to be had (any more) */
#define GONE_ALSO       21421

struct buying {
    struct job *job;
    const struct options *options;
    const char *order;
    const struct db_rows *rows; /* of carrier_numbers_read */
    struct twilio_rest rest;
    struct http_client_response response;
    char number[NUMBER_BYTES]; /* chosen; then, bought */
    char sid[TWILIO_REST_SID_BYTES];
    const char *error;
    bool found, fresh;
};

static const char *told(const struct buying *buying, enum carrier_numbers_column column)
{
    return db_cell(buying->rows, 0, (int)column);
}

/* ---- how it ends ---- */

static enum db_result put_refusal(struct db *db, void *context)
{
    const struct buying *buying = context;
    return carrier_numbers_refuse(db, buying->order, buying->error);
}

static enum job_end refuse(struct buying *buying, struct db *db, const char *why)
{
    struct job *job = buying->job;
    buying->error = why;
    if (job_commit(job, db, put_refusal, buying) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    carrier_figures_count(CARRIER_numbers_refused);
    log_warn("number not bought", log_text("order", buying->order),
             log_text("organization", job->claimed.organization), log_text("error", why));
    return JOB_DONE;
}

static enum db_result put_number(struct db *db, void *context)
{
    struct buying *buying = context;
    return carrier_numbers_settle(db, buying->order, buying->sid, buying->number, &buying->fresh);
}

static enum job_end settle(struct buying *buying, struct db *db, bool was_found)
{
    struct job *job = buying->job;
    if (job_commit(job, db, put_number, buying) != DB_OK)
        return job_later(job, "bought, but not on record: %s", db_error(db));
    if (buying->fresh) {
        carrier_figures_count(CARRIER_numbers_bought);
        if (was_found)
            carrier_figures_count(CARRIER_numbers_found);
    }
    log_info("number bought", log_text("order", buying->order),
             log_text("organization", job->claimed.organization),
             log_text("number_sid", buying->sid), log_text("found", was_found ? "yes" : "no"));
    return JOB_DONE;
}

/* ---- what there is at the carrier ---- */

static bool take_number(struct buying *buying, const json_t *number)
{
    const char *sid = json_read_text(number, "sid", TWILIO_REST_SID_BYTES - 1);
    const char *text = json_read_text(number, "phone_number", NUMBER_BYTES - 1);
    if (!twilio_rest_is_sid(sid, "PN") || !carrier_number_is_e164(text))
        return false;
    snprintf(buying->sid, sizeof buying->sid, "%s", sid);
    snprintf(buying->number, sizeof buying->number, "%s", text);
    return true;
}

static bool is_named(const json_t *number, void *context)
{
    struct buying *buying = context;
    char name[CARRIER_NUMBER_NAME_BYTES];
    const char *has = json_read_text(number, "friendly_name", sizeof name);
    carrier_number_name(buying->order, name);
    buying->found = has && strcmp(has, name) == 0 && take_number(buying, number);
    return !buying->found;
}

/* Was it bought already? Sets found. False: the carrier did not say. */
static bool look_for_name(struct buying *buying)
{
    char name[CARRIER_NUMBER_NAME_BYTES];
    carrier_number_name(buying->order, name);
    const struct twilio_rest_pair pairs[] = {{"FriendlyName", name}};
    buying->found = false;
    http_client_free(&buying->response);
    return twilio_rest_list(&buying->rest, "IncomingPhoneNumbers.json", "incoming_phone_numbers",
                            pairs, 1, is_named, buying, &buying->response);
}

/* The first that was not gone before. Twilio's list is a sample, and may change each time. */
static bool is_to_be_had(const struct carrier_search_found *found, void *context)
{
    struct buying *buying = context;
    const char *passed_over = told(buying, ORDER_PASSED);
    if (passed_over && strstr(passed_over, found->number))
        return true;
    snprintf(buying->number, sizeof buying->number, "%s", found->number);
    return false;
}

/* Sets number, "" when there is none. False: the carrier did not say. */
static bool search(struct buying *buying)
{
    const struct carrier_search search = {.country = told(buying, ORDER_COUNTRY),
                                          .kind = told(buying, ORDER_KIND),
                                          .area_code = told(buying, ORDER_AREA),
                                          .contains = told(buying, ORDER_CONTAINS)};
    buying->number[0] = '\0';
    http_client_free(&buying->response);
    return carrier_search_run(&buying->rest, &search, is_to_be_had, buying, &buying->response);
}

/* ---- asking ---- */

static bool was_not_taken(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_unresolved || response->end == HTTP_CLIENT_unreachable ||
           response->end == HTTP_CLIENT_tls || response->end == HTTP_CLIENT_refused ||
           (response->end == HTTP_CLIENT_answered && response->status == 429);
}

static bool was_refused(const struct http_client_response *response)
{
    return response->end == HTTP_CLIENT_answered && response->status >= 400 &&
           response->status < 500 && !http_client_status_may_mend(response->status);
}

/* It will not have been decided yet by a request that is still under way. */
static enum job_end wait_for_it(struct buying *buying, int64_t asked_s, const char *why)
{
    buying->job->pause_least_ms = (SETTLE_S - asked_s) * 1000;
    return job_later(buying->job, "it is not known whether it was bought: %s", why);
}

static enum job_end unask(struct buying *buying, struct db *db, bool pass_over)
{
    struct job *job = buying->job;
    if (carrier_numbers_unask(db, job->claimed.organization, buying->order, pass_over) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    return pass_over ? job_later(job, "%s was gone", buying->number)
                     : job_asked(job, &buying->response);
}

/* It said no; which it also says when an earlier request of ours was the one that bought. */
static enum job_end judge_refusal(struct buying *buying, struct db *db)
{
    char why[HTTP_CLIENT_ERROR_BYTES];
    int64_t code = twilio_rest_code(&buying->response);
    const char *passed_over = told(buying, ORDER_PASSED);
    bool another = !told(buying, ORDER_WANTED) && (code == GONE || code == GONE_ALSO) &&
                   (!passed_over || strlen(passed_over) < PASSED_OVER_MAX * NUMBER_BYTES / 2);
    snprintf(why, sizeof why, "%s", buying->response.error);
    if (!look_for_name(buying))
        return wait_for_it(buying, 0, buying->response.error);
    if (buying->found)
        return settle(buying, db, true);
    return another ? unask(buying, db, true) : refuse(buying, db, why);
}

static bool buy(struct buying *buying, json_t **answer)
{
    struct twilio_rest_pair pairs[TWILIO_REST_PAIRS_MAX];
    struct carrier_number_want want;
    char name[CARRIER_NUMBER_NAME_BYTES];
    const char *address = told(buying, ORDER_ADDRESS), *bundle = told(buying, ORDER_BUNDLE);
    bool short_enough = carrier_number_wish(&want, buying->options->public_url);
    assert(short_enough); /* looked at before anything was asked */
    size_t count = carrier_number_fields(&want, pairs);
    carrier_number_name(buying->order, name);
    pairs[count++] = (struct twilio_rest_pair){"PhoneNumber", buying->number};
    pairs[count++] = (struct twilio_rest_pair){"FriendlyName", name};
    if (address)
        pairs[count++] = (struct twilio_rest_pair){"AddressSid", address};
    if (bundle)
        pairs[count++] = (struct twilio_rest_pair){"BundleSid", bundle};
    http_client_free(&buying->response);
    return twilio_rest_ask(&buying->rest, "POST", "IncomingPhoneNumbers.json", pairs, count, answer,
                           &buying->response);
}

static enum job_end ask(struct buying *buying, struct db *db)
{
    struct job *job = buying->job;
    json_t *answer = NULL;
    bool asked;
    if (carrier_numbers_ask(db, job->claimed.organization, buying->order, buying->number,
                            buying->rest.account, &asked) != DB_OK)
        return job_later(job, "not on record: %s", db_error(db));
    if (!asked)
        return job_later(job, "the order has changed meanwhile");
    bool bought = buy(buying, &answer) && take_number(buying, answer);
    json_decref(answer);
    if (bought)
        return settle(buying, db, false);
    if (was_not_taken(&buying->response))
        return unask(buying, db, false);
    if (was_refused(&buying->response))
        return judge_refusal(buying, db);
    carrier_figures_count(CARRIER_numbers_doubted);
    return wait_for_it(buying, 0, buying->response.error);
}

static enum job_end choose_and_ask(struct buying *buying, struct db *db)
{
    const char *wanted = told(buying, ORDER_WANTED), *chosen = told(buying, ORDER_NUMBER);
    if (wanted || chosen)
        snprintf(buying->number, sizeof buying->number, "%s", chosen ? chosen : wanted);
    else if (!search(buying))
        return was_refused(&buying->response) ? refuse(buying, db, buying->response.error)
                                              : job_asked(buying->job, &buying->response);
    return buying->number[0] ? ask(buying, db)
                             : refuse(buying, db, "the carrier has no such number");
}

static enum job_end go_on(struct buying *buying, struct db *db)
{
    int64_t asked_s = db_cell_number(buying->rows, 0, ORDER_ASKED_S);
    if (strcmp(told(buying, ORDER_STATE), "asked") != 0)
        return choose_and_ask(buying, db);
    if (!look_for_name(buying))
        return job_asked(buying->job, &buying->response);
    if (buying->found)
        return settle(buying, db, true);
    if (asked_s < SETTLE_S)
        return wait_for_it(buying, asked_s, "the carrier does not list it, yet");
    return choose_and_ask(buying, db);
}

/* ---- the run ---- */

static enum job_end open_and_go(struct buying *buying, struct db *db)
{
    struct job *job = buying->job;
    struct carrier_number_want want;
    char error[256];
    const char *asked = told(buying, ORDER_ACCOUNT), *own = told(buying, ORDER_OWN_ACCOUNT);
    const char *account = asked ? asked : own ? own : buying->options->account_sid;
    if (!buying->options->public_url || !carrier_number_wish(&want, buying->options->public_url))
        return job_later(job, "this control has no PUBLIC_URL, or one that is too long");
    switch (twilio_rest_open(&buying->rest, db, buying->options, account, error, sizeof error)) {
    case TWILIO_REST_OPENED:
        break;
    case TWILIO_REST_UNKNOWN:
        return asked ? job_later(job, "%s", error) : refuse(buying, db, error);
    case TWILIO_REST_AWAY:
        return job_later(job, "%s", db_error(db));
    }
    buying->rest.must_stop = job_must_stop_asking;
    buying->rest.context = job;
    enum job_end end = go_on(buying, db);
    http_client_free(&buying->response);
    twilio_rest_close(&buying->rest);
    return end;
}

static bool is_over(const char *state)
{
    return strcmp(state, "ordered") != 0 && strcmp(state, "asked") != 0;
}

static enum job_end run(struct job *job, struct db *db, void *context)
{
    const struct kinds_context *given = context;
    const char *order = json_read_text(job->payload, "order", UUID_TEXT_BYTES);
    struct buying buying = {.job = job, .options = given->options, .order = order};
    struct db_rows *rows = NULL;
    enum job_end end = JOB_DONE;
    if (!order)
        return job_dead(job, "its payload names no order");
    enum db_result result = carrier_numbers_read(db, job->claimed.organization, order, &rows);
    buying.rows = rows;
    if (result != DB_OK)
        end = job_later(job, "%s", db_error(db));
    else if (db_rows_count(rows) == 0)
        end = job_dead(job, "there is no such order");
    else if (!is_over(db_cell(rows, 0, ORDER_STATE)))
        end = open_and_go(&buying, db);
    db_rows_free(rows);
    return end;
}

const struct job_kind number_buy = {
    .limits = {.name = "number_buy", .concurrency = 4, .lease_ms = 30000},
    .pause_ms = 2000,
    .pause_ms_max = 5 * 60 * 1000,
    .run = run,
};
