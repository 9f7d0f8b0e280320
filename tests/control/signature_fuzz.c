/* signature: any base, any target, any body. Candidates are bounded and differ from one another,
 * and each of them, signed, is accepted. Input: base, NUL, target, NUL, body. */
#include "common/panic.h"
#include "control/carrier/signature.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define ROOM 2048

static struct span take_part(struct span *rest)
{
    const uint8_t *end = rest->bytes ? memchr(rest->data, 0, rest->bytes) : NULL;
    struct span part = *rest;
    if (!end) {
        *rest = span_from(rest->data + rest->bytes, 0);
        return part;
    }
    part.bytes = (size_t)(end - rest->data);
    *rest = span_from(end + 1, rest->bytes - part.bytes - 1);
    return part;
}

static void check_candidates(const char *base, struct span target, struct span body,
                             const struct form *form)
{
    static char urls[SIGNATURE_URLS_MAX + 1][ROOM];
    const struct signature_tokens tokens = {.tokens = {"token"}};
    unsigned count = 0;
    size_t url_bytes[SIGNATURE_URLS_MAX + 1];
    while ((url_bytes[count] = signature_url(base, target, count, urls[count], ROOM)) > 0) {
        assert(url_bytes[count] < ROOM && signature_base_valid(base));
        for (unsigned other = 0; other < count; other++)
            assert(url_bytes[other] != url_bytes[count] ||
                   memcmp(urls[other], urls[count], url_bytes[count]) != 0);
        count++;
        assert(count <= SIGNATURE_URLS_MAX);
    }
    size_t fields_bytes;
    char *fields = signature_fields(form, &fields_bytes);
    assert(fields);
    for (unsigned i = 0; i < count && form; i++) {
        char text[SIGNATURE_TEXT_BYTES + 1];
        signature_compute("token", span_from(urls[i], url_bytes[i]),
                          span_from(fields, fields_bytes), text);
        struct signature_request request = {base, target, body, form, span_of(text)};
        assert(signature_check(&request, &tokens));
    }
    free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char base[256];
    char values[SIGNATURE_STREAM_MAX][SIGNATURE_TEXT_BYTES + 1];
    const struct signature_tokens tokens = {.tokens = {"a", "b", "c", "d"}};
    struct span rest = span_from(data, bytes);
    if (bytes > 1024 || !span_copy_text(take_part(&rest), base, sizeof base))
        return 0;
    struct span target = take_part(&rest);
    struct form form;
    bool is_form = form_read(rest, &form) == FAULT_NONE;
    check_candidates(base, target, rest, is_form ? &form : NULL);
    struct signature_request request = {base, target, rest, NULL,
                                        span_of("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")};
    assert(!signature_check(&request, &tokens));
    size_t count = signature_stream_values(base, "/media/x", &tokens, values);
    assert(count <= SIGNATURE_STREAM_MAX);
    form_free(&form);
    return 0;
}
