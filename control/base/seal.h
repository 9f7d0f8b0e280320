/* seal: secrets at rest, and keys for other purposes, from the one secret of the installation.
 *
 * What it is: AES-256-GCM with a key derived from RINGBRIDGE_SECRET_KEY, bound to a context (the
 * organisation and what the secret is), so that a sealed value moved to another row does not open.
 * The previous key still opens, so the key can be changed without a flag day. What it is not: a
 * password hash (tokens of people and programs are stored as SHA-256 of 256 random bits).
 * Format: u8 version (1), 12 bytes nonce, ciphertext, 16 bytes tag. Uses OpenSSL's libcrypto.
 * Owner: the caller; secrets are wiped by whoever opened them. Thread: any; a struct seal is
 * constant after seal_open. */
#ifndef RINGBRIDGE_CONTROL_BASE_SEAL_H
#define RINGBRIDGE_CONTROL_BASE_SEAL_H

#include "common/span.h"

#define SEAL_KEY_BYTES      32
#define SEAL_OVERHEAD_BYTES (1 + 12 + 16)
#define SEAL_SECRET_MAX     4096 /* longest secret that is sealed */
#define SEAL_TOKEN_TEXT     47   /* "rb_" and 43 characters and NUL: a new token */
#define SEAL_HASH_BYTES     32

struct seal {
    uint8_t key[SEAL_KEY_BYTES];      /* the installation's secret itself: never printed */
    uint8_t previous[SEAL_KEY_BYTES]; /* opens only */
    bool has_key;
    bool has_previous;
};

/* Reads the keys: 64 hexadecimal digits, or base64 of 32 bytes. current may be NULL (nothing can
 * then be sealed or derived). False with a sentence in error that says how to mend it. */
bool seal_open(struct seal *seal, const char *current, const char *previous, char *error,
               size_t room);

void seal_wipe(struct seal *seal);

/* A key for one purpose, HKDF-SHA256 of the secret with the label: tickets, signatures of links.
 * previous: from the previous secret; false when there is none. */
bool seal_derive(const struct seal *seal, const char *label, bool previous,
                 uint8_t key[SEAL_KEY_BYTES]);

/* Writes secret.bytes + SEAL_OVERHEAD_BYTES to sealed. False without a key. */
bool seal_close(const struct seal *seal, const char *context, struct span secret, uint8_t *sealed);

/* Writes sealed.bytes - SEAL_OVERHEAD_BYTES and a closing NUL to secret[room]. False when it was
 * sealed with another key or context, was changed, or does not fit. */
bool seal_read(const struct seal *seal, const char *context, struct span sealed, char *secret,
               size_t room);

/* A new random token as text, and the hash under which it is stored and found. */
void seal_token(char text[SEAL_TOKEN_TEXT]);
void seal_hash(struct span text, uint8_t hash[SEAL_HASH_BYTES]);

#endif
