#include "common/link_proto.h"

#include "common/panic.h"

#include <endian.h>

static uint32_t read_u32(const uint8_t *data)
{
    uint32_t value;
    memcpy(&value, data, sizeof value);
    return le32toh(value);
}

static uint64_t read_u64(const uint8_t *data)
{
    uint64_t value;
    memcpy(&value, data, sizeof value);
    return le64toh(value);
}

static void write_u32(uint8_t *data, uint32_t value)
{
    value = htole32(value);
    memcpy(data, &value, sizeof value);
}

enum link_decode link_decode(struct span input, struct link_frame *frame, size_t *used)
{
    *used = 0;
    if (input.bytes < LINK_HEADER_BYTES)
        return LINK_MORE;
    uint64_t frame_bytes = read_u32(input.data);
    uint64_t json_bytes = read_u32(input.data + 16);
    uint64_t raw_bytes = read_u32(input.data + 20);
    bool reserved_clear = input.data[5] == 0 && input.data[6] == 0 && input.data[7] == 0;
    if (frame_bytes > LINK_FRAME_BYTES_MAX || !reserved_clear ||
        frame_bytes != LINK_HEADER_BYTES + json_bytes + raw_bytes)
        return LINK_BAD;
    *used = (size_t)frame_bytes;
    if (input.bytes < frame_bytes)
        return LINK_MORE;
    frame->type = input.data[4];
    frame->id = read_u64(input.data + 8);
    frame->json = span_from(input.data + LINK_HEADER_BYTES, (size_t)json_bytes);
    frame->raw = span_from(input.data + LINK_HEADER_BYTES + json_bytes, (size_t)raw_bytes);
    return LINK_DONE;
}

void link_encode_header(uint8_t header[LINK_HEADER_BYTES], enum link_type type, uint64_t id,
                        size_t json_bytes, size_t raw_bytes)
{
    assert(json_bytes <= LINK_FRAME_BYTES_MAX && raw_bytes <= LINK_FRAME_BYTES_MAX);
    assert(LINK_HEADER_BYTES + json_bytes + raw_bytes <= LINK_FRAME_BYTES_MAX);
    memset(header, 0, LINK_HEADER_BYTES);
    write_u32(header, (uint32_t)(LINK_HEADER_BYTES + json_bytes + raw_bytes));
    header[4] = (uint8_t)type;
    id = htole64(id);
    memcpy(header + 8, &id, sizeof id);
    write_u32(header + 16, (uint32_t)json_bytes);
    write_u32(header + 20, (uint32_t)raw_bytes);
}
