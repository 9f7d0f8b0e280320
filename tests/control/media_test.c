/* Recordings: spool blocks to sound, sound to Ogg Opus, judged by Debian's opus-tools. */
#include "control/media/media_dir.h"
#include "control/media/opus_file.h"
#include "control/media/peaks.h"
#include "control/media/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "11111111-2222-4333-8444-555555555555.1800000000000.spool"

static char directory[64];

static int make_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/ringbridge-media.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static const char *in_directory(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* Standard output and error of a command. */
static const char *say(const char *format, const char *path)
{
    static char text[65536];
    char command[1024];
    snprintf(command, sizeof command, format, path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    text[fread(text, 1, sizeof text - 1, pipe)] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return text;
}

/* ---- Ogg Opus ---- */

/* The caller hums at 300 Hz, the agent at 800 Hz in the second half. */
static void hum(int16_t *frames, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++) {
        double t = (double)(at + i) / 8000;
        frames[2 * i] = (int16_t)(8000 * sin(2 * M_PI * 300 * t));
        frames[2 * i + 1] = (int16_t)(t < 1.5 ? 0 : 16000 * sin(2 * M_PI * 800 * t));
    }
}

static void write_hum(const char *path, size_t samples, struct opus_file_facts *facts)
{
    char error[256] = "";
    int16_t frames[2 * 777];
    struct opus_file *file = opus_file_create(path, 8000, 24, error, sizeof error);
    assert_non_null(file);
    for (size_t at = 0; at < samples; at += 777) {
        size_t count = samples - at < 777 ? samples - at : 777;
        hum(frames, count, at);
        opus_file_write(file, frames, count);
    }
    if (!opus_file_finish(file, facts, error, sizeof error))
        fail_msg("%s", error);
}

static void the_file_is_ogg_opus_of_the_right_length(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 160, 8000, 26640, 80001};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const char *path = in_directory("a.opus");
        struct opus_file_facts facts;
        unsigned minutes = 99;
        double seconds = 0;
        struct stat status;
        write_hum(path, lengths[i], &facts);
        const char *info = say("opusinfo '%s' 2>&1", path);
        assert_non_null(strstr(info, "Channels: 2"));
        assert_null(strstr(info, "WARNING"));
        const char *length = strstr(info, "Playback length:");
        assert_non_null(length);
        assert_int_equal(sscanf(length, "Playback length: %um:%lfs", &minutes, &seconds), 2);
        assert_true(fabs(minutes * 60 + seconds - (double)lengths[i] / 8000) <= 0.020);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, facts.bytes);
        assert_int_equal(status.st_mode & 0777, 0600);
        char expected[65] = "";
        for (size_t byte = 0; byte < 32; byte++)
            snprintf(expected + 2 * byte, 3, "%02x", facts.sha256[byte]);
        assert_memory_equal(say("sha256sum '%s'", path), expected, 64);
    }
}

static double power_at(const int16_t *frames, size_t count, unsigned track, double hz)
{
    double real = 0, imaginary = 0;
    for (size_t i = 0; i < count; i++) {
        double turn = 2 * M_PI * hz * (double)i / 48000;
        real += frames[2 * i + track] * cos(turn);
        imaginary += frames[2 * i + track] * sin(turn);
    }
    return sqrt(real * real + imaginary * imaginary) * 2 / (double)count;
}

static void each_side_stays_on_its_side(void **state)
{
    (void)state;
    const char *path = in_directory("b.opus");
    struct opus_file_facts facts;
    char pcm[700];
    write_hum(path, 24000, &facts);
    snprintf(pcm, sizeof pcm, "opusdec --quiet --no-dither --rate 48000 '%s' '%s.wav'", path, path);
    assert_int_equal(system(pcm), 0);
    snprintf(pcm, sizeof pcm, "%s.wav", path);
    int16_t *frames = calloc(2 * 48000 * 3 + 64, sizeof *frames);
    FILE *file = fopen(pcm, "rb");
    assert_true(frames && file && fseek(file, 44, SEEK_SET) == 0);
    size_t count = fread(frames, 4, (size_t)48000 * 3, file);
    fclose(file);
    assert_int_equal(count, 48000 * 3);
    const int16_t *early = frames + 2 * 24000, *late = frames + 2 * 96000;
    assert_true(power_at(early, 24000, 0, 300) > 6000);
    assert_true(power_at(early, 24000, 1, 800) < 200);
    assert_true(power_at(late, 24000, 1, 800) > 12000);
    assert_true(power_at(late, 24000, 0, 800) < 160);
    assert_true(power_at(late, 24000, 1, 300) < 400);
    free(frames);
}

