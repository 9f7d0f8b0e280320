/* Calls that we make, as the database sees them before anybody is asked for one: who may be called,
 * hours and zones, pace and limits. Each attempt's steps: outbound_attempt_test.c. */
#include "tests/control/outbound_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a call is asked for ---- */

static void a_call_is_put_into_the_queue_once_and_only_from_own_numbers(void **state)
{
    (void)state;
    struct world_wish first = world_wish("+15550177", "one"),
                      again = world_wish("+15550177", "one"),
                      other = world_wish("+15550178", "one"),
                      theirs = world_wish("+15550177", NULL), alone = world_wish("+15550177", NULL);
    other.call.hash[0] = 1;
    theirs.call.from = "+15550101";
    alone.call.account = NULL;
    assert_int_equal(world_make(&first), OUTBOUND_MADE);
    assert_int_equal(world_make(&again), OUTBOUND_REPEATED);
    assert_string_equal(first.id, again.id);
    assert_int_equal(world_make(&other), OUTBOUND_OTHER_REQUEST);
    assert_int_equal(world_make(&theirs), OUTBOUND_NOT_OURS);
    assert_int_equal(world_make(&alone), OUTBOUND_NO_ACCOUNT);
    world_must(
        "INSERT INTO do_not_call (organization_id, phone_number, reason, added_by) VALUES ('%s', "
        "'+15550179', '', 'a test')",
        world.acme);
    struct world_wish never = world_wish("+15550179", NULL);
    assert_int_equal(world_make(&never), OUTBOUND_DO_NOT_CALL);
    world_must("UPDATE phone_numbers SET is_active = false WHERE phone_number = '+15550100'");
    struct world_wish late = world_wish("+15550176", NULL);
    assert_int_equal(world_make(&late), OUTBOUND_NOT_OURS);
    world_must("UPDATE phone_numbers SET is_active = true WHERE phone_number = '+15550100'");
}

/* ---- hours and zones ---- */

