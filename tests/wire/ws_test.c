/* ws: RFC 6455's own examples, every rule broken in both roles, bounds at n-1, n and n+1, and every
 * stream in every slicing, with wslay's event level as second opinion. */
#include "edge/limits.h"
#include "tests/wire/oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- memory: the linker leads our allocations through here (see CMakeLists.txt) ---- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static size_t allocations, allocated_bytes;
static size_t allocations_left = SIZE_MAX; /* then memory is out */

static bool grant(size_t bytes)
{
    allocations++;
    allocated_bytes += bytes;
    return allocations_left == SIZE_MAX || allocations_left-- > 0;
}

void *__wrap_malloc(size_t bytes)
{
    return grant(bytes) ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return grant(count * bytes) ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return grant(bytes) ? __real_realloc(old, bytes) : NULL;
}

/* ---- streams, written here from the RFC's picture and not by ws.c ---- */

static uint8_t stream[300000];
static size_t stream_bytes;
static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void begin(void)
{
    stream_bytes = 0;
}

static void put(const void *bytes, size_t count)
{
    assert_true(stream_bytes + count <= sizeof stream);
    memcpy(stream + stream_bytes, bytes, count);
    stream_bytes += count;
}

static void put_number(uint64_t number, unsigned bytes)
{
    while (bytes--)
        put(&(uint8_t){(uint8_t)(number >> 8 * bytes)}, 1);
}

/* first: FIN, reserved bits, opcode. Frames of clients are masked. */
static void put_frame(enum ws_role reader, uint8_t first, const void *payload, size_t bytes)
{
    uint8_t masked = reader == WS_SERVER ? 0x80 : 0;
    put(&first, 1);
    put(&(uint8_t){(uint8_t)(masked | (bytes < 126 ? bytes : bytes < 65536 ? 126 : 127))}, 1);
    put_number(bytes, bytes < 126 ? 0 : bytes < 65536 ? 2 : 8);
    if (masked)
        put(mask, sizeof mask);
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = ((const uint8_t *)payload)[i];
        put(&(uint8_t){masked ? byte ^ mask[i % 4] : byte}, 1);
    }
}

static void put_text(enum ws_role reader, uint8_t first, const char *text)
{
    put_frame(reader, first, text, strlen(text));
}

/* The stream's fault, at once and in 40 slicings; wslay is asked too. */
static struct ws_story tell(enum ws_role role, size_t message_bytes_max)
{
    struct span whole = span_from(stream, stream_bytes);
    for (uint32_t seed = 1; seed <= 40; seed++)
        oracle_judge_ws(role, message_bytes_max, whole, seed * 2654435761u);
    return ws_story_ours(role, message_bytes_max, whole, 0);
}

static enum fault fault_of(enum ws_role role)
{
    return tell(role, 65536).fault;
}

/* ---- one reader, step by step ---- */

static struct ws *ws;
static enum fault fault;
static struct ws_message message;
static uint8_t input_bytes[300000];

/* What the reader says to these bytes, in memory of their own. */
static enum decode feed(const void *bytes, size_t count, struct span *input)
{
    memcpy(input_bytes, bytes, count);
    *input = span_from(input_bytes, count);
    return ws_next(ws, input, &message, &fault);
}

static void assert_message(enum ws_opcode opcode, const char *body)
{
    assert_int_equal(message.opcode, opcode);
    assert_int_equal(message.body.bytes, strlen(body));
    if (body[0])
        assert_memory_equal(message.body.data, body, strlen(body));
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
    ws = ws_open(WS_CLIENT, 1000);
    assert_int_equal(feed(plain, sizeof plain, &input), DECODE_DONE);
    assert_message(WS_TEXT, "Hello");
    assert_ptr_equal(message.body.data, input_bytes + 2); /* where it lay: not copied */
    assert_int_equal(feed(pieces, sizeof pieces, &input), DECODE_DONE);
    assert_message(WS_TEXT, "Hello");
    assert_int_equal(feed(ping, sizeof ping, &input), DECODE_DONE);
    assert_message(WS_PING, "Hello");
    ws_close(ws);
    ws = ws_open(WS_SERVER, 1000);
    assert_int_equal(feed(masked, sizeof masked, &input), DECODE_DONE);
    assert_message(WS_TEXT, "Hello");
    assert_ptr_equal(message.body.data, input_bytes + 6); /* unmasked in place */
    assert_int_equal(feed(pong, sizeof pong, &input), DECODE_DONE);
    assert_message(WS_PONG, "Hello");
    assert_int_equal(input.bytes, 0);
    assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_MORE);
    ws_close(ws);
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
            begin();
            put_frame((enum ws_role)role, 0x82, payload, lengths[i]);
            ws = ws_open((enum ws_role)role, sizeof payload);
            assert_int_equal(feed(stream, stream_bytes, &input), DECODE_DONE);
            assert_int_equal(message.opcode, WS_BINARY);
            assert_int_equal(message.body.bytes, lengths[i]);
            if (lengths[i])
                assert_memory_equal(message.body.data, payload, lengths[i]);
            ws_close(ws);
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
        begin();
        put_text(reader, 0x01, "");
        put_text(reader, 0x00, "gr\xc3");
        put_text(reader, 0x89, "ping");
        put_text(reader, 0x00, "");
        put_text(reader, 0x8a, "");
        put_text(reader, 0x00, "\xbc\xc3\x9f ");
        put_text(reader, 0x80, "dich");
        put_text(reader, 0x82, "next");
        ws = ws_open(reader, 100);
        assert_int_equal(feed(stream, stream_bytes, &input), DECODE_DONE);
        assert_message(WS_PING, "ping");
        assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_DONE);
        assert_message(WS_PONG, "");
        assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_DONE);
        assert_message(WS_TEXT, "gr\xc3\xbc\xc3\x9f dich");
        assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_DONE);
        assert_message(WS_BINARY, "next");
        assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_MORE);
        ws_close(ws);
        assert_int_equal(tell(reader, 100).messages, 4);
    }
}

