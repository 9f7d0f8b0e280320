#include "tests/call/voice.h"

uint8_t voice_code(uint64_t sample)
{
    return (uint8_t)((sample * 2654435761u) >> 13);
}

void voice_fill(uint8_t *codes, uint64_t from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        codes[i] = voice_code(from + i);
}

/* One frame of the running clock. */
void voice_frame(struct scene *scene, uint64_t number)
{
    uint8_t codes[VOICE_FRAME];
    voice_fill(codes, number * VOICE_FRAME, VOICE_FRAME);
    scene_media(scene, number * 20, codes, VOICE_FRAME);
    scene_pass(scene, 20);
}

void voice_frames(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        voice_frame(scene, i);
    scene_settle(scene);
}

void voice_expect(const struct scene *scene, size_t bytes)
{
    assert_int_equal(bytes, scene->ai.audio_bytes);
    for (size_t i = 0; i < bytes; i++)
        if (scene->ai.audio[i] != voice_code(i))
            fail_msg("sample %zu of %zu is not the caller's", i, bytes);
}

void voice_begin(struct scene *scene, const char *settings)
{
    scene_open(scene, settings, false);
    scene_connect(scene);
    scene_start(scene);
}

void voice_respond(struct scene *scene, const char *response)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.created\",\"event_id\":\"e3\",\"response\":{\"id\":\"%s\","
                  "\"status\":\"in_progress\"}}",
                  response);
    scene_settle(scene);
}

void voice_finish(struct scene *scene, const char *response, const char *item)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.output_audio.done\",\"event_id\":\"e4\",\"response_id\":"
                  "\"%s\",\"item_id\":\"%s\",\"output_index\":0,\"content_index\":0}",
                  response, item);
    scene_ai_says(scene,
                  "{\"type\":\"response.done\",\"event_id\":\"e5\",\"response\":{\"id\":\"%s\","
                  "\"status\":\"completed\"}}",
                  response);
    scene_settle(scene);
}

void voice_speak_up(struct scene *scene, unsigned audio_start_ms)
{
    scene_ai_says(scene,
                  "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":\"e6\","
                  "\"audio_start_ms\":%u,\"item_id\":\"item_caller\"}",
                  audio_start_ms);
    scene_settle(scene);
}

void voice_fall_silent(struct scene *scene, unsigned audio_end_ms)
{
    scene_ai_says(scene,
                  "{\"type\":\"input_audio_buffer.speech_stopped\",\"event_id\":\"e7\","
                  "\"audio_end_ms\":%u,\"item_id\":\"item_caller\"}",
                  audio_end_ms);
    scene_settle(scene);
}

void voice_echo(struct scene *scene, const char *name)
{
    scene_carrier_says(scene,
                       "{\"event\":\"mark\",\"sequenceNumber\":\"%llu\",\"streamSid\":"
                       "\"MZ00000000000000000000000000000123\",\"mark\":{\"name\":\"%s\"}}",
                       (unsigned long long)++scene->sequence, name);
    scene_settle(scene);
}
