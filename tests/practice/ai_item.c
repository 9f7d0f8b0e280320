#include "tests/practice/ai_item.h"

#include "common/panic.h"

#include <stdlib.h>

static void free_item(struct ai_item *item)
{
    json_decref(item->json);
    free(item->audio);
    free(item->heard);
    free(item);
}

void ai_item_clear(struct ai_items *items)
{
    for (size_t i = 0; i < items->count; i++)
        free_item(items->list[i]);
    items->count = items->audio_bytes = 0;
}

static size_t place_of(const struct ai_items *items, const char *id)
{
    for (size_t i = items->count; i-- > 0;)
        if (strcmp(items->list[i]->id, id) == 0)
            return i;
    return SIZE_MAX;
}

struct ai_item *ai_item_find(const struct ai_items *items, const char *id)
{
    size_t place = place_of(items, id);
    return place == SIZE_MAX ? NULL : items->list[place];
}

struct ai_item *ai_item_last(const struct ai_items *items)
{
    return items->count ? items->list[items->count - 1] : NULL;
}

const char *ai_item_before(const struct ai_items *items, const struct ai_item *item)
{
    size_t place = place_of(items, item->id);
    return place == 0 || place == SIZE_MAX ? NULL : items->list[place - 1]->id;
}

struct ai_item *ai_item_add(struct ai_items *items, json_t *json, const char *previous)
{
    size_t place = items->count;
    if (previous)
        place = strcmp(previous, "root") == 0 ? 0 : place_of(items, previous) + 1;
    if (previous && place == 0 && strcmp(previous, "root") != 0) { /* SIZE_MAX + 1 */
        json_decref(json);
        return NULL;
    }
    if (items->count == AI_ITEMS_MAX) {
        ai_item_delete(items, items->list[0]);
        place = place ? place - 1 : 0;
    }
    struct ai_item *item = calloc(1, sizeof *item);
    assert(item);
    item->json = json;
    snprintf(item->id, sizeof item->id, "%s", json_string_value(json_object_get(json, "id")));
    memmove(items->list + place + 1, items->list + place,
            (items->count - place) * sizeof *items->list);
    items->list[place] = item;
    items->count++;
    return item;
}

void ai_item_delete(struct ai_items *items, struct ai_item *item)
{
    size_t place = place_of(items, item->id);
    assert(place != SIZE_MAX && items->list[place] == item);
    items->audio_bytes -= item->audio_bytes;
    free_item(item);
    items->count--;
    memmove(items->list + place, items->list + place + 1,
            (items->count - place) * sizeof *items->list);
}

void ai_item_set_audio(struct ai_items *items, struct ai_item *item, enum ai_format format,
                       struct span audio)
{
    ai_item_cut_audio(items, item, 0);
    item->format = format;
    ai_item_grow_audio(items, item, audio);
}

void ai_item_grow_audio(struct ai_items *items, struct ai_item *item, struct span audio)
{
    for (size_t i = 0; i < items->count; i++)
        if (items->audio_bytes + audio.bytes > AI_ITEM_AUDIO_BYTES_MAX && items->list[i] != item)
            ai_item_cut_audio(items, items->list[i], 0);
    item->audio = realloc(item->audio, item->audio_bytes + audio.bytes + 1);
    assert(item->audio);
    if (audio.bytes)
        memcpy(item->audio + item->audio_bytes, audio.data, audio.bytes);
    item->audio_bytes += audio.bytes;
    items->audio_bytes += audio.bytes;
}

void ai_item_cut_audio(struct ai_items *items, struct ai_item *item, size_t bytes)
{
    if (bytes >= item->audio_bytes)
        return;
    items->audio_bytes -= item->audio_bytes - bytes;
    item->audio_bytes = bytes;
    if (bytes == 0) {
        free(item->audio);
        item->audio = NULL;
    }
}

json_t *ai_item_whole(const struct ai_item *item)
{
    json_t *whole = json_deep_copy(item->json);
    json_t *part = json_array_get(json_object_get(whole, "content"), 0);
    if (!item->audio_bytes || !part)
        return whole;
    char *text = malloc((item->audio_bytes + 2) / 3 * 4 + 1);
    assert(text);
    size_t bytes = ai_audio_base64(span_from(item->audio, item->audio_bytes), text);
    json_object_set_new(part, "audio", json_stringn(text, bytes));
    free(text);
    return whole;
}
