/* panic: a failed assert says where, lets the reporters speak once each, and aborts. */
#include "common/panic.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka has an assert of its own name for tests of failing asserts; ours is the one meant here. */
#include <cmocka.h>

static void report_text(void *context)
{
    dprintf(STDERR_FILENO, "%s\n", (const char *)context);
}

/* A reporter that meets the very trouble it reports. */
static void report_and_fail(void *context)
{
    (void)context;
    assert(context != NULL);
}

static void fail_once(void)
{
    panic_reporter(report_text, "first reporter");
    panic_reporter(report_and_fail, NULL);
    assert(1 + 1 == 3);
}

static void test_panic(void **state)
{
    (void)state;
    int ends[2], status;
    char said[1024] = "";
    size_t length = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        fail_once();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got = 1; got > 0 && length + 1 < sizeof said; length += (size_t)got)
        got = read(ends[0], said + length, sizeof said - 1 - length);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "panic_test.c:"));
    assert_non_null(strstr(said, "fail_once: assertion failed: 1 + 1 == 3"));
    char *first = strstr(said, "first reporter");
    assert_non_null(first);
    assert_null(strstr(first + 1, "first reporter"));
}

static void test_holds(void **state)
{
    (void)state;
    int times = 0;
    assert(++times == 1);
    assert_int_equal(times, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_panic), cmocka_unit_test(test_holds)};
    return cmocka_run_group_tests_name("panic", tests, NULL, NULL);
}
