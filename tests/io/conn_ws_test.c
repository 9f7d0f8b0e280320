/* WebSocket over real sockets, both roles: messages of every size, every rule of RFC 6455 broken
 * once, both closing handshakes, pongs, queues that are full. */
#include "tests/io/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define FIN 0x80

static struct stage stage;

static int open_stage(void **state)
{
    (void)state;
    stage_open(&stage, (struct io_config){0}, false);
    return 0;
}

static int close_stage(void **state)
{
    (void)state;
    stage_close(&stage);
    return 0;
}

static struct peer *upgraded(void)
{
    struct peer *peer = peer_open(stage.port);
    peer_upgrade(&stage, peer);
    return peer;
}

/* Is the first thing read an unmasked frame with this start and payload? */
static bool got_frame(struct peer *peer, uint8_t first, const void *payload, size_t bytes)
{
    size_t head = bytes < 126 ? 2 : bytes < 65536 ? 4 : 10;
    if (peer_read(peer) < head + bytes)
        return false;
    size_t length = peer->data[1];
    if (length >= 126) {
        length = 0;
        for (size_t i = 2; i < head; i++)
            length = length << 8 | peer->data[i];
    }
    return peer->data[0] == first && length == bytes &&
           (bytes == 0 || memcmp(peer->data + head, payload, bytes) == 0);
}

static void echoes_every_size(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 4000, 4096, 65535, 65536};
    static uint8_t payload[65536];
    (void)state;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)('a' + i % 26);
    struct peer *peer = upgraded();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (uint8_t opcode = 1; opcode <= 2; opcode++) {
            peer_frame(&stage, peer, FIN | opcode, payload, sizes[i]);
            stage_until(&stage, got_frame(peer, FIN | opcode, payload, sizes[i]));
            peer_forget(peer);
        }
    assert_int_equal(stage.messages, 18);
    peer_close(peer);
}

static void bounds_the_message(void **state)
{
    static uint8_t payload[1001];
    (void)state;
    stage.message_bytes_max = 1000;
    for (size_t bytes = 999; bytes <= 1001; bytes++) {
        struct peer *peer = upgraded();
        peer_frame(&stage, peer, FIN | 2, payload, bytes);
        if (bytes <= 1000) {
            stage_until(&stage, got_frame(peer, FIN | 2, payload, bytes));
        } else {
            stage_until(&stage, peer_over(peer));
            assert_int_equal(peer->data[2] << 8 | peer->data[3], 1009);
        }
        peer_close(peer);
    }
    assert_int_equal(stage.metrics.faults[FAULT_ws_too_large], 1);
}

static void reads_frames_that_come_with_the_upgrade(void **state)
{
    static const char both[] =
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        "\x81\x82\x00\x00\x00\x00hi\x81\x83\x00\x00\x00\x00you\x81";
    (void)state;
    for (size_t slice = 1; slice < sizeof both; slice += 40) {
        struct peer *peer = peer_open(stage.port);
        for (size_t at = 0; at < sizeof both - 1; at += slice) {
            size_t left = sizeof both - 1 - at;
            peer_send(&stage, peer, both + at, left < slice ? left : slice);
            stage_turn(&stage, 0);
        }
        peer_send(&stage, peer, "\x81\x00\x00\x00\x00!", 6);
        stage_until(&stage, peer_has(peer, "\x81\x02hi\x81\x03you\x81\x01!"));
        peer_close(peer);
    }
}

static void puts_fragments_together_around_pings(void **state)
{
    (void)state;
    struct peer *peer = upgraded();
    peer_frame(&stage, peer, 1, "one ", 4);
    peer_frame(&stage, peer, FIN | 9, "ping", 4);
    peer_frame(&stage, peer, 0, "two ", 4);
    peer_frame(&stage, peer, FIN | 10, "unasked", 7);
    peer_frame(&stage, peer, FIN | 0, "three", 5);
    stage_until(&stage, peer_has(peer, "one two three"));
    assert_true(got_frame(peer, FIN | 10, "ping", 4));
    assert_memory_equal(peer->data + 6, "\x81\x0done two three", 15);
    assert_int_equal(stage.messages, 1);
    peer_close(peer);
}

