/* The carrier's side of webhook_world: signatures, forms, and reading TwiML as Twilio would. */
#include "tests/control/webhook_world.h"

#include <expat.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FORM_ROOM 65536

static int compare_pairs(const void *left, const void *right)
{
    return strcmp(((const struct pair *)left)->name, ((const struct pair *)right)->name);
}

void world_sign(const char *token, const char *url, const struct pair *pairs, size_t count,
                char signature[29])
{
    static char text[FORM_ROOM];
    struct pair sorted[64];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_bytes = 0;
    assert_true(count <= 64);
    if (count)
        memcpy(sorted, pairs, count * sizeof sorted[0]);
    qsort(sorted, count, sizeof sorted[0], compare_pairs);
    int length = snprintf(text, sizeof text, "%s", url);
    for (size_t i = 0; i < count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length, "%s%s", sorted[i].name,
                           sorted[i].value);
    assert_true(length > 0 && (size_t)length < sizeof text);
    HMAC(EVP_sha1(), token, (int)strlen(token), (const uint8_t *)text, (size_t)length, digest,
         &digest_bytes);
    EVP_EncodeBlock((uint8_t *)signature, digest, (int)digest_bytes);
}

static size_t encode(const char *value, char *out, size_t room)
{
    size_t bytes = 0;
    for (; *value && bytes + 4 < room; value++) {
        bool plain = (*value >= '0' && *value <= '9') || (*value >= 'a' && *value <= 'z') ||
                     (*value >= 'A' && *value <= 'Z') || *value == '_' || *value == '-';
        bytes +=
            (size_t)snprintf(out + bytes, room - bytes, plain ? "%c" : "%%%02X", (uint8_t)*value);
    }
    return bytes;
}

static size_t write_form(const struct pair *pairs, size_t count, char *form, size_t room)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            form[bytes++] = '&';
        bytes += encode(pairs[i].name, form + bytes, room - bytes - 8);
        form[bytes++] = '=';
        bytes += encode(pairs[i].value, form + bytes, room - bytes - 8);
    }
    return bytes;
}

struct world_answer world_post(struct world_edge *edge, const char *token, const char *target,
                               const struct pair *pairs, size_t count)
{
    static char form[FORM_ROOM];
    char url[1024], signature[29], json[4096], signed_header[80] = "";
    size_t bytes = write_form(pairs, count, form, sizeof form);
    snprintf(url, sizeof url, WORLD_PUBLIC "%s", target);
    if (token) {
        world_sign(token, url, pairs, count, signature);
        snprintf(signed_header, sizeof signed_header, ",\"x-twilio-signature\":\"%s\"", signature);
    }
    snprintf(json, sizeof json,
             "{\"kind\":\"http\",\"method\":\"POST\",\"target\":\"%s\",\"peer\":\"198.51.100.7\","
             "\"headers\":{\"host\":\"other.example.com\",\"content-type\":"
             "\"application/x-www-form-urlencoded; charset=UTF-8\"%s},\"deadline_ms\":15000}",
             target, signed_header);
    return world_ask(edge, json, form, bytes);
}

/* ---- TwiML ---- */

struct reading {
    struct world_twiml *twiml;
    char *text; /* where character data goes now */
    size_t room;
};

static void on_start(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;
    struct world_twiml *twiml = reading->twiml;
    reading->text = NULL;
    if (strcmp(name, "Response") == 0)
        return;
    size_t used = strlen(twiml->verbs);
    snprintf(twiml->verbs + used, sizeof twiml->verbs - used, "%s ", name);
    for (; *attributes; attributes += 2) {
        if (strcmp(attributes[0], "url") == 0)
            snprintf(twiml->stream_url, sizeof twiml->stream_url, "%s", attributes[1]);
        if (strcmp(attributes[0], "statusCallback") == 0)
            snprintf(twiml->status_callback, sizeof twiml->status_callback, "%s", attributes[1]);
    }
    if (strcmp(name, "Say") == 0) {
        reading->text = twiml->say;
        reading->room = sizeof twiml->say;
    } else if (strcmp(name, "Redirect") == 0) {
        reading->text = twiml->redirect;
        reading->room = sizeof twiml->redirect;
    }
}

static void on_text(void *context, const char *text, int bytes)
{
    struct reading *reading = context;
    if (!reading->text)
        return;
    size_t used = strlen(reading->text);
    snprintf(reading->text + used, reading->room - used, "%.*s", bytes, text);
}

void world_read_twiml(const struct world_answer *answer, struct world_twiml *twiml)
{
    struct reading reading = {.twiml = twiml};
    *twiml = (struct world_twiml){.verbs = ""};
    assert_int_equal(answer->status, 200);
    assert_non_null(answer->content_type);
    assert_memory_equal(answer->content_type, "text/xml", 8);
    XML_Parser parser = XML_ParserCreate(NULL);
    XML_SetUserData(parser, &reading);
    XML_SetStartElementHandler(parser, on_start);
    XML_SetCharacterDataHandler(parser, on_text);
    enum XML_Status status = XML_Parse(parser, answer->body, (int)answer->body_bytes, 1);
    XML_ParserFree(parser);
    assert_int_equal(status, XML_STATUS_OK);
}

const char *world_ticket(const struct world_twiml *twiml)
{
    const char *slash = strrchr(twiml->stream_url, '/');
    assert_non_null(slash);
    return slash + 1;
}
