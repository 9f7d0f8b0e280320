#include "control/db/db_gate.h"

#include <stddef.h>

bool db_gate_closed(const struct db_gate *gate, uint64_t now_ns, uint64_t *until_ns)
{
    *until_ns = gate ? atomic_load(&gate->closed_until_ns) : 0;
    return *until_ns > now_ns;
}

bool db_gate_try(struct db_gate *gate, uint64_t now_ns, uint64_t trying_until_ns)
{
    if (!gate)
        return true;
    uint64_t until_ns = atomic_load(&gate->closed_until_ns);
    if (until_ns == 0)
        return true;
    return until_ns <= now_ns &&
           atomic_compare_exchange_strong(&gate->closed_until_ns, &until_ns, trying_until_ns);
}

void db_gate_close(struct db_gate *gate, uint64_t until_ns)
{
    if (gate)
        atomic_store(&gate->closed_until_ns, until_ns);
}

void db_gate_open(struct db_gate *gate)
{
    if (gate && atomic_load_explicit(&gate->closed_until_ns, memory_order_relaxed))
        atomic_store(&gate->closed_until_ns, 0);
}
