/* webhook: one signed request of the carrier, on its way through a handler.
 *
 * What it is: the form, the tokens that signed it, and helpers that every handler needs: the
 * standard parameters as the store takes them, and the answers in words. What it is not: the
 * check of the signature (router.c does it before any handler runs). A handler (control/webhooks/)
 * reads top to bottom: ask the store one question, answer, log one line.
 * Owner: the router. Thread: one worker. */
#ifndef RINGBRIDGE_CONTROL_WEBHOOKS_WEBHOOK_H
#define RINGBRIDGE_CONTROL_WEBHOOKS_WEBHOOK_H

#include "control/base/form.h"
#include "control/link/edge.h"
#include "control/service/request.h"
#include "control/service/response.h"
#include "control/service/service.h"
#include "control/store/calls.h"

#include <jansson.h>

#define WEBHOOK_TEXT_BYTES 512
#define WEBHOOK_SOFT_MAX   20 /* times a caller hears "one moment" before we give up */
#define WEBHOOK_SOFT_SOME  3  /* .. and before we go by what is remembered */

struct webhook {
    const struct service *service;
    struct db *db;
    struct edge *edge;
    uint64_t events_mark; /* of edge_await */
    const struct request *request;
    struct span frame_json; /* the request's own, as the link brought it */
    int64_t kept_ms;        /* not 0: it came then, was kept, and is to be stored now; no edge */
    const struct form *form;
    struct accounts_tokens accounts; /* of the account that signed; wiped by the router */
    enum metrics_route route;
    struct response *response;
};

/* Answers one webhook and says what became of it. */
typedef enum metrics_outcome webhook_handler(struct webhook *webhook);

/* control/webhooks/, a file each. */
webhook_handler incoming_call_answer;
webhook_handler incoming_sms_answer;
webhook_handler status_callback_answer;
webhook_handler after_stream_answer;
webhook_handler stream_status_answer;
webhook_handler call_step_answer;
webhook_handler queue_wait_answer;
webhook_handler transfer_wait_answer;
webhook_handler transfer_answered_answer;
webhook_handler transfer_decision_answer;
webhook_handler transfer_status_answer;
webhook_handler conference_status_answer;
webhook_handler recording_status_answer;
webhook_handler voicemail_recording_answer;
webhook_handler outbound_call_answer;
webhook_handler outbound_status_answer;
webhook_handler outbound_amd_answer;

/* The standard parameters, with the room for them; fields point into it. */
struct webhook_fields {
    struct calls_webhook fields;
    char account_sid[WEBHOOK_TEXT_BYTES], call_sid[WEBHOOK_TEXT_BYTES];
    char from[WEBHOOK_TEXT_BYTES], to[WEBHOOK_TEXT_BYTES];
    char direction[WEBHOOK_TEXT_BYTES], status[WEBHOOK_TEXT_BYTES];
    char timestamp[WEBHOOK_TEXT_BYTES], idempotency_token[WEBHOOK_TEXT_BYTES];
    char *parameters_json; /* malloc'ed */
};

/* Reads them: made valid UTF-8, cut to their room, empty where nothing came. */
void webhook_read(const struct webhook *webhook, struct webhook_fields *fields);
void webhook_fields_free(struct webhook_fields *fields);

/* What a call is answered with, by what the store found: of incoming_call, and for calls that we
 * made. */
enum metrics_outcome incoming_call_decide(struct webhook *webhook,
                                          const struct webhook_fields *fields,
                                          const struct calls_incoming *call);

/* One field of the form, in the same way. Returns text. */
const char *webhook_text(const struct webhook *webhook, const char *name, char *text, size_t room);

/* For questions the carrier waits on with a caller: "one moment" and the same webhook again, with
 * a count at the end of its query; after WEBHOOK_SOFT_MAX an apology and a hang-up. */
enum metrics_outcome webhook_answer_softly(struct webhook *webhook);

/* Words and a hang-up. */
void webhook_say_goodbye(struct webhook *webhook, const char *sentence);

/* The verbs of the step at a place (control/carrier/steps.h), with what is known of the call. */
void webhook_answer_step(struct webhook *webhook, const struct webhook_fields *fields,
                         const char *organization, const json_t *steps, const char *place,
                         unsigned tries);

/* A value of our own URL's query; "" where it has none. Returns text. */
const char *webhook_query(const struct webhook *webhook, const char *name, char *text, size_t room);

/* Begins the warm transfer of a step at its place. id is empty when none can be. */
enum db_result transfer_begin(struct webhook *webhook, const struct webhook_fields *fields,
                              const json_t *step, const char *place, const char *from,
                              char id[CALLS_UUID_TEXT]);
/* The caller is out of the conference of a transfer: where that is then ("done", "returned", ..);
 * "" when it is not known. */
enum db_result transfer_leave(struct webhook *webhook, const struct webhook_fields *fields,
                              const char *id, char state[16]);

/* For callbacks. While the database is away they are kept and acknowledged (kept); where that is
 * not possible 503 (unavailable); else 500 (failed). Logs what the database said. */
enum metrics_outcome webhook_callback_failed(struct webhook *webhook, enum db_result result);

/* The same, and never kept: for one of which nobody knows yet whether it is signed. */
enum metrics_outcome webhook_refuse_now(struct webhook *webhook, enum db_result result);

/* What a callback about a call is answered by what the store found; 204 unless it is refused.
 * repeated: this fact was on record already. */
enum metrics_outcome webhook_callback_taken(struct webhook *webhook, enum calls_found found,
                                            bool repeated);

/* Refusals that every handler shares: the answer, and what it counts as. */
enum metrics_outcome webhook_refuse_account(struct webhook *webhook);
enum metrics_outcome webhook_refuse_fields(struct webhook *webhook);

/* Puts the webhook into the journal, to be stored later. */
bool webhook_keep(const struct webhook *webhook);

/* For questions while the database is away: may this caller, who has waited for a while, be
 * answered with what is remembered of the number's steps? Fills in next as the database would. */
bool webhook_recall_steps(struct webhook *webhook, const struct webhook_fields *fields,
                          struct calls_next *next);

/* "..00": as much of a number as a log may hold. */
const char *webhook_shorten(const char *number, char text[8]);

#endif
