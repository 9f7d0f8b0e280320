/* Plans and URLs from anybody: what is taken keeps the promises of plan.h. */
#include "common/panic.h"
#include "common/ticket.h"
#include "edge/limits.h"
#include "edge/report/plan.h"
#include "edge/report/plan_url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_head_text(const char *text)
{
    for (; *text; text++)
        assert(*text > ' ' && *text <= '~');
}

static void check_plan(struct plan *plan, unsigned cores)
{
    struct ticket ticket;
    assert(plan->home_core < cores && plan->signatures_count <= PLAN_SIGNATURES_MAX);
    assert(strlen(plan->call) == 36 && strlen(plan->call_sid) == 34);
    assert(ticket_read(span_of(plan->ticket), &ticket));
    check_head_text(plan->ai.host);
    check_head_text(plan->ai.target);
    check_head_text(plan->ai.key);
    assert(plan->ai.port && plan->ai.target[0] == '/' && plan->ai.tools_json[0] == '[');
    assert(strlen(plan->ai.instructions) <= PLAN_INSTRUCTIONS_BYTES_MAX);
    plan_free(plan);
}

static void try_url(const uint8_t *data, size_t bytes)
{
    struct plan_url url;
    char *text = malloc(bytes + 1);
    assert(text);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    if (!plan_url_read(text, &url)) {
        check_head_text(url.host);
        check_head_text(url.target);
        assert(url.host[0] && url.port && url.target[0] == '/');
        assert(strlen(url.target) <= PLAN_TARGET_BYTES_MAX);
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char error[128] = "";
    if (bytes == 0)
        return 0;
    if (data[0] == 'w') {
        try_url(data, bytes);
        return 0;
    }
    struct plan *plan = plan_read(span_from(data, bytes), 4, error, sizeof error);
    assert((plan == NULL) == (error[0] != '\0'));
    if (plan)
        check_plan(plan, 4);
    return 0;
}
