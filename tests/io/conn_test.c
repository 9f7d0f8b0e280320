/* HTTP over real sockets: requests in every slicing, every bound at n-1, n and n+1, every deadline,
 * every rude end; at each test's end io_close proves that all ops came home. */
#include "tests/io/stage.h"

#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

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

/* A request with a head of exactly so many bytes. */
static char *head_of(size_t bytes, size_t *written)
{
    static const char start[] = "GET /x HTTP/1.1\r\nHost: x\r\n";
    char *head = malloc(bytes + 1);
    size_t at = sizeof start - 1;
    memcpy(head, start, at);
    while (bytes - at > 4096) {
        at += (size_t)sprintf(head + at, "A: ");
        memset(head + at, 'a', 4000);
        at += 4000;
        at += (size_t)sprintf(head + at, "\r\n");
    }
    at += (size_t)sprintf(head + at, "B: ");
    memset(head + at, 'b', bytes - at - 4);
    at = bytes - 4;
    sprintf(head + at, "\r\n\r\n");
    *written = bytes;
    return head;
}

static void answers_in_any_slicing(void **state)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    (void)state;
    for (size_t slice = 1; slice < sizeof request; slice += 3) {
        struct peer *peer = peer_open(stage.port);
        for (size_t at = 0; at < sizeof request - 1; at += slice) {
            size_t left = sizeof request - 1 - at;
            peer_send(&stage, peer, request + at, left < slice ? left : slice);
            stage_turn(&stage, 0);
        }
        stage_until(&stage, peer_has(peer, "\r\n\r\nhello"));
        assert_true(peer_has(peer, "HTTP/1.1 200 OK\r\n"));
        assert_true(peer_has(peer, "Content-Length: 5\r\n"));
        assert_true(peer_has(peer, "X-Content-Type-Options: nosniff\r\n"));
        assert_false(peer_has(peer, "Connection:"));
        peer_close(peer);
    }
    assert_int_equal(stage.metrics.http_requests, stage.metrics.http_2xx);
}

static void keeps_alive_and_answers_in_order(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    peer_say(&stage, peer,
             "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
             "POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo"
             "HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\n"
             "POST /close HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfour"
             "POST /5 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfive");
    stage_until(&stage, peer_over(peer));
    char *one = memmem(peer->data, peer->bytes, "\r\n\r\none", 7);
    char *two = memmem(peer->data, peer->bytes, "\r\n\r\ntwo", 7);
    char *four = memmem(peer->data, peer->bytes, "\r\n\r\nfour", 8);
    assert_true(one && two && four && one < two && two < four);
    assert_true(peer_has(peer, "Connection: close\r\n"));
    assert_false(peer_has(peer, "five")); /* behind a close nothing is a request */
    assert_int_equal(stage.requests, 4);
    assert_true(peer->eof && !peer->reset);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_NONE);
    peer_close(peer);
}

