#include "control/net/webhook_sign.h"

#include "common/base64.h"
#include "common/panic.h"

#include <inttypes.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX     "whsec_"
#define HASH_BYTES 32

void webhook_sign_secret(char text[WEBHOOK_SIGN_SECRET_TEXT])
{
    uint8_t bytes[WEBHOOK_SIGN_SECRET_BYTES];
    int made = RAND_bytes(bytes, sizeof bytes);
    assert(made == 1);
    memcpy(text, PREFIX, sizeof PREFIX - 1);
    base64_encode(span_from(bytes, sizeof bytes), (uint8_t *)text + sizeof PREFIX - 1);
    text[WEBHOOK_SIGN_SECRET_TEXT - 1] = '\0';
    explicit_bzero(bytes, sizeof bytes);
}

/* The key's bytes; -1: it is not a secret. */
static int read_secret(const char *secret, uint8_t key[WEBHOOK_SIGN_KEY_MAX])
{
    struct span text = span_of(secret);
    if (!span_starts(text, PREFIX))
        return -1;
    text = span_from(text.data + sizeof PREFIX - 1, text.bytes - (sizeof PREFIX - 1));
    ptrdiff_t bytes = base64_decoded_bytes(text);
    if (bytes < WEBHOOK_SIGN_KEY_MIN || bytes > WEBHOOK_SIGN_KEY_MAX || !base64_decode(text, key))
        return -1;
    return (int)bytes;
}

bool webhook_sign(const char *secret, const char *id, int64_t timestamp_s, struct span body,
                  char signature[WEBHOOK_SIGN_TEXT])
{
    uint8_t key[WEBHOOK_SIGN_KEY_MAX], hash[HASH_BYTES];
    char *signed_text = NULL;
    int key_bytes = read_secret(secret, key);
    if (key_bytes < 0)
        return false;
    int head = asprintf(&signed_text, "%s.%" PRId64 ".%.*s", id, timestamp_s, (int)body.bytes,
                        (const char *)body.data);
    assert(head > 0);
    HMAC(EVP_sha256(), key, key_bytes, (const uint8_t *)signed_text, (size_t)head, hash, NULL);
    memcpy(signature, "v1,", 3);
    base64_encode(span_from(hash, sizeof hash), (uint8_t *)signature + 3);
    signature[WEBHOOK_SIGN_TEXT - 1] = '\0';
    explicit_bzero(key, sizeof key);
    free(signed_text);
    return true;
}
