/* Supervisors who hear a call: both tracks to the sample, what happens in the order in which it
 * does, and a call that never notices that one of them does not read, speaks, or goes. Every test
 * is a whole call over real sockets; control's yes is the test's. */
#include "tests/call/scene.h"

#include "edge/media/g711.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME        160
#define CONVERSATION "8f14e45f-ceea-467f-a9d2-0000000000aa"
#define ORGANIZATION "c9f0f895-fb98-4b91-a5ee-0000000000bb"
#define EARS_MAX     6
#define SAMPLES_MAX  (80 * 8000)
#define TEXTS_MAX    400

static struct ear {
    uint64_t conn;
    bool open, ended;
    uint16_t close_code;
    unsigned http_status;
    char *texts[TEXTS_MAX];
    unsigned texts_count;
    uint8_t audio[2][SAMPLES_MAX];
    bool there[2][SAMPLES_MAX];
    uint64_t first[2], next[2]; /* positions; next 0: nothing came */
} ears[EARS_MAX];

static const char *organization;

static uint8_t code_at(uint64_t sample)
{
    return (uint8_t)((sample * 2654435761u) >> 13);
}

/* ---- ears ---- */

static void take_audio(struct ear *ear, struct span body)
{
    uint64_t position = 0;
    assert_true(body.bytes > LISTEN_HEADER_BYTES);
    assert_int_equal(body.data[0], LISTEN_VERSION);
    assert_int_equal(body.data[2] | body.data[3], 0);
    unsigned track = body.data[1];
    assert_true(track < 2);
    for (unsigned i = 8; i-- > 0;)
        position = position << 8 | body.data[4 + i];
    size_t samples = body.bytes - LISTEN_HEADER_BYTES;
    assert_true(samples <= LISTEN_CHUNK_SAMPLES && position + samples <= SAMPLES_MAX);
    assert_true(position >= ear->next[track]); /* nothing twice, nothing backwards */
    if (ear->next[track] == 0)
        ear->first[track] = position;
    memcpy(ear->audio[track] + position, body.data + LISTEN_HEADER_BYTES, samples);
    memset(ear->there[track] + position, true, samples);
    ear->next[track] = position + samples;
}

static void take(struct scene *scene, struct conn *conn, const struct message *message)
{
    if (message->kind == MESSAGE_REQUEST) {
        listen_admit(scene->calls, conn, CONVERSATION, organization);
        return;
    }
    struct ear *ear = &ears[conn_leg(conn) - SCENE_LEG_OTHER];
    if (message->kind == MESSAGE_OPEN) {
        ear->open = true;
    } else if (message->kind == MESSAGE_TEXT) {
        assert_true(ear->texts_count < TEXTS_MAX);
        ear->texts[ear->texts_count++] =
            strndup((const char *)message->body.data, message->body.bytes);
    } else if (message->kind == MESSAGE_BINARY) {
        take_audio(ear, message->body);
    } else {
        ear->ended = true;
        ear->close_code = message->close_code;
        ear->http_status = message->http_status;
    }
}

