/* db_gate: who may try a server that was found to be away.
 *
 * What it is: one flag for all connections of a process. A connection that cannot be made, or a
 * server that does not answer, closes it for a moment; the others then fail at once instead of
 * finding out for themselves, one deadline each. When the moment is over one of them tries. What it
 * is not: closed by a single connection that broke; that is made anew.
 * Owner: whoever has the db_config; borrowed by each struct db. Thread: any. */
#ifndef RINGBRIDGE_CONTROL_DB_DB_GATE_H
#define RINGBRIDGE_CONTROL_DB_DB_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct db_gate {
    atomic_uint_fast64_t closed_until_ns; /* monotonic; 0: open. Zero it at first */
};

/* Is it closed now, and until when? False for NULL. */
bool db_gate_closed(const struct db_gate *gate, uint64_t now_ns, uint64_t *until_ns);

/* May this connection try the server? Always while the gate is open; once its moment is over the
 * first who asks may, and it is closed for the others until trying_until_ns. */
bool db_gate_try(struct db_gate *gate, uint64_t now_ns, uint64_t trying_until_ns);

void db_gate_close(struct db_gate *gate, uint64_t until_ns);
void db_gate_open(struct db_gate *gate);

#endif
