#include "control/base/options.h"

#include "common/panic.h"
#include "control/base/options_table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/un.h>

/* Where a value came from, for the words of an error. */
struct source {
    const struct options_row *row;
    bool from_flag;
};

__attribute__((format(printf, 3, 4))) static bool refuse(char *error, size_t room,
                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, room, format, arguments);
    va_end(arguments);
    return false;
}

/* "--workers" or "RINGBRIDGE_WORKERS". */
static const char *name_source(struct source source, char name[64])
{
    snprintf(name, 64, "%s%s", source.from_flag ? "--" : "",
             source.from_flag ? source.row->flag : source.row->variable);
    return name;
}

static bool read_choice(const char *text, const char *const *choices, unsigned *index)
{
    for (*index = 0; choices[*index]; ++*index)
        if (strcasecmp(text, choices[*index]) == 0)
            return true;
    return false;
}

static bool set_number(void *place, struct source source, const char *text, char *error,
                       size_t room)
{
    char *end, name[64];
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number < source.row->lowest ||
        number > source.row->highest)
        return refuse(error, room, "%s must be a number from %u to %u, not \"%s\"",
                      name_source(source, name), source.row->lowest, source.row->highest, text);
    *(unsigned *)place = (unsigned)number;
    return true;
}

static bool set_choice(unsigned *index, const char *const *choices, struct source source,
                       const char *text, char *error, size_t room)
{
    char name[64], list[128] = "";
    if (read_choice(text, choices, index))
        return true;
    for (int i = 0; choices[i]; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "",
                 choices[i]);
    return refuse(error, room, "%s must be one of %s, not \"%s\"", name_source(source, name), list,
                  text);
}

/* Keeps a copy without the slashes at its end. */
static const char *own_base(struct options *options, const char *text)
{
    char *copy = strdup(text);
    int place = 0;
    while (place < OPTIONS_OWNED_MAX && options->owned[place])
        place++;
    assert(copy && place < OPTIONS_OWNED_MAX);
    for (size_t end = strlen(copy); end > 0 && copy[end - 1] == '/'; end--)
        copy[end - 1] = '\0';
    options->owned[place] = copy;
    return copy;
}

static bool set(struct options *options, struct source source, const char *text, char *error,
                size_t room)
{
    static const char *const switches[] = {"0", "1", "false", "true", "no", "yes", NULL};
    static const char *const states[] = {"off", "on", NULL};
    static const char *const formats[] = {"text", "json", NULL};
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    void *place = (char *)options + source.row->offset;
    unsigned index = 0;
    switch (source.row->type) {
    case OPTIONS_TEXT:
    case OPTIONS_BASE: /* trimmed when all is read */
        *(const char **)place = text;
        return true;
    case OPTIONS_NUMBER:
        return set_number(place, source, text, error, room);
    case OPTIONS_SWITCH:
        if (!set_choice(&index, switches, source, text, error, room))
            return false;
        *(bool *)place = index % 2;
        return true;
    case OPTIONS_ON:
        if (!set_choice(&index, states, source, text, error, room))
            return false;
        *(bool *)place = index;
        return true;
    case OPTIONS_FORMAT:
        if (!set_choice(&index, formats, source, text, error, room))
            return false;
        options->log_format = index ? LOG_JSON : LOG_TEXT;
        return true;
    case OPTIONS_LEVEL:
        if (!set_choice(&index, levels, source, text, error, room))
            return false;
        options->log_level = (enum log_level)index;
        return true;
    case OPTIONS_KEY:
        return true; /* read by seal_open */
    }
    return false;
}

/* An empty variable is as good as none: that is how compose files leave things out. */
static bool read_environment(struct options *options, char *error, size_t room)
{
    for (int i = 0; i < options_table_count; i++) {
        struct source source = {&options_table[i], false};
        const char *value = source.row->variable ? getenv(source.row->variable) : NULL;
        if (value && !value[0])
            value = NULL;
        if (!value)
            value = source.row->standard;
        if (value && !set(options, source, value, error, room))
            return false;
    }
    return true;
}

static const struct options_row *find_flag(struct span name)
{
    for (int i = 0; i < options_table_count; i++)
        if (options_table[i].flag && span_is(name, options_table[i].flag))
            return &options_table[i];
    return NULL;
}

/* postgresql://user:password@host, or "... password=..." */
static bool holds_password(const char *url)
{
    const char *host = strstr(url, "://");
    const char *at = host ? strchr(host, '@') : NULL;
    const char *colon = host ? strchr(host + 3, ':') : NULL;
    return strstr(url, "password=") || (at && colon && colon < at);
}

