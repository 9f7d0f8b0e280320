/* ticket under the fuzzer: whatever is read writes back to the same text. */
#include "common/panic.h"
#include "common/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ticket ticket;
    char text[TICKET_TEXT_BYTES + 1];
    if (!ticket_read(span_from(data, size), &ticket))
        return 0;
    ticket_write(&ticket, text);
    assert(span_equal(span_of(text), span_from(data, size)));
    assert(ticket.expires_at_ms >= 0);
    return 0;
}
