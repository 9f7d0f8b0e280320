/* What becomes of a wish to have the call recorded: whole calls over real sockets and real files,
 * with a clock that only the test moves. */
#include "common/log.h"
#include "tests/call/scene.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME   160
#define SILENCE 0xff

static uint8_t code_at(uint64_t sample)
{
    return (uint8_t)((sample * 2654435761u) >> 13 & 0x7f);
}

/* ---- the directory, and what is in it ---- */

static char path[64];
static int directory = -1;

static int make_directory(void **state)
{
    (void)state;
    strcpy(path, "/tmp/ringbridge-record.XXXXXX");
    if (!mkdtemp(path))
        return -1;
    directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scene_spool(directory, 0);
    return directory < 0;
}

static int remove_directory(void **state)
{
    char command[96];
    (void)state;
    scene_spool(-1, 0);
    close(directory);
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

#define FILES 8

/* Names of what is there, oldest first. */
static unsigned list_files(char names[FILES][256])
{
    struct dirent **entries;
    unsigned count = 0;
    int found = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.' && count < FILES)
            snprintf(names[count++], 256, "%s", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return count;
}

struct tracks {
    uint8_t *caller, *agent;
    uint8_t *paused; /* 1: the block says so */
    uint64_t samples, gaps;
    int64_t started_at_ms;
};

/* A file, block by block, as anybody reads it who knows the format. */
static struct tracks read_file(const char *name)
{
    struct tracks tracks = {0};
    uint8_t block[SPOOL_BLOCK_BYTES];
    assert_true(spool_name_valid(span_of(name)));
    int fd = openat(directory, name, O_RDONLY);
    assert_true(fd >= 0);
    tracks.caller = malloc(64u << 20), tracks.agent = malloc(64u << 20);
    tracks.paused = malloc(64u << 20);
    while (read(fd, block, sizeof block) == (ssize_t)sizeof block) {
        struct spool_head head;
        assert_true(spool_head_read(span_from(block, SPOOL_HEAD_BYTES), &head));
        assert_true(head.first_sample >= tracks.samples && head.samples > 0);
        size_t gap = (size_t)(head.first_sample - tracks.samples);
        memset(tracks.caller + tracks.samples, SILENCE, gap);
        memset(tracks.agent + tracks.samples, SILENCE, gap);
        tracks.gaps += gap;
        tracks.samples += gap;
        memcpy(tracks.caller + tracks.samples, block + SPOOL_HEAD_BYTES, head.samples);
        memcpy(tracks.agent + tracks.samples, block + SPOOL_HEAD_BYTES + SPOOL_BLOCK_SAMPLES,
               head.samples);
        memset(tracks.paused + tracks.samples, head.flags & SPOOL_PAUSED, head.samples);
        tracks.samples += head.samples;
        tracks.started_at_ms = head.started_at_ms;
        static const uint8_t id[16] = {0x8f, 0x14, 0xe4, 0x5f, 0xce, 0xea, 0x46, 0x7f,
                                       0xa9, 0xd2, 0,    0,    0,    0,    0,    0xaa};
        assert_memory_equal(head.call, id, sizeof id);
    }
    close(fd);
    return tracks;
}

static void free_tracks(struct tracks *tracks)
{
    free(tracks->caller);
    free(tracks->agent);
    free(tracks->paused);
}

static void expect_caller(const struct tracks *tracks, uint64_t from, uint64_t until,
                          uint64_t sample)
{
    assert_true(until <= tracks->samples);
    for (uint64_t i = from; i < until; i++)
        if (tracks->caller[i] != code_at(sample + i - from))
            fail_msg("sample %llu is not the caller's", (unsigned long long)i);
}

static void expect(const uint8_t *track, uint64_t from, uint64_t until, uint8_t value)
{
    for (uint64_t i = from; i < until; i++)
        if (track[i] != value)
            fail_msg("sample %llu is %02x, not %02x", (unsigned long long)i, track[i], value);
}

/* ---- a call ---- */

static void begin(struct scene *scene, const char *settings)
{
    scene_open(scene, settings, false);
    scene_connect(scene);
    scene_start(scene);
}

/* The test's clock runs faster than any disk: what is handed over is waited for, until no more than
 * the page at hand is out. A disk that sleeps is not waited for. */
static void let_write(struct scene *scene)
{
    scene_settle(scene);
    scene_until(scene, scene->disk_sleeps || scene->calls->spools.pages.live <= 1);
}

/* Frames from this one up to that one, of the carrier's clock. */
static void say_frames(struct scene *scene, unsigned from, unsigned until)
{
    uint8_t codes[FRAME];
    for (unsigned number = from; number < until; number++) {
        for (size_t i = 0; i < FRAME; i++)
            codes[i] = code_at((uint64_t)number * FRAME + i);
        scene_media(scene, number * 20, codes, FRAME);
        scene_pass(scene, 20);
        if (number % 50 == 49)
            let_write(scene);
    }
    let_write(scene);
}

static void respond(struct scene *scene, const char *response)
{
    scene_ai_says(scene,
                  "{\"type\":\"response.created\",\"event_id\":\"e\",\"response\":{\"id\":\"%s\","
                  "\"status\":\"in_progress\"}}",
                  response);
}

static void order(struct scene *scene, enum link_record_action action)
{
    struct link_record *content = malloc(sizeof *content);
    snprintf(content->call, sizeof content->call, "%s", scene->call->plan->call);
    content->action = action;
    calls_on_letter(scene->calls, &(struct letter){.kind = LETTER_RECORD, .content = content});
}

/* The carrier hangs up, and every recording is closed. */
static void hang_up(struct scene *scene)
{
    if (scene->call)
        scene_carrier_says(scene,
                           "{\"event\":\"stop\",\"sequenceNumber\":\"%llu\",\"stop\":{"
                           "\"accountSid\":\"%s\",\"callSid\":\"%s\"},\"streamSid\":\"%s\"}",
                           (unsigned long long)++scene->sequence, scene->call->plan->account_sid,
                           scene->call->plan->call_sid, scene->call->stream_sid);
    scene_until(scene, !scene->call);
    scene_until(scene, calls_recordings(scene->calls) == 0);
}

static struct tracks only_file(void)
{
    char names[FILES][256];
    assert_int_equal(list_files(names), 1);
    return read_file(names[0]);
}

/* ---- without a spool ---- */

/* Once per call, and the call is as good as any other. */
static void refuses_without_a_spool_and_goes_on(void **state)
{
    (void)state;
    struct scene scene;
    scene_spool(-1, 0);
    scene_open(&scene, "{\"record\":true}", false);
    scene_connect(&scene);
    assert_int_equal(scene.metrics.recordings_refused, 0); /* nothing to record yet */
    scene_start(&scene);
    say_frames(&scene, 0, 3);
    assert_int_equal(scene.metrics.recordings_refused, 1);
    assert_int_equal(scene.ai.audio_bytes, 3 * FRAME);
    assert_null(scene.call->tap);
    scene_close(&scene);
}

static void keeps_nothing_that_nobody_asked_for(void **state)
{
    (void)state;
    struct scene scene;
    char names[FILES][256];
    begin(&scene, "{\"record\":false}");
    say_frames(&scene, 0, 100);
    assert_null(scene.call->tap);
    assert_int_equal(scene.metrics.recordings_refused, 0);
    hang_up(&scene);
    assert_int_equal(list_files(names), 0);
    scene_close(&scene);
}

/* ---- both sides ---- */

/* A greeting that was there before the stream, a gap of the carrier's, an answer that is
 * interrupted: each sample of both sides is where the caller said or heard it. */
static void keeps_both_sides_to_the_sample(const char *settings)
{
    struct scene scene;
    scene_open(&scene, settings, false);
    respond(&scene, "resp_g");
    scene_delta(&scene, "resp_g", "item_g", 0x22, 4000);
    scene_settle(&scene);
    scene_connect(&scene);
    scene_start(&scene);
    scene_settle(&scene);
    say_frames(&scene, 0, 50);
    say_frames(&scene, 60, 100); /* 200 ms are lost */
    respond(&scene, "resp_a");
    scene_delta(&scene, "resp_a", "item_a", 0x33, 40000);
    scene_settle(&scene);
    say_frames(&scene, 100, 130);
    scene_ai_says(&scene, "%s",
                  "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":\"e\","
                  "\"audio_start_ms\":2400,\"item_id\":\"item_u\"}");
    scene_settle(&scene);
    assert_int_equal(scene.metrics.barge_ins, 1);
    say_frames(&scene, 130, 160);
    hang_up(&scene);
    struct tracks tracks = only_file();
    assert_int_equal(tracks.samples, 160 * FRAME);
    assert_int_equal(tracks.gaps, 0);
    expect_caller(&tracks, 0, 50 * FRAME, 0);
    expect(tracks.caller, 50 * FRAME, 60 * FRAME, SILENCE);
    expect_caller(&tracks, 60 * FRAME, 160 * FRAME, 60 * FRAME);
    expect(tracks.agent, 0, 4000, 0x22);
    expect(tracks.agent, 4000, 100 * FRAME, SILENCE);
    expect(tracks.agent, 100 * FRAME, 130 * FRAME, 0x33);
    expect(tracks.agent, 130 * FRAME, 160 * FRAME, SILENCE);
    assert_int_equal(scene.metrics.recordings_finished, 1);
    assert_int_equal(scene.metrics.recordings_open, 0);
    free_tracks(&tracks);
    scene_close(&scene);
}

static void keeps_both_sides(void **state)
{
    (void)state;
    keeps_both_sides_to_the_sample("{\"record\":true}");
}

/* The carrier turns out to play 200 ms late, and then the caller interrupts: what was in the page
 * at hand and never heard is taken out again. */
static void erases_what_was_never_heard(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"record\":true}");
    say_frames(&scene, 0, 10);
    respond(&scene, "resp_a");
    for (unsigned i = 0; i < 10; i++)
        scene_delta(&scene, "resp_a", "item_a", 0x33, 1600);
    scene_settle(&scene);
    say_frames(&scene, 10, 30);
    scene_carrier_says(&scene,
                       "{\"event\":\"mark\",\"sequenceNumber\":\"%llu\",\"streamSid\":\"%s\","
                       "\"mark\":{\"name\":\"m0\"}}",
                       (unsigned long long)++scene.sequence, scene.call->stream_sid);
    scene_settle(&scene);
    scene_ai_says(&scene, "%s",
                  "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":\"e\","
                  "\"audio_start_ms\":500,\"item_id\":\"item_u\"}");
    scene_settle(&scene);
    assert_int_equal(scene.metrics.barge_ins, 1);
    say_frames(&scene, 30, 40);
    hang_up(&scene);
    struct tracks tracks = only_file();
    assert_int_equal(tracks.samples, 40 * FRAME);
    expect(tracks.agent, 0, 10 * FRAME, SILENCE);
    expect(tracks.agent, 10 * FRAME, 20 * FRAME, 0x33);
    expect(tracks.agent, 20 * FRAME, 40 * FRAME, SILENCE);
    expect_caller(&tracks, 0, 40 * FRAME, 0);
    free_tracks(&tracks);
    scene_close(&scene);
}

/* A killed edge leaves everything but the last second or so, and the lock. */
static void is_there_while_the_call_runs(void **state)
{
    (void)state;
    struct scene scene;
    char names[FILES][256];
    begin(&scene, "{\"record\":true}");
    for (unsigned second = 0; second < 6; second++) {
        say_frames(&scene, second * 50, second * 50 + 50);
        unsigned blocks = 1 + ((second + 1) * 8000 - FRAME) / SPOOL_BLOCK_SAMPLES; /* slot 0 */
        scene_until(&scene, scene.metrics.spool_bytes == blocks * SPOOL_BLOCK_BYTES);
        struct tracks tracks = only_file();
        assert_true(tracks.samples + SPOOL_BLOCK_SAMPLES >= (second + 1) * 8000u);
        expect_caller(&tracks, 0, tracks.samples, 0);
        free_tracks(&tracks);
    }
    list_files(names);
    int fd = openat(directory, names[0], O_RDONLY);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
    hang_up(&scene);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    scene_close(&scene);
}

/* ---- orders ---- */

static void keeps_back_what_is_paused(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"record\":true}");
    respond(&scene, "resp_a");
    scene_delta(&scene, "resp_a", "item_a", 0x33, 4 * 8000);
    scene_settle(&scene);
    say_frames(&scene, 0, 70);
    order(&scene, LINK_RECORD_PAUSE);
    order(&scene, LINK_RECORD_PAUSE); /* a second one changes nothing */
    say_frames(&scene, 70, 140);
    order(&scene, LINK_RECORD_RESUME);
    say_frames(&scene, 140, 180);
    hang_up(&scene);
    struct tracks tracks = only_file();
    assert_int_equal(tracks.samples, 180 * FRAME);
    assert_int_equal(tracks.gaps, 0);
    expect_caller(&tracks, 0, 70 * FRAME, 0);
    expect(tracks.caller, 70 * FRAME, 140 * FRAME, SILENCE);
    expect_caller(&tracks, 140 * FRAME, 180 * FRAME, 140 * FRAME);
    expect(tracks.agent, 0, 70 * FRAME, 0x33);
    expect(tracks.agent, 70 * FRAME, 140 * FRAME, SILENCE);
    expect(tracks.agent, 140 * FRAME, 180 * FRAME, 0x33);
    expect(tracks.paused, 0, 70 * FRAME, 0);
    expect(tracks.paused, 70 * FRAME, 140 * FRAME, SPOOL_PAUSED);
    expect(tracks.paused, 140 * FRAME, 180 * FRAME, 0);
    free_tracks(&tracks);
    scene_close(&scene);
}

