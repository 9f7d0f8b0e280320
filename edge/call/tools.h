/* tools: the functions that the AI has called and whose results it does not have yet. Placed in the
 * call, made when the first one comes; tools.c tells the story. */
#ifndef RINGBRIDGE_EDGE_CALL_TOOLS_H
#define RINGBRIDGE_EDGE_CALL_TOOLS_H

#include "common/end.h"
#include "edge/call/heard.h"
#include "edge/io/wheel.h"
#include "edge/report/plan.h"
#include "edge/wire/arguments.h"

enum tools_state {
    TOOLS_FREE,
    TOOLS_ASKED,   /* nobody has answered */
    TOOLS_INTERIM, /* the AI was told that it takes longer */
    TOOLS_TOLD     /* the AI has the result and has not yet spoken upon it */
};

struct tools_entry {
    enum tools_state state;
    uint64_t number; /* of the event that told control */
    char call_id[HEARD_ID_BYTES_MAX], response[HEARD_ID_BYTES_MAX];
    char name[PLAN_TOOL_NAME_BYTES_MAX + 1];
    enum plan_tool_place place;
    bool foreign; /* of a session that is gone: today's AI does not know the call */
    bool closed;  /* its response is done .. */
    bool spoke;   /* .. and had sound */
    char *output; /* the result, JSON text; owned, or NULL */
    uint64_t interim_ms, deadline_ms; /* monotonic; interim 0: never */
};

struct tools_digits {
    struct tools_entry *entry; /* NULL: nobody collects */
    struct arguments_digits rules;
    char keys[ARGUMENTS_DIGITS_MAX + 1];
    unsigned count;
    uint64_t until_ms;
};

struct tools {
    struct tools_entry entries[TOOLS_PENDING_MAX];
    struct tools_digits digits;
    char owed[HEARD_ID_BYTES_MAX]; /* the response whose results want an answer */
    enum end ending;               /* when all is said and heard; END_NONE: the call goes on */
    struct tools_entry *ender;     /* who wanted it; NULL: its result was spoken upon */
    bool ready;                    /* the last words are said, or on their way */
    uint64_t ender_number;         /* 0: control wanted it, and has it on record */
    uint64_t ending_ms;            /* not later than this */
    struct timer timer;
};

#endif
