/* twiml: any bytes as text and as attribute. An XML parser must read back exactly the input with
 * wrong bytes replaced and forbidden characters dropped. */
#include "common/panic.h"
#include "control/base/utf8.h"
#include "control/carrier/twiml.h"

#include <expat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define ROOM 16384

struct seen {
    char text[ROOM], attribute[ROOM];
    size_t bytes;
};

static void on_start(void *context, const char *name, const char **attributes)
{
    struct seen *seen = context;
    if (strcmp(name, "Say") != 0)
        return;
    assert(attributes[0] && !attributes[2] && strlen(attributes[1]) < ROOM);
    memcpy(seen->attribute, attributes[1], strlen(attributes[1]) + 1);
}

static void on_text(void *context, const char *text, int bytes)
{
    struct seen *seen = context;
    assert(seen->bytes + (size_t)bytes < ROOM);
    memcpy(seen->text + seen->bytes, text, (size_t)bytes);
    seen->bytes += (size_t)bytes;
    seen->text[seen->bytes] = '\0';
}

static void expect_from(struct span input, char expected[ROOM])
{
    static char clean[ROOM];
    size_t written = 0, bytes = utf8_clean(input, clean, sizeof clean);
    struct span rest = span_from(clean, bytes);
    while (rest.bytes) {
        uint32_t character;
        size_t used = utf8_read(rest, &character);
        bool control =
            character < 0x20 && character != '\t' && character != '\n' && character != '\r';
        assert(used);
        if (!control && character != 0xfffe && character != 0xffff) {
            memcpy(expected + written, rest.data, used);
            written += used;
        }
        rest = span_from(rest.data + used, rest.bytes - used);
    }
    expected[written] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char document[TWIML_BYTES_MAX], attribute[ROOM], expected[ROOM];
    static struct seen seen;
    if (bytes > 4096)
        return 0;
    utf8_clean(span_from(data, bytes), attribute, sizeof attribute);
    struct twiml twiml;
    twiml_open(&twiml, document, sizeof document);
    twiml_begin(&twiml, "Say");
    twiml_attribute(&twiml, "voice", attribute);
    twiml_text(&twiml, span_from(data, bytes));
    twiml_end(&twiml);
    size_t written = twiml_close(&twiml);
    assert(written > 0 && strlen(document) == written);
    seen.bytes = 0;
    seen.text[0] = '\0';
    XML_Parser parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, &seen);
    XML_SetElementHandler(parser, on_start, NULL);
    XML_SetCharacterDataHandler(parser, on_text);
    enum XML_Status status = XML_Parse(parser, document, (int)written, 1);
    assert(status == XML_STATUS_OK);
    XML_ParserFree(parser);
    expect_from(span_from(data, bytes), expected);
    assert(strcmp(seen.text, expected) == 0);
    assert(strcmp(seen.attribute, expected) == 0);
    return 0;
}
