#include "bench/load/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *what)
{
    fprintf(stderr, "bench_load: %s; see --help\n", what);
    return 2;
}

static int print_help(void)
{
    printf("bench_load --relay HOST:PORT --ai-port PORT [options]         the floor\n"
           "bench_load --rival ws://HOST:PORT/PATH --ai-port PORT [options]\n"
           "bench_load --edge --ai-port PORT [options] -- practice-carrier options\n"
           "  --edge              calls come through webhook, TwiML and stream; the token comes\n"
           "                      from TWILIO_AUTH_TOKEN\n"
           "  --ai-port PORT      listen here as the AI: ws(s)://127.0.0.1:PORT/v1/realtime\n"
           "  --cert F --key F    the AI side speaks TLS\n"
           "  --format pcmu|pcm   what the AI speaks (pcmu); the relay must be configured so\n"
           "  --calls N           at once (100)     --rate N  begun in a second (50)\n"
           "  --seconds S         measured (20)     --warm S  before that (3)\n"
           "  --frame-ms N        a frame every so often (20); more: calls that only stand\n"
           "  --setup-rate N      short calls begun in a second while the others are measured\n"
           "                      (pcmu only)\n"
           "  --cpu N             pin the generator there, and go first on it\n"
           "  --pid P             the relay, for its CPU and memory; --control-pid P\n"
           "  --json FILE         report            --label TEXT\n");
    return 0;
}

static int read_text(struct load_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--relay") == 0 || strcmp(name, "--rival") == 0) {
        options->kind = strcmp(name, "--relay") == 0 ? LOAD_FLOOR : LOAD_RIVAL;
        options->relay = value;
    } else if (strcmp(name, "--cert") == 0)
        options->cert = value;
    else if (strcmp(name, "--key") == 0)
        options->key = value;
    else if (strcmp(name, "--format") == 0)
        options->pcm = strcmp(value, "pcm") == 0;
    else if (strcmp(name, "--json") == 0)
        options->json = value;
    else if (strcmp(name, "--label") == 0)
        options->label = value;
    else
        return refuse(name);
    return -1;
}

static int read_pair(struct load_options *options, const char *name, const char *value)
{
    if (strcmp(name, "--ai-port") == 0)
        options->ai_port = (uint16_t)atoi(value);
    else if (strcmp(name, "--calls") == 0)
        options->calls = (unsigned)atoi(value);
    else if (strcmp(name, "--rate") == 0)
        options->rate = atof(value);
    else if (strcmp(name, "--seconds") == 0)
        options->seconds = atof(value);
    else if (strcmp(name, "--warm") == 0)
        options->warm_seconds = atof(value);
    else if (strcmp(name, "--frame-ms") == 0)
        options->frame_ms = (unsigned)atoi(value);
    else if (strcmp(name, "--setup-rate") == 0)
        options->setup_rate = atof(value);
    else if (strcmp(name, "--cpu") == 0)
        options->cpu = atoi(value);
    else if (strcmp(name, "--pid") == 0)
        options->pid = atoi(value);
    else if (strcmp(name, "--control-pid") == 0)
        options->control_pid = atoi(value);
    else
        return read_text(options, name, value);
    return -1;
}

static int check(const struct load_options *options)
{
    double all = options->calls + options->setup_rate * options->seconds;
    if (options->calls == 0 || all > LOAD_CALLS_MAX || options->rate <= 0)
        return refuse("--calls or --rate is out of range");
    if (options->frame_ms < 20 || options->frame_ms > 5000)
        return refuse("--frame-ms is out of range");
    if (options->setup_rate < 0 || (options->setup_rate > 0 && options->pcm))
        return refuse("--setup-rate goes with pcmu only");
    if (options->kind != LOAD_EDGE && !options->relay)
        return refuse("--relay, --rival or --edge is needed");
    return -1;
}

int load_options_read(int argc, char **argv, struct load_options *options)
{
    *options = (struct load_options){
        .calls = 100, .seconds = 20, .warm_seconds = 3, .rate = 50, .frame_ms = 20, .cpu = -1};
    int at = 1;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--help") == 0)
            return print_help();
        if (strcmp(argv[at], "--edge") == 0) {
            options->kind = LOAD_EDGE;
            continue;
        }
        if (at + 1 == argc)
            return refuse(argv[at]);
        int status = read_pair(options, argv[at], argv[at + 1]);
        if (status >= 0)
            return status;
        at++;
    }
    int status = check(options);
    if (status >= 0 || options->kind != LOAD_EDGE)
        return status;
    return at < argc ? carrier_options_read(argc - at, argv + at, &options->carrier)
                     : refuse("--edge needs -- and practice-carrier's options");
}
