/* bench_webhooks: so many signed incoming-call webhooks in a second, and how long each took.
 * Usage: --help.
 *
 * Open loop: a webhook is due at its moment whether or not the last one was answered, and its time
 * counts from then, so that a server that falls behind cannot hide it. With --rate 0 every
 * connection asks again as soon as it has its answer: what is possible at most. All requests are
 * written and signed before the clock starts, so the generator costs little beside what it
 * measures. With --ai-port it also plays an AI that takes calls and stays silent, so that prepared
 * calls stand for as long as this runs. Bounds: REQUESTS_MAX, CONNECTIONS_MAX, ANSWER_BYTES_MAX;
 * ends by itself. */
#include "bench/load/histogram.h"
#include "bench/load/usage.h"
#include "common/clock.h"
#include "common/panic.h"
#include "tests/practice/carrier_sign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS                1000000000ull
#define REQUESTS_MAX      200000u
#define CONNECTIONS_MAX   1024u
#define REQUEST_BYTES_MAX 4096
#define ANSWER_BYTES_MAX  32768
#define PATIENCE_NS       (15 * NS) /* what a carrier would wait for an answer */

struct options {
    const char *public_url, *path, *account_sid, *to, *expect, *json, *label;
    uint16_t port, ai_port;
    double rate, seconds, warm_seconds;
    unsigned connections;
};

struct request {
    char *text;
    size_t bytes;
};

struct connection {
    int fd;
    bool busy;
    unsigned index; /* of the request under way */
    uint64_t due_ns;
    size_t sent, received;
    char answer[ANSWER_BYTES_MAX + 1];
};

struct bench {
    struct options options;
    struct request *requests;
    unsigned prepared, total, warm, next, done;
    unsigned wrong, soft, broken; /* other answers; "one moment"; connections lost */
    uint64_t begin_ns, end_ns, own_begin_ns;
    struct histogram took, late;
    int epoll;
    struct connection *connections;
    int listener, *callers; /* the AI's */
    unsigned callers_count;
};

/* ---- what is asked ---- */

static void fill(const struct options *options, unsigned index, struct carrier_form *form)
{
    char sid[40], from[20];
    snprintf(sid, sizeof sid, "CA%08x%08x%016llx", (unsigned)getpid(), index,
             (unsigned long long)clock_wall_ms());
    snprintf(from, sizeof from, "+1555%07u", 2000000 + index % 1000000);
    carrier_form_begin(form);
    carrier_form_add(form, "AccountSid", options->account_sid);
    carrier_form_add(form, "ApiVersion", "2010-04-01");
    carrier_form_add(form, "CallSid", sid);
    carrier_form_add(form, "CallStatus", "ringing");
    carrier_form_add(form, "Called", options->to);
    carrier_form_add(form, "CalledCity", NULL);
    carrier_form_add(form, "CalledCountry", "US");
    carrier_form_add(form, "Caller", from);
    carrier_form_add(form, "CallerCity", "SAN FRANCISCO");
    carrier_form_add(form, "CallerCountry", "US");
    carrier_form_add(form, "Direction", "inbound");
    carrier_form_add(form, "From", from);
    carrier_form_add(form, "FromCity", "SAN FRANCISCO");
    carrier_form_add(form, "FromCountry", "US");
    carrier_form_add(form, "StirVerstat", "TN-Validation-Passed-A");
    carrier_form_add(form, "To", options->to);
    carrier_form_add(form, "ToCity", NULL);
    carrier_form_add(form, "ToCountry", "US");
}

