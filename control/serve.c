#include "control/serve.h"

#include "common/log.h"
#include "common/panic.h"
#include "control/api/api_document.h"
#include "control/api/api_rows.h"
#include "control/base/json_read.h"
#include "control/base/limit.h"
#include "control/base/syscalls.h"
#include "control/base/uuid.h"
#include "control/catch_up.h"
#include "control/db/migrate.h"
#include "control/jobs/kinds.h"
#include "control/jobs/sweep.h"
#include "control/link.h"
#include "control/link/dispatch.h"
#include "control/link/journal.h"
#include "control/link/pool.h"
#include "control/outbound/pacer.h"
#include "control/router.h"
#include "control/service/listen_ticket.h"
#include "control/service/media_link.h"
#include "control/service/service.h"
#include "control/tools/tool_pool.h"
#include "control/webhooks/convoy.h"
#include "control/webhooks/last_known.h"

#include <errno.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>

static struct metrics metrics; /* one for the life of the process */

struct serving {
    struct service service;
    struct edge_config edges;
    struct pool *pool;
    struct dispatch *dispatch;
    const struct job_kind *kinds[JOBS_KINDS_MAX];
    struct kinds_context kinds_context;
    struct job_pool *jobs;
    struct sweep *sweep;
    struct pacer *pacer;
    struct catch_up *catch_up;
    struct tool_pool *tools;
    struct link *link;
    char *api_document;
    char run[UUID_TEXT_BYTES + 1];
    char error[512];
};

static bool fail(struct serving *serving, const char *reason)
{
    snprintf(serving->error, sizeof serving->error, "%s", reason);
    return false;
}

static bool check_url(struct serving *serving, const char *url, const char *name)
{
    if (signature_base_valid(url) && strlen(url) <= SERVICE_URL_BYTES_MAX)
        return true;
    snprintf(serving->error, sizeof serving->error,
             "%s must be a URL of a scheme, a host and perhaps a port and a path, of at most %d "
             "bytes",
             name, SERVICE_URL_BYTES_MAX);
    return false;
}