static void a_number_tells_its_zones_or_nothing(void **state)
{
    (void)state;
    static const char *const known[][2] = {
        {"+49305550100", "{Europe/Berlin}"},
        {"+12125550100", "{America/New_York,America/Los_Angeles}"},
        {"+18085550100", "{Pacific/Honolulu}"},
        {"+77015550100", "{Asia/Almaty}"},
        {"+35315550100", "{Europe/Dublin}"},
        {"+88315550100", "{Europe/Vienna}"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_equal(world_ask("SELECT number_zones('%s', 'Europe/Vienna')", known[i][0]),
                            known[i][1]);
    assert_string_equal(world_ask("SELECT count(*) FROM dialling_zones, unnest(zones) AS z "
                                  "WHERE NOT is_time_zone(z)"),
                        "0");
}

static const char *next_open(const char *hours, const char *zones, const char *moment)
{
    return world_ask("SELECT to_char(next_open(%s, '%s', timestamptz '%s') AT TIME ZONE 'UTC', "
                     "'Dy HH24:MI')",
                     hours, zones, moment);
}

static void it_is_open_where_it_is_open_for_all(void **state)
{
    (void)state;
    static const char week[] = "'{1,2,3,4,5}', '09:00', '17:00'";
    assert_string_equal(next_open(week, "{Europe/Berlin}", "2026-11-20 12:00Z"), "Fri 12:00");
    assert_string_equal(next_open(week, "{Europe/Berlin}", "2026-11-20 07:59Z"), "Fri 08:00");
    assert_string_equal(next_open(week, "{Europe/Berlin}", "2026-11-20 16:00Z"), "Mon 08:00");
    /* nine in Los Angeles is noon in New York */
    assert_string_equal(
        next_open(week, "{America/New_York,America/Los_Angeles}", "2026-11-20 14:30Z"),
        "Fri 17:00");
    assert_string_equal(
        next_open(week, "{America/New_York,America/Los_Angeles}", "2026-11-20 22:00Z"),
        "Mon 17:00");
    assert_string_equal(
        next_open("'{1,2,3,4,5,6,7}', '22:00', '02:00'", "{UTC}", "2026-11-20 01:30Z"),
        "Fri 01:30");
    assert_string_equal(
        next_open("'{1,2,3,4,5,6,7}', '00:00', '24:00'", "{UTC}", "2026-11-20 01:30Z"),
        "Fri 01:30");
    /* the clocks of Kaliningrad and Kamchatka have no hour of these in common */
    assert_string_equal(next_open("'{1}', '10:00', '15:00'", "{Europe/Kaliningrad,Asia/Kamchatka}",
                                  "2026-11-20 01:30Z"),
                        "");
}

/* Whose clock counts is seen by when a number is looked at again. */
static void everybody_is_called_by_the_own_clock(void **state)
{
    static const char when[] = "SELECT string_agg(to_char(due_at AT TIME ZONE 'UTC', 'HH24:MI'), "
                               "' ' ORDER BY line) FROM outbound_calls";
    (void)state;
    world_batch("clocks", 3,
                "days = ARRAY[extract(isodow FROM now() AT TIME ZONE 'UTC' + "
                "interval '3 days')::smallint], opens = '12:00', closes = '13:00', "
                "time_zone = 'Asia/Kolkata'");
    world_must("UPDATE outbound_calls SET to_number = '+819055501' || line WHERE line = 2");
    world_must("UPDATE outbound_calls SET to_number = '+819055501' || line, time_zone = 'UTC' "
               "WHERE line = 3");
    world_must("UPDATE outbound_calls SET to_number = '+88315550100' WHERE line = 4");
    assert_int_equal(world_release(), 0);
    /* noon of Tokyo, of the row, and of the batch, for what a number does not tell */
    assert_string_equal(world_ask(when), "03:00 12:00 06:30");
}

/* ---- pace and limits ---- */

static void a_tick_releases_what_the_pace_allows(void **state)
{
    (void)state;
    world_batch("paced", 300, "calls_per_minute = 1200");
    assert_in_range(world_release(), 10, 11); /* half a second of twenty a second, and the next */
    world_must("UPDATE call_batches SET next_at = now() + interval '1 minute'");
    assert_int_equal(world_release(), 0);
    world_must("UPDATE call_batches SET next_at = now() - interval '1 minute'");
    assert_in_range(world_release(), 10, 11); /* a minute that was missed is not made up for */
    world_must("UPDATE call_batches SET next_at = now() - interval '1 minute'");
    world_must("UPDATE outbound_limits SET next_at = now() + interval '1 minute'");
    assert_int_equal(world_release(), 0); /* the organisation's own pace holds too */
    assert_string_equal(
        world_ask("SELECT count(*) = count(DISTINCT outbound_call_id) AND count(*) = "
                  "(SELECT count(*) FROM jobs WHERE kind = 'call_make') "
                  "FROM call_attempts"),
        "t");
}

/* Each with numbers of its own. */
static void two_batches(unsigned count)
{
    world_batch("one", count, NULL);
    world_batch("other", count, NULL);
    world_must("UPDATE outbound_calls SET to_number = '+1666' || right(to_number, 7) "
               "WHERE batch_id = (SELECT id FROM call_batches WHERE name = 'other')");
}

/* Two that may each do it alone share what the organisation may, from tick to tick. */
static void the_organisations_own_pace_holds_over_its_batches(void **state)
{
    (void)state;
    two_batches(100);
    world_must("UPDATE outbound_limits SET calls_per_minute = 1200, next_at = now() - "
               "interval '1 minute'");
    assert_in_range(world_release(), 10, 11); /* half a second of twenty a second, and the next */
    assert_string_equal(world_ask("SELECT next_at > now() - interval '10 seconds' "
                                  "FROM outbound_limits WHERE organization_id = '%s'",
                                  world.acme),
                        "t");
    world_must("UPDATE outbound_limits SET next_at = now() + interval '1 minute'");
    assert_int_equal(world_release(), 0);
}

static void a_paused_batch_waits_while_another_runs(void **state)
{
    (void)state;
    two_batches(3);
    world_must("UPDATE call_batches SET state = 'paused' WHERE name = 'one'");
    assert_int_equal(world_release(), 3);
    assert_int_equal(world_release(), 0);
    assert_string_equal(
        world_ask("SELECT string_agg(DISTINCT b.name, ' ') FROM outbound_calls AS o "
                  "JOIN call_batches AS b ON b.id = o.batch_id "
                  "WHERE o.state = 'calling'"),
        "other");
}

static void limits_of_the_organisation_hold_over_all(void **state)
{
    (void)state;
    world_batch("limited", 30, NULL);
    world_must("UPDATE outbound_limits SET calls_at_once = 7 WHERE organization_id = '%s'",
               world.acme);
    assert_int_equal(world_release(), 7);
    assert_int_equal(world_release(), 0);
    world_must(
        "UPDATE call_attempts SET state = 'over', call_sid = 'CA' || replace(id::text, '-', ''), "
        "found_by = 'answer'");
    world_must("UPDATE outbound_limits SET calls_per_day = 10 WHERE organization_id = '%s'",
               world.acme);
    assert_int_equal(world_release(), 3);
    world_must("UPDATE call_attempts SET state = 'dropped' WHERE state = 'ready'");
    assert_int_equal(world_release(), 3); /* nobody was called in vain */
    world_must("UPDATE outbound_limits SET calls_at_once = 0 WHERE organization_id = '%s'",
               world.acme);
    assert_int_equal(world_release(), 0);
}

static void who_must_not_be_called_now_is_not(void **state)
{
    (void)state;
    world_batch("careful", 4, "days = '{1,2,3,4,5,6,7}'");
    world_must(
        "INSERT INTO do_not_call (organization_id, phone_number, reason, added_by) VALUES ('%s', "
        "'+15551000000', '', 'a test')",
        world.acme);
    world_must("UPDATE outbound_calls SET time_zone = 'UTC'");
    world_must(
        "UPDATE call_batches SET opens = ((now() AT TIME ZONE 'UTC') + interval '2 hours')::time, "
        "closes = ((now() AT TIME ZONE 'UTC') + interval '3 hours')::time");
    assert_int_equal(world_release(), 0);
    assert_string_equal(
        world_ask("SELECT outcome FROM outbound_calls WHERE to_number = '+15551000000'"),
        "do_not_call");
    assert_string_equal(world_ask("SELECT count(*) FROM outbound_calls WHERE state = 'waiting' AND "
                                  "due_at BETWEEN now() + interval '118 minutes' "
                                  "AND now() + interval '121 minutes'"),
                        "3");
    world_must("UPDATE call_batches SET opens = '00:00', closes = '24:00', state = 'paused'");
    world_must("UPDATE outbound_calls SET due_at = now() WHERE state = 'waiting'");
    assert_int_equal(world_release(), 0);
    world_must("UPDATE call_batches SET state = 'running'");
    assert_int_equal(world_release(), 3);
}

/* One open attempt to a number, whoever asked for it. */
static void a_number_is_never_called_twice_at_the_same_time(void **state)
{
    (void)state;
    struct world_wish one = world_wish("+15550177", NULL), two = world_wish("+15550177", NULL);
    world_make(&one);
    world_make(&two);
    assert_int_equal(world_release(), 1);
    assert_int_equal(world_release(), 0);
    assert_string_equal(world_ask("SELECT count(*) FROM outbound_calls WHERE state = 'waiting' AND "
                                  "due_at > now()"),
                        "1");
}

static void variables_are_put_in_and_cannot_break_out(void **state)
{
    (void)state;
    assert_string_equal(
        world_ask("SELECT fill_in('Hello {{name}}, {{x}}', '{\"name\": \"A\\\"da\"}')"),
        "Hello A\"da, {{x}}");
    assert_string_equal(
        world_ask(
            "SELECT fill_in('{\"say\": \"Hi {{name}}\"}', '{\"name\": \"A\\\"}, {\\\\\"}', true)"
            "::jsonb ->> 'say'"),
        "Hi A\"}, {\\");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_call_is_put_into_the_queue_once_and_only_from_own_numbers,
                               world_clear),
        cmocka_unit_test(a_number_tells_its_zones_or_nothing),
        cmocka_unit_test(it_is_open_where_it_is_open_for_all),
        cmocka_unit_test_setup(everybody_is_called_by_the_own_clock, world_clear),
        cmocka_unit_test_setup(a_tick_releases_what_the_pace_allows, world_clear),
        cmocka_unit_test_setup(the_organisations_own_pace_holds_over_its_batches, world_clear),
        cmocka_unit_test_setup(a_paused_batch_waits_while_another_runs, world_clear),
        cmocka_unit_test_setup(limits_of_the_organisation_hold_over_all, world_clear),
        cmocka_unit_test_setup(who_must_not_be_called_now_is_not, world_clear),
        cmocka_unit_test_setup(a_number_is_never_called_twice_at_the_same_time, world_clear),
        cmocka_unit_test(variables_are_put_in_and_cannot_break_out),
    };
    return cmocka_run_group_tests(tests, world_begin, world_end);
}
