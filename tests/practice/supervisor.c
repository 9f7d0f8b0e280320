/* practice-supervisor: listens to a live call through the door that `ringbridge-control calls
 * listen ID` opens, prints what happens as it comes, and writes both sides as a stereo WAV: left
 * the caller, right the agent. The URL is read from standard input, since whoever knows it may
 * listen.
 */
#include "common/panic.h"
#include "tests/practice/carrier_wav.h"
#include "tests/practice/peer.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define HEADER_BYTES 12
#define SAMPLES_MAX  (8000u * 3600) /* an hour; what comes later is not written */
#define SILENCE      0xff

struct supervisor {
    struct peer_loop *loop;
    struct peer_conn *conn;
    const char *connect, *out, *ca;
    bool json, plain;
    int status; /* what the program ends with */
    bool begun;
    uint64_t first, samples; /* position of the first sample; how many there are behind it */
    uint8_t *tracks[2];
    size_t room; /* samples, of each */
    int signal_fd;
};

/* ---- sound ---- */

static bool make_room(struct supervisor *supervisor, uint64_t samples)
{
    size_t room = supervisor->room ? supervisor->room : 8000;
    while (room < samples)
        room *= 2;
    for (unsigned track = 0; track < 2 && room > supervisor->room; track++) {
        uint8_t *wider = realloc(supervisor->tracks[track], room);
        if (!wider)
            return false;
        memset(wider + supervisor->room, SILENCE, room - supervisor->room);
        supervisor->tracks[track] = wider;
    }
    supervisor->room = room;
    return true;
}

static void hear(struct supervisor *supervisor, struct span body)
{
    uint64_t position = 0;
    if (body.bytes <= HEADER_BYTES || body.data[0] != 1 || body.data[1] > 1) {
        fprintf(stderr, "practice-supervisor: audio of a kind that is unknown\n");
        return;
    }
    for (unsigned i = 8; i-- > 0;)
        position = position << 8 | body.data[4 + i];
    if (!supervisor->begun) {
        supervisor->begun = true;
        supervisor->first = position;
    }
    size_t count = body.bytes - HEADER_BYTES;
    if (position < supervisor->first || position - supervisor->first > SAMPLES_MAX - count)
        return;
    uint64_t at = position - supervisor->first;
    if (!make_room(supervisor, at + count))
        return;
    memcpy(supervisor->tracks[body.data[1]] + at, body.data + HEADER_BYTES, count);
    if (at + count > supervisor->samples)
        supervisor->samples = at + count;
}

static void save(struct supervisor *supervisor)
{
    if (!supervisor->out || !supervisor->samples)
        return;
    if (!carrier_wav_save_stereo(supervisor->out, supervisor->tracks[0], supervisor->tracks[1],
                                 supervisor->samples)) {
        fprintf(stderr, "practice-supervisor: cannot write %s: %s\n", supervisor->out,
                strerror(errno));
        supervisor->status = 1;
    } else if (!supervisor->json) {
        printf("%.1f s of both sides are in %s\n", (double)supervisor->samples / 8000,
               supervisor->out);
    }
}

/* ---- events ---- */