static void a_file_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    char error[256] = "";
    int16_t frames[2 * 8000] = {0};
    struct opus_file_facts facts;
    assert_null(opus_file_create("/nonexistent/a.opus", 8000, 24, error, sizeof error));
    assert_non_null(strstr(error, "cannot be written"));
    struct opus_file *full = opus_file_create("/dev/full", 8000, 24, error, sizeof error);
    assert_non_null(full);
    opus_file_write(full, frames, 8000);
    assert_false(opus_file_finish(full, &facts, error, sizeof error));
    assert_non_null(strstr(error, "No space left"));
}

/* ---- peaks ---- */

static void peaks_fit_any_length(void **state)
{
    (void)state;
    struct peaks peaks;
    int16_t loud[2 * 160] = {0}, quiet[2 * 160] = {0};
    loud[2 * 5] = -32768;
    loud[2 * 6 + 1] = 16384;
    peaks_open(&peaks, 8000);
    peaks_add(&peaks, loud, 160);
    peaks_add(&peaks, quiet, 80);
    assert_int_equal(peaks.count, 2);
    assert_int_equal(peaks_bucket_ms(&peaks), 20);
    assert_int_equal(peaks.peaks[0][0], 255);
    assert_int_equal(peaks.peaks[0][1], 127);
    assert_int_equal(peaks.peaks[1][0], 0);
    peaks_open(&peaks, 8000);
    for (size_t frame = 0; frame < 50 * 3600; frame++) /* an hour, loud in the middle */
        peaks_add(&peaks, frame == 50 * 1800 ? loud : quiet, 160);
    assert_in_range(peaks.count, PEAKS_MAX / 2, PEAKS_MAX);
    assert_int_equal((peaks.count - 1) * peaks_bucket_ms(&peaks) / 1000, 3599);
    size_t loudest = 0;
    for (size_t i = 0; i < peaks.count; i++)
        if (peaks.peaks[i][0] == 255)
            loudest = i;
    assert_int_equal(loudest, 1800 * 1000 / peaks_bucket_ms(&peaks));
}

/* ---- the spool ---- */

static struct spool_head head_at(uint64_t first_sample, uint16_t samples)
{
    return (struct spool_head){.samples = samples,
                               .first_sample = first_sample,
                               .started_at_ms = 1800000000000,
                               .call = {0x11},
                               .organization = {0x22}};
}

/* A block whose caller says code and whose agent says its complement's loudest. */
static void add_block(FILE *file, const struct spool_head *head, uint8_t code)
{
    uint8_t block[SPOOL_BLOCK_BYTES];
    spool_head_write(head, block);
    memset(block + SPOOL_HEAD_BYTES, code, SPOOL_BLOCK_SAMPLES);
    memset(block + SPOOL_HEAD_BYTES + SPOOL_BLOCK_SAMPLES, 0x80, SPOOL_BLOCK_SAMPLES);
    assert_int_equal(fwrite(block, 1, sizeof block, file), sizeof block);
}

static FILE *create_spool(void)
{
    FILE *file = fopen(in_directory(NAME), "wb");
    assert_non_null(file);
    return file;
}

static void expect_read(struct spool_file *spool, size_t count, int caller, int agent)
{
    int16_t *frames = malloc(2 * SPOOL_FILE_FRAMES_MAX * sizeof *frames);
    assert_non_null(frames);
    assert_int_equal(spool_file_read(spool, frames), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(frames[2 * i], caller);
        assert_int_equal(frames[2 * i + 1], agent);
    }
    free(frames);
}

static void blocks_become_sound_and_gaps_become_silence(void **state)
{
    (void)state;
    struct spool_file *spool;
    FILE *file = create_spool();
    struct spool_head head = head_at(160, SPOOL_BLOCK_SAMPLES);
    add_block(file, &head, 0x00); /* -32124 */
    head = head_at(160 + SPOOL_BLOCK_SAMPLES, 100);
    head.flags = SPOOL_PAUSED;
    add_block(file, &head, 0x00);
    head = head_at(160 + SPOOL_BLOCK_SAMPLES + 100 + SPOOL_BLOCK_SAMPLES + 7, 3);
    add_block(file, &head, 0xff); /* 0 */
    head.first_sample -= 1;       /* overlaps: not part of it */
    add_block(file, &head, 0x00);
    fclose(file);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_OPENED);
    assert_int_equal(spool_file_head(spool)->call[0], 0x11);
    expect_read(spool, 160, 0, 0);
    expect_read(spool, SPOOL_BLOCK_SAMPLES, -32124, 32124);
    expect_read(spool, 100, 0, 0);
    expect_read(spool, SPOOL_BLOCK_SAMPLES, 0, 0);
    expect_read(spool, 7, 0, 0);
    expect_read(spool, 3, 0, 32124);
    expect_read(spool, 0, 0, 0);
    assert_int_equal(spool_file_lost(spool), 160 + SPOOL_BLOCK_SAMPLES + 7);
    spool_file_close(spool);
}

