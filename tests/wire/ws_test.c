/* ws: RFC 6455's own examples, every rule broken in both roles, bounds at n-1, n and n+1, and every
 * stream in every slicing, with wslay's event level as second opinion. Memory: ws_memory_test.c. */
#include "edge/limits.h"
#include "tests/wire/ws_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The stream's fault, at once and in 40 slicings; wslay is asked too. */
static struct ws_story tell(enum ws_role role, size_t message_bytes_max)
{
    struct span whole = span_from(peer.stream, peer.stream_bytes);
    for (uint32_t seed = 1; seed <= 40; seed++)
        oracle_judge_ws(role, message_bytes_max, whole, seed * 2654435761u);
    return ws_story_ours(role, message_bytes_max, whole, 0);
}

static enum fault fault_of(enum ws_role role)
{
    return tell(role, 65536).fault;
}

/* RFC 6455 section 5.7, byte for byte. */
static void reads_the_rfc_examples(void **state)
{
    static const uint8_t plain[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    static const uint8_t masked[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                     0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t pieces[] = {0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f};
    static const uint8_t ping[] = {0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    static const uint8_t pong[] = {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                   0x7f, 0x9f, 0x4d, 0x51, 0x58};
    struct span input;
    (void)state;
    peer.ws = ws_open(WS_CLIENT, 1000);
    assert_int_equal(peer_feed(plain, sizeof plain, &input), DECODE_DONE);
    peer_expect(WS_TEXT, "Hello");
    assert_ptr_equal(peer.message.body.data, peer.input + 2); /* where it lay: not copied */
    assert_int_equal(peer_feed(pieces, sizeof pieces, &input), DECODE_DONE);
    peer_expect(WS_TEXT, "Hello");
    assert_int_equal(peer_feed(ping, sizeof ping, &input), DECODE_DONE);
    peer_expect(WS_PING, "Hello");
    ws_close(peer.ws);
    peer.ws = ws_open(WS_SERVER, 1000);
    assert_int_equal(peer_feed(masked, sizeof masked, &input), DECODE_DONE);
    peer_expect(WS_TEXT, "Hello");
    assert_ptr_equal(peer.message.body.data, peer.input + 6); /* unmasked in place */
    assert_int_equal(peer_feed(pong, sizeof pong, &input), DECODE_DONE);
    peer_expect(WS_PONG, "Hello");
    assert_int_equal(input.bytes, 0);
    assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_MORE);
    ws_close(peer.ws);
}

static void reads_all_lengths(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 100000};
    static uint8_t payload[100000];
    (void)state;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
    for (int role = WS_SERVER; role <= WS_CLIENT; role++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct span input;
            peer_begin();
            peer_frame((enum ws_role)role, 0x82, payload, lengths[i]);
            peer.ws = ws_open((enum ws_role)role, sizeof payload);
            assert_int_equal(peer_feed(peer.stream, peer.stream_bytes, &input), DECODE_DONE);
            assert_int_equal(peer.message.opcode, WS_BINARY);
            assert_int_equal(peer.message.body.bytes, lengths[i]);
            if (lengths[i])
                assert_memory_equal(peer.message.body.data, payload, lengths[i]);
            ws_close(peer.ws);
            struct ws_story story = tell((enum ws_role)role, sizeof payload);
            assert_int_equal(story.messages, 1);
            assert_int_equal(story.fault, FAULT_NONE);
        }
}

/* A message in pieces, control frames between them, in every slicing. */
static void joins_pieces_around_control_frames(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        enum ws_role reader = (enum ws_role)role;
        struct span input;
        peer_begin();
        peer_text(reader, 0x01, "");
        peer_text(reader, 0x00, "gr\xc3");
        peer_text(reader, 0x89, "ping");
        peer_text(reader, 0x00, "");
        peer_text(reader, 0x8a, "");
        peer_text(reader, 0x00, "\xbc\xc3\x9f ");
        peer_text(reader, 0x80, "dich");
        peer_text(reader, 0x82, "next");
        peer.ws = ws_open(reader, 100);
        assert_int_equal(peer_feed(peer.stream, peer.stream_bytes, &input), DECODE_DONE);
        peer_expect(WS_PING, "ping");
        assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_DONE);
        peer_expect(WS_PONG, "");
        assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_DONE);
        peer_expect(WS_TEXT, "gr\xc3\xbc\xc3\x9f dich");
        assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_DONE);
        peer_expect(WS_BINARY, "next");
        assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_MORE);
        ws_close(peer.ws);
        assert_int_equal(tell(reader, 100).messages, 4);
    }
}

