#include "edge/call/heard.h"

#include "common/panic.h"

#include <stdlib.h>

#define TEXT_ROOM_STEP 512

void heard_open(struct heard *heard)
{
    memset(heard, 0, sizeof *heard);
}

void heard_close(struct heard *heard)
{
    for (unsigned i = 0; i < heard->items_count; i++)
        free(heard->items[i].text);
    heard->items_count = 0;
}

static struct heard_item *find(struct heard *heard, struct span item_id)
{
    for (unsigned i = heard->items_count; i-- > 0;)
        if (span_is(item_id, heard->items[i].id))
            return &heard->items[i];
    return NULL;
}

static void remove_row(struct heard *heard, unsigned row)
{
    assert(row < heard->items_count);
    free(heard->items[row].text);
    heard->items_count--;
    memmove(&heard->items[row], &heard->items[row + 1],
            (heard->items_count - row) * sizeof heard->items[0]);
}

/* Not every AI says in words what it speaks: there is nothing to tell of what is over. */
static bool is_wordless(const struct heard *heard, const struct heard_item *item)
{
    bool over = item->cut || (item->sent_whole && item->start + item->samples <= heard->anchor);
    return over && item->text_bytes == 0;
}

/* The oldest row that has been told, or else that never got a word, makes room. */
static bool make_room(struct heard *heard)
{
    if (heard->items_count < CALL_ITEMS_MAX)
        return true;
    unsigned row = 0;
    while (row < heard->items_count && !heard->items[row].told)
        row++;
    if (row == heard->items_count)
        for (row = 0; row < heard->items_count; row++)
            if (is_wordless(heard, &heard->items[row]))
                break;
    if (row == heard->items_count)
        return false;
    remove_row(heard, row);
    return true;
}

static struct heard_item *find_or_add(struct heard *heard, struct span item_id)
{
    struct heard_item *item = find(heard, item_id);
    if (item)
        return item;
    if (item_id.bytes == 0 || item_id.bytes >= HEARD_ID_BYTES_MAX || !make_room(heard))
        return NULL;
    item = &heard->items[heard->items_count];
    memset(item, 0, sizeof *item);
    if (!span_copy_text(item_id, item->id, sizeof item->id))
        return NULL;
    item->start = heard->sent;
    heard->items_count++;
    return item;
}

uint64_t heard_playhead(const struct heard *heard, uint64_t now)
{
    uint64_t elapsed = now > heard->anchor_time ? now - heard->anchor_time : 0;
    uint64_t position = heard->anchor + elapsed;
    return position < heard->sent ? position : heard->sent;
}

bool heard_playing(const struct heard *heard, uint64_t now)
{
    return heard_playhead(heard, now) < heard->sent;
}

bool heard_sent(struct heard *heard, struct span item_id, uint32_t content_index, uint64_t samples,
                uint64_t now, int64_t wall_ms)
{
    struct heard_item *item = find_or_add(heard, item_id);
    if (!item || item->cut || item->told)
        return false;
    if (item->samples == 0) {
        item->start = heard->sent;
        item->content_index = content_index;
        item->began_at_ms = wall_ms;
    }
    if (!heard_playing(heard, now)) { /* into an empty buffer: playing starts now */
        heard->anchor = heard->sent;
        heard->anchor_time = now;
    }
    item->samples += samples;
    heard->sent += samples;
    return true;
}

void heard_sent_whole(struct heard *heard, struct span item_id)
{
    struct heard_item *item = find(heard, item_id);
    if (item)
        item->sent_whole = true;
}

uint64_t heard_samples(struct heard *heard, struct span item_id)
{
    const struct heard_item *item = find(heard, item_id);
    return item ? item->samples : 0;
}

static bool grow_text(struct heard_item *item, size_t bytes)
{
    if (item->text && bytes <= item->text_room)
        return true;
    size_t room = (bytes / TEXT_ROOM_STEP + 1) * TEXT_ROOM_STEP;
    char *text = realloc(item->text, room);
    if (!text)
        return false;
    item->text = text;
    item->text_room = room;
    return true;
}

