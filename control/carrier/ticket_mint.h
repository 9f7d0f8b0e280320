/* ticket_mint: control's half of a ticket (common/ticket.h): made here, believed here.
 *
 * Owner: the caller; keys are wiped by whoever derived them. Thread: any; keys are constant after
 * boot. Bound: TICKET_LIFE_MS. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_TICKET_MINT_H
#define RINGBRIDGE_CONTROL_CARRIER_TICKET_MINT_H

#include "common/fault.h"
#include "common/ticket.h"

#define TICKET_LIFE_MS   60000
#define TICKET_KEY_BYTES 32
#define TICKET_KEY_LABEL "ringbridge ticket 1" /* for seal_derive */

/* The current key mints; both verify, so that the secret can be changed under running calls. */
struct ticket_keys {
    uint8_t current[TICKET_KEY_BYTES], previous[TICKET_KEY_BYTES];
    bool has_previous;
};

/* Fills nonce and MAC of a ticket whose other members are set, and writes its text. False only when
 * there is no randomness to be had. */
bool ticket_mint(const struct ticket_keys *keys, struct ticket *ticket,
                 char text[TICKET_TEXT_BYTES + 1]);

/* FAULT_NONE when the text is a ticket of ours that has not expired at now_ms; otherwise
 * FAULT_ticket_invalid or FAULT_ticket_expired. Says nothing about whether it was used. The MAC is
 * compared in constant time. */
enum fault ticket_verify(const struct ticket_keys *keys, struct span text, int64_t now_ms,
                         struct ticket *ticket);

#endif
