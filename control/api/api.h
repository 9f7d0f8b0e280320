/* api: the REST API, as one table: a row for each path and method.
 *
 * What it is: who may call it, what it takes and what it answers, all in the row. The router, the
 * judge of what comes in and the OpenAPI document (api_document.h) read the same rows; members of
 * answers come from store/shown.h, where the queries are made of them too. So a row is all there is
 * to add. What it is not: queries (control/store) or rules of values (the database's constraints,
 * which are answered 422 with the constraint's name).
 *
 * A request's way (api_answer.c): row, token, rate, role and scope, query and body, then ONE
 * transaction of the token's organisation that holds the change, its audit entry and the answer for
 * a repetition. What belongs to another organisation is not visible in it: 404, like what is not
 * there.
 *
 * To add a path: its members to a shown_*.c, its rows to the file of its group here, and a handler
 * where it changes something. A handler runs in that transaction, perhaps again, so it has no
 * effect outside of the database; it sets api->made to the key of what is shown, adds to api->more,
 * or says why not with api_refuse. Thread: a worker of the API's pool. Owner: struct api owns its
 * body, more and answer until api_answer_free. Bounds: below. */
#ifndef RINGBRIDGE_CONTROL_API_API_H
#define RINGBRIDGE_CONTROL_API_API_H

#include "control/api/api_problem.h"
#include "control/api/api_query.h"
#include "control/base/uuid.h"
#include "control/service/request.h"
#include "control/service/service.h"
#include "control/store/shown.h"

#define API_PREFIX         "/api/"
#define API_ARGUMENTS_MAX  2   /* {..} in a path */
#define API_ARGUMENT_BYTES 128 /* of one, with NUL */
#define API_MEMBERS_MAX    32  /* of a body */
#define API_ANSWER_BYTES_MAX                                                                       \
    200000 /* a page is cut before it grows longer (an edge takes 256 KiB) */
#define API_KEY_BYTES_MAX 200

enum api_role { API_VIEWER, API_OPERATOR, API_ADMIN };

enum api_shape {
    API_NOTHING, /* 204 */
    API_ONE,     /* one object */
    API_PAGE     /* {"items":[..],"next":cursor or null} */
};

/* A member of a body, or of an answer that has more than its noun. */
struct api_member {
    const char *name, *schema, *says;
    bool required;
};

struct api;

/* DB_OK: done. Anything else rolls back: after api_refuse its problem is answered, otherwise what
 * the database said. */
typedef enum db_result api_handler(struct api *api);

struct api_row {
    const char *method, *path; /* "/api/calls/{id}" */
    const char *alias;         /* another path of the same shape, or NULL */
    const char *name, *says;   /* operationId and summary */
    const char *group;         /* tag of the document, scope of a token */
    enum api_role role;
    enum api_shape shape;
    int status; /* when all is well */
    const struct shown *shown;
    const char *parent; /* of a page: the filter that the path's first argument fills in, or NULL */
    const struct shown *of; /* .. and where that must be found, or 404 */
    const char *where;      /* Location of what is made: this and its key; or NULL */
    const struct api_member *body;
    const struct api_member *more; /* said once and kept nowhere: secrets, links */
    api_handler *act;              /* NULL: only shows */
};

struct api_group {
    const char *name, *says;
    const struct api_row *rows;
    int count;
};

extern const struct api_group *const api_groups[];
extern const int api_groups_count;

struct api_caller {
    char id[UUID_TEXT_BYTES + 1], organization[UUID_TEXT_BYTES + 1];
    enum api_role role;
    char scopes[2048]; /* ",calls,recordings," or "": all */
    char label[1024];
    unsigned rate_per_minute;
};

struct api {
    const struct service *service;
    struct db *db;
    const struct request *request;
    const struct api_row *row;
    struct api_caller caller;
    char arguments[API_ARGUMENTS_MAX][API_ARGUMENT_BYTES];
    struct api_query query;
    json_t *body;                    /* judged by the row's schema; NULL without one */
    char id[UUID_TEXT_BYTES + 1];    /* of this request */
    char key[API_KEY_BYTES_MAX + 1]; /* Idempotency-Key, or ".id" */
    /* what the handler says */
    char made[API_ARGUMENT_BYTES]; /* the key by which shown finds it */
    json_t *more;
    /* the answer */
    struct api_problem problem; /* status 0: none */
    int status;
    char *answer; /* JSON text or NULL */
    size_t answer_bytes;
    char location[API_ARGUMENT_BYTES + 160];
    bool replayed;
    unsigned retry_after_s;
};

/* Refuses: rolls back and answers this problem with a sentence of its own. */
enum db_result api_refuse(struct api *api, enum problem problem, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* There is no such thing, or it is another organisation's. */
enum db_result api_missing(struct api *api);

/* What the database said, as a problem: away and busy 503, a broken rule 422 or 409 with the
 * constraint's name, else 500. Nothing when a problem stands there already. Returns result. */
enum db_result api_failed(struct api *api, enum db_result result);

/* Members of the body; otherwise when they are absent (or null). */
const char *api_text(const struct api *api, const char *name, const char *otherwise);
int64_t api_number(const struct api *api, const char *name, int64_t otherwise);
const json_t *api_member(const struct api *api, const char *name);

/* What is answered beyond the noun; takes the object. DB_OK, or DB_BROKEN for NULL. */
enum db_result api_more(struct api *api, json_t *object);

/* Who it was, for records: "api token ID". Returns text. */
const char *api_who(const struct api *api, char text[64]);

#endif
