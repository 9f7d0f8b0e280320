#include "common/spool_format.h"

#include "common/panic.h"

#include <string.h>

/* Bit by bit: 60 bytes a second and call need no table. */
static uint32_t checksum(const uint8_t *bytes, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (UINT32_C(0x82f63b78) & (0 - (crc & 1)));
    }
    return ~crc;
}

static void put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

void spool_head_write(const struct spool_head *head, uint8_t bytes[SPOOL_HEAD_BYTES])
{
    assert(head->samples <= SPOOL_BLOCK_SAMPLES && head->started_at_ms >= 0);
    put(bytes, SPOOL_MAGIC, 4);
    put(bytes + 4, SPOOL_VERSION, 1);
    put(bytes + 5, head->flags, 1);
    put(bytes + 6, head->samples, 2);
    put(bytes + 8, head->first_sample, 8);
    put(bytes + 16, (uint64_t)head->started_at_ms, 8);
    memcpy(bytes + 24, head->call, sizeof head->call);
    memcpy(bytes + 40, head->organization, sizeof head->organization);
    put(bytes + 56, 0, 4);
    put(bytes + 60, checksum(bytes, 60), 4);
}

bool spool_head_read(struct span bytes, struct spool_head *head)
{
    const uint8_t *at = bytes.data;
    if (bytes.bytes < SPOOL_HEAD_BYTES || get(at, 4) != SPOOL_MAGIC || at[4] != SPOOL_VERSION ||
        get(at + 60, 4) != checksum(at, 60) || get(at + 6, 2) > SPOOL_BLOCK_SAMPLES ||
        get(at + 8, 8) > INT64_MAX || get(at + 16, 8) > INT64_MAX)
        return false;
    head->flags = at[5];
    head->samples = (uint16_t)get(at + 6, 2);
    head->first_sample = get(at + 8, 8);
    head->started_at_ms = (int64_t)get(at + 16, 8);
    memcpy(head->call, at + 24, sizeof head->call);
    memcpy(head->organization, at + 40, sizeof head->organization);
    return true;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

bool spool_name_valid(struct span name)
{
    if (name.bytes != SPOOL_NAME_BYTES || memcmp(name.data + 50, ".spool", 6) != 0 ||
        name.data[36] != '.')
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        uint8_t byte = name.data[i];
        if (dash ? byte != '-' : !is_digit(byte) && !(byte >= 'a' && byte <= 'f'))
            return false;
    }
    for (size_t i = 37; i < 50; i++)
        if (!is_digit(name.data[i]))
            return false;
    return true;
}