static void write_request(const struct options *options, const char *token, unsigned index,
                          struct request *request)
{
    static struct carrier_form form;
    static char body[3 * CARRIER_FORM_BYTES_MAX];
    char url[1024], signature[CARRIER_SIGNATURE_ROOM];
    fill(options, index, &form);
    size_t bytes = carrier_form_write(&form, body, sizeof body);
    snprintf(url, sizeof url, "%s%s", options->public_url, options->path);
    carrier_sign(token, url, &form, signature);
    request->text = malloc(REQUEST_BYTES_MAX);
    assert(request->text);
    int length = snprintf(request->text, REQUEST_BYTES_MAX,
                          "POST %s HTTP/1.1\r\nHost: bench.example.com\r\nUser-Agent: "
                          "TwilioProxy/1.1\r\nAccept: */*\r\nX-Twilio-Signature: %s\r\n"
                          "I-Twilio-Idempotency-Token: %08x-0000-4000-8000-%012x\r\nContent-Type: "
                          "application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: "
                          "%zu\r\n\r\n%s",
                          options->path, signature, (unsigned)getpid(), index, bytes, body);
    assert(length > 0 && length < REQUEST_BYTES_MAX);
    request->bytes = (size_t)length;
}

/* ---- one connection ---- */

static void dial(struct bench *bench, struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(bench->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connection->busy = false;
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "bench_webhooks: cannot connect: %s\n", strerror(errno));
        exit(1);
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    epoll_ctl(bench->epoll, EPOLL_CTL_ADD, connection->fd, &event);
}

static void finish(struct bench *bench, struct connection *connection, bool answered)
{
    uint64_t now_ns = clock_monotonic_ns();
    bool counts = connection->index >= bench->warm;
    const char *body = answered ? strstr(connection->answer, "\r\n\r\n") : NULL;
    connection->busy = false;
    bench->done++;
    bench->end_ns = now_ns;
    if (counts && !answered)
        bench->broken++;
    else if (counts && !strstr(body, bench->options.expect))
        *(strstr(body, "One moment") ? &bench->soft : &bench->wrong) += 1;
    if (counts)
        histogram_add(&bench->took, now_ns - connection->due_ns);
}

static void reconnect(struct bench *bench, struct connection *connection)
{
    close(connection->fd);
    if (connection->busy)
        finish(bench, connection, false);
    dial(bench, connection);
}

/* A request fits a socket's buffer, so it goes out whole. */
static void ask(struct bench *bench, struct connection *connection, uint64_t due_ns)
{
    const struct request *request = &bench->requests[bench->next];
    connection->index = bench->next++;
    connection->busy = true;
    connection->due_ns = due_ns;
    connection->received = 0;
    if (send(connection->fd, request->text, request->bytes, MSG_NOSIGNAL) !=
        (ssize_t)request->bytes)
        reconnect(bench, connection);
}

/* Head and body as Content-Length says. */
static bool whole(const struct connection *connection)
{
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "content-length:");
    if (!end)
        return false;
    size_t body =
        length && length < end ? strtoul(length + strlen("content-length:"), NULL, 10) : 0;
    return connection->received >= (size_t)(end + 4 - connection->answer) + body;
}

static void take(struct bench *bench, struct connection *connection)
{
    ssize_t got = recv(connection->fd, connection->answer + connection->received,
                       ANSWER_BYTES_MAX - connection->received, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        reconnect(bench, connection);
        return;
    }
    connection->received += (size_t)got;
    connection->answer[connection->received] = '\0';
    if (connection->busy && whole(connection))
        finish(bench, connection, true);
}

/* ---- the AI ---- */

static void listen_as_ai(struct bench *bench)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(bench->options.ai_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    bench->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(bench->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bench->listener < 0 ||
        bind(bench->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(bench->listener, 4096) != 0) {
        fprintf(stderr, "bench_webhooks: cannot listen as the AI: %s\n", strerror(errno));
        exit(1);
    }
    epoll_ctl(bench->epoll, EPOLL_CTL_ADD, bench->listener, &event);
}

static void take_callers(struct bench *bench)
{
    while (bench->callers_count < bench->total) {
        int caller = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC);
        if (caller < 0)
            return;
        bench->callers[bench->callers_count++] = caller;
    }
}

/* ---- the clock ---- */

static uint64_t due_of(const struct bench *bench, unsigned index)
{
    return bench->begin_ns + (uint64_t)((double)index / bench->options.rate * 1e9);
}

