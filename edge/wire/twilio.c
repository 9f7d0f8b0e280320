#include "edge/wire/twilio.h"

#include "common/base64.h"
#include "common/panic.h"
#include "edge/limits.h"
#include "edge/wire/jscan.h"

#define FAST_DIGITS_MAX 15 /* beyond it the long way judges */

enum slot {
    EVENT,
    SEQUENCE,
    STREAM_SID,
    START,
    START_ACCOUNT_SID,
    START_CALL_SID,
    START_STREAM_SID,
    START_FORMAT,
    START_ENCODING,
    START_RATE,
    START_CHANNELS,
    START_PARAMETERS,
    MEDIA,
    MEDIA_TRACK,
    MEDIA_CHUNK,
    MEDIA_TIMESTAMP,
    MEDIA_PAYLOAD,
    MARK,
    MARK_NAME,
    DTMF,
    DTMF_DIGIT,
    SLOTS
};

static const struct jscan_member format_members[] = {
    JSCAN_MEMBER("encoding", START_ENCODING, NULL),
    JSCAN_MEMBER("sampleRate", START_RATE, NULL),
    JSCAN_MEMBER("channels", START_CHANNELS, NULL),
    {0},
};
static const struct jscan_member start_members[] = {
    JSCAN_MEMBER("accountSid", START_ACCOUNT_SID, NULL),
    JSCAN_MEMBER("streamSid", START_STREAM_SID, NULL),
    JSCAN_MEMBER("callSid", START_CALL_SID, NULL),
    JSCAN_MEMBER("mediaFormat", START_FORMAT, format_members),
    JSCAN_MEMBER("customParameters", START_PARAMETERS, NULL),
    {0},
};
static const struct jscan_member media_members[] = {
    JSCAN_MEMBER("track", MEDIA_TRACK, NULL),
    JSCAN_MEMBER("chunk", MEDIA_CHUNK, NULL),
    JSCAN_MEMBER("timestamp", MEDIA_TIMESTAMP, NULL),
    JSCAN_MEMBER("payload", MEDIA_PAYLOAD, NULL),
    {0},
};
static const struct jscan_member mark_members[] = {
    JSCAN_MEMBER("name", MARK_NAME, NULL),
    {0},
};
static const struct jscan_member dtmf_members[] = {
    JSCAN_MEMBER("digit", DTMF_DIGIT, NULL),
    {0},
};
static const struct jscan_member message_members[] = {
    JSCAN_MEMBER("event", EVENT, NULL),          JSCAN_MEMBER("sequenceNumber", SEQUENCE, NULL),
    JSCAN_MEMBER("streamSid", STREAM_SID, NULL), JSCAN_MEMBER("media", MEDIA, media_members),
    JSCAN_MEMBER("start", START, start_members), JSCAN_MEMBER("mark", MARK, mark_members),
    JSCAN_MEMBER("dtmf", DTMF, dtmf_members),    {0},
};

static bool digit_string(const struct jscan_value *value, uint64_t *number)
{
    return value->kind == JSCAN_STRING && jscan_digits(value->text, number);
}

static bool sid(const struct jscan_value *value, struct span *text)
{
    *text = value->text;
    return value->kind == JSCAN_STRING && text->bytes > 0 && text->bytes <= STREAM_SID_BYTES_MAX;
}

/* Ids go back out inside our own JSON and on record: a call begins with words of harmless
 * characters. Later ones need only be equal to these, which the call looks after. */
static bool harmless(struct span text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        uint8_t byte = text.data[i], lower = byte | 0x20;
        if (!(lower >= 'a' && lower <= 'z') && !(byte >= '0' && byte <= '9') && byte != '-' &&
            byte != '_')
            return false;
    }
    return true;
}

static enum fault read_media(const struct jscan_value *values, struct twilio_message *message)
{
    uint64_t chunk;
    if (!jscan_is(&values[MEDIA_TRACK], "inbound") ||
        !digit_string(&values[MEDIA_TIMESTAMP], &message->timestamp_ms) ||
        values[MEDIA_PAYLOAD].kind != JSCAN_STRING)
        return FAULT_stream_field;
    if (values[MEDIA_CHUNK].kind != JSCAN_ABSENT && !digit_string(&values[MEDIA_CHUNK], &chunk))
        return FAULT_stream_field;
    message->payload = values[MEDIA_PAYLOAD].text;
    if (message->payload.bytes > (STREAM_PAYLOAD_BYTES_MAX + 2) / 3 * 4)
        return FAULT_stream_payload_large;
    return FAULT_NONE;
}

