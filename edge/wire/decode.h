/* decode: what a stream decoder says about the bytes it was shown. */
#ifndef RINGBRIDGE_EDGE_WIRE_DECODE_H
#define RINGBRIDGE_EDGE_WIRE_DECODE_H

enum decode {
    DECODE_DONE, /* one thing decoded; the cursor moved past it */
    DECODE_MORE, /* not enough bytes yet */
    DECODE_BAD   /* broken for good; the fault says how */
};

#endif
