/* ring: one core's io_uring: tags, the ledger's bits, ops prepared and completions taken.
 *
 * What it is: prepare ops into ring memory, read completions from it. What it is not: kernel calls,
 * which all stand in ring_kernel.c so that a fake kernel can be linked in its place.
 * user_data = op:8 | generation:24 | slot:32. A completion names op, slot and generation and
 * nothing else: no pointer of ours ever goes to the kernel as identity.
 * The ledger: one bit per kind of op in the socket. Preparing sets it (asserting that it was
 * clear), ring_landed clears it on the completion without "more". A socket whose ledger is empty is
 * unknown to the kernel's side of the ring, and only then may it be closed.
 * Of the receive buffers few go round, so that a core's cache holds them; each receive that finds
 * none (-ENOBUFS) brings one more among them, for good.
 * Thread: the core's. Bounds: RING_ENTRIES, RECEIVE_BUFFERS; the completion queue holds every
 * possible answer. */
#ifndef RINGBRIDGE_EDGE_IO_RING_H
#define RINGBRIDGE_EDGE_IO_RING_H

#include "common/span.h"

#include <stdint.h>
#include <sys/socket.h>

enum op {
    OP_NONE,
    OP_ACCEPT, /* multishot */
    OP_CONNECT,
    OP_RECEIVE, /* multishot, into the ring's buffers */
    OP_SEND,
    OP_CLOSE,
    OP_CANCEL,    /* everything of a socket */
    OP_WAKE,      /* multishot: an eventfd was rung */
    OP_SHAKE,     /* none of the ring's: io_next tells with it whose handshake's turn has come */
    OP_FILE_OPEN, /* of a file, one at a time; see file.h */
    OP_FILE_RENAME,
    OP_FILE_WRITE,
    OP_FILE_CLOSE,
    OP_ALARM, /* the ring's own: a wait's latest end */
    OP_COUNT
};

/* What the ring knows of a socket; placed in its owner. */
struct ring_socket {
    int fd;
    uint32_t in_flight; /* the ledger: bit 1 << op */
    uint64_t ref;       /* generation:24 | slot:32, the owner's */
};

static inline bool ring_flies(const struct ring_socket *socket, enum op op)
{
    return socket->in_flight >> op & 1;
}

struct ring_config {
    unsigned entries; /* submissions per flush; more are submitted early, at one call more */
    unsigned answers; /* completions that can be outstanding at once */
    unsigned buffers; /* receive buffers of RECEIVE_BUFFER_BYTES, a power of two */
};

struct ring;

/* NULL with a sentence in error. The thread that calls ring_submit or ring_wait first is the core's
 * from then on. */
struct ring *ring_open(const struct ring_config *config, char *error, size_t room);

/* Everything must be home. The core's thread. */
void ring_close(struct ring *ring);

/* ---- preparing; nothing reaches the kernel before ring_submit or ring_wait ---- */

void ring_accept(struct ring *ring, struct ring_socket *socket);
/* address must live until the next ring_submit or ring_wait. */
void ring_connect(struct ring *ring, struct ring_socket *socket, const struct sockaddr *address,
                  socklen_t address_bytes);
void ring_receive(struct ring *ring, struct ring_socket *socket);
/* bytes must live until the answer. */
void ring_send(struct ring *ring, struct ring_socket *socket, struct span bytes);
/* Asks for all of the socket's ops back; each still answers for itself. */
void ring_cancel(struct ring *ring, struct ring_socket *socket);
/* Closes the descriptor; the ledger must be empty. */
void ring_shut(struct ring *ring, struct ring_socket *socket);
/* Closes a descriptor that never became anybody's; its answer is not shown. */
void ring_drop(struct ring *ring, int fd);
/* Watches an eventfd. */
void ring_watch(struct ring *ring, struct ring_socket *socket);

/* Files; their socket's descriptor is -1 until it is opened. Names must live until the answer.
 * Makes a new file, 0600; the answer is its descriptor, which is the caller's to put into the
 * socket. */
void ring_file_open(struct ring *ring, struct ring_socket *socket, int directory, const char *name);
/* Never over a file that is there. */
void ring_file_rename(struct ring *ring, struct ring_socket *socket, int directory,
                      const char *from, const char *to);
void ring_file_write(struct ring *ring, struct ring_socket *socket, struct span bytes,
                     uint64_t offset);
/* The ledger must be empty. Without a descriptor there is nothing to close, which is answered too.
 */
void ring_file_close(struct ring *ring, struct ring_socket *socket);

/* ---- waiting and taking ---- */

/* Hands over what was prepared and takes what is there, without waiting: sends happen in here, so
 * it is the core's work. Nothing prepared: nothing happens; else one system call. */
void ring_submit(struct ring *ring);

/* Hands over what was prepared and waits for an answer, at the latest until until_ns, by the clock
 * that says now_ns; does not wait when that is past. */
void ring_wait(struct ring *ring, uint64_t now_ns, uint64_t until_ns);

struct ring_answer {
    enum op op;
    uint64_t ref;
    int result;
    uint32_t flags; /* for ring_more and ring_buffer */
};

/* How many answers lie there. */
unsigned ring_ready(const struct ring *ring);

/* Takes the oldest answer. False: none there. */
bool ring_take(struct ring *ring, struct ring_answer *answer);

/* Does the op go on answering? */
bool ring_more(uint32_t flags);

/* Clears the socket's ledger bit if the op is done. */
void ring_landed(struct ring_socket *socket, const struct ring_answer *answer);

/* ---- receive buffers ---- */

/* The bytes of a receive answer that has some; *buffer must go back with ring_give_back before the
 * next ring_wait. */
struct span ring_buffer(struct ring *ring, uint32_t flags, int result, uint16_t *buffer);
void ring_give_back(struct ring *ring, uint16_t buffer);

/* Did this receive answer carry a buffer? */
bool ring_has_buffer(uint32_t flags);

/* Bytes that a ring takes, for --plan. */
size_t ring_footprint_bytes(const struct ring_config *config);

#endif
