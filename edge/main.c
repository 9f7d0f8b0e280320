/* The edge boots in order: options, secrets out of reach, TLS, cores, link, listeners; then waits
 * for signals and drains. No other logic. */
#include "common/confine.h"
#include "common/log.h"
#include "common/panic.h"
#include "common/sandbox.h"
#include "edge/core.h"
#include "edge/io/file.h"
#include "edge/memory.h"
#include "edge/options.h"
#include "edge/report/expose.h"
#include "edge/report/flight.h"
#include "edge/syscalls.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LINK_FLUSH_MS 3000
#define EXIT_DISK     3 /* see --help */

static struct edge {
    struct options options;
    struct tls_server *tls_server;
    struct tls_client *tls_client;
    struct resolve *resolve;
    struct link *link;
    struct expose *expose;
    struct mail *inboxes[CORES_MAX];
    struct core *cores[CORES_MAX];
    struct metrics metrics[CORES_MAX];
    struct flight flights[CORES_MAX];
    int spool; /* descriptor of the directory; -1: none */
    bool draining;
} edge;

static bool fail(const char *error)
{
    fprintf(stderr, "ringbridge-edge: %s\n", error);
    return false;
}

static void settle_in(void)
{
    struct rlimit files;
    confine_process();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a recording that may not grow says so by itself */
}

static bool open_spool(void)
{
    char error[256];
    edge.spool = -1;
    if (!edge.options.spool[0])
        return true;
    edge.spool = file_directory(edge.options.spool, error, sizeof error);
    return edge.spool >= 0 || fail(error);
}

static bool open_tls(void)
{
    char error[256];
    const struct options *options = &edge.options;
    edge.tls_client =
        tls_client_open(options->roots[0] ? options->roots : NULL, error, sizeof error);
    if (!edge.tls_client)
        return fail(error);
    if (!options->listen_tls_bytes)
        return true;
    edge.tls_server = tls_server_open(options->certificate, options->key, error, sizeof error);
    return edge.tls_server || fail(error);
}

static bool open_cores(void)
{
    char error[256];
    const struct options *options = &edge.options;
    edge.resolve = resolve_open();
    if (!edge.resolve)
        return fail("the resolver's thread could not be started");
    for (unsigned i = 0; i < options->cores_count; i++)
        if (!(edge.inboxes[i] = mail_open(INBOX_LETTERS)))
            return fail("out of memory for inboxes");
    for (unsigned i = 0; i < options->cores_count; i++) {
        struct core_config config = {
            .index = i,
            .cores_count = options->cores_count,
            .cpu = options->pinned ? (int)options->cores[i] : -1,
            .realtime = options->realtime,
            .calls_max = options->calls_max,
            .io = {.address_conns_max = options->address_conns_max,
                   .address_news_max = options->address_news_max},
            .listen = options->listen_address,
            .listen_bytes = options->listen_bytes,
            .listen_tls = options->listen_tls_address,
            .listen_tls_bytes = options->listen_tls_bytes,
            .tls_server = edge.tls_server,
            .tls_client = edge.tls_client,
            .resolve = edge.resolve,
            .inboxes = edge.inboxes,
            .metrics = &edge.metrics[i],
            .flight = &edge.flights[i],
        };
        if (edge.spool >= 0)
            config.spools =
                (struct spools_config){.on = true, .directory = edge.spool, .files_max = FILES_MAX};
        flight_open(&edge.flights[i], i);
        if (!(edge.cores[i] = core_open(&config, error, sizeof error)))
            return fail(error);
    }
    return true;
}

static bool open_reports(void)
{
    char error[256];
    struct link_config link = {.path = edge.options.control,
                               .cores_count = edge.options.cores_count};
    struct expose_config expose = {.address = edge.options.metrics,
                                   .cores_count = edge.options.cores_count,
                                   .guard = true,
                                   .draining = &edge.draining};
    static const struct metrics *cores[CORES_MAX];
    for (unsigned i = 0; i < edge.options.cores_count; i++)
        cores[i] = &edge.metrics[i];
    link.facts = (struct link_facts){.stream_url = edge.options.stream_url,
                                     .calls_max = edge.options.calls_max * edge.options.cores_count,
                                     .records = edge.spool >= 0,
                                     .draining = &edge.draining,
                                     .cores = cores};
    memcpy(link.inboxes, edge.inboxes, sizeof link.inboxes);
    if (!(edge.link = link_open(&link, error, sizeof error)))
        return fail(error);
    for (unsigned i = 0; i < edge.options.cores_count; i++)
        expose.metrics[i] = &edge.metrics[i];
    expose.link = edge.link;
    edge.expose = expose_open(&expose, error, sizeof error);
    return edge.expose || fail(error);
}