static void answers_ten_pings_and_refuses_the_eleventh(void **state)
{
    (void)state;
    struct peer *peer = upgraded();
    for (int round = 0; round < 2; round++) {
        for (uint8_t i = 0; i < WS_CONTROL_PER_SECOND_MAX; i++)
            peer_frame(&stage, peer, FIN | 9, &i, 1);
        stage_until(&stage, peer_read(peer) == 3 * WS_CONTROL_PER_SECOND_MAX);
        for (uint8_t i = 0; i < WS_CONTROL_PER_SECOND_MAX; i++)
            assert_memory_equal(peer->data + 3 * i, ((uint8_t[]){FIN | 10, 1, i}), 3);
        peer_forget(peer);
        stage_skip(1000);
        stage_turn(&stage, 0);
    }
    for (uint8_t i = 0; i <= WS_CONTROL_PER_SECOND_MAX; i++)
        peer_frame(&stage, peer, FIN | 9, &i, 1);
    stage_until(&stage, peer_over(peer));
    assert_int_equal(stage.end.fault, FAULT_ws_control_flood);
    assert_true(peer_has(peer, "\x03\xf0Too many control frames."));
    peer_close(peer);
}

static void owes_only_the_latest_pong(void **state)
{
    static uint8_t large[60000];
    (void)state;
    stage.deaf = true;
    struct peer *peer = peer_open(stage.port);
    int small = 65536;
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    peer_upgrade(&stage, peer);
    memset(large, 'x', sizeof large);
    while (conn_send_binary(stage.io, stage.opened, span_from(large, sizeof large)))
        stage_turn(&stage, 0);
    stage_turn(&stage, 20);
    for (uint8_t i = 0; i < 5; i++) {
        uint8_t frame[] = {FIN | 9, 0x81, 0, 0, 0, 0, i};
        assert_int_equal(peer_offer(peer, frame, sizeof frame), sizeof frame);
    }
    size_t before = conn_queued_bytes(stage.opened);
    stage_turn(&stage, 20);
    stage_turn(&stage, 20);
    assert_int_equal(conn_queued_bytes(stage.opened), before); /* nothing piles up */
    stage_until(&stage, peer_read(peer) && conn_queued_bytes(stage.opened) == 0 &&
                            peer->data[peer->bytes - 3] == (FIN | 10));
    assert_memory_equal(peer->data + peer->bytes - 3, ((uint8_t[]){FIN | 10, 1, 4}), 3);
    assert_int_equal(peer->data[peer->bytes - 4], 'x'); /* no pong before it */
    peer_close(peer);
}

static void names_the_rule_that_was_broken(void **state)
{
#define frame_of(literal) literal, sizeof literal - 1
    static const struct {
        const char *bytes;
        size_t count;
        unsigned code;
        enum fault fault;
    } table[] = {
        {frame_of("\x81\x02hi"), 1002, FAULT_ws_unmasked},
        {frame_of("\xc1\x80\0\0\0\0"), 1002, FAULT_ws_reserved},
        {frame_of("\x83\x80\0\0\0\0"), 1002, FAULT_ws_reserved},
        {frame_of("\x8b\x80\0\0\0\0"), 1002, FAULT_ws_reserved},
        {frame_of("\x09\x80\0\0\0\0"), 1002, FAULT_ws_control},
        {frame_of("\x89\xfe\0\x7e\0\0\0\0"), 1002, FAULT_ws_control},
        {frame_of("\x81\xfe\0\x05\0\0\0\0hello"), 1002, FAULT_ws_length},
        {frame_of("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0"), 1002, FAULT_ws_length},
        {frame_of("\x80\x80\0\0\0\0"), 1002, FAULT_ws_fragment},
        {frame_of("\x01\x80\0\0\0\0\x81\x80\0\0\0\0"), 1002, FAULT_ws_fragment},
        {frame_of("\x88\x81\0\0\0\0x"), 1002, FAULT_ws_close_code},
        {frame_of("\x88\x82\0\0\0\0\x03\xed"), 1002, FAULT_ws_close_code},
        {frame_of("\x81\x81\0\0\0\0\xff"), 1007, FAULT_ws_utf8},
        {frame_of("\x88\x83\0\0\0\0\x03\xe8\xff"), 1007, FAULT_ws_utf8},
        {frame_of("\x82\xff\0\0\0\0\x40\0\0\0\0\0\0\0"), 1009, FAULT_ws_too_large},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        stage.messages = 0;
        struct peer *peer = upgraded();
        peer_send(&stage, peer, table[i].bytes, table[i].count);
        stage_until(&stage, peer_over(peer));
        assert_true(peer->eof && peer->bytes >= 4);
        assert_int_equal(peer->data[0], FIN | 8);
        assert_int_equal(peer->data[2] << 8 | peer->data[3], table[i].code);
        assert_int_equal(stage.end.fault, table[i].fault);
        assert_int_equal(stage.messages, 0);
        peer_close(peer);
    }
}

