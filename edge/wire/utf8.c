#include "edge/wire/utf8.h"

#include "common/panic.h"

#define TOP_BITS 0x8080808080808080u

/* How many bytes from here on are ASCII, found 32 and 8 at a step; the rest, one by one, is the
 * caller's loop, so a short answer is no error. */
static size_t ascii_run(const uint8_t *at, size_t bytes)
{
    uint64_t words[4];
    size_t run = 0;
    for (; run + sizeof words <= bytes; run += sizeof words) {
        memcpy(words, at + run, sizeof words);
        if ((words[0] | words[1] | words[2] | words[3]) & TOP_BITS)
            break;
    }
    for (; run + sizeof *words <= bytes; run += sizeof *words) {
        memcpy(words, at + run, sizeof *words);
        if (*words & TOP_BITS)
            break;
    }
    return run;
}

/* What may follow a lead byte: RFC 3629 section 4, table of well-formed sequences. */
static bool begin_character(struct utf8 *state, uint8_t lead)
{
    *state = (struct utf8){.left = 0, .low = 0x80, .high = 0xbf};
    if (lead < 0x80)
        return true;
    if (lead < 0xc2 || lead > 0xf4)
        return false;
    state->left = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (lead == 0xe0)
        state->low = 0xa0; /* shorter forms exist below */
    else if (lead == 0xed)
        state->high = 0x9f; /* surrogates above */
    else if (lead == 0xf0)
        state->low = 0x90;
    else if (lead == 0xf4)
        state->high = 0x8f; /* U+10FFFF is the last */
    return true;
}

bool utf8_take(struct utf8 *state, struct span piece)
{
    assert(state->left <= 3);
    for (size_t i = 0; i < piece.bytes; i++) {
        if (state->left == 0) {
            i += ascii_run(piece.data + i, piece.bytes - i);
            if (i == piece.bytes)
                break;
            if (!begin_character(state, piece.data[i]))
                return false;
            continue;
        }
        if (piece.data[i] < state->low || piece.data[i] > state->high)
            return false;
        state->left--;
        state->low = 0x80;
        state->high = 0xbf;
    }
    return true;
}

bool utf8_valid(struct span text)
{
    struct utf8 state = {0};
    return utf8_take(&state, text) && utf8_may_end(&state);
}
