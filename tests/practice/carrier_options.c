#include "tests/practice/carrier_options.h"

#include "tests/practice/carrier_voice.h"
#include "tests/practice/carrier_wav.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row per option: letter-less name, argument (NULL: none), help. The order is the enum's. */
#define OPTIONS(X)                                                                                 \
    X(WEBHOOK, "webhook", "URL", "post incoming-call here: http(s)://HOST:PORT/PATH")              \
    X(PUBLIC_URL, "public-url", "URL", "the https base that Twilio knows; signatures are for it")  \
    X(CONNECT, "connect", "URL", "ws(s)://HOST:PORT for streams; default: the webhook's address")  \
    X(FROM, "from", "NUMBER", "the caller's number (default +15550177)")                           \
    X(TO, "to", "NUMBER", "the number called (default +15550100)")                                 \
    X(ACCOUNT, "account-sid", "SID", "default: AC and 32 hex digits made from the seed")           \
    X(SAY, "say", "TEXT", "say this when the agent has fallen quiet; repeatable")                  \
    X(WAV, "wav", "FILE", "the same with a sound file (PCM16 of any rate, or mu-law)")             \
    X(INTERRUPT, "interrupt", "TEXT", "say this over the agent")                                   \
    X(INTERRUPT_WAV, "interrupt-wav", "FILE", "the same with a sound file")                        \
    X(BARGE_IN, "barge-in-after", "MS", "interrupt when the agent has spoken so long (1500)")      \
    X(DTMF, "dtmf", "DIGITS", "press these keys when the agent has fallen quiet")                  \
    X(GREETING, "greeting-ms", "MS", "wait so long for the agent to begin (3000)")                 \
    X(QUIET_MS, "quiet-ms", "MS", "the agent is done when silent for so long (700)")               \
    X(PATIENCE, "patience-ms", "MS", "wait so long for an answer (8000)")                          \
    X(HANGUP, "hangup-after", "MS", "hang up so long after the stream began, script or no script") \
    X(CALL_MAX, "call-max", "MS", "no call lasts longer (120000)")                                 \
    X(STREAM_AFTER, "stream-after", "MS", "begin the stream so long after it was asked for (0)")   \
    X(CALLS, "calls", "N", "so many calls (1)")                                                    \
    X(RATE, "rate", "N", "so many calls begin in a second (10)")                                   \
    X(OUT, "out", "FILE", "write what the caller heard, when he heard it, as WAV")                 \
    X(SENT_OUT, "sent-out", "FILE", "write what was sent as WAV")                                  \
    X(JSON, "json", "FILE", "write a report at the end; - for stdout")                             \
    X(STATUS_URL, "status-url", "URL", "status callbacks go here (default: beside the webhook)")   \
    X(NO_STATUS, "no-status", NULL, "no status callbacks")                                         \
    X(AI_HINT, "ai-hint", "URL", "tell the practice AI what is going to be said")                  \
    X(AI_HINT_MATCH, "ai-hint-match", "TEXT",                                                      \
      "only for AI sessions with this in their instructions")                                      \
    X(VOICE, "voice", "NAME", "an espeak-ng voice (en-us)")                                        \
    X(CA, "ca", "FILE", "verify TLS against this (otherwise it is not verified)")                  \
    X(SLASH, "handshake-slash", NULL, "sign the stream's URL with a / at its end")                 \
    X(MISBEHAVE, "misbehave", "NAME", "see below; repeatable")                                     \
    X(REST, "rest", "ADDR:PORT", "serve the REST API; calls are made as ordered there, no others") \
    X(RING, "ring-ms", "MS", "an ordered call rings so long (100)")                                \
    X(CALLEE, "callee", "NUMBER=HOW,..", "answer, busy, no-answer, fail, machine: call by call")   \
    X(TROUBLE, "trouble", "NAME:EVERY", "every so many-th order goes wrong: see carrier_rest.h")   \
    X(SEED, "seed", "N", "for what is left to chance (1)")                                         \
    X(QUIET, "quiet", NULL, "print nothing while it happens")                                      \
    X(HELP, "help", NULL, "this")

enum choice {
#define X(name, word, argument, help) OPTION_##name,
    OPTIONS(X)
#undef X
};

static const struct option_row {
    const char *word, *argument, *help;
} rows[] = {
#define X(name, word, argument, help) {word, argument, help},
    OPTIONS(X)
#undef X
};

static const struct {
    const char *word, *sentence;
} misdeeds[] = {
#define X(name, word, sentence) {word, sentence},
    CARRIER_MISDEEDS(X)
#undef X
};

