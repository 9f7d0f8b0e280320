#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    void (*report)(void *context);
    void *context;
} reporters[PANIC_REPORTERS_MAX];
static int reporters_count;

void panic_reporter(void (*report)(void *context), void *context)
{
    assert(reporters_count < PANIC_REPORTERS_MAX);
    reporters[reporters_count].report = report;
    reporters[reporters_count].context = context;
    reporters_count++;
}

void panic_at(const char *file, int line, const char *function, const char *expression)
{
    dprintf(STDERR_FILENO, "panic: %s:%d: %s: assertion failed: %s\n", file, line, function,
            expression);
    int count = reporters_count;
    reporters_count = 0; /* a reporter that panics itself must not start over */
    for (int i = 0; i < count; i++)
        reporters[i].report(reporters[i].context);
    abort();
}
