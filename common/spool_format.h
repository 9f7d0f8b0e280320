/* spool_format: a recording as the edge writes it while the call runs, and control reads it after.
 *
 * What it is: the contract of bytes between edge/spool (the writer) and control's job
 * recording_encode (the reader). What it is not: files, io_uring, Opus. Thread: any.
 *
 * A file is one recording of one call, or an hour of it: SPOOL_DIR/<call's
 * uuid>.<started_at_ms>.spool, mode 0600. It is a row of blocks of SPOOL_BLOCK_BYTES and nothing
 * else; each says for itself what it is, so there is no head to write first and no end to write
 * last:
 *
 *      0  u32  SPOOL_MAGIC
 *      4  u8   version (1)
 *      5  u8   flags             SPOOL_PAUSED: kept back by order; its sound is silence
 *      6  u16  samples           of each track in this block, 0 to SPOOL_BLOCK_SAMPLES
 *      8  u64  first_sample      on the carrier's sample clock (8 kHz), 0 is where the file begins
 *     16  u64  started_at_ms     wall clock of sample 0, unix ms
 *     24  16   call              conversation id
 *     40  16   organization
 *     56  u32  0
 *     60  u32  CRC-32C of bytes 0..59
 *     64  caller's mu-law, SPOOL_BLOCK_SAMPLES bytes, then the agent's; behind samples: anything
 *
 * Little endian. Blocks come in the order of first_sample and do not overlap. A gap between two is
 * time that was lost (a disk too slow) and counts as silence: the clock holds, whatever happens. A
 * block at the end that is not whole, or whose head does not hold, is what a crash left; it is not
 * read, nor is what follows.
 *
 * Who writes makes the file under another name (SPOOL_NEW behind it), takes flock(LOCK_EX), gives
 * it its name and holds the lock to the end; the kernel lets go when the process dies. So a file of
 * this name that can be locked has no writer any more. The event "recording" (link_proto.h) says
 * that one is finished; files without one are found by control. */
#ifndef RINGBRIDGE_COMMON_SPOOL_FORMAT_H
#define RINGBRIDGE_COMMON_SPOOL_FORMAT_H

#include "common/span.h"

#define SPOOL_MAGIC         UINT32_C(0x42505352) /* "RSPB" in the file */
#define SPOOL_VERSION       1
#define SPOOL_HEAD_BYTES    64
#define SPOOL_BLOCK_SAMPLES 8160 /* 51 frames of 20 ms */
#define SPOOL_BLOCK_BYTES   (SPOOL_HEAD_BYTES + 2 * SPOOL_BLOCK_SAMPLES)
#define SPOOL_RATE_HZ       8000
#define SPOOL_NAME_BYTES    (36 + 1 + 13 + 6) /* without NUL */
#define SPOOL_NEW           ".new"
#define SPOOL_PAUSED        1u

_Static_assert(SPOOL_BLOCK_BYTES == 16384, "a block is whole pages");

struct spool_head {
    uint8_t flags;
    uint16_t samples;
    uint64_t first_sample;
    int64_t started_at_ms;
    uint8_t call[16];
    uint8_t organization[16];
};

/* Writes the 64 bytes before a block's sound. samples must fit (assert). */
void spool_head_write(const struct spool_head *head, uint8_t bytes[SPOOL_HEAD_BYTES]);

/* False unless bytes is a head whose checksum, version and bounds hold. */
bool spool_head_read(struct span bytes, struct spool_head *head);

/* Is this the name of a spool file, and nothing else? No other name may be opened for one. */
bool spool_name_valid(struct span name);

#endif