static void http_10_closes_unless_asked(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    peer_say(&stage, peer, "GET / HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n");
    stage_until(&stage, peer_has(peer, "\r\n\r\n"));
    assert_true(peer_has(peer, "Connection: keep-alive\r\n"));
    peer_forget(peer);
    peer_say(&stage, peer, "GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_over(peer));
    assert_true(peer_has(peer, "Connection: close\r\n"));
    peer_close(peer);
}

static void reads_the_next_request_after_the_answer(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    peer_say(&stage, peer,
             "GET /hold HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, stage.held_count == 1);
    for (int i = 0; i < 5; i++)
        stage_turn(&stage, 1);
    assert_int_equal(stage.requests, 1);
    conn_respond(stage.io, stage.held[0], 201, "", "X-A: b\r\n", span_of("made"), false);
    stage_until(&stage, stage.requests == 2);
    assert_string_equal(stage.target, "/2");
    stage_until(&stage, peer_has(peer, "201 Created\r\n") && peer_has(peer, "200 OK\r\n"));
    assert_true(peer_has(peer, "X-A: b\r\n"));
    peer_close(peer);
}

static void bounds_what_lies_behind_a_request(void **state)
{
    static const char request[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";
    static char junk[HTTP_BEHIND_BYTES_MAX + 1];
    (void)state;
    memset(junk, 'x', sizeof junk);
    for (size_t bytes = HTTP_BEHIND_BYTES_MAX - 1; bytes <= sizeof junk; bytes++) {
        uint64_t before = stage.metrics.bytes_received;
        struct peer *peer = peer_open(stage.port);
        peer_say(&stage, peer, request);
        peer_send(&stage, peer, junk, bytes);
        stage_until(&stage, stage.metrics.bytes_received == before + sizeof request - 1 + bytes);
        stage_turn(&stage, 1);
        assert_int_equal(stage.ends, bytes > HTTP_BEHIND_BYTES_MAX);
        if (stage.ends) {
            assert_int_equal(stage.end.fault, FAULT_http_pipeline);
            stage_until(&stage, peer_over(peer));
            assert_true(peer_has(peer, "HTTP/1.1 400 "));
        }
        peer_close(peer);
    }
}

static unsigned status_of(struct peer *peer)
{
    unsigned status = 0;
    stage_until(&stage, peer_read(peer) >= 12 || peer_over(peer));
    sscanf((char *)peer->data, "HTTP/1.1 %u", &status);
    return status;
}

static void bounds_the_head(void **state)
{
    (void)state;
    for (int over = -1; over <= 1; over++) {
        size_t bytes;
        char *head = head_of((size_t)(HTTP_HEAD_BYTES_MAX + over), &bytes);
        struct peer *peer = peer_open(stage.port);
        peer_send(&stage, peer, head, bytes);
        assert_int_equal(status_of(peer), over > 0 ? 431 : 200);
        if (over > 0)
            stage_until(&stage, peer_over(peer));
        peer_close(peer);
        free(head);
    }
}

static void post(struct peer *peer, const char *path, size_t announced, size_t sent)
{
    char head[256];
    char *body = calloc(1, sent + 1);
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path,
             announced);
    peer_say(&stage, peer, head);
    peer_send(&stage, peer, body, sent);
    free(body);
}

static void bounds_the_body_by_path(void **state)
{
    static const struct {
        const char *path;
        size_t bytes_max;
    } table[] = {{"/", HTTP_BODY_BYTES_MAX},
                 {"/apix", HTTP_BODY_BYTES_MAX},
                 {"/api/twilio/incoming-call", HTTP_BODY_BYTES_MAX},
                 {"/api/aloha/webhooks/incoming-call", HTTP_BODY_BYTES_MAX},
                 {"/api/calls", HTTP_API_BODY_BYTES_MAX},
                 {"/api/aloha/calls", HTTP_API_BODY_BYTES_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (int over = -1; over <= 1; over++) {
            struct peer *peer = peer_open(stage.port);
            size_t bytes = (size_t)((ptrdiff_t)table[i].bytes_max + over);
            post(peer, table[i].path, bytes, bytes);
            assert_int_equal(status_of(peer), over > 0 ? 413 : 200);
            stage_until(&stage, over > 0 ? peer_over(peer) : peer_read(peer) > bytes);
            peer_close(peer);
        }
}

/* The refusal must reach a client that is still sending: no reset may overtake it. */
static void a_refusal_arrives_while_the_body_is_coming(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    post(peer, "/", 10000000, 3000000);
    stage_until(&stage, peer_over(peer));
    assert_true(peer_has(peer, "HTTP/1.1 413 "));
    assert_true(peer->eof && !peer->reset);
    peer_close(peer);
}

static void refuses_with_the_right_status(void **state)
{
    static const struct {
        const char *request;
        unsigned status;
        enum fault fault;
    } table[] = {
        {"GET / HTTP/1.1\nHost: x\n\n", 400, FAULT_http_malformed},
        {"GET / HTTP/1.1\r\n\r\n", 400, FAULT_http_no_host},
        {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505, FAULT_http_version},
        {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411,
         FAULT_http_length_required},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n", 417,
         FAULT_http_expectation},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
         426, FAULT_upgrade_version},
        {"GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n", 404, FAULT_not_found},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct peer *peer = peer_open(stage.port);
        peer_say(&stage, peer, table[i].request);
        stage_until(&stage, peer_over(peer));
        assert_int_equal(status_of(peer), table[i].status);
        assert_true(peer_has(peer, "Connection: close\r\n"));
        assert_true(peer_has(peer, fault_sentence(table[i].fault)));
        assert_int_equal(stage.metrics.faults[table[i].fault], 1);
        peer_close(peer);
    }
}

static void a_slow_head_ends_in_time(void **state)
{
    (void)state;
    struct peer *silent = peer_open(stage.port), *slow = peer_open(stage.port);
    peer_say(&stage, slow, "GET / HT");
    stage_until(&stage, stage.metrics.bytes_received == 8);
    for (int i = 0; i < 4; i++) { /* a byte now and then buys no time */
        stage_skip(HTTP_HEAD_MS / 4 - 100);
        stage_turn(&stage, 0);
        peer_say(&stage, slow, "T");
        stage_turn(&stage, 1);
    }
    assert_int_equal(stage.ends, 0);
    stage_skip(HTTP_HEAD_MS);
    stage_until(&stage, peer_over(slow) && peer_over(silent));
    assert_true(peer_has(slow, "HTTP/1.1 408 "));
    assert_int_equal(peer_read(silent), 0); /* nothing was asked, nothing is said */
    assert_int_equal(stage.metrics.faults[FAULT_http_timeout], 1);
    assert_int_equal(stage.metrics.faults[FAULT_http_idle], 1);
    peer_close(silent);
    peer_close(slow);
}

static void a_slow_body_and_a_long_silence_end_in_time(void **state)
{
    (void)state;
    struct peer *slow = peer_open(stage.port), *idle = peer_open(stage.port);
    post(slow, "/", 100, 50);
    peer_say(&stage, idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_has(idle, "200 OK"));
    stage_skip(HTTP_BODY_MS + 1);
    stage_until(&stage, peer_over(slow));
    assert_true(peer_has(slow, "HTTP/1.1 408 "));
    assert_false(peer_over(idle));
    stage_skip(HTTP_KEEP_ALIVE_MS - HTTP_BODY_MS);
    stage_until(&stage, peer_over(idle));
    assert_int_equal(stage.metrics.faults[FAULT_http_idle], 1);
    peer_close(slow);
    peer_close(idle);
}

/* The timer of the long silence between requests must come forward when a head begins. */
static void a_slow_second_head_ends_in_time(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    peer_say(&stage, peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_has(peer, "200 OK"));
    stage_skip(HTTP_FIRST_BYTE_MS + 1); /* the first request's timer rings, and is set anew */
    stage_turn(&stage, 1);
    stage_turn(&stage, 1);
    peer_forget(peer);
    peer_say(&stage, peer, "GET / HT");
    for (int i = 0; i < 3; i++)
        stage_turn(&stage, 1);
    stage_skip(HTTP_HEAD_MS + 1);
    stage_until(&stage, peer_over(peer));
    assert_true(peer_has(peer, "HTTP/1.1 408 "));
    peer_close(peer);
}

static void an_owner_that_never_answers_is_told(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    peer_say(&stage, peer, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, stage.held_count == 1);
    stage_skip(2 * HTTP_CONTROL_MS + 1);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_no_control);
    stage_until(&stage, peer_over(peer));
    assert_true(peer_has(peer, "HTTP/1.1 503 "));
    peer_close(peer);
}

/* Whatever the moment: the owner hears of it once, and the slot comes back. */
static void survives_resets_and_ends_at_each_state(void **state)
{
    static const char *const moments[] = {
        "", "GET", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
        "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n", "GET /keep HTTP/1.1\r\nHost: x\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
        for (int rude = 0; rude < 2; rude++) {
            unsigned ends = stage.ends;
            stage.held_count = 0;
            struct peer *peer = peer_open(stage.port);
            peer_say(&stage, peer, moments[i]);
            for (int turns = 0; turns < 3; turns++)
                stage_turn(&stage, 1);
            if (rude)
                peer_reset(peer);
            else
                peer_close(peer);
            for (int turns = 0; turns < 3; turns++)
                stage_turn(&stage, 1);
            if (stage.held_count && stage.ends == ends) /* half closed: the answer is still owed */
                conn_respond(stage.io, stage.held[0], 200, "", "", span_of(""), false);
            stage_until(&stage, stage.ends == ends + 1);
            stage_until(&stage, stage.metrics.conns_open == 0);
        }
}

static void serves_many_with_few_buffers(void **state)
{
    (void)state;
    struct peer *peers[100];
    stage_close(&stage);
    stage_open(&stage, (struct io_config){.receive_buffers = 2, .ring_entries = 8}, false);
    for (size_t i = 0; i < 100; i++)
        peers[i] = peer_open(stage.port);
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < 100; i++)
            peer_offer(peers[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
        for (size_t i = 0; i < 100; i++) {
            stage_until(&stage, peer_has(peers[i], "\r\n\r\n"));
            peer_forget(peers[i]);
        }
    }
    assert_int_equal(stage.requests, 500);
    assert_true(stage.metrics.receive_starved > 0); /* or the test proves nothing */
    for (size_t i = 0; i < 100; i++)
        peer_close(peers[i]);
}

/* Until all that it said lies in our sockets, whose receives then find nothing but whole pieces. */
static void await_arrival(const struct peer *peer)
{
    int unacknowledged = 1;
    for (unsigned tries = 0; unacknowledged; tries++) {
        assert_int_equal(ioctl(peer->fd, SIOCOUTQ, &unacknowledged), 0);
        assert_true(tries < 10000);
        if (unacknowledged)
            usleep(1000);
    }
}

/* All of them say much at once, more than the buffers that go round hold. Each receive that found
 * none brings in one more, until there is one for every piece. A receive looks for a buffer before
 * it looks for bytes, so each connection may starve once more with none. */
static void brings_in_more_buffers_when_they_are_needed(void **state)
{
    enum { PEERS = 10, PIECES = 10, BODY_BYTES = (PIECES - 1) * RECEIVE_BUFFER_BYTES, ROUNDS = 60 };
    (void)state;
    struct peer *peers[PEERS];
    static char request[BODY_BYTES + 100];
    int head_bytes =
        snprintf(request, sizeof request,
                 "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY_BYTES);
    size_t bytes = (size_t)head_bytes + BODY_BYTES;
    memset(request + head_bytes, 'b', BODY_BYTES);
    stage_close(&stage);
    stage_open(&stage, (struct io_config){.receive_buffers = 1024}, false);
    for (size_t i = 0; i < PEERS; i++)
        peers[i] = peer_open(stage.port);
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < PEERS; i++)
            assert_int_equal(peer_offer(peers[i], request, bytes), bytes);
        for (size_t i = 0; i < PEERS; i++)
            await_arrival(peers[i]);
        for (size_t i = 0; i < PEERS; i++) {
            stage_until(&stage, peer_has(peers[i], "\r\n\r\n"));
            peer_forget(peers[i]);
        }
    }
    assert_int_equal(stage.requests, ROUNDS * PEERS);
    assert_true(stage.metrics.receive_starved > 0); /* or the test proves nothing */
    assert_true(stage.metrics.receive_starved <= PEERS * PIECES + PEERS - BUFFERS_GOING_ROUND);
    for (size_t i = 0; i < PEERS; i++)
        peer_close(peers[i]);
}

static void closes_whom_it_has_no_slot_for(void **state)
{
    (void)state;
    struct peer *peers[12];
    stage_close(&stage);
    stage_open(&stage, (struct io_config){.conns_max = 8}, false);
    for (size_t i = 0; i < 12; i++)
        peers[i] = peer_open(stage.port);
    stage_until(&stage, stage.metrics.faults[FAULT_no_capacity] == 4);
    assert_int_equal(stage.metrics.conns_open, 8);
    for (size_t i = 8; i < 12; i++) {
        stage_until(&stage, peer_over(peers[i]));
        peer_close(peers[i]);
    }
    peer_close(peers[0]);
    stage_until(&stage, stage.metrics.conns_open == 7);
    struct peer *late = peer_open(stage.port);
    peer_say(&stage, late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_has(late, "200 OK"));
    peer_close(late);
    for (size_t i = 1; i < 8; i++)
        peer_close(peers[i]);
}

/* The kernel notes the limit when an accept is armed, so it is lowered before. */
static void accepts_again_when_descriptors_come_back(void **state)
{
    struct rlimit before, few;
    int taken[64], count = 0;
    (void)state;
    stage_close(&stage);
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &few);
    stage_open(&stage, (struct io_config){0}, false);
    struct peer *peer = peer_open(stage.port);
    while ((taken[count] = dup(0)) >= 0)
        count++;
    peer_say(&stage, peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 5; i++)
        stage_turn(&stage, 1);
    assert_int_equal(stage.metrics.conns_accepted, 0);
    while (count)
        close(taken[--count]);
    stage_skip(200);
    stage_until(&stage, peer_has(peer, "200 OK"));
    setrlimit(RLIMIT_NOFILE, &before);
    peer_close(peer);
}

