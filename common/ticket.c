#include "common/ticket.h"

#include "common/panic.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int value_of(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '-' ? 62 : letter == '_' ? 63 : -1;
}

static bool decode(struct span text, uint8_t bytes[TICKET_BYTES])
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t written = 0;
    if (text.bytes != TICKET_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < text.bytes; i++) {
        int value = value_of(text.data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes[written++] = (uint8_t)(bits >> held);
        }
    }
    assert(written == TICKET_BYTES);
    return (bits & ((1u << held) - 1)) == 0; /* one text per ticket */
}

void ticket_signed_bytes(const struct ticket *ticket, uint8_t signed_bytes[TICKET_SIGNED_BYTES])
{
    signed_bytes[0] = TICKET_VERSION;
    signed_bytes[1] = 0;
    signed_bytes[2] = (uint8_t)(ticket->home_core >> 8);
    signed_bytes[3] = (uint8_t)ticket->home_core;
    for (int i = 0; i < 8; i++)
        signed_bytes[4 + i] = (uint8_t)((uint64_t)ticket->expires_at_ms >> (56 - 8 * i));
    memcpy(signed_bytes + 12, ticket->conversation, 16);
    memcpy(signed_bytes + 28, ticket->organization, 16);
    memcpy(signed_bytes + 44, ticket->nonce, 16);
}

bool ticket_read(struct span text, struct ticket *ticket)
{
    uint8_t bytes[TICKET_BYTES];
    if (!decode(text, bytes) || bytes[0] != TICKET_VERSION || bytes[1] != 0)
        return false;
    uint64_t expires_at_ms = 0;
    for (int i = 0; i < 8; i++)
        expires_at_ms = expires_at_ms << 8 | bytes[4 + i];
    if (expires_at_ms > INT64_MAX)
        return false;
    ticket->home_core = (uint16_t)(bytes[2] << 8 | bytes[3]);
    ticket->expires_at_ms = (int64_t)expires_at_ms;
    memcpy(ticket->conversation, bytes + 12, 16);
    memcpy(ticket->organization, bytes + 28, 16);
    memcpy(ticket->nonce, bytes + 44, 16);
    memcpy(ticket->mac, bytes + TICKET_SIGNED_BYTES, TICKET_MAC_BYTES);
    return true;
}

void ticket_write(const struct ticket *ticket, char text[TICKET_TEXT_BYTES + 1])
{
    uint8_t bytes[TICKET_BYTES];
    ticket_signed_bytes(ticket, bytes);
    memcpy(bytes + TICKET_SIGNED_BYTES, ticket->mac, TICKET_MAC_BYTES);
    uint32_t bits = 0;
    unsigned held = 0;
    size_t written = 0;
    for (size_t i = 0; i < TICKET_BYTES; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            text[written++] = alphabet[bits >> (held - 6) & 63];
    }
    if (held)
        text[written++] = alphabet[bits << (6 - held) & 63];
    assert(written == TICKET_TEXT_BYTES);
    text[written] = '\0';
}
