#include "common/panic.h"
#include "edge/limits.h"
#include "tests/wire/oracle.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#define CONTROL_BYTES_MAX 125

static void digest_bytes(struct ws_story *story, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < count; i++)
        story->digest = (story->digest ^ at[i]) * 0x100000001b3u;
}

static void note(struct ws_story *story, unsigned opcode, uint16_t code, struct span body)
{
    story->messages++;
    digest_bytes(story, &opcode, sizeof opcode);
    digest_bytes(story, &code, sizeof code);
    digest_bytes(story, &body.bytes, sizeof body.bytes);
    digest_bytes(story, body.data, body.bytes);
    if (opcode == WS_CLOSE) {
        story->closed = true;
        story->close_code = code;
    }
}

/* ---- ours ---- */

static uint32_t draw(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

/* One slice, in an allocation of its own size. */
static void read_slice(struct ws *ws, struct span slice, struct ws_story *story)
{
    uint8_t *copy = malloc(slice.bytes ? slice.bytes : 1);
    assert(copy);
    if (slice.bytes)
        memcpy(copy, slice.data, slice.bytes);
    struct span input = span_from(copy, slice.bytes);
    struct ws_message message;
    enum fault fault;
    enum decode decode;
    while ((decode = ws_next(ws, &input, &message, &fault)) == DECODE_DONE)
        note(story, message.opcode, message.close_code, message.body);
    if (decode == DECODE_BAD) {
        story->fault = fault;
        story->broken = fault_close(fault);
        assert(story->broken != 0);
    } else {
        assert(input.bytes == 0);
    }
    free(copy);
}

struct ws_story ws_story_ours(enum ws_role role, size_t message_bytes_max, struct span stream,
                              uint32_t seed)
{
    struct ws_story story = {0};
    struct ws *ws = ws_open(role, message_bytes_max);
    assert(ws);
    do {
        size_t bytes = stream.bytes;
        if (seed) {
            uint32_t scale = draw(&seed) % 4; /* mostly tiny slices, some larger */
            bytes = draw(&seed) % (1u << (scale * 4 + 1));
        }
        if (bytes > stream.bytes)
            bytes = stream.bytes;
        read_slice(ws, span_from(stream.data, bytes), &story);
        stream = span_from(stream.data + bytes, stream.bytes - bytes);
    } while (stream.bytes && !story.fault);
    ws_close(ws);
    return story;
}

/* ---- wslay ---- */

struct teller {
    struct span input, more;
    struct ws_story story;
};

static ssize_t give(wslay_event_context_ptr context, uint8_t *buffer, size_t room, int flags,
                    void *user)
{
    struct teller *teller = user;
    (void)flags;
    if (teller->input.bytes == 0) {
        teller->input = teller->more;
        teller->more.bytes = 0;
    }
    if (teller->input.bytes == 0) {
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t bytes = teller->input.bytes < room ? teller->input.bytes : room;
    memcpy(buffer, teller->input.data, bytes);
    teller->input = span_from(teller->input.data + bytes, teller->input.bytes - bytes);
    return (ssize_t)bytes;
}

static ssize_t swallow(wslay_event_context_ptr context, const uint8_t *data, size_t bytes,
                       int flags, void *user)
{
    (void)context;
    (void)data;
    (void)flags;
    (void)user;
    return (ssize_t)bytes;
}

static int no_mask(wslay_event_context_ptr context, uint8_t *buffer, size_t bytes, void *user)
{
    (void)context;
    (void)user;
    memset(buffer, 0, bytes);
    return 0;
}

static void hear(wslay_event_context_ptr context, const struct wslay_event_on_msg_recv_arg *arg,
                 void *user)
{
    struct teller *teller = user;
    (void)context;
    uint16_t code = 0;
    struct span body = span_from(arg->msg, arg->msg_length);
    if (arg->opcode == WSLAY_CONNECTION_CLOSE) {
        if (body.bytes == 1) {
            teller->story.broken = WSLAY_CODE_PROTOCOL_ERROR; /* wslay lets half a code pass */
            return;
        }
        code = arg->status_code ? arg->status_code : 1005;
        if (body.bytes)
            body = span_from(body.data + 2, body.bytes - 2); /* it leaves the code in front */
    }
    note(&teller->story, arg->opcode, code, body);
}

struct ws_story ws_story_wslay(enum ws_role role, size_t message_bytes_max, struct span stream,
                               struct span more)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = give,
                                                           .send_callback = swallow,
                                                           .genmask_callback = no_mask,
                                                           .on_msg_recv_callback = hear};
    struct teller teller = {.input = stream, .more = more};
    wslay_event_context_ptr context;
    int failed = role == WS_SERVER ? wslay_event_context_server_init(&context, &callbacks, &teller)
                                   : wslay_event_context_client_init(&context, &callbacks, &teller);
    assert(failed == 0);
    wslay_event_config_set_max_recv_msg_length(context, message_bytes_max);
    bool refused = wslay_event_recv(context) != 0; /* by its frame level, which gives no code */
    while (wslay_event_want_write(context)) {
        failed = wslay_event_send(context);
        assert(failed == 0);
    }
    if (refused)
        teller.story.broken = WSLAY_CODE_PROTOCOL_ERROR;
    else if (!teller.story.broken && !wslay_event_get_read_enabled(context) && !teller.story.closed)
        teller.story.broken = wslay_event_get_status_code_sent(context);
    wslay_event_context_free(context);
    return teller.story;
}

/* ---- both ---- */

static bool rules_differ(const struct ws_story *ours)
{
    return ours->fault == FAULT_ws_too_many_fragments ||
           (ours->closed && ours->close_code >= 1012 && ours->close_code <= 1014);
}

/* A CLOSE with a bad code and a bad reason: we name the code, wslay the reason. */
static bool two_faults(const struct ws_story *ours, const struct ws_story *theirs)
{
    return ours->fault == FAULT_ws_close_code &&
           theirs->broken == WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
}

/* wslay reads the reason of a CLOSE as it comes, we when it is whole: so let it become whole. */
static struct ws_story ours_in_the_end(enum ws_role role, size_t message_bytes_max,
                                       struct span stream)
{
    size_t bytes = stream.bytes + CONTROL_BYTES_MAX;
    uint8_t *longer = calloc(1, bytes);
    assert(longer);
    memcpy(longer, stream.data, stream.bytes);
    struct ws_story story = ws_story_ours(role, message_bytes_max, span_from(longer, bytes), 0);
    free(longer);
    return story;
}

void oracle_judge_ws(enum ws_role role, size_t message_bytes_max, struct span stream, uint32_t seed)
{
    static const uint8_t zeros[16];
    struct ws_story whole = ws_story_ours(role, message_bytes_max, stream, 0);
    struct ws_story sliced = ws_story_ours(role, message_bytes_max, stream, seed);
    assert(whole.messages == sliced.messages && whole.digest == sliced.digest);
    assert(whole.closed == sliced.closed && whole.fault == sliced.fault);
    if (rules_differ(&whole))
        return;
    struct span more = span_from(zeros, whole.fault ? sizeof zeros : 0);
    struct ws_story theirs = ws_story_wslay(role, message_bytes_max, stream, more);
    if (theirs.broken && !whole.fault)
        whole = ours_in_the_end(role, message_bytes_max, stream);
    assert(theirs.messages == whole.messages && theirs.digest == whole.digest);
    assert(theirs.closed == whole.closed);
    assert(theirs.broken == whole.broken || two_faults(&whole, &theirs));
}
