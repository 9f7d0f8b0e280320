/* kernel: a kernel that is not there, for one core or two: ring_kernel.h over plain memory, with
 * TCP connections whose far ends are the simulated peers, files (disk.h), and the clocks.
 *
 * A connection is two flows of bytes. What a peer says arrives after a drawn time, in drawn pieces;
 * what the core sends is taken in drawn parts as far as the peer's buffer has room, and its answer
 * may come late. Time passes only while a core waits (and a little with every look at the clock).
 * The kernel checks what only a kernel sees: no descriptor closed with ops in flight, no two ops of
 * a kind, no op on what is closed, nothing written into memory that it reads.
 * Thread: one. Bounds: TCPS_MAX connections, LISTENERS of sim's own. */
#ifndef RINGBRIDGE_TESTS_SIM_KERNEL_H
#define RINGBRIDGE_TESTS_SIM_KERNEL_H

#include "common/span.h"
#include "tests/sim/dice.h"
#include "tests/sim/disk.h"

#define TCPS_MAX   192
#define NEVER      UINT64_MAX
#define MS         UINT64_C(1000000)
#define SECOND     UINT64_C(1000000000)
#define PORT_PLAIN 80 /* of core n: n more */
#define PORT_TLS   443

/* How the kernel and the network are in this history. Permille are chances. */
struct weather {
    uint64_t latency_ns_least, latency_ns_most; /* one way */
    uint64_t late_ns_max;                       /* of an answer that is late */
    unsigned late_permille;
    unsigned cut_permille;   /* what has arrived is delivered in two parts */
    unsigned short_permille; /* a send takes less than it could */
    unsigned ends_permille;  /* a multishot ends by itself */
    unsigned starve_permille;
    unsigned slip_permille; /* a cancel finds nothing though something is there */
    unsigned raced_permille;
    unsigned connect_fails_permille, accept_fails_permille, socket_fails_permille;
    size_t room_bytes;        /* that the kernel and the peer take before it is read */
    uint64_t work_ns_max;     /* of a turn .. */
    unsigned stall_permille;  /* .. and now and then very long */
    unsigned wall_permille;   /* in a wait: the wall clock jumps */
    unsigned gather_permille; /* a wait goes on for what else comes */
    struct disk_weather disk;
};

/* Scarcity: the so-manieth fails; 0: none does. */
struct scarcity {
    uint64_t descriptor, buffer, allocation;
};

void kernel_open(struct weather weather, struct scarcity scarcity, uint64_t seed);
/* All closed and home? Says what is not. */
void kernel_close(void);

/* Gives memory back that is kept between histories. */
void kernel_free(void);

static inline uint64_t sooner(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

uint64_t kernel_now_ns(void);
int64_t kernel_wall_ms(void);

/* Of those that scarcity counts. */
uint64_t kernel_descriptors(void);
uint64_t kernel_buffers(void);

/* Ops of files that have not been answered. */
unsigned kernel_file_ops(void);

/* Descriptors that the cores have. */
unsigned kernel_open_count(void);

/* This core is at work until it waits again: no other sleeps meanwhile. */
void kernel_turns(unsigned core);

/* The core that turns now is the last thing to happen: others do not get their turns meanwhile. */
void kernel_alone(bool alone);

/* ---- the far ends ---- */

struct tcp;

/* A peer connects; NULL: nobody listens there or too many. */
struct tcp *tcp_connect(uint16_t port);
/* Says bytes; they arrive later. Nothing after finish or reset. */
void tcp_say(struct tcp *tcp, const void *data, size_t bytes);
/* Takes what has arrived, at most room bytes. */
size_t tcp_hear(struct tcp *tcp, void *out, size_t room);
/* Arrived, not taken. */
size_t tcp_waiting(struct tcp *tcp);
/* Its window is so small from here on. */
void tcp_narrow(struct tcp *tcp, size_t room_bytes);
/* FIN behind what was said. */
void tcp_finish(struct tcp *tcp);
/* RST, at once. */
void tcp_reset(struct tcp *tcp);
/* Has the core's FIN or RST arrived, and everything before it been taken? */
bool tcp_over(const struct tcp *tcp);
bool tcp_was_reset(const struct tcp *tcp);
/* The peer has let go of it. */
void tcp_leave(struct tcp *tcp);
/* When something arrives that the peer has not been woken for; NEVER. */
uint64_t tcp_arrival_ns(struct tcp *tcp);
/* For traces. */
int tcp_number(const struct tcp *tcp);

/* ---- what the world adds (world.c) ---- */

/* The core dials this port. */
enum dialled { DIAL_ANSWERED, DIAL_REFUSED, DIAL_IGNORED };
enum dialled world_dialled(uint16_t port, struct tcp *tcp);

/* Everything due happens; returns when the next thing is due. */
uint64_t world_step(uint64_t now_ns);

/* How the far end is taken from inside the core's calls: allocations are not the core's. */
void world_enter(void);
void world_leave(void);

#endif