/* Byte by byte, so that nothing is ever whole in the input. */
static void reads_drops(void **state)
{
    struct span input;
    (void)state;
    begin();
    put_text(WS_SERVER, 0x01, "Hel");
    put_text(WS_SERVER, 0x89, "are you there?");
    put_text(WS_SERVER, 0x80, "lo");
    put_text(WS_SERVER, 0x88,
             "\x03\xe8"
             "bye");
    ws = ws_open(WS_SERVER, 100);
    unsigned told = 0;
    for (size_t i = 0; i < stream_bytes; i++) {
        if (feed(stream + i, 1, &input) != DECODE_DONE)
            continue;
        told++;
        if (told == 1)
            assert_message(WS_PING, "are you there?");
        else if (told == 2)
            assert_message(WS_TEXT, "Hello");
        else
            assert_message(WS_CLOSE, "bye");
    }
    assert_int_equal(told, 3);
    assert_int_equal(message.close_code, 1000);
    ws_close(ws);
}

static void refuses_wrong_masking(void **state)
{
    (void)state;
    begin();
    put_text(WS_CLIENT, 0x81, "Hello");
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_unmasked);
    begin();
    put_text(WS_SERVER, 0x81, "Hello");
    assert_int_equal(fault_of(WS_CLIENT), FAULT_ws_masked);
    begin(); /* two bytes are enough to know */
    put("\x81\x05", 2);
    assert_int_equal(ws_story_ours(WS_SERVER, 10, span_from(stream, 2), 0).fault,
                     FAULT_ws_unmasked);
}

static void refuses_reserved(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        for (unsigned first = 0; first < 256; first++) {
            unsigned opcode = first & 15;
            begin();
            put_text((enum ws_role)role, (uint8_t)first, "");
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
            begin();
            put_text((enum ws_role)role, opcodes[i], ""); /* not final */
            assert_int_equal(fault_of((enum ws_role)role), FAULT_ws_control);
            begin();
            put_frame((enum ws_role)role, 0x80 | opcodes[i], long_body, 126);
            assert_int_equal(fault_of((enum ws_role)role), FAULT_ws_control);
            begin();
            put_frame((enum ws_role)role, 0x80 | WS_PING, long_body, 125);
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
            begin();
            put("\x82", 1);
            put_number(rows[i].form | (role == WS_SERVER ? 0x80 : 0), 1);
            put_number(rows[i].length, rows[i].bytes);
            assert_int_equal(fault_of((enum ws_role)role), rows[i].fault);
        }
}

static void refuses_fragments_out_of_order(void **state)
{
    (void)state;
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        enum ws_role reader = (enum ws_role)role;
        begin();
        put_text(reader, 0x80, "continues what?");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        begin();
        put_text(reader, 0x00, "continues what?");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        begin();
        put_text(reader, 0x01, "one");
        put_text(reader, 0x81, "two");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        begin();
        put_text(reader, 0x02, "one");
        put_text(reader, 0x89, "");
        put_text(reader, 0x01, "two");
        assert_int_equal(fault_of(reader), FAULT_ws_fragment);
        begin();
        put_text(reader, 0x01, "one");
        put_text(reader, 0x80, "two");
        put_text(reader, 0x80, "three");
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
                begin();
                for (size_t i = 0; i + 1 < pieces; i++)
                    put_frame(reader, i ? 0x00 : 0x01, body, 100);
                put_frame(reader, pieces > 1 ? 0x80 : 0x81, body,
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
        begin();
        for (int i = 0; i < 5; i++) {
            put_text((enum ws_role)role, 0x01, "12345");
            put_text((enum ws_role)role, 0x80, "67890");
            put_text((enum ws_role)role, 0x82, "1234567890");
        }
        assert_int_equal(tell((enum ws_role)role, 10).messages, 10);
    }
}

