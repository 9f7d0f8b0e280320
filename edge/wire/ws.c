#include "edge/wire/ws.h"

#include "common/cold.h"
#include "common/panic.h"
#include "edge/limits.h"
#include "edge/wire/assembly.h"
#include "edge/wire/utf8.h"

#include <stddef.h>
#include <stdlib.h>
#include <wslay/wslay.h>

#define HEAD_BYTES_MAX    14 /* 2, a length of 8, a mask of 4 */
#define MASK_BYTES        4
#define CONTROL_BYTES_MAX 125
#define CODE_NO_STATUS    1005

/* What a usual frame needs is one line of memory. */
struct ws {
    _Alignas(CACHE_LINE_BYTES) enum ws_role role;
    enum fault fault; /* the stream is broken for good */
    uint32_t message_bytes_max;
    uint32_t message_bytes; /* announced so far */
    uint32_t left;          /* payload bytes of the frame at hand that are still to come */
    unsigned fragments, fragments_max;
    uint8_t mask[MASK_BYTES];
    struct assembly *assembly;

    uint8_t head[HEAD_BYTES_MAX]; /* of the frame that is coming */
    uint8_t head_bytes;
    uint8_t opcode; /* of the frame at hand */
    bool in_frame, final;
    uint8_t message_opcode; /* the message that its frames make; 0: none has begun */
    struct utf8 utf8;
    bool closed;    /* the peer said CLOSE */
    bool delivered; /* the assembly's text was handed out: drop it next time */

    uint8_t control_bytes;
    uint8_t control[CONTROL_BYTES_MAX]; /* a control frame that comes in pieces */
};

_Static_assert(offsetof(struct ws, control_bytes) <= CACHE_LINE_BYTES, "one line");

/* wslay's reader, one per thread: it is between two frames whenever we are not inside read_head,
 * so connections need none of their own (4 KiB each). */
static _Thread_local struct {
    wslay_frame_context_ptr context;
    unsigned users;
    struct span head;      /* bytes it will be shown */
    uint64_t payload_left; /* bytes it will be told of */
} reader;

/* wslay asks for bytes. A payload is only counted here, not copied: without a mask bit wslay looks
 * at none of it. */
static ssize_t show(uint8_t *buffer, size_t room, int flags, void *context)
{
    (void)flags;
    (void)context;
    if (reader.head.bytes) {
        size_t bytes = reader.head.bytes;
        assert(bytes <= room);
        memcpy(buffer, reader.head.data, bytes);
        reader.head = (struct span){0};
        return (ssize_t)bytes;
    }
    size_t bytes = reader.payload_left < room ? (size_t)reader.payload_left : room;
    reader.payload_left -= bytes;
    return bytes ? (ssize_t)bytes : -1;
}

static bool reader_ready(void)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback = show};
    return reader.context || wslay_frame_context_init(&reader.context, &callbacks, NULL) == 0;
}

/* After a frame that was refused: the reader waits for the rest of it and for nothing else. */
static void reader_drop(void)
{
    wslay_frame_context_free(reader.context);
    reader.context = NULL;
}

struct ws *ws_open(enum ws_role role, size_t message_bytes_max)
{
    assert(message_bytes_max <= UINT32_MAX);
    struct ws *ws = aligned_alloc(CACHE_LINE_BYTES, sizeof *ws);
    if (!ws || !reader_ready()) {
        free(ws);
        return NULL;
    }
    *ws = (struct ws){.role = role,
                      .message_bytes_max = (uint32_t)message_bytes_max,
                      .fragments_max = WS_FRAGMENTS_MAX};
    reader.users++;
    return ws;
}

size_t ws_footprint_bytes(void)
{
    return sizeof(struct ws);
}

void ws_allow_fragments(struct ws *ws, unsigned fragments_max)
{
    assert(fragments_max > 0);
    ws->fragments_max = fragments_max;
}

