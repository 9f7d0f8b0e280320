/* How hard a core works: the average by itself, then as a whole core says it. */
#include "edge/io/load.h"

#include "tests/io/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000u

static void follows_what_lasts(void **state)
{
    struct load load = {0};
    (void)state;
    for (unsigned turn = 0; turn < 1000; turn++) /* a second at a quarter, in small turns */
        load_turn(&load, MS / 4, 3 * MS / 4);
    assert_in_range(load.share, 249000, 251000);
    for (unsigned turn = 0; turn < 1000; turn++)
        load_turn(&load, MS, 0);
    assert_in_range(load.share, 999900, LOAD_WHOLE);
    load_turn(&load, 0, LOAD_WINDOW_MS * MS); /* one window without work halves it */
    assert_in_range(load.share, 499900, 500100);
    load_turn(&load, 0, 1000 * LOAD_WINDOW_MS * (uint64_t)MS);
    assert_in_range(load.share, 0, 10000);
}

/* A thousand short turns weigh what a long one of the same time does. */
static void weighs_by_time_not_by_turns(void **state)
{
    struct load many = {0}, few = {0};
    (void)state;
    for (unsigned turn = 0; turn < 20000; turn++)
        load_turn(&many, 1000, 0);
    for (unsigned turn = 0; turn < 20; turn++)
        load_turn(&few, MS, 0);
    assert_in_range(many.share, few.share - 20000, few.share + 20000);
    load_turn(&many, 0, 0);
    assert_in_range(many.share, few.share - 20000, few.share + 20000);
}

static void stays_in_bounds(void **state)
{
    static const uint64_t times[] = {0, 1, 999, UINT32_MAX, UINT64_MAX};
    struct load load = {.share = LOAD_WHOLE};
    (void)state;
    for (size_t worked = 0; worked < 5; worked++)
        for (size_t waited = 0; waited < 5; waited++) {
            load_turn(&load, times[worked], times[waited]);
            assert_true(load.share <= LOAD_WHOLE);
        }
}

/* The core's own account: the clock is moved while it works, or really passes while it waits. */
static void a_core_tells_its_own(void **state)
{
    static struct stage stage;
    (void)state;
    stage_open(&stage, (struct io_config){0}, false);
    uint64_t busy_us = stage.metrics.busy_us, slow = stage.metrics.turns_slow;
    stage_skip(1000);
    stage_turn(&stage, 0);
    unsigned worked = io_pressure(stage.io);
    assert_in_range(worked, 85, 100);
    assert_true(stage.metrics.busy_us >= busy_us + 1000000);
    assert_int_equal(stage.metrics.turns_slow, slow + 1);
    assert_true(stage.metrics.saturation >= 850000 && stage.metrics.saturation <= LOAD_WHOLE);
    stage_turn(&stage, 300);
    assert_true(io_pressure(stage.io) < worked);
    stage_close(&stage);
}

/* Completions that came while it worked are not waited for, so the turn that takes them had no
 * rest. */
static void does_not_wait_for_what_is_there(void **state)
{
    static struct stage stage;
    (void)state;
    stage_open(&stage, (struct io_config){0}, false);
    struct peer *peer = peer_open(stage.port);
    peer_upgrade(&stage, peer);
    uint64_t completions = stage.metrics.completions, turns = stage.metrics.turns;
    peer_frame(&stage, peer, 0x81, "ball", 4);
    stage_until(&stage, peer_read(peer) == 6);
    stage_turn(&stage, 0);
    assert_true(stage.metrics.completions >= completions + 2); /* received, sent; an alarm */
    assert_true(stage.metrics.turns > turns + 1);
    peer_close(peer);
    stage_close(&stage);
}

/* More than a turn takes: the rest is taken by the turns after it, in order, without a wait. */
static void a_turn_takes_so_many_and_no_more(void **state)
{
    static struct stage stage;
    int fds[20];
    (void)state;
    stage_open(&stage, (struct io_config){.completions_max = 4}, false);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(stage.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (unsigned i = 0; i < 20; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
    }
    for (uint64_t before = 0; stage.metrics.conns_accepted < 20;) {
        uint64_t completions = stage.metrics.completions;
        stage_turn(&stage, 1000);
        assert_true(stage.metrics.completions - completions <= 4);
        assert_true(stage.metrics.conns_accepted > before); /* nothing else is there to be done */
        before = stage.metrics.conns_accepted;
    }
    for (unsigned i = 0; i < 20; i++)
        close(fds[i]);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_what_lasts),
        cmocka_unit_test(weighs_by_time_not_by_turns),
        cmocka_unit_test(stays_in_bounds),
        cmocka_unit_test(a_core_tells_its_own),
        cmocka_unit_test(does_not_wait_for_what_is_there),
        cmocka_unit_test(a_turn_takes_so_many_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