/* Byte by byte, so that nothing is ever whole in the input. */
static void reads_drops(void **state)
{
    struct span input;
    (void)state;
    peer_begin();
    peer_text(WS_SERVER, 0x01, "Hel");
    peer_text(WS_SERVER, 0x89, "are you there?");
    peer_text(WS_SERVER, 0x80, "lo");
    peer_text(WS_SERVER, 0x88,
              "\x03\xe8"
              "bye");
    peer.ws = ws_open(WS_SERVER, 100);
    unsigned told = 0;
    for (size_t i = 0; i < peer.stream_bytes; i++) {
        if (peer_feed(peer.stream + i, 1, &input) != DECODE_DONE)
            continue;
        told++;
        if (told == 1)
            peer_expect(WS_PING, "are you there?");
        else if (told == 2)
            peer_expect(WS_TEXT, "Hello");
        else
            peer_expect(WS_CLOSE, "bye");
    }
    assert_int_equal(told, 3);
    assert_int_equal(peer.message.close_code, 1000);
    ws_close(peer.ws);
}

static void refuses_wrong_masking(void **state)
{
    (void)state;
    peer_begin();
    peer_text(WS_CLIENT, 0x81, "Hello");
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_unmasked);
    peer_begin();
    peer_text(WS_SERVER, 0x81, "Hello");
    assert_int_equal(fault_of(WS_CLIENT), FAULT_ws_masked);
    peer_begin(); /* two bytes are enough to know */
    peer_put("\x81\x05", 2);
    assert_int_equal(ws_story_ours(WS_SERVER, 10, span_from(peer.stream, 2), 0).fault,
                     FAULT_ws_unmasked);
}

static void refuses_reserved(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        for (unsigned first = 0; first < 256; first++) {
            unsigned opcode = first & 15;
            peer_begin();
            peer_text((enum ws_role)role, (uint8_t)first, "");
            bool reserved = first & 0x70 || (opcode > 2 && opcode < 8) || opcode > 10;
            assert_int_equal(fault_of((enum ws_role)role) == FAULT_ws_reserved, reserved);
        }
    }
}

static void refuses_bad_control_frames(void **state)
{
    static const char long_body[126] = "";
    static const uint8_t opcodes[] = {WS_CLOSE, WS_PING, WS_PONG};
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++)
        for (size_t i = 0; i < sizeof opcodes; i++) {
            peer_begin();
            peer_text((enum ws_role)role, opcodes[i], ""); /* not final */
            assert_int_equal(fault_of((enum ws_role)role), FAULT_ws_control);
            peer_begin();
            peer_frame((enum ws_role)role, 0x80 | opcodes[i], long_body, 126);
            assert_int_equal(fault_of((enum ws_role)role), FAULT_ws_control);
            peer_begin();
            peer_frame((enum ws_role)role, 0x80 | WS_PING, long_body, 125);
            assert_int_equal(fault_of((enum ws_role)role), FAULT_NONE);
        }
}

static void refuses_long_spellings_of_lengths(void **state)
{
    static const struct {
        uint8_t form;
        unsigned bytes;
        uint64_t length;
        enum fault fault;
    } rows[] = {
        {126, 2, 0, FAULT_ws_length},
        {126, 2, 125, FAULT_ws_length},
        {126, 2, 126, FAULT_NONE},
        {127, 8, 0, FAULT_ws_length},
        {127, 8, 126, FAULT_ws_length},
        {127, 8, 65535, FAULT_ws_length},
        {127, 8, 65536, FAULT_NONE},
        {127, 8, 1ull << 63, FAULT_ws_length},
        {127, 8, UINT64_MAX, FAULT_ws_length},
        {127, 8, (1ull << 63) - 1, FAULT_ws_too_large},
        {127, 8, 1ull << 32, FAULT_ws_too_large},
        {127, 8, 65537, FAULT_ws_too_large},
    };
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            peer_begin();
            peer_put("\x82", 1);
            peer_number(rows[i].form | (role == WS_SERVER ? 0x80 : 0), 1);
            peer_number(rows[i].length, rows[i].bytes);
            assert_int_equal(fault_of((enum ws_role)role), rows[i].fault);
        }
}