void ws_close(struct ws *ws)
{
    if (!ws)
        return;
    assert(reader.users > 0);
    assembly_drop(&ws->assembly);
    free(ws);
    if (--reader.users == 0) {
        reader_drop();
        assembly_store_empty();
    }
}

/* ---- heads ---- */

COLD static bool fail(struct ws *ws, enum fault fault)
{
    assert(ws->fault == FAULT_NONE && fault != FAULT_NONE);
    ws->fault = fault;
    assembly_drop(&ws->assembly);
    return false;
}

static bool is_control(uint8_t opcode)
{
    return opcode & 8;
}

/* What wslay takes without a word. */
static enum fault judge_bits(const struct ws *ws)
{
    uint8_t opcode = ws->head[0] & 0x0f;
    bool masked = ws->head[1] & 0x80;
    if (ws->head[0] & 0x70 || (opcode > WS_BINARY && opcode < WS_CLOSE) || opcode > WS_PONG)
        return FAULT_ws_reserved;
    if (ws->role == WS_SERVER && !masked)
        return FAULT_ws_unmasked;
    if (ws->role == WS_CLIENT && masked)
        return FAULT_ws_masked;
    return FAULT_NONE;
}

/* The frame's place in its message, and the bounds. Nothing was taken for it yet. */
static enum fault judge_place(struct ws *ws, const struct wslay_frame_iocb *frame)
{
    if (is_control(frame->opcode))
        return FAULT_NONE;
    bool begins = frame->opcode != WSLAY_CONTINUATION_FRAME;
    if (begins == (ws->message_opcode != 0))
        return FAULT_ws_fragment;
    if (frame->payload_length > ws->message_bytes_max - ws->message_bytes)
        return FAULT_ws_too_large;
    if (ws->fragments == ws->fragments_max)
        return FAULT_ws_too_many_fragments;
    assert(!begins || utf8_may_end(&ws->utf8)); /* the text before it ended well */
    if (begins)
        ws->message_opcode = frame->opcode;
    ws->fragments++;
    ws->message_bytes += (uint32_t)frame->payload_length;
    return FAULT_NONE;
}

/* wslay reads the head, shown as that of an unmasked frame, and judges lengths and control frames.
 * It speaks only when a first payload byte is there, so it is told of one before it came. */
static enum fault read_head(struct ws *ws, struct wslay_frame_iocb *frame)
{
    uint8_t shown[HEAD_BYTES_MAX];
    memcpy(shown, ws->head, ws->head_bytes);
    shown[1] &= 0x7f;
    if (!reader_ready())
        return FAULT_no_capacity;
    reader.head = span_from(shown, ws->head_bytes);
    reader.payload_left = 1;
    ssize_t taken = wslay_frame_recv(reader.context, frame);
    reader.head = (struct span){0};
    if (taken < 0)
        return is_control(ws->head[0] & 0x0f) ? FAULT_ws_control : FAULT_ws_length;
    return FAULT_NONE;
}

/* Tells wslay of the rest of the payload, which brings it to the next frame's head. The frame was
 * judged before, so the length is within the message's bound. */
static void skip_payload(const struct wslay_frame_iocb *first)
{
    struct wslay_frame_iocb part;
    reader.payload_left = first->payload_length - first->data_length;
    while (reader.payload_left) {
        ssize_t taken = wslay_frame_recv(reader.context, &part);
        assert(taken > 0);
    }
}

/* Length known: the frame is judged before its mask has come. */
static bool begin_frame(struct ws *ws)
{
    struct wslay_frame_iocb frame;
    enum fault fault = read_head(ws, &frame);
    if (!fault)
        fault = judge_place(ws, &frame);
    if (fault) {
        reader_drop();
        return fail(ws, fault);
    }
    skip_payload(&frame);
    ws->final = frame.fin;
    ws->opcode = frame.opcode;
    ws->left = (uint32_t)frame.payload_length; /* judged: within the bound, or a control frame's */
    return true;
}

