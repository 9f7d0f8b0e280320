/* webhook_sign: signs what goes to an organisation's own systems, as standardwebhooks.com has it.
 *
 * The receiver gets webhook-id (the same in every try: what to tell repetitions by),
 * webhook-timestamp (of this try, seconds: what to refuse old copies by) and webhook-signature:
 * "v1," and the base64 of HMAC-SHA256 over "id.timestamp.body". A secret is "whsec_" and the base64
 * of 32 random bytes. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_NET_WEBHOOK_SIGN_H
#define RINGBRIDGE_CONTROL_NET_WEBHOOK_SIGN_H

#include "common/span.h"

#define WEBHOOK_SIGN_SECRET_BYTES 32 /* of a new one; 24 to 64 are taken */
#define WEBHOOK_SIGN_KEY_MIN      24
#define WEBHOOK_SIGN_KEY_MAX      64
#define WEBHOOK_SIGN_SECRET_TEXT  (6 + 44 + 1) /* with NUL */
#define WEBHOOK_SIGN_TEXT         (3 + 44 + 1) /* with NUL */

/* A new secret. */
void webhook_sign_secret(char text[WEBHOOK_SIGN_SECRET_TEXT]);

/* False when secret is not one. */
bool webhook_sign(const char *secret, const char *id, int64_t timestamp_s, struct span body,
                  char signature[WEBHOOK_SIGN_TEXT]);

#endif
