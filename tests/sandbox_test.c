/* What the sandbox lets through and what it does not, for edge and control, tried in children that
 * put it up. */
#include "common/sandbox.h"
#include "control/base/syscalls.h"
#include "edge/syscalls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_SANDBOX 99
#define UNHARMED   7

/* How a child that does this ends: its exit status, or its signal negated. Its core dump, which a
 * kill by filter would leave, is not wanted. */
static int end_of(int (*act)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        _exit(act());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int (*confined_act)(void);
static const struct sandbox_needs *needs; /* of this test */

static int be_edge(void **state)
{
    (void)state;
    needs = &syscalls_edge;
    return 0;
}

static int be_control(void **state)
{
    (void)state;
    needs = &syscalls_control;
    return 0;
}

static int act_confined(void)
{
    char error[256];
    return sandbox_close(needs, error, sizeof error) ? confined_act() : NO_SANDBOX;
}

static int confined_end_of(int (*act)(void))
{
    confined_act = act;
    return end_of(act_confined);
}

static int says(bool so)
{
    return so ? UNHARMED : 1;
}

static int open_a_file(void)
{
    char byte;
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    return says(fd >= 0 && read(fd, &byte, 1) == 1 && close(fd) == 0);
}

static int use_sockets(void)
{
    for (size_t i = 0; i < 3; i++) {
        static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
        int fd = socket(families[i], SOCK_STREAM | SOCK_CLOEXEC, 0);
        if ((fd < 0 && errno == EPERM) || (fd >= 0 && close(fd) != 0))
            return 1;
    }
    return UNHARMED;
}

/* The link believes a peer of the edge's own user. */
static int ask_who_we_are(void)
{
    return says(syscall(SYS_geteuid) >= 0);
}

static int use_another_family(void)
{
    return says(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
}

static int do_what_neither_does(void)
{
    bool refused = syscall(SYS_getppid) < 0 && errno == EPERM;
    refused &= chdir("/") < 0 && errno == EPERM;
    refused &= symlink("/", "/tmp/ringbridge-never") < 0 && errno == EPERM;
    refused &= syscall(SYS_kill, getpid(), 0) < 0 && errno == EPERM;
    return says(refused);
}

static int execute(void)
{
    char *const words[] = {(char *)(uintptr_t) "true", NULL};
    execve("/bin/true", words, words + 1);
    return 1;
}

static int become_another(void)
{
    syscall(SYS_setuid, getuid());
    return 1;
}

static int mount_something(void)
{
    mount("none", "/nowhere", "tmpfs", 0, NULL);
    return 1;
}

/* As the C library's fork does. */
static int make_a_process(void)
{
    if (fork() == 0)
        _exit(1);
    return 1;
}

static void *do_nothing(void *unused)
{
    return unused;
}

static int start_a_thread(void)
{
    pthread_t thread;
    return says(pthread_create(&thread, NULL, do_nothing, NULL) == 0 &&
                pthread_join(thread, NULL) == 0);
}

static int rename_nothing(void)
{
    return says(rename("/nowhere/a", "/nowhere/b") < 0 && errno == ENOENT);
}

static int open_a_ring(void)
{
    return says(syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EPERM);
}

static int trace(void)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    return 1;
}

static int look_into_another(void)
{
    return says(syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0) < 0);
}

static int abort_at_once(void)
{
    abort();
}

static void lets_through_what_is_used(void **state)
{
    (void)state;
    assert_int_equal(confined_end_of(open_a_file), UNHARMED);
    assert_int_equal(confined_end_of(use_sockets), UNHARMED);
    assert_int_equal(confined_end_of(ask_who_we_are), UNHARMED);
    assert_int_equal(confined_end_of(abort_at_once), -SIGABRT); /* a panic must be able to end it */
}

static void refuses_the_rest(void **state)
{
    (void)state;
    assert_int_equal(confined_end_of(use_another_family), UNHARMED);
    assert_int_equal(confined_end_of(do_what_neither_does), UNHARMED);
}

static void an_intruder_ends(void **state)
{
    (void)state;
    assert_int_equal(confined_end_of(execute), -SIGSYS);
    assert_int_equal(confined_end_of(trace), -SIGSYS);
    assert_int_equal(confined_end_of(become_another), -SIGSYS);
    assert_int_equal(confined_end_of(mount_something), -SIGSYS);
    assert_int_equal(confined_end_of(make_a_process), -SIGSYS);
    assert_int_equal(confined_end_of(look_into_another), -SIGSYS);
}

/* Threads that ran before are confined too. */
static int to_thread[2], from_thread[2];

static void *wait_and_execute(void *unused)
{
    char byte = 'x';
    (void)unused;
    if (write(from_thread[1], &byte, 1) == 1 && read(to_thread[0], &byte, 1) == 1)
        execute();
    return NULL;
}

static int execute_in_an_old_thread(void)
{
    char byte = 'x', error[256];
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_and_execute, NULL) != 0 ||
        read(from_thread[0], &byte, 1) != 1 || !sandbox_close(needs, error, sizeof error) ||
        write(to_thread[1], &byte, 1) != 1)
        return NO_SANDBOX;
    pthread_join(thread, NULL);
    return 1;
}

static void old_threads_are_in_it_too(void **state)
{
    (void)state;
    assert_int_equal(pipe(to_thread) | pipe(from_thread), 0);
    assert_int_equal(end_of(execute_in_an_old_thread), -SIGSYS);
}

/* libcurl's and edges' threads come later; the edge has all that it needs. */
static void only_control_goes_on_starting_threads(void **state)
{
    (void)state;
    needs = &syscalls_control;
    assert_int_equal(confined_end_of(start_a_thread), UNHARMED);
    assert_int_equal(confined_end_of(rename_nothing), UNHARMED);
    assert_int_equal(confined_end_of(open_a_ring), UNHARMED);
    needs = &syscalls_edge;
    assert_int_equal(confined_end_of(start_a_thread), 1);
    assert_int_equal(confined_end_of(rename_nothing), 1);
}

static int do_nothing_more(void)
{
    return UNHARMED;
}

static void a_call_that_no_kernel_has_is_noticed(void **state)
{
    static const char *const calls[] = {"read", "raed"};
    static const struct sandbox_needs wrong = {.calls = calls, .count = 2};
    (void)state;
    needs = &wrong;
    assert_int_equal(confined_end_of(do_nothing_more), NO_SANDBOX);
}

#define AS_BOTH(test)                                                                              \
    {#test " (edge)", test, be_edge, NULL, NULL},                                                  \
    {                                                                                              \
#test " (control)", test, be_control, NULL, NULL                                           \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        AS_BOTH(lets_through_what_is_used),
        AS_BOTH(refuses_the_rest),
        AS_BOTH(an_intruder_ends),
        AS_BOTH(old_threads_are_in_it_too),
        cmocka_unit_test(only_control_goes_on_starting_threads),
        cmocka_unit_test(a_call_that_no_kernel_has_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