static void what_a_crash_left_is_read_up_to_the_last_whole_block(void **state)
{
    (void)state;
    struct spool_file *spool;
    FILE *file = create_spool();
    struct spool_head head = head_at(0, SPOOL_BLOCK_SAMPLES);
    for (unsigned i = 0; i < 3; i++, head.first_sample += SPOOL_BLOCK_SAMPLES)
        add_block(file, &head, 0xff);
    fclose(file);
    assert_int_equal(truncate(in_directory(NAME), 3 * SPOOL_BLOCK_BYTES - 1), 0);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_OPENED);
    expect_read(spool, SPOOL_BLOCK_SAMPLES, 0, 32124);
    expect_read(spool, SPOOL_BLOCK_SAMPLES, 0, 32124);
    expect_read(spool, 0, 0, 0);
    spool_file_close(spool);
    assert_int_equal(truncate(in_directory(NAME), SPOOL_BLOCK_BYTES - 1), 0);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_EMPTY);
    assert_int_equal(truncate(in_directory(NAME), 0), 0);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_EMPTY);
}

static void a_block_of_another_call_ends_it(void **state)
{
    (void)state;
    struct spool_file *spool;
    FILE *file = create_spool();
    struct spool_head head = head_at(0, 10);
    add_block(file, &head, 0xff);
    head = head_at(10, 10);
    head.organization[15] = 1;
    add_block(file, &head, 0xff);
    fclose(file);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_OPENED);
    expect_read(spool, 10, 0, 32124);
    expect_read(spool, 0, 0, 0);
    spool_file_close(spool);
}

static void a_file_that_is_being_written_is_left_alone(void **state)
{
    (void)state;
    struct spool_file *spool;
    FILE *file = create_spool();
    struct spool_head head = head_at(0, 10);
    add_block(file, &head, 0xff);
    fflush(file);
    assert_int_equal(flock(fileno(file), LOCK_EX), 0);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_BUSY);
    fclose(file);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_OPENED);
    spool_file_close(spool);
    unlink(in_directory(NAME));
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_MISSING);
    assert_int_equal(symlink("/etc/passwd", in_directory(NAME)), 0);
    assert_int_equal(spool_file_open(directory, NAME, &spool), SPOOL_FILE_FAILED);
    unlink(in_directory(NAME));
}

static void files_are_private_and_appear_whole(void **state)
{
    (void)state;
    struct media_path place;
    struct stat status;
    char error[256] = "";
    assert_true(media_dir_place(in_directory("media"), "aa", "0123", "opus", &place, error, sizeof error));
    assert_string_equal(place.name, "aa/01/0123.opus");
    assert_int_equal(stat(in_directory("media/aa/01"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_false(media_dir_keep(&place, error, sizeof error)); /* there is nothing to keep */
    FILE *file = fopen(place.part, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(access(place.path, F_OK), -1);
    assert_true(media_dir_keep(&place, error, sizeof error));
    assert_int_equal(access(place.path, F_OK), 0);
    assert_false(media_dir_place("/proc/nowhere", "aa", "0123", "opus", &place, error, sizeof error));
    assert_non_null(strstr(error, "cannot be made"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_is_ogg_opus_of_the_right_length),
        cmocka_unit_test(each_side_stays_on_its_side),
        cmocka_unit_test(a_file_that_cannot_be_written_is_told),
        cmocka_unit_test(peaks_fit_any_length),
        cmocka_unit_test(blocks_become_sound_and_gaps_become_silence),
        cmocka_unit_test(what_a_crash_left_is_read_up_to_the_last_whole_block),
        cmocka_unit_test(a_block_of_another_call_ends_it),
        cmocka_unit_test(a_file_that_is_being_written_is_left_alone),
        cmocka_unit_test(files_are_private_and_appear_whole),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
