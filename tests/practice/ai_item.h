/* ai_item: the conversation, in order.
 *
 * Owner: the list owns its items; a pointer is good until the next change of the list.
 * Thread: the loop's. Bounds: AI_ITEMS_MAX items, AI_ITEM_AUDIO_BYTES_MAX of sound in all; the
 * oldest lose theirs first. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_AI_ITEM_H
#define RINGBRIDGE_TESTS_PRACTICE_AI_ITEM_H

#include "tests/practice/ai.h"
#include "tests/practice/ai_audio.h"

#include <jansson.h>

#define AI_ITEMS_MAX            2048
#define AI_ITEM_AUDIO_BYTES_MAX (32u << 20)

struct ai_item {
    char id[AI_ID_BYTES];
    json_t *json; /* as sent in events: no audio */
    uint8_t *audio;
    size_t audio_bytes;
    enum ai_format format;
    char *heard; /* user audio: what the practice AI understood */
};

struct ai_items {
    struct ai_item *list[AI_ITEMS_MAX];
    size_t count;
    size_t audio_bytes;
};

void ai_item_clear(struct ai_items *items);

/* NULL when there is none of that id. */
struct ai_item *ai_item_find(const struct ai_items *items, const char *id);
struct ai_item *ai_item_last(const struct ai_items *items);

/* Id of the item before this one, or NULL. */
const char *ai_item_before(const struct ai_items *items, const struct ai_item *item);

/* Adds an item (json is stolen, its "id" is the item's) after the one called previous ("root":
 * first, NULL: last). NULL when previous is unknown, and json is freed. */
struct ai_item *ai_item_add(struct ai_items *items, json_t *json, const char *previous);
void ai_item_delete(struct ai_items *items, struct ai_item *item);

/* Gives an item its sound (copied), adds to it, or cuts it to so many bytes. */
void ai_item_set_audio(struct ai_items *items, struct ai_item *item, enum ai_format format,
                       struct span audio);
void ai_item_grow_audio(struct ai_items *items, struct ai_item *item, struct span audio);
void ai_item_cut_audio(struct ai_items *items, struct ai_item *item, size_t bytes);

/* The item with its sound in it, as conversation.item.retrieved shows it. New reference. */
json_t *ai_item_whole(const struct ai_item *item);

#endif