static void answers_a_close_with_its_code(void **state)
{
    (void)state;
    struct peer *peer = upgraded();
    uint64_t ref = conn_ref(stage.opened);
    peer_frame(&stage, peer, FIN | 8, "\x0f\xa0why", 5);
    stage_until(&stage, peer_over(peer));
    assert_true(got_frame(peer, FIN | 8, "\x0f\xa0", 2) && peer->bytes == 4);
    assert_int_equal(stage.end.fault, FAULT_ws_closed);
    assert_int_equal(stage.end.close_code, 4000);
    assert_string_equal(stage.end_reason, "why");
    assert_null(conn_find(stage.io, ref));
    peer_close(peer);

    peer = upgraded();
    peer_frame(&stage, peer, FIN | 8, "", 0);
    stage_until(&stage, peer_over(peer));
    assert_true(got_frame(peer, FIN | 8, "", 0));
    assert_int_equal(stage.end.close_code, 0);
    peer_close(peer);
}

static void closes_in_order_and_waits_for_the_answer(void **state)
{
    (void)state;
    struct peer *peer = upgraded();
    uint64_t ref = conn_ref(stage.opened);
    conn_send_text(stage.io, stage.opened, span_of("last words"));
    conn_close(stage.io, stage.opened, FAULT_stream_silent);
    assert_null(conn_find(stage.io, ref));
    stage_until(&stage, peer_has(peer, fault_sentence(FAULT_stream_silent)));
    assert_true(got_frame(peer, FIN | 1, "last words", 10));
    assert_false(peer_over(peer)); /* our FIN follows their answer */
    peer_frame(&stage, peer, FIN | 1, "too late", 8);
    peer_frame(&stage, peer, FIN | 8, "\x03\xe8", 2);
    stage_until(&stage, peer_over(peer));
    assert_int_equal(stage.messages, 0);
    assert_int_equal(stage.ends, 0); /* the owner had let go */
    peer_close(peer);

    peer = upgraded();
    conn_close(stage.io, stage.opened, FAULT_NONE);
    stage_until(&stage, got_frame(peer, FIN | 8, "\x03\xe8", 2));
    stage_skip(WS_CLOSE_MS + 1);
    stage_until(&stage, stage.metrics.conns_open == 0);
    assert_int_equal(stage.metrics.faults[FAULT_ws_close_timeout], 1);
    peer_close(peer);
}

static void an_end_without_close_is_not_orderly(void **state)
{
    (void)state;
    struct peer *peer = upgraded();
    peer_close(peer);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_peer_closed);
    peer = upgraded();
    peer_reset(peer);
    stage_until(&stage, stage.ends == 2);
    assert_int_equal(stage.end.fault, FAULT_peer_reset);
    peer = upgraded();
    conn_abort(stage.io, stage.opened);
    stage_until(&stage, peer_over(peer));
    assert_int_equal(stage.ends, 2);
    peer_close(peer);
}

static void a_full_queue_says_no(void **state)
{
    (void)state;
    struct peer *peer = upgraded();
    struct conn *conn = stage.opened;
    assert_null(conn_frame_begin(stage.io, conn, SEND_QUEUE_BYTES_MAX + 1));
    size_t half = SEND_QUEUE_BYTES_MAX / 2, left = half - 10; /* 10: the first frame's header */
    uint8_t *frame = conn_frame_begin(stage.io, conn, half);
    assert_non_null(frame);
    memset(frame, 'x', half);
    conn_frame_end(stage.io, conn, half);
    assert_null(conn_frame_begin(stage.io, conn, left + 1));
    frame = conn_frame_begin(stage.io, conn, left);
    assert_non_null(frame);
    memset(frame, 'x', left);
    conn_frame_end(stage.io, conn, left);
    assert_false(conn_send_text(stage.io, conn, span_of("y")));
    assert_int_equal(conn_queued_bytes(conn), SEND_QUEUE_BYTES_MAX + 10);
    stage_until(&stage, peer_read(peer) == SEND_QUEUE_BYTES_MAX + 10);
    assert_true(conn_send_text(stage.io, conn, span_of("y")));
    stage_until(&stage, peer_read(peer) == SEND_QUEUE_BYTES_MAX + 13);
    peer_close(peer);
}

/* ---- as a client ---- */

