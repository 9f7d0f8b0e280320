#include "edge/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum key {
    LISTEN,
    LISTEN_TLS,
    CERT,
    KEY,
    ROOTS,
    METRICS,
    CONTROL,
    STREAM_URL,
    SPOOL,
    CORES,
    MAX_CALLS,
    ADDRESS_CONNS,
    ADDRESS_NEWS,
    DRAIN,
    LOG,
    REALTIME,
    SANDBOX,
    CHECK,
    PLAN,
    HELP,
    VERSION,
    KEYS
};

/* Sanitizers make system calls of their own. */
#ifdef RINGBRIDGE_RELEASE
#define SANDBOX_STANDARD "on"
#else
#define SANDBOX_STANDARD "off"
#endif

static const struct {
    const char *flag, *argument, *variable, *standard, *help;
} rows[KEYS] = {
    [LISTEN] =
        {"listen", "ADDR:PORT", "RINGBRIDGE_LISTEN", "0.0.0.0:8080",
         "plain HTTP and WebSocket, for development or behind a TLS proxy; \"off\" for none"},
    [LISTEN_TLS] = {"listen-tls", "ADDR:PORT", "RINGBRIDGE_LISTEN_TLS", "off",
                    "HTTPS and WSS; needs --cert and --key"},
    [CERT] = {"cert", "FILE", "RINGBRIDGE_CERT", "",
              "certificate chain, PEM; read again on SIGHUP"},
    [KEY] = {"key", "FILE", "RINGBRIDGE_KEY", "", "its private key, PEM"},
    [ROOTS] = {"roots", "FILE", "RINGBRIDGE_ROOTS", "",
               "CA certificates that AI servers must chain to (default: the system's)"},
    [METRICS] = {"metrics", "ADDR:PORT", "RINGBRIDGE_METRICS", "127.0.0.1:9464",
                 "/metrics, /healthz, /readyz"},
    [CONTROL] = {"control", "PATH", "RINGBRIDGE_CONTROL", "/run/ringbridge/control.sock",
                 "Unix socket of ringbridge-control"},
    [STREAM_URL] = {"stream-url", "URL", "RINGBRIDGE_STREAM_URL", "",
                    "wss base by which Twilio reaches this very edge, where there are several: a "
                    "full one's calls are sent to another"},
    [SPOOL] = {"spool", "DIR", "RINGBRIDGE_SPOOL", "",
               "private directory for recordings of calls, shared with ringbridge-control; without "
               "it no call is recorded"},
    [CORES] = {"cores", "LIST", "RINGBRIDGE_CORES", "all",
               "processors to pin one thread each to: 0-3,6; \"any:N\" for N threads unpinned"},
    [MAX_CALLS] = {"max-calls", "N", "RINGBRIDGE_MAX_CALLS", "",
                   "calls per core; more are refused at the door (default 4096)"},
    [ADDRESS_CONNS] = {"address-connections", "N", "RINGBRIDGE_ADDRESS_CONNECTIONS", "",
                       "connections per core that one address (of IPv6: one /64) may have open "
                       "(default 12288)"},
    [ADDRESS_NEWS] = {"address-rate", "N", "RINGBRIDGE_ADDRESS_RATE", "",
                      "new connections per core and second from one address (default 2000)"},
    [DRAIN] = {"drain-seconds", "N", "RINGBRIDGE_DRAIN_SECONDS", "300",
               "on SIGTERM: how long running calls may go on"},
    [LOG] = {"log", "text|json", "RINGBRIDGE_LOG", "text", "how a log line looks"},
    [REALTIME] = {"realtime", "on|off", "RINGBRIDGE_REALTIME", "off",
                  "the cores' threads run before all ordinary ones of their processors (SCHED_RR); "
                  "needs LimitRTPRIO=1 or CAP_SYS_NICE"},
    [SANDBOX] = {"sandbox", "on|off", "RINGBRIDGE_SANDBOX", SANDBOX_STANDARD,
                 "once it runs, only the system calls it uses; off for debuggers"},
    [CHECK] = {"check", NULL, NULL, "", "check the configuration and exit"},
    [PLAN] = {"plan", NULL, NULL, "", "print what memory a call takes, and exit"},
    [HELP] = {"help", NULL, NULL, "", "this page"},
    [VERSION] = {"version", NULL, NULL, "", "print the version"},
};