/* One flag, with its value in the same word or the next. Returns words taken; 0: refused. */
static int read_flag(struct options *options, int argc, char **argv, char *error, size_t room)
{
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    struct span flag = span_from(name, equals ? (size_t)(equals - name) : strlen(name));
    struct source source = {find_flag(flag), true};
    if (!source.row)
        return refuse(error, room, "there is no flag --%.*s; --help lists them", (int)flag.bytes,
                      name);
    if (source.row->type == OPTIONS_SWITCH) {
        if (equals)
            return refuse(error, room, "--%s takes no value", source.row->flag);
        return set(options, source, "1", error, room);
    }
    const char *value = equals ? equals + 1 : argc > 1 ? argv[1] : NULL;
    if (!value)
        return refuse(error, room, "--%s needs a value: --%s %s", source.row->flag,
                      source.row->flag, source.row->value);
    if (strcmp(source.row->flag, "database") == 0 && holds_password(value))
        return refuse(error, room,
                      "--database holds a password, which every user of this machine could read: "
                      "put the URL into DATABASE_URL");
    if (!set(options, source, value, error, room))
        return 0;
    return equals ? 1 : 2;
}

static bool read_words(struct options *options, int argc, char **argv, char *error, size_t room)
{
    bool flags = true;
    for (int i = 0; i < argc;) {
        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
            i++;
        } else if (flags && strncmp(argv[i], "--", 2) == 0) {
            int taken = read_flag(options, argc - i, argv + i, error, room);
            if (taken == 0)
                return false;
            i += taken;
        } else if (flags && strcmp(argv[i], "-h") == 0) {
            options->help = true;
            i++;
        } else if (flags && argv[i][0] == '-' && argv[i][1]) {
            return refuse(error, room, "there is no flag %s; --help lists them", argv[i]);
        } else if (options->words_count == OPTIONS_WORDS_MAX) {
            return refuse(error, room, "more than %d words", OPTIONS_WORDS_MAX);
        } else {
            options->words[options->words_count++] = argv[i++];
        }
    }
    return true;
}

/* https -> wss, http -> ws. */
static const char *derive_websocket_url(struct options *options)
{
    const char *rest = strstr(options->public_url, "://");
    char url[2048];
    if (!rest || strncasecmp(options->public_url, "http", 4) != 0)
        return NULL;
    snprintf(url, sizeof url, "%s%s",
             strncasecmp(options->public_url, "https:", 6) == 0 ? "wss" : "ws", rest);
    return own_base(options, url);
}

static void finish(struct options *options)
{
    for (int i = 0; i < options_table_count; i++) {
        const char **place = (const char **)(void *)((char *)options + options_table[i].offset);
        if (options_table[i].type == OPTIONS_BASE && *place)
            *place = own_base(options, *place);
    }
    if (!options->websocket_url && options->public_url)
        options->websocket_url = derive_websocket_url(options);
    if (!options->database_serving_url)
        options->database_serving_url = options->database_url;
}

bool options_read(struct options *options, int argc, char **argv, char *error, size_t room)
{
    *options = (struct options){.workers = 0};
    if (!read_environment(options, error, room) || !read_words(options, argc, argv, error, room))
        return false;
    if (!seal_open(&options->seal, getenv("RINGBRIDGE_SECRET_KEY"),
                   getenv("RINGBRIDGE_SECRET_KEY_PREVIOUS"), error, room))
        return false;
    finish(options);
    return true;
}

void options_close(struct options *options)
{
    seal_wipe(&options->seal);
    for (int i = 0; i < OPTIONS_OWNED_MAX; i++)
        free(options->owned[i]);
    *options = (struct options){.workers = 0};
}

/* -- what serve needs ----------------------------------------------------------------------------
 */

/* Host of scheme://host: is it this machine? */
static bool is_loopback(const char *after_scheme)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t bytes = strlen(hosts[i]);
        if (strncasecmp(after_scheme, hosts[i], bytes) == 0 &&
            strchr(":/?", after_scheme[bytes])) /* the NUL at the end is found, too */
            return true;
    }
    return false;
}

bool options_is_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    return host && is_loopback(host + 3);
}

/* secure is "https" or "wss"; without the s it is for loopback only. */
static bool check_url(const char *name, const char *url, const char *secure, char *error,
                      size_t room)
{
    size_t bytes = strlen(secure);
    if (strncmp(url, secure, bytes) == 0 && strncmp(url + bytes, "://", 3) == 0 && url[bytes + 3])
        return true;
    if (strncmp(url, secure, bytes - 1) == 0 && strncmp(url + bytes - 1, "://", 3) == 0 &&
        is_loopback(url + bytes + 2))
        return true;
    return refuse(error, room, "%s must begin with %s:// (%.*s:// on loopback only)", name, secure,
                  (int)bytes - 1, secure);
}

