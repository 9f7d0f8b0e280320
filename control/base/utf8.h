/* utf8: one character at a time, strictly (RFC 3629: no overlong forms, no surrogates).
 *
 * What control puts into XML, JSON and PostgreSQL must be UTF-8, and what carriers send need not
 * be. Thread: any. Bound: the caller's lengths. */
#ifndef RINGBRIDGE_CONTROL_BASE_UTF8_H
#define RINGBRIDGE_CONTROL_BASE_UTF8_H

#include "common/span.h"

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD stands for a byte that is not UTF-8 */

/* Bytes of the character at the front of text (which is not empty), and the character; 0 when there
 * is none. */
size_t utf8_read(struct span text, uint32_t *character);

/* Copies text into out[room] as valid UTF-8 with a NUL: wrong bytes are replaced, NULs dropped, and
 * what does not fit is cut between characters. Returns its bytes. room is at least 1. */
size_t utf8_clean(struct span text, char *out, size_t room);

#endif