/* Frames that lie across the pieces: what was said within the 20 ms of an order stays out. */
static void keeps_back_the_piece_of_the_order(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t codes[80];
    memset(codes, 0x44, sizeof codes);
    begin(&scene, "{\"record\":true}");
    scene_media(&scene, 0, codes, 80);
    scene_pass(&scene, 10);
    for (unsigned i = 0; i < 10; i++) {
        if (i == 3)
            order(&scene, LINK_RECORD_PAUSE);
        if (i == 5)
            order(&scene, LINK_RECORD_RESUME);
        for (unsigned half = 0; half < 2; half++) {
            scene_media(&scene, 10 + i * 20 + half * 10, codes, 80);
            scene_pass(&scene, 10);
        }
        scene_settle(&scene);
    }
    hang_up(&scene);
    struct tracks tracks = only_file();
    assert_int_equal(tracks.samples, 1680);
    expect(tracks.caller, 0, 3 * FRAME, 0x44);
    expect(tracks.caller, 3 * FRAME, 6 * FRAME, SILENCE);
    expect(tracks.caller, 6 * FRAME, 1680, 0x44);
    free_tracks(&tracks);
    scene_close(&scene);
}

/* Begun and ended in the middle, twice: two files, each from its own zero. */
static void begins_and_ends_by_order(void **state)
{
    (void)state;
    struct scene scene;
    char names[FILES][256];
    begin(&scene, "{}");
    order(&scene, LINK_RECORD_PAUSE); /* nothing runs that could be */
    order(&scene, LINK_RECORD_STOP);
    say_frames(&scene, 0, 20);
    order(&scene, LINK_RECORD_START);
    order(&scene, LINK_RECORD_START);
    say_frames(&scene, 20, 90);
    order(&scene, LINK_RECORD_STOP);
    assert_null(scene.call->tap);
    say_frames(&scene, 90, 120);
    order(&scene, LINK_RECORD_START);
    say_frames(&scene, 120, 150);
    hang_up(&scene);
    assert_int_equal(list_files(names), 2);
    struct tracks first = read_file(names[0]), second = read_file(names[1]);
    assert_int_equal(first.samples, 70 * FRAME);
    expect_caller(&first, 0, 70 * FRAME, 20 * FRAME);
    assert_int_equal(second.samples, 30 * FRAME);
    expect_caller(&second, 0, 30 * FRAME, 120 * FRAME);
    assert_int_equal(second.started_at_ms - first.started_at_ms, 2000);
    assert_int_equal(first.gaps + second.gaps, 0);
    assert_int_equal(scene.metrics.recordings_started, 2);
    free_tracks(&first);
    free_tracks(&second);
    scene_close(&scene);
}

