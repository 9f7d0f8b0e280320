/* ring_kernel: the kernel's side of a ring, as few calls as there are. Private to edge/io.
 *
 * ring_kernel.c makes them for real; tests/io/fake_kernel.c implements the same functions over
 * plain memory, so that a whole core runs from one byte string. Preparing and taking happen in
 * ring.c with liburing's inline helpers, on the memory that struct ring names.
 * Thread: the core's, except ring_kernel_open. */
#ifndef RINGBRIDGE_EDGE_IO_RING_KERNEL_H
#define RINGBRIDGE_EDGE_IO_RING_KERNEL_H

#include "edge/io/ring.h"

#include <liburing.h>

#define RING_BUFFER_GROUP 1
#define RING_ALARM        ((uint64_t)OP_ALARM << 56) /* its user_data */

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *buffer_ring; /* which buffers the kernel may fill */
    uint8_t *buffers;                      /* buffers_count times RECEIVE_BUFFER_BYTES */
    unsigned buffers_count;
    unsigned buffers_used;          /* of these go round; the others were never needed */
    unsigned buffers_out;           /* taken by answers and not yet given back */
    bool awake;                     /* the core's thread has made it its own */
    uint64_t alarm_ns;              /* when OP_ALARM, which flies, is answered; 0: none flies */
    struct __kernel_timespec alarm; /* how long that is, for the kernel to read */
};

/* In ring.c: the next submission to be filled in. A full queue costs a call of its own, never an
 * op. */
struct io_uring_sqe *ring_prepare(struct ring *ring);

/* Sets up uring, buffer_ring and buffers; buffer_ring is empty. False with a sentence. */
bool ring_kernel_open(struct ring *ring, const struct ring_config *config, char *error,
                      size_t room);
void ring_kernel_close(struct ring *ring);

/* Hands over what was prepared, without waiting, and lets what is ready be answered. Afterwards the
 * submission queue has room. */
void ring_kernel_submit(struct ring *ring);

/* Hands over and waits for one answer, from now_ns at the latest until until_ns. */
void ring_kernel_wait(struct ring *ring, uint64_t now_ns, uint64_t until_ns);

/* A listening socket with SO_REUSEPORT and TCP_NODELAY (accepted sockets inherit it); *port is
 * what was bound. -errno on failure. */
int ring_kernel_listen(const struct sockaddr *address, socklen_t address_bytes, uint16_t *port);

/* A TCP socket to dial with, TCP_NODELAY set and limited as below. -errno on failure. */
int ring_kernel_socket(int family);

/* What its peer has not asked for is kept by us, but for SEND_UNSENT_BYTES. */
void ring_kernel_limit_unsent(int fd);

/* Sends FIN: nothing more will be said. */
void ring_kernel_finish(int fd);

/* The peer's address; false when it is gone. */
bool ring_kernel_peer(int fd, struct sockaddr_storage *address);

/* Takes flock(LOCK_EX) on a file that nobody else has locked; never waits. 0 or -errno. */
int ring_kernel_lock(int fd);

/* Closes a socket that the ring never saw. Any thread. */
void ring_kernel_close_fd(int fd);

#endif
