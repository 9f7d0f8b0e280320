/* kernel_inner: what the files of the kernel that is not there share and nobody else sees.
 *
 *      kernel.c  clocks, chance, descriptors, answers; the rings, what is submitted to them
 *      tcp.c     connections and listeners: the core's end and the far one
 *      disk.c    files
 * Owner: one state for the process, emptied by kernel_open. Thread: one. */
#ifndef RINGBRIDGE_TESTS_SIM_KERNEL_INNER_H
#define RINGBRIDGE_TESTS_SIM_KERNEL_INNER_H

#include "tests/io/fake_ring.h"
#include "tests/sim/flow.h"
#include "tests/sim/kernel.h"

#include <netinet/in.h>

struct submission {
    bool active;
    struct io_uring_sqe sqe;
    struct ring *ring;
    uint64_t act_ns; /* not before */
    struct sockaddr_in address;
};

struct tcp {
    bool used;        /* one of the two ends has it */
    bool here, there; /* the core's end, the peer's end */
    bool waiting;     /* in a listener's backlog */
    bool connected, dialled;
    bool finished;   /* the core has said FIN */
    bool broken;     /* RST by either side: nothing more goes */
    bool by_peer;    /* it was the peer's, which the core learns at .. */
    uint64_t rst_ns; /* .. this time, or the other way round */
    bool slipped;
    int fd;
    size_t room_bytes; /* that it takes before it is read; 0: as the weather has it */
    uint16_t port;
    struct flow up, down; /* to the core, from the core */
    struct submission receive, send, connect;
    uint64_t receive_due_ns; /* answers of one receive keep their order */
};

struct listener;
struct disk_file;

struct descriptor {
    bool open;
    struct tcp *tcp;
    struct listener *listener;
    struct disk_file *file;
};

/* ---- kernel.c ---- */

const struct weather *kernel_weather(void);
bool kernel_chance(unsigned permille);
uint64_t kernel_below(uint64_t sides);
uint64_t kernel_travel_ns(void);
uint64_t kernel_lateness_ns(void);

/* Fails by itself when fd is not open. */
struct descriptor *kernel_descriptor(int fd);
/* -EMFILE: there are no more. */
int kernel_open_descriptor(struct tcp *tcp, struct listener *listener);

/* Is this the receive that finds no buffer? */
bool kernel_buffer_fails(void);

void kernel_post(struct ring *ring, uint64_t user_data, int result, uint32_t flags,
                 uint64_t due_ns);
/* The op is done; its only or last answer comes at due_ns. */
void kernel_complete(struct submission *op, int result, uint64_t due_ns);

/* ---- tcp.c ---- */

/* NULL: too many. */
struct tcp *tcp_make(uint16_t port);
/* Free again when no end has it. */
void tcp_forget(struct tcp *tcp);
/* What is due at all connections and listeners; returns when something is due next. */
uint64_t tcp_step(void);
/* The op of this kind; NULL: it has none such. */
struct submission *tcp_op(struct tcp *tcp, uint8_t opcode);
struct submission *tcp_accept_op(struct listener *listener);
/* Asks the ops back: each answers for itself, cancelled or done after all. How many there were. */
unsigned tcp_cancel(struct tcp *tcp);
unsigned tcp_cancel_accept(struct listener *listener);
/* The core's end is closed. */
void tcp_drop(struct tcp *tcp);
void tcp_drop_listener(struct listener *listener);
/* Nothing may be left of any; then all are forgotten. */
void tcp_close_all(void);
void tcp_free_all(void);

/* ---- disk.c ---- */

/* Where an op of a file is kept; an open makes one. */
struct submission *disk_op(const struct io_uring_sqe *sqe);
/* It was just put there. */
void disk_begin(struct submission *op);
/* What is due at all files; returns when something is due next. */
uint64_t disk_step(void);
/* The core closes it; returns when that is answered. */
uint64_t disk_drop(struct disk_file *file);

#endif
