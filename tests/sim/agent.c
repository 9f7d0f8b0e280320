/* The agent: what the AI says. Responses of drawn lengths, in bursts faster than speech, their
 * words, their ends; a cancelled one stops a little later. The ledger keeps what the caller should
 * hear. */
#include "common/base64.h"
#include "edge/media/g711.h"
#include "tests/sim/story.h"
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdio.h>

#define WORDY_BYTES 12000 /* of text: a dozen of them are more than may wait for a listener */

struct utterance *agent_find_item(struct story *story, struct span id)
{
    for (unsigned i = story->items_count; i-- > 0;)
        if (span_is(id, story->items[i].id))
            return &story->items[i];
    return NULL;
}

/* A response has a name, an item, and a length. */
void agent_begin(struct story *story, struct ai *ai, uint64_t now_ns)
{
    struct dice *dice = &ai->dice;
    uint64_t ms =
        dice_chance(dice, 100) ? dice_between(dice, 5000, 20000) : dice_between(dice, 60, 4000);
    if (ai->response[0] || story->items_count == ITEMS_MAX)
        return;
    struct utterance *item = &story->items[story->items_count++];
    snprintf(ai->response, sizeof ai->response, "resp_%u_%u", story->number, story->items_count);
    snprintf(ai->item, sizeof ai->item, "item_%u_%u", story->number, story->items_count);
    *item = (struct utterance){.start = story->agent.count, .end = story->agent.count};
    memcpy(item->id, ai->item, sizeof item->id);
    ai->response_left = ms * (story->pcm ? 48 : 8);
    ai->cancelled = false;
    ai->delta_ns = now_ns + dice_below(dice, 300) * MS;
    peer_send_text(&ai->peer,
                   "{\"type\":\"response.created\",\"event_id\":\"e2\",\"response\":{\"id\":\"%s\","
                   "\"status\":\"in_progress\"}}",
                   ai->response);
}

/* What 24 kHz becomes, as the edge should make it while nothing is cut. */
static void note_pcm(struct story *story, const uint8_t *bytes, size_t count, uint64_t now_ns)
{
    static int16_t wide[PCM_BYTES_MAX / 2], narrow[PCM_BYTES_MAX / 2];
    static uint8_t codes[PCM_BYTES_MAX / 2];
    size_t samples = pcm_take(&story->agent_pcm, span_from(bytes, count), wide);
    samples = resample_run(&story->agent_filter, wide, samples, narrow);
    g711_ulaw_encode(narrow, codes, samples);
    ledger_put(&story->agent, span_from(codes, samples), now_ns);
}

static struct span speak(struct story *story, struct ai *ai, size_t bytes, uint64_t now_ns)
{
    static uint8_t pcm[PCM_BYTES_MAX];
    if (!story->pcm)
        return span_from(ledger_speak(&story->agent, bytes, now_ns), bytes);
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word = dice_draw(&ai->dice) & 0x1fff1fff1fff1fffu;
        memcpy(pcm + i, &word, 8);
    }
    note_pcm(story, pcm, bytes, now_ns);
    return span_from(pcm, bytes);
}

static void say_delta(struct story *story, struct ai *ai, uint64_t now_ns)
{
    static char text[PCM_BYTES_MAX * 2];
    struct dice *dice = &ai->dice;
    size_t unit = story->pcm ? 48 : 8;
    size_t bytes = dice_between(dice, 20, dice_chance(dice, 50) ? 2000 : 250) * unit;
    if (bytes > ai->response_left)
        bytes = ai->response_left;
    struct span audio = speak(story, ai, bytes, now_ns);
    ai->response_left -= bytes;
    base64_encode(audio, (uint8_t *)text);
    peer_send_text(&ai->peer,
                   "{\"type\":\"response.output_audio.delta\",\"event_id\":\"e3\",\"response_id\":"
                   "\"%s\",\"item_id\":\"%s\",\"output_index\":0,\"content_index\":0,\"delta\":"
                   "\"%.*s\"}",
                   ai->response, ai->item, (int)base64_encoded_bytes(bytes), text);
    struct utterance *item = agent_find_item(story, span_of(ai->item));
    item->end = story->agent.count;
    if (dice_chance(dice, 400))
        peer_send_text(&ai->peer,
                       "{\"type\":\"response.output_audio_transcript.delta\",\"event_id\":\"e4\","
                       "\"response_id\":\"%s\",\"item_id\":\"%s\",\"content_index\":0,\"delta\":"
                       "\"word%u%*s\"}",
                       ai->response, ai->item, ai->words++, story->wordy ? WORDY_BYTES : 1, "");
    uint64_t length_ns = bytes / unit * MS;
    ai->delta_ns = now_ns + length_ns / dice_between(dice, 2, 20);
}