/* Bytes up to and including the length, once the second one is there. */
static size_t length_end(const struct ws *ws)
{
    uint8_t length = ws->head[1] & 0x7f;
    return 2u + (length == 127 ? 8 : length == 126 ? 2 : 0);
}

/* Takes bytes of the head until there are so many. False when there is more to come. */
static bool fill_head(struct ws *ws, struct span *input, size_t bytes)
{
    if (ws->head_bytes >= bytes)
        return true;
    size_t wanted = bytes - ws->head_bytes;
    size_t taken = wanted < input->bytes ? wanted : input->bytes;
    if (taken == 0)
        return false;
    memcpy(ws->head + ws->head_bytes, input->data, taken);
    *input = span_from(input->data + taken, input->bytes - taken);
    ws->head_bytes = (uint8_t)(ws->head_bytes + taken);
    return taken == wanted;
}

/* Takes a frame's head, judging each part once, as soon as it is there. False when there is more to
 * come, or on a fault. */
static bool take_head(struct ws *ws, struct span *input)
{
    size_t before = ws->head_bytes;
    if (!fill_head(ws, input, 2))
        return false;
    enum fault fault = before < 2 ? judge_bits(ws) : FAULT_NONE;
    if (fault)
        return fail(ws, fault);
    size_t end = length_end(ws);
    if (!fill_head(ws, input, end) || (before < end && !begin_frame(ws)))
        return false;
    size_t mask_bytes = ws->role == WS_SERVER ? MASK_BYTES : 0;
    if (!fill_head(ws, input, end + mask_bytes))
        return false;
    memcpy(ws->mask, ws->head + end, mask_bytes);
    ws->head_bytes = 0;
    ws->in_frame = true;
    return true;
}

/* ---- payloads ---- */

/* Turns the mask so that it fits the byte that follows so many masked ones. */
static void turn_mask(uint8_t mask[MASK_BYTES], size_t bytes)
{
    uint8_t turned[MASK_BYTES];
    for (size_t i = 0; i < MASK_BYTES; i++)
        turned[i] = mask[(bytes + i) % MASK_BYTES];
    memcpy(mask, turned, MASK_BYTES);
}

/* Takes what is there of the frame's payload, in clear. */
static struct span take_slice(struct ws *ws, struct span *input)
{
    size_t bytes = ws->left < input->bytes ? ws->left : input->bytes;
    struct span slice = span_from(input->data, bytes);
    if (ws->role == WS_SERVER && bytes) {
        ws_mask((uint8_t *)(uintptr_t)slice.data, bytes, ws->mask);
        turn_mask(ws->mask, bytes);
    }
    if (bytes)
        *input = span_from(input->data + bytes, input->bytes - bytes);
    ws->left -= (uint32_t)bytes;
    ws->in_frame = ws->left > 0;
    return slice;
}

/* True when a message is whole. */
static bool take_data(struct ws *ws, struct span *input, struct ws_message *message)
{
    struct span slice = take_slice(ws, input);
    bool whole = ws->final && !ws->in_frame;
    if (ws->message_opcode == WS_TEXT &&
        (!utf8_take(&ws->utf8, slice) || (whole && !utf8_may_end(&ws->utf8))))
        return fail(ws, FAULT_ws_utf8);
    bool direct = whole && !ws->assembly;
    if (!direct && slice.bytes && !assembly_add(&ws->assembly, slice))
        return fail(ws, FAULT_no_capacity);
    if (!whole)
        return false;
    *message = (struct ws_message){.opcode = ws->message_opcode,
                                   .body = direct ? slice : assembly_text(ws->assembly)};
    ws->delivered = true;
    ws->message_opcode = 0;
    ws->message_bytes = 0;
    ws->fragments = 0;
    return true;
}

