/* clean: makes what strangers wrote fit for PostgreSQL, which holds neither NUL nor broken UTF-8.
 * Thread: any. Owner: results are malloc'ed for the caller. */
#ifndef RINGBRIDGE_CONTROL_STORE_CLEAN_H
#define RINGBRIDGE_CONTROL_STORE_CLEAN_H

#include "common/span.h"

/* text as valid UTF-8, cut to bytes_max; NULL for NULL and for nothing. */
char *clean_text(const char *text, size_t bytes_max);

/* JSON text with U+FFFD for broken bytes and for the escapes that jsonb refuses (\u0000 and lone
 * surrogates). NULL for NULL. Whether it is JSON is not looked at. */
char *clean_json(const char *json);

#endif
