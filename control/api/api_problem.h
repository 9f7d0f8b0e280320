/* api_problem: what the API says when it does not do what was asked (RFC 9457): one row, one enum,
 * one type, one title.
 *
 * Thread: any. Bound: API_PROBLEM_DETAIL. */
#ifndef RINGBRIDGE_CONTROL_API_API_PROBLEM_H
#define RINGBRIDGE_CONTROL_API_API_PROBLEM_H

#define API_PROBLEM_DETAIL 768
#define API_PROBLEM_TYPE   "urn:ringbridge:problem:"

#define API_PROBLEMS(ROW)                                                                          \
    ROW(malformed, 400, "The request cannot be read")                                              \
    ROW(parameter, 400, "A parameter is not right")                                                \
    ROW(unauthorized, 401, "A valid token is needed")                                              \
    ROW(forbidden, 403, "This token may not do that")                                              \
    ROW(not_found, 404, "There is no such thing")                                                  \
    ROW(method, 405, "This method is not for this path")                                           \
    ROW(conflict, 409, "What is there already does not allow it")                                  \
    ROW(not_live, 409, "The call is not live")                                                     \
    ROW(media_type, 415, "A body is JSON here")                                                    \
    ROW(invalid, 422, "A value is not right")                                                      \
    ROW(key_reused, 422, "This Idempotency-Key was used for something else")                       \
    ROW(too_fast, 429, "Too many requests")                                                        \
    ROW(internal, 500, "Something went wrong on our side")                                         \
    ROW(unavailable, 503, "Not possible at the moment")

enum problem {
#define ROW(name, status, title) PROBLEM_##name,
    API_PROBLEMS(ROW)
#undef ROW
        PROBLEM_COUNT
};

struct api_problem {
    int status; /* 0: none */
    enum problem problem;
    char detail[API_PROBLEM_DETAIL];
};

int api_problem_status(enum problem problem);
const char *api_problem_name(enum problem problem);
const char *api_problem_title(enum problem problem);

/* The document; malloc'ed, NULL without memory. instance: the request's id, or NULL. */
char *api_problem_write(const struct api_problem *problem, const char *instance);

#endif
