#include "bench/load/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool read_text(const char *path, char *text, size_t room)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    size_t bytes = fread(text, 1, room - 1, file);
    text[bytes] = '\0';
    fclose(file);
    return bytes > 0;
}

/* schedstat: "ns-on-cpu ns-waiting slices". */
static bool read_schedstat(pid_t pid, const char *thread, uint64_t *ns)
{
    char path[320], text[128];
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, thread);
    if (!read_text(path, text, sizeof text))
        return false;
    *ns = strtoull(text, NULL, 10);
    return *ns > 0;
}

/* stat: fields 14 and 15 are user and system ticks; the name in field 2 may hold blanks. */
static uint64_t read_ticks_ns(pid_t pid, const char *thread)
{
    char path[320], text[1024];
    unsigned long long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)pid, thread);
    if (!read_text(path, text, sizeof text))
        return 0;
    const char *after = strrchr(text, ')');
    if (!after || sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                         &system) != 2)
        return 0;
    return (user + system) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

bool usage_of(pid_t pid, struct usage *usage)
{
    char path[64], text[256];
    *usage = (struct usage){0};
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads)
        return false;
    struct dirent *thread;
    for (int seen = 0; seen < USAGE_THREADS_MAX && (thread = readdir(threads)); seen++) {
        uint64_t ns;
        if (thread->d_name[0] == '.')
            continue;
        if (!read_schedstat(pid, thread->d_name, &ns))
            ns = read_ticks_ns(pid, thread->d_name);
        usage->cpu_ns += ns;
        usage->busiest_ns = ns > usage->busiest_ns ? ns : usage->busiest_ns;
    }
    closedir(threads);
    unsigned long long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (read_text(path, text, sizeof text) && sscanf(text, "%*u %llu", &pages) == 1)
        usage->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

uint64_t usage_own_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000ull + (uint64_t)time.tv_nsec;
}