static enum fault fault_of_fragments(enum ws_role reader, unsigned count)
{
    begin();
    for (unsigned i = 0; i < count; i++)
        put_text(reader, (uint8_t)((i + 1 == count ? 0x80 : 0) | (i ? 0 : WS_TEXT)),
                 i % 3 ? "x" : "");
    put_text(reader, 0x81, "and one more");
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
        begin();
        put_text(WS_CLIENT, 0x01, "x");
        for (unsigned i = 0; i < 198 + more; i++)
            put_text(WS_CLIENT, 0x00, "x");
        put_text(WS_CLIENT, 0x80, "x");
        ws = ws_open(WS_CLIENT, 1000);
        ws_allow_fragments(ws, 200);
        assert_int_equal(feed(stream, stream_bytes, &input), more ? DECODE_BAD : DECODE_DONE);
        if (more)
            assert_int_equal(fault, FAULT_ws_too_many_fragments);
        else
            assert_int_equal(message.body.bytes, 200);
        ws_close(ws);
    }
}

/* A head that announces everything, and nothing behind it: no memory is taken for it. */
static void takes_no_memory_for_promises(void **state)
{
    struct span input;
    (void)state;
    ws = ws_open(WS_CLIENT, (size_t)1 << 30);
    allocated_bytes = 0;
    begin();
    put("\x02\x7f", 2);
    put_number(1u << 30, 8);
    assert_int_equal(feed(stream, stream_bytes, &input), DECODE_MORE);
    assert_int_equal(feed("abc", 3, &input), DECODE_MORE);
    assert_true(allocated_bytes > 0 && allocated_bytes < 4096);
    ws_close(ws);
}

static void fails_fast_on_utf8(void **state)
{
    struct span input;
    (void)state;
    begin(); /* one bad byte of a message that is far from whole */
    put("\x01\x7e\x01\x00", 4);
    put("abc\xff", 4);
    ws = ws_open(WS_CLIENT, 1000);
    assert_int_equal(feed(stream, stream_bytes, &input), DECODE_BAD);
    assert_int_equal(fault, FAULT_ws_utf8);
    assert_int_equal(feed("d", 1, &input), DECODE_BAD); /* for good */
    assert_int_equal(fault, FAULT_ws_utf8);
    ws_close(ws);
    begin(); /* a character cut by a fragment's end, and then not continued */
    put_text(WS_CLIENT, 0x01, "\xf0\x9f");
    put_text(WS_CLIENT, 0x89, "\x80\x80");
    put_text(WS_CLIENT, 0x00, "\x28");
    struct ws_story story = tell(WS_CLIENT, 1000);
    assert_int_equal(story.fault, FAULT_ws_utf8);
    assert_int_equal(story.messages, 1);
    begin(); /* whole, but for its last byte */
    put_text(WS_CLIENT, 0x01, "\xe2");
    put_text(WS_CLIENT, 0x80, "\x82");
    assert_int_equal(fault_of(WS_CLIENT), FAULT_ws_utf8);
    begin(); /* bytes are bytes */
    put_text(WS_CLIENT, 0x02, "\xff\xfe");
    put_text(WS_CLIENT, 0x80, "\xc0");
    put_text(WS_CLIENT, 0x81, "and text may follow");
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
        begin();
        put_frame(WS_SERVER, 0x88, body, sizeof body);
        struct ws_story story = ws_story_ours(WS_SERVER, 1000, span_from(stream, stream_bytes), 0);
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
    begin();
    put_text(WS_SERVER, 0x88, "");
    put_text(WS_SERVER, 0x81, "late");
    put_text(WS_SERVER, 0xf7, "and wild");
    ws = ws_open(WS_SERVER, 1000);
    assert_int_equal(feed(stream, stream_bytes, &input), DECODE_DONE);
    assert_message(WS_CLOSE, "");
    assert_int_equal(message.close_code, 1005);
    assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_MORE);
    assert_int_equal(input.bytes, 0); /* nothing counts after a CLOSE */
    ws_close(ws);
    begin();
    put_frame(WS_SERVER, 0x88, "\x03", 1);
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_close_code);
    begin();
    put_text(WS_SERVER, 0x88, "\x03\xe8\xc3\x28");
    assert_int_equal(fault_of(WS_SERVER), FAULT_ws_utf8);
    begin();
    put_text(WS_SERVER, 0x88, "\x03\xe8\xc3");
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
    struct ws *patient = ws = ws_open(WS_CLIENT, 1000);
    assert_int_equal(feed(half, sizeof half, &input), DECODE_MORE);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ws = ws_open(WS_CLIENT, 1000);
        assert_int_equal(feed(broken[i], sizeof broken[i], &input), DECODE_BAD);
        ws_close(ws);
        ws = ws_open(WS_CLIENT, 1000);
        assert_int_equal(feed("\x81\x01x", 3, &input), DECODE_DONE);
        assert_message(WS_TEXT, "x");
        ws_close(ws);
    }
    ws = patient;
    assert_int_equal(feed(rest, sizeof rest, &input), DECODE_DONE);
    assert_int_equal(message.body.bytes, 256);
    assert_memory_equal(message.body.data, "halfrrrr", 8);
    ws_close(ws);
}

