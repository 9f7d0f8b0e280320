/* What a stream has to say when it is over. */
#include "tests/practice/carrier_leg.h"

#include "tests/practice/carrier_audio.h"

#include <stdlib.h>

static double to_ms(uint64_t bytes)
{
    return (double)bytes / CARRIER_BYTES_PER_MS;
}

static json_t *report_frames(const struct carrier_leg *leg)
{
    return json_pack("{s:I, s:I, s:I, s:f}", "sent", (json_int_t)leg->frames_sent, "late",
                     (json_int_t)leg->frames_late, "left_out", (json_int_t)leg->frames_skipped,
                     "late_max_ms", (double)leg->frame_late_max_us / 1000);
}

static json_t *report_playback(const struct carrier_leg *leg)
{
    const struct carrier_playback *playback = &leg->playback;
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:i}", "messages",
                     (json_int_t)leg->media_messages, "bytes", (json_int_t)leg->media_bytes,
                     "first_ms", (json_int_t)leg->first_media_ms, "played_ms",
                     to_ms(playback->position), "thrown_ms", to_ms(playback->thrown_bytes),
                     "refused_ms", to_ms(playback->refused_bytes), "left_ms",
                     to_ms(playback->queue_bytes), "runs", (int)playback->runs);
}

static json_t *report_end(const struct carrier_leg_end *end)
{
    return json_pack("{s:b, s:b, s:i, s:s?, s:i, s:i}", "opened", end->opened, "caller_hung_up",
                     end->hung_up, "error", (int)end->error, "why", end->why, "status",
                     (int)end->status, "close_code", (int)end->close_code);
}

json_t *carrier_leg_report(const struct carrier_leg *leg)
{
    if (!leg->marks)
        return json_null();
    uint64_t lasted_ns = leg->end.opened ? leg->ended_ns - leg->begun_ns : 0;
    json_t *report = json_pack("{s:s, s:I, s:f, s:o, s:o, s:o}", "stream_sid",
                               leg->stream.stream_sid, "connect_ms", (json_int_t)leg->connect_ms,
                               "duration_ms", (double)lasted_ns / 1e6, "end", report_end(&leg->end),
                               "frames", report_frames(leg), "media", report_playback(leg));
    json_object_set(report, "said", leg->said);
    json_object_set(report, "speeches", leg->speeches);
    json_object_set(report, "answers_ms", leg->answers_ms);
    json_object_set(report, "marks", leg->marks);
    json_object_set(report, "clears", leg->clears);
    json_object_set(report, "warnings", leg->warnings);
    if (leg->second_status)
        json_object_set_new(report, "second_status", json_integer((int)leg->second_status));
    return report;
}

void carrier_leg_close(struct carrier_leg *leg)
{
    if (leg->end.opened)
        carrier_playback_close(&leg->playback);
    json_decref(leg->marks);
    json_decref(leg->clears);
    json_decref(leg->warnings);
    json_decref(leg->answers_ms);
    json_decref(leg->speeches);
    json_decref(leg->said);
    free(leg->sent);
}
