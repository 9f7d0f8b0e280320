#include "tests/sim/reader.h"

#include "common/panic.h"
#include "tests/sim/control.h"
#include "tests/sim/kernel.h"
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES_MAX 60000

void reader_open(struct reader *reader, unsigned number, bool calm, struct dice dice)
{
    uint8_t *in = reader->peer.in;
    size_t room = reader->peer.in_room;
    *reader = (struct reader){.dice = dice,
                              .number = number,
                              .calm = calm,
                              .peer.in = in,
                              .peer.in_room = room,
                              .fate_ns = NEVER,
                              .give_up_ns = NEVER};
    if (!calm && dice_chance(&reader->dice, 500))
        reader->fate = (enum reader_fate)dice_below(&reader->dice, READER_FATES);
    if (!calm && dice_chance(&reader->dice, 400))
        reader->pieces = (enum piece_fate)dice_below(&reader->dice, PIECES_FATES);
    reader->tls = dice_chance(&reader->dice, 300);
    reader->whole_bytes = 2 + dice_below(&reader->dice, 400000);
    reader->next_ns = kernel_now_ns() + dice_below(&reader->dice, 3000) * MS;
}

void reader_leave(struct reader *reader)
{
    peer_leave(&reader->peer);
    reader->over = true;
    reader->next_ns = reader->fate_ns = reader->give_up_ns = NEVER;
}

/* ---- control's side ---- */

static uint8_t byte_at(const struct reader *reader, uint64_t at)
{
    return (uint8_t)((at * 2654435761u + reader->number * 97u) >> 11);
}

static struct link_answer *make_piece(struct reader *reader, size_t bytes)
{
    struct link_answer *answer = calloc(1, sizeof *answer + bytes);
    assert(answer);
    answer->status = 200;
    snprintf(answer->content_type, sizeof answer->content_type, "audio/ogg");
    for (size_t i = 0; i < bytes; i++)
        answer->body[i] = byte_at(reader, reader->given_bytes + i);
    answer->body_bytes = bytes;
    return answer;
}

static size_t draw_bytes(struct reader *reader, uint64_t most)
{
    uint64_t room = most < PIECE_BYTES_MAX ? most : PIECE_BYTES_MAX;
    return dice_chance(&reader->dice, 300) ? room : 1 + dice_below(&reader->dice, room);
}

static void announce(const struct reader *reader, struct link_answer *answer)
{
    answer->whole_bytes = reader->whole_bytes;
    snprintf(answer->more_ask, sizeof answer->more_ask, "reader %u", reader->number);
}

struct link_answer *reader_answer(struct reader *reader)
{
    size_t bytes = draw_bytes(reader, reader->whole_bytes - 1);
    expect(!reader->asked || reader->asked_again, "asked once");
    if (reader->asked)
        return control_make_answer(200, "short");
    struct link_answer *answer = make_piece(reader, bytes);
    announce(reader, answer);
    reader->asked = true;
    reader->given_bytes += bytes;
    return answer;
}

static struct link_answer *make_bad_piece(struct reader *reader, uint64_t owed)
{
    switch (reader->pieces) {
    case PIECES_EMPTY:
        return make_piece(reader, 0);
    case PIECES_LARGE:
        return make_piece(reader, owed + 1);
    case PIECES_REFUSED:
        return control_make_answer(dice_chance(&reader->dice, 500) ? 404 : 206, "no");
    default:
        return control_make_answer(0, "");
    }
}

struct link_answer *reader_answer_more(struct reader *reader, uint64_t from)
{
    uint64_t owed = reader->whole_bytes - reader->given_bytes;
    bool bad = reader->pieces != PIECES_FINE && reader->pieces != PIECES_AGAIN;
    expect(reader->asked && from == reader->given_bytes && owed > 0,
           "asked for more from %" PRIu64 " of %" PRIu64, from, reader->given_bytes);
    if (bad && dice_chance(&reader->dice, 400))
        return make_bad_piece(reader, owed);
    size_t bytes = draw_bytes(reader, owed);
    struct link_answer *answer = make_piece(reader, bytes);
    if (reader->pieces == PIECES_AGAIN)
        announce(reader, answer);
    reader->given_bytes += bytes;
    return answer;
}

/* ---- his side ---- */

static void suffer(struct reader *reader)
{
    trace("reader's fate", reader->number, reader->fate, (int64_t)reader->got_bytes);
    reader->fate_ns = NEVER;
    switch (reader->fate) {
    case READER_SLOW:
        tcp_narrow(reader->peer.tcp, 8192);
        reader->peer.budget = 2000 + dice_below(&reader->dice, 20000);
        return;
    case READER_DEAF:
        tcp_narrow(reader->peer.tcp, 8192);
        reader->peer.deaf = true;
        return;
    case READER_RESETS:
        tcp_reset(reader->peer.tcp);
        reader_leave(reader);
        return;
    case READER_FINISHES:
        tcp_finish(reader->peer.tcp);
        return;
    default:
        return;
    }
}

