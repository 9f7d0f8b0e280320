#include "control/carrier/carrier_search.h"

#include "common/panic.h"
#include "control/base/json_read.h"

static const char *text_of(const json_t *item, const char *name)
{
    const char *text = json_read_text(item, name, CARRIER_SEARCH_TEXT_BYTES);
    return text ? text : "";
}

bool carrier_search_read(const json_t *item, struct carrier_search_found *found)
{
    *found =
        (struct carrier_search_found){.number = text_of(item, "phone_number"),
                                      .locality = text_of(item, "locality"),
                                      .region = text_of(item, "region"),
                                      .address_requirements = text_of(item, "address_requirements"),
                                      .voice = carrier_number_can(item, "voice"),
                                      .sms = carrier_number_can(item, "sms"),
                                      .mms = carrier_number_can(item, "mms")};
    return carrier_number_is_e164(found->number);
}

json_t *carrier_search_write(const struct carrier_search_found *found)
{
    json_t *can = json_array();
    if (found->voice)
        json_array_append_new(can, json_string("voice"));
    if (found->sms)
        json_array_append_new(can, json_string("sms"));
    if (found->mms)
        json_array_append_new(can, json_string("mms"));
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "number", found->number, "locality",
                     found->locality, "region", found->region, "address_requirements",
                     found->address_requirements, "capabilities", can);
}

struct showing {
    bool (*each)(const struct carrier_search_found *found, void *context);
    void *context;
};

static bool show(const json_t *item, void *context)
{
    const struct showing *showing = context;
    struct carrier_search_found found;
    return !carrier_search_read(item, &found) || showing->each(&found, showing->context);
}

bool carrier_search_run(const struct twilio_rest *rest, const struct carrier_search *search,
                        bool (*each)(const struct carrier_search_found *found, void *context),
                        void *context, struct http_client_response *response)
{
    struct twilio_rest_pair pairs[4] = {{"PageSize", "50"}, {"VoiceEnabled", "true"}};
    struct showing showing = {each, context};
    char path[TWILIO_REST_PATH_BYTES];
    size_t count = 2;
    const char *kind = carrier_number_kind(search->kind);
    assert(kind);
    if (search->area_code)
        pairs[count++] = (struct twilio_rest_pair){"AreaCode", search->area_code};
    if (search->contains)
        pairs[count++] = (struct twilio_rest_pair){"Contains", search->contains};
    snprintf(path, sizeof path, "AvailablePhoneNumbers/%s/%s.json", search->country, kind);
    return twilio_rest_list(rest, path, "available_phone_numbers", pairs, count, show, &showing,
                            response);
}