static void refuses_fragments_out_of_order(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        enum ws_role reader = (enum ws_role)role;
        peer_begin();
        peer_text(reader, 0x80, "continues what?");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        peer_begin();
        peer_text(reader, 0x00, "continues what?");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        peer_begin();
        peer_text(reader, 0x01, "one");
        peer_text(reader, 0x81, "two");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        peer_begin();
        peer_text(reader, 0x02, "one");
        peer_text(reader, 0x89, "");
        peer_text(reader, 0x01, "two");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        peer_begin();
        peer_text(reader, 0x01, "one");
        peer_text(reader, 0x80, "two");
        peer_text(reader, 0x80, "three");
        struct ws_story story = tell(reader, 100);
        assert_int_equal(story.messages, 1);
        assert_int_equal(story.fault, FAULT_ws_fragment);
    }
}

static void bounds_messages(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        enum ws_role reader = (enum ws_role)role;
        for (size_t pieces = 1; pieces <= 3; pieces++) {
            for (int more = -1; more <= 1; more++) {
                char body[400] = "";
                memset(body, 'x', sizeof body);
                peer_begin();
                for (size_t i = 0; i + 1 < pieces; i++)
                    peer_frame(reader, i ? 0x00 : 0x01, body, 100);
                peer_frame(reader, pieces > 1 ? 0x80 : 0x81, body,
                           (size_t)(300 + more) - 100 * (pieces - 1));
                struct ws_story story = tell(reader, 300);
                assert_int_equal(story.fault, more > 0 ? FAULT_ws_too_large : FAULT_NONE);
                assert_int_equal(story.messages, more > 0 ? 0 : 1);
            }
        }
    }
}

/* The bound is on one message, not on what was said so far. */
static void bounds_each_message_alone(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        peer_begin();
        for (int i = 0; i < 5; i++) {
            peer_text((enum ws_role)role, 0x01, "12345");
            peer_text((enum ws_role)role, 0x80, "67890");
            peer_text((enum ws_role)role, 0x82, "1234567890");
        }
        assert_int_equal(tell((enum ws_role)role, 10).messages, 10);
    }
}

static enum fault fault_of_fragments(enum ws_role reader, unsigned count)
{
    peer_begin();
    for (unsigned i = 0; i < count; i++)
        peer_text(reader, (uint8_t)((i + 1 == count ? 0x80 : 0) | (i ? 0 : WS_TEXT)),
                  i % 3 ? "x" : "");
    peer_text(reader, 0x81, "and one more");
    return tell(reader, 1000).fault;
}

static void bounds_fragments(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        assert_int_equal(fault_of_fragments((enum ws_role)role, WS_FRAGMENTS_MAX - 1), FAULT_NONE);
        assert_int_equal(fault_of_fragments((enum ws_role)role, WS_FRAGMENTS_MAX), FAULT_NONE);
        assert_int_equal(fault_of_fragments((enum ws_role)role, WS_FRAGMENTS_MAX + 1),
                         FAULT_ws_too_many_fragments);
    }
}

static void allows_more_fragments(void **state)
{
    struct span input;
    (void)state;
    for (unsigned more = 0; more <= 1; more++) {
        peer_begin();
        peer_text(WS_CLIENT, 0x01, "x");
        for (unsigned i = 0; i < 198 + more; i++)
            peer_text(WS_CLIENT, 0x00, "x");
        peer_text(WS_CLIENT, 0x80, "x");
        peer.ws = ws_open(WS_CLIENT, 1000);
        ws_allow_fragments(peer.ws, 200);
        assert_int_equal(peer_feed(peer.stream, peer.stream_bytes, &input),
                         more ? DECODE_BAD : DECODE_DONE);
        if (more)
            assert_int_equal(peer.fault, FAULT_ws_too_many_fragments);
        else
            assert_int_equal(peer.message.body.bytes, 200);
        ws_close(peer.ws);
    }
}

