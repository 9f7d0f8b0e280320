#include "control/carrier/twiml.h"

#include "common/panic.h"
#include "control/base/utf8.h"

#include <stdio.h>

static void put(struct twiml *twiml, const void *data, size_t bytes)
{
    if (twiml->full || bytes >= twiml->room - twiml->bytes) {
        twiml->full = true; /* one byte is kept for the NUL */
        return;
    }
    memcpy(twiml->text + twiml->bytes, data, bytes);
    twiml->bytes += bytes;
}

static void put_text(struct twiml *twiml, const char *text)
{
    put(twiml, text, strlen(text));
}

/* XML 1.0, production [2]. */
static bool allowed(uint32_t character)
{
    if (character < 0x20)
        return character == '\t' || character == '\n' || character == '\r';
    return character != 0xfffe && character != 0xffff;
}

/* What stands for a character in text and in attributes alike; NULL: itself. Line ends and tabs are
 * written as references, because a parser would turn them into blanks inside an attribute. */
static const char *reference_of(uint32_t character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\t':
        return "&#9;";
    case '\n':
        return "&#10;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

static void put_encoded(struct twiml *twiml, struct span text)
{
    while (text.bytes && !twiml->full) {
        uint32_t character;
        size_t bytes = utf8_read(text, &character);
        const char *reference = bytes ? reference_of(character) : UTF8_REPLACEMENT;
        if (reference)
            put_text(twiml, reference);
        else if (allowed(character))
            put(twiml, text.data, bytes);
        size_t used = bytes ? bytes : 1;
        text = span_from(text.data + used, text.bytes - used);
    }
}

static void close_tag(struct twiml *twiml)
{
    if (twiml->in_tag)
        put_text(twiml, ">");
    twiml->in_tag = false;
}

void twiml_open(struct twiml *twiml, char *text, size_t room)
{
    assert(room > 0);
    *twiml = (struct twiml){.text = text, .room = room};
    put_text(twiml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    twiml_begin(twiml, "Response");
}

size_t twiml_close(struct twiml *twiml)
{
    assert(twiml->depth == 1);
    twiml_end(twiml);
    if (twiml->full)
        twiml->bytes = 0;
    twiml->text[twiml->bytes] = '\0';
    return twiml->bytes;
}

void twiml_begin(struct twiml *twiml, const char *element)
{
    assert(twiml->depth < TWIML_DEPTH_MAX);
    close_tag(twiml);
    put_text(twiml, "<");
    put_text(twiml, element);
    twiml->open[twiml->depth++] = element;
    twiml->in_tag = true;
}

void twiml_attribute(struct twiml *twiml, const char *name, const char *value)
{
    assert(twiml->in_tag);
    if (!value)
        return;
    put_text(twiml, " ");
    put_text(twiml, name);
    put_text(twiml, "=\"");
    put_encoded(twiml, span_of(value));
    put_text(twiml, "\"");
}

void twiml_text(struct twiml *twiml, struct span text)
{
    assert(twiml->depth > 0);
    close_tag(twiml);
    put_encoded(twiml, text);
}

void twiml_end(struct twiml *twiml)
{
    assert(twiml->depth > 0);
    const char *element = twiml->open[--twiml->depth];
    if (twiml->in_tag) {
        put_text(twiml, "/>");
        twiml->in_tag = false;
        return;
    }
    put_text(twiml, "</");
    put_text(twiml, element);
    put_text(twiml, ">");
}

void twiml_say(struct twiml *twiml, const char *sentence)
{
    twiml_begin(twiml, "Say");
    twiml_text(twiml, span_of(sentence));
    twiml_end(twiml);
}

void twiml_pause(struct twiml *twiml, unsigned length_s)
{
    char length[16];
    snprintf(length, sizeof length, "%u", length_s);
    twiml_begin(twiml, "Pause");
    twiml_attribute(twiml, "length", length);
    twiml_end(twiml);
}

void twiml_redirect(struct twiml *twiml, const char *url)
{
    twiml_begin(twiml, "Redirect");
    twiml_attribute(twiml, "method", "POST");
    twiml_text(twiml, span_of(url));
    twiml_end(twiml);
}

void twiml_hangup(struct twiml *twiml)
{
    twiml_begin(twiml, "Hangup");
    twiml_end(twiml);
}

void twiml_connect_stream(struct twiml *twiml, const char *url, const char *status_callback)
{
    twiml_begin(twiml, "Connect");
    twiml_begin(twiml, "Stream");
    twiml_attribute(twiml, "url", url);
    twiml_attribute(twiml, "statusCallback", status_callback);
    twiml_end(twiml);
    twiml_end(twiml);
}
