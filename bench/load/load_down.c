#include "bench/load/load.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 16384

void load_down_prepare(struct load *load)
{
    size_t bytes = load->options.pcm ? LOAD_DELTA_SAMPLES * 6 : LOAD_DELTA_SAMPLES;
    uint8_t *audio = calloc(1, bytes);
    load->delta_tail = malloc(bytes * 4 / 3 + 64);
    assert(audio && load->delta_tail);
    for (size_t i = 0; i < bytes; i++) /* a square wave, loud enough to be one */
        audio[i] = load->options.pcm ? (uint8_t)(i % 2 ? (i / 48 % 2 ? 0x10 : 0xf0) : 0)
                                     : (uint8_t)(i / 8 % 2 ? 0xa0 : 0x20);
    int encoded = EVP_EncodeBlock((unsigned char *)load->delta_tail, audio, (int)bytes);
    strcpy(load->delta_tail + encoded, "\"}");
    load->delta_tail_bytes = (size_t)encoded + 2;
    free(audio);
}

static void say(struct load_call *call, const char *text, size_t bytes)
{
    assert(bytes <= TEXT_MAX);
    wire_send(&call->model->side, span_from(text, bytes));
}

/* One event of a response; %1$u and %2$u are the call's and the response's numbers. */
#define RESPONSE "\"response_id\":\"resp_load%1$uR%2$u\""
#define ITEM     "\"item_id\":\"item_load%1$uR%2$u\""
#define PLACE    "\"output_index\":0,\"content_index\":0"
#define ITEM_BODY(status)                                                                          \
    "{\"id\":\"item_load%1$uR%2$u\",\"object\":\"realtime.item\",\"type\":\"message\","            \
    "\"status\":\"" status "\",\"role\":\"assistant\",\"content\":[]}"

static const char *const opening[] = {
    "{\"type\":\"response.created\",\"event_id\":\"event_%1$uR%2$ua\",\"response\":{\"object\":"
    "\"realtime.response\",\"id\":\"resp_load%1$uR%2$u\",\"status\":\"in_progress\","
    "\"status_details\":null,\"output\":[],\"usage\":null}}",
    "{\"type\":\"response.output_item.added\",\"event_id\":\"event_%1$uR%2$ub\"," RESPONSE
    ",\"output_index\":0,\"item\":" ITEM_BODY("in_progress") "}",
    "{\"type\":\"response.content_part.added\",\"event_id\":\"event_%1$uR%2$uc\"," RESPONSE "," ITEM
    "," PLACE ",\"part\":{\"type\":\"audio\",\"transcript\":\"\"}}"};

static const char *const closing[] = {
    "{\"type\":\"response.output_audio.done\",\"event_id\":\"event_%1$uR%2$ud\"," RESPONSE "," ITEM
    "," PLACE "}",
    "{\"type\":\"response.output_audio_transcript.done\",\"event_id\":\"event_%1$uR%2$"
    "ue\"," RESPONSE "," ITEM "," PLACE ",\"transcript\":\"Two seconds of talk.\"}",
    "{\"type\":\"response.output_item.done\",\"event_id\":\"event_%1$uR%2$uf\"," RESPONSE
    ",\"output_index\":0,\"item\":" ITEM_BODY("completed") "}",
    "{\"type\":\"response.done\",\"event_id\":\"event_%1$uR%2$ug\",\"response\":{\"object\":"
    "\"realtime.response\",\"id\":\"resp_load%1$uR%2$u\",\"status\":\"completed\","
    "\"status_details\":null,\"output\":[],\"usage\":{\"total_tokens\":30,\"input_tokens\":10,"
    "\"output_tokens\":20}}}"};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void say_all(struct load_call *call, const char *const *texts, size_t count)
{
    char text[1024];
    for (size_t i = 0; i < count; i++) {
        int bytes = snprintf(text, sizeof text, texts[i], call->index, call->response);
        assert(bytes > 0 && (size_t)bytes < sizeof text);
        say(call, text, (size_t)bytes);
    }
}
#pragma GCC diagnostic pop

