#include "tests/practice/carrier_twiml.h"

#include "common/panic.h"

#include <expat.h>

/* Reading in progress: the path of open elements, and the text of the innermost, which may come in
 * pieces with children between them. */
struct reading {
    struct carrier_twiml *twiml;
    XML_Parser parser;
    int open[CARRIER_TWIML_DEPTH_MAX];
    size_t depth;
    char text[CARRIER_TWIML_DEPTH_MAX][CARRIER_TWIML_BYTES_MAX];
    size_t text_bytes[CARRIER_TWIML_DEPTH_MAX];
};

static void refuse(struct reading *reading, unsigned code, const char *why)
{
    if (!reading->twiml->error) {
        reading->twiml->error = why;
        reading->twiml->error_code = code;
    }
    XML_StopParser(reading->parser, XML_FALSE);
}

static const char *keep(struct reading *reading, const char *text, size_t bytes)
{
    struct carrier_twiml *twiml = reading->twiml;
    if (bytes >= sizeof twiml->bytes - twiml->used) {
        refuse(reading, 11750, "more text than a document may hold");
        return "";
    }
    char *kept = twiml->bytes + twiml->used;
    memcpy(kept, text, bytes);
    kept[bytes] = '\0';
    twiml->used += bytes + 1;
    return kept;
}

static void keep_attributes(struct reading *reading, struct carrier_element *element,
                            const char **pairs)
{
    struct carrier_twiml *twiml = reading->twiml;
    element->attribute = twiml->attribute_count;
    for (; pairs[0] && !twiml->error; pairs += 2) {
        if (twiml->attribute_count == CARRIER_TWIML_ATTRIBUTES_MAX) {
            refuse(reading, 12200, "too many attributes");
            return;
        }
        struct carrier_attribute *attribute = &twiml->attributes[twiml->attribute_count++];
        attribute->name = keep(reading, pairs[0], strlen(pairs[0]));
        attribute->value = keep(reading, pairs[1], strlen(pairs[1]));
        element->attribute_count++;
    }
}

static void XMLCALL on_open(void *context, const char *name, const char **pairs)
{
    struct reading *reading = context;
    struct carrier_twiml *twiml = reading->twiml;
    if (reading->depth == 0 && strcmp(name, "Response") != 0) {
        refuse(reading, 12200, "the document's element is not Response");
        return;
    }
    if (reading->depth == CARRIER_TWIML_DEPTH_MAX || twiml->count == CARRIER_TWIML_ELEMENTS_MAX) {
        refuse(reading, 12200, "too many elements, or too deep");
        return;
    }
    struct carrier_element *element = &twiml->elements[twiml->count];
    *element = (struct carrier_element){.text = ""};
    element->name = keep(reading, name, strlen(name));
    element->parent = reading->depth ? reading->open[reading->depth - 1] : -1;
    keep_attributes(reading, element, pairs);
    reading->text_bytes[reading->depth] = 0;
    reading->open[reading->depth++] = (int)twiml->count++;
}

static void XMLCALL on_text(void *context, const char *text, int bytes)
{
    struct reading *reading = context;
    if (reading->depth == 0 || bytes <= 0)
        return;
    size_t level = reading->depth - 1;
    size_t room = CARRIER_TWIML_BYTES_MAX - reading->text_bytes[level];
    if ((size_t)bytes > room) {
        refuse(reading, 11750, "more text than a document may hold");
        return;
    }
    memcpy(reading->text[level] + reading->text_bytes[level], text, (size_t)bytes);
    reading->text_bytes[level] += (size_t)bytes;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void XMLCALL on_close(void *context, const char *name)
{
    (void)name;
    struct reading *reading = context;
    if (reading->twiml->error)
        return;
    assert(reading->depth > 0);
    size_t level = --reading->depth;
    const char *from = reading->text[level], *to = from + reading->text_bytes[level];
    while (from < to && is_blank(*from))
        from++;
    while (to > from && is_blank(to[-1]))
        to--;
    struct carrier_element *element = &reading->twiml->elements[reading->open[level]];
    element->text = keep(reading, from, (size_t)(to - from));
}

/* A DOCTYPE is the door to entity expansion and to outside files. */
static void XMLCALL on_doctype(void *context, const char *name, const char *system_id,
                               const char *public_id, int has_subset)
{
    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    refuse(context, 12100, "a DOCTYPE has no place in TwiML");
}

bool carrier_twiml_read(struct span text, struct carrier_twiml *twiml)
{
    static _Thread_local struct reading reading;
    twiml->count = twiml->attribute_count = twiml->used = 0;
    twiml->error = NULL;
    twiml->error_code = 0;
    if (text.bytes > CARRIER_TWIML_BYTES_MAX) {
        twiml->error = "the body is larger than 64 kB";
        twiml->error_code = 11750;
        return false;
    }
    reading.twiml = twiml;
    reading.depth = 0;
    reading.parser = XML_ParserCreate(NULL);
    assert(reading.parser);
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_open, on_close);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    bool parsed =
        XML_Parse(reading.parser, (const char *)text.data, (int)text.bytes, 1) == XML_STATUS_OK;
    if (!parsed && !twiml->error) {
        twiml->error = XML_ErrorString(XML_GetErrorCode(reading.parser));
        twiml->error_code = 12100;
    }
    XML_ParserFree(reading.parser);
    assert(twiml->error || twiml->count > 0);
    return !twiml->error;
}

int carrier_twiml_next(const struct carrier_twiml *twiml, int parent, int after, const char *name)
{
    for (int i = after + 1; i < (int)twiml->count; i++) {
        const struct carrier_element *element = &twiml->elements[i];
        if (element->parent == parent && (!name || strcmp(element->name, name) == 0))
            return i;
    }
    return -1;
}

const char *carrier_twiml_attribute(const struct carrier_twiml *twiml, int element,
                                    const char *name, const char *fallback)
{
    assert(element >= 0 && (size_t)element < twiml->count);
    const struct carrier_element *of = &twiml->elements[element];
    for (size_t i = 0; i < of->attribute_count; i++)
        if (strcmp(twiml->attributes[of->attribute + i].name, name) == 0)
            return twiml->attributes[of->attribute + i].value;
    return fallback;
}