static void dials_itself(void **state)
{
    (void)state;
    struct dial dial = stage_dial(stage.port, false, "/ws");
    dial.leg = 7;
    dial.owner = 42;
    struct conn *conn = conn_dial(stage.io, &dial);
    assert_non_null(conn);
    stage_until(&stage, stage.opens == 1);
    assert_ptr_equal(stage.opened, conn);
    assert_int_equal(conn_leg(conn), 7);
    assert_int_equal(conn_owner(conn), 42);
    char peer[INET6_ADDRSTRLEN];
    conn_peer(conn, peer);
    assert_string_equal(peer, "127.0.0.1");
    stage.deaf = true;
    assert_true(conn_send_text(stage.io, conn, span_of("to the other end")));
    stage_until(&stage, stage.messages == 1);
    assert_memory_equal(stage.body, "to the other end", 16);
    conn_close(stage.io, conn, FAULT_NONE);
    stage_until(&stage, stage.metrics.conns_open == 0);
    assert_int_equal(stage.ends, 1);
    assert_int_equal(stage.end.fault, FAULT_ws_closed);
    assert_int_equal(stage.end.close_code, 1000);
    assert_int_equal(stage.metrics.conns_dialled, 1);
}

/* A server of one connection, played by the test. */
static int listen_raw(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &bytes);
    *port = ntohs(address.sin_port);
    return fd;
}

static struct peer *answer_dial(const char *headers)
{
    uint16_t port;
    int listener = listen_raw(&port);
    struct dial dial = stage_dial(port, false, "/path?query=1");
    dial.headers = headers;
    assert_non_null(conn_dial(stage.io, &dial));
    stage_turn(&stage, 5);
    struct peer *peer = calloc(1, sizeof *peer);
    peer->fd = accept(listener, NULL, NULL);
    close(listener);
    stage_until(&stage, peer_has(peer, "\r\n\r\n"));
    return peer;
}

static void a_server_that_answers_wrongly(void **state)
{
    static const struct {
        const char *answer;
        enum fault fault;
        unsigned status;
    } table[] = {
        {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", FAULT_upgrade_refused, 401},
        {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\n", FAULT_upgrade_refused, 503},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         FAULT_upgrade_wrong_accept, 0},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", FAULT_http_response, 0},
        {"SSH-2.0-OpenSSH\r\n\r\n", FAULT_http_response, 0},
        {"HTTP/1.1 101 Sw", FAULT_peer_closed, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct peer *peer = answer_dial("");
        stage.ends = 0;
        peer_say(&stage, peer, table[i].answer);
        if (table[i].fault == FAULT_peer_closed)
            shutdown(peer->fd, SHUT_WR);
        stage_until(&stage, stage.ends == 1);
        assert_int_equal(stage.end.fault, table[i].fault);
        assert_int_equal(stage.end.http_status, table[i].status);
        peer_close(peer);
    }
}

static void a_server_that_does_not_answer(void **state)
{
    (void)state;
    struct peer *peer = answer_dial("");
    stage_skip(UPGRADE_MS + 1);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_upgrade_timeout);
    peer_close(peer);
}

/* Takes the key out of the request and answers as RFC 6455 wants it. */
static void accept_upgrade(struct peer *peer, const char *behind, size_t behind_bytes)
{
    char accept[29], answer[256];
    char *key = strstr((char *)peer->data, "Sec-WebSocket-Key: ");
    assert_non_null(key);
    tls_websocket_accept(span_from(key + 19, 24), accept);
    int bytes = snprintf(answer, sizeof answer,
                         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"
                         "Connection: upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                         accept);
    memcpy(answer + bytes, behind, behind_bytes);
    peer_forget(peer);
    peer_send(&stage, peer, answer, (size_t)bytes + behind_bytes);
}

static void a_client_masks_and_reads_what_came_at_once(void **state)
{
    (void)state;
    struct peer *peer = answer_dial("Authorization: Bearer secret\r\n");
    assert_true(peer_has(peer, "GET /path?query=1 HTTP/1.1\r\nHost: localhost:"));
    assert_true(peer_has(peer, "\r\nAuthorization: Bearer secret\r\n"));
    accept_upgrade(peer, "\x81\x02hi\x82\x00", 6);
    stage_until(&stage, stage.messages == 2);
    stage_until(&stage, peer_read(peer) == 8 + 6); /* both echoed, masked */
    assert_int_equal(peer->data[0], FIN | 1);
    assert_int_equal(peer->data[1], 0x82);
    assert_int_equal(peer->data[6] ^ peer->data[2], 'h');
    assert_int_equal(peer->data[7] ^ peer->data[3], 'i');
    assert_int_equal(peer->data[9], 0x80);
    assert_memory_not_equal(peer->data + 2, peer->data + 10, 4); /* a fresh mask each */
    peer_forget(peer);
    peer_send(&stage, peer, "\x81\x81\0\0\0\0x", 7);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_ws_masked);
    stage_until(&stage, peer_over(peer));
    assert_int_equal(((peer->data[6] ^ peer->data[2]) << 8) | (peer->data[7] ^ peer->data[3]),
                     1002);
    peer_close(peer);
}

static void a_client_lets_the_server_finish_first(void **state)
{
    (void)state;
    struct peer *peer = answer_dial("");
    accept_upgrade(peer, "\x88\x02\x03\xe9", 4);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_ws_closed);
    assert_int_equal(stage.end.close_code, 1001);
    stage_until(&stage, peer_read(peer) == 8);
    stage_turn(&stage, 10);
    assert_false(peer_over(peer));
    shutdown(peer->fd, SHUT_WR);
    stage_until(&stage, peer_over(peer));
    peer_close(peer);
}

