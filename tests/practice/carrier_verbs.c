#include "tests/practice/carrier_verbs.h"

#include "common/panic.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull

static const char *attribute(const struct carrier_call *call, int element, const char *name,
                             const char *fallback)
{
    return carrier_twiml_attribute(call->twiml, element, name, fallback);
}

static bool asks_get(const struct carrier_call *call, int element, const char *name)
{
    return strcasecmp(attribute(call, element, name, "POST"), "GET") == 0;
}

static void timer_fired(void *owner)
{
    carrier_verbs_next(owner);
}

static void next_after(struct carrier_call *call, uint64_t seconds)
{
    call->timer = (struct peer_timer){.fire = timer_fired, .owner = call};
    peer_timer_set(call->carrier->loop, &call->timer,
                   peer_loop_now_ns(call->carrier->loop) + seconds * NS_PER_S);
}

/* ---- the stream ---- */

static void tell_stream_status(struct carrier_call *call, const char *event, const char *error)
{
    struct carrier_form form;
    struct carrier_url url;
    if (!call->stream_callback[0])
        return;
    if (!carrier_url_read(call->stream_callback, &url)) {
        carrier_call_error(call, 11100, "statusCallback is not an absolute URL");
        return;
    }
    carrier_form_begin(&form);
    carrier_form_add(&form, "AccountSid", call->carrier->options->account_sid);
    carrier_form_add(&form, "CallSid", call->call_sid);
    carrier_form_add(&form, "StreamSid", call->leg.stream.stream_sid);
    carrier_form_add(&form, "StreamName",
                     call->stream_name[0] ? call->stream_name : call->leg.stream.stream_sid);
    carrier_form_add(&form, "StreamEvent", event);
    if (error)
        carrier_form_add(&form, "StreamError", error);
    carrier_call_add_iso_time(&form);
    carrier_call_request(call, &url, call->stream_callback_get, &form, event, NULL);
}

static void on_stream_open(void *owner)
{
    struct carrier_call *call = owner;
    carrier_call_tell(call, "stream open after %llu ms (%s)",
                      (unsigned long long)call->leg.connect_ms, call->leg.stream.stream_sid);
    tell_stream_status(call, "stream-started", NULL);
}

static void on_stream_end(void *owner, const struct carrier_leg_end *end)
{
    struct carrier_call *call = owner;
    call->leg_running = false;
    if (end->error) {
        char line[160];
        snprintf(line, sizeof line, "stream: %s%s", end->why,
                 end->status ? " (handshake refused)" : "");
        carrier_call_error(call, end->error, line);
    }
    bool failed = end->error && end->error != 31921;
    tell_stream_status(call, failed ? "stream-error" : "stream-stopped", failed ? end->why : NULL);
    if (end->hung_up || call->caller_gone)
        carrier_call_end(call, "caller", "completed");
    else
        carrier_verbs_next(call);
    carrier_call_check(call);
}

static void on_stream_line(void *owner, const char *line)
{
    carrier_call_tell(owner, "%s", line);
}

static const struct carrier_leg_hooks stream_hooks = {
    .opened = on_stream_open, .ended = on_stream_end, .tell = on_stream_line};

static void take_parameters(struct carrier_call *call, int stream)
{
    struct carrier_leg *leg = &call->leg;
    size_t room = sizeof leg->parameters / sizeof leg->parameters[0];
    for (int at = stream; (at = carrier_twiml_next(call->twiml, stream, at, "Parameter")) >= 0;) {
        const char *name = attribute(call, at, "name", ""),
                   *value = attribute(call, at, "value", "");
        if (strlen(name) + strlen(value) >= 500 || leg->parameter_count == room)
            carrier_call_error(call, 31942, "a Parameter too long, or too many");
        else
            leg->parameters[leg->parameter_count++] =
                (struct carrier_parameter){.name = name, .value = value};
    }
}

