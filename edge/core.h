/* core: one pinned thread with its own sockets, timers and calls. Cores share nothing but read-only
 * configuration and the mailboxes between them.
 *
 * Start reading the edge in core.c: the loop, the switch on what a completion means, the turn.
 * Owner: the core owns its io, calls and inbox. Thread: open, start, join and close on the boot
 * thread; everything else on the core's own. */
#ifndef RINGBRIDGE_EDGE_CORE_H
#define RINGBRIDGE_EDGE_CORE_H

#include "edge/call/call.h"
#include "edge/report/flight.h"

struct core;

struct core_config {
    unsigned index, cores_count;
    int cpu;       /* to be pinned on; -1: wherever */
    bool realtime; /* before all ordinary threads of its processor */
    unsigned calls_max;
    struct sockaddr_storage listen, listen_tls;
    socklen_t listen_bytes, listen_tls_bytes; /* 0: no such listener */
    struct tls_server *tls_server;            /* borrowed, as all below */
    struct tls_client *tls_client;
    struct resolve *resolve;
    struct mail *const *inboxes; /* of all cores; this one's is inboxes[index] */
    struct metrics *metrics;
    struct flight *flight;
    struct spools_config spools; /* all zero: no recordings */
    struct io_config io;         /* its bounds, zero outside tests; the rest of it is filled in */
};

/* Sets up everything but the thread. NULL with a sentence in error. */
struct core *core_open(const struct core_config *config, char *error, size_t room);

/* Starts the thread; the link exists by now. False with a sentence in error: no thread can be had,
 * or not with that priority. */
bool core_start(struct core *core, struct link *link, char *error, size_t room);

/* What the thread does, for those who turn a core themselves (tests/sim): the link exists by now,
 * false when memory is out; turns until one says that the drain is over; then the end, false when a
 * disk has not answered (see io_close). And what they look at in between. */
bool core_equip(struct core *core, struct link *link);
bool core_turn(struct core *core);
bool core_finish(struct core *core);
struct io *core_io(struct core *core); /* NULL once it has finished */
struct calls *core_calls(struct core *core);

/* Asks for a drain: no new calls, running ones until deadline_ms have passed, then END_drained. Any
 * thread. */
void core_drain(struct core *core, unsigned deadline_ms);

/* Waits until the drain is over and the thread has ended. False: a disk has not answered and may
 * still read from this core's memory, which must not be closed. */
bool core_join(struct core *core);

/* False only after core_finish was: its disk has still not answered, and nothing was freed. */
bool core_close(struct core *core);

#endif
