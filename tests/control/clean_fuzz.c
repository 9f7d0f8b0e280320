/* Whatever strangers write, clean_json gives valid UTF-8 without what jsonb refuses, leaves JSON
 * JSON, and changes nothing when it is given its own result. */
#include "common/panic.h"
#include "control/base/utf8.h"
#include "control/store/clean.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check_utf8(const char *text)
{
    struct span rest = span_of(text);
    while (rest.bytes > 0) {
        uint32_t character;
        size_t taken = utf8_read(rest, &character);
        assert(taken > 0);
        rest = span_from(rest.data + taken, rest.bytes - taken);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *text = malloc(bytes + 1);
    memcpy(text, data, bytes);
    text[bytes] = '\0';
    char *clean = clean_json(text), *again = clean_json(clean);
    assert(strcmp(clean, again) == 0);
    check_utf8(clean);
    json_t *before = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    json_t *after =
        json_loads(clean, JSON_DECODE_ANY, NULL); /* refuses \u0000 and lone surrogates */
    assert(!before || after);
    json_decref(before);
    json_decref(after);
    free(text);
    free(clean);
    free(again);
    return 0;
}
