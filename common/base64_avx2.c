/* base64 with AVX2: 24 bytes are 32 characters a step.
 *
 * The last step is not a loop of single quanta but one more full step that ends where the data
 * ends and so overlaps the one before it: what is done twice gives the same bytes. Each step reads
 * and writes exactly 24 bytes and 32 characters, which is what lets it stand at the very end. */
#include "common/base64_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2         __attribute__((target("avx2")))
#define AVX2_INLINE  __attribute__((target("avx2"), always_inline)) static inline
#define STEP_QUANTA  8
#define STEP_BYTES   24
#define STEP_LETTERS 32

/* The same sixteen bytes in both lanes. */
AVX2_INLINE __m256i both(const int8_t bytes[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

/* What to add to a six-bit value to make it its character, by range: 1..10 are the digits, 11 '+',
 * 12 '/', 13 the capitals, 0 the small letters. */
static const int8_t letter_offsets[16] = {
    'a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
    '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A',      0,        0};

AVX2_INLINE void encode_step(const uint8_t *bytes, uint8_t *text)
{
    /* Lane 0 holds bytes 0..15, lane 1 bytes 8..23; each 32-bit word gets its quantum b0 b1 b2 as
     * b1 b0 b2 b1, so that every six-bit field lies within one 16-bit half. */
    const __m256i spread = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10, 5, 4,
                                            6, 5, 8, 7, 9, 8, 11, 10, 12, 11, 14, 13, 15, 14);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 8));
    __m256i words = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread);

    /* Fields 0 and 2 shift right by 10 and 6 (as high halves of products), 1 and 3 shift left by 4
     * and 8 into the upper byte. */
    __m256i even = _mm256_and_si256(words, _mm256_set1_epi32(0x0fc0fc00));
    even = _mm256_mulhi_epu16(even, _mm256_set1_epi32(0x04000040));
    __m256i odd = _mm256_and_si256(words, _mm256_set1_epi32(0x003f03f0));
    odd = _mm256_mullo_epi16(odd, _mm256_set1_epi32(0x01000010));
    __m256i values = _mm256_or_si256(even, odd);

    __m256i range = _mm256_subs_epu8(values, _mm256_set1_epi8(51));
    __m256i capital = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), values);
    range = _mm256_or_si256(range, _mm256_and_si256(capital, _mm256_set1_epi8(13)));
    __m256i letters = _mm256_add_epi8(values, _mm256_shuffle_epi8(both(letter_offsets), range));
    _mm256_storeu_si256((__m256i *)(void *)text, letters);
}

AVX2 static void encode(const uint8_t *bytes, size_t quanta, uint8_t *text)
{
    if (quanta < STEP_QUANTA) {
        base64_plain.encode(bytes, quanta, text);
        return;
    }
    size_t done = 0;
    for (; done + STEP_QUANTA <= quanta; done += STEP_QUANTA)
        encode_step(bytes + done * 3, text + done * 4);
    if (done < quanta)
        encode_step(bytes + quanta * 3 - STEP_BYTES, text + quanta * 4 - STEP_LETTERS);
}

/* Which upper halves of a character belong together, and for each such row the lower halves it does
 * not allow: a character is bad when its two entries share a bit. */
enum {
    ROW_SIGNS = 1,    /* 2_: + and / */
    ROW_DIGITS = 2,   /* 3_: 0 to 9 */
    ROW_FROM_A = 4,   /* 4_ 6_: 1 to f */
    ROW_FROM_P = 8,   /* 5_ 7_: 0 to a */
    ROW_NOTHING = 16, /* all others */
    ROWS_ALL = 31
};
static const int8_t rows[16] = {ROW_NOTHING, ROW_NOTHING, ROW_SIGNS,   ROW_DIGITS,
                                ROW_FROM_A,  ROW_FROM_P,  ROW_FROM_A,  ROW_FROM_P,
                                ROW_NOTHING, ROW_NOTHING, ROW_NOTHING, ROW_NOTHING,
                                ROW_NOTHING, ROW_NOTHING, ROW_NOTHING, ROW_NOTHING};
