#include "control/base/seal.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define SEAL_VERSION 1
#define NONCE_BYTES  12
#define TAG_BYTES    16

static const char mend[] = "make one with `openssl rand -hex 32` and keep it";

static bool read_hex(const char *text, uint8_t key[SEAL_KEY_BYTES])
{
    if (strlen(text) != 2 * SEAL_KEY_BYTES ||
        strspn(text, "0123456789abcdefABCDEF") != 2 * SEAL_KEY_BYTES)
        return false;
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        key[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static bool read_base64(const char *text, uint8_t key[SEAL_KEY_BYTES])
{
    uint8_t bytes[SEAL_KEY_BYTES + 4];
    if (strlen(text) != 44 || text[43] != '=' || text[42] == '=')
        return false;
    if (EVP_DecodeBlock(bytes, (const uint8_t *)text, 44) != SEAL_KEY_BYTES + 1)
        return false; /* the padding counts as a byte there */
    memcpy(key, bytes, SEAL_KEY_BYTES);
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

static bool read_key(const char *name, const char *text, uint8_t key[SEAL_KEY_BYTES], char *error,
                     size_t room)
{
    if (read_hex(text, key) || read_base64(text, key))
        return true;
    snprintf(error, room, "%s must be 64 hexadecimal digits or base64 of 32 bytes: %s", name, mend);
    return false;
}

bool seal_open(struct seal *seal, const char *current, const char *previous, char *error,
               size_t room)
{
    *seal =
        (struct seal){.has_key = current && current[0], .has_previous = previous && previous[0]};
    if (seal->has_key && !read_key("RINGBRIDGE_SECRET_KEY", current, seal->key, error, room))
        return false;
    return !seal->has_previous ||
           read_key("RINGBRIDGE_SECRET_KEY_PREVIOUS", previous, seal->previous, error, room);
}

void seal_wipe(struct seal *seal)
{
    explicit_bzero(seal, sizeof *seal);
}

bool seal_derive(const struct seal *seal, const char *label, bool previous,
                 uint8_t key[SEAL_KEY_BYTES])
{
    if (previous ? !seal->has_previous : !seal->has_key)
        return false;
    size_t bytes = SEAL_KEY_BYTES;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    bool made =
        context && EVP_PKEY_derive_init(context) > 0 &&
        EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha256()) > 0 &&
        EVP_PKEY_CTX_set1_hkdf_salt(context, (const uint8_t *)"ringbridge", 10) > 0 &&
        EVP_PKEY_CTX_set1_hkdf_key(context, previous ? seal->previous : seal->key, SEAL_KEY_BYTES) >
            0 &&
        EVP_PKEY_CTX_add1_hkdf_info(context, (const uint8_t *)label, (int)strlen(label)) > 0 &&
        EVP_PKEY_derive(context, key, &bytes) > 0;
    EVP_PKEY_CTX_free(context);
    assert(made && bytes == SEAL_KEY_BYTES); /* nothing here depends on input */
    return true;
}

/* AES-256-GCM over output, either way. context is bound to it without being part of it. */
static bool crypt(bool closing, const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  const char *bound_to, struct span input, uint8_t *output, uint8_t tag[TAG_BYTES])
{
    int written = 0, last = 0;
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    bool done = cipher && EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), NULL, key, nonce, closing) &&
                EVP_CipherUpdate(cipher, NULL, &written, (const uint8_t *)bound_to,
                                 (int)strlen(bound_to)) &&
                EVP_CipherUpdate(cipher, output, &written, input.data, (int)input.bytes) &&
                (closing || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag)) &&
                EVP_CipherFinal_ex(cipher, output + written, &last) &&
                (!closing || EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag));
    EVP_CIPHER_CTX_free(cipher);
    return done;
}

bool seal_close(const struct seal *seal, const char *context, struct span secret, uint8_t *sealed)
{
    uint8_t key[SEAL_KEY_BYTES];
    if (secret.bytes > SEAL_SECRET_MAX || !seal_derive(seal, "seal", false, key))
        return false;
    uint8_t *nonce = sealed + 1, *text = nonce + NONCE_BYTES, *tag = text + secret.bytes;
    sealed[0] = SEAL_VERSION;
    bool done =
        RAND_bytes(nonce, NONCE_BYTES) == 1 && crypt(true, key, nonce, context, secret, text, tag);
    explicit_bzero(key, sizeof key);
    return done;
}

static bool read_with(const struct seal *seal, bool previous, const char *context,
                      struct span sealed, char *secret)
{
    uint8_t key[SEAL_KEY_BYTES], tag[TAG_BYTES];
    size_t bytes = sealed.bytes - SEAL_OVERHEAD_BYTES;
    if (!seal_derive(seal, "seal", previous, key))
        return false;
    const uint8_t *nonce = sealed.data + 1, *text = nonce + NONCE_BYTES;
    memcpy(tag, text + bytes, TAG_BYTES);
    bool done = crypt(false, key, nonce, context, span_from(text, bytes), (uint8_t *)secret, tag);
    explicit_bzero(key, sizeof key);
    if (!done)
        explicit_bzero(secret, bytes);
    return done;
}

bool seal_read(const struct seal *seal, const char *context, struct span sealed, char *secret,
               size_t room)
{
    if (sealed.bytes < SEAL_OVERHEAD_BYTES || sealed.data[0] != SEAL_VERSION)
        return false;
    size_t bytes = sealed.bytes - SEAL_OVERHEAD_BYTES;
    if (bytes >= room || bytes > SEAL_SECRET_MAX)
        return false;
    if (!read_with(seal, false, context, sealed, secret) &&
        !read_with(seal, true, context, sealed, secret))
        return false;
    secret[bytes] = '\0';
    return true;
}

void seal_token(char text[SEAL_TOKEN_TEXT])
{
    uint8_t bytes[32], base64[45];
    int drawn = RAND_bytes(bytes, sizeof bytes);
    assert(drawn == 1); /* without randomness no token must exist */
    EVP_EncodeBlock(base64, bytes, sizeof bytes);
    memcpy(text, "rb_", 3);
    for (int i = 0; i < 43; i++)
        text[3 + i] = base64[i] == '+' ? '-' : base64[i] == '/' ? '_' : (char)base64[i];
    text[46] = '\0';
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(base64, sizeof base64);
}

void seal_hash(struct span text, uint8_t hash[SEAL_HASH_BYTES])
{
    unsigned bytes = SEAL_HASH_BYTES;
    int done = EVP_Digest(text.data, text.bytes, hash, &bytes, EVP_sha256(), NULL);
    assert(done == 1 && bytes == SEAL_HASH_BYTES);
}
