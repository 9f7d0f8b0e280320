/* carrier_error: Twilio's numbers for what went wrong with a media stream, in words.
 *
 * What it is: the table of 319xx and the number in a StreamError. What it is not: exhaustive; a
 * number that is not in it is kept and has no words. Pure. Thread: any.
 * Source: Twilio, error and warning dictionary, Media Streams. */
#ifndef RINGBRIDGE_CONTROL_CARRIER_CARRIER_ERROR_H
#define RINGBRIDGE_CONTROL_CARRIER_CARRIER_ERROR_H

/* The first number of five digits that stands alone in the text and begins with 319; 0: none. */
unsigned carrier_error_code(const char *text);

/* What it means and what to look at; NULL for a number that is not in the table. */
const char *carrier_error_words(unsigned code);

#endif
