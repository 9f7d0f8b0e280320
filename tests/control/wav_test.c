/* WAV as the carrier sends it, and as it should not; ranges as players ask for them. */
#include "control/media/wav_file.h"
#include "control/service/media_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 65536

static uint8_t bytes[ROOM];
static size_t count;

static void put(const void *data, size_t size)
{
    assert_true(count + size <= ROOM);
    memcpy(bytes + count, data, size);
    count += size;
}

static void put_32(uint32_t value)
{
    put((const uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                          (uint8_t)(value >> 24)},
        4);
}

static void put_16(unsigned value)
{
    put((const uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

static void begin(void)
{
    count = 0;
    put("RIFF", 4);
    put_32(0); /* not looked at: many writers leave it */
    put("WAVE", 4);
}

static void put_format(unsigned kind, unsigned channels, uint32_t rate_hz, unsigned bits)
{
    put("fmt ", 4);
    put_32(16);
    put_16(kind);
    put_16(channels);
    put_32(rate_hz);
    put_32(rate_hz * channels * bits / 8);
    put_16(channels * bits / 8);
    put_16(bits);
}

static void put_data(uint32_t size, unsigned samples)
{
    put("data", 4);
    put_32(size);
    for (unsigned i = 0; i < samples; i++)
        put_16((i * 7) & 0xffff);
}

static enum wav_file_found look(struct wav_file *wav, FILE **file)
{
    *file = fmemopen(bytes, count, "rb");
    assert_non_null(*file);
    return wav_file_open(wav, *file, count);
}

static enum wav_file_found found(void)
{
    struct wav_file wav;
    FILE *file;
    enum wav_file_found result = look(&wav, &file);
    fclose(file);
    return result;
}

static void two_channels_are_read_in_turn(void **state)
{
    struct wav_file wav;
    FILE *file;
    static int16_t frames[2 * WAV_FILE_FRAMES_MAX];
    (void)state;
    begin();
    put("LIST", 4); /* chunks before the format, and one of odd length */
    put_32(3);
    put("abc\0", 4);
    put_format(1, 2, 8000, 16);
    put_data(20000, 10000);
    assert_int_equal(look(&wav, &file), WAV_FILE_OPENED);
    assert_int_equal(wav.frames, 5000);
    assert_int_equal(wav.rate_hz, 8000);
    assert_int_equal(wav_file_read(&wav, frames), WAV_FILE_FRAMES_MAX);
    for (int i = 0; i < 2 * WAV_FILE_FRAMES_MAX; i++)
        assert_int_equal(frames[i], (int16_t)((i * 7) & 0xffff));
    assert_int_equal(wav_file_read(&wav, frames), 5000 - WAV_FILE_FRAMES_MAX);
    assert_int_equal(wav_file_read(&wav, frames), 0);
    assert_int_equal(wav.read_frames, 5000);
    fclose(file);
}

static void one_channel_is_heard_on_both_sides(void **state)
{
    struct wav_file wav;
    FILE *file;
    static int16_t frames[2 * WAV_FILE_FRAMES_MAX];
    (void)state;
    begin();
    put_format(1, 1, 16000, 16);
    put_data(UINT32_MAX, 100); /* whoever wrote it did not know how much */
    assert_int_equal(look(&wav, &file), WAV_FILE_OPENED);
    assert_int_equal(wav_file_read(&wav, frames), 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(frames[2 * i], i * 7);
        assert_int_equal(frames[2 * i + 1], i * 7);
    }
    fclose(file);
}

static void what_is_no_sound_of_ours_is_told_apart(void **state)
{
    (void)state;
    begin();
    assert_int_equal(found(), WAV_FILE_TRUNCATED);
    put_format(1, 1, 8000, 16);
    assert_int_equal(found(), WAV_FILE_TRUNCATED);
    put_data(200, 99);
    assert_int_equal(found(), WAV_FILE_TRUNCATED);
    put_16(1);
    assert_int_equal(found(), WAV_FILE_OPENED);
    static const struct {
        unsigned kind, channels, rate_hz, bits;
    } others[] = {{7, 1, 8000, 8},  {1, 1, 8000, 8},      {1, 3, 8000, 16},  {1, 0, 8000, 16},
                  {1, 1, 8001, 16}, {1, 1, 4000, 16},     {1, 1, 96000, 16}, {3, 1, 8000, 32},
                  {1, 2, 0, 16},    {0xfffe, 1, 8000, 16}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        begin();
        put_format(others[i].kind, others[i].channels, others[i].rate_hz, others[i].bits);
        put_data(200, 100);
        if (found() != WAV_FILE_OTHER)
            fail_msg("case %zu is taken", i);
    }
    begin();
    put_format(1, 1, 8000, 16);
    put_data(0, 0);
    assert_int_equal(found(), WAV_FILE_EMPTY);
    begin();
    put_data(200, 100); /* no format */
    assert_int_equal(found(), WAV_FILE_OTHER);
    begin();
    put("LIST", 4);
    put_32(UINT32_MAX); /* leads behind the end */
    assert_int_equal(found(), WAV_FILE_TRUNCATED);
    begin();
    for (int i = 0; i < 2 * WAV_FILE_CHUNKS_MAX; i++) {
        put("junk", 4);
        put_32(0);
    }
    assert_int_equal(found(), WAV_FILE_OTHER);
    count = 0;
    put("<!DOCTYPE html><html>", 21);
    assert_int_equal(found(), WAV_FILE_OTHER);
    count = 3;
    assert_int_equal(found(), WAV_FILE_OTHER);
}

static void ranges_are_what_players_mean(void **state)
{
    static const struct {
        const char *range;
        uint64_t bytes;
        bool partial;
        uint64_t first, count;
    } cases[] = {{NULL, 100, false, 0, 100},
                 {"bytes=0-", 100, true, 0, 100},
                 {"bytes=0-0", 100, true, 0, 1},
                 {"bytes=10-19", 100, true, 10, 10},
                 {"BYTES=10-1000", 100, true, 10, 90},
                 {"bytes=99-", 100, true, 99, 1},
                 {"bytes=100-", 100, true, 100, 0},
                 {"bytes=-1", 100, true, 99, 1},
                 {"bytes=-1000", 100, true, 0, 100},
                 {"bytes=-0", 100, true, 100, 0},
                 {"bytes=0-", 1000000, true, 0, MEDIA_LINK_PIECE_BYTES},
                 {"bytes=-600000", 1000000, true, 400000, MEDIA_LINK_PIECE_BYTES},
                 {"bytes=5-4", 100, false, 0, 100},
                 {"bytes=0-1,5-6", 100, false, 0, 100},
                 {"bytes=", 100, false, 0, 100},
                 {"bytes=-", 100, false, 0, 100},
                 {"bytes=+1-2", 100, false, 0, 100},
                 {"bytes=1-2x", 100, false, 0, 100},
                 {"bytes=99999999999999999999-", 100, false, 0, 100},
                 {"items=0-1", 100, false, 0, 100}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t first = 7, given = 7;
        bool partial = media_link_range(cases[i].range, cases[i].bytes, &first, &given);
        if (partial != cases[i].partial || given != cases[i].count || first != cases[i].first)
            fail_msg("%s: %d %lu %lu", cases[i].range, partial, first, given);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_channels_are_read_in_turn),
        cmocka_unit_test(one_channel_is_heard_on_both_sides),
        cmocka_unit_test(what_is_no_sound_of_ours_is_told_apart),
        cmocka_unit_test(ranges_are_what_players_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
