#include "control/media/wav_file.h"

#include <string.h>

#define HEAD_BYTES   12
#define CHUNK_BYTES  8
#define FORMAT_BYTES 16
#define PCM          1
#define SAMPLE_BYTES 2
#define RATE_HZ_MIN  8000
#define RATE_HZ_MAX  48000
#define RATE_HZ_STEP 50         /* what peaks are counted in */
#define SIZE_UNKNOWN UINT32_MAX /* written by who did not know yet */

static uint32_t read_32(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static uint16_t read_16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[1] << 8 | bytes[0]);
}

/* False: not what we take. */
static bool read_format(struct wav_file *wav, uint32_t size)
{
    uint8_t format[FORMAT_BYTES];
    if (size < FORMAT_BYTES || fread(format, 1, FORMAT_BYTES, wav->file) != FORMAT_BYTES)
        return false;
    wav->channels = read_16(format + 2);
    wav->rate_hz = read_32(format + 4);
    return read_16(format) == PCM && (wav->channels == 1 || wav->channels == 2) &&
           wav->rate_hz >= RATE_HZ_MIN && wav->rate_hz <= RATE_HZ_MAX &&
           wav->rate_hz % RATE_HZ_STEP == 0 &&
           read_16(format + 12) == SAMPLE_BYTES * wav->channels &&
           read_16(format + 14) == SAMPLE_BYTES * 8;
}

static enum wav_file_found take_data(struct wav_file *wav, uint32_t size, uint64_t left)
{
    unsigned frame_bytes = SAMPLE_BYTES * wav->channels;
    if (wav->channels == 0)
        return WAV_FILE_OTHER; /* sound before its format */
    if (size == SIZE_UNKNOWN)
        size = left < SIZE_UNKNOWN ? (uint32_t)left : SIZE_UNKNOWN;
    if (size > left)
        return WAV_FILE_TRUNCATED;
    wav->frames = size / frame_bytes;
    return wav->frames > 0 ? WAV_FILE_OPENED : WAV_FILE_EMPTY;
}

enum wav_file_found wav_file_open(struct wav_file *wav, FILE *file, uint64_t bytes)
{
    uint8_t head[HEAD_BYTES];
    uint64_t at = HEAD_BYTES;
    *wav = (struct wav_file){.file = file};
    if (fread(head, 1, HEAD_BYTES, file) != HEAD_BYTES || memcmp(head, "RIFF", 4) != 0 ||
        memcmp(head + 8, "WAVE", 4) != 0)
        return WAV_FILE_OTHER;
    for (int chunks = 0; chunks < WAV_FILE_CHUNKS_MAX; chunks++) {
        if (fseeko(file, (off_t)at, SEEK_SET) != 0 ||
            fread(head, 1, CHUNK_BYTES, file) != CHUNK_BYTES)
            return WAV_FILE_TRUNCATED;
        uint32_t size = read_32(head + 4);
        at += CHUNK_BYTES;
        if (memcmp(head, "data", 4) == 0)
            return take_data(wav, size, bytes > at ? bytes - at : 0);
        if (memcmp(head, "fmt ", 4) == 0 && !read_format(wav, size))
            return WAV_FILE_OTHER;
        at += (uint64_t)size + size % 2;
        if (at > bytes)
            return WAV_FILE_TRUNCATED;
    }
    return WAV_FILE_OTHER;
}

size_t wav_file_read(struct wav_file *wav, int16_t frames[2 * WAV_FILE_FRAMES_MAX])
{
    uint8_t bytes[2 * SAMPLE_BYTES * WAV_FILE_FRAMES_MAX];
    uint64_t left = wav->frames - wav->read_frames;
    size_t wanted = left < WAV_FILE_FRAMES_MAX ? (size_t)left : WAV_FILE_FRAMES_MAX;
    size_t count = fread(bytes, SAMPLE_BYTES * wav->channels, wanted, wav->file);
    for (size_t i = 0; i < count; i++)
        for (size_t side = 0; side < 2; side++) {
            size_t sample = i * wav->channels + (wav->channels == 2 ? side : 0);
            frames[2 * i + side] = (int16_t)read_16(bytes + SAMPLE_BYTES * sample);
        }
    wav->read_frames += count;
    return count;
}
