/* The flight recorder: what is kept, and what a panic shows of it. */
#include "common/panic.h"
#undef assert
#include "edge/report/flight.h"
#include "tests/report/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Everything that is written into a pipe by work(context), which runs in a child. */
static size_t hear(void (*work)(int out), char *text, size_t room, int *status)
{
    int ends[2];
    size_t bytes = 0;
    ssize_t taken;
    assert_int_equal(0, pipe(ends));
    pid_t child = fork();
    if (child == 0) {
        work(ends[1]);
        _exit(0);
    }
    close(ends[1]);
    while ((taken = read(ends[0], text + bytes, room - 1 - bytes)) > 0)
        bytes += (size_t)taken;
    text[bytes] = '\0';
    close(ends[0]);
    waitpid(child, status, 0);
    return bytes;
}

static unsigned count(const char *text, const char *part)
{
    unsigned found = 0;
    while ((text = strstr(text, part))) {
        found++;
        text++;
    }
    return found;
}

static void dump_some(int out)
{
    static struct flight flight;
    flight_open(&flight, 7);
    for (uint64_t i = 1; i <= FLIGHT_RECORDS + 44; i++)
        flight_note(&flight, i % 2 ? "call started" : "call ended", i, i * 10);
    flight_dump(out, &flight, FLIGHT_RECORDS + 1000);
}

static void keeps_the_newest(void **state)
{
    (void)state;
    static char text[65536];
    int status;
    hear(dump_some, text, sizeof text, &status);
    assert_int_equal(FLIGHT_RECORDS, count(text, "flight core 7: -"));
    assert_non_null(strstr(text, " ms call started 45 450\n"));
    assert_non_null(strstr(text, " ms call ended 300 3000\n"));
    assert_null(strstr(text, " call ended 44 440\n"));
    assert_true(strstr(text, " 45 450\n") < strstr(text, " 46 460\n"));
}

static void dump_few(int out)
{
    static struct flight flight;
    flight_open(&flight, 0);
    flight_dump(out, &flight, 10); /* nothing yet */
    for (uint64_t i = 1; i <= 5; i++)
        flight_note(&flight, "accepted", i, 0);
    flight_dump(out, &flight, 2);
}

static void shows_no_more_than_there_is(void **state)
{
    (void)state;
    char text[4096];
    int status;
    hear(dump_few, text, sizeof text, &status);
    assert_int_equal(2, count(text, "\n"));
    assert_non_null(strstr(text, "accepted 4 0\n"));
    assert_non_null(strstr(text, "accepted 5 0\n"));
}

static struct flight flights[3];

static void *die(void *context)
{
    (void)context;
    flight_adopt(&flights[1]);
    panic_at("file.c", 12, "function", "one == two");
}

static void panic_on_core_one(int out)
{
    pthread_t thread;
    dup2(out, STDERR_FILENO);
    for (unsigned core = 0; core < 3; core++) {
        flight_open(&flights[core], core);
        for (uint64_t i = 1; i <= 20; i++)
            flight_note(&flights[core], "note", core, i);
    }
    pthread_create(&thread, NULL, die, NULL);
    pthread_join(thread, NULL);
}

static void tells_the_dying_core_in_full(void **state)
{
    (void)state;
    static char text[65536];
    int status;
    hear(panic_on_core_one, text, sizeof text, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(text, "panic: file.c:12: function: assertion failed: one == two\n"));
    assert_int_equal(20, count(text, "flight core 1: "));
    assert_int_equal(FLIGHT_OTHERS, count(text, "flight core 0: "));
    assert_int_equal(FLIGHT_OTHERS, count(text, "flight core 2: "));
    assert_non_null(strstr(text, "note 2 20\n"));
    assert_null(strstr(text, "note 2 12\n"));
    assert_true(strstr(text, "flight core 1: ") < strstr(text, "flight core 0: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest),
        cmocka_unit_test(shows_no_more_than_there_is),
        cmocka_unit_test(tells_the_dying_core_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
