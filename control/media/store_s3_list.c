#include "control/media/store_s3_list.h"

#include "common/panic.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEPTH_MAX  8
#define TEXT_BYTES STORE_TOKEN_BYTES
#define ROOT       "ListBucketResult"

/* What is read; everything else in the list is passed over. */
enum leaf { LEAF_TRUNCATED, LEAF_TOKEN, LEAF_KEY, LEAF_CHANGED, LEAF_SIZE, LEAF_COUNT, LEAF_NONE };

static const struct {
    const char *name;
    bool of_object; /* stands within Contents */
} leaves[LEAF_COUNT] = {[LEAF_TRUNCATED] = {"IsTruncated", false},
                        [LEAF_TOKEN] = {"NextContinuationToken", false},
                        [LEAF_KEY] = {"Key", true},
                        [LEAF_CHANGED] = {"LastModified", true},
                        [LEAF_SIZE] = {"Size", true}};

struct reading {
    XML_Parser parser;
    const char *prefix, *organization;
    struct store_page *page;
    const char *why; /* it is refused */
    int depth;
    bool in_object;
    enum leaf leaf;
    bool seen[LEAF_COUNT]; /* of the list; of this object */
    char text[TEXT_BYTES];
    size_t bytes;
    char last[TEXT_BYTES]; /* name, ours or not, without the prefix */
    struct store_object object;
};

static void refuse(struct reading *reading, const char *why)
{
    if (!reading->why)
        reading->why = why;
    XML_StopParser(reading->parser, XML_FALSE);
}

/* ---- texts ---- */

/* Digits only, of a size that a signed number holds. */
static bool read_size(const char *text, uint64_t *size)
{
    size_t digits = strspn(text, "0123456789");
    *size = strtoull(text, NULL, 10);
    return digits > 0 && digits < 19 && text[digits] == '\0';
}

/* 2026-11-21T07:50:00.000Z */
static bool read_time_ms(const char *text, int64_t *time_ms)
{
    struct tm tm = {.tm_sec = 0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end)
        return false;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    *time_ms = (int64_t)timegm(&tm) * 1000;
    return strcmp(end, "Z") == 0 && *time_ms > 0;
}

/* The name without the store's prefix, if it is what was asked for and behind all others. */
static void take_key(struct reading *reading)
{
    size_t prefix_bytes = strlen(reading->prefix), bytes = strlen(reading->organization);
    const char *name = reading->text + prefix_bytes;
    if (strncmp(reading->text, reading->prefix, prefix_bytes) != 0 ||
        strncmp(name, reading->organization, bytes) != 0 || name[bytes] != '/')
        refuse(reading, "it lists what was not asked for");
    else if (strcmp(name, reading->last) <= 0)
        refuse(reading, "its names are not in order");
    else
        memcpy(reading->last, name, strlen(name) + 1);
}

static void take_leaf(struct reading *reading)
{
    const char *text = reading->text;
    reading->text[reading->bytes] = '\0';
    if (strlen(text) != reading->bytes)
        refuse(reading, "it holds a NUL");
    else if (reading->leaf == LEAF_KEY)
        take_key(reading);
    else if (reading->leaf == LEAF_CHANGED && !read_time_ms(text, &reading->object.changed_ms))
        refuse(reading, "it gives a time that is none");
    else if (reading->leaf == LEAF_SIZE && !read_size(text, &reading->object.bytes))
        refuse(reading, "it gives a size that is none");
    else if (reading->leaf == LEAF_TOKEN)
        memcpy(reading->page->token, text, reading->bytes + 1);
    else if (reading->leaf == LEAF_TRUNCATED) {
        reading->page->more = strcmp(text, "true") == 0;
        if (!reading->page->more && strcmp(text, "false") != 0)
            refuse(reading, "it does not say whether it is all");
    }
}

static void take_object(struct reading *reading)
{
    struct store_page *page = reading->page;
    char id[UUID_TEXT_BYTES + 1];
    if (!reading->seen[LEAF_KEY] || !reading->seen[LEAF_CHANGED] || !reading->seen[LEAF_SIZE]) {
        refuse(reading, "it lists an object without name, time or size");
    } else if (!media_dir_read(reading->last, reading->organization, id)) {
        page->others++;
    } else if (page->count == STORE_PAGE_OBJECTS) {
        refuse(reading, "it lists more than was asked for");
    } else {
        memcpy(reading->object.key, reading->last, strlen(reading->last) + 1);
        page->objects[page->count++] = reading->object;
    }
}

