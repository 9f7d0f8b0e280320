/* address: is a network address one of the public internet, or one's own house?
 *
 * What it is: a predicate over a resolved address. Whoever lets strangers choose URLs asks it for
 * each address that a socket is about to be opened to: names prove nothing, because a name's
 * address may change between two looks at it. What it is not: a resolver.
 * Not public is everything that IANA's special-purpose registries keep for other ends (RFC 6890:
 * loopback, private, link-local with the clouds' metadata services, shared, benchmarking,
 * documentation, multicast, reserved), an IPv4 address inside an IPv6 one that is not public
 * itself, 168.63.129.16 (Azure's metadata), and every family but these two. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_BASE_ADDRESS_H
#define RINGBRIDGE_CONTROL_BASE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_KEY_BYTES 48

bool address_is_public(const struct sockaddr *address);

/* The same of an address as text ("192.0.2.1", "2001:db8::1"); false for what is not one. */
bool address_text_is_public(const char *text);

/* Whom a rate is counted for, as the edge's door does it (edge/io/door.h): of an IPv6 address its
 * first 64 bits, which is what one customer gets; an IPv4 one in IPv6's clothes is the IPv4 one.
 * What is no address is itself, cut. Returns key. */
const char *address_write_key(const char *text, char key[ADDRESS_KEY_BYTES]);

#endif