/* A minute's quiet: the time that the test itself takes changes nothing. */
#define QUIET_MS 60000
#define SIGN_MS  30000

static struct peer *watched(void)
{
    struct peer *peer = upgraded();
    conn_watch(stage.io, stage.opened, QUIET_MS, SIGN_MS);
    stage_turn(&stage, 1);
    return peer;
}

static bool was_asked(struct peer *peer)
{
    return got_frame(peer, FIN | 9, "", 0) && peer->bytes == 2;
}

static void who_is_quiet_is_asked_and_given_up(void **state)
{
    (void)state;
    struct peer *peer = watched();
    stage_skip(QUIET_MS / 2);
    stage_turn(&stage, 1);
    assert_int_equal(peer_read(peer), 0);
    stage_skip(QUIET_MS / 2);
    stage_until(&stage, was_asked(peer));
    stage_skip(SIGN_MS / 2);
    stage_turn(&stage, 1);
    assert_int_equal(peer_read(peer), 2);
    assert_int_equal(stage.ends, 0);
    stage_skip(SIGN_MS / 2);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_peer_silent);
    stage_until(&stage, peer_read(peer) > 2 + 4);
    assert_int_equal(peer->data[4] << 8 | peer->data[5], 1008);
    assert_int_equal(stage.metrics.faults[FAULT_peer_silent], 1);
    peer_close(peer);
}

/* A pong, half a frame: whatever comes. */
static void any_sign_of_life_will_do(void **state)
{
    (void)state;
    struct peer *peer = watched();
    for (unsigned i = 0; i < 4; i++) {
        stage_skip(QUIET_MS);
        stage_until(&stage, was_asked(peer));
        peer_forget(peer);
        stage_skip(SIGN_MS / 2);
        if (i < 3)
            peer_frame(&stage, peer, FIN | 10, "", 0);
        else
            peer_send(&stage, peer, "\x81", 1);
        uint64_t before = stage.metrics.bytes_received;
        stage_until(&stage, stage.metrics.bytes_received > before);
        stage_skip(SIGN_MS / 2 + 1);
        stage_turn(&stage, 1);
        assert_int_equal(peer_read(peer), 0);
    }
    assert_int_equal(stage.ends, 0);
    peer_close(peer);
}

/* Nobody who talks is asked. */
static void what_comes_in_time_needs_no_question(void **state)
{
    (void)state;
    stage.deaf = true;
    struct peer *peer = watched();
    for (unsigned i = 1; i <= 10; i++) {
        stage_skip(QUIET_MS * 3 / 4);
        peer_frame(&stage, peer, FIN | 1, "x", 1);
        stage_until(&stage, stage.messages == i);
    }
    assert_int_equal(peer_read(peer), 0);
    assert_int_equal(stage.ends, 0);
    peer_close(peer);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        test(echoes_every_size),
        test(bounds_the_message),
        test(reads_frames_that_come_with_the_upgrade),
        test(puts_fragments_together_around_pings),
        test(answers_ten_pings_and_refuses_the_eleventh),
        test(owes_only_the_latest_pong),
        test(names_the_rule_that_was_broken),
        test(answers_a_close_with_its_code),
        test(closes_in_order_and_waits_for_the_answer),
        test(an_end_without_close_is_not_orderly),
        test(a_full_queue_says_no),
        test(dials_itself),
        test(a_server_that_answers_wrongly),
        test(a_server_that_does_not_answer),
        test(a_client_masks_and_reads_what_came_at_once),
        test(a_client_lets_the_server_finish_first),
        test(who_is_quiet_is_asked_and_given_up),
        test(any_sign_of_life_will_do),
        test(what_comes_in_time_needs_no_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
