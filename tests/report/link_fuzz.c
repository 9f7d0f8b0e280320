/* Control gone mad: any bytes, in any slices, over several connections, against the edge's side of
 * the link with events and requests waiting. Whatever comes, each request is answered at most once,
 * each letter is whole, and what was not acknowledged is still there.
 *
 * Input: a byte of choices (how the rest is sliced), then what control sends. The frames that the
 * bytes make are tried as they are and, where the first byte says so, behind a good hello. */
#include "common/log.h"
#include "common/panic.h"
#include "edge/report/link_peer.h"

#include <stdlib.h>

#define CORES 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct world {
    struct link_peer *peer;
    struct mail *inboxes[CORES];
    uint64_t now_ms;
    unsigned asked, answered, told;
};

static void ask(struct world *world, uint64_t id)
{
    static const char json[] = "{\"kind\":\"http\"}";
    struct link_request *request =
        link_request_make(strdup(json), sizeof json - 1, span_of("body"));
    assert(request);
    request->core = (unsigned)id % CORES;
    request->id = id;
    request->deadline_ms = world->now_ms + 100 + id;
    FIGURE_ADD(&world->peer->figures, requests_waiting, 1);
    FIGURE_ADD(&world->peer->figures, requests_bytes, sizeof json - 1 + 4);
    link_requests_add(&world->peer->requests, request);
    world->asked++;
}

static void tell(struct world *world)
{
    bool put = link_store_put(&world->peer->store, strdup("{\"kind\":\"dtmf\"}"), 15);
    assert(put);
    FIGURE_ADD(&world->peer->figures, events_waiting, 1);
    FIGURE_ADD(&world->peer->figures, events_bytes, 15 + LINK_EVENT_COST);
    world->told++;
}

static void empty_inboxes(struct world *world)
{
    struct letter letter;
    for (unsigned i = 0; i < CORES; i++)
        while (mail_receive(world->inboxes[i], &letter)) {
            if (letter.kind == LETTER_ANSWER) {
                const struct link_answer *answer = letter.content;
                assert(answer->status == 0 || (answer->status >= 200 && answer->status <= 599));
                assert(strlen(answer->extra) < sizeof answer->extra);
                world->answered++;
            } else if (letter.kind == LETTER_PLAN) {
                const struct plan *plan = letter.content;
                assert(plan->home_core == i);
            }
            link_letter_free(letter);
        }
}

static void move_output(struct world *world, uint8_t choice)
{
    link_peer_fill(world->peer, world->now_ms);
    struct span output = link_peer_output(world->peer);
    link_peer_sent(world->peer, choice & 1 ? output.bytes : output.bytes / 2);
}

/* One connection: all bytes in slices, until they are gone or the link is. */
static void connect_once(struct world *world, struct span bytes, uint8_t choice)
{
    static const char hello[] = "{\"role\":\"control\",\"name\":\"fuzz\"}";
    size_t slice = choice >> 3 ? choice >> 3 : bytes.bytes;
    enum link_verdict verdict = LINK_VERDICT_GOOD;
    link_peer_begin(world->peer);
    if (choice & 2) {
        size_t room;
        uint8_t *at = link_peer_room(world->peer, &room);
        link_encode_header(at, LINK_HELLO, LINK_VERSION, sizeof hello - 1, 0);
        memcpy(at + LINK_HEADER_BYTES, hello, sizeof hello - 1);
        verdict = link_peer_received(world->peer, LINK_HEADER_BYTES + sizeof hello - 1);
        assert(verdict == LINK_VERDICT_GOOD && world->peer->greeted);
    }
    for (unsigned round = 0; verdict == LINK_VERDICT_GOOD && bytes.bytes && round < 10000;
         round++) {
        size_t room;
        move_output(world, choice);
        uint8_t *at = link_peer_room(world->peer, &room);
        size_t take = bytes.bytes < slice ? bytes.bytes : slice;
        take = take < room ? take : room;
        memcpy(at, bytes.data, take);
        bytes = span_from(bytes.data + take, bytes.bytes - take);
        verdict = link_peer_received(world->peer, take);
        if (choice & 4)
            empty_inboxes(world);
        link_post_retry(&world->peer->post);
        link_peer_expire(world->peer, ++world->now_ms);
    }
    link_peer_end(world->peer, world->now_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct world world = {.now_ms = 1000};
    if (bytes < 2)
        return 0;
    log_open("link_fuzz", LOG_TEXT, LOG_ERROR + 1);
    for (unsigned i = 0; i < CORES; i++)
        world.inboxes[i] = mail_open(2);
    world.peer = link_peer_open(CORES, world.inboxes, world.now_ms);
    assert(world.peer);
    for (uint64_t id = 1; id <= 5; id++) {
        ask(&world, id);
        tell(&world);
    }
    connect_once(&world, span_from(data + 1, bytes - 1), data[0]);
    ask(&world, 6);
    connect_once(&world, span_from(data + 1, bytes - 1), data[0] | 2);
    link_peer_expire(world.peer, world.now_ms + 1000000); /* all deadlines have passed */
    do
        empty_inboxes(&world);
    while (link_post_retry(&world.peer->post));
    empty_inboxes(&world);
    struct link_figures *figures = &world.peer->figures;
    assert(world.answered == world.asked);
    assert(figures->requests_waiting == 0 && figures->requests_bytes == 0);
    assert(figures->events_waiting == link_store_waiting(&world.peer->store));
    assert(figures->events_waiting + figures->events_acknowledged == world.told);
    link_peer_close(world.peer);
    for (unsigned i = 0; i < CORES; i++)
        mail_close(world.inboxes[i]);
    return 0;
}