/* ---- long calls ---- */

/* A full file is finished, and the next one begins with the next sample, paused or not. */
static void goes_on_in_another_file(void **state)
{
    (void)state;
    struct scene scene;
    char names[FILES][256];
    uint64_t at = 0;
    scene_spool(directory, 2);
    begin(&scene, "{\"record\":true}");
    say_frames(&scene, 0, 60);
    order(&scene, LINK_RECORD_PAUSE);
    say_frames(&scene, 60, 120);
    order(&scene, LINK_RECORD_RESUME);
    say_frames(&scene, 120, 250);
    hang_up(&scene);
    unsigned files = list_files(names);
    assert_true(files >= 3);
    for (unsigned i = 0; i < files; i++) {
        struct tracks tracks = read_file(names[i]);
        assert_true(tracks.samples > 0 && tracks.samples <= 3 * SPOOL_BLOCK_SAMPLES);
        assert_int_equal(tracks.gaps, 0);
        for (uint64_t sample = 0; sample < tracks.samples; sample++, at++) {
            bool paused = at >= 60 * FRAME && at < 120 * FRAME;
            assert_int_equal(tracks.caller[sample], paused ? SILENCE : code_at(at));
        }
        free_tracks(&tracks);
    }
    assert_int_equal(at, 250 * FRAME);
    assert_int_equal(scene.metrics.recordings_finished, files);
    scene_close(&scene);
}

