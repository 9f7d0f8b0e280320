/* base64: RFC 4648's own vectors, a slow reference, every single fault, and the edges of memory.
 * Each test runs under every kernel this machine can run. */
#include "common/base64.h"
#include "common/base64_kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

/* The second build of this test (base64_emulated_test) compiles the AVX-512 kernel over an
 * emulation of its instructions, so that it runs everywhere. */
#if defined(EMULATED)
static bool runs_here(const struct base64_kernel *kernel)
{
    return kernel == &base64_avx512;
}
#else
static bool runs_here(const struct base64_kernel *kernel)
{
    return kernel->usable();
}
#endif

#define BYTES_MAX 400
#define TEXT_MAX  600

/* A page that nobody may touch lies right behind what edge_of returns the last bytes of. */
static uint8_t *guarded[2];

static uint8_t *edge_of(int which, size_t bytes)
{
    return guarded[which] + 4096 - bytes;
}

static int map_guarded(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        guarded[i] = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(guarded[i] != MAP_FAILED);
        assert_int_equal(mprotect(guarded[i] + 4096, 4096, PROT_NONE), 0);
    }
    return 0;
}

/* The reference: bit by bit, from the text of RFC 4648, sharing nothing with our code. */
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int bit_of(const uint8_t *bytes, size_t count, size_t bit)
{
    return bit / 8 < count ? bytes[bit / 8] >> (7 - bit % 8) & 1 : 0;
}

static size_t reference_encode(const uint8_t *bytes, size_t count, char *text)
{
    size_t written = 0;
    for (size_t bit = 0; bit < count * 8; bit += 6) {
        int value = 0;
        for (size_t i = 0; i < 6; i++)
            value = value * 2 + bit_of(bytes, count, bit + i);
        text[written++] = alphabet[value];
    }
    while (written % 4 != 0)
        text[written++] = '=';
    return written;
}

/* A text is right when it is what its own meaning encodes to. */
static bool reference_decode(const char *text, size_t length, uint8_t *bytes, size_t *count)
{
    char again[TEXT_MAX];
    size_t bits = 0;
    memset(bytes, 0, BYTES_MAX);
    for (size_t i = 0; i < length && text[i] != '='; i++, bits += 6) {
        const char *found = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!found)
            return false;
        for (size_t k = 0; k < 6; k++)
            bytes[(bits + k) / 8] |=
                (uint8_t)(((found - alphabet) >> (5 - k) & 1) << (7 - (bits + k) % 8));
    }
    *count = bits / 8;
    return reference_encode(bytes, *count, again) == length && memcmp(again, text, length) == 0;
}

static void fill(uint8_t *bytes, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

static void each_kernel(void (*check)(void))
{
    const struct base64_kernel *before = base64_used();
    int ran = 0;
    for (size_t i = 0; base64_kernels[i]; i++) {
        if (!runs_here(base64_kernels[i]))
            continue;
        base64_use(base64_kernels[i]);
        check();
        ran++;
    }
    base64_use(before);
    assert_true(ran > 0);
}

static void check_vectors(void)
{
    /* RFC 4648 section 10, and the empty text. */
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t text[16], bytes[16];
        struct span plain = span_of(vectors[i][0]), coded = span_of(vectors[i][1]);
        assert_int_equal(base64_encoded_bytes(plain.bytes), coded.bytes);
        base64_encode(plain, text);
        assert_memory_equal(text, coded.data, coded.bytes);
        assert_int_equal(base64_decoded_bytes(coded), (ptrdiff_t)plain.bytes);
        assert_true(base64_valid(coded));
        assert_true(base64_decode(coded, bytes));
        assert_memory_equal(bytes, plain.data, plain.bytes);
    }
}

static void test_vectors(void **state)
{
    (void)state;
    each_kernel(check_vectors);
}

/* Every length up to a few steps of the widest kernel, against the end of a page on both sides: one
 * byte read or written too many is a fault. */
