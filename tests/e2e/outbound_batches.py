"""Whatever happens to the carrier, to its answers, or to control: nobody is called twice and none is forgotten. Nothing here depends on
how fast anything is: the bounds of the waits only end a hopeless one."""
import collections
import signal

from outbound import HANGUP, OURS, Outbound, numbers
from system import eventually, run

HOPELESS_S = 400


def whatever_the_carrier_does_with_our_questions_each_is_called_once():
    troubles = ("429:5", "500:7", "500-after:6", "cut:11", "cut-after:4", "half-after:9", "mute-after:13")
    arguments = [word for trouble in troubles for word in ("--trouble", trouble)]
    with Outbound(*arguments, job_workers=8) as system:
        org = system.organisation("A", OURS)
        system.limits(org, calls_per_minute=6000, calls_at_once=100, settle_s=5)
        wanted = numbers(40)
        system.batch(org, "trouble", wanted, calls_per_minute=6000, **HANGUP)
        eventually("each has a call, and of each it is known", lambda: system.sql(
            "SELECT count(*) FROM call_attempts WHERE call_sid IS NOT NULL") == [{"count": len(wanted)}], HOPELESS_S)
        assert system.times_called() == {number: 1 for number in wanted}
        rows = system.sql("SELECT state, asks, found_by, doubles FROM call_attempts")
        assert len(rows) == len(wanted) and {row["state"] for row in rows} <= {"made", "over"}, rows
        assert not any(row["doubles"] for row in rows), rows
        found = collections.Counter(row["found_by"] for row in rows)
        assert found["list"] > 0 and found["answer"] + found["webhook"] > 0, found  # the mute ones only the list knows
        assert max(row["asks"] for row in rows) > 1, "nothing was asked for again, so there was no trouble"


def order_and_pace(system, calls_per_s):
    """By the clock of the pace, which stands in the database: the order of the file, and in no second more than the pace and what
    half a second makes up for."""
    turned = system.sql("SELECT count(*) FROM (SELECT max(line) OVER (ORDER BY a.created_at RANGE BETWEEN UNBOUNDED "
                        "PRECEDING AND '1 microsecond' PRECEDING) AS before, line FROM call_attempts AS a JOIN outbound_calls AS c "
                        "ON c.id = a.outbound_call_id) AS released WHERE line < before")
    assert turned == [{"count": 0}], turned
    worst = system.sql("SELECT max(n) FROM (SELECT count(*) OVER (ORDER BY created_at RANGE BETWEEN CURRENT ROW AND "
                       "'1 second' FOLLOWING) AS n FROM call_attempts) AS seconds")[0]["max"]
    assert worst <= calls_per_s * 1.5 + 1, worst


def a_thousand_numbers_survive_two_kills_in_the_middle():
    with Outbound(job_workers=8) as system:
        org = system.organisation("A", OURS)
        system.limits(org, calls_per_minute=6000, calls_at_once=500, calls_per_day=5000, settle_s=5)
        wanted = numbers(1000, 15551000)
        system.batch(org, "thousand", wanted, calls_per_minute=20 * 60, **HANGUP)
        for mark in (300, 600):
            eventually("it is in the middle", lambda: system.has_called(mark), HOPELESS_S)
            system.stop("control", signal.SIGKILL)
            system.start_control()
        eventually("so many calls were made", lambda: system.has_called(len(wanted)), HOPELESS_S)
        shown = system.finished_batch("thousand", HOPELESS_S)
        assert shown["numbers"] == {"completed": 1000}, shown
        assert system.times_called() == {number: 1 for number in wanted}
        attempts = system.sql("SELECT count(*), count(DISTINCT call_sid) AS calls, sum(doubles) AS doubles FROM call_attempts")
        assert attempts == [{"count": 1000, "calls": 1000, "doubles": 0}], attempts
        calls = system.sql("SELECT count(*) FROM conversations WHERE call_status = 'completed' AND direction = 'outbound'")
        assert calls == [{"count": 1000}], calls
        order_and_pace(system, 20)


if __name__ == "__main__":
    run(whatever_the_carrier_does_with_our_questions_each_is_called_once, a_thousand_numbers_survive_two_kills_in_the_middle)