static struct ear *listen_as(struct scene *scene, unsigned number)
{
    struct ear *ear = &ears[number];
    struct dial dial = {.address_bytes = sizeof(struct sockaddr_in),
                        .host = "127.0.0.1",
                        .port = scene->port,
                        .target = "/listen/ticket",
                        .headers = "",
                        .message_bytes_max = 1 << 20,
                        .leg = SCENE_LEG_OTHER + number};
    *(struct sockaddr_in *)&dial.address =
        (struct sockaddr_in){.sin_family = AF_INET,
                             .sin_port = htons(scene->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct conn *conn = conn_dial(scene->io, &dial);
    assert_non_null(conn);
    ear->conn = conn_ref(conn);
    scene_until(scene, ear->open || ear->ended);
    return ear;
}

static struct ear *joined(struct scene *scene, unsigned number)
{
    struct ear *ear = listen_as(scene, number);
    assert_true(ear->open);
    scene_until(scene, ear->texts_count > 0);
    assert_non_null(strstr(ear->texts[0], "{\"kind\":\"listening\",\"clock_ms\":"));
    assert_non_null(strstr(ear->texts[0], "\"call\":\"" CONVERSATION "\""));
    return ear;
}

/* The first text from the n-th on with this in it, or fails. */
static unsigned heard(const struct ear *ear, unsigned from, const char *piece)
{
    for (unsigned i = from; i < ear->texts_count; i++)
        if (strstr(ear->texts[i], piece))
            return i;
    fail_msg("nobody said %s", piece);
    return 0;
}

static unsigned count(const struct ear *ear, const char *piece)
{
    unsigned found = 0;
    for (unsigned i = 0; i < ear->texts_count; i++)
        found += strstr(ear->texts[i], piece) != NULL;
    return found;
}

static uint64_t number_in(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtoull(at + strlen(name), NULL, 10);
}

/* All of the caller from where it began, and nothing missing. */
static void expect_caller(const struct ear *ear, uint64_t from, uint64_t until)
{
    assert_int_equal(ear->first[0], from);
    assert_int_equal(ear->next[0], until);
    for (uint64_t i = from; i < until; i++)
        if (!ear->there[0][i] || ear->audio[0][i] != code_at(i))
            fail_msg("sample %llu of the caller is wrong", (unsigned long long)i);
}

/* ---- the call ---- */

static void begin(struct scene *scene, const char *settings)
{
    organization = ORGANIZATION;
    memset(ears, 0, sizeof ears);
    scene_open(scene, settings, false);
    scene->other = take;
    scene_connect(scene);
    scene_start(scene);
}

static void end(struct scene *scene)
{
    scene_close(scene);
    assert_int_equal(scene->metrics.listeners, 0);
    for (unsigned i = 0; i < EARS_MAX; i++)
        for (unsigned text = 0; text < ears[i].texts_count; text++)
            free(ears[i].texts[text]);
}

static void say_frame(struct scene *scene, uint64_t number)
{
    uint8_t codes[FRAME];
    for (size_t i = 0; i < FRAME; i++)
        codes[i] = code_at(number * FRAME + i);
    scene_media(scene, number * 20, codes, FRAME);
    scene_pass(scene, 20);
}

static void say_frames(struct scene *scene, uint64_t *frame, unsigned frames)
{
    for (unsigned i = 0; i < frames; i++)
        say_frame(scene, (*frame)++);
    scene_settle(scene);
}

static void expect_ai_heard(const struct scene *scene, uint64_t frames)
{
    assert_int_equal(scene->ai.audio_bytes, frames * FRAME);
    for (uint64_t i = 0; i < frames * FRAME; i++)
        assert_int_equal(scene->ai.audio[i], code_at(i));
}

/* ---- tests ---- */

static void hears_both_tracks(const char *settings)
{
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, settings);
    say_frames(&scene, &frame, 7);
    struct ear *first = joined(&scene, 0);
    say_frames(&scene, &frame, 10);
    uint64_t spoken_at = frame * FRAME;
    scene_delta(&scene, "r1", "a1", 0x55, 2403);
    scene_settle(&scene);
    say_frames(&scene, &frame, 3);
    struct ear *second = joined(&scene, 1); /* in the middle of a chunk */
    say_frames(&scene, &frame, 30);
    scene_carrier_says(&scene,
                       "{\"event\":\"stop\",\"sequenceNumber\":\"%llu\",\"streamSid\":\"%s\","
                       "\"stop\":{\"accountSid\":\"AC\",\"callSid\":\"CA\"}}",
                       (unsigned long long)++scene.sequence, scene.call->stream_sid);
    scene_until(&scene, first->ended && second->ended);
    expect_caller(first, 7 * FRAME, frame * FRAME);
    expect_caller(second, 20 * FRAME, frame * FRAME);
    assert_int_equal(number_in(second->texts[0], "\"position\":"), 20 * FRAME);
    for (uint64_t i = 7 * FRAME; i < frame * FRAME; i++) {
        bool speaks = i >= spoken_at && i < spoken_at + 2403;
        assert_true(first->there[1][i]);
        assert_int_equal(first->audio[1][i], speaks ? 0x55 : G711_ULAW_SILENCE);
        if (i >= 20 * FRAME)
            assert_int_equal(second->audio[1][i], first->audio[1][i]);
    }
    assert_int_equal(first->close_code, 1000);
    assert_non_null(strstr(first->texts[first->texts_count - 1], "{\"kind\":\"ended\""));
    assert_non_null(strstr(first->texts[first->texts_count - 1], "\"reason\":\"caller_hung_up\""));
    assert_int_equal(count(first, "missed"), 0);
    expect_ai_heard(&scene, frame);
    scene_until(&scene, calls_recordings(scene.calls) == 0);
    end(&scene);
}

static void both_tracks_to_the_sample(void **state)
{
    (void)state;
    hears_both_tracks("{}");
}

static void the_same_of_a_call_that_is_recorded(void **state)
{
    (void)state;
    char path[] = "/tmp/ringbridge-listen.XXXXXX", command[128];
    assert_non_null(mkdtemp(path));
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory >= 0);
    scene_spool(directory, 0);
    hears_both_tracks("{\"record\":true}");
    scene_spool(-1, 0);
    close(directory);
    snprintf(command, sizeof command, "rm -r '%s'/*.spool && rmdir '%s'", path, path);
    assert_int_equal(system(command), 0); /* there was a recording */
}