static const int8_t forbidden[16] = {
    /* _0      */ ROWS_ALL & ~(ROW_DIGITS | ROW_FROM_P),
    /* _1.. _9 */ ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    ROW_SIGNS | ROW_NOTHING,
    /* _a      */ ROW_SIGNS | ROW_DIGITS | ROW_NOTHING,
    /* _b      */ ROWS_ALL & ~(ROW_SIGNS | ROW_FROM_A),
    /* _c.. _e */ ROWS_ALL & ~ROW_FROM_A,
    ROWS_ALL & ~ROW_FROM_A,
    ROWS_ALL & ~ROW_FROM_A,
    /* _f      */ ROWS_ALL & ~(ROW_SIGNS | ROW_FROM_A)};

/* What to add to a character to make it its six bits, by upper half; '/' takes entry 1. */
static const int8_t value_offsets[16] = {
    0, 63 - '/', 62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a', 0, 0, 0, 0, 0, 0, 0, 0};

AVX2_INLINE __m256i upper_halves(__m256i letters)
{
    return _mm256_and_si256(_mm256_srli_epi16(letters, 4), _mm256_set1_epi8(0x0f));
}

/* Non-zero bytes where a character is none of ours. */
AVX2_INLINE __m256i find_bad(__m256i letters, __m256i upper)
{
    __m256i lower = _mm256_and_si256(letters, _mm256_set1_epi8(0x0f));
    return _mm256_and_si256(_mm256_shuffle_epi8(both(forbidden), lower),
                            _mm256_shuffle_epi8(both(rows), upper));
}

AVX2_INLINE __m256i decode_step(const uint8_t *text, uint8_t *bytes)
{
    __m256i letters = _mm256_loadu_si256((const __m256i *)(const void *)text);
    __m256i upper = upper_halves(letters);
    __m256i slash = _mm256_cmpeq_epi8(letters, _mm256_set1_epi8('/'));
    __m256i offsets = _mm256_shuffle_epi8(both(value_offsets), _mm256_add_epi8(upper, slash));
    __m256i values = _mm256_add_epi8(letters, offsets);

    /* Four six-bit values to two of twelve bits to one of 24, then its three bytes to the front of
     * each lane, then both lanes side by side. */
    __m256i twelve = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
    __m256i whole = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
    const __m256i pick = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2,
                                          1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i join = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
    __m256i packed = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(whole, pick), join);
    _mm_storeu_si128((__m128i *)(void *)bytes, _mm256_castsi256_si128(packed));
    _mm_storel_epi64((__m128i *)(void *)(bytes + 16), _mm256_extracti128_si256(packed, 1));
    return find_bad(letters, upper);
}

AVX2 static bool decode(const uint8_t *text, size_t quanta, uint8_t *bytes)
{
    if (quanta < STEP_QUANTA)
        return base64_plain.decode(text, quanta, bytes);
    __m256i bad = _mm256_setzero_si256();
    size_t done = 0;
    for (; done + STEP_QUANTA <= quanta; done += STEP_QUANTA)
        bad = _mm256_or_si256(bad, decode_step(text + done * 4, bytes + done * 3));
    if (done < quanta)
        bad = _mm256_or_si256(
            bad, decode_step(text + quanta * 4 - STEP_LETTERS, bytes + quanta * 3 - STEP_BYTES));
    return _mm256_testz_si256(bad, bad);
}

AVX2_INLINE __m256i judge_step(const uint8_t *text)
{
    __m256i letters = _mm256_loadu_si256((const __m256i *)(const void *)text);
    return find_bad(letters, upper_halves(letters));
}

AVX2 static bool valid(const uint8_t *text, size_t quanta)
{
    if (quanta < STEP_QUANTA)
        return base64_plain.valid(text, quanta);
    __m256i bad = _mm256_setzero_si256();
    size_t done = 0;
    for (; done + STEP_QUANTA <= quanta; done += STEP_QUANTA)
        bad = _mm256_or_si256(bad, judge_step(text + done * 4));
    if (done < quanta)
        bad = _mm256_or_si256(bad, judge_step(text + quanta * 4 - STEP_LETTERS));
    return _mm256_testz_si256(bad, bad);
}

static bool usable(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2");
}

const struct base64_kernel base64_avx2 = {"avx2", usable, encode, decode, valid};

#endif
