/* heap: BoringSSL's memory. The library finds these three functions by name and asks them instead
 * of malloc.
 *
 * What it is: free lists per thread and size class, so that the record buffers that the library
 * takes and gives for each message cost no allocation in a steady state. What it is not: for our
 * own code. What is freed is wiped, because it may have been a key. Memory may be freed by another
 * thread than took it (a connection that moved); it then stays there. Thread: any. Bound:
 * HEAP_KEPT_BYTES_MAX kept per thread; what is lent is bounded by CONNS_MAX. */
#ifndef RINGBRIDGE_EDGE_IO_HEAP_H
#define RINGBRIDGE_EDGE_IO_HEAP_H

#include <stddef.h>

#define HEAP_KEPT_BYTES_MAX  ((size_t)16 << 20)
#define HEAP_KEPT_CHUNK_LOG2 16 /* larger chunks are not kept */

void *OPENSSL_memory_alloc(size_t bytes);
void OPENSSL_memory_free(void *memory);
size_t OPENSSL_memory_get_size(void *memory);

/* What this thread has taken and not given back, with all that a chunk costs. What another thread
 * took and this one gave back counts against it. */
ptrdiff_t heap_lent_bytes(void);

#endif