static void what_happens_in_its_order(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{\"ai\":{\"transcription_model\":\"hearer\"}}");
    say_frames(&scene, &frame, 50);
    struct ear *ear = joined(&scene, 0);
    assert_int_equal(number_in(ear->texts[0], "\"clock_ms\":"), 1000);
    scene_ai_says(&scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}");
    scene_ai_says(&scene, "{\"type\":\"response.output_audio_transcript.delta\",\"response_id\":"
                          "\"r1\",\"item_id\":\"a1\",\"delta\":\"Say \\\"hi\\\"\"}");
    scene_delta(&scene, "r1", "a1", 0x55, 8000);
    scene_settle(&scene);
    scene_carrier_says(&scene,
                       "{\"event\":\"mark\",\"sequenceNumber\":\"%llu\",\"streamSid\":\"%s\","
                       "\"mark\":{\"name\":\"m0\"}}",
                       (unsigned long long)++scene.sequence, scene.call->stream_sid);
    scene_carrier_says(&scene,
                       "{\"event\":\"dtmf\",\"sequenceNumber\":\"%llu\",\"streamSid\":\"%s\","
                       "\"dtmf\":{\"track\":\"inbound_track\",\"digit\":\"5\"}}",
                       (unsigned long long)++scene.sequence, scene.call->stream_sid);
    scene_settle(&scene);
    say_frames(&scene, &frame, 5);
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\",\"item_id\":\"c1\","
                          "\"audio_start_ms\":1010}");
    scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_stopped\",\"item_id\":\"c1\","
                          "\"audio_end_ms\":1100}");
    scene_ai_says(&scene, "{\"type\":\"conversation.item.input_audio_transcription.completed\","
                          "\"item_id\":\"c1\",\"transcript\":\"Bye.\"}");
    scene_ai_says(&scene, "{\"type\":\"response.done\",\"response\":{\"id\":\"r1\",\"status\":"
                          "\"completed\",\"usage\":{\"total_tokens\":12345}}}");
    scene_settle(&scene);
    unsigned at = heard(ear, 1,
                        "{\"kind\":\"text\",\"clock_ms\":1000,\"item_id\":\"a1\","
                        "\"delta\":\"Say \\\"hi\\\"\"}");
    at = heard(ear, at, "{\"kind\":\"mark\"");
    at = heard(ear, at, "{\"kind\":\"dtmf\"");
    assert_non_null(strstr(ear->texts[at], "\"digit\":\"5\"}"));
    assert_non_null(strstr(ear->texts[at], ",\"at_ms\":"));
    at = heard(ear, at, "{\"kind\":\"speech\",\"clock_ms\":1100,\"speaking\":true}");
    at = heard(ear, at, "{\"kind\":\"barge_in\"");
    at = heard(ear, at, "\"speaking\":false}");
    at = heard(ear, at, "\"role\":\"user\",\"item_id\":\"c1\",\"text\":\"Bye.\"");
    assert_int_equal(count(ear, "total_tokens") + count(ear, "ticket"), 0);
    end(&scene);
}

/* Two seconds are kept for one that does not read; then it is told what it missed, to the sample.
 */
