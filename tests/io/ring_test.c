/* The ring by itself, and where io_uring is forbidden, missing or out of memory: one clear sentence
 * each. */
#include "edge/io/ring_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const struct ring_config config = {.entries = 8, .answers = 64, .buffers = 8};

/* From here on this process' io_uring_setup fails with this errno. */
static void forbid(int problem)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)problem),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(2);
}

static void says_what_to_mend(void **state)
{
    static const struct {
        int problem;
        const char *hint;
    } table[] = {{EPERM, "kernel.io_uring_disabled"},
                 {ENOSYS, "Linux 6.0"},
                 {EINVAL, "Linux 6.0"},
                 {ENOMEM, "ulimit -l"},
                 {EMFILE, "Too many open files"}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            char error[256] = "";
            forbid(table[i].problem);
            struct ring *ring = ring_open(&config, error, sizeof error);
            _exit(!ring && strstr(error, table[i].hint) ? 0 : 1);
        }
        waitpid(child, &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* One op on its way and home again; a full submission queue costs a call, not an op. */
static void takes_ops_there_and_back(void **state)
{
    char error[256];
    struct ring *ring = ring_open(&config, error, sizeof error);
    struct ring_socket bells[20] = {0};
    struct ring_answer answer;
    unsigned rung = 0;
    (void)state;
    assert_non_null(ring);
    for (uint64_t i = 0; i < 20; i++) {
        bells[i] = (struct ring_socket){.fd = eventfd(1, EFD_NONBLOCK), .ref = 1ull << 32 | i};
        ring_watch(ring, &bells[i]);
        assert_true(ring_flies(&bells[i], OP_WAKE));
    }
    while (rung < 20) {
        ring_wait(ring, 0, 60000000000u);
        while (ring_take(ring, &answer)) {
            assert_int_equal(answer.op, OP_WAKE);
            assert_true(ring_more(answer.flags));
            ring_landed(&bells[(uint32_t)answer.ref], &answer);
            assert_true(ring_flies(&bells[(uint32_t)answer.ref], OP_WAKE));
            rung++;
        }
    }
    for (size_t i = 0; i < 20; i++)
        ring_cancel(ring, &bells[i]);
    for (unsigned home = 0; home < 20;) {
        ring_wait(ring, 0, 60000000000u);
        while (ring_take(ring, &answer)) {
            struct ring_socket *bell = &bells[(uint32_t)answer.ref];
            ring_landed(bell, &answer);
            home += bell->in_flight == 0;
        }
    }
    for (size_t i = 0; i < 20; i++)
        close(bells[i].fd);
    ring_close(ring);
}

static uint64_t clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The answer of this op, whatever else lies there; an alarm may. */
static bool take(struct ring *ring, enum op op, struct ring_answer *answer)
{
    while (ring_take(ring, answer))
        if (answer->op == op)
            return true;
    return false;
}

/* The timer that stays set ends a wait that asks for less, and rings once for those that ask for
 * more. */
static void a_wait_ends_in_time(void **state)
{
    char error[256];
    struct ring *ring = ring_open(&config, error, sizeof error);
    struct ring_socket bell = {.fd = eventfd(1, EFD_NONBLOCK), .ref = 1ull << 32};
    struct ring_answer answer;
    (void)state;
    assert_non_null(ring);
    ring_watch(ring, &bell);
    uint64_t began_ns = clock_ns();
    ring_wait(ring, began_ns, began_ns + 60000000000u);
    assert_true(take(ring, OP_WAKE, &answer));
    for (unsigned i = 0; i < 2; i++) { /* moved to the front, then set anew */
        uint64_t now_ns = clock_ns();
        ring_wait(ring, now_ns, now_ns + 20000000);
        assert_true(take(ring, OP_ALARM, &answer));
        assert_true(clock_ns() >= now_ns + 20000000);
    }
    assert_true(clock_ns() < began_ns + 30000000000u);
    ring_wait(ring, 2, 1); /* it is past: no waiting */
    ring_cancel(ring, &bell);
    uint64_t now_ns = clock_ns();
    ring_wait(ring, now_ns, now_ns + 60000000000u);
    while (take(ring, OP_WAKE, &answer))
        ring_landed(&bell, &answer);
    close(bell.fd);
    ring_close(ring);
}

/* Beside the filter of system calls: what the ring was not made for it does not do. */
static void does_nothing_else(void **state)
{
    char error[256] = "", directory[] = "/tmp/ring_test.XXXXXX";
    struct ring_answer answer;
    (void)state;
    struct ring *ring = ring_open(&config, error, sizeof error);
    assert_non_null(ring);
    assert_non_null(mkdtemp(directory));
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_unlinkat(sqe, AT_FDCWD, directory, AT_REMOVEDIR);
    sqe->user_data = 0;
    ring_kernel_submit(ring);
    assert_true(ring_take(ring, &answer));
    assert_int_equal(answer.result, -EACCES);
    ring_close(ring);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_to_mend),
        cmocka_unit_test(takes_ops_there_and_back),
        cmocka_unit_test(a_wait_ends_in_time),
        cmocka_unit_test(does_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
