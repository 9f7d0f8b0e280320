/* spool: a recording of a call while it runs: blocks of both tracks, appended to a file of their
 * own (common/spool_format.h), which control makes an Ogg Opus file of when it is finished.
 *
 *   pieces of the tap -> a page in memory -> once a second to the file's end -> page free again
 *                        (paused: silence)    (the ring; one write per file at a time)
 *
 * Nothing of this waits for a disk. What cannot be written stands in a queue of pages; when that is
 * full, time is lost: a gap in the file, which counts as silence, so the clock holds. A disk that
 * is full, gone, forbidden or slow for long ends the recording with a name, a counter and an event;
 * what stands is kept, and the call never notices. Calls write at different moments of the second,
 * because each one's first block has a length of its own. A recording outlives its call by its last
 * writes. A file holds an hour or so; a longer call goes on in the next one, without a gap. Owner:
 * struct calls has all of a core's. Thread: the core's. Bounds: FILES_MAX recordings,
 * SPOOL_PAGES_MAX pages, SPOOL_QUEUE_MAX of them in one queue, SPOOL_FILE_BLOCKS_MAX in a file. */
#ifndef RINGBRIDGE_EDGE_CALL_SPOOL_H
#define RINGBRIDGE_EDGE_CALL_SPOOL_H

#include "common/spool_format.h"
#include "edge/call/taps.h"
#include "edge/io/conn.h"
#include "edge/io/slab.h"

#define SPOOL_QUEUE_MAX 8 /* pages: so many seconds a disk may sleep before time is lost */

struct spool;

/* Whose a recording is, for what is told of it when the call may be gone. */
struct spool_owner {
    uint64_t ref; /* of the call */
    char call[37], organization[37];
};

struct spools_config {
    bool on;                  /* false: this edge keeps no recordings */
    int directory;            /* descriptor; borrowed */
    unsigned files_max;       /* at once; as io_config's */
    unsigned file_blocks_max; /* 0: SPOOL_FILE_BLOCKS_MAX; small in tests */
    unsigned pages_max;       /* 0: SPOOL_PAGES_MAX; small in tests */
};

/* Placed in struct calls. */
struct spools {
    struct spools_config config;
    struct slab spools, pages;
};

/* False when memory is out. */
bool spools_open(struct spools *spools, const struct spools_config *config);
/* Those that are not finished are forgotten; their files are closed by now. */
void spools_close(struct spools *spools);

/* Recordings whose files are not closed yet. */
unsigned spools_count(const struct spools *spools);

/* From now on call is recorded; call->spool is set, unless it is refused, which is told and
 * counted. A call that is recorded already goes on. The stream must have started. */
void spool_begin(struct calls *calls, struct call *call);

/* Only while call->spool is there: */

/* The next piece of the call's tap. May end the recording. */
void spool_hear(struct calls *calls, struct call *call, const struct tap_piece *piece);

/* What the tap let out and nobody heard: erased, as far as it is not written. */
void spool_erase(struct call *call, const struct tap_unheard *unheard);

/* Paused: nothing of either side goes into the file, not even into its memory; the time does. From
 * the piece at hand on; back at the next one that begins after the order. */
void spool_pause(struct calls *calls, struct call *call, bool paused);

/* It is to be finished; control is told when it is. Takes call->spool. */
void spool_end(struct calls *calls, struct call *call);

/* An answer of the ring about a file. */
void spool_on_file(struct calls *calls, const struct io_done *done);

/* Bytes per recording, with the page that it fills. */
size_t spool_footprint_bytes(void);

#endif
