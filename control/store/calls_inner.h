/* calls_inner: what calls.c and calls_together.c share: the columns of an answered call. Not for
 * others. */
#ifndef RINGBRIDGE_CONTROL_STORE_CALLS_INNER_H
#define RINGBRIDGE_CONTROL_STORE_CALLS_INNER_H

#include "control/store/calls.h"

#define CALLS_TEXT_MAX 512

#define CALLS_ANSWER_COLUMNS                                                                       \
    "found, created, conversation_id, organization_id, organization_name, call_status, "           \
    "configured, ai_backend, model, voice, instructions, greeting, audio_format, language, "       \
    "transcription_model, duration_max_s, tools, settings, ai_sealed, call_sid, account_sid, "     \
    "append_ms, record, greeting_interruptible, interrupt_after_ms, vad_prefix_ms, "               \
    "vad_silence_ms, vad_threshold_percent, session_max_s, route, fallback, "                      \
    "tool_waits"
#define CALLS_ANSWER_CALL_SID    19
#define CALLS_ANSWER_ACCOUNT_SID 20

#endif
