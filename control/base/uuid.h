/* uuid: 16 bytes and their text of 36 characters, lower case, as PostgreSQL prints it.
 * Thread: any. */
#ifndef RINGBRIDGE_CONTROL_BASE_UUID_H
#define RINGBRIDGE_CONTROL_BASE_UUID_H

#include "common/span.h"

#define UUID_BYTES      16
#define UUID_TEXT_BYTES 36

/* False unless text is exactly 8-4-4-4-12 digits in lower case; NULL is not. */
bool uuid_read(const char *text, uint8_t bytes[UUID_BYTES]);

/* Writes the text with its NUL. */
void uuid_write(const uint8_t bytes[UUID_BYTES], char text[UUID_TEXT_BYTES + 1]);

/* Writes a new random one (version 4). */
void uuid_make(char text[UUID_TEXT_BYTES + 1]);

#endif
