#include "tests/practice/carrier_misdeed.h"

#include "common/panic.h"
#include "tests/practice/carrier_leg.h"

#include <stdio.h>

static void send_text(struct carrier_leg *leg, const char *text)
{
    peer_ws_send(leg->conn, PEER_TEXT, span_of(text));
}

static void send_number_fields(struct carrier_leg *leg)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"event\":\"media\",\"sequenceNumber\":%llu,\"media\":{\"track\":\"inbound\","
             "\"chunk\":%llu,\"timestamp\":1000,\"payload\":\"//8=\"},\"streamSid\":\"%s\"}",
             (unsigned long long)++leg->stream.sequence, (unsigned long long)++leg->stream.chunk,
             leg->stream.stream_sid);
    send_text(leg, text);
}

static void send_bad_base64(struct carrier_leg *leg)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"event\":\"media\",\"sequenceNumber\":\"%llu\",\"media\":{\"track\":\"inbound\","
             "\"chunk\":\"%llu\",\"timestamp\":\"1000\",\"payload\":\"//\\u0041=$$8=\"},"
             "\"streamSid\":\"%s\"}",
             (unsigned long long)++leg->stream.sequence, (unsigned long long)++leg->stream.chunk,
             leg->stream.stream_sid);
    send_text(leg, text);
}

static void send_deep_json(struct carrier_leg *leg)
{
    static char text[20001];
    memset(text, '[', sizeof text - 1);
    send_text(leg, text);
}

static void send_second_start(struct carrier_leg *leg)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    size_t bytes = carrier_message_start(&leg->stream, leg->parameters, leg->parameter_count, text);
    peer_ws_send(leg->conn, PEER_TEXT, span_from(text, bytes));
}

static void send_unmasked(struct carrier_leg *leg)
{
    uint8_t frame[PEER_FRAME_HEADER_BYTES + 64];
    size_t bytes = peer_frame_write(frame, PEER_TEXT, span_of("{\"event\":\"unmasked\"}"), NULL);
    peer_send_raw(leg->conn, span_from(frame, bytes));
}

/* Wrong streamSid in a message otherwise right. */
static void send_foreign_media(struct carrier_leg *leg)
{
    char text[CARRIER_MESSAGE_BYTES_MAX];
    struct carrier_stream foreign = leg->stream;
    carrier_sid("MZ", foreign.stream_sid);
    size_t bytes = carrier_message_media(&foreign, 1000, span_from("\xff\xff", 2), text);
    leg->stream.sequence++;
    leg->stream.chunk++;
    peer_ws_send(leg->conn, PEER_TEXT, span_from(text, bytes));
}

void carrier_misdeed_send(struct carrier_leg *leg)
{
    const bool *misdeeds = leg->options->misdeeds;
    assert(leg->conn && !leg->misdone);
    leg->misdone = true;
    if (misdeeds[MISDEED_SECOND_START])
        send_second_start(leg);
    if (misdeeds[MISDEED_WRONG_STREAM_SID])
        send_foreign_media(leg);
    if (misdeeds[MISDEED_BINARY_FRAME])
        peer_ws_send(leg->conn, PEER_BINARY, span_from("\0\1\2\3", 4));
    if (misdeeds[MISDEED_BAD_BASE64])
        send_bad_base64(leg);
    if (misdeeds[MISDEED_BAD_JSON])
        send_text(leg, "{\"event\":\"media\",");
    if (misdeeds[MISDEED_DEEP_JSON])
        send_deep_json(leg);
    if (misdeeds[MISDEED_NUMBERS])
        send_number_fields(leg);
    if (misdeeds[MISDEED_UNMASKED])
        send_unmasked(leg);
    if (misdeeds[MISDEED_BAD_UTF8]) /* masked with zeros: {"event":"\xc3("} */
        peer_send_raw(leg->conn, span_from("\x81\x90\0\0\0\0{\"event\":\"\xc3(\xff\"}", 22));
    if (misdeeds[MISDEED_HUGE_FRAME])
        peer_send_raw(leg->conn, span_from("\x81\xff\x40\0\0\0\0\0\0\0\0\0\0\0{}", 16));
}

void carrier_misdeed_forge(char *target)
{
    size_t bytes = strlen(target);
    if (bytes < 2)
        return;
    /* Not the last: of a base64 text without padding its low bits may say nothing. */
    char *character = &target[bytes - 2];
    *character = *character == 'A' ? 'B' : 'A';
}
