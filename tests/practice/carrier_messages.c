#include "tests/practice/carrier_messages.h"

#include "common/panic.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static size_t length_of(int written)
{
    assert(written > 0 && written < CARRIER_MESSAGE_BYTES_MAX);
    return (size_t)written;
}

/* For the rare messages: whatever jansson writes of an object, which it frees. */
static size_t dump(json_t *object, char *text)
{
    assert(object);
    size_t bytes = json_dumpb(object, text, CARRIER_MESSAGE_BYTES_MAX, JSON_COMPACT);
    json_decref(object);
    assert(bytes > 0 && bytes <= CARRIER_MESSAGE_BYTES_MAX);
    return bytes;
}

static const char *next_sequence(struct carrier_stream *stream, char digits[24])
{
    snprintf(digits, 24, "%llu", (unsigned long long)++stream->sequence);
    return digits;
}

size_t carrier_message_connected(char *text)
{
    return length_of(snprintf(text, CARRIER_MESSAGE_BYTES_MAX, "%s",
                              "{\"event\":\"connected\",\"protocol\":\"Call\","
                              "\"version\":\"1.0.0\"}"));
}

size_t carrier_message_start(struct carrier_stream *stream,
                             const struct carrier_parameter *parameters, size_t count, char *text)
{
    char digits[24];
    json_t *custom = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(custom, parameters[i].name, json_string(parameters[i].value));
    return dump(
        json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:[s], s:{s:s, s:i, s:i}, s:o}, s:s}", "event",
                  "start", "sequenceNumber", next_sequence(stream, digits), "start", "accountSid",
                  stream->account_sid, "streamSid", stream->stream_sid, "callSid", stream->call_sid,
                  "tracks", "inbound", "mediaFormat", "encoding", "audio/x-mulaw", "sampleRate",
                  8000, "channels", 1, "customParameters", custom, "streamSid", stream->stream_sid),
        text);
}

size_t carrier_message_media(struct carrier_stream *stream, uint64_t timestamp_ms,
                             struct span codes, char *text)
{
    assert(codes.bytes <= 8000);
    char payload[12000];
    EVP_EncodeBlock((unsigned char *)payload, codes.data, (int)codes.bytes);
    return length_of(snprintf(
        text, CARRIER_MESSAGE_BYTES_MAX,
        "{\"event\":\"media\",\"sequenceNumber\":\"%llu\",\"media\":{\"track\":\"inbound\","
        "\"chunk\":\"%llu\",\"timestamp\":\"%llu\",\"payload\":\"%s\"},\"streamSid\":\"%s\"}",
        (unsigned long long)++stream->sequence, (unsigned long long)++stream->chunk,
        (unsigned long long)timestamp_ms, payload, stream->stream_sid));
}

size_t carrier_message_dtmf(struct carrier_stream *stream, char digit, char *text)
{
    return length_of(
        snprintf(text, CARRIER_MESSAGE_BYTES_MAX,
                 "{\"event\":\"dtmf\",\"streamSid\":\"%s\",\"sequenceNumber\":\"%llu\","
                 "\"dtmf\":{\"track\":\"inbound_track\",\"digit\":\"%c\"}}",
                 stream->stream_sid, (unsigned long long)++stream->sequence, digit));
}

size_t carrier_message_mark(struct carrier_stream *stream, const char *name, char *text)
{
    char digits[24];
    return dump(json_pack("{s:s, s:s, s:s, s:{s:s}}", "event", "mark", "sequenceNumber",
                          next_sequence(stream, digits), "streamSid", stream->stream_sid, "mark",
                          "name", name),
                text);
}

size_t carrier_message_stop(struct carrier_stream *stream, char *text)
{
    char digits[24];
    return dump(json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "event", "stop", "sequenceNumber",
                          next_sequence(stream, digits), "streamSid", stream->stream_sid, "stop",
                          "accountSid", stream->account_sid, "callSid", stream->call_sid),
                text);
}

