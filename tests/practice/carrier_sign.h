/* carrier_sign: X-Twilio-Signature, from Twilio's side.
 *
 * What it is: the text that Twilio signs for a request, and its HMAC-SHA1 by OpenSSL. Written from
 * Twilio's security page and helper libraries' vectors alone; it shares nothing with
 * control/carrier/signature.c, whose oracle it is. Pure. Thread: any. Bounds: the form's and the
 * URL's. */
#ifndef RINGBRIDGE_TESTS_PRACTICE_CARRIER_SIGN_H
#define RINGBRIDGE_TESTS_PRACTICE_CARRIER_SIGN_H

#include "tests/practice/carrier_form.h"
#include "tests/practice/carrier_url.h"

#define CARRIER_SIGNATURE_ROOM 29 /* 28 characters and a NUL */

/* Signs the URL text exactly as given, followed by the form's fields: grouped by name, names
 * sorted bytewise, a name's values sorted and each distinct one taken once. form may be NULL (GET,
 * handshake, JSON). */
void carrier_sign(const char *token, const char *url_text, const struct carrier_form *form,
                  char signature[CARRIER_SIGNATURE_ROOM]);

/* The URL text that Twilio's voice back end signs: no userinfo, no fragment; the port is dropped
 * for https, kept for http, and kept for ws and wss as it stands in the TwiML. */
bool carrier_sign_address(const struct carrier_url *url, char *text, size_t room);

#endif
