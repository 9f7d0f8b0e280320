/* ahead: agent audio that is there before the stream has started. The greeting is asked for as soon
 * as the AI is ready, while the carrier is still setting its stream up; what it says until then is
 * kept in the carrier's format and is the first thing that leaves after start.
 *
 * Bound: CALL_AHEAD_BYTES_MAX and CALL_ITEMS_MAX. A greeting that runs beyond it is stopped there,
 * and the AI learns how much of it will be heard. Allocated in steps, given back at start or with
 * the call. */
#include "common/base64.h"
#include "common/clock.h"
#include "common/panic.h"
#include "edge/call/own.h"

#include <stdlib.h>

#define ROOM_STEP     32768
#define MESSAGE_BYTES 8000 /* of one media message: a second */

struct ahead_item {
    char id[HEARD_ID_BYTES_MAX];
    uint32_t content_index;
    size_t bytes;
    bool whole;
};

struct ahead {
    struct ahead_item items[CALL_ITEMS_MAX];
    unsigned count;
    size_t bytes, room;
    bool firm; /* it must be heard whole */
    uint8_t codes[];
};

static struct ahead *with_room(struct ahead *ahead, size_t bytes)
{
    size_t needed = (ahead ? ahead->bytes : 0) + bytes;
    if (ahead && needed <= ahead->room)
        return ahead;
    size_t room = (needed / ROOM_STEP + 1) * ROOM_STEP;
    struct ahead *larger = realloc(ahead, sizeof *ahead + room);
    if (!larger)
        return NULL;
    if (!ahead)
        memset(larger, 0, sizeof *larger);
    larger->room = room;
    return larger;
}

static struct ahead_item *item_of(struct ahead *ahead, struct span id, uint32_t content_index)
{
    if (ahead->count && span_is(id, ahead->items[ahead->count - 1].id))
        return &ahead->items[ahead->count - 1];
    if (ahead->count == CALL_ITEMS_MAX)
        return NULL;
    struct ahead_item *item = &ahead->items[ahead->count];
    *item = (struct ahead_item){.content_index = content_index};
    if (id.bytes == 0 || !span_copy_text(id, item->id, sizeof item->id))
        return NULL;
    ahead->count++;
    return item;
}

enum end ahead_keep(struct calls *calls, struct call *call, const struct realtime_event *delta)
{
    struct down *down = &call->down;
    size_t kept = down->ahead ? down->ahead->bytes : 0;
    size_t most = (size_t)base64_decoded_bytes(delta->audio);
    size_t room = CALL_AHEAD_BYTES_MAX - kept < most ? CALL_AHEAD_BYTES_MAX - kept : most;
    struct ahead *ahead = with_room(down->ahead, room);
    if (!ahead)
        return END_no_capacity;
    down->ahead = ahead;
    struct ahead_item *item = item_of(ahead, delta->item_id, delta->content_index);
    if (!item)
        return call_blame_ai(call, FAULT_ai_event);
    size_t bytes = convert_keep(calls, call, delta->audio, ahead->codes + ahead->bytes, room);
    ahead->bytes += bytes;
    item->bytes += bytes;
    ahead->firm |= speak_is_firm(call, delta->response_id);
    if (ahead->bytes < CALL_AHEAD_BYTES_MAX)
        return END_NONE;
    item->whole = true;
    COUNT(calls->metrics, greetings_cut);
    return interrupt_excess(calls, call, delta, item->bytes);
}

void ahead_whole(struct call *call, struct span item_id)
{
    struct ahead *ahead = call->down.ahead;
    for (unsigned i = 0; ahead && i < ahead->count; i++)
        if (span_is(item_id, ahead->items[i].id))
            ahead->items[i].whole = true;
}

static enum end release_item(struct calls *calls, struct call *call, const struct ahead_item *item,
                             const uint8_t *codes)
{
    for (size_t at = 0; at < item->bytes;) {
        size_t bytes = item->bytes - at < MESSAGE_BYTES ? item->bytes - at : MESSAGE_BYTES;
        TRY(convert_down_codes(calls, call, codes + at, bytes));
        TRY(down_sent(calls, call, span_of(item->id), item->content_index, bytes));
        at += bytes;
    }
    if (!item->whole)
        return END_NONE;
    heard_sent_whole(&call->down.heard, span_of(item->id));
    return down_mark(calls, call, true);
}

enum end ahead_release(struct calls *calls, struct call *call)
{
    struct ahead *ahead = call->down.ahead;
    size_t at = 0;
    if (!ahead)
        return END_NONE;
    assert(call->carrier_state == CARRIER_STARTED);
    for (unsigned i = 0; i < ahead->count; i++) {
        TRY(release_item(calls, call, &ahead->items[i], ahead->codes + at));
        at += ahead->items[i].bytes;
    }
    assert(at == ahead->bytes);
    if (ahead->firm)
        call->speak.firm_until = call->down.heard.sent;
    ahead_close(call);
    uint64_t since_start_ns = clock_monotonic_ns() - io_now_ns(calls->io);
    histogram_add(&calls->metrics->first_audio_ready, since_start_ns / 1000);
    return END_NONE;
}

void ahead_close(struct call *call)
{
    free(call->down.ahead);
    call->down.ahead = NULL;
}
