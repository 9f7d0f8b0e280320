#include "control/carrier/ticket_mint.h"

#include "common/panic.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

static void compute_mac(const uint8_t key[TICKET_KEY_BYTES], const struct ticket *ticket,
                        uint8_t mac[TICKET_MAC_BYTES])
{
    uint8_t signed_bytes[TICKET_SIGNED_BYTES];
    unsigned mac_bytes = 0;
    ticket_signed_bytes(ticket, signed_bytes);
    const uint8_t *done = HMAC(EVP_sha256(), key, TICKET_KEY_BYTES, signed_bytes,
                               sizeof signed_bytes, mac, &mac_bytes);
    assert(done && mac_bytes == TICKET_MAC_BYTES);
}

bool ticket_mint(const struct ticket_keys *keys, struct ticket *ticket,
                 char text[TICKET_TEXT_BYTES + 1])
{
    if (RAND_bytes(ticket->nonce, sizeof ticket->nonce) != 1)
        return false;
    compute_mac(keys->current, ticket, ticket->mac);
    ticket_write(ticket, text);
    return true;
}

static bool made_with(const uint8_t key[TICKET_KEY_BYTES], const struct ticket *ticket)
{
    uint8_t mac[TICKET_MAC_BYTES];
    compute_mac(key, ticket, mac);
    return span_equal_secret(span_from(mac, sizeof mac), span_from(ticket->mac, sizeof mac));
}

enum fault ticket_verify(const struct ticket_keys *keys, struct span text, int64_t now_ms,
                         struct ticket *ticket)
{
    if (!ticket_read(text, ticket))
        return FAULT_ticket_invalid;
    bool ours = made_with(keys->current, ticket);
    if (keys->has_previous)
        ours |= made_with(keys->previous, ticket);
    if (!ours)
        return FAULT_ticket_invalid;
    return ticket->expires_at_ms < now_ms ? FAULT_ticket_expired : FAULT_NONE;
}
