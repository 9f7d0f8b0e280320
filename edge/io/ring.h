/* ring: one core's io_uring: tags, the ledger's bits, ops prepared and completions taken.
 *
 * What it is: prepare ops into ring memory, read completions from it. What it is not: kernel calls,
 * which all stand in ring_kernel.c so that a fake kernel can be linked in its place.
 * user_data = op:8 | generation:24 | slot:32. A completion names op, slot and generation and
 * nothing else: no pointer of ours ever goes to the kernel as identity. Thread: the core's. Bounds:
 * RING_ENTRIES, RECEIVE_BUFFERS. */
#ifndef RINGBRIDGE_EDGE_IO_RING_H
#define RINGBRIDGE_EDGE_IO_RING_H

#include <stdint.h>

enum op {
    OP_NONE,
    OP_ACCEPT,
    OP_CONNECT,
    OP_RECEIVE,
    OP_SEND,
    OP_SHUTDOWN,
    OP_CLOSE,
    OP_CANCEL,
    OP_WAKE,
    OP_COUNT
};

#endif