static void fails_fast_on_utf8(void **state)
{
    struct span input;
    (void)state;
    peer_begin(); /* one bad byte of a message that is far from whole */
    peer_put("\x01\x7e\x01\x00", 4);
    peer_put("abc\xff", 4);
    peer.ws = ws_open(WS_CLIENT, 1000);
    assert_int_equal(peer_feed(peer.stream, peer.stream_bytes, &input), DECODE_BAD);
    assert_int_equal(peer.fault, FAULT_ws_utf8);
    assert_int_equal(peer_feed("d", 1, &input), DECODE_BAD); /* for good */
    assert_int_equal(peer.fault, FAULT_ws_utf8);
    ws_close(peer.ws);
    peer_begin(); /* a character cut by a fragment's end, and then not continued */
    peer_text(WS_CLIENT, 0x01, "\xf0\x9f");
    peer_text(WS_CLIENT, 0x89, "\x80\x80");
    peer_text(WS_CLIENT, 0x00, "\x28");
    struct ws_story story = tell(WS_CLIENT, 1000);
    assert_int_equal(story.fault, FAULT_ws_utf8);
    assert_int_equal(story.messages, 1);
    peer_begin(); /* whole, but for its last byte */
    peer_text(WS_CLIENT, 0x01, "\xe2");
    peer_text(WS_CLIENT, 0x80, "\x82");
    assert_int_equal(fault_of(WS_CLIENT), FAULT_ws_utf8);
    peer_begin(); /* bytes are bytes */
    peer_text(WS_CLIENT, 0x02, "\xff\xfe");
    peer_text(WS_CLIENT, 0x80, "\xc0");
    peer_text(WS_CLIENT, 0x81, "and text may follow");
    assert_int_equal(fault_of(WS_CLIENT), FAULT_NONE);
}

/* RFC 6455 section 7.4 and IANA's registry: 1012 to 1014 were registered later. */
static bool code_may_be_sent(unsigned code)
{
    switch (code) {
    case 1000:
    case 1001:
    case 1002:
    case 1003:
    case 1007:
    case 1008:
    case 1009:
    case 1010:
    case 1011:
    case 1012:
    case 1013:
    case 1014:
        return true;
    default:
        return code >= 3000 && code <= 4999;
    }
}

static void judges_close_codes(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        assert_int_equal(ws_close_code_valid((uint16_t)code), code_may_be_sent(code));
        if (code > 5100 && code % 997)
            continue;
        char body[] = {(char)(code >> 8), (char)code, 'o', 'k'};
        peer_begin();
        peer_frame(WS_SERVER, 0x88, body, sizeof body);
        struct ws_story story =
            ws_story_ours(WS_SERVER, 1000, span_from(peer.stream, peer.stream_bytes), 0);
        assert_int_equal(story.closed, code_may_be_sent(code));
        assert_int_equal(story.fault, code_may_be_sent(code) ? FAULT_NONE : FAULT_ws_close_code);
        if (story.closed)
            assert_int_equal(story.close_code, code);
    }
}

static void reads_closes(void **state)
{
    struct span input;
    (void)state;
    peer_begin();
    peer_text(WS_SERVER, 0x88, "");
    peer_text(WS_SERVER, 0x81, "late");
    peer_text(WS_SERVER, 0xf7, "and wild");
    peer.ws = ws_open(WS_SERVER, 1000);
    assert_int_equal(peer_feed(peer.stream, peer.stream_bytes, &input), DECODE_DONE);
    peer_expect(WS_CLOSE, "");
    assert_int_equal(peer.message.close_code, 1005);
    assert_int_equal(ws_next(peer.ws, &input, &peer.message, &peer.fault), DECODE_MORE);
    assert_int_equal(input.bytes, 0); /* nothing counts after a CLOSE */
    ws_close(peer.ws);
    peer_begin();
    peer_frame(WS_SERVER, 0x88, "\x03", 1);
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_close_code);
    peer_begin();
    peer_text(WS_SERVER, 0x88, "\x03\xe8\xc3\x28");
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_utf8);
    peer_begin();
    peer_text(WS_SERVER, 0x88, "\x03\xe8\xc3");
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_utf8);
}

