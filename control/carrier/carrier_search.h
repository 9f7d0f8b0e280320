/* carrier_search: the numbers that the carrier has to give away (AvailablePhoneNumbers).
 *
 * What it is: the one place where they are asked for and each is read. What it is not: an order;
 * whoever is listed may be gone a moment later, and the carrier's list is a sample.
 *
 * Owner: what is found is the carrier's answer, for the time of the call. Thread: any. Bounds: a
 * text CARRIER_SEARCH_TEXT_BYTES; how many are enough is the caller's.
 * Source: Twilio's description of AvailablePhoneNumbers. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_CARRIER_SEARCH_H
#define RINGBRIDGE_CONTROL_CARRIER_CARRIER_SEARCH_H

#include "control/carrier/carrier_number.h"

#define CARRIER_SEARCH_TEXT_BYTES 200

struct carrier_search {
    const char *country;              /* ISO 3166, two capital letters */
    const char *kind;                 /* one that carrier_number_kind knows */
    const char *area_code, *contains; /* NULL: does not matter */
};

struct carrier_search_found {
    const char *number;                                   /* E.164 */
    const char *locality, *region, *address_requirements; /* "" where it does not say */
    bool voice, sms, mms;
};

/* Reads an item of the carrier's list. False: it is no number. The texts are item's. */
bool carrier_search_read(const json_t *item, struct carrier_search_found *found);

/* As people and programs are shown it; new. */
json_t *carrier_search_write(const struct carrier_search_found *found);

/* Shows each number that can take calls, as long as each returns true. False: response says why, as
 * twilio_rest_list has it; http_client_free in any case. */
bool carrier_search_run(const struct twilio_rest *rest, const struct carrier_search *search,
                        bool (*each)(const struct carrier_search_found *found, void *context),
                        void *context, struct http_client_response *response);

#endif
