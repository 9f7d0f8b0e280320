#include "tests/call/scene.h"

#include "common/base64.h"
#include "common/clock.h"
#include "tests/report/link_control.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LEG_TEST_AI = 8, LEG_TEST_CARRIER };

#define AI_PATH    "/v1/realtime"
#define SIGNATURE  "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
#define CALL_SID   "CA00000000000000000000000000000abc"
#define ACCOUNT    "AC00000000000000000000000000000def"
#define STREAM_SID "MZ00000000000000000000000000000123"

/* ---- the clock ---- */

static uint64_t now_ns = 1000000000000;

uint64_t clock_monotonic_ns(void)
{
    return __atomic_load_n(&now_ns, __ATOMIC_RELAXED);
}

int64_t clock_wall_ms(void)
{
    return 1789999000000 - 1000000 + (int64_t)(clock_monotonic_ns() / 1000000);
}

/* ---- what the peers hear ---- */

static void keep_audio(struct scene_peer *peer, struct span base64)
{
    ptrdiff_t bytes = base64_decoded_bytes(base64);
    assert_true(bytes >= 0);
    if (peer->audio_bytes + (size_t)bytes > peer->audio_room) {
        peer->audio_room = 2 * (peer->audio_room + (size_t)bytes);
        peer->audio = realloc(peer->audio, peer->audio_room);
        assert_non_null(peer->audio);
    }
    assert_true(base64_decode(base64, peer->audio + peer->audio_bytes));
    peer->audio_bytes += (size_t)bytes;
    peer->media++;
}

static void keep_text(struct scene_peer *peer, struct span text, char letter)
{
    char **place = &peer->texts[peer->texts_count++ % SCENE_TEXTS_MAX];
    free(*place);
    *place = strndup((const char *)text.data, text.bytes);
    if (peer->letters + 1 < sizeof peer->order)
        peer->order[peer->letters++] = letter;
}

static struct span between(struct span text, const char *name)
{
    const uint8_t *begin = memmem(text.data, text.bytes, name, strlen(name));
    if (!begin)
        return (struct span){0};
    begin += strlen(name);
    size_t rest = text.bytes - (size_t)(begin - text.data);
    const uint8_t *end = memchr(begin, '"', rest);
    assert_non_null(end);
    return span_from(begin, (size_t)(end - begin));
}

static void hear(struct scene_peer *peer, struct span text, const char *audio, const char *letters)
{
    static const char *const kinds[] = {"\"event\":\"mark\"",        "\"event\":\"clear\"",
                                        "session.update\"",          "response.create\"",
                                        "response.cancel\"",         "conversation.item.truncate\"",
                                        "conversation.item.create\""};
    struct span base64 = between(text, audio);
    if (base64.data) {
        keep_audio(peer, base64);
        if (peer->letters + 1 < sizeof peer->order)
            peer->order[peer->letters++] = 'a';
        return;
    }
    char letter = '?';
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (memmem(text.data, text.bytes, kinds[i], strlen(kinds[i])))
            letter = letters[i];
    keep_text(peer, text, letter);
}

static bool is_configuring(const struct call *call)
{
    return call && (call->ai.state == AI_CONFIGURING || call->next_ai.state == AI_CONFIGURING);
}

static void take_own(struct scene *scene, struct conn *conn, const struct message *message)
{
    bool is_ai = conn_leg(conn) == LEG_TEST_AI;
    struct scene_peer *peer = is_ai ? &scene->ai : &scene->carrier;
    switch (message->kind) {
    case MESSAGE_OPEN:
        peer->open = true;
        break;
    case MESSAGE_TEXT:
        hear(peer, message->body, is_ai ? "\"audio\":\"" : "\"payload\":\"", "mcurxti");
        if (is_ai && !scene->unconfigured && is_configuring(scene->call))
            scene_configure(scene);
        break;
    case MESSAGE_END:
        peer->close_code = message->close_code;
        if (peer->former == conn_ref(conn))
            peer->former = 0;
        if (peer->conn == conn_ref(conn)) { /* a session may have taken this one's place */
            peer->ended = true;
            peer->conn = 0;
        }
        break;
    default:
        fail_msg("a message of kind %d", (int)message->kind);
    }
}