/* One broken peer does not disturb its neighbours, who share wslay's reader. */
static void connections_do_not_disturb_each_other(void **state)
{
    static const char half[] = {(char)0x82, 0x7e, 0x01, 0x00, 'h', 'a', 'l', 'f'};
    static const uint8_t broken[][10] = {
        {0x82, 0x7f, 0x80}, {0x82, 0x7e, 0, 1}, {0x82, 0x7f, 0, 0, 1}, {0x89, 0x7e, 1, 0}};
    uint8_t rest[252];
    struct span input;
    (void)state;
    memset(rest, 'r', sizeof rest);
    struct ws *patient = peer.ws = ws_open(WS_CLIENT, 1000);
    assert_int_equal(peer_feed(half, sizeof half, &input), DECODE_MORE);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        peer.ws = ws_open(WS_CLIENT, 1000);
        assert_int_equal(peer_feed(broken[i], sizeof broken[i], &input), DECODE_BAD);
        ws_close(peer.ws);
        peer.ws = ws_open(WS_CLIENT, 1000);
        assert_int_equal(peer_feed("\x81\x01x", 3, &input), DECODE_DONE);
        peer_expect(WS_TEXT, "x");
        ws_close(peer.ws);
    }
    peer.ws = patient;
    assert_int_equal(peer_feed(rest, sizeof rest, &input), DECODE_DONE);
    assert_int_equal(peer.message.body.bytes, 256);
    assert_memory_equal(peer.message.body.data, "halfrrrr", 8);
    ws_close(peer.ws);
}

static void writes_headers(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536, 1u << 20};
    static uint8_t payload[1u << 20];
    (void)state;
    memset(payload, 'p', sizeof payload);
    for (int role = WS_SERVER; role <= WS_CLIENT; role++)
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            size_t bytes = lengths[i];
            uint8_t expected[14], written[14];
            if (bytes > 200000)
                bytes = 200000; /* what the stream holds; its head has the same form */
            peer_begin();       /* who reads what a server writes is a client */
            peer_frame(role == WS_SERVER ? WS_CLIENT : WS_SERVER, 0x82, payload, bytes);
            size_t head = ws_header_bytes((enum ws_role)role, bytes);
            assert_int_equal(head, peer.stream_bytes - bytes);
            memcpy(expected, peer.stream, head);
            memset(written, 0xee, sizeof written);
            ws_header_write(written, (enum ws_role)role, WS_BINARY, bytes, peer_mask);
            assert_memory_equal(written, expected, head);
            assert_true(head == sizeof written || written[head] == 0xee);
        }
    uint8_t ping[2];
    ws_header_write(ping, WS_SERVER, WS_PING, 125, NULL);
    assert_memory_equal(ping, "\x89\x7d", 2);
}

static void masks_every_length_and_place(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 140; length++)
        for (size_t place = 0; place < 8; place++) {
            uint8_t *memory = malloc(place + length + 1);
            for (size_t i = 0; i < place + length; i++)
                memory[i] = (uint8_t)(i * 31);
            ws_mask(memory + place, length, peer_mask);
            for (size_t i = 0; i < place + length; i++) {
                uint8_t plain = (uint8_t)(i * 31);
                assert_int_equal(memory[i], i < place ? plain : plain ^ peer_mask[(i - place) % 4]);
            }
            free(memory);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_rfc_examples),
        cmocka_unit_test(reads_all_lengths),
        cmocka_unit_test(joins_pieces_around_control_frames),
        cmocka_unit_test(reads_drops),
        cmocka_unit_test(refuses_wrong_masking),
        cmocka_unit_test(refuses_reserved),
        cmocka_unit_test(refuses_bad_control_frames),
        cmocka_unit_test(refuses_long_spellings_of_lengths),
        cmocka_unit_test(refuses_fragments_out_of_order),
        cmocka_unit_test(bounds_messages),
        cmocka_unit_test(bounds_each_message_alone),
        cmocka_unit_test(bounds_fragments),
        cmocka_unit_test(allows_more_fragments),
        cmocka_unit_test(fails_fast_on_utf8),
        cmocka_unit_test(judges_close_codes),
        cmocka_unit_test(reads_closes),
        cmocka_unit_test(connections_do_not_disturb_each_other),
        cmocka_unit_test(writes_headers),
        cmocka_unit_test(masks_every_length_and_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
