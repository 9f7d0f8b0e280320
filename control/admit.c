#include "control/admit.h"

#include "common/clock.h"
#include "common/log.h"
#include "control/base/uuid.h"

#include <stdio.h>

#define STREAM_PATH "/twilio-media-stream/"

/* One question, as far as it has come. */
struct question {
    const struct service *service;
    struct db *db;
    const struct edge_hello *edge;
    const char *stream_base; /* the one that was signed */
    struct ticket ticket;
    char text[TICKET_TEXT_BYTES + 1]; /* of the ticket */
    char stream_path[sizeof STREAM_PATH + TICKET_TEXT_BYTES];
    char call[UUID_TEXT_BYTES + 1], organization[UUID_TEXT_BYTES + 1];
    struct calls_plan plan;
    struct accounts_tokens accounts;
};

static const char *const names[] = {
#define ROW(name) #name,
    METRICS_ADMISSIONS(ROW)
#undef ROW
};

static enum metrics_admission verify(struct question *question, struct span text)
{
    enum fault fault =
        ticket_verify(&question->service->ticket_keys, text, clock_wall_ms(), &question->ticket);
    if (fault == FAULT_ticket_expired)
        return ADMISSION_ticket_expired;
    if (fault != FAULT_NONE || !span_copy_text(text, question->text, sizeof question->text))
        return ADMISSION_ticket_invalid;
    uuid_write(question->ticket.conversation, question->call);
    uuid_write(question->ticket.organization, question->organization);
    snprintf(question->stream_path, sizeof question->stream_path, STREAM_PATH "%s", question->text);
    return ADMISSION_admitted;
}

static enum metrics_admission find_call(struct question *question)
{
    enum db_result result = calls_plan(question->db, &question->service->options->seal,
                                       question->organization, question->call, &question->plan);
    if (result != DB_OK)
        return ADMISSION_unavailable;
    return question->plan.incoming.found == CALLS_FOUND ? ADMISSION_admitted
                                                        : ADMISSION_unknown_call;
}

static bool is_signed(struct question *question, const char *base, const char *signature)
{
    struct signature_tokens tokens = tokens_for_signature(&question->accounts);
    char values[SIGNATURE_STREAM_MAX][SIGNATURE_TEXT_BYTES + 1];
    bool right = false;
    size_t count = signature_stream_values(base, question->stream_path, &tokens, values);
    for (size_t i = 0; i < count; i++)
        right |= span_equal_secret(span_of(values[i]), span_of(signature));
    if (right)
        question->stream_base = base;
    return right;
}

/* The carrier was sent to the edge's own name, or to the one that all of them share. */
static enum metrics_admission check_signature(struct question *question, const char *signature)
{
    const char *own = question->edge->stream_url;
    enum tokens_found found = tokens_find(question->service->tokens, question->db,
                                          question->plan.account_sid, &question->accounts);
    if (found == TOKENS_AWAY)
        return ADMISSION_unavailable;
    bool right = is_signed(question, question->service->options->websocket_url, signature) ||
                 (own[0] && is_signed(question, own, signature));
    return right ? ADMISSION_admitted : ADMISSION_signature_invalid;
}

static enum metrics_admission use_up(struct question *question)
{
    enum calls_ticket ticket;
    enum db_result result =
        calls_use_ticket(question->db, question->organization, question->call,
                         span_from(question->ticket.nonce, sizeof question->ticket.nonce),
                         question->ticket.expires_at_ms, &ticket);
    if (result != DB_OK)
        return ADMISSION_unavailable;
    if (ticket == CALLS_TICKET_UNKNOWN_CALL)
        return ADMISSION_unknown_call;
    return ticket == CALLS_TICKET_FIRST ? ADMISSION_admitted : ADMISSION_ticket_used;
}

static enum metrics_admission judge(struct question *question, struct span text,
                                    const char *signature)
{
    enum metrics_admission admission = verify(question, text);
    if (admission == ADMISSION_admitted)
        admission = find_call(question);
    if (admission == ADMISSION_admitted)
        admission = check_signature(question, signature);
    if (admission == ADMISSION_admitted)
        admission = use_up(question);
    return admission;
}

/* An edge with fewer cores than the one the ticket was made for gets one it can read. */
static bool fit_core(struct question *question)
{
    if (question->ticket.home_core < question->edge->cores)
        return true;
    question->ticket.home_core = (uint16_t)(question->ticket.home_core % question->edge->cores);
    return ticket_mint(&question->service->ticket_keys, &question->ticket, question->text);
}

static json_t *write_plan(struct question *question)
{
    struct signature_tokens tokens = tokens_for_signature(&question->accounts);
    if (!fit_core(question))
        return NULL;
    struct plan_facts facts = {.call = &question->plan.incoming,
                               .call_sid = question->plan.call_sid,
                               .account_sid = question->plan.account_sid,
                               .ticket = question->text,
                               .home_core = question->ticket.home_core,
                               .expires_at_ms = question->ticket.expires_at_ms,
                               .first_seq = plan_write_first_seq(false),
                               .stream_base = question->stream_base,
                               .stream_path = question->stream_path,
                               .tokens = &tokens};
    return plan_write(question->service->options, &facts);
}

static char *write_answer(struct question *question, enum metrics_admission admission)
{
    json_t *plan = admission == ADMISSION_admitted ? write_plan(question) : NULL;
    json_t *answer = NULL;
    if (plan)
        answer = json_pack("{s:i, s:o}", "status", 200, "plan", plan);
    else
        answer = json_pack(
            "{s:i, s:s}", "status",
            admission == ADMISSION_unavailable || admission == ADMISSION_admitted ? 503 : 403,
            "error", names[admission]);
    char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;
    json_decref(answer);
    return text;
}

char *admit_answer(const struct service *service, struct db *db, const struct edge_hello *edge,
                   struct span ticket_text, const char *signature)
{
    struct question question = {.service = service, .db = db, .edge = edge};
    enum metrics_admission admission = judge(&question, ticket_text, signature);
    COUNT(service->metrics, admissions[admission]);
    log_at(admission == ADMISSION_admitted ? LOG_INFO : LOG_WARN, "stream asked for",
           log_text("result", names[admission]),
           log_text("conversation", question.call[0] ? question.call : NULL),
           log_text("organization", question.organization[0] ? question.organization : NULL));
    char *text = write_answer(&question, admission);
    accounts_wipe(&question.accounts);
    calls_incoming_free(&question.plan.incoming);
    return text;
}
