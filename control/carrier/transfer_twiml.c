#include "control/carrier/transfer_twiml.h"

#include "common/panic.h"

#include <stdio.h>

#define CALLBACKS      "#rc=5&rp=all"
#define RING_S         25
#define SLACK_S        10 /* the carrier's own delays: a ring may take 5 s longer than asked */
#define SAYING_S       30 /* about as long as a briefing takes */
#define MUSIC_AGAIN_S  20
#define TALK_S         14400
#define EVENTS         "start end join leave"
#define CONFERENCE_URL "/api/twilio/conference-status"

static unsigned number_of(const json_t *step, const char *name, unsigned otherwise)
{
    const json_t *value = json_object_get(step, name);
    return json_is_integer(value) ? (unsigned)json_integer_value(value) : otherwise;
}

static const char *text_of(const json_t *step, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(step, name));
    return text && text[0] ? text : otherwise;
}

static void write_number(struct twiml *twiml, const char *name, unsigned number)
{
    char text[12];
    snprintf(text, sizeof text, "%u", number);
    twiml_attribute(twiml, name, text);
}

void transfer_url(char url[TRANSFER_URL_BYTES], const char *public_url, const char *path,
                  const char *transfer)
{
    int length =
        snprintf(url, TRANSFER_URL_BYTES, "%s%s?transfer=%s" CALLBACKS, public_url, path, transfer);
    assert(length > 0 && length < TRANSFER_URL_BYTES); /* the base is bounded at boot */
}

void transfer_name(char name[TRANSFER_NAME_BYTES], const char *transfer)
{
    int length = snprintf(name, TRANSFER_NAME_BYTES, "transfer-%s", transfer);
    assert(length > 0 && length < TRANSFER_NAME_BYTES);
}

unsigned transfer_patience_s(const json_t *step)
{
    unsigned asking_s = SAYING_S + number_of(step, "accept_s", TRANSFER_ACCEPT_S);
    return number_of(step, "ring_s", RING_S) + TRANSFER_ASKS * asking_s + SLACK_S;
}

static void write_conference(struct twiml *twiml, const char *public_url, const char *transfer,
                             const char *label, bool starts)
{
    char status[TRANSFER_URL_BYTES], wait[TRANSFER_URL_BYTES], name[TRANSFER_NAME_BYTES];
    transfer_url(status, public_url, CONFERENCE_URL, transfer);
    transfer_url(wait, public_url, "/api/twilio/transfer-wait", transfer);
    transfer_name(name, transfer);
    twiml_begin(twiml, "Conference");
    twiml_attribute(twiml, "startConferenceOnEnter", starts ? "true" : "false");
    twiml_attribute(twiml, "endConferenceOnExit", "true");
    twiml_attribute(twiml, "beep", "false");
    twiml_attribute(twiml, "maxParticipants", "2");
    twiml_attribute(twiml, "participantLabel", label);
    twiml_attribute(twiml, "waitUrl", wait);
    twiml_attribute(twiml, "statusCallback", status);
    twiml_attribute(twiml, "statusCallbackEvent", EVENTS);
    twiml_text(twiml, span_of(name));
    twiml_end(twiml);
}

void transfer_write_caller(struct twiml *twiml, const json_t *step, const char *public_url,
                           const char *transfer, const char *action)
{
    const char *say = text_of(step, "say", NULL);
    if (say)
        twiml_say(twiml, say);
    twiml_begin(twiml, "Dial");
    twiml_attribute(twiml, "action", action);
    /* Also the end of a wait that no webhook and no job of ours could end. */
    write_number(twiml, "timeLimit", number_of(step, "limit_s", TALK_S));
    write_conference(twiml, public_url, transfer, "caller", false);
    twiml_end(twiml);
}

void transfer_write_music(struct twiml *twiml, const json_t *step)
{
    const char *music = text_of(step, "music", NULL);
    if (music) {
        twiml_begin(twiml, "Play");
        twiml_text(twiml, span_of(music));
        twiml_end(twiml);
        return;
    }
    twiml_say(twiml, "Please hold the line.");
    twiml_pause(twiml, MUSIC_AGAIN_S);
}

void transfer_write_question(struct twiml *twiml, const json_t *step, const char *public_url,
                             const char *transfer, unsigned tries)
{
    char url[TRANSFER_URL_BYTES];
    int length =
        snprintf(url, sizeof url, "%s/api/twilio/transfer-decision?transfer=%s&tries=%u" CALLBACKS,
                 public_url, transfer, tries);
    assert(length > 0 && (size_t)length < sizeof url);
    twiml_begin(twiml, "Gather");
    twiml_attribute(twiml, "input", "dtmf");
    twiml_attribute(twiml, "numDigits", "1");
    twiml_attribute(twiml, "finishOnKey", "");
    write_number(twiml, "timeout", number_of(step, "accept_s", TRANSFER_ACCEPT_S));
    twiml_attribute(twiml, "actionOnEmptyResult", "true");
    twiml_attribute(twiml, "action", url);
    twiml_say(twiml, text_of(step, "briefing", "There is a call for you."));
    twiml_say(twiml, "Press 1 to take the call, or 2 to refuse it.");
    twiml_end(twiml);
}

void transfer_write_callee(struct twiml *twiml, const char *public_url, const char *transfer)
{
    twiml_begin(twiml, "Dial");
    write_conference(twiml, public_url, transfer, "callee", true);
    twiml_end(twiml);
    twiml_hangup(twiml);
}
