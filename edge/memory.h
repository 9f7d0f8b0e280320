/* memory: what a call and a core take, part by part, for --plan.
 *
 * Each layer says what its part is; here it is only added up. What depends on an organisation (its
 * instructions and tools) and what is taken only at times is named beside the sum. Thread: boot. */
#ifndef RINGBRIDGE_EDGE_MEMORY_H
#define RINGBRIDGE_EDGE_MEMORY_H

void memory_print_plan(void);

#endif
