/* after: what the jobs after a call and after a voicemail have in common: the summary, and telling
 * everybody.
 *
 * Thread: the run's. */
#ifndef RINGBRIDGE_CONTROL_JOBS_AFTER_H
#define RINGBRIDGE_CONTROL_JOBS_AFTER_H

#include "control/jobs/after_render.h"
#include "control/jobs/job.h"
#include "control/jobs/kinds.h"
#include "control/net/ai_rest.h"
#include "control/store/accounts.h"

#define AFTER_LINK_BYTES 1024

/* One run. */
struct after {
    struct job *job;
    const struct options *options;
    char conversation[UUID_TEXT_BYTES + 1];
    json_t *facts;
    int64_t age_s;                    /* of the job */
    char ai_key[ACCOUNTS_SECRET_MAX]; /* its own, or "" */
    bool ai_key_lost;                 /* it has one that does not open */
    json_t *outcome;                  /* summary.h */
    const char *recording;            /* that a link was made to, or NULL */
    char link[AFTER_LINK_BYTES], link_id[UUID_TEXT_BYTES + 1];
    int64_t link_expires_ms;
    json_t *messages; /* deliveries to be made: objects of id, kind, endpoint, target, key, body */
};

/* Reads facts, age and key of after->conversation. DB_OK and no facts: there is no such call. */
enum db_result after_read(struct after *after, struct db *db);

/* The AI as this organisation may ask it. False: there is no key for it. */
bool after_ai(struct after *after, struct ai_rest *ai);

/* Sets after->outcome, with or without a summary. False: it is to be tried again, *end says how; as
 * long as patience_s of the job's age lasts. */
bool after_sum_up(struct after *after, const json_t *voicemail, int64_t patience_s,
                  enum job_end *end);

/* A link to a recording, for everybody who is told; its audit row goes with after_put. NULL: there
 * is none, or none is wanted. recording: borrowed until after_put. */
const char *after_link(struct after *after, const char *recording);

/* Composes everything for everybody. about: what makes it the same again, e.g. the call's id.
 * False when memory is out. */
bool after_compose(struct after *after, const struct after_render_matter *matter, bool with_email,
                   const char *about);

/* Puts what was composed into the outbox; for job_commit's work. */
enum db_result after_put(const struct after *after, struct db *db, const char *event);

/* A setting's text, or "". */
const char *after_setting(const struct after *after, const char *name);
int64_t after_setting_number(const struct after *after, const char *name);

/* The bytes of a kept file, malloc'ed. NULL with a sentence in error. */
uint8_t *after_sound(struct after *after, const char *path, const char *store, size_t *bytes,
                     char *error, size_t room);

void after_free(struct after *after);

#endif
