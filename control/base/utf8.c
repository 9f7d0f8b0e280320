#include "control/base/utf8.h"

#include "common/panic.h"

size_t utf8_read(struct span text, uint32_t *character)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    assert(text.bytes > 0);
    uint8_t first = text.data[0];
    size_t bytes = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    *character = bytes == 1 ? first : first & (0x7fu >> bytes);
    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || bytes > text.bytes)
        return 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | (text.data[i] & 0x3fu);
    }
    bool surrogate = *character >= 0xd800 && *character <= 0xdfff;
    return *character < lowest[bytes] || surrogate || *character > 0x10ffff ? 0 : bytes;
}

size_t utf8_clean(struct span text, char *out, size_t room)
{
    size_t written = 0;
    assert(room > 0);
    while (text.bytes) {
        uint32_t character;
        size_t bytes = utf8_read(text, &character);
        struct span piece = bytes ? span_from(text.data, bytes) : span_of(UTF8_REPLACEMENT);
        if (bytes == 1 && character == 0)
            piece.bytes = 0;
        if (piece.bytes >= room - written)
            break;
        memcpy(out + written, piece.data, piece.bytes);
        written += piece.bytes;
        size_t used = bytes ? bytes : 1;
        text = span_from(text.data + used, text.bytes - used);
    }
    out[written] = '\0';
    return written;
}
