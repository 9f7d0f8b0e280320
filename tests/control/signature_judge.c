/* A program for signature_oracle_test.mjs: one request per line as JSON {"base","target","form" or
 * "json" (a body as text, base64) or neither, "signature","token"}; answers each with "1"
 * (accepted) or "0". */
#include "common/panic.h"
#include "control/carrier/signature.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static struct span decode_base64(const char *text, uint8_t *room)
{
    size_t bytes = strlen(text);
    if (bytes == 0)
        return span_from(room, 0);
    int decoded = EVP_DecodeBlock(room, (const uint8_t *)text, (int)bytes);
    assert(decoded >= 0);
    size_t padding = (text[bytes - 1] == '=') + (size_t)(bytes > 1 && text[bytes - 2] == '=');
    return span_from(room, (size_t)decoded - padding);
}

static bool judge(const json_t *line)
{
    static uint8_t body[1 << 20];
    static struct form form;
    const char *encoded_form = json_string_value(json_object_get(line, "form"));
    const char *encoded_json = json_string_value(json_object_get(line, "json"));
    const struct signature_tokens tokens = {
        .tokens = {json_string_value(json_object_get(line, "token"))}};
    struct signature_request request = {
        .base = json_string_value(json_object_get(line, "base")),
        .target = span_of(json_string_value(json_object_get(line, "target"))),
        .presented = span_of(json_string_value(json_object_get(line, "signature")))};
    if (encoded_json)
        request.body = decode_base64(encoded_json, body);
    if (encoded_form) {
        request.body = decode_base64(encoded_form, body);
        if (form_read(request.body, &form) != FAULT_NONE)
            return false;
        request.form = &form;
    }
    bool accepted = signature_check(&request, &tokens);
    if (encoded_form)
        form_free(&form);
    return accepted;
}

int main(void)
{
    char *text = NULL;
    size_t room = 0;
    while (getline(&text, &room, stdin) > 0) {
        json_t *line = json_loads(text, 0, NULL);
        assert(line);
        puts(judge(line) ? "1" : "0");
        json_decref(line);
    }
    free(text);
    return 0;
}
