/* carrier_twiml: a TwiML document as a flat list of elements, by expat.
 *
 * What it is: reads what a webhook answered; refuses what Twilio refuses (not XML, no Response at
 * the top, too large) and what nobody should send (a DOCTYPE, and with it entities). What it is
 * not: what a verb does (carrier_call). Owner: all text lies in the struct. Thread: any. Bounds:
 * the constants; the body limit is Twilio's 64 kB (error 11750). */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_TWIML_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_TWIML_H

#include "common/span.h"

#define CARRIER_TWIML_BYTES_MAX      65536
#define CARRIER_TWIML_ELEMENTS_MAX   256
#define CARRIER_TWIML_ATTRIBUTES_MAX 1024
#define CARRIER_TWIML_DEPTH_MAX      8

struct carrier_twiml {
    struct carrier_element {
        const char *name;
        const char *text; /* its own character data, blanks at both ends cut */
        int parent;       /* index; -1 for Response, which is element 0 */
        size_t attribute; /* first */
        size_t attribute_count;
    } elements[CARRIER_TWIML_ELEMENTS_MAX];
    size_t count;
    struct carrier_attribute {
        const char *name, *value;
    } attributes[CARRIER_TWIML_ATTRIBUTES_MAX];
    size_t attribute_count;
    char bytes[2 * CARRIER_TWIML_BYTES_MAX];
    size_t used;
    unsigned error_code; /* Twilio's: 11750 too large, 12100 parse failure, 12200 schema */
    const char *error;   /* NULL: a good document */
};

/* Reads a document. False with error and error_code set. */
bool carrier_twiml_read(struct span text, struct carrier_twiml *twiml);

/* The next element below parent, after the element `after` (-1: the first), with this name (NULL:
 * any). -1 when there is none. Verbs are the elements below 0. */
int carrier_twiml_next(const struct carrier_twiml *twiml, int parent, int after, const char *name);

/* An attribute's value, or fallback. */
const char *carrier_twiml_attribute(const struct carrier_twiml *twiml, int element,
                                    const char *name, const char *fallback);

#endif