static void check_lengths(void)
{
    for (size_t count = 0; count <= BYTES_MAX; count++) {
        char wanted[TEXT_MAX];
        size_t length = base64_encoded_bytes(count);
        uint8_t *bytes = edge_of(0, count), *text = edge_of(1, length);
        uint8_t original[BYTES_MAX];
        fill(bytes, count, (uint32_t)count + 1);
        memcpy(original, bytes, count);
        assert_int_equal(reference_encode(bytes, count, wanted), length);
        base64_encode(span_from(bytes, count), text);
        assert_memory_equal(text, wanted, length);
        memset(bytes, 0, count);
        memset(bytes - 8, 0x55, 8);
        assert_int_equal(base64_decoded_bytes(span_from(text, length)), (ptrdiff_t)count);
        assert_true(base64_valid(span_from(text, length)));
        assert_true(base64_decode(span_from(text, length), bytes));
        assert_memory_equal(bytes, original, count);
        assert_memory_equal(bytes - 8, "UUUUUUUU", 8);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    each_kernel(check_lengths);
}

/* Each of the 256 values at each place of texts of several lengths. The judgement is the
 * reference's; decode and valid must agree with it. */
static void check_every_letter(void)
{
    static const size_t counts[] = {1, 2, 3, 23, 24, 25, 48, 50, 97};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        uint8_t source[BYTES_MAX], wanted[BYTES_MAX];
        char text[TEXT_MAX];
        fill(source, counts[c], 7);
        size_t length = reference_encode(source, counts[c], text), count = 0;
        for (size_t place = 0; place < length; place++) {
            char kept = text[place];
            for (int value = 0; value < 256; value++) {
                text[place] = (char)value;
                bool right = reference_decode(text, length, wanted, &count);
                struct span span = span_from(text, length);
                ptrdiff_t announced = base64_decoded_bytes(span);
                uint8_t *bytes = edge_of(0, announced < 0 ? 0 : (size_t)announced);
                assert_int_equal(base64_valid(span), right);
                assert_int_equal(base64_decode(span, bytes), right);
                if (right) {
                    assert_int_equal(announced, (ptrdiff_t)count);
                    assert_memory_equal(bytes, wanted, count);
                }
            }
            text[place] = kept;
        }
    }
}

static void test_every_letter(void **state)
{
    (void)state;
    each_kernel(check_every_letter);
}

static void check_refused(void)
{
    static const char *const texts[] = {
        "A",
        "AA",
        "AAA",
        "AAAAA",
        "=",
        "==",
        "===",
        "====",
        "A===",
        "AA=A",
        "=AAA",
        "A=AA",
        "AAA==",
        "AA==AAAA",
        "AAA=AAAA",
        "AB==",
        "AAB=",
        "Zg==Zg==",
        "Zm9v\n",
        "Zm9vYg=\n",
        "Zm9 ",
        "Zm-v",
        "Zm_v",
        "Zm9vYh==",
        "Zm9vYmF=",
        " Zm9v",
        "Zm9v====",
        "AA=="
        "====",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t bytes[16];
        assert_false(base64_valid(span_of(texts[i])));
        assert_false(base64_decode(span_of(texts[i]), bytes));
    }
}

static void test_refused(void **state)
{
    (void)state;
    each_kernel(check_refused);
}

static void test_announced(void **state)
{
    (void)state;
    assert_int_equal(base64_decoded_bytes(span_of("AAA")), -1);
    assert_int_equal(base64_decoded_bytes(span_of("AA=A")), -1);
    assert_int_equal(base64_decoded_bytes(span_of("")), 0);
    assert_int_equal(base64_decoded_bytes(span_from(NULL, 0)), 0);
    assert_int_equal(base64_decoded_bytes(span_of("AA==")), 1);
    assert_int_equal(base64_decoded_bytes(span_of("AAA=")), 2);
    assert_int_equal(base64_decoded_bytes(span_of("AAAA")), 3);
    assert_int_equal(base64_encoded_bytes(160), 216);
    assert_true(base64_valid(span_from(NULL, 0)));
    assert_true(base64_decode(span_from(NULL, 0), NULL));
    base64_encode(span_from(NULL, 0), NULL);
}

/* The last letters of a padded text have bits that mean nothing: exactly one setting is right. */
static void check_leftover_bits(void)
{
    for (int value = 0; value < 64; value++) {
        uint8_t bytes[2];
        char one[5] = {'A', alphabet[value], '=', '=', 0};
        char two[5] = {'A', 'A', alphabet[value], '=', 0};
        assert_int_equal(base64_decode(span_of(one), bytes), value % 16 == 0);
        assert_int_equal(base64_valid(span_of(one)), value % 16 == 0);
        assert_int_equal(base64_decode(span_of(two), bytes), value % 4 == 0);
        assert_int_equal(base64_valid(span_of(two)), value % 4 == 0);
    }
}

static void test_leftover_bits(void **state)
{
    (void)state;
    each_kernel(check_leftover_bits);
}

/* The kernel chosen at start is the first one that can run here. */
static void test_choice(void **state)
{
    (void)state;
    size_t best = 0;
    while (!base64_kernels[best]->usable())
        best++;
    assert_ptr_equal(base64_used(), base64_kernels[best]);
    for (size_t i = 0; base64_kernels[i]; i++)
        print_message("%s: %s\n", base64_kernels[i]->name,
                      runs_here(base64_kernels[i]) ? "tested here" : "not tested here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),      cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_letter), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_announced),    cmocka_unit_test(test_leftover_bits),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests_name("base64", tests, map_guarded, NULL);
}
