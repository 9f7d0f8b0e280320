/* send: messages to a leg, and why one did not go. A full queue is the leg's own doing: it does not
 * read. Memory that is out is ours, and no other AI session would help. */
#include "edge/call/own.h"

#include <stdlib.h>

enum end send_failed(const struct conn *conn, enum end slow)
{
    return conn && conn_starved(conn) ? END_no_capacity : slow;
}

enum end send_text(struct calls *calls, struct conn *conn, struct span text)
{
    return conn_send_text(calls->io, conn, text) ? END_NONE : send_failed(conn, END_ai_too_slow);
}

enum end send_made(struct calls *calls, struct conn *conn, char *text, size_t bytes)
{
    enum end end = text ? send_text(calls, conn, span_from(text, bytes)) : END_no_capacity;
    free(text);
    return end;
}
