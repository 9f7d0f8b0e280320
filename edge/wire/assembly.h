/* assembly: memory in which a WebSocket message that comes in pieces is put together.
 *
 * What it is: growing buffers, lent from a small store that every thread has for itself. At any
 * moment few connections are in the middle of a message, so calls share these buffers instead of
 * keeping one each, and in the steady state none is allocated. What it is not: a bound on messages
 * (ws has that). Owner: the borrower, until assembly_drop. Thread: a buffer is dropped on the
 * thread that began it; assembly_store_empty before a thread ends. Bounds: a buffer is at most
 * twice what was put into it, or ASSEMBLY_BYTES_MIN; the store keeps ASSEMBLY_STORE_MAX buffers of
 * at most ASSEMBLY_KEEP_BYTES_MAX. */
#ifndef RINGBRIDGE_EDGE_WIRE_ASSEMBLY_H
#define RINGBRIDGE_EDGE_WIRE_ASSEMBLY_H

#include "common/span.h"

#define ASSEMBLY_BYTES_MIN      2048
#define ASSEMBLY_KEEP_BYTES_MAX 65536
#define ASSEMBLY_STORE_MAX      64

struct assembly; /* NULL: nothing put together yet */

/* Adds the piece's bytes and returns where they lie now, or NULL when memory is out (what was there
 * stays). Earlier places move. */
uint8_t *assembly_add(struct assembly **assembly, struct span piece);

/* What was put together so far. */
struct span assembly_text(const struct assembly *assembly);

/* Gives the buffer back and clears the pointer. */
void assembly_drop(struct assembly **assembly);

/* Frees this thread's store. */
void assembly_store_empty(void);

#endif
