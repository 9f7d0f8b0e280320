/* rivals: other people's resamplers, for comparison in the same run. Built with what is installed;
 * the list may be empty. */
#ifndef RINGBRIDGE_BENCH_MICRO_RIVALS_H
#define RINGBRIDGE_BENCH_MICRO_RIVALS_H

struct rival {
    const char *name;
    void (*open)(unsigned from_hz, unsigned to_hz);
    void (*run)(void *unused); /* one 20 ms frame */
    void (*close)(void);
};

/* A row without a name ends it. */
extern const struct rival rivals[];

#endif
