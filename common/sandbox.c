#include "common/sandbox.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

/* What both need, by what for. */
static const char *const shared[] = {
    /* threads and letters between them */
    "futex", "read", "write", "sched_yield", "getpriority", "prctl", "getrandom", "rseq",
    "set_robust_list",
    /* links between the two, what others are asked, the resolver */
    "connect", "bind", "listen", "accept", "accept4", "shutdown", "close", "getsockname",
    "getpeername", "setsockopt", "getsockopt", "sendto", "recvfrom", "sendmsg", "recvmsg",
    "sendmmsg", "recvmmsg", "poll", "ppoll", "ioctl", "fcntl", "writev", "readv", "eventfd2",
    /* files: certificates, the resolver's configuration, the spool */
    "openat", "open", "access", "faccessat", "faccessat2", "stat", "fstat", "lstat", "newfstatat",
    "statx", "statfs", "fstatfs", "lseek", "pread64", "readlink", "readlinkat", "getdents64",
    "flock", "mkdir", "mkdirat", "unlink", "unlinkat", "fsync", "fdatasync",
    /* memory */
    "mmap", "munmap", "mprotect", "mremap", "madvise", "brk",
    /* time, signals, the end */
    "clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "restart_syscall",
    "rt_sigtimedwait", "rt_sigprocmask", "rt_sigaction", "rt_sigreturn", "sigaltstack", "getpid",
    "gettid", "tgkill", "uname", "sysinfo", "geteuid" /* whose is that socket, that file? */,
    "exit", "exit_group"};

/* Nothing of ours and no library of ours asks for these. */
static const char *const deadly[] = {"execve",
                                     "execveat",
                                     "fork",
                                     "vfork",
                                     "ptrace",
                                     "process_vm_readv",
                                     "process_vm_writev",
                                     "pidfd_getfd",
                                     "bpf",
                                     "perf_event_open",
                                     "userfaultfd",
                                     "init_module",
                                     "finit_module",
                                     "delete_module",
                                     "kexec_load",
                                     "kexec_file_load",
                                     "mount",
                                     "umount2",
                                     "move_mount",
                                     "open_tree",
                                     "fsopen",
                                     "pivot_root",
                                     "chroot",
                                     "setns",
                                     "unshare",
                                     "setuid",
                                     "setgid",
                                     "setreuid",
                                     "setregid",
                                     "setresuid",
                                     "setresgid",
                                     "setgroups",
                                     "setfsuid",
                                     "setfsgid",
                                     "capset",
                                     "open_by_handle_at"};

static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* 0 or -errno, as all of the library. */
static int add_rule(scmp_filter_ctx filter, uint32_t action, const char *name)
{
    int call = seccomp_syscall_resolve_name(name);
    return call == __NR_SCMP_ERROR ? -ENOSYS : seccomp_rule_add(filter, action, call, 0);
}

static int add_rules(scmp_filter_ctx filter, uint32_t action, const char *const *names,
                     size_t count)
{
    int problem = 0;
    for (size_t i = 0; i < count && !problem; i++)
        problem = add_rule(filter, action, names[i]);
    return problem;
}

/* By the call's first argument, as far as mask looks at it. */
static int add_rule_for(scmp_filter_ctx filter, uint32_t action, int call, uint64_t mask,
                        uint64_t value)
{
    const struct scmp_arg_cmp first = {
        .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
    return seccomp_rule_add_array(filter, action, call, 1, &first);
}

static int add_families(scmp_filter_ctx filter)
{
    int problem = 0;
    for (size_t i = 0; i < COUNT_OF(families) && !problem; i++)
        problem = add_rule_for(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), UINT32_MAX,
                               (uint64_t)families[i]);
    return problem;
}

/* Another process is an intruder's, whoever asks. clone3 hides its flags where no filter looks, so
 * there seems to be none, and the C library takes clone. */
static int add_clone(scmp_filter_ctx filter, bool threads)
{
    int problem = add_rule_for(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), CLONE_THREAD, 0);
    if (!problem)
        problem = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (!problem && threads)
        problem = add_rule_for(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), CLONE_THREAD, CLONE_THREAD);
    return problem;
}

/* For all threads, refusals to the kernel's log. */
static int put_up(scmp_filter_ctx filter, const struct sandbox_needs *needs)
{
    int problem = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!problem)
        problem = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (!problem && needs->first)
        problem =
            seccomp_syscall_priority(filter, seccomp_syscall_resolve_name(needs->first), UINT8_MAX);
    if (!problem)
        problem = add_rules(filter, SCMP_ACT_ALLOW, shared, COUNT_OF(shared));
    if (!problem)
        problem = add_rules(filter, SCMP_ACT_ALLOW, needs->calls, needs->count);
    if (!problem)
        problem = add_rules(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT_OF(deadly));
    if (!problem)
        problem = add_families(filter);
    if (!problem)
        problem = add_clone(filter, needs->threads);
    return problem ? problem : seccomp_load(filter);
}

bool sandbox_close(const struct sandbox_needs *needs, char *error, size_t room)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int problem = filter ? put_up(filter, needs) : -ENOMEM;
    if (filter)
        seccomp_release(filter);
    if (problem)
        snprintf(error, room, "system calls cannot be confined: %s; --sandbox off does without",
                 strerror(-problem));
    return problem == 0;
}