bool heard_text(struct heard *heard, struct span item_id, struct span text, bool whole)
{
    struct heard_item *item = find_or_add(heard, item_id);
    if (!item)
        return false;
    if (item->text_whole)
        return true; /* a second final text changes nothing */
    size_t kept = whole ? 0 : item->text_bytes;
    if (kept + text.bytes > HEARD_TEXT_BYTES_MAX)
        return true;
    if (!grow_text(item, kept + text.bytes))
        return false;
    if (text.bytes)
        memcpy(item->text + kept, text.data, text.bytes);
    item->text_bytes = kept + text.bytes;
    item->text_whole = whole;
    return true;
}

bool heard_mark_due(const struct heard *heard, bool at_end)
{
    uint64_t unmarked = heard->sent - heard->marked;
    if (heard->mark_next - heard->mark_first >= CALL_MARKS_MAX)
        return false;
    return unmarked >= (at_end ? 1 : CALL_MARK_EVERY_MS * HEARD_SAMPLES_PER_MS);
}

uint32_t heard_mark(struct heard *heard)
{
    assert(heard->mark_next - heard->mark_first < CALL_MARKS_MAX);
    heard->mark_positions[heard->mark_next % CALL_MARKS_MAX] = heard->sent;
    heard->marked = heard->sent;
    return heard->mark_next++;
}

bool heard_echo(struct heard *heard, uint32_t number, uint64_t now)
{
    uint32_t ahead = number - heard->mark_first;
    if (ahead >= heard->mark_next - heard->mark_first)
        return false;
    heard->anchor = heard->mark_positions[number % CALL_MARKS_MAX];
    heard->anchor_time = now;
    heard->mark_first = number + 1;
    assert(heard->anchor <= heard->sent);
    return true;
}

static uint64_t heard_of(const struct heard_item *item, uint64_t playhead)
{
    if (playhead <= item->start)
        return 0;
    uint64_t heard = playhead - item->start;
    return heard < item->samples ? heard : item->samples;
}

unsigned heard_interrupt(struct heard *heard, uint64_t now, struct heard_item *cut[CALL_ITEMS_MAX])
{
    uint64_t playhead = heard_playhead(heard, now);
    unsigned count = 0;
    for (unsigned i = 0; i < heard->items_count; i++) {
        struct heard_item *item = &heard->items[i];
        bool played_out = item->sent_whole && playhead >= item->start + item->samples;
        if (item->cut || item->told || played_out || item->samples == 0)
            continue;
        item->heard = heard_of(item, playhead);
        item->cut = true;
        cut[count++] = item;
    }
    heard->sent = heard->marked = heard->anchor = playhead;
    heard->anchor_time = now;
    heard->mark_first = heard->mark_next;
    return count;
}

void heard_done(struct heard *heard)
{
    for (unsigned i = 0; i < heard->items_count; i++) {
        struct heard_item *item = &heard->items[i];
        item->sent_whole |= item->samples > 0; /* else its audio may be kept until the start */
        item->text_whole |= item->text_bytes > 0;
    }
}

void heard_abandon(struct heard *heard)
{
    for (unsigned i = 0; i < heard->items_count; i++) {
        struct heard_item *item = &heard->items[i];
        item->sent_whole = item->text_whole = item->foreign = true;
    }
}

struct heard_item *heard_tellable(struct heard *heard, uint64_t now, bool finish)
{
    uint64_t playhead = heard_playhead(heard, now);
    for (unsigned i = 0; i < heard->items_count; i++) {
        struct heard_item *item = &heard->items[i];
        bool played_out = item->sent_whole && playhead >= item->start + item->samples;
        bool ready = item->text_whole && (item->cut || played_out);
        if (item->told || !(ready || (finish && (item->text_bytes || item->samples))))
            continue;
        if (!item->cut)
            item->heard = heard_of(item, playhead);
        return item;
    }
    return NULL;
}

void heard_told(struct heard *heard, struct heard_item *item)
{
    assert(item >= heard->items && item < heard->items + heard->items_count);
    assert(!item->told);
    item->told = true;
    free(item->text);
    item->text = NULL;
    item->text_bytes = item->text_room = 0;
}