static void call_function(struct ai *ai)
{
    static const char *const names[] = {"look_up", "look_up", "collect_digits", "end_call",
                                        "nobody_knows"};
    peer_send_text(&ai->peer,
                   "{\"type\":\"response.output_item.done\",\"event_id\":\"e7\",\"response_id\":"
                   "\"%s\",\"output_index\":1,\"item\":{\"id\":\"f\",\"type\":\"function_call\","
                   "\"status\":\"completed\",\"call_id\":\"c%u\",\"name\":\"%s\",\"arguments\":"
                   "\"{}\"}}",
                   ai->response, (unsigned)dice_below(&ai->dice, 1000),
                   names[dice_below(&ai->dice, sizeof names / sizeof names[0])]);
}

void agent_chat(struct story *story, struct ai *ai)
{
    static const char *const texts[] = {
        "{\"type\":\"rate_limits.updated\",\"event_id\":\"x\",\"rate_limits\":[{\"a\":1}]}",
        "{\"type\":\"error\",\"event_id\":\"x\",\"error\":{\"type\":\"invalid_request_error\","
        "\"code\":\"item_truncate_invalid_item_id\",\"message\":\"no\"}}",
        "{\"type\":\"conversation.item.added\",\"event_id\":\"x\",\"item\":{\"id\":\"i\"}}",
        "{\"type\":\"session.updated\",\"event_id\":\"x\",\"session\":{\"id\":\"again\"}}",
        "{\"type\":\"response.done\",\"event_id\":\"x\",\"response\":{\"id\":\"nobody's\","
        "\"status\":\"failed\"}}",
        "{\"type\":\"response.output_audio.done\",\"event_id\":\"x\",\"response_id\":\"none\","
        "\"item_id\":\"none\",\"content_index\":0}",
        "{\"type\":\"input_audio_buffer.speech_stopped\",\"event_id\":\"x\",\"audio_end_ms\":0,"
        "\"item_id\":\"z\"}",
        "{\"type\":\"conversation.item.input_audio_transcription.completed\",\"event_id\":\"x\","
        "\"item_id\":\"never_heard_of\",\"content_index\":0,\"transcript\":\"words\"}",
    };
    (void)story;
    peer_send_text(&ai->peer, "%s", texts[dice_below(&ai->dice, sizeof texts / sizeof texts[0])]);
}

static void end_response(const struct story *story, struct ai *ai, const char *status)
{
    if (strcmp(status, "completed") == 0) {
        peer_send_text(&ai->peer,
                       "{\"type\":\"response.output_audio.done\",\"event_id\":\"e5\","
                       "\"response_id\":\"%s\",\"item_id\":\"%s\",\"output_index\":0,"
                       "\"content_index\":0}",
                       ai->response, ai->item);
        peer_send_text(&ai->peer,
                       "{\"type\":\"response.output_audio_transcript.done\",\"event_id\":\"e6\","
                       "\"response_id\":\"%s\",\"item_id\":\"%s\",\"content_index\":0,"
                       "\"transcript\":\"so many words\"}",
                       ai->response, ai->item);
        while (story->chatty && dice_chance(&ai->dice, 300))
            call_function(ai);
    }
    peer_send_text(&ai->peer,
                   "{\"type\":\"response.done\",\"event_id\":\"e8\",\"response\":{\"id\":\"%s\","
                   "\"status\":\"%s\",\"usage\":{\"total_tokens\":9}}}",
                   ai->response, status);
    ai->response[0] = '\0';
    ai->delta_ns = NEVER;
}

void agent_speak_on(struct story *story, struct ai *ai, uint64_t now_ns)
{
    if (ai->cancelled)
        end_response(story, ai, "cancelled");
    else if (ai->response_left)
        say_delta(story, ai, now_ns);
    else
        end_response(story, ai, "completed");
}

/* Some of it may be on its way already, and a little more comes before it stops. */
void agent_cancel(struct story *story, struct ai *ai, uint64_t now_ns)
{
    if (!ai->response[0] || ai->cancelled)
        return;
    story->cuts++;
    if (ai->response_left && dice_chance(&ai->dice, 300))
        say_delta(story, ai, now_ns);
    ai->cancelled = true;
    ai->delta_ns = now_ns + dice_below(&ai->dice, 30) * MS;
}