static void help(void)
{
    printf("ringbridge-edge: carries phone calls between Twilio and realtime voice AIs.\n\n"
           "Usage: ringbridge-edge [flags]\n\n");
    for (int key = 0; key < KEYS; key++) {
        char flag[64];
        snprintf(flag, sizeof flag, "--%s%s%s", rows[key].flag, rows[key].argument ? " " : "",
                 rows[key].argument ? rows[key].argument : "");
        printf("  %-24s %s", flag, rows[key].help);
        if (rows[key].standard[0])
            printf(" [%s]", rows[key].standard);
        printf("\n");
        if (rows[key].variable)
            printf("  %-24s   environment: %s\n", "", rows[key].variable);
    }
    printf("\nSignals: SIGTERM, SIGINT drain and exit 0; SIGHUP reads the certificate again.\n"
           "Exit status: 0 done, 1 could not run, 2 wrong usage, 3 stopped\n"
           "while the disk of --spool did not answer.\n");
}

static bool wrong(enum key key, const char *value, const char *mend)
{
    fprintf(stderr, "ringbridge-edge: --%s \"%s\": %s\n", rows[key].flag, value, mend);
    return false;
}

/* "1.2.3.4:80", "[::1]:80", ":80"; "off" and "" give bytes 0. */
static bool read_address(enum key key, const char *text, struct sockaddr_storage *address,
                         socklen_t *bytes)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    *bytes = 0;
    if (strcmp(text, "off") == 0 || !text[0])
        return true;
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || colon[1] == '\0' || *end || port > 65535 || (size_t)(colon - text) >= sizeof host)
        return wrong(key, text, "give it as ADDRESS:PORT, for example 0.0.0.0:8080");
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    size_t length = strlen(host);
    if (length > 2 && host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *bytes = sizeof *v6;
        return inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1 ||
               wrong(key, text, "this is not an IPv6 address");
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    *bytes = sizeof *v4;
    return inet_pton(AF_INET, length ? host : "0.0.0.0", &v4->sin_addr) == 1 ||
           wrong(key, text, "this is not an IPv4 address; host names are not looked up here");
}

static bool read_switch(enum key key, const char *text, bool *on)
{
    *on = strcmp(text, "on") == 0;
    return *on || strcmp(text, "off") == 0 || wrong(key, text, "give on or off");
}

static bool read_number(enum key key, const char *text, unsigned least, unsigned most,
                        unsigned *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (!text[0] || *end || errno || value < least || value > most) {
        char mend[64];
        snprintf(mend, sizeof mend, "give a number from %u to %u", least, most);
        return wrong(key, text, mend);
    }
    *number = (unsigned)value;
    return true;
}

static bool add_core(struct options *options, unsigned long cpu)
{
    if (cpu >= CPU_SETSIZE || options->cores_count >= CORES_MAX)
        return false;
    options->cores[options->cores_count++] = (unsigned)cpu;
    return true;
}

static bool all_cores(struct options *options)
{
    cpu_set_t allowed;
    options->pinned = true;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return false;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE && options->cores_count < CORES_MAX; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            add_core(options, cpu);
    return options->cores_count > 0;
}

static bool read_cores(struct options *options, const char *text)
{
    const char *mend = "give processor numbers such as 0-3,6, or any:N";
    if (strcmp(text, "all") == 0)
        return all_cores(options) || wrong(CORES, text, "the processors cannot be read");
    options->pinned = strncmp(text, "any:", 4) != 0;
    if (!options->pinned)
        return read_number(CORES, text + 4, 1, CORES_MAX, &options->cores_count);
    for (const char *rest = text;;) {
        char *end = NULL;
        unsigned long first = strtoul(rest, &end, 10), last = first;
        if (end == rest)
            return wrong(CORES, text, mend);
        if (*end == '-') {
            rest = end + 1;
            last = strtoul(rest, &end, 10);
            if (end == rest || last < first)
                return wrong(CORES, text, mend);
        }
        for (unsigned long cpu = first; cpu <= last; cpu++)
            if (!add_core(options, cpu))
                return wrong(CORES, text, mend);
        if (*end == '\0')
            return true;
        if (*end != ',')
            return wrong(CORES, text, mend);
        rest = end + 1;
    }
}

