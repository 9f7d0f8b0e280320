/* Histories of a core's connections over the fake kernel: thousands drawn from seeds, with requests
 * and frames strewn in so that they get somewhere. Any of them can be run again by its seed. */
#include "common/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define HISTORIES   3000
#define BYTES_MAX   6000
#define MORSELS_MAX 60

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint64_t dice_state;

static uint64_t dice(uint64_t sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (dice_state >> 11) % sides;
}

#define morsel(literal)                                                                            \
    {                                                                                              \
        literal, sizeof literal - 1                                                                \
    }
static const struct {
    const char *bytes;
    size_t count;
} morsels[] = {
    morsel("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    morsel("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"),
    morsel("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"),
    morsel("\x81\x82\0\0\0\0hi"),
    morsel("\x81\x02hi\x82\x01x"),
    morsel("\x01\x81\0\0\0\0a\x89\x80\0\0\0\0\x80\x81\0\0\0\0b"),
    morsel("\x88\x82\0\0\0\0\x03\xe8"),
    morsel("\x88\x02\x03\xe8"),
    morsel("\x82\xfe\x01\x00\0\0\0\0"),
    morsel("\4\0"),
    morsel("\4\0\5\0"),
    morsel("\4\0\6\0\0\x1bGET / HTTP/1.1\r\nHost: x\r\n\r\n\0\3GET\7\1x"),
};

/* Mostly dice; now and then a whole delivery to a connection that may be there. */
static size_t draw(uint8_t *history)
{
    size_t bytes = 0;
    uint64_t parts = dice(MORSELS_MAX);
    for (uint64_t i = 0; i < parts; i++) {
        for (uint64_t noise = dice(20); noise; noise--)
            history[bytes++] = (uint8_t)dice(256);
        for (uint8_t listener = 0; listener < 2; listener++) { /* connections come */
            history[bytes++] = 0;
            history[bytes++] = listener;
            history[bytes++] = 0;
        }
        uint64_t at = dice(sizeof morsels / sizeof morsels[0]);
        bool record = dice(2); /* of fake_tls.c: type and length */
        history[bytes++] = 1;  /* bytes arrive */
        history[bytes++] = (uint8_t)(2 + dice(4));
        history[bytes++] = (uint8_t)(morsels[at].count - 1 + 2 * record);
        if (record) {
            history[bytes++] = 0;
            history[bytes++] = (uint8_t)morsels[at].count;
        }
        memcpy(history + bytes, morsels[at].bytes, morsels[at].count);
        bytes += morsels[at].count;
    }
    assert_true(bytes <= BYTES_MAX * 2);
    return bytes;
}

static void all_comes_home_whatever_happens(void **state)
{
    static uint8_t history[BYTES_MAX * 3];
    (void)state;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        dice_state = seed * 0x9e3779b97f4a7c15u;
        size_t bytes = draw(history);
        LLVMFuzzerTestOneInput(history, bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_comes_home_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