/* Strangers' words must not move the cursor. */
static void print_text(const char *text)
{
    for (; text && *text; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
}

static void print_message(const json_t *event)
{
    const char *role = json_string_value(json_object_get(event, "role"));
    const char *text = json_string_value(json_object_get(event, "text"));
    bool cut = json_is_true(json_object_get(event, "interrupted"));
    printf("%s  ", role && strcmp(role, "user") == 0 ? "caller:" : "agent: ");
    print_text(text);
    puts(cut ? "  (interrupted)" : "");
}

/* What the line has said already is not said again. */
static void print_rest(json_t *event, const char *kind)
{
    static const char *const said[] = {"kind", "clock_ms", "at_ms", "call", "figures"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        json_object_del(event, said[i]);
    char *rest = json_dumps(event, JSON_COMPACT | JSON_PRESERVE_ORDER);
    printf("(%s %s)\n", kind, rest ? rest : "");
    free(rest);
}

static void print_event(struct supervisor *supervisor, struct span body)
{
    if (supervisor->json) {
        printf("%.*s\n", (int)body.bytes, (const char *)body.data);
        return;
    }
    json_t *event = json_loadb((const char *)body.data, body.bytes, 0, NULL);
    const char *kind = json_string_value(json_object_get(event, "kind"));
    json_int_t clock_ms = json_integer_value(json_object_get(event, "clock_ms"));
    if (!kind) {
        fprintf(stderr, "practice-supervisor: an event without a kind\n");
    } else if (strcmp(kind, "text") != 0 && strcmp(kind, "mark") != 0) { /* the message has it */
        printf("%7.2f  ", (double)clock_ms / 1000);
        if (strcmp(kind, "message") == 0)
            print_message(event);
        else
            print_rest(event, strdupa(kind));
    }
    json_decref(event);
}

/* ---- the connection ---- */

static void on_response(struct peer_conn *conn, const struct peer_response *response)
{
    (void)conn;
    fprintf(stderr, "practice-supervisor: refused with %u: %.*s\n", response->status,
            (int)response->body.bytes, (const char *)response->body.data);
}

static void on_message(struct peer_conn *conn, enum peer_opcode opcode, struct span body)
{
    struct supervisor *supervisor = peer_owner(conn);
    if (opcode == PEER_BINARY)
        hear(supervisor, body);
    else if (opcode == PEER_TEXT)
        print_event(supervisor, body);
    fflush(stdout);
}

static void on_closed(struct peer_conn *conn, const struct peer_ending *ending)
{
    struct supervisor *supervisor = peer_owner(conn);
    bool fine = ending->websocket && (ending->close_code == 1000 || ending->sent_code == 1000);
    if (!fine)
        fprintf(stderr, "practice-supervisor: %s (%u) %.*s\n", ending->why, ending->close_code,
                (int)ending->reason.bytes, (const char *)ending->reason.data);
    supervisor->status = fine ? 0 : 1;
    supervisor->conn = NULL;
    peer_loop_stop(supervisor->loop);
}

/* Ctrl-C: enough was heard. */
static void signalled(void *owner)
{
    struct supervisor *supervisor = owner;
    struct signalfd_siginfo info;
    if (read(supervisor->signal_fd, &info, sizeof info) == sizeof info && supervisor->conn)
        peer_ws_close(supervisor->conn, 1000, "");
}

static int watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void listen_to(struct supervisor *supervisor, char *url)
{
    static const struct peer_hooks hooks = {
        .response = on_response, .message = on_message, .closed = on_closed};
    struct peer_tls *tls = peer_tls_client(supervisor->ca);
    supervisor->loop = peer_loop_open();
    assert(supervisor->loop && tls);
    if (supervisor->plain && strncmp(url, "wss:", 4) == 0)
        memmove(url + 2, url + 3, strlen(url + 3) + 1);
    struct peer_dial dial = {.url = url,
                             .connect_to = supervisor->connect,
                             .tls = tls,
                             .hooks = &hooks,
                             .owner = supervisor};
    supervisor->signal_fd = watch_signals();
    struct peer_watch *signals =
        peer_watch_open(supervisor->loop, supervisor->signal_fd, signalled, supervisor);
    supervisor->conn = peer_ws_dial(supervisor->loop, &dial);
    if (supervisor->conn)
        peer_loop_run(supervisor->loop);
    else
        fprintf(stderr, "practice-supervisor: not a URL that can be dialled\n");
    peer_watch_close(signals);
    peer_loop_close(supervisor->loop);
    peer_tls_close(tls);
    close(supervisor->signal_fd);
}

static int show_help(int status)
{
    fprintf(
        status ? stderr : stdout,
        "ringbridge-control calls listen ID | practice-supervisor [options]\n"
        "    --out FILE           both sides as a stereo WAV, left the caller, right the agent\n"
        "    --json               events as they come, one JSON object a line\n"
        "    --connect HOST:PORT  go there instead of the URL's host\n"
        "    --plain              without TLS, whatever the URL says\n"
        "    --ca FILE            verify TLS against this (otherwise it is not verified)\n");
    return status;
}

int main(int argc, char **argv)
{
    static const struct option table[] = {{"out", required_argument, NULL, 'o'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"connect", required_argument, NULL, 'c'},
                                          {"plain", no_argument, NULL, 'p'},
                                          {"ca", required_argument, NULL, 'a'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static struct supervisor supervisor = {.status = 1};
    char url[4096];
    for (int letter; (letter = getopt_long(argc, argv, "", table, NULL)) != -1;) {
        if (letter == 'o')
            supervisor.out = optarg;
        else if (letter == 'j')
            supervisor.json = true;
        else if (letter == 'c')
            supervisor.connect = optarg;
        else if (letter == 'p')
            supervisor.plain = true;
        else if (letter == 'a')
            supervisor.ca = optarg;
        else
            return show_help(letter == 'h' ? 0 : 2);
    }
    if (optind < argc || !fgets(url, sizeof url, stdin))
        return show_help(2);
    url[strcspn(url, "\r\n")] = '\0';
    listen_to(&supervisor, url);
    explicit_bzero(url, sizeof url);
    save(&supervisor);
    free(supervisor.tracks[0]);
    free(supervisor.tracks[1]);
    return supervisor.status;
}
