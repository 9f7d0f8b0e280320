#include "common/panic.h"
#include "control/net/http_client.h"

#include <stdlib.h>

static struct http_client_figures figures;

const char *http_client_end_name(enum http_client_end end)
{
    static const char *const names[] = {
#define ROW(name, again) #name,
        HTTP_CLIENT_ENDS(ROW)
#undef ROW
    };
    assert(end < HTTP_CLIENT_ENDS_COUNT);
    return names[end];
}

bool http_client_end_may_mend(enum http_client_end end)
{
    static const bool again[] = {
#define ROW(name, again) again,
        HTTP_CLIENT_ENDS(ROW)
#undef ROW
    };
    return again[end];
}

bool http_client_status_may_mend(unsigned status)
{
    static const unsigned again[] = {408, 425, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++)
        if (status == again[i])
            return true;
    return false;
}

void http_client_count(const struct http_client_response *response)
{
    atomic_fetch_add_explicit(&figures.ends[response->end], 1, memory_order_relaxed);
    if (response->status / 100 < 6)
        atomic_fetch_add_explicit(&figures.statuses[response->status / 100], 1,
                                  memory_order_relaxed);
}

void http_client_free(struct http_client_response *response)
{
    if (response->body)
        explicit_bzero(response->body, (size_t)response->bytes);
    free(response->body);
    response->body = NULL;
}

void http_client_write_figures(FILE *out)
{
    fputs("# HELP ringbridge_control_http_requests_total Requests of ours to others, by how they "
          "ended.\n# TYPE ringbridge_control_http_requests_total counter\n",
          out);
    for (int end = 0; end < HTTP_CLIENT_ENDS_COUNT; end++)
        fprintf(out, "ringbridge_control_http_requests_total{end=\"%s\"} %llu\n",
                http_client_end_name((enum http_client_end)end),
                (unsigned long long)figures.ends[end]);
    fputs("# HELP ringbridge_control_http_answers_total What they answered.\n"
          "# TYPE ringbridge_control_http_answers_total counter\n",
          out);
    for (int class = 1; class < 6; class ++)
        fprintf(out, "ringbridge_control_http_answers_total{status=\"%dxx\"} %llu\n", class,
                (unsigned long long)figures.statuses[class]);
}
