#include "tests/practice/carrier_sign.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static int by_name_then_value(const void *left, const void *right)
{
    const struct carrier_field *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->value, b->value);
}

static size_t append(char *text, size_t used, size_t room, const char *more)
{
    size_t bytes = strlen(more);
    assert(used + bytes < room);
    memcpy(text + used, more, bytes);
    return used + bytes;
}

void carrier_sign(const char *token, const char *url_text, const struct carrier_form *form,
                  char signature[CARRIER_SIGNATURE_ROOM])
{
    char text[2 * CARRIER_URL_BYTES_MAX + CARRIER_FORM_BYTES_MAX];
    size_t used = append(text, 0, sizeof text, url_text);
    if (form && form->count) {
        struct carrier_field sorted[CARRIER_FORM_FIELDS_MAX];
        memcpy(sorted, form->fields, form->count * sizeof sorted[0]);
        qsort(sorted, form->count, sizeof sorted[0], by_name_then_value);
        for (size_t i = 0; i < form->count; i++) {
            if (i && by_name_then_value(&sorted[i - 1], &sorted[i]) == 0)
                continue;
            used = append(text, used, sizeof text, sorted[i].name);
            used = append(text, used, sizeof text, sorted[i].value);
        }
    }
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_bytes = 0;
    const unsigned char *made = HMAC(EVP_sha1(), token, (int)strlen(token),
                                     (const unsigned char *)text, used, mac, &mac_bytes);
    assert(made && mac_bytes == 20);
    int characters = EVP_EncodeBlock((unsigned char *)signature, mac, (int)mac_bytes);
    assert(characters == CARRIER_SIGNATURE_ROOM - 1);
}

bool carrier_sign_address(const struct carrier_url *url, char *text, size_t room)
{
    bool keep_port = strcmp(url->scheme, "https") != 0;
    return carrier_url_write(url, keep_port, text, room);
}