#define ROWS (sizeof rows / sizeof rows[0])

static int print_help(void)
{
    printf("practice-carrier plays Twilio: places calls, follows TwiML, streams in real time.\n"
           "The auth token comes from TWILIO_AUTH_TOKEN in the environment only.\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        char left[64];
        snprintf(left, sizeof left, "--%s %s", rows[i].word,
                 rows[i].argument ? rows[i].argument : "");
        printf("  %-24s %s\n", left, rows[i].help);
    }
    printf("\nmisbehaviour:\n");
    for (size_t i = 0; i < MISDEED_COUNT; i++)
        printf("  %-24s %s\n", misdeeds[i].word, misdeeds[i].sentence);
    return 0;
}

static int refuse(const char *what, const char *value, const char *why)
{
    fprintf(stderr, "practice-carrier: %s %s: %s\n", what, value, why);
    return 2;
}

static int read_number(const char *word, const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return refuse(word, text, "not a number");
    return -1;
}

/* Something to say: the sound is made now, so that no call waits for it. */
static int add_item(struct carrier_options *options, enum carrier_item_kind kind, const char *text,
                    bool file)
{
    struct carrier_script *script = &options->script;
    if (script->count == CARRIER_SCRIPT_MAX)
        return refuse("script", text, "too long");
    struct carrier_item *item = &script->items[script->count++];
    *item = (struct carrier_item){.kind = kind, .text = text, .spoken = !file};
    const char *why = NULL;
    if (kind == CARRIER_PRESS)
        return text[strspn(text, "0123456789*#ABCD")] ? refuse("--dtmf", text, "not keys") : -1;
    item->codes = file ? carrier_wav_load(text, &item->bytes, &why)
                       : carrier_voice_say(text, options->voice, &item->bytes, &why);
    return item->codes ? -1 : refuse(file ? "sound" : "speech", text, why);
}

static int add_misdeed(struct carrier_options *options, const char *word)
{
    for (size_t i = 0; i < MISDEED_COUNT; i++)
        if (strcmp(word, misdeeds[i].word) == 0) {
            options->misdeeds[i] = true;
            return -1;
        }
    return refuse("--misbehave", word, "unknown; see --help");
}

static int read_url(const char *word, const char *text, struct carrier_url *url)
{
    return carrier_url_read(text, url) ? -1 : refuse(word, text, "not a URL");
}

static int read_connect(struct carrier_options *options, const char *text)
{
    struct carrier_url url;
    if (!carrier_url_read(text, &url))
        return refuse("--connect", text, "not a URL");
    snprintf(options->connect, sizeof options->connect, "%s:%u", url.host,
             (unsigned)carrier_url_port(&url));
    options->connect_tls = carrier_url_secure(&url);
    return -1;
}

/* Options whose value is a number. */
static int read_counts(struct carrier_options *options, enum choice option, const char *text)
{
    uint64_t number;
    int status = read_number(rows[option].word, text, &number);
    if (status >= 0)
        return status;
    switch (option) {
    case OPTION_BARGE_IN:
        options->script.barge_in_ms = number;
        break;
    case OPTION_GREETING:
        options->script.greeting_ms = number;
        break;
    case OPTION_QUIET_MS:
        options->script.quiet_ms = number;
        break;
    case OPTION_PATIENCE:
        options->script.patience_ms = number;
        break;
    case OPTION_HANGUP:
        options->hangup_after_ms = number;
        options->script.stays = true;
        break;
    case OPTION_CALL_MAX:
        options->call_max_ms = number;
        break;
    case OPTION_STREAM_AFTER:
        options->stream_after_ms = number;
        break;
    case OPTION_RING:
        options->ring_ms = number;
        break;
    case OPTION_CALLS:
        options->calls = (unsigned)number;
        break;
    case OPTION_SEED:
        options->seed = number;
        break;
    default:
        options->rate = (double)number;
    }
    return -1;
}

/* Options whose value is kept as it stands. */
static const char **text_of(struct carrier_options *options, enum choice option)
{
    switch (option) {
    case OPTION_FROM:
        return &options->from;
    case OPTION_TO:
        return &options->to;
    case OPTION_OUT:
        return &options->out;
    case OPTION_SENT_OUT:
        return &options->sent_out;
    case OPTION_JSON:
        return &options->json;
    case OPTION_AI_HINT:
        return &options->ai_hint;
    case OPTION_AI_HINT_MATCH:
        return &options->ai_hint_match;
    case OPTION_REST:
        return &options->rest;
    case OPTION_VOICE:
        return &options->voice;
    case OPTION_CA:
        return &options->ca_file;
    default:
        return NULL;
    }
}

