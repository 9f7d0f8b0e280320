#include "control/outbound/calls_make.h"

#include "control/base/json_read.h"
#include "control/outbound/outbound_plan.h"

#include <stdlib.h>

#define KEY_BYTES_MAX  200
#define LEAD_BYTES_MAX 200

/* A request, read. Texts live as long as asked. */
struct making {
    const json_t *asked;
    json_t *plan;
    char to[17], from[17];
    char *plan_json, *variables_json;
    struct outbound_new call;
};

static bool read_number(const json_t *asked, const char *name, char number[17], char *error,
                        size_t room)
{
    const char *text = json_read_text(asked, name, 40);
    if (text && outbound_plan_number(text, number))
        return true;
    snprintf(error, room, "\"%s\" is a number with its country, like +15550100", name);
    return false;
}

static bool read_variables(struct making *making, char *error, size_t room)
{
    const json_t *variables = json_object_get(making->asked, "variables");
    if (variables && !outbound_plan_variables(variables, error, room))
        return false;
    making->variables_json = variables ? json_dumps(variables, JSON_COMPACT) : strdup("{}");
    making->plan_json = json_dumps(making->plan, JSON_COMPACT);
    making->call.variables_json = making->variables_json;
    making->call.plan_json = making->plan_json;
    if (making->variables_json && making->plan_json)
        return true;
    snprintf(error, room, "there is no memory");
    return false;
}

static bool read_texts(struct making *making, char *error, size_t room)
{
    const json_t *asked = making->asked;
    const char *lead = json_read_text(asked, "lead", LEAD_BYTES_MAX);
    const char *key = json_read_text(asked, "idempotency_key", KEY_BYTES_MAX);
    if (json_object_get(asked, "lead") && !lead)
        snprintf(error, room, "\"lead\" is a text of at most %d bytes", LEAD_BYTES_MAX);
    else if (json_object_get(asked, "idempotency_key") && (!key || !key[0]))
        snprintf(error, room, "\"idempotency_key\" is a text of 1 to %d bytes", KEY_BYTES_MAX);
    else {
        making->call.lead = lead ? lead : "";
        making->call.key = key;
        return true;
    }
    return false;
}

static bool read(struct making *making, char *error, size_t room)
{
    static const char *const own[] = {"to", "from", "lead", "variables", "idempotency_key", NULL};
    making->plan = outbound_plan_read(making->asked, own, error, room);
    if (!making->plan || !read_number(making->asked, "to", making->to, error, room) ||
        !read_number(making->asked, "from", making->from, error, room) ||
        !read_variables(making, error, room) || !read_texts(making, error, room))
        return false;
    making->call.to = making->to;
    making->call.from = making->from;
    return true;
}

/* The same object in any order of members is the same request. */
static bool hash_request(struct making *making)
{
    char *text = json_dumps(making->asked, JSON_COMPACT | JSON_SORT_KEYS);
    if (text)
        seal_hash(span_of(text), making->call.hash);
    free(text);
    return text != NULL;
}

static const char *explain(enum outbound_verdict verdict)
{
    switch (verdict) {
    case OUTBOUND_MADE:
    case OUTBOUND_REPEATED:
        break;
    case OUTBOUND_OTHER_REQUEST:
        return "this idempotency key belongs to another request";
    case OUTBOUND_NOT_OURS:
        return "\"from\" is no active number of this organisation";
    case OUTBOUND_DO_NOT_CALL:
        return "the number is on the do-not-call list";
    case OUTBOUND_NO_ACCOUNT:
        return "there is no carrier's account to call with: TWILIO_ACCOUNT_SID, or "
               "`ringbridge-control credential add twilio`";
    }
    return "";
}

enum db_result calls_make(struct db *db, const struct options *options, const char *organization,
                          const char *by, const json_t *asked, struct calls_made *made)
{
    struct making making = {.asked = asked, .call = {.account = options->account_sid, .by = by}};
    enum db_result result = DB_OK;
    *made = (struct calls_made){.understood = false};
    if (read(&making, made->error, sizeof made->error)) {
        made->understood = true;
        result = hash_request(&making)
                     ? outbound_add(db, organization, &making.call, &made->verdict, made->id)
                     : DB_BROKEN;
    }
    if (made->understood && result == DB_OK)
        snprintf(made->error, sizeof made->error, "%s", explain(made->verdict));
    free(making.plan_json);
    free(making.variables_json);
    json_decref(making.plan);
    return result;
}
