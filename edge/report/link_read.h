/* link_read: control's JSON to structs.
 *
 * Everything control says is checked as if a stranger had said it: types, ranges, lengths, and no
 * byte that could break out of an HTTP head. Pure but for memory. Thread: any. Bound: a frame. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_READ_H
#define RINGBRIDGE_EDGE_REPORT_LINK_READ_H

#include "common/link_proto.h"
#include "edge/report/link.h"

enum link_hello { LINK_HELLO_GOOD, LINK_HELLO_OTHER_VERSION, LINK_HELLO_REFUSED, LINK_HELLO_BAD };

/* Judges control's HELLO. why[room]: its name when good, its "error" when refused, else a sentence.
 * For the log only: it is control's text. */
enum link_hello link_read_hello(const struct link_frame *frame, char *why, size_t room);

/* Fills *answer, which may move, from a RESPONSE: status, headers, body, plan. False when it is
 * malformed: *answer then says status 0 and carries nothing. */
bool link_read_answer(const struct link_frame *frame, unsigned cores, struct link_answer **answer);

enum link_order {
    LINK_ORDER_BAD,
    LINK_ORDER_PREPARE,
    LINK_ORDER_HANGUP,
    LINK_ORDER_SAY,
    LINK_ORDER_RECORD,
    LINK_ORDER_TOOL_RESULT,
    LINK_ORDER_DRAIN,
    LINK_ORDER_LOAD
};

struct link_order_read {
    struct plan *plan;         /* prepare: the caller owns it */
    struct link_hangup hangup; /* hangup */
    struct link_say say;       /* say */
    struct link_record record; /* record */
    struct link_tool_result tool_result;
};

/* Reads an ORDER. BAD with a reason in error[room], which is ours and safe to send back. */
enum link_order link_read_order(const struct link_frame *frame, unsigned cores,
                                struct link_order_read *order, char *error, size_t room);

#endif
