#include "bench/load/load.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <stdio.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void load_up_prepare(struct load *load)
{
    /* A quiet tone: nothing that a voice detector would take for speech. */
    uint8_t frame[LOAD_FRAME_SAMPLES];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = i % 16 < 8 ? 0xf8 : 0x78;
    EVP_EncodeBlock((unsigned char *)load->payload, frame, sizeof frame);
}

/* 18 bits as three characters and 24 bits as four: six bits each. */
static void write_number(char *text, uint64_t number, unsigned characters)
{
    for (unsigned i = 0; i < characters; i++)
        text[i] = alphabet[number >> (6 * i) & 63];
}

static uint64_t read_number(const uint8_t *text, unsigned characters)
{
    uint64_t number = 0;
    for (unsigned i = characters; i-- > 0;) {
        const char *place = strchr(alphabet, text[i]);
        number = number << 6 | (uint64_t)(place ? place - alphabet : 0);
    }
    return number;
}

void load_up_send(struct load_call *call, uint64_t now_ns)
{
    struct load *load = call->load;
    uint64_t number = call->up.sent / LOAD_FRAME_SAMPLES;
    char text[512];
    write_number(load->payload, call->index, 4);
    write_number(load->payload + 4, number, 4);
    int bytes = snprintf(
        text, sizeof text,
        "{\"event\":\"media\",\"sequenceNumber\":\"%llu\",\"media\":{\"track\":\"inbound\","
        "\"chunk\":\"%llu\",\"timestamp\":\"%llu\",\"payload\":\"%s\"},\"streamSid\":\"%s\"}",
        (unsigned long long)++call->stream.sequence, (unsigned long long)++call->stream.chunk,
        (unsigned long long)(60 + 20 * number), load->payload, call->stream.stream_sid);
    assert(bytes > 0 && (size_t)bytes < sizeof text);
    call->up_sent_ns[number % LOAD_FRAMES_KEPT] = now_ns;
    call->up.sent += LOAD_FRAME_SAMPLES;
    wire_send(&call->carrier.side, span_from(text, (size_t)bytes));
}

struct span load_text_after(struct span text, const char *key)
{
    size_t key_bytes = strlen(key);
    size_t look = text.bytes < 400 ? text.bytes : 400;
    const uint8_t *at = memmem(text.data, look, key, key_bytes);
    if (!at)
        return (struct span){0};
    at += key_bytes;
    size_t left = text.bytes - (size_t)(at - text.data);
    const uint8_t *end = memchr(at, '"', left);
    return end ? span_from(at, (size_t)(end - at)) : (struct span){0};
}

size_t load_base64_bytes(struct span text)
{
    size_t bytes = text.bytes / 4 * 3;
    for (size_t i = 1; i <= 2 && i <= text.bytes && text.data[text.bytes - i] == '='; i++)
        bytes--;
    return bytes;
}

void load_way_arrive(struct load_way *way, uint64_t samples, unsigned unit, unsigned slack,
                     const uint64_t *sent_ns, unsigned kept, uint64_t at_ns,
                     struct histogram *histogram, uint64_t *late)
{
    way->received += samples;
    while (way->received + slack >= (way->settled + 1) * unit &&
           (way->settled + 1) * unit <= way->sent) {
        uint64_t number = way->settled++;
        if (number < way->first_measured || number >= way->end_measured)
            continue;
        uint64_t sent_at_ns = sent_ns[number % kept];
        uint64_t ns = at_ns > sent_at_ns ? at_ns - sent_at_ns : 0; /* the wall clock was set */
        histogram_add(histogram, ns);
        *late += ns > LOAD_LATE_NS ? 1 : 0;
    }
}

/* A frame passed through untouched says whose it is and which: what it skips is lost, and those
 * behind it keep their own times. False: it is not this call's, or older than what has come. */
static bool check_number(struct load_call *call, struct span payload, uint64_t frames)
{
    struct load_figures *figures = &call->load->figures;
    uint64_t index = read_number(payload.data, 4), number = read_number(payload.data + 4, 4);
    uint64_t skipped = (number - call->expected_frame) & 0xffffff;
    if (index != call->index || skipped != 0)
        figures->wrong_frames++;
    if (index != call->index ||
        (call->expected_frame + skipped) * LOAD_FRAME_SAMPLES > call->up.sent)
        return false;
    call->expected_frame += skipped + frames;
    call->up.lost += skipped * LOAD_FRAME_SAMPLES;
    call->up.received += skipped * LOAD_FRAME_SAMPLES;
    call->up.settled += skipped;
    return true;
}

/* An AI connection is known by the first frame that comes through it. */
static bool claim(struct load_leg *leg, struct span payload)
{
    struct load *load = leg->load;
    uint64_t index = payload.bytes >= 8 ? read_number(payload.data, 4) : UINT64_MAX;
    if (index >= load->begun || load->calls[index].model) {
        load->figures.wrong_frames++;
        return false;
    }
    load_leg_claim(leg, &load->calls[index]);
    return true;
}

void load_up_receive(struct load_leg *leg, struct span text, uint64_t at_ns)
{
    struct load *load = leg->load;
    struct span payload = load_text_after(text, "\"audio\":\"");
    bool pcm = load->options.pcm && payload.data; /* otherwise a carrier's own message */
    if (!payload.data)
        payload = load_text_after(text, "\"payload\":\"");
    if (!payload.data || (!leg->call && !claim(leg, payload)))
        return;
    struct load_call *call = leg->call;
    size_t samples = load_base64_bytes(payload) / (pcm ? 6 : 1);
    uint64_t frames = samples / LOAD_FRAME_SAMPLES;
    if (!pcm && payload.bytes >= 8 && samples % LOAD_FRAME_SAMPLES == 0 &&
        !check_number(call, payload, frames))
        return;
    load_call_established(call);
    if (load->measuring && !load_call_short(call)) {
        load->figures.appends++;
        load->figures.joined += frames > 1 ? frames : 0;
    }
    load_way_arrive(&call->up, samples, LOAD_FRAME_SAMPLES, pcm ? LOAD_SLACK_SAMPLES : 0,
                    call->up_sent_ns, LOAD_FRAMES_KEPT, at_ns, &load->figures.up,
                    &load->figures.up_late);
}