static enum fault read_start(const struct jscan_value *values, struct twilio_message *message)
{
    struct span inner_sid;
    if (!sid(&values[START_ACCOUNT_SID], &message->account_sid) ||
        !sid(&values[START_CALL_SID], &message->call_sid) ||
        !sid(&values[START_STREAM_SID], &inner_sid) ||
        !span_equal(inner_sid, message->stream_sid) || !harmless(message->account_sid) ||
        !harmless(message->call_sid) || !harmless(message->stream_sid) ||
        values[START_FORMAT].kind != JSCAN_OBJECT)
        return FAULT_stream_field;
    message->media_format = values[START_FORMAT].text;
    message->parameters = span_of("{}");
    if (values[START_PARAMETERS].kind != JSCAN_ABSENT) {
        if (values[START_PARAMETERS].kind != JSCAN_OBJECT || !values[START_PARAMETERS].strings)
            return FAULT_stream_field;
        message->parameters = values[START_PARAMETERS].text;
    }
    if (!jscan_is(&values[START_ENCODING], "audio/x-mulaw") ||
        values[START_RATE].kind != JSCAN_NUMBER || !span_is(values[START_RATE].text, "8000") ||
        values[START_CHANNELS].kind != JSCAN_NUMBER || !span_is(values[START_CHANNELS].text, "1"))
        return FAULT_stream_format;
    return FAULT_NONE;
}

static enum fault read_mark(const struct jscan_value *values, struct twilio_message *message)
{
    if (values[MARK_NAME].kind != JSCAN_STRING)
        return FAULT_stream_field;
    message->mark_name = values[MARK_NAME].text;
    return FAULT_NONE;
}

static enum fault read_dtmf(const struct jscan_value *values, struct twilio_message *message)
{
    const struct jscan_value *digit = &values[DTMF_DIGIT];
    if (digit->kind != JSCAN_STRING || digit->text.bytes != 1 ||
        !memchr("0123456789*#ABCD", digit->text.data[0], 16))
        return FAULT_stream_field;
    message->digit = (char)digit->text.data[0];
    return FAULT_NONE;
}