/* ---- disks ---- */

/* The file may not grow: what is whole is kept, the call goes on, and there is a name for it. */
static void ends_with_a_name_when_the_disk_takes_no_more(void **state)
{
    (void)state;
    struct scene scene;
    struct rlimit before, limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 40000, .rlim_max = before.rlim_max};
    begin(&scene, "{\"record\":true}");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned i = 0; i < 6; i++)
        say_frames(&scene, i * 50, i * 50 + 50);
    scene_until(&scene, scene.metrics.recordings_file_too_large == 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_null(scene.call->spool);
    assert_null(scene.call->tap);
    scene_until(&scene, calls_recordings(scene.calls) == 0);
    say_frames(&scene, 300, 310);
    assert_int_equal(scene.ai.audio_bytes, 310 * FRAME);
    hang_up(&scene);
    assert_int_equal(scene.end, END_caller_hung_up);
    struct tracks tracks = only_file();
    assert_true(tracks.samples > 0);
    expect_caller(&tracks, 0, tracks.samples, 0);
    assert_int_equal(scene.metrics.recordings_finished, 0);
    free_tracks(&tracks);
    scene_close(&scene);
}

static void says_that_there_is_no_directory(void **state)
{
    (void)state;
    struct scene scene;
    assert_int_equal(rmdir(path), 0);
    begin(&scene, "{\"record\":true}");
    scene_until(&scene, scene.metrics.recordings_no_directory == 1);
    scene_until(&scene, calls_recordings(scene.calls) == 0);
    assert_null(scene.call->spool);
    say_frames(&scene, 0, 10);
    assert_int_equal(scene.ai.audio_bytes, 10 * FRAME);
    hang_up(&scene);
    scene_close(&scene);
    assert_int_equal(mkdir(path, 0700), 0); /* for who removes it */
}

