/* practice-ai: options, ready line, and an orderly end. The rest is told in ai.h. */
#include "tests/practice/ai.h"

#include "tests/practice/ai_door.h"
#include "tests/practice/ai_script.h"
#include "tests/practice/ai_voice.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct options {
    const char *address, *cert, *key, *script, *record;
    uint16_t port;
    unsigned receive_bytes;
    bool mute;
};

static const char help[] =
    "practice-ai: plays OpenAI's Realtime API (GA) for tests and for ./dev\n"
    "    --listen ADDR:PORT   127.0.0.1:0; port 0 takes a free one, see the line \"ready on\"\n"
    "    --cert FILE --key FILE   speak wss instead of ws\n"
    "    --key-env NAME       ask clients for the key in this environment variable\n"
    "    --expect-key KEY     the same for a made-up key (argv is no place for real ones)\n"
    "    --script FILE        rules for answers, JSON (see ai_script.h)\n"
    "    --burst FACTOR       how many times faster than real time it speaks: 8\n"
    "    --delta-ms MS        audio in one delta: 200\n"
    "    --think-ms MS        from the question to the first delta: 200\n"
    "    --session-seconds S  until session_expired: 3600\n"
    "    --record FILE        every event as a JSON line, audio cut short\n"
    "    --record-audio DIR   what each caller said, as DIR/<session>.wav\n"
    "    --receive-bytes N    what waits in the kernel for one that does not read: as it likes\n"
    "    --no-voice           do not load espeak-ng (for tone and echo only)\n"
    "    --verbose            the dialogue on stderr\n"
    "    --misbehave NAME     in every session; one of:\n";

static bool read_listen(const char *text, struct options *options)
{
    static char address[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof address)
        return false;
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = '\0';
    options->address = address;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    options->port = (uint16_t)port;
    return colon[1] && *end == '\0' && port <= 65535;
}

static bool read_misbehave(const char *name, struct ai *ai)
{
    ai->misbehaviour = ai_misbehave_named(span_of(name));
    return ai->misbehaviour != AI_MISBEHAVIOURS;
}

static bool read_number(const char *text, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *number = (unsigned)value;
    return *text && *end == '\0' && value <= 86400000;
}

static bool read_option(int letter, const char *value, struct options *options, struct ai *ai)
{
    switch (letter) {
    case 'l':
        return read_listen(value, options);
    case 'c':
        options->cert = value;
        return true;
    case 'k':
        options->key = value;
        return true;
    case 'e':
        ai->key = getenv(value);
        return ai->key && *ai->key;
    case 'x':
        ai->key = value;
        return true;
    case 's':
        options->script = value;
        return true;
    case 'b':
        ai->burst = strtod(value, NULL);
        return ai->burst >= 0.1 && ai->burst <= 1000;
    case 'd':
        return read_number(value, &ai->delta_ms) && ai->delta_ms >= 1;
    case 't':
        return read_number(value, &ai->think_ms);
    case 'S':
        return read_number(value, &ai->session_seconds) && ai->session_seconds >= 1;
    case 'r':
        options->record = value;
        return true;
    case 'a':
        ai->record_audio = value;
        return true;
    case 'R':
        return read_number(value, &options->receive_bytes) && options->receive_bytes >= 1;
    case 'n':
        options->mute = true;
        return true;
    case 'v':
        ai->verbose = true;
        return true;
    case 'm':
        return read_misbehave(value, ai);
    default:
        return false;
    }
}

static void show_help(void)
{
    fputs(help, stdout);
    ai_misbehave_list(stdout);
}

/* 0: go on, otherwise 1 + the exit status. */
static int read_options(int argc, char **argv, struct options *options, struct ai *ai)
{
    static const struct option table[] = {{"listen", required_argument, NULL, 'l'},
                                          {"cert", required_argument, NULL, 'c'},
                                          {"key", required_argument, NULL, 'k'},
                                          {"key-env", required_argument, NULL, 'e'},
                                          {"expect-key", required_argument, NULL, 'x'},
                                          {"script", required_argument, NULL, 's'},
                                          {"burst", required_argument, NULL, 'b'},
                                          {"delta-ms", required_argument, NULL, 'd'},
                                          {"think-ms", required_argument, NULL, 't'},
                                          {"session-seconds", required_argument, NULL, 'S'},
                                          {"record", required_argument, NULL, 'r'},
                                          {"record-audio", required_argument, NULL, 'a'},
                                          {"receive-bytes", required_argument, NULL, 'R'},
                                          {"no-voice", no_argument, NULL, 'n'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"misbehave", required_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int letter, at = 0;
    while ((letter = getopt_long(argc, argv, "", table, &at)) != -1) {
        if (letter == 'h') {
            show_help();
            return 1;
        }
        if (letter == '?')
            return 3;
        if (!read_option(letter, optarg, options, ai)) {
            fprintf(stderr, "practice-ai: --%s cannot be \"%s\"\n", table[at].name,
                    letter == 'x' ? "..."
                    : optarg      ? optarg
                                  : "");
            return 3;
        }
    }
    if (optind < argc || !options->cert != !options->key) {
        fprintf(stderr, "practice-ai: see --help; --cert and --key go together\n");
        return 3;
    }
    return 0;
}

static void stop(void *owner)
{
    peer_loop_stop(owner);
}

/* Before espeak-ng starts threads of its own, which would take the signals otherwise. */
static int take_signals(void)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve(struct ai *ai, const struct options *options, struct peer_tls *tls, int signals)
{
    struct peer_listen listen = {.address = options->address,
                                 .port = options->port,
                                 .receive_bytes = options->receive_bytes,
                                 .tls = tls,
                                 .hooks = &ai_door_hooks,
                                 .owner = ai,
                                 .message_bytes_max = AI_MESSAGE_BYTES_MAX};
    struct peer_listener *listener = peer_listen(ai->loop, &listen);
    if (!listener || signals < 0 || !peer_watch_open(ai->loop, signals, stop, ai->loop))
        return EXIT_FAILURE;
    printf("ready on %s:%u\n", options->address, peer_listener_port(listener));
    fflush(stdout);
    peer_loop_run(ai->loop);
    peer_loop_close(ai->loop);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct ai ai = {.think_ms = AI_THINK_MS,
                           .delta_ms = AI_DELTA_MS,
                           .session_seconds = AI_SESSION_SECONDS,
                           .burst = AI_BURST};
    struct options options = {.address = "127.0.0.1"};
    struct peer_tls *tls = NULL;
    int decided = read_options(argc, argv, &options, &ai);
    if (decided)
        return decided - 1;
    if (options.cert && !(tls = peer_tls_server(options.cert, options.key)))
        return EXIT_FAILURE;
    if (options.record && !(ai.record = fopen(options.record, "w"))) {
        perror(options.record);
        return EXIT_FAILURE;
    }
    int signals = take_signals();
    ai.script = ai_script_open(options.script);
    ai.loop = peer_loop_open();
    if (!ai.script || !ai.loop || (!options.mute && !ai_voice_open()))
        return EXIT_FAILURE;
    int status = serve(&ai, &options, tls, signals);
    close(signals);
    ai_door_close(&ai);
    ai_voice_close();
    ai_script_close(ai.script);
    peer_tls_close(tls);
    if (ai.record)
        fclose(ai.record);
    return status;
}
