/* download: answers that are longer than what control says at once: recordings.
 *
 * What it is: a reader is given what control gave; when he has taken that, control is asked for the
 * next piece. So one piece lies in memory for each, whatever its length, and a reader who does not
 * take it in time is let go (io/conn.h). What it is not: what the bytes are, and who may have them:
 * control judges that at every piece.
 *
 * Bound: DOWNLOADS_PER_CORE_MAX at once; more are refused with 503. Owner: struct calls. Thread:
 * the core's. */
#ifndef RINGBRIDGE_EDGE_CALL_DOWNLOAD_H
#define RINGBRIDGE_EDGE_CALL_DOWNLOAD_H

#include "edge/limits.h"

#include <stdint.h>

struct download {
    uint64_t conn;       /* its reference; 0: this place is free */
    uint64_t from_bytes; /* given so far */
    char ask[DOWNLOAD_ASK_BYTES_MAX + 1];
};

struct downloads {
    struct download places[DOWNLOADS_PER_CORE_MAX];
};

#endif