/* In the steady state messages that come in pieces need no allocation. */
static void keeps_its_memory(void **state)
{
    struct span input;
    char piece[] = {0x02, 3, 'a', 'b', 'c'};
    char last[] = {(char)0x80, 3, 'd', 'e', 'f'};
    (void)state;
    struct ws *other = ws_open(WS_CLIENT, 1000);
    ws = ws_open(WS_CLIENT, 1000);
    for (int round = 0; round < 100; round++) {
        allocations = 0;
        assert_int_equal(feed(piece, sizeof piece, &input), DECODE_MORE);
        assert_int_equal(feed(last, sizeof last, &input), DECODE_DONE);
        assert_message(WS_BINARY, "abcdef");
        assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_MORE);
        assert_int_equal(allocations, round == 0 ? 1 : 0);
    }
    ws_close(ws);
    ws_close(other);
    ws_close(NULL);
}

/* More connections in the middle of a message than the store keeps, and messages larger than it
 * keeps: all are right, and given back. */
static void lends_as_many_as_needed(void **state)
{
    enum { CONNECTIONS = 100 };
    static char large[200000];
    struct ws *many[CONNECTIONS];
    struct span input;
    (void)state;
    memset(large, 'l', sizeof large);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        ws = many[i] = ws_open(WS_CLIENT, sizeof large);
        begin();
        put_frame(WS_CLIENT, 0x82, large, i % 2 ? sizeof large : 500);
        assert_int_equal(feed(stream, stream_bytes - 1, &input), DECODE_MORE);
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        ws = many[i];
        assert_int_equal(feed("l", 1, &input), DECODE_DONE);
        assert_int_equal(message.body.bytes, i % 2 ? sizeof large : 500);
        assert_memory_equal(message.body.data, large, message.body.bytes);
        assert_int_equal(ws_next(ws, &input, &message, &fault), DECODE_MORE);
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        ws_close(many[i]);
}

/* The n-th allocation fails, n = 0, 1, 2 ...: no connection, or an orderly fault, or success. */
static void survives_scarcity(void **state)
{
    struct span input;
    char piece[5000];
    size_t enough = 0;
    (void)state;
    memset(piece, 'p', sizeof piece);
    for (size_t left = 0; !enough; left++) {
        begin();
        put_frame(WS_CLIENT, 0x02, piece, 10);
        put_frame(WS_CLIENT, 0x80, piece, sizeof piece);
        allocations_left = left;
        ws = ws_open(WS_CLIENT, 10000);
        enum decode decode = ws ? feed(stream, stream_bytes, &input) : DECODE_BAD;
        allocations_left = SIZE_MAX;
        assert_true(decode == DECODE_DONE || !ws || fault == FAULT_no_capacity);
        enough = decode == DECODE_DONE ? left : 0;
        ws_close(ws);
    }
    assert_int_equal(enough, 3); /* the connection, a buffer, a larger one */
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
            begin();            /* who reads what a server writes is a client */
            put_frame(role == WS_SERVER ? WS_CLIENT : WS_SERVER, 0x82, payload, bytes);
            size_t head = ws_header_bytes((enum ws_role)role, bytes);
            assert_int_equal(head, stream_bytes - bytes);
            memcpy(expected, stream, head);
            memset(written, 0xee, sizeof written);
            ws_header_write(written, (enum ws_role)role, WS_BINARY, bytes, mask);
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
            ws_mask(memory + place, length, mask);
            for (size_t i = 0; i < place + length; i++) {
                uint8_t plain = (uint8_t)(i * 31);
                assert_int_equal(memory[i], i < place ? plain : plain ^ mask[(i - place) % 4]);
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
        cmocka_unit_test(takes_no_memory_for_promises),
        cmocka_unit_test(fails_fast_on_utf8),
        cmocka_unit_test(judges_close_codes),
        cmocka_unit_test(reads_closes),
        cmocka_unit_test(connections_do_not_disturb_each_other),
        cmocka_unit_test(keeps_its_memory),
        cmocka_unit_test(lends_as_many_as_needed),
        cmocka_unit_test(survives_scarcity),
        cmocka_unit_test(writes_headers),
        cmocka_unit_test(masks_every_length_and_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