static struct connection *find_free(struct bench *bench)
{
    for (unsigned i = 0; i < bench->options.connections; i++)
        if (!bench->connections[i].busy)
            return &bench->connections[i];
    return NULL;
}

/* Asks what is due; returns how long nothing will be. */
static uint64_t ask_due(struct bench *bench)
{
    bool open_loop = bench->options.rate > 0;
    while (bench->next < bench->total) {
        struct connection *connection = find_free(bench);
        uint64_t now_ns = clock_monotonic_ns();
        if (!open_loop && (double)(now_ns - bench->begin_ns) / 1e9 > bench->options.seconds) {
            bench->total = bench->next; /* the time is up */
            break;
        }
        uint64_t due_ns = open_loop ? due_of(bench, bench->next) : now_ns;
        if (due_ns > now_ns)
            return due_ns - now_ns;
        if (!connection)
            break; /* it waits, and its time runs */
        if (open_loop && bench->next >= bench->warm)
            histogram_add(&bench->late, now_ns - due_ns);
        ask(bench, connection, due_ns);
    }
    return NS;
}

static bool run(struct bench *bench)
{
    struct epoll_event events[64];
    uint64_t moved_ns = bench->begin_ns = clock_monotonic_ns();
    while (bench->done < bench->total) {
        uint64_t rest_ns = ask_due(bench);
        struct timespec rest = {.tv_sec = (time_t)(rest_ns / NS), .tv_nsec = (long)(rest_ns % NS)};
        int count = epoll_pwait2(bench->epoll, events, 64, &rest, NULL);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                take(bench, events[i].data.ptr);
            else
                take_callers(bench);
        uint64_t now_ns = clock_monotonic_ns();
        if (count > 0)
            moved_ns = now_ns;
        if (now_ns - moved_ns > PATIENCE_NS + NS)
            return false; /* nobody answers any more */
    }
    return true;
}

/* ---- report ---- */

static double seconds_measured(const struct bench *bench)
{
    uint64_t from_ns =
        bench->options.rate > 0 ? due_of(bench, bench->warm) : bench->begin_ns; /* no warm then */
    return (double)(bench->end_ns - from_ns) / 1e9;
}

static void report(const struct bench *bench)
{
    unsigned measured = bench->total - bench->warm;
    double seconds = seconds_measured(bench);
    json_t *json = json_pack(
        "{s:s, s:f, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:i, s:i, s:i, s:f, s:f}", "label",
        bench->options.label, "wanted_per_second", bench->options.rate, "asked", (int)measured,
        "connections", (int)bench->options.connections, "per_second", measured / seconds, "p50_ms",
        histogram_us(&bench->took, 0.5) / 1000, "p99_ms", histogram_us(&bench->took, 0.99) / 1000,
        "p999_ms", histogram_us(&bench->took, 0.999) / 1000, "max_ms",
        histogram_max_us(&bench->took) / 1000, "soft", (int)bench->soft, "wrong", (int)bench->wrong,
        "broken", (int)bench->broken, "own_late_p99_ms", histogram_us(&bench->late, 0.99) / 1000,
        "own_us_per_webhook", (double)(usage_own_ns() - bench->own_begin_ns) / 1000 / bench->total);
    assert(json);
    if (!bench->options.json || json_dump_file(json, bench->options.json, JSON_INDENT(1)) != 0)
        json_dumpf(json, stdout, JSON_INDENT(1));
    json_decref(json);
}

/* ---- setting up ---- */

static int print_help(void)
{
    printf("bench_webhooks --port PORT --public-url URL --account-sid AC.. --to NUMBER [options]\n"
           "  the token comes from TWILIO_AUTH_TOKEN\n"
           "  --path PATH       (/api/twilio/incoming-call)\n"
           "  --rate N          in a second (1000); 0: every connection as fast as it can\n"
           "  --seconds S       measured (10)   --warm S  before that (2)\n"
           "  --connections N   kept alive (64)\n"
           "  --ai-port PORT    be an AI that takes calls and says nothing\n"
           "  --expect TEXT     what a right answer holds (<Connect)\n"
           "  --json FILE       report          --label TEXT\n");
    return 0;
}

