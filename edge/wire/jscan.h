/* jscan: JSON (RFC 8259) read in place, in one pass, for the messages of the hot path.
 *
 * What it is: the whole text is judged (structure, strings with their escapes and UTF-8, numbers'
 * grammar, nothing behind the end), and the members that a table names are handed out as spans, in
 * whatever order they came. What it is not: a tree. Unknown members are judged and skipped; members
 * inside arrays are never handed out. Nothing is allocated or changed. Owner: spans point into the
 * text; strings are raw content, escapes not undone. Thread: any. Bound: one pass, JSON_DEPTH_MAX.
 *
 * Where it is stricter than RFC 8259: at most JSON_DEPTH_MAX levels; no lone surrogate and no
 * \u0000 in a string, since neither can be stored; a member that the table names stands at most
 * once. Numbers are grammar only, of any size. A byte order mark is refused. */
#ifndef RINGBRIDGE_EDGE_WIRE_JSCAN_H
#define RINGBRIDGE_EDGE_WIRE_JSCAN_H

#include "common/fault.h"
#include "common/span.h"

enum jscan_kind {
    JSCAN_ABSENT,
    JSCAN_NULL,
    JSCAN_FALSE,
    JSCAN_TRUE,
    JSCAN_NUMBER, /* text: as written */
    JSCAN_STRING, /* text: between the quotes */
    JSCAN_ARRAY,  /* text: brackets included */
    JSCAN_OBJECT  /* text: braces included */
};

struct jscan_value {
    enum jscan_kind kind;
    bool escaped; /* STRING: there is a backslash in it */
    bool strings; /* OBJECT: each of its values is a string */
    struct span text;
};

/* A member worth having. Tables end with a row of zeros; a table's first level is the root object,
 * inside names the members of a member. */
struct jscan_member {
    const char *name; /* ASCII */
    uint8_t name_bytes;
    uint8_t slot; /* where in values it goes; each row its own */
    const struct jscan_member *inside;
};

#define JSCAN_MEMBER(name, slot, inside)                                                           \
    {                                                                                              \
        name, sizeof(name) - 1, slot, inside                                                       \
    }

/* Reads text. values[slots_count] is set throughout (JSCAN_ABSENT where nothing came) unless a
 * fault is returned: json_malformed or json_too_deep. A root that is no object is a text without
 * the members. */
enum fault jscan_read(struct span text, const struct jscan_member *members,
                      struct jscan_value *values, size_t slots_count);

/* A string that says exactly this, however it spells it? */
bool jscan_is(const struct jscan_value *value, const char *text);

/* Decimal digits only, at least one, that fit. For digit strings and for whole numbers alike. */
bool jscan_digits(struct span text, uint64_t *number);

#endif