bool ws_close_code_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static bool read_close(struct ws *ws, struct ws_message *message)
{
    struct span body = message->body;
    ws->closed = true;
    message->close_code = CODE_NO_STATUS;
    if (body.bytes == 0)
        return true;
    if (body.bytes == 1)
        return fail(ws, FAULT_ws_close_code);
    message->close_code = (uint16_t)(body.data[0] << 8 | body.data[1]);
    message->body = span_from(body.data + 2, body.bytes - 2);
    if (!ws_close_code_valid(message->close_code))
        return fail(ws, FAULT_ws_close_code);
    return utf8_valid(message->body) || fail(ws, FAULT_ws_utf8);
}

/* True when a control frame is whole. It may stand between the pieces of a message. */
static bool take_control(struct ws *ws, struct span *input, struct ws_message *message)
{
    struct span slice = take_slice(ws, input);
    bool direct = !ws->in_frame && ws->control_bytes == 0;
    if (!direct && slice.bytes) {
        assert(ws->control_bytes + slice.bytes <= CONTROL_BYTES_MAX);
        memcpy(ws->control + ws->control_bytes, slice.data, slice.bytes);
        ws->control_bytes = (uint8_t)(ws->control_bytes + slice.bytes);
    }
    if (ws->in_frame)
        return false;
    *message = (struct ws_message){
        .opcode = ws->opcode, .body = direct ? slice : span_from(ws->control, ws->control_bytes)};
    ws->control_bytes = 0;
    return ws->opcode != WS_CLOSE || read_close(ws, message);
}

enum decode ws_next(struct ws *ws, struct span *input, struct ws_message *message,
                    enum fault *fault)
{
    if (ws->delivered) {
        assembly_drop(&ws->assembly);
        ws->delivered = false;
    }
    if (ws->closed && !ws->fault && input->bytes)
        *input = span_from(input->data + input->bytes, 0);
    while (!ws->fault && !ws->closed) {
        if (!ws->in_frame && !take_head(ws, input))
            break;
        if (is_control(ws->opcode) ? take_control(ws, input, message)
                                   : take_data(ws, input, message))
            return DECODE_DONE;
        if (ws->in_frame && input->bytes == 0)
            break;
    }
    *fault = ws->fault;
    return ws->fault ? DECODE_BAD : DECODE_MORE;
}

/* ---- what we say ---- */

size_t ws_header_bytes(enum ws_role role, size_t payload_bytes)
{
    size_t length_bytes = payload_bytes < 126 ? 0 : payload_bytes <= UINT16_MAX ? 2 : 8;
    return 2 + length_bytes + (role == WS_CLIENT ? MASK_BYTES : 0);
}

void ws_header_write(uint8_t *out, enum ws_role role, enum ws_opcode opcode, size_t payload_bytes,
                     const uint8_t mask[4])
{
    assert(!is_control((uint8_t)opcode) || payload_bytes <= CONTROL_BYTES_MAX);
    size_t bytes = ws_header_bytes(WS_SERVER, payload_bytes);
    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = (uint8_t)(bytes == 2 ? payload_bytes : bytes == 4 ? 126 : 127);
    for (size_t i = bytes; i-- > 2; payload_bytes >>= 8)
        out[i] = (uint8_t)payload_bytes;
    if (role == WS_CLIENT) {
        out[1] |= 0x80;
        memcpy(out + bytes, mask, MASK_BYTES);
    }
}

void ws_mask(uint8_t *payload, size_t payload_bytes, const uint8_t mask[4])
{
    typedef uint32_t lanes __attribute__((vector_size(32)));
    uint32_t word;
    size_t at = 0;
    memcpy(&word, mask, sizeof word);
    lanes words = word - (lanes){0};
    for (; at + sizeof words <= payload_bytes; at += sizeof words) {
        lanes part;
        memcpy(&part, payload + at, sizeof part);
        part ^= words;
        memcpy(payload + at, &part, sizeof part);
    }
    for (; at + sizeof word <= payload_bytes; at += sizeof word) {
        uint32_t part;
        memcpy(&part, payload + at, sizeof part);
        part ^= word;
        memcpy(payload + at, &part, sizeof part);
    }
    for (size_t i = 0; at < payload_bytes; at++, i++)
        payload[at] ^= mask[i];
}
