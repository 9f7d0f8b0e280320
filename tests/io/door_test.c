/* The door: how many connections one address may have, by itself and at a core's listener. */
#include "edge/io/door.h"

#include "tests/io/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#define NOW_MS 5000

static uint64_t key_of(const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    address.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (address.ss_family == AF_INET6)
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    else
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    return door_key(&address);
}

static struct door door_with(uint32_t places, uint32_t open_max, uint32_t news_max)
{
    struct door door;
    struct door_limits limits = {places, open_max, news_max};
    assert_true(door_open(&door, &limits));
    return door;
}

static void an_address_is_what_one_customer_has(void **state)
{
    (void)state;
    assert_int_equal(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_int_not_equal(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
    assert_int_not_equal(key_of("192.0.2.1"), key_of("192.0.2.2"));
    assert_int_equal(key_of("::ffff:192.0.2.1"), key_of("192.0.2.1"));
    assert_int_not_equal(key_of("::ffff:192.0.2.1"), key_of("::1"));
    struct sockaddr_storage strange = {.ss_family = AF_UNIX};
    assert_int_not_equal(door_key(&strange), key_of("::1"));
}

static void so_many_and_not_one_more(void **state)
{
    struct door door = door_with(64, 3, 100);
    uint64_t here = key_of("192.0.2.1"), there = key_of("192.0.2.2");
    uint32_t places[4] = {0};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(door_enter(&door, here, NOW_MS, &places[i]), FAULT_NONE);
    assert_true(places[0] && places[0] == places[2]);
    assert_int_equal(door_enter(&door, here, NOW_MS, &places[3]), FAULT_address_full);
    assert_int_equal(places[3], 0);
    assert_int_equal(door_enter(&door, there, NOW_MS, &places[3]), FAULT_NONE);
    door_leave(&door, places[3]);
    door_leave(&door, places[0]);
    assert_int_equal(door_enter(&door, here, NOW_MS + 60000, &places[0]), FAULT_NONE);
    assert_int_equal(door_move_in(&door, here, NOW_MS), places[0]); /* is counted, not refused */
    door_leave(&door, places[0]);
    assert_int_equal(door_enter(&door, here, NOW_MS, &places[3]), FAULT_address_full);
    for (size_t i = 0; i < 3; i++)
        door_leave(&door, places[i]);
    door_leave(&door, 0);
    door_close(&door);
}

static void so_many_in_a_second(void **state)
{
    struct door door = door_with(64, 100, 2);
    uint64_t here = key_of("2001:db8::1");
    uint32_t place;
    (void)state;
    for (uint64_t at_ms = 0; at_ms < 5000; at_ms += 1000) {
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(door_enter(&door, here, at_ms + 999 * i, &place), FAULT_NONE);
            door_leave(&door, place);
        }
        assert_int_equal(door_enter(&door, here, at_ms + 999, &place), FAULT_address_rate);
    }
    door_close(&door);
}

/* More addresses than places: nothing grows, the rest share one place and its limits. */
static void more_addresses_than_places(void **state)
{
    enum { ADDRESSES = 500 };
    struct door door = door_with(64, 10, 1000);
    static uint32_t places[ADDRESSES];
    unsigned shared = 0, refused = 0;
    (void)state;
    for (uint64_t i = 0; i < ADDRESSES; i++) {
        enum fault fault = door_enter(&door, key_of("2001:db8::") + i, NOW_MS, &places[i]);
        refused += fault == FAULT_address_full;
        shared += places[i] == 65;
    }
    assert_int_equal(shared, 10);
    assert_in_range(refused, ADDRESSES - 64 - 10, ADDRESSES);
    for (size_t i = 0; i < ADDRESSES; i++)
        door_leave(&door, places[i]);
    for (uint64_t i = 0; i < 4; i++) { /* who was refused is welcome when others have left */
        uint64_t key = key_of("2001:db8::") + ADDRESSES - 1 - i;
        assert_int_equal(door_enter(&door, key, NOW_MS + 2000, &places[i]), FAULT_NONE);
        assert_int_not_equal(places[i], 65);
        door_leave(&door, places[i]);
    }
    door_close(&door);
}

/* ---- at a listener ---- */

static struct stage stage;

static struct peer *come_from(const char *address)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, listener = {.sin_family = AF_INET};
    struct peer *peer = calloc(1, sizeof *peer);
    assert_non_null(peer);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, address, &own.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &listener.sin_addr);
    listener.sin_port = htons(stage.port);
    assert_int_equal(bind(peer->fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&listener, sizeof listener), 0);
    return peer;
}

static void one_address_does_not_take_all(void **state)
{
    struct peer *greedy[4], *other;
    (void)state;
    stage_open(&stage, (struct io_config){.address_conns_max = 3}, false);
    for (size_t i = 0; i < 4; i++)
        greedy[i] = come_from("127.0.0.1");
    stage_until(&stage, stage.metrics.faults[FAULT_address_full] == 1);
    assert_int_equal(stage.metrics.conns_open, 3);
    other = come_from("127.0.0.2");
    peer_say(&stage, other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_has(other, "200 OK"));
    unsigned over = 0;
    for (size_t i = 0; i < 4; i++)
        over += peer_over(greedy[i]);
    assert_int_equal(over, 1);
    for (size_t i = 0; i < 4; i++)
        peer_close(greedy[i]);
    stage_until(&stage, stage.metrics.conns_open == 1);
    greedy[0] = come_from("127.0.0.1"); /* there is room again */
    peer_say(&stage, greedy[0], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    stage_until(&stage, peer_has(greedy[0], "200 OK"));
    peer_close(greedy[0]);
    peer_close(other);
    stage_close(&stage);
}

static void one_address_does_not_come_all_the_time(void **state)
{
    (void)state;
    stage_open(&stage, (struct io_config){.address_news_max = 5}, false);
    for (unsigned i = 0; i < 40; i++) {
        struct peer *peer = come_from("127.0.0.1");
        stage_until(&stage,
                    stage.metrics.conns_accepted + stage.metrics.faults[FAULT_address_rate] ==
                        i + 1);
        peer_close(peer);
    }
    assert_true(stage.metrics.faults[FAULT_address_rate] > 0);
    stage_until(&stage, stage.metrics.conns_open == 0);
    stage_skip(1000);
    uint64_t accepted = stage.metrics.conns_accepted;
    struct peer *peer = come_from("127.0.0.1");
    stage_until(&stage, stage.metrics.conns_accepted == accepted + 1);
    peer_close(peer);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_what_one_customer_has),
        cmocka_unit_test(so_many_and_not_one_more),
        cmocka_unit_test(so_many_in_a_second),
        cmocka_unit_test(more_addresses_than_places),
        cmocka_unit_test(one_address_does_not_take_all),
        cmocka_unit_test(one_address_does_not_come_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
