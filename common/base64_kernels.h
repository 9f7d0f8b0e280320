/* base64_kernels: the inner loops behind base64.c, one set per kind of processor. Private: included
 * by base64*.c, their tests, their fuzzer and the micro benchmark.
 *
 * A kernel works on whole quanta without padding (3 bytes are 4 characters) and touches exactly
 * 3 * quanta bytes and 4 * quanta characters: no read or write beyond them, so a buffer may end
 * where a page does. Lengths, padding and the last, short quantum are base64.c's business. All
 * kernels give equal results bit for bit; a failed decode may leave different rubbish behind.
 * Thread: any; constant data. */
#ifndef RINGBRIDGE_COMMON_BASE64_KERNELS_H
#define RINGBRIDGE_COMMON_BASE64_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base64_kernel {
    const char *name;
    bool (*usable)(void); /* does this processor have the instructions? */
    void (*encode)(const uint8_t *bytes, size_t quanta, uint8_t *text);
    bool (*decode)(const uint8_t *text, size_t quanta, uint8_t *bytes);
    bool (*valid)(const uint8_t *text, size_t quanta);
};

extern const struct base64_kernel base64_plain;
#if defined(__x86_64__)
extern const struct base64_kernel base64_avx2;
extern const struct base64_kernel base64_avx512; /* needs VBMI: Ice Lake, Zen 4 and later */
#endif

/* Every kernel built for this machine, best first, usable or not; NULL ends it. */
extern const struct base64_kernel *const base64_kernels[];

/* The test's door: from now on the public functions use this kernel. Not for use while another
 * thread is inside base64. */
void base64_use(const struct base64_kernel *kernel);
const struct base64_kernel *base64_used(void);

/* The alphabet, and its inverse: six bits, or BASE64_BAD for what is no character of ours. */
#define BASE64_BAD 0x80
extern const uint8_t base64_alphabet[65];
extern const uint8_t base64_values[256];

#endif
