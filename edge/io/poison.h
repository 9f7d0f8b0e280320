/* poison: tells AddressSanitizer which memory is nobody's at the moment.
 *
 * Slots, blocks and receive buffers are kept and used again, so a use after the end would go
 * unseen; whoever keeps memory poisons it while it is free or the kernel's. Without the sanitizer
 * these are nothing. Thread: any. */
#ifndef RINGBRIDGE_EDGE_IO_POISON_H
#define RINGBRIDGE_EDGE_IO_POISON_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define poison(memory, bytes)   __asan_poison_memory_region((memory), (bytes))
#define unpoison(memory, bytes) __asan_unpoison_memory_region((memory), (bytes))
/* May all of it be read? The kernel's accesses are not instrumented: ask before it is told. */
#define addressable(memory, bytes)                                                                 \
    (__asan_region_is_poisoned((void *)(uintptr_t)(memory), (bytes)) == NULL)
#else
#define poison(memory, bytes)      ((void)(memory), (void)(bytes))
#define unpoison(memory, bytes)    ((void)(memory), (void)(bytes))
#define addressable(memory, bytes) ((void)(memory), (void)(bytes), 1)
#endif

#endif
