/* reader: somebody who fetches what is too long for one answer of control's, piece by piece, and
 * then asks something short on the same connection. He reads well, little at a time, or is gone;
 * control's pieces come late, empty, too large, or as a refusal. What he gets is what was given, to
 * the byte and in order, and no more. */
#ifndef RINGBRIDGE_TESTS_SIM_READER_H
#define RINGBRIDGE_TESTS_SIM_READER_H

#include "edge/report/link.h"
#include "tests/sim/peer.h"

#define READERS_MAX 4

enum reader_fate {
    READER_FINE,
    READER_SLOW,
    READER_DEAF,
    READER_RESETS,
    READER_FINISHES, /* says FIN and goes on reading */
    READER_FATES
};

/* How control's pieces are. */
enum piece_fate {
    PIECES_FINE,
    PIECES_EMPTY,
    PIECES_LARGE, /* more than is owed */
    PIECES_REFUSED,
    PIECES_LOST,  /* control is away: status 0 */
    PIECES_AGAIN, /* each says that more is to come, as a first one does */
    PIECES_FATES
};

struct reader {
    struct peer peer;
    struct dice dice;
    unsigned number;
    enum reader_fate fate;
    enum piece_fate pieces;
    bool tls, over, sent, asked, whole, asked_again, answered_again, calm;
    uint64_t whole_bytes, given_bytes, got_bytes; /* of the body: in all; by control; to him */
    bool begun;                                   /* the head has come */
    uint64_t next_ns, fate_ns, read_ns, give_up_ns;
};

/* calm: no misfortune at all, so that he must get everything. */
void reader_open(struct reader *reader, unsigned number, bool calm, struct dice dice);
uint64_t reader_step(struct reader *reader, uint64_t now_ns);
void reader_leave(struct reader *reader);

/* Control's answer to his request, and to the edge's for the next piece from there on. */
struct link_answer *reader_answer(struct reader *reader);
struct link_answer *reader_answer_more(struct reader *reader, uint64_t from);

/* After the end. */
void reader_check(const struct reader *reader);

#endif