static bool read_option(struct options *options, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {{"--public-url", &options->public_url},
                 {"--path", &options->path},
                 {"--account-sid", &options->account_sid},
                 {"--to", &options->to},
                 {"--expect", &options->expect},
                 {"--json", &options->json},
                 {"--label", &options->label}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(name, texts[i].name) == 0) {
            *texts[i].text = value;
            return true;
        }
    if (strcmp(name, "--port") == 0)
        options->port = (uint16_t)atoi(value);
    else if (strcmp(name, "--ai-port") == 0)
        options->ai_port = (uint16_t)atoi(value);
    else if (strcmp(name, "--rate") == 0)
        options->rate = atof(value);
    else if (strcmp(name, "--seconds") == 0)
        options->seconds = atof(value);
    else if (strcmp(name, "--warm") == 0)
        options->warm_seconds = atof(value);
    else if (strcmp(name, "--connections") == 0)
        options->connections = (unsigned)atoi(value);
    else
        return false;
    return true;
}

/* Every caller of the AI has one. */
static void raise_files(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* Without a rate so many are written as nobody reaches in that time. */
static bool set_up(struct bench *bench, const char *token)
{
    const struct options *options = &bench->options;
    double rate = options->rate > 0 ? options->rate : 2000;
    bench->warm = options->rate > 0 ? (unsigned)(rate * options->warm_seconds) : 0;
    bench->total = bench->warm + (unsigned)(rate * options->seconds);
    if (!token || !options->port || !options->public_url || !options->account_sid || !options->to ||
        options->connections == 0 || options->connections > CONNECTIONS_MAX || bench->total == 0 ||
        bench->total > REQUESTS_MAX)
        return false;
    bench->prepared = bench->total;
    bench->requests = calloc(bench->total, sizeof *bench->requests);
    bench->connections = calloc(options->connections, sizeof *bench->connections);
    bench->callers = calloc(bench->total, sizeof *bench->callers);
    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(bench->requests && bench->connections && bench->callers && bench->epoll >= 0);
    if (options->ai_port)
        listen_as_ai(bench);
    for (unsigned i = 0; i < bench->total; i++)
        write_request(options, token, i, &bench->requests[i]);
    for (unsigned i = 0; i < options->connections; i++)
        dial(bench, &bench->connections[i]);
    return true;
}

static void tear_down(struct bench *bench)
{
    for (unsigned i = 0; bench->connections && i < bench->options.connections; i++)
        close(bench->connections[i].fd);
    for (unsigned i = 0; i < bench->callers_count; i++)
        close(bench->callers[i]);
    free(bench->callers);
    for (unsigned i = 0; bench->requests && i < bench->prepared; i++)
        free(bench->requests[i].text);
    free(bench->connections);
    free(bench->requests);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    bench.options = (struct options){.path = "/api/twilio/incoming-call",
                                     .expect = "<Connect",
                                     .label = "",
                                     .rate = 1000,
                                     .seconds = 10,
                                     .warm_seconds = 2,
                                     .connections = 64};
    for (int at = 1; at < argc; at += 2) {
        if (strcmp(argv[at], "--help") == 0)
            return print_help();
        if (at + 1 == argc || !read_option(&bench.options, argv[at], argv[at + 1])) {
            fprintf(stderr, "bench_webhooks: %s; see --help\n", argv[at]);
            return 2;
        }
    }
    prctl(PR_SET_TIMERSLACK, 1ul);
    raise_files();
    if (!set_up(&bench, getenv("TWILIO_AUTH_TOKEN"))) {
        fprintf(stderr, "bench_webhooks: something is missing or out of range; see --help\n");
        return 2;
    }
    bench.own_begin_ns = usage_own_ns();
    bool answered = run(&bench);
    report(&bench);
    tear_down(&bench);
    return answered && bench.wrong == 0 && bench.broken == 0 ? 0 : 1;
}
