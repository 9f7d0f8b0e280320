/* ticket_mint: no text but one that we minted is ever believed. The first byte chooses: the text as
 * it is, or a minted ticket with one letter changed. */
#include "common/panic.h"
#include "control/carrier/ticket_mint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const struct ticket_keys keys = {
    .current = {1, 2, 3}, .previous = {4}, .has_previous = true};

static void expect_refused(struct span text)
{
    struct ticket ticket;
    assert(ticket_verify(&keys, text, 0, &ticket) == FAULT_ticket_invalid);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char text[TICKET_TEXT_BYTES + 1];
    struct ticket ticket = {.home_core = 3, .expires_at_ms = 1000}, read;
    if (bytes < 3)
        return 0;
    if (data[0] & 1) {
        expect_refused(span_from(data + 1, bytes - 1));
        return 0;
    }
    bool minted = ticket_mint(&keys, &ticket, text);
    assert(minted);
    assert(ticket_verify(&keys, span_of(text), 1000, &read) == FAULT_NONE);
    assert(ticket_verify(&keys, span_of(text), 1001, &read) == FAULT_ticket_expired);
    size_t place = data[1] % TICKET_TEXT_BYTES;
    if (text[place] == (char)data[2])
        return 0;
    text[place] = (char)data[2];
    expect_refused(span_from(text, TICKET_TEXT_BYTES));
    return 0;
}
