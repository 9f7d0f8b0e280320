/* options: what the edge is told on its command line or in its environment.
 *
 * Every flag has an environment variable; the flag wins. No secret is ever a flag. Thread: boot. */
#ifndef RINGBRIDGE_EDGE_OPTIONS_H
#define RINGBRIDGE_EDGE_OPTIONS_H

#include "common/log.h"
#include "edge/limits.h"

#include <stdbool.h>
#include <sys/socket.h>

struct options {
    const char *listen, *listen_tls; /* "" : no such listener */
    const char *certificate, *key, *roots;
    const char *metrics;
    const char *control;
    const char *spool;                      /* "": no recordings */
    const char *stream_url;                 /* "": Twilio cannot tell this edge from others */
    unsigned cores[CORES_MAX], cores_count; /* processor numbers */
    bool pinned;
    unsigned calls_max;                           /* per core */
    unsigned address_conns_max, address_news_max; /* per core and address */
    unsigned drain_s;
    enum log_format log_format;
    bool sandbox;
    bool realtime;
    bool check, plan;
    /* read from the texts above */
    struct sockaddr_storage listen_address, listen_tls_address;
    socklen_t listen_bytes, listen_tls_bytes;
};

enum options_result { OPTIONS_RUN, OPTIONS_DONE, OPTIONS_WRONG };

/* Reads flags and environment. DONE: --help or --version was answered. WRONG: a sentence that names
 * the mend was written to stderr. Texts point into argv or the environment. */
enum options_result options_read(struct options *options, int argc, char **argv);

#endif
