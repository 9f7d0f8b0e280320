#include "control/carrier/carrier_number.h"

#include <strings.h>

/* The carrier repeats what we refuse, for fifteen seconds. What answers a caller is asked three
 * times, what only tells us something five times. */
#define VOICE_PATH  "/api/twilio/incoming-call#rc=3&rp=all"
#define STATUS_PATH "/api/twilio/status-callback#rc=5&rp=all"
#define SMS_PATH    "/api/twilio/incoming-sms#rc=3&rp=all"

static const struct names {
    const char *request, *answer;
} names[] = {
#define ROW(request, answer) {#request, #answer},
    CARRIER_NUMBER_PROPERTIES(ROW)
#undef ROW
};

static bool put_url(struct carrier_number_want *want, enum carrier_number_property property,
                    const char *public_url, const char *path)
{
    int bytes =
        snprintf(want->value[property], CARRIER_NUMBER_TEXT_BYTES, "%s%s", public_url, path);
    return bytes > 0 && bytes < CARRIER_NUMBER_TEXT_BYTES;
}

bool carrier_number_wish(struct carrier_number_want *want, const char *public_url)
{
    static const enum carrier_number_property methods[] = {
        CARRIER_NUMBER_VoiceMethod, CARRIER_NUMBER_VoiceFallbackMethod,
        CARRIER_NUMBER_StatusCallbackMethod, CARRIER_NUMBER_SmsMethod};
    memset(want, 0, sizeof *want);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        snprintf(want->value[methods[i]], CARRIER_NUMBER_TEXT_BYTES, "POST");
    /* The fallback is the same question once more: it is answered alike however often it comes, and
     * by whichever control has come up meanwhile. */
    return put_url(want, CARRIER_NUMBER_VoiceUrl, public_url, VOICE_PATH) &&
           put_url(want, CARRIER_NUMBER_VoiceFallbackUrl, public_url, VOICE_PATH) &&
           put_url(want, CARRIER_NUMBER_StatusCallback, public_url, STATUS_PATH) &&
           put_url(want, CARRIER_NUMBER_SmsUrl, public_url, SMS_PATH);
}

bool carrier_number_can(const json_t *number, const char *capability)
{
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(number, "capabilities"), name,
                        value) if (strcasecmp(name, capability) == 0) return json_is_true(value);
    return false;
}

static bool is_of_messages(enum carrier_number_property property)
{
    return property == CARRIER_NUMBER_SmsUrl || property == CARRIER_NUMBER_SmsMethod ||
           property == CARRIER_NUMBER_SmsApplicationSid;
}

static bool is_method(enum carrier_number_property property)
{
    return property == CARRIER_NUMBER_VoiceMethod ||
           property == CARRIER_NUMBER_VoiceFallbackMethod ||
           property == CARRIER_NUMBER_StatusCallbackMethod || property == CARRIER_NUMBER_SmsMethod;
}

int carrier_number_compare(const struct carrier_number_want *want, const json_t *number,
                           struct carrier_number_difference *differences)
{
    int count = 0;
    for (int i = 0; i < CARRIER_NUMBER_PROPERTIES_COUNT; i++) {
        enum carrier_number_property property = (enum carrier_number_property)i;
        const char *has = json_string_value(json_object_get(number, names[i].answer));
        const char *wants = want->value[i];
        if (is_of_messages(property) && !carrier_number_can(number, "sms"))
            continue;
        if (!has)
            has = "";
        if ((is_method(property) ? strcasecmp(has, wants) : strcmp(has, wants)) == 0)
            continue;
        differences[count] = (struct carrier_number_difference){
            .property = property, .request = names[i].request, .answer = names[i].answer};
        differences[count].wants = wants;
        snprintf(differences[count].has, sizeof differences[count].has, "%s", has);
        count++;
    }
    return count;
}

size_t carrier_number_fields(const struct carrier_number_want *want, struct twilio_rest_pair *pairs)
{
    size_t count = 0;
    for (int i = 0; i < CARRIER_NUMBER_PROPERTIES_COUNT; i++)
        if (want->value[i][0])
            pairs[count++] = (struct twilio_rest_pair){names[i].request, want->value[i]};
    return count;
}

void carrier_number_name(const char *order, char name[CARRIER_NUMBER_NAME_BYTES])
{
    snprintf(name, CARRIER_NUMBER_NAME_BYTES, "ringbridge %s", order);
}

const char *carrier_number_kind(const char *kind)
{
    static const struct names kinds[] = {
        {"Local", "local"}, {"TollFree", "toll_free"}, {"Mobile", "mobile"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kind && strcmp(kind, kinds[i].answer) == 0)
            return kinds[i].request;
    return NULL;
}

bool carrier_number_is_e164(const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    return bytes >= 3 && bytes <= 16 && text[0] == '+' && text[1] >= '1' && text[1] <= '9' &&
           strspn(text + 1, "0123456789") == bytes - 1;
}
