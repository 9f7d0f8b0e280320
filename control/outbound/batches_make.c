#include "control/outbound/batches_make.h"

#include "control/base/hours.h"
#include "control/base/json_read.h"
#include "control/outbound/batch_file.h"
#include "control/outbound/outbound_plan.h"

#include <stdlib.h>

#define RETRY_AFTER_S 900

struct adding {
    const json_t *asked;
    json_t *plan, *rows;
    char *plan_json;
    char from[17];
    struct hours hours;
    struct batches_new batch;
};

/* Members that are a batch's own. */
static bool read_own(struct adding *adding, char *error, size_t room)
{
    const json_t *asked = adding->asked;
    const char *from = json_read_text(asked, "from", 40);
    const char *hours =
        json_object_get(asked, "hours") ? json_read_text(asked, "hours", 100) : "daily";
    const json_t *zone = json_object_get(asked, "time_zone");
    struct batches_new *batch = &adding->batch;
    batch->time_zone = json_read_text(asked, "time_zone", 64);
    if (!from || !outbound_plan_number(from, adding->from))
        snprintf(error, room, "\"from\" is a number of the organisation, like +15550100");
    else if (!hours || !hours_read(hours, &adding->hours))
        snprintf(error, room, "\"hours\" is not like \"mon-fri 09:00-17:00\" or \"daily\"");
    else if (zone && !batch->time_zone)
        snprintf(error, room, "\"time_zone\" is not like Europe/Berlin");
    else if (json_object_get(asked, "calls_per_minute") &&
             !json_read_integer(asked, "calls_per_minute", 1, 6000, &batch->calls_per_minute))
        snprintf(error, room, "\"calls_per_minute\" is a whole number from 1 to 6000");
    else if (json_object_get(asked, "retries") &&
             !json_read_integer(asked, "retries", 0, 10, &batch->retries))
        snprintf(error, room, "\"retries\" is a whole number from 0 to 10");
    else if (json_object_get(asked, "retry_after_s") &&
             !json_read_integer(asked, "retry_after_s", 1, 604800, &batch->retry_after_s))
        snprintf(error, room, "\"retry_after_s\" is a whole number from 1 to 604800");
    else
        return true;
    return false;
}

static bool read_asked(struct adding *adding, char *error, size_t room)
{
    static const char *const own[] = {"from",    "hours",         "time_zone", "calls_per_minute",
                                      "retries", "retry_after_s", "paused",    NULL};
    adding->plan = outbound_plan_read(adding->asked, own, error, room);
    if (!adding->plan || !read_own(adding, error, room))
        return false;
    adding->plan_json = json_dumps(adding->plan, JSON_COMPACT);
    adding->batch.paused = json_is_true(json_object_get(adding->asked, "paused"));
    adding->batch.plan_json = adding->plan_json;
    adding->batch.from = adding->from;
    adding->batch.days = adding->hours.days;
    adding->batch.opens = adding->hours.opens;
    adding->batch.closes = adding->hours.closes;
    if (!adding->plan_json)
        snprintf(error, room, "there is no memory");
    return adding->plan_json != NULL;
}

static bool read_numbers(struct adding *adding, const struct batches_wanted *wanted, char *error,
                         size_t room)
{
    char *text = malloc(wanted->numbers_bytes + 1);
    if (text) {
        memcpy(text, wanted->numbers, wanted->numbers_bytes + 1);
        adding->rows = batch_file_read(text, wanted->numbers_bytes, error, room);
    } else {
        snprintf(error, room, "there is no memory");
    }
    free(text); /* the rows hold copies */
    return adding->rows != NULL;
}

static const char *explain_refusal(const char *constraint)
{
    if (strcmp(constraint, "call_batches_time_zone") == 0)
        return "\"time_zone\" is no time zone; write it as Europe/Berlin";
    if (strcmp(constraint, "outbound_calls_time_zone") == 0)
        return "a number's time_zone is no time zone; write it as Europe/Berlin";
    return "";
}

static const char *explain(enum batches_verdict verdict)
{
    switch (verdict) {
    case BATCHES_MADE:
        break;
    case BATCHES_NAME_TAKEN:
        return "there is a batch of this name already";
    case BATCHES_NOT_OURS:
        return "\"from\" is no active number of the organisation";
    case BATCHES_NO_ACCOUNT:
        return "there is no carrier's account to call with: TWILIO_ACCOUNT_SID, or "
               "`ringbridge-control credential add twilio`";
    }
    return "";
}

static enum db_result store(struct db *db, const char *organization, const struct adding *adding,
                            struct batches_made *made)
{
    enum db_result result = batches_put(db, organization, &adding->batch, adding->rows,
                                        &made->verdict, made->id, &made->added);
    made->twice = (int64_t)json_array_size(adding->rows) - made->added;
    snprintf(made->error, sizeof made->error, "%s",
             result == DB_REFUSED ? explain_refusal(db_constraint(db)) : explain(made->verdict));
    return result;
}

enum db_result batches_make(struct db *db, const struct options *options,
                            const struct batches_wanted *wanted, struct batches_made *made)
{
    struct adding adding = {.asked = wanted->asked,
                            .batch = {.name = wanted->name,
                                      .by = wanted->by,
                                      .account = options->account_sid,
                                      .calls_per_minute = 60,
                                      .retry_after_s = RETRY_AFTER_S}};
    enum db_result result = DB_OK;
    *made = (struct batches_made){.verdict = BATCHES_MADE};
    made->understood = read_asked(&adding, made->error, sizeof made->error) &&
                       read_numbers(&adding, wanted, made->error, sizeof made->error);
    if (made->understood)
        result = store(db, wanted->organization, &adding, made);
    free(adding.plan_json);
    json_decref(adding.plan);
    json_decref(adding.rows);
    return result;
}
