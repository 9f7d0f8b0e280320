/* link_line: the socket to control: connecting, who is at the other end, reading, writing.
 *
 * What is said is link_peer's. Never blocks. Logs when control comes, goes, is refused; the same
 * complaint again only after a minute. Thread: the link's alone. Bound: one socket. */
#ifndef RINGBRIDGE_EDGE_REPORT_LINK_LINE_H
#define RINGBRIDGE_EDGE_REPORT_LINK_LINE_H

#include "edge/report/link_peer.h"

#include <poll.h>
#include <sys/un.h>

struct link_line {
    struct link_peer *peer; /* borrowed */
    struct sockaddr_un address;
    int socket;         /* -1: not connected */
    bool busy;          /* stopped in the middle to let others have their turn */
    uint64_t retry_ms;  /* when to connect next */
    uint64_t hello_ms;  /* until when control must have said hello */
    unsigned spread_ms; /* how far apart tries are at most */
    char complaint[256];
    uint64_t complained_ms;
};

/* False when path does not fit a Unix socket's address. */
bool link_line_open(struct link_line *line, struct link_peer *peer, const char *path,
                    uint64_t now_ms);
void link_line_close(struct link_line *line);

/* Connects if it is time, takes what control sent, sends what waits. Bounded work. */
void link_line_turn(struct link_line *line, uint64_t now_ms);

/* What to poll for (fd -1: nothing), and until when (0: no waiting at all). */
struct pollfd link_line_poll(struct link_line *line);
uint64_t link_line_due_ms(const struct link_line *line);

#endif
