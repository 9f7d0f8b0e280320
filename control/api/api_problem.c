#include "control/api/api_problem.h"

#include "common/panic.h"

#include <jansson.h>
#include <stdio.h>

static const struct row {
    const char *name, *title;
    int status;
} rows[] = {
#define ROW(name, status, title) {#name, title, status},
    API_PROBLEMS(ROW)
#undef ROW
};

int api_problem_status(enum problem problem)
{
    assert(problem < PROBLEM_COUNT);
    return rows[problem].status;
}

const char *api_problem_name(enum problem problem)
{
    assert(problem < PROBLEM_COUNT);
    return rows[problem].name;
}

const char *api_problem_title(enum problem problem)
{
    assert(problem < PROBLEM_COUNT);
    return rows[problem].title;
}

char *api_problem_write(const struct api_problem *problem, const char *instance)
{
    char type[80], urn[64];
    const struct row *row = &rows[problem->problem];
    assert(problem->status != 0 && problem->problem < PROBLEM_COUNT);
    snprintf(type, sizeof type, API_PROBLEM_TYPE "%s", row->name);
    json_t *document =
        json_pack("{s:s, s:s, s:i}", "type", type, "title", row->title, "status", problem->status);
    if (document && problem->detail[0])
        json_object_set_new(document, "detail", json_string(problem->detail));
    if (document && instance) {
        snprintf(urn, sizeof urn, "urn:uuid:%s", instance);
        json_object_set_new(document, "instance", json_string(urn));
    }
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    return text;
}