/* What Twilio checks before it connects. 0: good. */
static unsigned check_stream(struct carrier_call *call, int stream, struct carrier_url *url)
{
    if (!carrier_url_resolve(&call->document, attribute(call, stream, "url", ""), url))
        return 31923;
    if (strcmp(url->scheme, "https") == 0)
        strcpy(url->scheme, "wss"); /* a relative URL */
    bool loopback = strcmp(url->host, "127.0.0.1") == 0 || strcmp(url->host, "localhost") == 0;
    if (strcmp(url->scheme, "wss") != 0 && !(strcmp(url->scheme, "ws") == 0 && loopback))
        return 31922;
    if (strcmp(attribute(call, stream, "track", "inbound_track"), "inbound_track") != 0)
        return 31941;
    return 0;
}

static void open_stream(void *owner)
{
    struct carrier_call *call = owner;
    call->leg_running = true;
    carrier_leg_open(&call->leg, &call->stream_url);
}

static void connect_stream(struct carrier_call *call, int stream)
{
    struct carrier_url url;
    unsigned error = check_stream(call, stream, &url);
    if (error || call->leg_used) {
        carrier_call_error(call, error ? error : 31941,
                           error ? "the Stream's attributes" : "a second stream in one call");
        next_after(call, 0);
        return;
    }
    if (strchr(url.target, '?'))
        carrier_call_tell(call, "the Stream's URL has a query string, which is dropped");
    carrier_url_drop_query(&url);
    call->leg = (struct carrier_leg){.options = call->carrier->options,
                                     .loop = call->carrier->loop,
                                     .tls = call->carrier->tls,
                                     .hooks = &stream_hooks,
                                     .owner = call};
    struct carrier_stream *identity = &call->leg.stream;
    snprintf(identity->account_sid, sizeof identity->account_sid, "%s",
             call->carrier->options->account_sid);
    memcpy(identity->call_sid, call->call_sid, sizeof identity->call_sid);
    snprintf(call->stream_name, sizeof call->stream_name, "%s",
             attribute(call, stream, "name", ""));
    snprintf(call->stream_callback, sizeof call->stream_callback, "%s",
             attribute(call, stream, "statusCallback", ""));
    call->stream_callback_get = asks_get(call, stream, "statusCallbackMethod");
    take_parameters(call, stream);
    call->leg_used = true;
    call->stream_url = url;
    call->timer = (struct peer_timer){.fire = open_stream, .owner = call};
    peer_timer_set(call->carrier->loop, &call->timer,
                   peer_loop_now_ns(call->carrier->loop) +
                       call->carrier->options->stream_after_ms * 1000000);
}

static void do_connect(struct carrier_call *call, int verb)
{
    int stream = carrier_twiml_next(call->twiml, verb, verb, "Stream");
    carrier_call_answer(call);
    if (stream < 0) {
        carrier_call_error(call, 12200, "Connect without a Stream");
        next_after(call, 0);
    } else if (call->carrier->options->misdeeds[MISDEED_NO_STREAM]) {
        carrier_call_tell(call, "the stream stays away");
        next_after(call, 2);
    } else {
        connect_stream(call, stream);
    }
}

/* ---- the other verbs ---- */

static void do_say(struct carrier_call *call, int verb)
{
    carrier_call_answer(call);
    carrier_call_tell(call, "Twilio says: %s", call->twiml->elements[verb].text);
    next_after(call, 0);
}

static void do_pause(struct carrier_call *call, int verb)
{
    carrier_call_answer(call);
    long seconds = strtol(attribute(call, verb, "length", "1"), NULL, 10);
    next_after(call, seconds > 0 && seconds < 600 ? (uint64_t)seconds : 1);
}

static void do_redirect(struct carrier_call *call, int verb)
{
    struct carrier_form form;
    carrier_call_answer(call);
    carrier_call_fill(call, "in-progress", &form);
    carrier_call_fetch(call, call->twiml->elements[verb].text, asks_get(call, verb, "method"),
                       &form, "redirect");
}

static void do_hangup(struct carrier_call *call, int verb)
{
    (void)verb;
    carrier_call_answer(call);
    carrier_call_end(call, "Hangup", "completed");
}

static void do_reject(struct carrier_call *call, int verb)
{
    bool busy = strcmp(attribute(call, verb, "reason", "rejected"), "busy") == 0;
    carrier_call_end(call, "Reject", busy ? "busy" : "no-answer");
}

