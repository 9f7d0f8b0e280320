/* after_stream: the stream is over, for whatever reason, and the carrier asks what next. The edge
 * reports an ending before it closes the stream, so what it reported is waited for first. */
#include "common/end.h"
#include "common/log.h"
#include "control/carrier/steps.h"
#include "control/webhooks/webhook.h"

#define REPORT_WAIT_MS 1000

/* Did something break that the caller could hear, and that was not the caller's doing? */
static bool deserves_apology(const char *ended_reason)
{
    for (int reason = END_NONE + 1; reason < END_COUNT; reason++) {
        enum end end = (enum end)reason;
        if (strcmp(ended_reason, end_name(end)) != 0)
            continue;
        bool theirs = strcmp(end_fault(end), "ai") == 0 || strcmp(end_fault(end), "ours") == 0;
        return theirs && end_is_error(end);
    }
    return false;
}

static void answer_agent(struct webhook *webhook, const struct webhook_fields *fields,
                         const struct calls_next *next)
{
    json_t *steps = json_pack("{s:{s:s}}", STEPS_AGENT, "step", "agent");
    webhook_answer_step(webhook, fields, next->organization, steps, STEPS_AGENT, 0);
    json_decref(steps);
}

static enum metrics_outcome answer_place(struct webhook *webhook,
                                         const struct webhook_fields *fields,
                                         const struct calls_next *next)
{
    json_t *steps = json_loads(next->steps_json, 0, NULL);
    if (strcmp(next->place, "agent") == 0)
        answer_agent(webhook, fields, next);
    else if (steps_at(steps, next->place))
        webhook_answer_step(webhook, fields, next->organization, steps, next->place, 0);
    else
        webhook_say_goodbye(webhook, deserves_apology(next->ended_reason)
                                         ? "We are sorry, we have lost the connection to our "
                                           "assistant. Please call again."
                                         : NULL);
    json_decref(steps);
    return OUTCOME_answered;
}

static enum metrics_outcome decide(struct webhook *webhook, const struct webhook_fields *fields,
                                   const struct calls_next *next)
{
    switch (next->found) {
    case CALLS_WRONG_ACCOUNT:
        return webhook_refuse_account(webhook);
    case CALLS_INVALID:
        return webhook_refuse_fields(webhook);
    case CALLS_UNKNOWN_NUMBER:
    case CALLS_UNKNOWN_CALL:
    case CALLS_DOUBLE:
        webhook_say_goodbye(webhook, NULL);
        return OUTCOME_unknown_call;
    case CALLS_FOUND:
        break;
    }
    return answer_place(webhook, fields, next);
}

/* The database is away. Why the stream ended is not known, so a caller who is still there after a
 * while gets what the organisation has for calls that cannot go on. */
static enum metrics_outcome decide_without(struct webhook *webhook,
                                           const struct webhook_fields *fields,
                                           struct calls_next *next)
{
    calls_next_free(next);
    if (!webhook_recall_steps(webhook, fields, next) || !next->place[0])
        return webhook_answer_softly(webhook);
    answer_place(webhook, fields, next);
    return OUTCOME_remembered;
}

static void log_decision(const struct webhook_fields *fields, const struct calls_next *next)
{
    log_info("after stream", log_text("place", next->place),
             log_text("ended_reason", next->ended_reason[0] ? next->ended_reason : NULL),
             log_text("organization", next->organization[0] ? next->organization : NULL),
             log_text("conversation", next->conversation[0] ? next->conversation : NULL),
             log_text("call_sid", fields->call_sid),
             log_text("result", calls_found_name(next->found)));
}

enum metrics_outcome after_stream_answer(struct webhook *webhook)
{
    struct webhook_fields fields;
    struct calls_next next;
    enum metrics_outcome outcome;
    edge_await(webhook->edge, webhook->events_mark, REPORT_WAIT_MS);
    webhook_read(webhook, &fields);
    enum db_result result = calls_after_stream(webhook->db, &fields.fields, &next);
    if (result == DB_OK) {
        outcome = decide(webhook, &fields, &next);
        log_decision(&fields, &next);
    } else if (result == DB_AWAY || result == DB_BUSY) {
        outcome = decide_without(webhook, &fields, &next);
    } else {
        log_error("next step not known", log_text("result", db_result_name(result)),
                  log_text("error", db_error(webhook->db)));
        webhook_say_goodbye(webhook, NULL);
        outcome = OUTCOME_failed;
    }
    calls_next_free(&next);
    webhook_fields_free(&fields);
    return outcome;
}
