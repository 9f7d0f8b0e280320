/* cold: marks functions that run when something went wrong or is rare. The compiler sets them, and
 * the branches that lead to them, apart from what runs for every frame, which so takes fewer lines
 * of the cache. */
#ifndef RINGBRIDGE_COMMON_COLD_H
#define RINGBRIDGE_COMMON_COLD_H

#define COLD __attribute__((cold))

#endif
