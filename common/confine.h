/* confine: what a process gives up before it meets strangers.
 *
 * No privilege can be gained by executing anything any more; nobody but root may look into its
 * memory; it leaves no core dump, which would hold keys. Builds with sanitizers stay dumpable,
 * because LeakSanitizer looks into its own process. Thread: boot, before any other. */
#ifndef RINGBRIDGE_COMMON_CONFINE_H
#define RINGBRIDGE_COMMON_CONFINE_H

void confine_process(void);

#endif