static void one_that_does_not_read_misses_and_is_told(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{}");
    struct ear *good = joined(&scene, 0), *slow = joined(&scene, 1);
    int fd = scene_abandon(&scene, conn_find(scene.io, slow->conn));
    const struct conn *conn = conn_find(scene.io, scene.calls->listen.places[1].conn);
    assert_non_null(conn);
    while (scene.metrics.listen_shed_slow == 0 && frame < 50 * 20) {
        say_frame(&scene, frame++);
        assert_true(conn_queued_bytes(conn) <= LISTEN_QUEUE_BYTES_MAX + 100);
    }
    assert_true(scene.metrics.listen_shed_slow > 0);
    say_frames(&scene, &frame, 50);
    /* It reads again. */
    static uint8_t raw[4 << 20];
    size_t bytes = 0, quiet = 0;
    uint64_t missed = 0;
    while (quiet < 20) {
        ssize_t got = recv(fd, raw + bytes, sizeof raw - bytes, MSG_DONTWAIT);
        quiet = got > 0 ? 0 : quiet + 1;
        bytes += got > 0 ? (size_t)got : 0;
        scene_turn(&scene);
    }
    uint64_t shed = scene.metrics.listen_shed_slow;
    say_frames(&scene, &frame, 10);
    assert_int_equal(scene.metrics.listen_shed_slow, shed);
    ssize_t got = recv(fd, raw + bytes, sizeof raw - bytes, MSG_DONTWAIT);
    assert_true(got > 0);
    for (uint8_t *at = raw + bytes, *until = at + got;
         (at = memmem(at, (size_t)(until - at), "\"kind\":\"missed\"", 15)); at += 15)
        missed += number_in((char *)at, "\"samples\":");
    assert_int_equal(missed, shed);
    assert_int_equal(good->ended, false);
    expect_caller(good, 0, frame * FRAME / LISTEN_CHUNK_SAMPLES * LISTEN_CHUNK_SAMPLES);
    assert_int_equal(count(good, "missed"), 0);
    expect_ai_heard(&scene, frame);
    end(&scene);
}

/* Nothing has to be sent for that. */
static void one_that_is_gone_is_given_up(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{}");
    scene.pressure = CORE_PRESSURE_SHED;
    struct ear *good = joined(&scene, 0), *gone = joined(&scene, 1);
    scene_abandon(&scene, conn_find(scene.io, gone->conn));
    say_frames(&scene, &frame, (LISTEN_QUIET_MS + LISTEN_SIGN_MS) / 20 - 1);
    assert_int_equal(scene.metrics.listeners, 2);
    say_frames(&scene, &frame, 2);
    assert_int_equal(scene.metrics.listeners, 1);
    assert_int_equal(scene.metrics.faults[FAULT_peer_silent], 1);
    assert_false(good->ended);
    expect_ai_heard(&scene, frame);
    end(&scene);
}

static void one_that_reads_no_events_either_is_closed(void **state)
{
    (void)state;
    struct scene scene;
    static char words[30000];
    begin(&scene, "{}");
    struct ear *slow = joined(&scene, 0);
    scene_abandon(&scene, conn_find(scene.io, slow->conn));
    memset(words, 'w', sizeof words - 1);
    scene_ai_says(&scene, "{\"type\":\"response.created\",\"response\":{\"id\":\"r1\"}}");
    for (unsigned i = 0; i < 400 && scene.metrics.listeners; i++) {
        scene_ai_says(&scene,
                      "{\"type\":\"response.output_audio_transcript.delta\",\"response_id\":\"r1\","
                      "\"item_id\":\"a1\",\"delta\":\"%s\"}",
                      words);
        scene_settle(&scene);
    }
    assert_int_equal(scene.metrics.listeners, 0);
    assert_int_equal(scene.metrics.faults[FAULT_listen_slow], 1);
    assert_null(scene.call->tap);
    end(&scene);
}