static void sends_what_a_slow_reader_takes(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    int small = 65536;
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    static uint8_t body[8 << 20];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 24);
    peer_say(&stage, peer, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, stage.held_count == 1);
    conn_respond(stage.io, stage.held[0], 200, "", "", span_from(body, sizeof body), false);
    stage_until(&stage, peer_read(peer) > sizeof body);
    uint8_t *start = (uint8_t *)memmem(peer->data, peer->bytes, "\r\n\r\n", 4) + 4;
    stage_until(&stage, peer_read(peer) == (size_t)(start - peer->data) + sizeof body);
    assert_memory_equal(start, body, sizeof body);
    assert_true(stage.metrics.send_short > 0); /* or the test proves nothing */
    peer_close(peer);
}

static void ends_a_reader_that_stopped(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    int small = 4096;
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    peer_say(&stage, peer, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, stage.held_count == 1);
    static uint8_t large[8 << 20];
    conn_respond(stage.io, stage.held[0], 200, "", "", span_from(large, sizeof large), false);
    for (int i = 0; i < 20; i++)
        stage_turn(&stage, 1);
    assert_int_equal(stage.ends, 0);
    assert_true(stage.metrics.send_queued_bytes > 0);
    stage_skip(SEND_PROGRESS_MS + 1);
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_peer_slow);
    stage_until(&stage, stage.metrics.conns_open == 0);
    peer_close(peer);
}