static void say_delta(struct load_call *call, uint64_t now_ns)
{
    const struct load *load = call->load;
    char text[TEXT_MAX];
    uint64_t number = call->down.sent / LOAD_DELTA_SAMPLES;
    int bytes = snprintf(text, sizeof text,
                         "{\"type\":\"response.output_audio.delta\",\"event_id\":"
                         "\"event_%uD%llu\",\"response_id\":\"resp_load%uR%u\",\"item_id\":"
                         "\"item_load%uR%u\",\"output_index\":0,\"content_index\":0,\"delta\":\"",
                         call->index, (unsigned long long)number, call->index, call->response,
                         call->index, call->response);
    assert(bytes > 0 && (size_t)bytes + load->delta_tail_bytes <= sizeof text);
    memcpy(text + bytes, load->delta_tail, load->delta_tail_bytes);
    call->down_sent_ns[number % LOAD_DELTAS_KEPT] = now_ns;
    call->down.sent += LOAD_DELTA_SAMPLES;
    say(call, text, (size_t)bytes + load->delta_tail_bytes);
}

/* What has not come after two seconds of silence never will: without this one lost delta would make
 * every later one of its call look a delta late. */
static void write_off(struct load_way *way)
{
    way->settled = way->sent / LOAD_DELTA_SAMPLES;
    if (way->received + LOAD_SLACK_SAMPLES < way->sent) {
        way->lost += way->sent - way->received;
        way->received = way->sent;
    }
}

/* The agent answers a caller: it is silent until it has heard one. Before the stream has started a
 * relay has nobody to play to. */
void load_down_step(struct load_call *call, uint64_t now_ns)
{
    if (!call->model || !call->model->lent || !call->up.received || load_call_short(call))
        return;
    uint64_t step = (call->turn++ + call->index * 37ull) % (2 * LOAD_TALK_FRAMES);
    bool talks = step < LOAD_TALK_FRAMES && !call->load->draining;
    if (talks && !call->responding) {
        call->responding = true;
        call->response++;
        write_off(&call->down);
        say_all(call, opening, sizeof opening / sizeof opening[0]);
    } else if (!talks && call->responding) {
        call->responding = false;
        say_all(call, closing, sizeof closing / sizeof closing[0]);
    }
    if (talks && step % 5 == 0)
        say_delta(call, now_ns);
}

/* ---- the carrier's side ---- */

static void queue_mark(struct load_call *call, struct span name)
{
    char text[LOAD_MARK_BYTES];
    if (call->mark_count == LOAD_MARKS_KEPT || !span_copy_text(name, text, sizeof text))
        return;
    unsigned last = (call->mark_first + call->mark_count++) % LOAD_MARKS_KEPT;
    call->marks[last].due_ns = call->play_end_ns;
    memcpy(call->marks[last].name, text, sizeof text);
}

void load_down_marks(struct load_call *call, uint64_t now_ns)
{
    while (call->mark_count && call->marks[call->mark_first].due_ns <= now_ns) {
        char text[256];
        int bytes = snprintf(text, sizeof text,
                             "{\"event\":\"mark\",\"sequenceNumber\":\"%llu\",\"streamSid\":"
                             "\"%s\",\"mark\":{\"name\":\"%s\"}}",
                             (unsigned long long)++call->stream.sequence, call->stream.stream_sid,
                             call->marks[call->mark_first].name);
        wire_send(&call->carrier.side, span_from(text, (size_t)bytes));
        call->mark_first = (call->mark_first + 1) % LOAD_MARKS_KEPT;
        call->mark_count--;
    }
}

static void take_audio(struct load_call *call, uint64_t samples, unsigned slack, uint64_t at_ns)
{
    if (call->play_end_ns < at_ns)
        call->play_end_ns = at_ns;
    call->play_end_ns += samples * 125000; /* 8 kHz */
    load_way_arrive(&call->down, samples, LOAD_DELTA_SAMPLES, slack, call->down_sent_ns,
                    LOAD_DELTAS_KEPT, at_ns, &call->load->figures.down,
                    &call->load->figures.down_late);
}

void load_down_receive(struct load_call *call, struct span text, uint64_t at_ns)
{
    bool pcm = call->load->options.pcm;
    struct span audio = load_text_after(text, "\"payload\":\"");
    if (audio.data) {
        take_audio(call, load_base64_bytes(audio), pcm ? LOAD_SLACK_SAMPLES : 0, at_ns);
        return;
    }
    audio = load_text_after(text, "\"delta\":\"");
    if (audio.data) { /* the floor passes the AI's own message */
        take_audio(call, load_base64_bytes(audio) / (pcm ? 6 : 1), 0, at_ns);
        return;
    }
    struct span name = load_text_after(text, "\"name\":\"");
    if (name.data) {
        queue_mark(call, name);
    } else if (memmem(text.data, text.bytes, "\"clear\"", 7)) {
        call->play_end_ns = 0; /* all marks are due */
        for (unsigned i = 0; i < call->mark_count; i++)
            call->marks[(call->mark_first + i) % LOAD_MARKS_KEPT].due_ns = 0;
    }
}