static enum twilio_event event_of(const struct jscan_value *event)
{
    static const struct {
        const char *name;
        enum twilio_event event;
    } names[] = {
        {"media", TWILIO_MEDIA}, {"mark", TWILIO_MARK}, {"connected", TWILIO_CONNECTED},
        {"start", TWILIO_START}, {"dtmf", TWILIO_DTMF}, {"stop", TWILIO_STOP},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (jscan_is(event, names[i].name))
            return names[i].event;
    return TWILIO_OTHER;
}

/* ---- media as Twilio writes it ---- */

static bool take(struct span *rest, const char *literal, size_t bytes)
{
    if (rest->bytes < bytes || memcmp(rest->data, literal, bytes) != 0)
        return false;
    *rest = span_from(rest->data + bytes, rest->bytes - bytes);
    return true;
}
#define TAKE(rest, literal) take(rest, literal, sizeof(literal) - 1)

static bool take_digits(struct span *rest, uint64_t *number)
{
    size_t digits = 0;
    *number = 0;
    for (; digits < rest->bytes && digits < FAST_DIGITS_MAX; digits++) {
        uint8_t digit = (uint8_t)(rest->data[digits] - '0');
        if (digit > 9)
            break;
        *number = *number * 10 + digit;
    }
    *rest = span_from(rest->data + digits, rest->bytes - digits);
    return digits > 0;
}

/* payload"},"streamSid":"SID"} and nothing behind it. */
static bool take_end(struct span rest, struct twilio_message *message)
{
    static const char middle[] = "\"},\"streamSid\":\"";
    const size_t middle_bytes = sizeof middle - 1;
    if (rest.bytes < 2 || rest.data[rest.bytes - 1] != '}' || rest.data[rest.bytes - 2] != '"')
        return false;
    const uint8_t *quote = memrchr(rest.data, '"', rest.bytes - 2);
    if (!quote || (size_t)(quote + 1 - rest.data) < middle_bytes ||
        memcmp(quote + 1 - middle_bytes, middle, middle_bytes) != 0)
        return false;
    message->payload = span_from(rest.data, (size_t)(quote + 1 - rest.data) - middle_bytes);
    message->stream_sid = span_from(quote + 1, rest.bytes - 2 - (size_t)(quote + 1 - rest.data));
    return message->stream_sid.bytes > 0 && message->stream_sid.bytes <= STREAM_SID_BYTES_MAX &&
           harmless(message->stream_sid) && base64_valid(message->payload) &&
           message->payload.bytes <= (STREAM_PAYLOAD_BYTES_MAX + 2) / 3 * 4;
}

/* Nearly all messages are media and look alike, so they are told by comparing. One that differs in
 * any byte is read the long way; what is taken here would be read the same there. */
static bool read_usual_media(struct span rest, struct twilio_message *message)
{
    uint64_t chunk;
    message->event = TWILIO_MEDIA;
    message->has_sequence = true;
    return TAKE(&rest, "{\"event\":\"media\",\"sequenceNumber\":\"") &&
           take_digits(&rest, &message->sequence) &&
           TAKE(&rest, "\",\"media\":{\"track\":\"inbound\",\"chunk\":\"") &&
           take_digits(&rest, &chunk) && TAKE(&rest, "\",\"timestamp\":\"") &&
           take_digits(&rest, &message->timestamp_ms) && TAKE(&rest, "\",\"payload\":\"") &&
           take_end(rest, message);
}

/* ---- all of it ---- */

enum fault twilio_read(struct span text, struct twilio_message *message)
{
    *message = (struct twilio_message){.event = TWILIO_OTHER};
    if (read_usual_media(text, message))
        return FAULT_NONE;
    *message = (struct twilio_message){.event = TWILIO_OTHER};
    struct jscan_value values[SLOTS];
    *message = (struct twilio_message){.event = TWILIO_OTHER};
    enum fault fault = jscan_read(text, message_members, values, SLOTS);
    if (fault)
        return fault;
    if (values[EVENT].kind != JSCAN_STRING)
        return FAULT_stream_field;
    message->event = event_of(&values[EVENT]);
    if (message->event == TWILIO_OTHER || message->event == TWILIO_CONNECTED)
        return FAULT_NONE;
    message->has_sequence = values[SEQUENCE].kind != JSCAN_ABSENT;
    if ((message->has_sequence && !digit_string(&values[SEQUENCE], &message->sequence)) ||
        !sid(&values[STREAM_SID], &message->stream_sid))
        return FAULT_stream_field;
    switch (message->event) {
    case TWILIO_MEDIA:
        return read_media(values, message);
    case TWILIO_START:
        return read_start(values, message);
    case TWILIO_MARK:
        return read_mark(values, message);
    case TWILIO_DTMF:
        return read_dtmf(values, message);
    default:
        return FAULT_NONE;
    }
}

/* ---- what we say ---- */

#define MEDIA_HEAD   "{\"event\":\"media\",\"streamSid\":\""
#define MEDIA_MIDDLE "\",\"media\":{\"payload\":\""
#define MEDIA_TAIL   "\"}}"
#define MARK_HEAD    "{\"event\":\"mark\",\"streamSid\":\""
#define MARK_MIDDLE  "\",\"mark\":{\"name\":\""
#define MARK_TAIL    "\"}}"
#define CLEAR_HEAD   "{\"event\":\"clear\",\"streamSid\":\""
#define CLEAR_TAIL   "\"}"

/* Bytes of a literal without its NUL. */
#define LENGTH(literal) (sizeof(literal) - 1)

static uint8_t *put(uint8_t *out, const char *text, size_t bytes)
{
    memcpy(out, text, bytes);
    return out + bytes;
}

static uint8_t *put_span(uint8_t *out, struct span span)
{
    return put(out, (const char *)span.data, span.bytes);
}

size_t twilio_media_bytes(struct span stream_sid, size_t payload_text_bytes)
{
    return LENGTH(MEDIA_HEAD MEDIA_MIDDLE MEDIA_TAIL) + stream_sid.bytes + payload_text_bytes;
}

uint8_t *twilio_media_write(uint8_t *out, struct span stream_sid, size_t payload_text_bytes)
{
    assert(stream_sid.bytes > 0);
    out = put(out, MEDIA_HEAD, LENGTH(MEDIA_HEAD));
    out = put_span(out, stream_sid);
    uint8_t *payload = put(out, MEDIA_MIDDLE, LENGTH(MEDIA_MIDDLE));
    put(payload + payload_text_bytes, MEDIA_TAIL, LENGTH(MEDIA_TAIL));
    return payload;
}

size_t twilio_mark_bytes(struct span stream_sid, struct span name)
{
    return LENGTH(MARK_HEAD MARK_MIDDLE MARK_TAIL) + stream_sid.bytes + name.bytes;
}

void twilio_mark_write(uint8_t *out, struct span stream_sid, struct span name)
{
    assert(stream_sid.bytes > 0 && name.bytes > 0);
    for (size_t i = 0; i < name.bytes; i++)
        assert(name.data[i] >= ' ' && name.data[i] < 0x7f && name.data[i] != '"' &&
               name.data[i] != '\\');
    out = put(out, MARK_HEAD, LENGTH(MARK_HEAD));
    out = put_span(out, stream_sid);
    out = put(out, MARK_MIDDLE, LENGTH(MARK_MIDDLE));
    out = put_span(out, name);
    put(out, MARK_TAIL, LENGTH(MARK_TAIL));
}

size_t twilio_clear_bytes(struct span stream_sid)
{
    return LENGTH(CLEAR_HEAD CLEAR_TAIL) + stream_sid.bytes;
}

void twilio_clear_write(uint8_t *out, struct span stream_sid)
{
    assert(stream_sid.bytes > 0);
    out = put(out, CLEAR_HEAD, LENGTH(CLEAR_HEAD));
    out = put_span(out, stream_sid);
    put(out, CLEAR_TAIL, LENGTH(CLEAR_TAIL));
}
