#include "control/base/uuid.h"

#include "common/panic.h"

#include <openssl/rand.h>
#include <stdio.h>

static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool dash_at(size_t place)
{
    return place == 8 || place == 13 || place == 18 || place == 23;
}

bool uuid_read(const char *text, uint8_t bytes[UUID_BYTES])
{
    size_t written = 0;
    if (!text || strlen(text) != UUID_TEXT_BYTES)
        return false;
    for (size_t i = 0; i < UUID_TEXT_BYTES; i += 2) {
        if (dash_at(i) && text[i++] != '-')
            return false;
        int high = digit_value(text[i]), low = digit_value(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[written++] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void uuid_write(const uint8_t bytes[UUID_BYTES], char text[UUID_TEXT_BYTES + 1])
{
    size_t written = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (dash_at(written))
            text[written++] = '-';
        snprintf(text + written, 3, "%02x", bytes[i]);
        written += 2;
    }
}

void uuid_make(char text[UUID_TEXT_BYTES + 1])
{
    uint8_t bytes[UUID_BYTES];
    int made = RAND_bytes(bytes, sizeof bytes);
    assert(made == 1); /* the system has randomness, or nothing works */
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    uuid_write(bytes, text);
}
