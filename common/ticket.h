/* ticket: the path segment by which a media stream proves which call it is.
 *
 * Twilio drops the query string of a Stream URL, so everything stands in one path segment:
 * base64url without padding of
 *      0  u8   version (1)
 *      1  u8   0
 *      2  u16  home core, big endian    a hint: checked for range by its reader
 *      4  u64  expiry, unix ms, big endian
 *     12  16   conversation id
 *     28  16   organization id
 *     44  16   nonce
 *     60  32   HMAC-SHA256 over bytes 0..59, by control's secret key
 * Control mints and verifies (control/carrier/ticket_mint.c); the edge reads the home core and
 * compares the whole text with the ticket it was told in the prepare order, in constant time.
 * Nothing in a ticket is believed before one of the two has held. Thread: any. Bound:
 * TICKET_TEXT_BYTES. */
#ifndef RINGBRIDGE_COMMON_TICKET_H
#define RINGBRIDGE_COMMON_TICKET_H

#include "common/span.h"

#define TICKET_VERSION      1
#define TICKET_SIGNED_BYTES 60
#define TICKET_MAC_BYTES    32
#define TICKET_BYTES        (TICKET_SIGNED_BYTES + TICKET_MAC_BYTES)
#define TICKET_TEXT_BYTES   123 /* base64url of 92 bytes, no padding */

struct ticket {
    uint16_t home_core;
    int64_t expires_at_ms;
    uint8_t conversation[16];
    uint8_t organization[16];
    uint8_t nonce[16];
    uint8_t mac[TICKET_MAC_BYTES];
};

/* Reads a ticket's text. False unless it has exactly the right length, alphabet, version and
 * canonical last character. Says nothing about the MAC. */
bool ticket_read(struct span text, struct ticket *ticket);

/* Writes the bytes that the MAC covers. */
void ticket_signed_bytes(const struct ticket *ticket, uint8_t signed_bytes[TICKET_SIGNED_BYTES]);

/* Writes the text with a closing NUL. */
void ticket_write(const struct ticket *ticket, char text[TICKET_TEXT_BYTES + 1]);

#endif
