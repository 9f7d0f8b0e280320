#include "bench/load/load.h"

#include "common/clock.h"
#include "common/panic.h"

#include <openssl/evp.h>
#include <stdio.h>

#define SLACK_SAMPLES 40 /* 5 ms: what a resampler may hold back */

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
    uint8_t frame[sizeof text + PEER_FRAME_HEADER_BYTES];
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
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
    size_t frame_bytes = peer_frame_write(frame, PEER_TEXT, span_from(text, (size_t)bytes), mask);
    peer_ws_send_prebuilt(call->carrier, span_from(frame, frame_bytes));
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
                     const uint64_t *sent_ns, unsigned kept, struct histogram *histogram,
                     uint64_t *late)
{
    uint64_t now = clock_monotonic_ns();
    way->received += samples;
    while (way->received + slack >= (way->settled + 1) * unit &&
           (way->settled + 1) * unit <= way->sent) {
        uint64_t number = way->settled++;
        if (number < way->first_measured || number >= way->end_measured)
            continue;
        uint64_t ns = now - sent_ns[number % kept];
        histogram_add(histogram, ns);
        *late += ns > LOAD_LATE_NS ? 1 : 0;
    }
}

/* A frame passed through untouched says whose it is and which. */
static void check_frame(struct load_call *call, struct span payload)
{
    struct load_figures *figures = &call->load->figures;
    if (payload.bytes != 216)
        return;
    uint64_t index = read_number(payload.data, 4), number = read_number(payload.data + 4, 4);
    if (index != call->index || number != (call->expected_frame & 0xffffff))
        figures->wrong_frames++;
    call->expected_frame = number + 1;
}

bool load_up_receive(struct load_call *call, struct span text)
{
    bool appended = true; /* by the edge; otherwise a carrier's own message */
    struct span payload = load_text_after(text, "\"audio\":\"");
    if (!payload.data) {
        payload = load_text_after(text, "\"payload\":\"");
        appended = false;
    }
    if (!payload.data)
        return false;
    bool pcm = appended && call->load->options.pcm;
    size_t bytes = load_base64_bytes(payload);
    if (!pcm)
        check_frame(call, payload);
    load_way_arrive(&call->up, pcm ? bytes / 6 : bytes, LOAD_FRAME_SAMPLES, pcm ? SLACK_SAMPLES : 0,
                    call->up_sent_ns, LOAD_FRAMES_KEPT, &call->load->figures.up,
                    &call->load->figures.up_late);
    return true;
}