static void take(struct scene *scene, struct conn *conn, const struct message *message)
{
    bool to_ai = message->kind == MESSAGE_REQUEST && span_is(message->head->path, AI_PATH);
    if (to_ai) {
        conn_upgrade(scene->io, conn, WS_AI_MESSAGE_BYTES_MAX);
        conn_own(conn, LEG_TEST_AI, 0);
        scene->ai.former = scene->ai.conn;
        scene->ai.conn = conn_ref(conn);
        scene->ai.open = true;
        scene->ai.ended = false;
        scene->ai.sessions++;
    } else if (scene->other && (conn_leg(conn) >= SCENE_LEG_OTHER ||
                                (message->kind == MESSAGE_REQUEST &&
                                 span_starts(message->head->path, "/listen/")))) {
        scene->other(scene, conn, message);
    } else if (conn_leg(conn) == LEG_TEST_AI || conn_leg(conn) == LEG_TEST_CARRIER) {
        take_own(scene, conn, message);
    } else {
        calls_on_message(scene->calls, conn, message);
    }
}

static void pull(struct scene *scene, struct conn *conn)
{
    struct message message;
    while (conn && conn_next(scene->io, conn, &message))
        take(scene, conn, &message);
}

/* ---- turns ---- */

static void complete(struct scene *scene, const struct io_done *done)
{
    if (done->op == OP_ACCEPT)
        conn_accepted(scene->io, done);
    else if (done->op == OP_CONNECT)
        conn_connected(scene->io, done);
    else if (done->op == OP_RECEIVE)
        conn_received(scene->io, done);
    else if (done->op == OP_SEND)
        conn_sent(scene->io, done);
    else if (done->op >= OP_FILE_OPEN && scene->disk_sleeps)
        scene->slept[scene->slept_count++] = *done;
    else if (done->op >= OP_FILE_OPEN)
        calls_on_file(scene->calls, done);
    pull(scene, done->conn);
}

void scene_turn(struct scene *scene)
{
    struct io_done done;
    struct timer *timer;
    struct letter letter;
    io_wait(scene->io, 1);
    calls_pressure(scene->calls, scene->pressure);
    while (io_next(scene->io, &done))
        complete(scene, &done);
    while (!scene->disk_sleeps && scene->slept_count)
        calls_on_file(scene->calls, &scene->slept[--scene->slept_count]);
    while ((timer = wheel_take(io_wheel(scene->io))))
        if (timer->kind == TIMER_CONN)
            pull(scene, conn_expired(scene->io, timer));
        else
            calls_on_timer(scene->calls, timer);
    while (mail_receive(scene->inbox, &letter))
        calls_on_letter(scene->calls, &letter);
    if (scene->call && scene->call->state == CALL_ENDED) {
        scene->end = scene->call->end;
        scene->call = NULL;
    }
    calls_turn_end(scene->calls);
    io_flush(scene->io);
}

void scene_pass(struct scene *scene, unsigned ms)
{
    __atomic_add_fetch(&now_ns, (uint64_t)ms * 1000000, __ATOMIC_RELAXED);
    scene_turn(scene);
}

/* A ping of each peer comes back behind everything said before; quiet turns do as well, and are
 * simpler: loopback delivers within the turn that sends. */
void scene_settle(struct scene *scene)
{
    uint64_t before;
    unsigned quiet = 0;
    while (quiet < 4) {
        before = scene->metrics.bytes_received + scene->metrics.bytes_sent;
        scene_turn(scene);
        quiet = scene->metrics.bytes_received + scene->metrics.bytes_sent == before ? quiet + 1 : 0;
    }
}

/* ---- opening ---- */

static struct spools_config spools;

void scene_spool(int directory, unsigned file_blocks_max)
{
    spools = (struct spools_config){.on = directory >= 0,
                                    .directory = directory,
                                    .files_max = 4,
                                    .file_blocks_max = file_blocks_max};
}

static char *make_plan(const struct scene *scene, const char *settings)
{
    char *base = plan_json(0, NULL, NULL), url[96];
    json_t *plan = json_loads(base, 0, NULL), *more = json_loads(settings, 0, NULL);
    assert_non_null(more);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u" AI_PATH, scene->port);
    json_object_set_new(json_object_get(plan, "ai"), "url", json_string(url));
    json_object_set_new(plan, "duration_max_s", json_integer(86400));
    json_object_update_recursive(plan, more);
    char *json = json_dumps(plan, JSON_COMPACT);
    json_decref(plan);
    json_decref(more);
    free(base);
    return json;
}