/* The ring's answers are not looked at for a minute, as if the disk slept: a queue of pages bridges
 * some of it, then time is lost, then the recording is given up; the call hears nothing of it. */
static void gives_up_a_disk_that_sleeps(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"record\":true}");
    uint8_t second[8000];
    memset(second, 0x44, sizeof second);
    scene.disk_sleeps = true;
    for (unsigned i = 0; i < 60; i++) { /* so that it ends amid the pieces of one message */
        scene_media(&scene, i * 1000, second, sizeof second);
        scene_pass(&scene, 1000);
        scene_settle(&scene);
    }
    assert_int_equal(scene.metrics.recordings_disk_slow, 1);
    assert_null(scene.call->spool);
    scene.disk_sleeps = false;
    hang_up(&scene);
    assert_int_equal(scene.metrics.recordings_lost_samples / 8000, SPOOL_LOST_MS_MAX / 1000);
    scene_close(&scene);
}

/* Each nap is forgiven by itself. */
static void forgives_naps_that_are_far_apart(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"record\":true}");
    for (unsigned nap = 0; nap < 3; nap++) {
        scene.disk_sleeps = true;
        say_frames(&scene, nap * 1250, nap * 1250 + 1150);
        scene.disk_sleeps = false;
        let_write(&scene);
        say_frames(&scene, nap * 1250 + 1150, nap * 1250 + 1250);
    }
    assert_non_null(scene.call->spool);
    hang_up(&scene);
    assert_true(scene.metrics.recordings_lost_samples > SPOOL_LOST_MS_MAX * 8);
    struct tracks tracks = only_file();
    assert_int_equal(tracks.samples, 3 * 1250 * FRAME);
    free_tracks(&tracks);
    scene_close(&scene);
}