static bool start_cores(void)
{
    char error[256];
    for (unsigned i = 0; i < edge.options.cores_count; i++)
        if (!core_start(edge.cores[i], edge.link, error, sizeof error))
            return fail(error);
    return true;
}

/* Everything is open and every thread runs: from here on only what they go on doing. */
static bool shut_doors(void)
{
    char error[256];
    return !edge.options.sandbox || sandbox_close(&syscalls_edge, error, sizeof error) ||
           fail(error);
}

static void reload(void)
{
    char error[256];
    if (!edge.tls_server)
        return;
    if (tls_server_reload(edge.tls_server, error, sizeof error))
        log_info("certificate reloaded", log_text("file", edge.options.certificate));
    else
        log_error("certificate not reloaded, the old one stays", log_text("error", error));
}

static void wait_for_the_end(const sigset_t *signals)
{
    for (;;) {
        int number = sigwaitinfo(signals, NULL);
        if (number == SIGHUP)
            reload();
        else if (number == SIGTERM || number == SIGINT)
            return;
    }
}

/* A second SIGTERM or SIGINT ends the patience. False: a core's disk does not answer. */
static bool drain(const sigset_t *signals)
{
    unsigned count = edge.options.cores_count;
    struct timespec at_once = {0};
    log_info("draining", log_number("seconds", edge.options.drain_s));
    __atomic_store_n(&edge.draining, true, __ATOMIC_RELEASE);
    while (sigtimedwait(signals, NULL, &at_once) > 0)
        ;
    for (unsigned i = 0; i < count; i++)
        core_drain(edge.cores[i], edge.options.drain_s * 1000);
    bool finished = true;
    for (unsigned i = 0; i < count; i++)
        finished &= core_join(edge.cores[i]);
    return finished;
}

/* Control still gets its events; all else is left as it is, because the disk may yet read it. */
__attribute__((noreturn)) static void leave(void)
{
    expose_close(edge.expose);
    link_close(edge.link, LINK_FLUSH_MS);
    log_error(
        "stopped without the spool's disk, which does not answer: mend or unmount it (see dmesg); "
        "until then the kernel may keep this process as a zombie",
        log_text("spool", edge.options.spool), log_number("exit", EXIT_DISK));
    _exit(EXIT_DISK);
}

static void close_all(void)
{
    unsigned count = edge.options.cores_count;
    expose_close(edge.expose);
    if (edge.link)
        link_close(edge.link, LINK_FLUSH_MS);
    for (unsigned i = 0; i < count; i++)
        core_close(edge.cores[i]);
    resolve_close(edge.resolve);
    for (unsigned i = 0; i < count; i++)
        mail_close(edge.inboxes[i]);
    tls_server_close(edge.tls_server);
    tls_client_close(edge.tls_client);
}

int main(int argc, char **argv)
{
    sigset_t signals;
    switch (options_read(&edge.options, argc, argv)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_WRONG:
        return 2;
    case OPTIONS_RUN:
        break;
    }
    if (edge.options.plan) {
        memory_print_plan();
        return EXIT_SUCCESS;
    }
    log_open("ringbridge-edge", edge.options.log_format, LOG_INFO);
    settle_in();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* threads inherit it: only main takes signals */
    bool open = open_tls() && open_spool() && open_cores();
    if (open && edge.options.check) {
        printf("ringbridge-edge: the configuration is good\n");
        close_all();
        return EXIT_SUCCESS;
    }
    open = open && open_reports() && start_cores() && shut_doors();
    if (!open)
        return EXIT_FAILURE;
    log_info("ready", log_text("listen", edge.options.listen),
             log_text("listen_tls", edge.options.listen_tls),
             log_text("metrics", edge.options.metrics),
             log_number("cores", edge.options.cores_count));
    wait_for_the_end(&signals);
    if (!drain(&signals))
        leave();
    close_all();
    log_info("stopped", log_number("exit", 0));
    return EXIT_SUCCESS;
}
