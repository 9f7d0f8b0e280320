/* trace: what happened, in order: a hash over all of it, and the last of it for people.
 *
 * Everything that crosses the border of the core is noted: completions, sends, what peers say and
 * hear, letters, events. The same seed gives the same hash, in any process. Owner: the history that
 * is running. Bound: TRACE_KEPT entries are kept. */
#ifndef RINGBRIDGE_TESTS_SIM_TRACE_H
#define RINGBRIDGE_TESTS_SIM_TRACE_H

#include "common/span.h"

#include <stdbool.h>

#define TRACE_KEPT 128

/* Forgets everything. loud: entries are printed as they come. */
void trace_open(uint64_t seed, bool loud);

/* What is special about this history, and how it is named on the command line ("--scarce buffer
 * 7"); a literal, "" for nothing. It stands in what trace_dump says. */
void trace_note(const char *flag, const char *name, uint64_t number);

/* what is a literal; the numbers mean what it says. Its length goes into the hash, not its place.
 */
void trace(const char *what, int64_t first, int64_t second, int64_t third);

/* The same with bytes: a hash of them is kept, and the beginning printed when loud. */
void trace_bytes(const char *what, int64_t first, struct span bytes);

uint64_t trace_hash(void);

/* The seed, the last entries and how to repeat it, to stderr. Neither allocates nor locks. */
void trace_dump(void);

/* Says what is wrong and dies; trace_dump comes with it. */
#define sim_fail(...) sim_fail_at("", __VA_ARGS__)
_Noreturn void sim_fail_at(const char *condition, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Our expectations of the core. */
#define expect(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail_at(#condition, __VA_ARGS__);                                                  \
    } while (0)

#endif