/* It wakes in time: what was lost is a gap of silence, and the clock holds. */
static void bridges_a_disk_that_naps(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "{\"record\":true}");
    say_frames(&scene, 0, 100);
    scene_until(&scene, scene.metrics.spool_bytes == 2 * SPOOL_BLOCK_BYTES);
    scene.disk_sleeps = true;
    say_frames(&scene, 100, 800);
    scene.disk_sleeps = false;
    let_write(&scene);
    say_frames(&scene, 800, 1000);
    hang_up(&scene);
    struct tracks tracks = only_file();
    assert_int_equal(tracks.samples, 1000 * FRAME);
    assert_int_equal(tracks.gaps, scene.metrics.recordings_lost_samples);
    assert_in_range(tracks.gaps, 4 * SPOOL_BLOCK_SAMPLES, 7 * SPOOL_BLOCK_SAMPLES);
    expect_caller(&tracks, 0, 8 * 8000, 0);
    expect_caller(&tracks, 900 * FRAME, 1000 * FRAME, 900 * FRAME);
    free_tracks(&tracks);
    scene_close(&scene);
}

#define with_directory(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_directory(refuses_without_a_spool_and_goes_on),
        with_directory(keeps_nothing_that_nobody_asked_for),
        with_directory(keeps_both_sides),
        with_directory(erases_what_was_never_heard),
        with_directory(is_there_while_the_call_runs),
        with_directory(keeps_back_what_is_paused),
        with_directory(keeps_back_the_piece_of_the_order),
        with_directory(begins_and_ends_by_order),
        with_directory(goes_on_in_another_file),
        with_directory(ends_with_a_name_when_the_disk_takes_no_more),
        with_directory(says_that_there_is_no_directory),
        with_directory(gives_up_a_disk_that_sleeps),
        with_directory(bridges_a_disk_that_naps),
        with_directory(forgives_naps_that_are_far_apart),
    };
    log_open("record_test", LOG_TEXT, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
