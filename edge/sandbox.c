#include "edge/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CALL(name)     SCMP_SYS(name)
#define COUNT_OF(list) (sizeof(list) / sizeof(list)[0])

/* By who needs them. A name that this processor's kernel lacks is left out by the library. */
static const int allowed[] = {
    /* the cores: one call per turn, and letters */
    CALL(io_uring_enter), CALL(io_uring_register), CALL(futex), CALL(read), CALL(write),
    CALL(eventfd2), CALL(sched_yield), CALL(sched_setattr), CALL(sched_setaffinity),
    CALL(getpriority), CALL(prctl), CALL(getrandom), CALL(rseq), CALL(set_robust_list),
    /* what has no ring: links to control, metrics, the resolver, sockets to be dialled */
    CALL(connect), CALL(bind), CALL(listen), CALL(accept), CALL(accept4), CALL(shutdown),
    CALL(close), CALL(getsockname), CALL(getpeername), CALL(setsockopt), CALL(getsockopt),
    CALL(sendto), CALL(recvfrom), CALL(sendmsg), CALL(recvmsg), CALL(sendmmsg), CALL(recvmmsg),
    CALL(poll), CALL(ppoll), CALL(ioctl), CALL(fcntl), CALL(writev), CALL(readv),
    /* files: the certificate again, the resolver's configuration, the spool's directories */
    CALL(openat), CALL(open), CALL(access), CALL(faccessat), CALL(faccessat2), CALL(stat),
    CALL(fstat), CALL(lstat), CALL(newfstatat), CALL(statx), CALL(statfs), CALL(fstatfs),
    CALL(lseek), CALL(pread64), CALL(readlink), CALL(readlinkat), CALL(getdents64), CALL(flock),
    CALL(mkdir), CALL(mkdirat), CALL(unlink), CALL(unlinkat), CALL(fsync), CALL(fdatasync),
    /* memory */
    CALL(mmap), CALL(munmap), CALL(mprotect), CALL(mremap), CALL(madvise), CALL(brk),
    /* time, signals, the end */
    CALL(clock_gettime), CALL(clock_nanosleep), CALL(nanosleep), CALL(gettimeofday),
    CALL(restart_syscall), CALL(rt_sigtimedwait), CALL(rt_sigprocmask), CALL(rt_sigaction),
    CALL(rt_sigreturn), CALL(sigaltstack), CALL(getpid), CALL(gettid), CALL(tgkill), CALL(uname),
    CALL(sysinfo), CALL(geteuid) /* whose is that socket, that file? */, CALL(exit),
    CALL(exit_group)};

/* Nothing of ours and no library of ours asks for these. */
static const int deadly[] = {CALL(execve),
                             CALL(execveat),
                             CALL(fork),
                             CALL(vfork),
                             CALL(ptrace),
                             CALL(process_vm_readv),
                             CALL(process_vm_writev),
                             CALL(bpf),
                             CALL(init_module),
                             CALL(finit_module),
                             CALL(mount),
                             CALL(pivot_root),
                             CALL(setns),
                             CALL(unshare)};

static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* 0 or -errno, as all of the library. */
static int add_rules(scmp_filter_ctx filter)
{
    int problem = 0;
    for (size_t i = 0; i < COUNT_OF(allowed) && !problem; i++)
        problem = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < COUNT_OF(deadly) && !problem; i++)
        problem = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0);
    for (size_t i = 0; i < COUNT_OF(families) && !problem; i++)
        problem = seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(socket), 1,
                                   SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    return problem;
}

/* For all threads, refusals to the kernel's log, the call of each turn looked at first. */
static int put_up(scmp_filter_ctx filter)
{
    int problem = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!problem)
        problem = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    if (!problem)
        problem = seccomp_syscall_priority(filter, CALL(io_uring_enter), UINT8_MAX);
    if (!problem)
        problem = add_rules(filter);
    return problem ? problem : seccomp_load(filter);
}

bool sandbox_close(char *error, size_t room)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int problem = filter ? put_up(filter) : -ENOMEM;
    if (filter)
        seccomp_release(filter);
    if (problem)
        snprintf(error, room, "system calls cannot be confined: %s; --sandbox off does without",
                 strerror(-problem));
    return problem == 0;
}
