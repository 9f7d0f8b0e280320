/* end: why a call ended. One table (end.def) names enum, metric label, SQL domain and sentence.
 * Thread: any; constant data. */
#ifndef RINGBRIDGE_COMMON_END_H
#define RINGBRIDGE_COMMON_END_H

#include <stdbool.h>

enum end {
    END_NONE = 0, /* carry on */
#define END(name, fault, error, sentence) END_##name,
#include "common/end.def"
#undef END
    END_COUNT
};

/* Functions that can end a call return enum end; TRY passes a reason up. The one macro of this code
 * base that hides control flow. */
#define TRY(call_)                                                                                 \
    do {                                                                                           \
        enum end try_end_ = (call_);                                                               \
        if (__builtin_expect(try_end_ != END_NONE, false))                                         \
            return try_end_;                                                                       \
    } while (0)

const char *end_name(enum end end);     /* "caller_hung_up"; "none" for END_NONE */
const char *end_fault(enum end end);    /* "caller", "carrier", "ai", ... */
const char *end_sentence(enum end end); /* for people */
bool end_is_error(enum end end);

#endif