static void prepare(struct scene *scene, const char *settings)
{
    char error[256] = "", *json = make_plan(scene, settings);
    struct plan *plan = plan_read(span_of(json), 1, error, sizeof error);
    if (!plan)
        fail_msg("%s in %s", error, json);
    free(json);
    scene->call = call_prepare(scene->calls, plan);
    assert_non_null(scene->call);
}

void scene_open(struct scene *scene, const char *settings, bool unconfigured)
{
    char error[256];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *scene = (struct scene){.unconfigured = unconfigured};
    struct io_config config = {.conns_max = 16,
                               .receive_buffers = 256,
                               .ring_entries = 256,
                               .files_max = 4,
                               .metrics = &scene->metrics,
                               .doorbell = -1};
    scene->io = io_open(&config, error, sizeof error);
    if (!scene->io || !io_listen(scene->io, (struct sockaddr *)&address, sizeof address, false,
                                 error, sizeof error))
        fail_msg("%s", error);
    scene->port = io_port(scene->io);
    scene->inbox = mail_open(64);
    scene->resolve = resolve_open();
    struct link_config link = {
        .path = "/nonexistent/control", .cores_count = 1, .inboxes = {scene->inbox}};
    scene->link = link_open(&link, error, sizeof error);
    assert_non_null(scene->link);
    scene->calls = calls_open(&(struct calls_config){.cores_count = 1,
                                                     .calls_max = 2,
                                                     .io = scene->io,
                                                     .link = scene->link,
                                                     .resolve = scene->resolve,
                                                     .metrics = &scene->metrics,
                                                     .inboxes = &scene->inbox,
                                                     .spools = spools});
    assert_non_null(scene->calls);
    scene_turn(scene);
    prepare(scene, settings);
    scene_until(scene, scene->ai.texts_count > 0);
    if (!unconfigured)
        scene_until(scene, scene->call->ai.state == AI_READY);
}

static void close_peer(struct scene_peer *peer)
{
    for (unsigned i = 0; i < SCENE_TEXTS_MAX; i++)
        free(peer->texts[i]);
    free(peer->audio);
}

void scene_close(struct scene *scene)
{
    calls_end_all(scene->calls, END_drained);
    calls_turn_end(scene->calls);
    assert_int_equal(0, calls_count(scene->calls));
    io_close(scene->io);
    calls_close(scene->calls);
    link_close(scene->link, 0);
    resolve_close(scene->resolve);
    struct letter letter;
    while (mail_receive(scene->inbox, &letter))
        calls_drop_letter(&letter);
    mail_close(scene->inbox);
    close_peer(&scene->carrier);
    close_peer(&scene->ai);
    for (unsigned i = 0; i < scene->muted_count; i++)
        close(scene->muted[i]);
}

/* ---- the carrier ---- */

static void say(struct scene *scene, uint64_t peer, const char *format, va_list arguments)
{
    char *text;
    int bytes = vasprintf(&text, format, arguments);
    assert_true(bytes > 0);
    struct conn *conn = conn_find(scene->io, peer);
    if (!conn)
        fail_msg("the call is over: %s", end_name(scene->end));
    assert_true(conn_send_text(scene->io, conn, span_from(text, (size_t)bytes)));
    free(text);
}

void scene_carrier_says(struct scene *scene, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(scene, scene->carrier.conn, format, arguments);
    va_end(arguments);
}

void scene_connect(struct scene *scene)
{
    char target[256];
    snprintf(target, sizeof target, "/twilio-media-stream/%s", scene->call->plan->ticket);
    struct dial dial = {.address_bytes = sizeof(struct sockaddr_in),
                        .host = "127.0.0.1",
                        .port = scene->port,
                        .target = target,
                        .headers = "X-Twilio-Signature: " SIGNATURE "\r\n",
                        .message_bytes_max = 1 << 20,
                        .leg = LEG_TEST_CARRIER};
    struct sockaddr_in *address = (struct sockaddr_in *)&dial.address;
    address->sin_family = AF_INET;
    address->sin_port = htons(scene->port);
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct conn *conn = conn_dial(scene->io, &dial);
    assert_non_null(conn);
    scene->carrier.conn = conn_ref(conn);
    scene_until(scene, scene->carrier.open);
    scene_carrier_says(scene, "%s",
                       "{\"event\":\"connected\",\"protocol\":\"Call\",\"version\":\"1.0.0\"}");
    scene_until(scene, scene->call->connected_seen);
}

