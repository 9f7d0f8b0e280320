/* practice-carrier: plays Twilio to a running ringbridge, or to anything that answers its webhooks.
 *
 * Places calls, follows the TwiML they are answered with, talks and listens in real time, prints
 * the conversation as it happens, and ends with what the caller heard and a report. */
#include "tests/practice/carrier_call.h"
#include "tests/practice/carrier_rest.h"

#include "common/panic.h"
#include "tests/practice/carrier_wav.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct program {
    struct carrier carrier; /* first: `done` casts back */
    struct carrier_options options;
    struct carrier_call *calls;
    struct carrier_rest *rest; /* NULL: we call; else others have us call */
    unsigned begun;
    bool ending;
    struct peer_timer next;
    struct peer_watch *signals;
    int signal_fd;
};

/* ---- calls ---- */

static void begin_next(void *owner)
{
    struct program *program = owner;
    struct carrier *carrier = &program->carrier;
    if (program->begun == program->options.calls)
        return;
    struct carrier_call *call = &program->calls[program->begun++];
    carrier_call_begin(call, carrier, program->begun);
    if (program->begun < program->options.calls) {
        uint64_t due =
            carrier->begun_ns + (uint64_t)((double)program->begun * 1e9 / program->options.rate);
        peer_timer_set(carrier->loop, &program->next, due);
    }
}

static void call_done(struct carrier *carrier)
{
    struct program *program = (struct program *)carrier;
    bool over = program->rest ? program->ending && carrier_rest_idle(program->rest)
                              : carrier->calls_done == program->options.calls;
    if (over)
        peer_loop_stop(carrier->loop);
}

/* Ctrl-C: every caller hangs up; a second one ends the program. */
static void signalled(void *owner)
{
    struct program *program = owner;
    struct signalfd_siginfo info;
    if (read(program->signal_fd, &info, sizeof info) != sizeof info)
        return;
    program->ending = true;
    if (program->rest)
        carrier_rest_end(program->rest);
    program->options.calls = program->begun;
    peer_timer_clear(program->carrier.loop, &program->next);
    for (unsigned i = 0; i < program->begun; i++)
        carrier_call_hang_up(&program->calls[i]);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    call_done(&program->carrier);
}

/* Before the first thread: what makes speech has some of its own, and would be killed by them. */
static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return set;
}

static void watch_signals(struct program *program)
{
    sigset_t set = block_signals();
    program->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    assert(program->signal_fd >= 0);
    program->signals =
        peer_watch_open(program->carrier.loop, program->signal_fd, signalled, program);
}

/* ---- the end ---- */

/* name.wav of call 3 of many is name-3.wav. */
static void save(const struct program *program, const char *name, unsigned number,
                 const uint8_t *codes, size_t bytes)
{
    char path[4096];
    const char *dot = strrchr(name, '.');
    int stem = dot ? (int)(dot - name) : (int)strlen(name);
    if (program->options.calls > 1)
        snprintf(path, sizeof path, "%.*s-%u%s", stem, name, number, dot ? dot : "");
    else
        snprintf(path, sizeof path, "%s", name);
    if (!carrier_wav_save(path, codes, bytes))
        fprintf(stderr, "practice-carrier: cannot write %s: %s\n", path, strerror(errno));
}

static void save_sound(const struct program *program, const struct carrier_call *call)
{
    const struct carrier_leg *leg = &call->leg;
    if (!call->leg_used || !leg->end.opened)
        return;
    if (program->options.out)
        save(program, program->options.out, call->number, leg->playback.heard,
             leg->playback.heard_bytes);
    if (program->options.sent_out)
        save(program, program->options.sent_out, call->number, leg->sent, leg->sent_bytes);
}

static bool went_well(const struct carrier_call *call)
{
    bool stream = call->leg_used && call->leg.end.opened &&
                  (call->leg.end.error == 0 || call->leg.end.error == 31921);
    return call->done && stream && call->final_status &&
           strcmp(call->final_status, "completed") == 0;
}

static int write_report(const struct program *program)
{
    json_t *calls = program->rest ? carrier_rest_report(program->rest) : json_array();
    unsigned well = 0;
    uint64_t sent = 0, late = 0;
    for (unsigned i = 0; i < program->begun; i++) {
        const struct carrier_call *call = &program->calls[i];
        json_array_append_new(calls, carrier_call_report(call));
        well += went_well(call) ? 1 : 0;
        sent += call->leg.frames_sent;
        late += call->leg.frames_late;
    }
    json_t *report = json_pack("{s:o, s:i, s:i, s:I, s:I}", "calls", calls, "placed",
                               (int)program->begun, "well", (int)well, "frames_sent",
                               (json_int_t)sent, "frames_late", (json_int_t)late);
    const char *path = program->options.json;
    if (path && strcmp(path, "-") == 0) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (path && json_dump_file(report, path, JSON_INDENT(2)) != 0) {
        fprintf(stderr, "practice-carrier: cannot write %s\n", path);
    }
    json_decref(report);
    if (!program->options.quiet && program->options.calls > 1)
        printf("%u calls, %u went well; %llu frames sent, %llu late\n", program->begun, well,
               (unsigned long long)sent, (unsigned long long)late);
    return well == program->begun ? 0 : 1;
}

static int run(struct program *program)
{
    struct carrier *carrier = &program->carrier;
    carrier->options = &program->options;
    carrier->done = call_done;
    carrier->loop = peer_loop_open();
    carrier->tls = peer_tls_client(program->options.ca_file);
    program->calls = calloc(program->options.calls, sizeof *program->calls);
    if (!carrier->loop || !carrier->tls || !program->calls) {
        fprintf(stderr, "practice-carrier: cannot set up\n");
        return 2;
    }
    watch_signals(program);
    carrier->begun_ns = peer_loop_now_ns(carrier->loop);
    program->next = (struct peer_timer){.fire = begin_next, .owner = program};
    if (program->options.rest) {
        program->rest = carrier_rest_open(carrier);
        if (!program->rest)
            return 2;
        printf("ready\n");
        fflush(stdout);
    } else {
        begin_next(program);
    }
    peer_loop_run(carrier->loop);
    int status = write_report(program);
    for (unsigned i = 0; i < program->begun; i++)
        save_sound(program, &program->calls[i]);
    peer_timer_clear(carrier->loop, &program->next);
    peer_watch_close(program->signals);
    peer_loop_close(carrier->loop);
    for (unsigned i = 0; i < program->begun; i++)
        carrier_call_close(&program->calls[i]);
    if (program->rest)
        carrier_rest_close(program->rest);
    peer_tls_close(carrier->tls);
    close(program->signal_fd);
    free(program->calls);
    return status;
}

int main(int argc, char **argv)
{
    static struct program program;
    block_signals();
    int status = carrier_options_read(argc, argv, &program.options);
    if (status < 0)
        status = run(&program);
    carrier_options_close(&program.options);
    return status;
}