static bool make_run(struct serving *serving)
{
    uint8_t bytes[UUID_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return fail(serving, "there is no randomness to be had");
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    uuid_write(bytes, serving->run);
    return true;
}

static bool make_keys(struct serving *serving, const struct options *options)
{
    struct ticket_keys *keys = &serving->service.ticket_keys;
    _Static_assert(TICKET_KEY_BYTES == SEAL_KEY_BYTES, "a derived key is a ticket key");
    if (!seal_derive(&options->seal, TICKET_KEY_LABEL, false, keys->current))
        return fail(serving, "RINGBRIDGE_SECRET_KEY is needed: set it to 64 hexadecimal digits, "
                             "for example from: openssl rand -hex 32");
    keys->has_previous = seal_derive(&options->seal, TICKET_KEY_LABEL, true, keys->previous);
    keys = &serving->service.listen_keys;
    if (!seal_derive(&options->seal, LISTEN_KEY_LABEL, false, keys->current))
        return fail(serving, "no key for listeners");
    keys->has_previous = seal_derive(&options->seal, LISTEN_KEY_LABEL, true, keys->previous);
    keys = &serving->service.media_keys;
    if (!seal_derive(&options->seal, MEDIA_LINK_KEY_LABEL, false, keys->current))
        return fail(serving, "no key for links to recordings");
    keys->has_previous = seal_derive(&options->seal, MEDIA_LINK_KEY_LABEL, true, keys->previous);
    return true;
}

static bool open_pool(struct serving *serving, const struct options *options)
{
    struct pool_config config = {
        .workers = options->workers,
        .db = db_config_serving(options->database_serving_url, &metrics.database),
        .metrics = &metrics,
        .answer = router_answer,
        .context = &serving->service};
    if (options->workers < 1 || options->workers > POOL_WORKERS_MAX)
        return fail(serving, "--workers must be from 1 to 256");
    serving->pool = pool_open(&config, serving->error, sizeof serving->error);
    return serving->pool != NULL;
}

/* Its own workers, so that nobody's lists keep a caller waiting. */
static bool open_api(struct serving *serving, const struct options *options)
{
    struct service *service = &serving->service;
    struct pool_config config = {
        .workers = options->api_workers,
        .db = db_config_serving(options->database_serving_url, &metrics.database),
        .metrics = &metrics,
        .answer = router_answer_api,
        .context = service};
    config.db.role = DB_ROLE_API;
    if (config.workers == 0)
        return true;
    if (!api_rows_open(serving->error, sizeof serving->error))
        return false;
    serving->api_document = api_document_make(options->public_url);
    service->api_document = serving->api_document;
    service->api_limit = limit_open();
    if (!service->api_document || !service->api_limit)
        return fail(serving, "no memory for the API");
    service->api_pool = pool_open(&config, serving->error, sizeof serving->error);
    return service->api_pool != NULL;
}

static bool open_dispatch(struct serving *serving, const struct options *options)
{
    struct db_config db = db_config_serving(options->database_serving_url, &metrics.database);
    serving->dispatch = dispatch_open(&db, serving->error, sizeof serving->error);
    return serving->dispatch != NULL;
}

/* Without kinds that it can do, this control leaves jobs to others. */
static bool open_jobs(struct serving *serving, const struct options *options)
{
    serving->kinds_context.options = options;
    struct job_config config = {
        .workers = options->job_workers,
        .kinds = serving->kinds,
        .kinds_count = kinds_choose(options, serving->kinds),
        .run = serving->run,
        .db = db_config_serving(options->database_serving_url, &metrics.database),
        .figures = metrics.jobs,
        .context = &serving->kinds_context,
        .hourly = kinds_hourly};
    if (config.kinds_count == 0)
        return true;
    serving->jobs = job_open(&config, serving->error, sizeof serving->error);
    if (serving->jobs && options->spool_dir)
        serving->sweep = sweep_open(options->spool_dir, &config.db, serving->jobs, serving->error,
                                    sizeof serving->error);
    if (!serving->jobs || (options->spool_dir && !serving->sweep))
        return false;
    if (options->job_workers > 0)
        serving->pacer =
            pacer_open(&config.db, serving->jobs, serving->error, sizeof serving->error);
    return serving->pacer || options->job_workers == 0;
}

/* What is remembered, and kept, for when the database is away. */
static bool open_memory(struct serving *serving, const struct options *options)
{
    struct service *service = &serving->service;
    struct db_config db = db_config_serving(options->database_serving_url, &metrics.database);
    service->last_known = last_known_open();
    service->convoy = convoy_open(&db, CONVOY_PATIENCE_MS, &metrics);
    if (!service->last_known || !service->convoy)
        return fail(serving, "no memory for what was known last");
    if (!options->journal_dir)
        return true;
    service->journal = journal_open(options->journal_dir, serving->error, sizeof serving->error);
    if (!service->journal)
        return false;
    serving->catch_up = catch_up_open(service, &db, serving->error, sizeof serving->error);
    return serving->catch_up != NULL;
}

static void tell_dispatch(void *dispatch)
{
    dispatch_wake(dispatch);
}

static bool open_tools(struct serving *serving, const struct options *options)
{
    const struct tool_pool_config config = {
        .workers = options->tool_workers,
        .options = options,
        .run = serving->run,
        .db = db_config_serving(options->database_serving_url, &metrics.database),
        .told = tell_dispatch,
        .context = serving->dispatch,
        .figures = &metrics.tools};
    if (config.workers == 0)
        return true;
    serving->tools = tool_pool_open(&config, serving->error, sizeof serving->error);
    return serving->tools != NULL;
}

static bool open_link(struct serving *serving, const struct options *options)
{
    serving->edges = (struct edge_config){
        .run = serving->run,
        .pool = serving->pool,
        .metrics = &metrics,
        .db = db_config_serving(options->database_serving_url, &metrics.database),
        .ticket_keys = &serving->service.ticket_keys,
        .journal = serving->service.journal,
        .dispatch = serving->dispatch,
        .tools = serving->tools};
    serving->link =
        link_open(options->socket_path, &serving->edges, serving->error, sizeof serving->error);
    return serving->link != NULL;
}

static bool open_all(struct serving *serving, const struct options *options)
{
    serving->service.options = options;
    serving->service.metrics = &metrics;
    if (!check_url(serving, options->public_url, "PUBLIC_URL") ||
        !check_url(serving, options->websocket_url, "TWILIO_WEBSOCKET_URL") || !make_run(serving) ||
        !make_keys(serving, options))
        return false;
    serving->service.tokens = tokens_open(options, &metrics);
    serving->service.limit = limit_open();
    if (!serving->service.tokens || !serving->service.limit)
        return fail(serving, "no memory for tokens and rates");
    return open_memory(serving, options) && open_api(serving, options) &&
           open_pool(serving, options) && open_dispatch(serving, options) &&
           open_jobs(serving, options) && open_tools(serving, options) &&
           open_link(serving, options);
}

/* Everything is open: from here on only what serving takes. */
static bool shut_doors(struct serving *serving, const struct options *options)
{
    return !options->sandbox ||
           sandbox_close(&syscalls_control, serving->error, sizeof serving->error);
}

/* After the workers that hand on to it. */
static void close_api(struct serving *serving)
{
    if (serving->service.api_pool)
        pool_close(serving->service.api_pool, SERVE_DRAIN_MS);
    limit_close(serving->service.api_limit);
    api_rows_close();
    free(serving->api_document);
}

/* In the order in which nobody is left without what he uses: the link stops reading, the workers
 * finish and answer, then the edges go. */
static void close_all(struct serving *serving)
{
    if (serving->link)
        link_stop(serving->link);
    if (serving->pool)
        pool_close(serving->pool, SERVE_DRAIN_MS);
    close_api(serving);
    if (serving->link)
        link_close(serving->link);
    tool_pool_close(serving->tools);
    dispatch_close(serving->dispatch);
    pacer_close(serving->pacer);
    sweep_close(serving->sweep);
    job_close(serving->jobs);
    catch_up_close(serving->catch_up);
    journal_close(serving->service.journal);
    convoy_close(serving->service.convoy);
    last_known_close(serving->service.last_known);
    if (serving->service.tokens)
        tokens_close(serving->service.tokens);
    limit_close(serving->service.limit);
    explicit_bzero(&serving->service.ticket_keys, sizeof serving->service.ticket_keys);
    explicit_bzero(&serving->service.listen_keys, sizeof serving->service.listen_keys);
    explicit_bzero(&serving->service.media_keys, sizeof serving->service.media_keys);
}

/* Blocked in every thread, so that only this one takes them. */
static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* A schema that is not the program's own is said once, loudly; serving goes on, because a migration
 * may be under way. After the link is open, so that a database that is away delays nobody. */
static void look_at_schema(const struct options *options)
{
    struct db_config config = db_config_serving(options->database_serving_url, &metrics.database);
    struct db *db = db_open(&config);
    int missing = 0;
    enum db_result result = db ? migrate_missing(db, &missing) : DB_AWAY;
    if (result != DB_OK)
        log_error("the database cannot be asked", log_text("result", db_result_name(result)),
                  log_text("error", db ? db_error(db) : NULL));
    else if (missing != 0)
        log_error("the database's schema is not the one of this program",
                  log_number("missing", missing), log_text("mend", "ringbridge-control migrate"));
    db_close(db);
}

int serve_run(const struct options *options)
{
    struct serving serving = {.pool = NULL};
    sigset_t signals;
    int signal_number = 0;
    json_read_open();
    block_signals(&signals);
    bool opened = open_all(&serving, options) && shut_doors(&serving, options);
    if (opened) {
        log_info("control serves", log_text("socket", options->socket_path),
                 log_number("workers", options->workers), log_text("run", serving.run),
                 log_text("public_url", options->public_url));
        look_at_schema(options);
        while (sigwait(&signals, &signal_number) == EINTR)
            continue;
        log_info("control drains", log_number("signal", signal_number));
    } else {
        log_error("control cannot serve", log_text("reason", serving.error));
    }
    close_all(&serving);
    return opened ? 0 : 1;
}