/* Nobody answers the second leg: the action says so, or the next verb follows. */
static void do_dial(struct carrier_call *call, int verb)
{
    struct carrier_form form;
    const char *action = attribute(call, verb, "action", NULL);
    int number = carrier_twiml_next(call->twiml, verb, verb, NULL);
    carrier_call_answer(call);
    carrier_call_tell(call, "Twilio dials %s: no answer",
                      call->twiml->elements[number >= 0 ? number : verb].text);
    if (!action) {
        next_after(call, 0);
        return;
    }
    carrier_call_fill(call, "in-progress", &form);
    carrier_form_add(&form, "DialCallStatus", "no-answer");
    carrier_form_add(&form, "DialBridged", "false");
    carrier_call_fetch(call, action, asks_get(call, verb, "method"), &form, "dial-action");
}

/* The callback knows the call by its CallSid only, and comes when the file is ready. */
static void tell_recording(struct carrier_call *call, int verb, const char *sid, const char *where)
{
    struct carrier_form form;
    struct carrier_url url;
    const char *callback = attribute(call, verb, "recordingStatusCallback", NULL);
    if (!callback)
        return;
    if (!carrier_url_read(callback, &url)) {
        carrier_call_error(call, 11100, "recordingStatusCallback is not an absolute URL");
        return;
    }
    carrier_form_begin(&form);
    carrier_form_add(&form, "AccountSid", call->carrier->options->account_sid);
    carrier_form_add(&form, "CallSid", call->call_sid);
    carrier_form_add(&form, "RecordingSid", sid);
    carrier_form_add(&form, "RecordingUrl", where);
    carrier_form_add(&form, "RecordingStatus", "completed");
    carrier_form_add(&form, "RecordingDuration", "3");
    carrier_form_add(&form, "RecordingChannels", "1");
    carrier_form_add(&form, "RecordingSource", "RecordVerb");
    carrier_form_add(&form, "ErrorCode", "0");
    carrier_call_request(call, &url, asks_get(call, verb, "recordingStatusCallbackMethod"), &form,
                         "recording", NULL);
}

/* Three seconds of message, ended by a key. */
static void do_record(struct carrier_call *call, int verb)
{
    struct carrier_form form;
    char sid[CARRIER_SID_BYTES + 1], url[256];
    carrier_call_answer(call);
    carrier_call_tell(call, "Twilio records a message");
    carrier_sid("RE", sid);
    snprintf(url, sizeof url, "https://api.twilio.com/2010-04-01/Accounts/%s/Recordings/%s",
             call->carrier->options->account_sid, sid);
    carrier_call_fill(call, "in-progress", &form);
    carrier_form_add(&form, "RecordingUrl", url);
    carrier_form_add(&form, "RecordingSid", sid);
    carrier_form_add(&form, "RecordingDuration", "3");
    carrier_form_add(&form, "Digits", "#");
    tell_recording(call, verb, sid, url);
    /* Without an action the document at hand is asked for again: Twilio's endless-loop trap. */
    carrier_call_fetch(call, attribute(call, verb, "action", ""), asks_get(call, verb, "method"),
                       &form, "record-action");
}

static void do_nothing(struct carrier_call *call, int verb)
{
    carrier_call_tell(call, "<%s> is not played here", call->twiml->elements[verb].name);
    next_after(call, 0);
}

static const struct {
    const char *name;
    void (*perform)(struct carrier_call *call, int verb);
} verbs[] = {{"Connect", do_connect},   {"Say", do_say},       {"Pause", do_pause},
             {"Redirect", do_redirect}, {"Hangup", do_hangup}, {"Reject", do_reject},
             {"Dial", do_dial},         {"Record", do_record}};

void carrier_verbs_next(struct carrier_call *call)
{
    if (call->ended)
        return;
    assert(call->twiml && !call->leg_running);
    call->verb = carrier_twiml_next(call->twiml, 0, call->verb, NULL);
    if (call->verb < 0) {
        carrier_call_answer(call);
        carrier_call_end(call, "end of document", "completed");
        return;
    }
    const char *name = call->twiml->elements[call->verb].name;
    json_array_append_new(call->verbs, json_string(name));
    carrier_call_tell(call, "verb <%s>", name);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            verbs[i].perform(call, call->verb);
            return;
        }
    }
    do_nothing(call, call->verb);
}