static void ask(struct reader *reader)
{
    char request[80];
    int bytes = snprintf(request, sizeof request, "GET /reader/%u HTTP/1.1\r\nHost: x\r\n\r\n",
                         reader->number);
    peer_say(&reader->peer, span_from(request, (size_t)bytes));
}

static void come(struct reader *reader, uint64_t now_ns)
{
    struct tcp *tcp = tcp_connect(reader->tls ? PORT_TLS : PORT_PLAIN);
    reader->next_ns = NEVER;
    if (!tcp) {
        reader_leave(reader);
        return;
    }
    peer_open(&reader->peer, tcp, true, reader->tls, reader->dice);
    reader->give_up_ns = now_ns + dice_between(&reader->dice, reader->calm ? 60 : 2, 60) * SECOND;
    if (reader->fate != READER_FINE)
        reader->fate_ns = now_ns + dice_below(&reader->dice, 1500) * MS;
}

/* False: not whole yet. */
static bool read_head(struct reader *reader)
{
    struct span head = peer_head(&reader->peer);
    if (head.bytes == 0)
        return false;
    if (!span_starts(head, "HTTP/1.1 200 ")) {
        expect(span_starts(head, "HTTP/1.1 4") || span_starts(head, "HTTP/1.1 5"), "%.*s",
               (int)head.bytes, (const char *)head.data);
        expect(!reader->calm, "a reader is refused");
        reader_leave(reader);
        return false;
    }
    const char *field = memmem(head.data, head.bytes, "Content-Length: ", 16);
    uint64_t bytes = reader->whole ? strlen("short") : reader->whole_bytes;
    expect(field && strtoull(field + 16, NULL, 10) == bytes, "its length");
    peer_drop(&reader->peer, head.bytes);
    return true;
}

static void take_body(struct reader *reader)
{
    struct peer *peer = &reader->peer;
    uint64_t owed = reader->whole_bytes - reader->got_bytes;
    size_t bytes = peer->in_bytes < owed ? peer->in_bytes : owed;
    for (size_t i = 0; i < bytes; i++)
        expect(peer->in[peer->in_first + i] == byte_at(reader, reader->got_bytes + i),
               "byte %" PRIu64, reader->got_bytes + i);
    reader->got_bytes += bytes;
    expect(reader->got_bytes <= reader->given_bytes, "more than was given");
    peer_drop(peer, bytes);
    reader->whole = reader->got_bytes == reader->whole_bytes;
}

/* The connection is good for the next request. */
static void go_on(struct reader *reader)
{
    if (reader->asked_again) {
        reader->answered_again |= read_head(reader);
        if (reader->answered_again)
            reader_leave(reader);
        return;
    }
    reader->asked_again = true;
    if (reader->fate != READER_FINISHES)
        ask(reader);
    else
        reader_leave(reader);
}

static void act(struct reader *reader, uint64_t now_ns)
{
    if (now_ns >= reader->read_ns) {
        reader->read_ns = reader->peer.budget ? now_ns + 100 * MS : 0;
        peer_read(&reader->peer);
    }
    if (!reader->sent && peer_ready(&reader->peer)) {
        reader->sent = true;
        ask(reader);
    }
    if (!reader->begun)
        reader->begun = read_head(reader);
    if (reader->begun && !reader->whole)
        take_body(reader);
    if (reader->whole && reader->peer.tcp)
        go_on(reader);
    if (reader->peer.tcp && now_ns >= reader->fate_ns)
        suffer(reader);
}

uint64_t reader_step(struct reader *reader, uint64_t now_ns)
{
    if (reader->over)
        return NEVER;
    if (now_ns >= reader->next_ns)
        come(reader, now_ns);
    if (reader->peer.tcp)
        act(reader, now_ns);
    if (reader->peer.tcp && (now_ns >= reader->give_up_ns || peer_over(&reader->peer)))
        reader_leave(reader);
    if (!reader->peer.tcp)
        return reader->next_ns;
    uint64_t next_ns = sooner(reader->fate_ns, reader->give_up_ns);
    if (reader->peer.budget && tcp_waiting(reader->peer.tcp))
        next_ns = sooner(next_ns, reader->read_ns);
    return sooner(next_ns, tcp_arrival_ns(reader->peer.tcp));
}

void reader_check(const struct reader *reader)
{
    expect(!reader->calm || (reader->whole && reader->answered_again),
           "reader %u has %" PRIu64 " of %" PRIu64 " bytes", reader->number, reader->got_bytes,
           reader->whole_bytes);
}
