/* The hot path takes no memory and calls the kernel through the ring alone.
 *
 * A child process plays ball with itself over eight connections, both roles, messages from a
 * carrier's 400 bytes to more than a receive buffer. When it is warm it forbids itself every system
 * call but io_uring_enter and counts what malloc is asked for, in all libraries.
 * With TLS one thing remains: BoringSSL's SSL_read and SSL_write take a buffer from malloc for each
 * record, by name and not through its own hook, and give it back before they return. The test holds
 * it to exactly that. */
#include "edge/io/conn.h"
#include "tests/io/stage.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WARM_MESSAGES 4000
#define HOT_MESSAGES  20000
#define PAIRS         4

struct finding {
    unsigned messages, allocations, turns;
    int forbidden_call;
    bool complete;
};

static struct finding *finding; /* shared with the child */
static unsigned allocations;

/* ---- counting ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
int __sanitizer_install_malloc_and_free_hooks(void (*took)(const volatile void *, size_t),
                                              void (*gave)(const volatile void *));

static void count_malloc(const volatile void *memory, size_t bytes)
{
    (void)memory, (void)bytes;
    allocations++;
}

static void count_free(const volatile void *memory)
{
    (void)memory;
}

#define ALLOCATOR_IS_QUIET false /* the sanitizer's maps memory whenever it likes */

static void count_allocations(void)
{
    assert_int_not_equal(__sanitizer_install_malloc_and_free_hooks(count_malloc, count_free), 0);
}
#else
/* Symbols of the program come before those of the C library, for all libraries. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    allocations++;
    return __libc_realloc(memory, bytes);
}

#define ALLOCATOR_IS_QUIET true

static void count_allocations(void)
{
}
#endif

static void note_call(int signal, siginfo_t *information, void *context)
{
    (void)signal, (void)context;
    finding->forbidden_call = information->si_syscall;
    _exit(1);
}

static void forbid_calls(void)
{
    struct sigaction action = {.sa_sigaction = note_call, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_enter, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(2);
}

/* ---- the ball ---- */

static const char *path(const char *directory, const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *made = paths[next++ % 4];
    snprintf(made, sizeof paths[0], "%s/%s", directory, name);
    return made;
}

static void play(const char *directory, bool tls)
{
    static const size_t sizes[PAIRS] = {400, 1400, 9000, 15000}; /* one TLS record each */
    static uint8_t ball[20000];
    static struct stage stage;
    char error[256] = "";
    struct tls_server *server = tls_server_open(path(directory, "good.pem"),
                                                path(directory, "good.key"), error, sizeof error);
    struct tls_client *client =
        tls_client_open(path(directory, "authority.pem"), error, sizeof error);
    memset(ball, 'x', sizeof ball);
    stage_open(&stage, (struct io_config){.tls_server = server, .tls_client = client}, tls);
    for (unsigned i = 0; i < PAIRS; i++) {
        struct dial dial = stage_dial(stage.port, tls, "/ws");
        struct conn *conn = conn_dial(stage.io, &dial);
        stage_until(&stage, stage.opens == i + 1);
        if (!conn || !conn_send_text(stage.io, conn, span_from(ball, sizes[i])))
            _exit(3);
    }
    while (stage.messages < WARM_MESSAGES)
        stage_turn(&stage, 5);
    if (!tls || ALLOCATOR_IS_QUIET)
        forbid_calls();
    unsigned messages = stage.messages, before = allocations;
    while (stage.messages < messages + HOT_MESSAGES) {
        stage_turn(&stage, 5);
        finding->turns++;
    }
    finding->allocations = allocations - before;
    finding->messages = stage.messages - messages;
    finding->complete = stage.ends == 0;
    syscall(__NR_exit_group, 0); /* past the sanitizers, which have calls of their own to make */
    __builtin_unreachable();
}

static void find_out(bool tls)
{
    char directory[] = "/tmp/hot_test.XXXXXX", command[256];
    int status;
    assert_non_null(mkdtemp(directory));
    snprintf(command, sizeof command, "tests/io/make_certificates.sh %s", directory);
    assert_int_equal(system(command), 0);
    finding =
        mmap(NULL, sizeof *finding, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) {
        count_allocations();
        play(directory, tls);
    }
    waitpid(child, &status, 0);
    snprintf(command, sizeof command, "rm -r %s", directory);
    assert_int_equal(system(command), 0);
    print_message("%s: %u messages in %u turns, %u allocations, forbidden system call: %d\n",
                  tls ? "TLS" : "plain", finding->messages, finding->turns, finding->allocations,
                  finding->forbidden_call);
    assert_int_equal(finding->forbidden_call, 0);
    assert_true(finding->complete && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(finding->messages >= HOT_MESSAGES);
}

static void takes_no_memory_and_calls_the_ring_alone(void **state)
{
    (void)state;
    find_out(false);
    assert_int_equal(finding->allocations, 0);
}

static void with_tls_nothing_but_a_buffer_per_record(void **state)
{
    (void)state;
    find_out(true);
    assert_true(finding->allocations <= 2 * finding->messages + 2 * PAIRS); /* sealed and opened */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_no_memory_and_calls_the_ring_alone),
        cmocka_unit_test(with_tls_nothing_but_a_buffer_per_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
