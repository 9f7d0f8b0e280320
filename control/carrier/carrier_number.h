/* carrier_number: a number as the carrier has it beside what we want of it. Pure.
 *
 * What it is: the properties of a number that make its calls and messages reach us, one table of
 * them, by the names that Twilio really has for them (request: VoiceUrl, answer: voice_url). A
 * number has Voice, SMS and status URLs; it has no StatusCallbackEvent, no URL for recordings and
 * none for the delivery of messages: those are asked for with each call, recording and message.
 * An application or a trunk on a number has its URLs ignored, so none is wanted there.
 * What it is not: a request (twilio_rest.h) or a row (store/carrier_numbers.h).
 *
 * Owner: values by value; JSON and options are borrowed. Thread: any.
 * Source: Twilio's description of IncomingPhoneNumbers and AvailablePhoneNumbers. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_CARRIER_NUMBER_H
#define RINGBRIDGE_CONTROL_CARRIER_CARRIER_NUMBER_H

#include "control/carrier/twilio_rest.h"

#define CARRIER_NUMBER_TEXT_BYTES 1024 /* a property's value, as far as it is shown */
#define CARRIER_NUMBER_NAME_BYTES 64   /* longest name of a number at Twilio */

/* Rows: what it is called in a request, in an answer, and what kind of wish it is. */
#define CARRIER_NUMBER_PROPERTIES(ROW)                                                             \
    ROW(VoiceUrl, voice_url)                                                                       \
    ROW(VoiceMethod, voice_method)                                                                 \
    ROW(VoiceFallbackUrl, voice_fallback_url)                                                      \
    ROW(VoiceFallbackMethod, voice_fallback_method)                                                \
    ROW(VoiceApplicationSid, voice_application_sid)                                                \
    ROW(TrunkSid, trunk_sid)                                                                       \
    ROW(StatusCallback, status_callback)                                                           \
    ROW(StatusCallbackMethod, status_callback_method)                                              \
    ROW(SmsUrl, sms_url)                                                                           \
    ROW(SmsMethod, sms_method)                                                                     \
    ROW(SmsApplicationSid, sms_application_sid)

enum carrier_number_property {
#define ROW(request, answer) CARRIER_NUMBER_##request,
    CARRIER_NUMBER_PROPERTIES(ROW)
#undef ROW
        CARRIER_NUMBER_PROPERTIES_COUNT
};

/* What we want, value by value. */
struct carrier_number_want {
    char value[CARRIER_NUMBER_PROPERTIES_COUNT][CARRIER_NUMBER_TEXT_BYTES];
};

/* A difference: the row's names, and both values. */
struct carrier_number_difference {
    enum carrier_number_property property;
    const char *request, *answer;
    char has[CARRIER_NUMBER_TEXT_BYTES]; /* what strangers wrote: cut, maybe not printable */
    const char *wants;                   /* of the want */
};

/* public_url: https base under which the carrier reaches us. False: it is too long. */
bool carrier_number_wish(struct carrier_number_want *want, const char *public_url);

/* Writes what differs in the carrier's description of a number (an item of
 * incoming_phone_numbers), at most CARRIER_NUMBER_PROPERTIES_COUNT. What a number cannot do (SMS)
 * is not compared. */
int carrier_number_compare(const struct carrier_number_want *want, const json_t *number,
                           struct carrier_number_difference *differences);

/* All that is wanted, as form fields; pairs has room for CARRIER_NUMBER_PROPERTIES_COUNT. Empty
 * values are left out: a new number has none. They point into want. */
size_t carrier_number_fields(const struct carrier_number_want *want,
                             struct twilio_rest_pair *pairs);

/* Is it capable of this ("voice", "sms")? Twilio writes the names in both cases. */
bool carrier_number_can(const json_t *number, const char *capability);

/* The name that a number bears which an order bought. */
void carrier_number_name(const char *order, char name[CARRIER_NUMBER_NAME_BYTES]);

/* "local", "toll_free", "mobile" as AvailablePhoneNumbers has them; NULL: no such kind. */
const char *carrier_number_kind(const char *kind);

/* A number in E.164, and nothing else? */
bool carrier_number_is_e164(const char *text);

#endif