/* Asks for the held request's answer of 3 pieces, of which the first is given. */
static struct conn *begin_long_answer(struct peer *peer, const char *request, struct span piece)
{
    stage.held_count = stage.mores = 0;
    peer_say(&stage, peer, request);
    stage_until(&stage, stage.held_count == 1);
    conn_respond_first(stage.io, stage.held[0], 200, "audio/wav", "", piece, 3 * piece.bytes);
    return stage.held[0];
}

static void gives_a_long_answer_in_pieces(void **state)
{
    (void)state;
    static uint8_t piece[200000];
    struct peer *peer = peer_open(stage.port);
    memset(piece, 'a', sizeof piece);
    struct conn *conn = begin_long_answer(peer, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n",
                                          span_from(piece, sizeof piece));
    /* One more request came behind it: its turn comes when the answer is whole. */
    peer_say(&stage, peer, "GET /behind HTTP/1.1\r\nHost: x\r\n\r\n");
    for (unsigned i = 1; i <= 2; i++) {
        stage_until(&stage, peer_read(peer) && stage.mores == i);
        assert_int_equal(conn_queued_bytes(conn), 0);
        assert_int_equal(conn_owed_bytes(conn), (3 - i) * sizeof piece);
        memset(piece, 'a' + (int)i, sizeof piece);
        assert_true(conn_respond_more(stage.io, conn, span_from(piece, sizeof piece)));
    }
    assert_int_equal(conn_owed_bytes(conn), 0);
    stage_until(&stage, peer_read(peer) && memmem(peer->data, peer->bytes, "cHTTP/1.1 200", 13));
    assert_int_equal(stage.mores, 2);
    assert_string_equal(stage.target, "/behind");
    assert_non_null(memmem(peer->data, peer->bytes, "Content-Length: 600000\r\n", 24));
    uint8_t *body = (uint8_t *)memmem(peer->data, peer->bytes, "\r\n\r\n", 4) + 4;
    for (size_t i = 0; i < 3 * sizeof piece; i += 9973)
        assert_int_equal(body[i], 'a' + i / sizeof piece);
    /* Of HEAD nothing is owed. */
    begin_long_answer(peer, "HEAD /hold HTTP/1.1\r\nHost: x\r\n\r\n", span_from(piece, 10));
    assert_int_equal(conn_owed_bytes(conn), 0);
    stage_until(&stage, peer_read(peer) && memmem(peer->data, peer->bytes, "Length: 30\r\n", 12));
    peer_close(peer);
}

