/* panic: how the process dies of its own bugs.
 *
 * assert(x) guards our logic, never the network's input, and stays on in every build. A failed
 * assert writes one line (file, line, function, expression), lets each registered reporter dump
 * what it knows (the flight recorder of the dying core), and aborts. Include this instead of
 * assert.h. Thread: any. Bound: PANIC_REPORTERS_MAX reporters. */
#ifndef RINGBRIDGE_COMMON_PANIC_H
#define RINGBRIDGE_COMMON_PANIC_H

#include "common/cold.h"

#define PANIC_REPORTERS_MAX 16

/* Registers a function to run when the process panics. It must neither allocate nor lock.
 * Call at boot, before threads start. */
void panic_reporter(void (*report)(void *context), void *context);

COLD _Noreturn void panic_at(const char *file, int line, const char *function,
                             const char *expression);

#undef assert
#define assert(expression)                                                                         \
    ((expression) ? (void)0 : panic_at(__FILE__, __LINE__, __func__, #expression))

/* Where the program cannot come: a case that no caller of ours makes. */
#define never(what) panic_at(__FILE__, __LINE__, __func__, "never: " what)

#endif