static bool check_base(const char *name, const char *url, const char *secure, char *error,
                       size_t room)
{
    if (strpbrk(url, "?# \"<>&'"))
        return refuse(error, room, "%s is a base: no query, fragment, blank or quote", name);
    return check_url(name, url, secure, error, room);
}

static bool check_smtp(const struct options *options, char *error, size_t room)
{
    const char *url = options->smtp_url;
    if (url && ((strncmp(url, "smtp://", 7) != 0 && strncmp(url, "smtps://", 8) != 0) ||
                strpbrk(url, "@?# \"<>&'")))
        return refuse(error, room,
                      "SMTP_URL is smtp://host:port or smtps://host:port; who we are "
                      "there stands in SMTP_USER and SMTP_PASSWORD");
    if (!options->smtp_user != !options->smtp_password)
        return refuse(error, room, "SMTP_USER and SMTP_PASSWORD are set both or not at all");
    return true;
}

bool options_check_serving(const struct options *options, char *error, size_t room)
{
    if (!options->database_serving_url)
        return refuse(
            error, room,
            "no database: set DATABASE_URL, e.g. postgresql:///ringbridge?host=/run/postgresql");
    if (!options->public_url)
        return refuse(
            error, room,
            "set PUBLIC_URL to the https base that Twilio calls, e.g. https://voice.example.com");
    if (!check_base("PUBLIC_URL", options->public_url, "https", error, room) ||
        !check_base("TWILIO_WEBSOCKET_URL", options->websocket_url, "wss", error, room) ||
        !check_url("OPENAI_REALTIME_URL", options->openai_realtime_url, "wss", error, room) ||
        !check_base("OPENAI_BASE_URL", options->openai_base_url, "https", error, room) ||
        !check_base("TWILIO_API_BASE", options->twilio_api_base, "https", error, room) ||
        !check_base("RESEND_BASE_URL", options->resend_base_url, "https", error, room) ||
        !check_smtp(options, error, room))
        return false;
    if (!options->seal.has_key)
        return refuse(
            error, room,
            "set RINGBRIDGE_SECRET_KEY: make one with `openssl rand -hex 32` and keep it");
    if (options->twilio_api_key && !options->auth_token)
        return refuse(error, room,
                      "TWILIO_API_KEY cannot check signatures: set TWILIO_AUTH_TOKEN as well");
    if (options->s3_url && (!options->s3_key || !options->s3_secret))
        return refuse(error, room, "--s3-url needs RINGBRIDGE_S3_KEY and RINGBRIDGE_S3_SECRET");
    if (options->s3_url && !check_base("RINGBRIDGE_S3_URL", options->s3_url, "https", error, room))
        return false;
    if (strlen(options->socket_path) >= sizeof((struct sockaddr_un *)0)->sun_path)
        return refuse(error, room, "--socket: a socket's path has at most 107 bytes");
    return true;
}

/* -- help ----------------------------------------------------------------------------------------
 */

static bool takes(const struct options_row *row, const char *command)
{
    char word[64];
    if (!command || !row->commands)
        return true;
    snprintf(word, sizeof word, " %s ", command);
    return strstr(row->commands, word);
}

/* Text wrapped behind an indent. */
static void print_wrapped(FILE *out, const char *text, int indent, int width)
{
    int column = indent;
    fprintf(out, "%*s", indent, "");
    while (*text) {
        int bytes = (int)strcspn(text, " ");
        if (column > indent && column + bytes > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        }
        fprintf(out, "%.*s", bytes, text);
        text += bytes;
        column += bytes;
        if (*text == ' ') {
            fputc(' ', out);
            text++;
            column++;
        }
    }
    fputc('\n', out);
}

void options_print(FILE *out, const char *command)
{
    for (int i = 0; i < options_table_count; i++) {
        const struct options_row *row = &options_table[i];
        if (!takes(row, command))
            continue;
        if (row->flag)
            fprintf(out, "  --%s%s%s%s%s", row->flag, row->value ? " " : "",
                    row->value ? row->value : "", row->variable ? ", " : "",
                    row->variable ? row->variable : "");
        else
            fprintf(out, "  %s (no flag: secret)", row->variable);
        if (row->standard && row->standard[0] && row->type != OPTIONS_SWITCH)
            fprintf(out, "   [%s]", row->standard);
        fputc('\n', out);
        print_wrapped(out, row->help, 6, 96);
    }
}