/* ---- what expat finds ---- */

static enum leaf find_leaf(const struct reading *reading, const char *name)
{
    bool in_place = reading->depth == (reading->in_object ? 3 : 2);
    for (int i = 0; in_place && i < LEAF_COUNT; i++)
        if (leaves[i].of_object == reading->in_object && strcmp(name, leaves[i].name) == 0)
            return (enum leaf)i;
    return LEAF_NONE;
}

static void begin_element(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *reading = context;
    (void)attributes;
    if (reading->leaf != LEAF_NONE)
        refuse(reading, "it has elements where a text should be");
    if (++reading->depth > DEPTH_MAX)
        refuse(reading, "it is too deep");
    if (reading->depth == 1 && strcmp(name, ROOT) != 0)
        refuse(reading, "it is not a list of objects");
    if (reading->depth == 2 && strcmp(name, "Contents") == 0) {
        reading->in_object = true;
        reading->seen[LEAF_KEY] = reading->seen[LEAF_CHANGED] = reading->seen[LEAF_SIZE] = false;
    }
    reading->leaf = find_leaf(reading, name);
    reading->bytes = 0;
    if (reading->leaf == LEAF_NONE)
        return;
    if (reading->seen[reading->leaf])
        refuse(reading, "it says something twice");
    reading->seen[reading->leaf] = true;
}

static void take_text(void *context, const XML_Char *text, int bytes)
{
    struct reading *reading = context;
    if (reading->leaf == LEAF_NONE || reading->why)
        return;
    if ((size_t)bytes >= sizeof reading->text - reading->bytes) {
        refuse(reading, "it holds a text that is too long");
        return;
    }
    memcpy(reading->text + reading->bytes, text, (size_t)bytes);
    reading->bytes += (size_t)bytes;
}

static void end_element(void *context, const XML_Char *name)
{
    struct reading *reading = context;
    (void)name;
    if (reading->why)
        return;
    if (reading->leaf != LEAF_NONE)
        take_leaf(reading);
    reading->leaf = LEAF_NONE;
    if (reading->depth == 2 && reading->in_object && !reading->why) {
        take_object(reading);
        reading->in_object = false;
    }
    reading->depth--;
}

/* Entities of its own could make much of little. */
static void begin_doctype(void *context, const XML_Char *name, const XML_Char *system_id,
                          const XML_Char *public_id, int has_internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal;
    refuse(context, "it has a document type");
}

/* ---- all of it ---- */

static void look_at_whole(struct reading *reading)
{
    struct store_page *page = reading->page;
    if (!reading->seen[LEAF_TRUNCATED])
        refuse(reading, "it does not say whether it is all");
    else if (page->more && !page->token[0])
        refuse(reading, "it says that there is more, and not where");
    else if (page->count > 0)
        memcpy(page->last, page->objects[page->count - 1].key, sizeof page->last);
}

static void parse(struct reading *reading, struct span answer)
{
    XML_Parser parser = reading->parser;
    XML_SetUserData(parser, reading);
    XML_SetElementHandler(parser, begin_element, end_element);
    XML_SetCharacterDataHandler(parser, take_text);
    XML_SetStartDoctypeDeclHandler(parser, begin_doctype);
    if (XML_Parse(parser, (const char *)answer.data, (int)answer.bytes, XML_TRUE) != XML_STATUS_OK)
        refuse(reading, XML_ErrorString(XML_GetErrorCode(parser)));
    else
        look_at_whole(reading);
}

bool store_s3_list_read(struct span answer, const char *prefix, const char *organization,
                        struct store_page *page, char *error, size_t room)
{
    assert(answer.bytes <= INT32_MAX && strlen(page->last) < sizeof page->last);
    struct reading *reading = calloc(1, sizeof *reading);
    XML_Parser parser = XML_ParserCreate(NULL);
    page->count = 0;
    page->others = 0;
    page->more = false;
    page->token[0] = '\0';
    if (reading && parser) {
        *reading = (struct reading){.parser = parser,
                                    .prefix = prefix,
                                    .organization = organization,
                                    .page = page,
                                    .leaf = LEAF_NONE};
        memcpy(reading->last, page->last, strlen(page->last) + 1);
        parse(reading, answer);
    }
    const char *why = reading && parser ? reading->why : "there is no memory for it";
    if (why)
        snprintf(error, room, "the store's list is not one: %s", why);
    if (parser)
        XML_ParserFree(parser);
    free(reading);
    return why == NULL;
}
