/* A whole core's connections from one byte string: peers, slices, misfortunes, time and the owner's
 * whims are all drawn from it. At the end everything must be home: io_close and the fake kernel
 * check that. Linked with fake_kernel.c and fake_tls.c in place of ring_kernel.c and tls.c. */
#include "common/panic.h"
#include "edge/io/conn.h"
#include "tests/io/fake_kernel.h"

#include <stdio.h>

#define TURNS_MAX   20000
#define HELD_MAX    16
#define TRANSIT_MAX 4
#define LETTER_CONN 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct owner {
    struct io *io;
    struct metrics metrics;
    struct mail *inbox;
    uint64_t held[HELD_MAX]; /* requests without an answer, by reference */
    unsigned held_count;
    struct letter transit[TRANSIT_MAX]; /* conns between two cores, out of the inbox already */
    unsigned transit_count;
    uint64_t requests, ends;
};

static void hold(struct owner *owner, struct conn *conn)
{
    if (owner->held_count < HELD_MAX)
        owner->held[owner->held_count++] = conn_ref(conn);
    else
        conn_refuse(owner->io, conn, FAULT_no_capacity);
}

static void decide(struct owner *owner, struct conn *conn, const struct message *message)
{
    struct io *io = owner->io;
    switch (fake_kernel_dice(8)) {
    case 0:
        hold(owner, conn);
        break;
    case 1:
        conn_refuse(io, conn, FAULT_not_found);
        break;
    case 2:
        conn_close(io, conn, FAULT_shutting_down);
        break;
    case 3:
        conn_abort(io, conn);
        break;
    case 4:
        conn_hand_over(io, conn, owner->inbox, LETTER_CONN);
        break;
    default:
        if (message->head->upgrade)
            conn_upgrade(io, conn, 300);
        else if (message->body.bytes && fake_kernel_dice(2))
            conn_respond_first(io, conn, 200, "", "", message->body,
                               message->body.bytes + fake_kernel_dice(3));
        else
            conn_respond(io, conn, 200, "text/plain", "X-Extra: 1\r\n", message->body,
                         fake_kernel_dice(4) == 0);
    }
}

static void converse(struct owner *owner, struct conn *conn, const struct message *message)
{
    switch (fake_kernel_dice(16)) {
    case 14:
        conn_close(owner->io, conn, FAULT_stream_unexpected);
        break;
    case 15:
        conn_abort(owner->io, conn);
        break;
    default:
        if (message->kind == MESSAGE_BINARY)
            conn_send_binary(owner->io, conn, message->body);
        else
            conn_send_text(owner->io, conn, message->body);
    }
}

/* At once, or not at all. */
static void give_more(struct owner *owner, struct conn *conn)
{
    if (fake_kernel_dice(4))
        conn_respond_more(owner->io, conn, span_of("m"));
    else
        conn_abort(owner->io, conn);
}

static void pull(struct owner *owner, struct conn *conn)
{
    struct message message;
    bool over = false;
    while (conn && conn_next(owner->io, conn, &message)) {
        assert(!over); /* END is the last */
        if (message.kind == MESSAGE_REQUEST) {
            owner->requests++;
            decide(owner, conn, &message);
        } else if (message.kind == MESSAGE_MORE) {
            assert(conn_owed_bytes(conn) > 0 && conn_queued_bytes(conn) == 0);
            give_more(owner, conn);
        } else if (message.kind == MESSAGE_END) {
            owner->ends++;
            over = true;
        } else if (message.kind == MESSAGE_OPEN) {
            conn_send_text(owner->io, conn, span_of("hello"));
        } else {
            converse(owner, conn, &message);
        }
    }
}

static void answer_one(struct owner *owner)
{
    if (!owner->held_count)
        return;
    struct conn *conn = conn_find(owner->io, owner->held[--owner->held_count]);
    if (conn)
        conn_respond(owner->io, conn, 200, "", "", span_of("late"), false);
}

static void dial(struct owner *owner, bool tls)
{
    struct dial dial = {.address_bytes = sizeof(struct sockaddr_in),
                        .host = "h",
                        .port = 80,
                        .tls = tls,
                        .target = "/",
                        .headers = "Authorization: x\r\n",
                        .message_bytes_max = 300};
    dial.address.ss_family = AF_INET;
    conn_dial(owner->io, &dial);
}

/* Letters are read late, in any order, or never. */
static void read_inbox(struct owner *owner)
{
    while (owner->transit_count < TRANSIT_MAX &&
           mail_receive(owner->inbox, &owner->transit[owner->transit_count]))
        owner->transit_count++;
    while (owner->transit_count) {
        unsigned whim = fake_kernel_dice(32), at = whim % owner->transit_count;
        if (whim >= 24 && !fake_kernel_over())
            return; /* later */
        struct letter letter = owner->transit[at];
        owner->transit[at] = owner->transit[--owner->transit_count];
        if (whim >= 20)
            conn_parcel_free(letter.content);
        else
            pull(owner, conn_adopt(owner->io, letter.content));
    }
}

static void turn(struct owner *owner)
{
    struct io_done done;
    struct timer *timer;
    io_wait(owner->io, 100);
    while (io_next(owner->io, &done)) {
        if (done.op == OP_ACCEPT)
            conn_accepted(owner->io, &done);
        else if (done.op == OP_CONNECT)
            conn_connected(owner->io, &done);
        else if (done.op == OP_RECEIVE)
            conn_received(owner->io, &done);
        else if (done.op == OP_SEND)
            conn_sent(owner->io, &done);
        pull(owner, done.conn);
    }
    while ((timer = wheel_take(io_wheel(owner->io))))
        pull(owner, conn_expired(owner->io, timer));
    read_inbox(owner);
    unsigned whim = fake_kernel_dice(32);
    if (whim >= 30)
        dial(owner, whim == 30);
    else if (whim > 24)
        answer_one(owner);
    io_flush(owner->io);
}

static void listen_on(struct owner *owner, bool tls)
{
    char error[256];
    struct sockaddr_in address = {.sin_family = AF_INET};
    bool listening =
        io_listen(owner->io, (struct sockaddr *)&address, sizeof address, tls, error, sizeof error);
    assert(listening);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct owner owner;
    char error[256];
    fake_kernel_begin(span_from(data, bytes));
    owner = (struct owner){.inbox = mail_open(2)};
    struct io_config config = {.conns_max = 8,
                               .ring_entries = 8,
                               .receive_buffers = 4,
                               .metrics = &owner.metrics,
                               .send_queue_bytes_max = 2000,
                               .shakes_max = 1,
                               .strangers_max = 3,
                               .tls_server = (struct tls_server *)&owner, /* never looked at */
                               .tls_client = (struct tls_client *)&owner,
                               .doorbell = -1};
    owner.io = io_open(&config, error, sizeof error);
    assert(owner.io);
    listen_on(&owner, false);
    listen_on(&owner, true);
    for (unsigned turns = 0; turns < TURNS_MAX && !fake_kernel_over(); turns++)
        turn(&owner);
    io_close(owner.io);
    struct letter letter;
    while (owner.transit_count)
        conn_parcel_free(owner.transit[--owner.transit_count].content);
    while (mail_receive(owner.inbox, &letter))
        conn_parcel_free(letter.content);
    mail_close(owner.inbox);
    assert(fake_kernel_open_count() == 0);
    assert(owner.metrics.conns_open == 0 && owner.metrics.send_queued_bytes == 0);
    return 0;
}
