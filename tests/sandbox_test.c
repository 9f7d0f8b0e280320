/* What the sandbox lets through and what it does not, tried in children that put it up. */
#include "edge/sandbox.h"

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

static int act_confined(void)
{
    char error[256];
    return sandbox_close(error, sizeof error) ? confined_act() : NO_SANDBOX;
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

static int do_what_an_edge_does_not(void)
{
    bool refused = syscall(SYS_getppid) < 0 && errno == EPERM;
    refused &= chdir("/") < 0 && errno == EPERM;
    refused &= setuid(0) < 0 && errno == EPERM;
    refused &= syscall(SYS_kill, getpid(), 0) < 0 && errno == EPERM;
    return says(refused);
}

static int execute(void)
{
    char *const words[] = {(char *)(uintptr_t) "true", NULL};
    execve("/bin/true", words, words + 1);
    return 1;
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
    assert_int_equal(confined_end_of(do_what_an_edge_does_not), UNHARMED);
}

static void an_intruder_ends(void **state)
{
    (void)state;
    assert_int_equal(confined_end_of(execute), -SIGSYS);
    assert_int_equal(confined_end_of(trace), -SIGSYS);
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
        read(from_thread[0], &byte, 1) != 1 || !sandbox_close(error, sizeof error) ||
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_through_what_is_used),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(an_intruder_ends),
        cmocka_unit_test(old_threads_are_in_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