static void a_core_that_works_hard_sheds_them_first(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{}");
    struct ear *ear = joined(&scene, 0);
    say_frames(&scene, &frame, 10);
    scene.pressure = CORE_PRESSURE_SHED - 1;
    say_frames(&scene, &frame, 10);
    assert_int_equal(scene.metrics.listen_shed_pressed, 0);
    scene.pressure = CORE_PRESSURE_SHED;
    say_frames(&scene, &frame, 10);
    scene.pressure = CORE_PRESSURE_EASED; /* not yet */
    say_frames(&scene, &frame, 10);
    assert_int_equal(scene.metrics.listen_shed_pressed, 2 * 20 * FRAME);
    assert_int_equal(count(ear, "missed"), 0);
    scene.pressure = CORE_PRESSURE_EASED - 1;
    say_frames(&scene, &frame, 10);
    assert_int_equal(count(ear, "missed"), 2);
    heard(ear, 1, "\"track\":\"caller\",\"from\":3200,\"samples\":3200}");
    heard(ear, 1, "\"track\":\"agent\",\"from\":3200,\"samples\":3200}");
    assert_true(ear->there[0][3199] && !ear->there[0][3200]);
    assert_true(!ear->there[0][6399] && ear->there[0][6400]);
    assert_int_equal(ear->next[0], frame * FRAME);
    expect_ai_heard(&scene, frame); /* the caller's frames are not even joined yet */
    assert_int_equal(scene.metrics.frames_joined, 0);
    scene.pressure = 100; /* what is missed at the end is told before it */
    say_frames(&scene, &frame, 5);
    call_end(scene.calls, scene.call, END_hung_up_by_order);
    scene_until(&scene, ear->ended);
    assert_int_equal(count(ear, "missed"), 4);
    assert_non_null(strstr(ear->texts[ear->texts_count - 1], "{\"kind\":\"ended\""));
    end(&scene);
}

static void who_speaks_has_to_go(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{}");
    for (unsigned i = 0; i < 2; i++) {
        struct ear *ear = joined(&scene, i);
        struct conn *conn = conn_find(scene.io, ear->conn);
        assert_true(i ? conn_send_binary(scene.io, conn, span_of("x"))
                      : conn_send_text(scene.io, conn, span_of("hello")));
        scene_until(&scene, ear->ended);
        assert_int_equal(ear->close_code, 1008);
        assert_int_equal(scene.metrics.faults[FAULT_listen_spoke], i + 1);
        assert_int_equal(scene.metrics.listeners, 0);
        assert_null(scene.call->tap); /* nobody is there who wants it */
    }
    say_frames(&scene, &frame, 20);
    expect_ai_heard(&scene, frame);
    end(&scene);
}

static void whoever_goes_is_gone(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{}");
    for (unsigned round = 0; round < 3; round++) {
        struct ear *one = joined(&scene, 0), *two = joined(&scene, 1);
        say_frames(&scene, &frame, 7);
        conn_close(scene.io, conn_find(scene.io, one->conn), FAULT_NONE);
        say_frames(&scene, &frame, 7);
        assert_int_equal(scene.metrics.listeners, 1);
        assert_non_null(scene.call->tap);
        conn_abort(scene.io, conn_find(scene.io, two->conn));
        say_frames(&scene, &frame, 7);
        assert_int_equal(scene.metrics.listeners, 0);
        assert_null(scene.call->tap);
        one->open = two->open = false;
    }
    assert_int_equal(scene.metrics.listeners_joined, 6);
    expect_ai_heard(&scene, frame);
    end(&scene);
}

static void there_is_room_for_so_many(void **state)
{
    (void)state;
    struct scene scene;
    uint64_t frame = 0;
    begin(&scene, "{}");
    for (unsigned i = 0; i < LISTENERS_PER_CALL_MAX; i++)
        joined(&scene, i);
    struct ear *ear = listen_as(&scene, LISTENERS_PER_CALL_MAX);
    assert_true(ear->ended && !ear->open);
    assert_int_equal(ear->http_status, 503);
    organization = "c9f0f895-fb98-4b91-a5ee-0000000000bc";
    ear = listen_as(&scene, LISTENERS_PER_CALL_MAX + 1);
    assert_int_equal(ear->http_status, 404);
    assert_int_equal(scene.metrics.listeners_refused, 2);
    assert_int_equal(scene.metrics.listeners, LISTENERS_PER_CALL_MAX);
    say_frames(&scene, &frame, 10);
    for (unsigned i = 0; i < LISTENERS_PER_CALL_MAX; i++)
        expect_caller(&ears[i], 0, frame * FRAME);
    end(&scene);
}

/* ---- anything, in any order ---- */

static uint64_t dice;

static unsigned draw(unsigned below)
{
    dice = dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(dice >> 33) % below;
}