/* It takes a byte now and then, so that it never looks dead, and so keeps a piece for ever. */
static void ends_a_reader_that_dribbles(void **state)
{
    (void)state;
    static uint8_t piece[8 << 20];
    struct peer *peer = peer_open(stage.port);
    int small = 65536;
    unsigned ends = stage.ends;
    uint64_t sent;
    static char crumbs[32768];
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    struct conn *conn = begin_long_answer(peer, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n",
                                          span_from(piece, sizeof piece));
    conn_keep_short(conn); /* the kernel takes little on his behalf */
    for (unsigned waited_ms = 0; waited_ms <= HTTP_RESPOND_MS; waited_ms += SEND_PROGRESS_MS / 2) {
        assert_int_equal(stage.ends, ends);
        sent = stage.metrics.bytes_sent;
        stage_until(&stage, (recv(peer->fd, crumbs, sizeof crumbs, MSG_DONTWAIT),
                             stage.metrics.bytes_sent > sent));
        stage_skip(SEND_PROGRESS_MS / 2);
    }
    stage_until(&stage, stage.ends == ends + 1);
    assert_int_equal(stage.end.fault, FAULT_peer_slow);
    assert_int_equal(stage.mores, 0);
    peer_close(peer);
}

static void stops_listening(void **state)
{
    (void)state;
    struct peer *peer = peer_open(stage.port);
    stage_until(&stage, stage.metrics.conns_accepted == 1);
    io_stop_listening(stage.io);
    for (int i = 0; i < 5; i++)
        stage_turn(&stage, 1);
    peer_say(&stage, peer, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_has(peer, "200 OK"));
    struct dial dial = stage_dial(stage.port, false, "/");
    assert_non_null(conn_dial(stage.io, &dial));
    stage_until(&stage, stage.ends == 1);
    assert_int_equal(stage.end.fault, FAULT_connect_failed);
    peer_close(peer);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)
    const struct CMUnitTest tests[] = {
        test(answers_in_any_slicing),
        test(keeps_alive_and_answers_in_order),
        test(http_10_closes_unless_asked),
        test(reads_the_next_request_after_the_answer),
        test(bounds_what_lies_behind_a_request),
        test(bounds_the_head),
        test(bounds_the_body_by_path),
        test(a_refusal_arrives_while_the_body_is_coming),
        test(refuses_with_the_right_status),
        test(a_slow_head_ends_in_time),
        test(a_slow_body_and_a_long_silence_end_in_time),
        test(a_slow_second_head_ends_in_time),
        test(an_owner_that_never_answers_is_told),
        test(survives_resets_and_ends_at_each_state),
        test(serves_many_with_few_buffers),
        test(brings_in_more_buffers_when_they_are_needed),
        test(closes_whom_it_has_no_slot_for),
        test(accepts_again_when_descriptors_come_back),
        test(sends_what_a_slow_reader_takes),
        test(ends_a_reader_that_stopped),
        test(gives_a_long_answer_in_pieces),
        test(ends_a_reader_that_dribbles),
        test(stops_listening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