/* Words that are kept as a list. */
static int add_word(const char **words, size_t *count, size_t most, const char *text)
{
    if (*count == most)
        return refuse("list", text, "too long");
    words[(*count)++] = text;
    return -1;
}

static int read_option(struct carrier_options *options, enum choice option, const char *text)
{
    const char **kept = text_of(options, option);
    if (kept) {
        *kept = text;
        return -1;
    }
    switch (option) {
    case OPTION_WEBHOOK:
        return read_url("--webhook", text, &options->webhook);
    case OPTION_PUBLIC_URL:
        options->has_public = true;
        return read_url("--public-url", text, &options->public_url);
    case OPTION_CONNECT:
        return read_connect(options, text);
    case OPTION_ACCOUNT:
        if (strlen(text) != sizeof options->account_sid - 1)
            return refuse("--account-sid", text, "not AC and 32 hex digits");
        strcpy(options->account_sid, text);
        return -1;
    case OPTION_STATUS_URL:
        snprintf(options->status_url, sizeof options->status_url, "%s", text);
        return -1;
    case OPTION_SAY:
    case OPTION_WAV:
        return add_item(options, CARRIER_SAY, text, option == OPTION_WAV);
    case OPTION_INTERRUPT:
    case OPTION_INTERRUPT_WAV:
        return add_item(options, CARRIER_INTERRUPT, text, option == OPTION_INTERRUPT_WAV);
    case OPTION_DTMF:
        return add_item(options, CARRIER_PRESS, text, false);
    case OPTION_MISBEHAVE:
        return add_misdeed(options, text);
    case OPTION_CALLEE:
        return add_word(options->callees, &options->callees_count, CARRIER_CALLEES_MAX, text);
    case OPTION_TROUBLE:
        return add_word(options->troubles, &options->troubles_count, CARRIER_TROUBLES_MAX, text);
    case OPTION_NO_STATUS:
        options->status = false;
        return -1;
    case OPTION_SLASH:
        options->handshake_slash = true;
        return -1;
    case OPTION_QUIET:
        options->quiet = true;
        return -1;
    case OPTION_HELP:
        return print_help();
    default:
        return read_counts(options, option, text);
    }
}

/* What was not said is derived: public base, stream address, account. */
static int complete(struct carrier_options *options)
{
    if (options->webhook.host[0] == '\0')
        return refuse("--webhook", "", "is needed; see --help");
    options->token = getenv("TWILIO_AUTH_TOKEN");
    if (!options->token || !*options->token)
        return refuse("TWILIO_AUTH_TOKEN", "", "is not set");
    if (!options->has_public)
        options->public_url = options->webhook;
    if (options->connect[0] == '\0') {
        snprintf(options->connect, sizeof options->connect, "%s:%u", options->webhook.host,
                 (unsigned)carrier_url_port(&options->webhook));
        options->connect_tls = carrier_url_secure(&options->webhook);
    }
    if (options->account_sid[0] == '\0')
        snprintf(options->account_sid, sizeof options->account_sid, "AC%032llx",
                 (unsigned long long)options->seed);
    if (options->calls == 0 || options->rate <= 0)
        return refuse("--calls, --rate", "", "must be more than 0");
    return -1;
}

int carrier_options_read(int argc, char **argv, struct carrier_options *options)
{
    *options = (struct carrier_options){
        .from = "+15550177",
        .to = "+15550100",
        .status = true,
        .script = {.greeting_ms = 3000, .quiet_ms = 700, .patience_ms = 8000, .barge_in_ms = 1500},
        .call_max_ms = 120000,
        .ring_ms = 100,
        .calls = 1,
        .rate = 10,
        .seed = 1};
    struct option long_options[ROWS + 1] = {0};
    for (size_t i = 0; i < ROWS; i++)
        long_options[i] = (struct option){
            rows[i].word, rows[i].argument ? required_argument : no_argument, NULL, (int)i};
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?')
            return 2;
        int status = read_option(options, (enum choice)option, optarg);
        if (status >= 0)
            return status;
    }
    if (optind < argc)
        return refuse("argument", argv[optind], "not understood");
    return complete(options);
}

void carrier_options_close(struct carrier_options *options)
{
    for (size_t i = 0; i < options->script.count; i++)
        free(options->script.items[i].codes);
    options->script.count = 0;
    carrier_voice_close();
}