static void forget_ear(struct ear *ear)
{
    for (unsigned text = 0; text < ear->texts_count; text++)
        free(ear->texts[text]);
    memset(ear, 0, sizeof *ear);
}

/* Everything that was not sent was told, and nothing else. */
static void expect_whole(const struct ear *ear, uint64_t until)
{
    static const char *const tracks[] = {"\"track\":\"caller\"", "\"track\":\"agent\""};
    uint64_t from = number_in(ear->texts[0], "\"position\":");
    for (unsigned track = 0; track < 2; track++) {
        uint64_t got = 0, missed = 0;
        for (uint64_t i = from; i < until; i++)
            got += ear->there[track][i];
        for (unsigned i = 0; i < ear->texts_count; i++)
            if (strstr(ear->texts[i], "\"missed\"") && strstr(ear->texts[i], tracks[track]))
                missed += number_in(ear->texts[i], "\"samples\":");
        assert_int_equal(from + got + missed, until);
    }
    for (uint64_t i = from; i < until; i++)
        if (ear->there[0][i] && ear->audio[0][i] != code_at(i))
            fail_msg("sample %llu of the caller is wrong", (unsigned long long)i);
}

static void someone_does_something(struct scene *scene, unsigned *abandoned)
{
    struct ear *ear = &ears[draw(EARS_MAX)];
    struct conn *conn = ear->conn ? conn_find(scene->io, ear->conn) : NULL;
    unsigned what = draw(12);
    if (!conn || ear->ended) {
        if (what < 8 && scene->metrics.listeners < LISTENERS_PER_CALL_MAX) {
            forget_ear(ear);
            joined(scene, (unsigned)(ear - ears));
        }
    } else if (what == 0) {
        conn_close(scene->io, conn, FAULT_NONE);
    } else if (what == 1) {
        conn_abort(scene->io, conn);
    } else if (what == 2) {
        conn_send_text(scene->io, conn, span_of("hello"));
    } else if (what == 3 && *abandoned < 4) {
        scene_abandon(scene, conn);
        ++*abandoned;
    }
    scene->pressure = what < 4 ? draw(100) : scene->pressure;
}

static void whatever_they_do_the_call_is_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct scene scene;
        uint64_t frame = 0;
        unsigned abandoned = 0, utterance = 0;
        char id[16];
        dice = seed;
        begin(&scene, "{}");
        for (unsigned step = 0; step < 120; step++) {
            someone_does_something(&scene, &abandoned);
            snprintf(id, sizeof id, "a%u", utterance);
            if (draw(8) == 0)
                scene_delta(&scene, id + 1, id, (uint8_t)draw(256), 1 + draw(4000));
            if (draw(25) == 0) {
                scene_ai_says(&scene, "{\"type\":\"input_audio_buffer.speech_started\","
                                      "\"item_id\":\"c1\",\"audio_start_ms\":10}");
                utterance++; /* nothing is added to what was cut off */
            }
            say_frames(&scene, &frame, draw(4));
        }
        scene.pressure = 0;
        scene_settle(&scene);
        say_frames(&scene, &frame, 1); /* and what was held to be joined */
        uint64_t position = scene.call->up.samples;
        call_end(scene.calls, scene.call, END_caller_hung_up);
        scene_settle(&scene);
        assert_int_equal(scene.metrics.listeners, 0);
        for (unsigned i = 0; i < EARS_MAX; i++)
            if (ears[i].ended && ears[i].close_code == 1000)
                expect_whole(&ears[i], position);
        assert_int_equal(position, frame * FRAME);
        expect_ai_heard(&scene, frame);
        end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_tracks_to_the_sample),
        cmocka_unit_test(the_same_of_a_call_that_is_recorded),
        cmocka_unit_test(what_happens_in_its_order),
        cmocka_unit_test(one_that_does_not_read_misses_and_is_told),
        cmocka_unit_test(one_that_is_gone_is_given_up),
        cmocka_unit_test(one_that_reads_no_events_either_is_closed),
        cmocka_unit_test(a_core_that_works_hard_sheds_them_first),
        cmocka_unit_test(who_speaks_has_to_go),
        cmocka_unit_test(whoever_goes_is_gone),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(whatever_they_do_the_call_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
