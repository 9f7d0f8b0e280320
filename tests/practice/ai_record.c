#include "tests/practice/ai_record.h"

#include "common/clock.h"

#include <jansson.h>

#define WAV_HEAD_BYTES 44

static void cut_audio(json_t *event, const char *name)
{
    json_t *audio = json_object_get(event, name);
    if (json_is_string(audio) && json_string_length(audio) > AI_RECORD_AUDIO_CHARACTERS)
        json_object_set_new(event, name,
                            json_stringn(json_string_value(audio), AI_RECORD_AUDIO_CHARACTERS));
}

void ai_record_event(FILE *file, const char *session, const char *from, struct span text)
{
    if (!file)
        return;
    json_t *event = json_loadb((const char *)text.data, text.bytes, 0, NULL);
    if (!json_is_object(event)) {
        json_decref(event);
        return;
    }
    const char *type = json_string_value(json_object_get(event, "type"));
    cut_audio(event, "audio");
    if (type && strcmp(type, "response.output_audio.delta") == 0)
        cut_audio(event, "delta");
    json_t *content = json_object_get(json_object_get(event, "item"), "content"), *part;
    size_t i;
    json_array_foreach(content, i, part) cut_audio(part, "audio");
    json_t *line = json_pack("{s:I, s:s, s:s, s:o}", "at_ms", (json_int_t)clock_wall_ms(),
                             "session", session, "from", from, "event", event);
    json_dumpf(line, file, JSON_COMPACT | JSON_PRESERVE_ORDER);
    fputc('\n', file);
    fflush(file);
    json_decref(line);
}

/* ---- WAV ---- */

static void put(uint8_t *out, uint32_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

FILE *ai_record_open_wav(const char *folder, const char *session, enum ai_format format)
{
    static const uint16_t codes[] = {[AI_PCM] = 1, [AI_PCMU] = 7, [AI_PCMA] = 6};
    char path[512];
    uint8_t head[WAV_HEAD_BYTES] = "RIFF    WAVEfmt     ";
    uint32_t rate = ai_audio_rate(format), width = format == AI_PCM ? 2 : 1;
    snprintf(path, sizeof path, "%s/%s.wav", folder, session);
    FILE *file = fopen(path, "wb+");
    if (!file)
        return NULL;
    put(head + 16, 16, 4);
    put(head + 20, codes[format], 2);
    put(head + 22, 1, 2);
    put(head + 24, rate, 4);
    put(head + 28, rate * width, 4);
    put(head + 32, width, 2);
    put(head + 34, width * 8, 2);
    memcpy(head + 36, "data", 4);
    fwrite(head, 1, sizeof head, file);
    return file;
}

void ai_record_close_wav(FILE *file)
{
    uint8_t size[4];
    long bytes = ftell(file);
    put(size, (uint32_t)bytes - 8, 4);
    fseek(file, 4, SEEK_SET);
    fwrite(size, 1, 4, file);
    put(size, (uint32_t)bytes - WAV_HEAD_BYTES, 4);
    fseek(file, 40, SEEK_SET);
    fwrite(size, 1, 4, file);
    fclose(file);
}
