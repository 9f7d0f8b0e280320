/* api_answer: a request of the REST API, from token to answer (api.h has the order of its steps).
 *
 * Thread: a worker of the API's pool; db is of the role ringbridge_api. */
#ifndef RINGBRIDGE_CONTROL_API_API_ANSWER_H
#define RINGBRIDGE_CONTROL_API_API_ANSWER_H

#include "control/api/api.h"

struct api_answer {
    int status;
    char *head; /* the RESPONSE's JSON, malloc'ed; NULL only without memory */
    char *body; /* malloc'ed, or NULL */
    size_t body_bytes;
};

/* Is this request for the API? (The carrier's webhooks are looked for first.) */
bool api_answer_is_one(const struct request *request);

void api_answer(const struct service *service, struct db *db, const struct request *request,
                struct api_answer *answer);
void api_answer_free(struct api_answer *answer);

/* What is answered when the API's workers have too much to do. */
void api_answer_busy(struct api_answer *answer);

#endif
