#include "tests/practice/carrier_wav.h"

#include "tests/practice/carrier_audio.h"

#include <stdio.h>
#include <stdlib.h>

enum { FORMAT_PCM = 1, FORMAT_ULAW = 7, FORMAT_EXTENSIBLE = 0xfffe };

struct sound {
    unsigned format, channels, rate, bits;
    struct span data;
};

static uint32_t read_le(const uint8_t *at, size_t bytes)
{
    uint32_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static bool read_format(struct span chunk, struct sound *sound)
{
    if (chunk.bytes < 16)
        return false;
    sound->format = read_le(chunk.data, 2);
    sound->channels = read_le(chunk.data + 2, 2);
    sound->rate = read_le(chunk.data + 4, 4);
    sound->bits = read_le(chunk.data + 14, 2);
    if (sound->format == FORMAT_EXTENSIBLE && chunk.bytes >= 26)
        sound->format = read_le(chunk.data + 24, 2); /* the first two bytes of its GUID */
    return sound->channels > 0 && sound->channels <= 32;
}

/* Walks the chunks. A data chunk longer than the file (a stream that was cut) counts up to the end.
 */
static const char *find_sound(struct span file, struct sound *sound)
{
    if (file.bytes < 12 || memcmp(file.data, "RIFF", 4) != 0 ||
        memcmp(file.data + 8, "WAVE", 4) != 0)
        return "not a RIFF/WAVE file";
    bool format = false;
    for (size_t at = 12; file.bytes - at >= 8;) {
        size_t bytes = read_le(file.data + at + 4, 4), left = file.bytes - at - 8;
        struct span chunk = span_from(file.data + at + 8, bytes < left ? bytes : left);
        if (memcmp(file.data + at, "fmt ", 4) == 0) {
            if (!read_format(chunk, sound))
                return "its format chunk is broken";
            format = true;
        } else if (memcmp(file.data + at, "data", 4) == 0) {
            sound->data = chunk;
            return format ? NULL : "it has data before a format";
        }
        size_t step = 8 + bytes + (bytes & 1);
        if (step > file.bytes - at)
            break;
        at += step;
    }
    return "it has no data chunk";
}

static uint8_t *copy_codes(struct span data, size_t *bytes)
{
    uint8_t *codes = malloc(data.bytes + 1);
    if (codes && data.bytes)
        memcpy(codes, data.data, data.bytes);
    *bytes = data.bytes;
    return codes;
}

/* One sample: the mean of its channels. */
static int16_t mix(const struct sound *sound, size_t index)
{
    int32_t sum = 0;
    for (unsigned channel = 0; channel < sound->channels; channel++) {
        size_t at = index * sound->channels + channel;
        sum += sound->format == FORMAT_ULAW ? carrier_audio_decode(sound->data.data[at])
                                            : (int16_t)read_le(sound->data.data + 2 * at, 2);
    }
    return (int16_t)(sum / (int32_t)sound->channels);
}

uint8_t *carrier_wav_read(struct span file, size_t *bytes, const char **why)
{
    struct sound sound = {0};
    *why = find_sound(file, &sound);
    if (*why)
        return NULL;
    bool pcm = sound.format == FORMAT_PCM && sound.bits == 16;
    bool ulaw = sound.format == FORMAT_ULAW && sound.bits == 8;
    if (!pcm && !ulaw) {
        *why = "only 16-bit PCM and mu-law are understood";
        return NULL;
    }
    *why = "its rate is out of range, or memory is out";
    if (ulaw && sound.channels == 1 && sound.rate == CARRIER_RATE)
        return copy_codes(sound.data, bytes);
    size_t count = sound.data.bytes / (sound.channels * (pcm ? 2u : 1u));
    int16_t *samples = malloc((count + 1) * sizeof *samples);
    if (!samples)
        return NULL;
    for (size_t i = 0; i < count; i++)
        samples[i] = mix(&sound, i);
    uint8_t *codes = carrier_audio_to_telephone(samples, count, sound.rate, bytes);
    free(samples);
    return codes;
}

uint8_t *carrier_wav_load(const char *path, size_t *bytes, const char **why)
{
    *why = "it cannot be read";
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    uint8_t *content = malloc(CARRIER_WAV_BYTES_MAX), *codes = NULL;
    if (content) {
        size_t got = fread(content, 1, CARRIER_WAV_BYTES_MAX, file);
        if (!ferror(file))
            codes = carrier_wav_read(span_from(content, got), bytes, why);
    }
    free(content);
    fclose(file);
    return codes;
}

static void write_le(uint8_t *at, uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static bool save(const char *path, unsigned channels, const uint8_t *codes, size_t bytes)
{
    uint8_t head[58] = "RIFF    WAVEfmt     "; /* fmt of 18 bytes and a fact chunk, as
                                                  everything but PCM needs */
    size_t padded = bytes + (bytes & 1);
    write_le(head + 4, (uint32_t)(sizeof head - 8 + padded), 4);
    write_le(head + 16, 18, 4);
    write_le(head + 20, FORMAT_ULAW, 2);
    write_le(head + 22, channels, 2);
    write_le(head + 24, CARRIER_RATE, 4);
    write_le(head + 28, CARRIER_RATE * channels, 4);
    write_le(head + 32, channels, 2);
    write_le(head + 34, 8, 2);
    memcpy(head + 38, "fact", 4);
    write_le(head + 42, 4, 4);
    write_le(head + 46, (uint32_t)bytes / channels, 4);
    memcpy(head + 50, "data", 4);
    write_le(head + 54, (uint32_t)bytes, 4);
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    bool written = fwrite(head, sizeof head, 1, file) == 1 &&
                   fwrite(codes, 1, bytes, file) == bytes &&
                   (padded == bytes || fputc(0, file) != EOF);
    return fclose(file) == 0 && written;
}

bool carrier_wav_save(const char *path, const uint8_t *codes, size_t bytes)
{
    return save(path, 1, codes, bytes);
}

bool carrier_wav_save_stereo(const char *path, const uint8_t *left, const uint8_t *right,
                             size_t samples)
{
    uint8_t *codes = malloc(2 * samples + 1);
    if (!codes)
        return false;
    for (size_t i = 0; i < samples; i++) {
        codes[2 * i] = left[i];
        codes[2 * i + 1] = right[i];
    }
    bool saved = save(path, 2, codes, 2 * samples);
    free(codes);
    return saved;
}