/* What fits together, beyond each flag by itself. */
static bool cohere(const struct options *options)
{
    if (!options->listen_bytes && !options->listen_tls_bytes)
        return wrong(LISTEN, options->listen,
                     "nothing to listen on: give --listen or --listen-tls");
    if (options->listen_tls_bytes && (!options->certificate[0] || !options->key[0]))
        return wrong(LISTEN_TLS, options->listen_tls, "TLS needs --cert and --key");
    if (strlen(options->control) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return wrong(CONTROL, options->control, "a socket's path has at most 107 bytes");
    return true;
}

/* It stands in JSON and in TwiML: a URL and nothing that would have to be escaped there. */
static bool read_stream_url(struct options *options, const char *text)
{
    bool plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-._~:/[]@") == strlen(text);
    bool url = strncmp(text, "wss://", 6) == 0 || strncmp(text, "ws://", 5) == 0;
    options->stream_url = text;
    if (!text[0] ||
        (plain && url && strlen(text) <= STREAM_URL_BYTES_MAX && text[strlen(text) - 1] != '/'))
        return true;
    return wrong(STREAM_URL, text, "give it as wss://HOST[:PORT], without a slash at its end");
}

static bool understand(struct options *options, const char *const values[KEYS])
{
    options->listen = values[LISTEN];
    options->listen_tls = values[LISTEN_TLS];
    options->certificate = values[CERT];
    options->key = values[KEY];
    options->roots = values[ROOTS];
    options->metrics = values[METRICS];
    options->control = values[CONTROL];
    options->spool = values[SPOOL];
    options->calls_max = CALLS_PER_CORE;
    options->address_conns_max = ADDRESS_CONNS_MAX;
    options->address_news_max = ADDRESS_NEWS_MAX;
    options->log_format = strcmp(values[LOG], "json") == 0 ? LOG_JSON : LOG_TEXT;
    if (strcmp(values[LOG], "json") != 0 && strcmp(values[LOG], "text") != 0)
        return wrong(LOG, values[LOG], "give text or json");
    return read_switch(SANDBOX, values[SANDBOX], &options->sandbox) &&
           read_switch(REALTIME, values[REALTIME], &options->realtime) &&
           read_address(LISTEN, options->listen, &options->listen_address,
                        &options->listen_bytes) &&
           read_address(LISTEN_TLS, options->listen_tls, &options->listen_tls_address,
                        &options->listen_tls_bytes) &&
           read_stream_url(options, values[STREAM_URL]) && read_cores(options, values[CORES]) &&
           (!values[MAX_CALLS][0] ||
            read_number(MAX_CALLS, values[MAX_CALLS], 1, CONNS_MAX / 2, &options->calls_max)) &&
           (!values[ADDRESS_CONNS][0] || read_number(ADDRESS_CONNS, values[ADDRESS_CONNS], 1,
                                                     CONNS_MAX, &options->address_conns_max)) &&
           (!values[ADDRESS_NEWS][0] || read_number(ADDRESS_NEWS, values[ADDRESS_NEWS], 1, 1000000,
                                                    &options->address_news_max)) &&
           read_number(DRAIN, values[DRAIN], 0, 86400, &options->drain_s) && cohere(options);
}

enum options_result options_read(struct options *options, int argc, char **argv)
{
    struct option flags[KEYS + 1] = {{0}};
    const char *values[KEYS];
    for (int key = 0; key < KEYS; key++) {
        flags[key] = (struct option){
            rows[key].flag, rows[key].argument ? required_argument : no_argument, NULL, key + 1};
        const char *variable = rows[key].variable ? getenv(rows[key].variable) : NULL;
        values[key] = variable ? variable : rows[key].standard;
    }
    memset(options, 0, sizeof *options);
    for (int found; (found = getopt_long(argc, argv, "", flags, NULL)) != -1;) {
        if (found < 1 || found > KEYS) {
            fprintf(stderr, "Try: ringbridge-edge --help\n");
            return OPTIONS_WRONG;
        }
        values[found - 1] = rows[found - 1].argument ? optarg : "yes";
    }
    if (optind < argc) {
        fprintf(stderr, "ringbridge-edge: \"%s\" is not a flag. Try: ringbridge-edge --help\n",
                argv[optind]);
        return OPTIONS_WRONG;
    }
    if (values[HELP][0]) {
        help();
        return OPTIONS_DONE;
    }
    if (values[VERSION][0]) {
        printf("ringbridge-edge %s\n", RINGBRIDGE_VERSION);
        return OPTIONS_DONE;
    }
    options->check = values[CHECK][0];
    options->plan = values[PLAN][0];
    return understand(options, values) ? OPTIONS_RUN : OPTIONS_WRONG;
}
