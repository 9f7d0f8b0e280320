/* door: how many connections one address may have open at a core, and how many new ones in a
 * second.
 *
 * What it is: a table of the addresses that have connections or had a new one in this second. An
 * IPv6 address is its first 64 bits, which is what one customer gets; an IPv4 one in IPv6's clothes
 * is the IPv4 one. What it is not: a list of friends or enemies; carriers come from few addresses,
 * so the limits are wide. Owner: struct door is placed in its owner. Thread: the core's. Bound:
 * places, in sets of DOOR_WAYS under a secret hash; addresses for whom no place is free share one,
 * and its limits. */
#ifndef RINGBRIDGE_EDGE_IO_DOOR_H
#define RINGBRIDGE_EDGE_IO_DOOR_H

#include "common/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define DOOR_WAYS 4

struct door_place {
    uint64_t key;
    uint32_t open;
    uint32_t news;   /* connections in .. */
    uint64_t second; /* .. this second of the clock */
};

struct door {
    struct door_place *places; /* the last one is shared */
    uint32_t count;            /* without it; a power of two */
    uint32_t open_max, news_max;
    uint64_t secrets[2];
};

struct door_limits {
    uint32_t places; /* a power of two, at least DOOR_WAYS */
    uint32_t open_max, news_max;
};

/* False when memory is out. */
bool door_open(struct door *door, const struct door_limits *limits);
void door_close(struct door *door);

/* What a place is kept by. Whatever is no IP address is one address. */
uint64_t door_key(const struct sockaddr_storage *address);

/* One more from there? Then it is counted, and *place (never 0) must be given back. Else why not:
 * address_full or address_rate. */
enum fault door_enter(struct door *door, uint64_t key, uint64_t now_ms, uint32_t *place);

/* One that came in by another core's door: counted, never refused. Returns its place. */
uint32_t door_move_in(struct door *door, uint64_t key, uint64_t now_ms);

/* The key of whoever has this place; that of nobody for place 0. */
uint64_t door_key_of(const struct door *door, uint32_t place);

/* place 0: it never had one. */
void door_leave(struct door *door, uint32_t place);

size_t door_footprint_bytes(uint32_t places);

#endif