/* ---- what a server sends ---- */

/* Canonical base64 only: what decodes must encode to the same text again. */
static bool decode_payload(const char *text, size_t characters, struct carrier_incoming *message)
{
    if (characters % 4 != 0 || characters > (16u << 20))
        return false;
    uint8_t *codes = malloc(characters + 1);
    uint8_t *again = malloc(characters + 1);
    assert(codes && again);
    size_t bytes = characters / 4 * 3;
    for (size_t i = 0; i < 2 && characters && text[characters - 1 - i] == '='; i++)
        bytes--;
    bool good = characters == 0 ||
                EVP_DecodeBlock(codes, (const unsigned char *)text, (int)characters) >= 0;
    if (good && characters) {
        EVP_EncodeBlock(again, codes, (int)bytes);
        good = memcmp(again, text, characters) == 0;
    }
    free(again);
    if (!good) {
        free(codes);
        return false;
    }
    message->codes = codes;
    message->bytes = bytes;
    return true;
}

static const char *read_media(const json_t *root, struct carrier_incoming *message)
{
    const json_t *media = json_object_get(root, "media");
    const json_t *payload = json_object_get(media, "payload");
    if (json_object_size(root) != 3 || json_object_size(media) != 1 || !json_is_string(payload))
        return "media must have event, streamSid and media.payload, nothing else";
    if (!decode_payload(json_string_value(payload), json_string_length(payload), message))
        return "media.payload is not base64";
    message->kind = CARRIER_MEDIA;
    return NULL;
}

static const char *read_mark(const json_t *root, struct carrier_incoming *message)
{
    const json_t *mark = json_object_get(root, "mark");
    const json_t *name = json_object_get(mark, "name");
    if (json_object_size(root) != 3 || json_object_size(mark) != 1 || !json_is_string(name))
        return "mark must have event, streamSid and mark.name, nothing else";
    message->kind = CARRIER_MARK;
    message->mark = strdup(json_string_value(name));
    assert(message->mark);
    return NULL;
}

static const char *read_object(const struct carrier_stream *stream, const json_t *root,
                               struct carrier_incoming *message)
{
    const char *event = json_string_value(json_object_get(root, "event"));
    const char *sid = json_string_value(json_object_get(root, "streamSid"));
    if (!event)
        return "it has no event";
    if (!sid || strcmp(sid, stream->stream_sid) != 0)
        return "its streamSid is missing or not this stream's";
    if (strcmp(event, "media") == 0)
        return read_media(root, message);
    if (strcmp(event, "mark") == 0)
        return read_mark(root, message);
    if (strcmp(event, "clear") != 0)
        return "its event is none that a server may send";
    if (json_object_size(root) != 2)
        return "clear must have event and streamSid, nothing else";
    message->kind = CARRIER_CLEAR;
    return NULL;
}

void carrier_incoming_read(const struct carrier_stream *stream, struct span text,
                           struct carrier_incoming *message)
{
    *message = (struct carrier_incoming){.kind = CARRIER_INVALID};
    json_error_t error;
    json_t *root = json_loadb((const char *)text.data, text.bytes, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root))
        message->why = "it is not a JSON object";
    else
        message->why = read_object(stream, root, message);
    if (message->why)
        message->kind = CARRIER_INVALID;
    json_decref(root);
}

void carrier_incoming_free(struct carrier_incoming *message)
{
    free(message->codes);
    free(message->mark);
    message->codes = NULL;
    message->mark = NULL;
}

void carrier_sid(const char *prefix, char sid[CARRIER_SID_BYTES + 1])
{
    unsigned char random[16];
    int made = RAND_bytes(random, sizeof random);
    assert(made == 1 && strlen(prefix) == 2);
    memcpy(sid, prefix, 2);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(sid + 2 + 2 * i, 3, "%02x", random[i]);
}
