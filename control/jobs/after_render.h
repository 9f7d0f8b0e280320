/* after_render: what is sent after a call, made from facts.
 *
 * What it is: facts (after_call_facts of sql/0011) and the outcome (summary.h) become an e-mail in
 * text and HTML, the JSON of a webhook, the message for Slack. What it is not: sending
 * (jobs/email_send.c, jobs/webhook_send.c), nor deciding who gets what (jobs/after_call.c).
 * Pure: the same facts give the same bytes.
 *
 * Owner: results are malloc'ed for the caller. Thread: any. Bounds: a transcript of
 * AFTER_RENDER_LINES_BYTES in an e-mail, a subject of AFTER_RENDER_SUBJECT_BYTES. */
#ifndef RINGBRIDGE_CONTROL_JOBS_AFTER_RENDER_H
#define RINGBRIDGE_CONTROL_JOBS_AFTER_RENDER_H

#include <jansson.h>
#include <stdbool.h>

#define AFTER_RENDER_LINES_BYTES   200000
#define AFTER_RENDER_SUBJECT_BYTES 180

/* What something is about. */
struct after_render_matter {
    const json_t *facts;
    const json_t *outcome;     /* of the call or the voicemail */
    const json_t *voicemail;   /* an element of facts.voicemails, or NULL: the call itself */
    const char *recording_url; /* or NULL */
};

struct after_render_email {
    char *subject, *text, *html;
};

/* The event's name: "call.completed" or "voicemail.received". */
const char *after_render_event(const struct after_render_matter *matter);

/* False when memory is out. */
bool after_render_email(const struct after_render_matter *matter, struct after_render_email *email);
void after_render_email_free(struct after_render_email *email);

/* The whole body of the request to the endpoint; NULL when memory is out. id: of the delivery. */
char *after_render_webhook(const struct after_render_matter *matter, const char *id,
                           const char *now_iso);
char *after_render_slack(const struct after_render_matter *matter);

#endif