void scene_start(struct scene *scene)
{
    scene_carrier_says(
        scene,
        "{\"event\":\"start\",\"sequenceNumber\":\"%llu\",\"start\":{\"accountSid\":\"" ACCOUNT
        "\",\"streamSid\":\"" STREAM_SID "\",\"callSid\":\"" CALL_SID
        "\",\"tracks\":[\"inbound\"],\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\","
        "\"sampleRate\":8000,\"channels\":1},\"customParameters\":{}},\"streamSid\":\"" STREAM_SID
        "\"}",
        (unsigned long long)++scene->sequence);
    scene_until(scene, scene->call->carrier_state == CARRIER_STARTED);
}

void scene_media(struct scene *scene, uint64_t timestamp_ms, const uint8_t *codes, size_t bytes)
{
    uint8_t payload[12000];
    size_t letters = base64_encoded_bytes(bytes);
    assert_true(letters <= sizeof payload);
    base64_encode(span_from(codes, bytes), payload);
    scene->sequence++;
    scene_carrier_says(
        scene,
        "{\"event\":\"media\",\"sequenceNumber\":\"%llu\",\"media\":{\"track\":"
        "\"inbound\",\"chunk\":\"%llu\",\"timestamp\":\"%llu\",\"payload\":\"%.*s\"},"
        "\"streamSid\":\"" STREAM_SID "\"}",
        (unsigned long long)scene->sequence, (unsigned long long)scene->sequence - 1,
        (unsigned long long)timestamp_ms, (int)letters, (const char *)payload);
}

/* ---- the AI ---- */

void scene_ai_says(struct scene *scene, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(scene, scene->ai.conn, format, arguments);
    va_end(arguments);
}

void scene_former_says(struct scene *scene, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(scene, scene->ai.former, format, arguments);
    va_end(arguments);
}

void scene_configure(struct scene *scene)
{
    scene_ai_says(scene, "%s",
                  "{\"type\":\"session.updated\",\"event_id\":\"e1\",\"session\":{\"type\":"
                  "\"realtime\",\"id\":\"sess_1\"}}");
}

static void break_off(struct scene *scene, uint64_t *peer)
{
    struct conn *conn = conn_find(scene->io, *peer);
    assert_non_null(conn);
    *peer = 0;
    conn_abort(scene->io, conn);
}

void scene_break(struct scene *scene)
{
    break_off(scene, &scene->ai.conn);
}

void scene_break_former(struct scene *scene)
{
    break_off(scene, &scene->ai.former);
}

/* Closing a descriptor that is not the last says nothing to the other end. */
int scene_abandon(struct scene *scene, struct conn *conn)
{
    assert_non_null(conn);
    assert_true(scene->muted_count < sizeof scene->muted / sizeof scene->muted[0]);
    int fd = dup(scene_fd(conn));
    assert_true(fd >= 0);
    scene->muted[scene->muted_count++] = fd;
    conn_abort(scene->io, conn);
    return fd;
}

void scene_mute(struct scene *scene)
{
    struct conn *conn = conn_find(scene->io, scene->ai.conn);
    scene->ai.conn = 0;
    scene_abandon(scene, conn);
}

void scene_delta(struct scene *scene, const char *response, const char *item, uint8_t value,
                 size_t bytes)
{
    uint8_t *codes = malloc(bytes), *text = malloc(base64_encoded_bytes(bytes));
    memset(codes, value, bytes);
    base64_encode(span_from(codes, bytes), text);
    scene_ai_says(scene,
                  "{\"type\":\"response.output_audio.delta\",\"event_id\":\"e2\",\"response_id\":"
                  "\"%s\",\"item_id\":\"%s\",\"output_index\":0,\"content_index\":0,\"delta\":"
                  "\"%.*s\"}",
                  response, item, (int)base64_encoded_bytes(bytes), (const char *)text);
    free(codes);
    free(text);
}

bool scene_told(const struct scene_peer *peer, const char *piece)
{
    for (unsigned i = 0; i < SCENE_TEXTS_MAX; i++)
        if (peer->texts[i] && strstr(peer->texts[i], piece))
            return true;
    return false;
}
