"""Transfers, cold and warm: a person is called while the caller waits with music, hears what it is about, and takes the
call, or not. Whatever happens, the caller is given back, and nobody's telephone rings for nobody. Both legs, the
conference and the REST API are played by exchange.py."""
import json
import signal
import subprocess

from exchange import Exchange, Person
from system import eventually, run

NUMBER, PERSON = "+15550100", "+15550101"
WARM = {"step": "dial", "warm": True, "to": PERSON, "ring_s": 20, "briefing": "Ms Example about her bill.",
        "music": "https://music.example.com/a.mp3", "say": "I ask a colleague."}


def world(exchange, step, **person):
    """A system whose number begins with this step."""
    exchange.people[PERSON] = Person(**person)
    return exchange.system()


def begin(system, step):
    org = system.organisation("A", NUMBER, greeting="Good day.")
    system.control("route", "add", "--org", org, json.dumps(step))
    return org


def transfer(system):
    rows = system.sql("SELECT * FROM transfers ORDER BY created_at")
    return rows[0] if len(rows) == 1 else None


def in_state(system, state):
    return eventually(f"the transfer is {state}",
                      lambda: (row := transfer(system)) and row["state"] == state and row, 40)


def over(leg):
    eventually(f"{leg.receiver} is over", lambda: not leg.thread.is_alive(), 40)


def back_with_the_agent(caller):
    eventually("the caller is with the agent", lambda: caller.with_agent, 60)


def settled(system):
    """Nothing is left to do for anybody."""
    eventually("the jobs are done", lambda: all(
        row["state"] == "done" for row in system.sql("SELECT state FROM jobs WHERE kind LIKE 'transfer%'")), 40)


def accepted():
    with Exchange() as exchange, world(exchange, WARM, keys=["", "1"]) as system:
        exchange.twice = True
        begin(system, WARM)
        caller = exchange.call(NUMBER)
        row = in_state(system, "joined")
        (callee,) = exchange.people[PERSON].legs
        assert callee.sender == NUMBER and row["callee_sid"] == callee.sid, (callee.sender, row)
        assert caller.said[:2] == ["I ask a colleague.", "music https://music.example.com/a.mp3"] or \
            caller.said[:1] == ["I ask a colleague."], caller.said
        assert callee.said.count("Ms Example about her bill.") == 2, callee.said  # no key the first time
        callee.hang_up()
        over(caller)
        row = in_state(system, "done")
        settled(system)
        assert not caller.with_agent and caller.verbs == ["Say", "Dial", "Hangup"], caller.verbs
        (leg,) = system.sql("SELECT * FROM call_legs")
        assert leg["call_sid"] == callee.sid and leg["conversation_id"] == row["conversation_id"], leg
        assert leg["call_status"] == "completed" and leg["to_number"] == PERSON, leg
        assert len(system.sql("SELECT id FROM conversations")) == 1  # the leg is no call of its own
        events = [event["body"]["event"] for event in system.sql(
            "SELECT body FROM call_events WHERE kind = 'transfer' ORDER BY at")]
        assert events.count("accept") == 1 and events.count("left") == 1 and events.count("begun") == 1, events


def refused_and_back_with_the_agent():
    with Exchange() as exchange, world(exchange, WARM, keys=["2"]) as system:
        begin(system, WARM | {"back": "Nobody is free. May I take a message?"})
        caller = exchange.call(NUMBER)
        back_with_the_agent(caller)
        row = in_state(system, "returned")
        assert row["reason"] == "refused" and row["left_at"], row
        settled(system)
        (plan,) = system.sql("SELECT (plan_call(organization_id, id)).* FROM conversations")
        assert plan["greeting"] == "Nobody is free. May I take a message?", plan
        assert "cannot take the call now" in plan["instructions"], plan


def nobody_answers_and_the_else_follows():
    with Exchange() as exchange, world(exchange, WARM, ends="no-answer") as system:
        begin(system, WARM | {"else": {"step": "hangup", "say": "Call again tomorrow."}})
        caller = exchange.call(NUMBER)
        over(caller)
        assert caller.said[-1] == "Call again tomorrow.", caller.said
        assert in_state(system, "returned")["reason"] == "no-answer"
        settled(system)


def the_caller_hangs_up_while_it_rings():
    with Exchange() as exchange:
        exchange.people[PERSON] = Person(keys=["1"])
        exchange.people[PERSON].rings.clear()
        with exchange.system() as system:
            begin(system, WARM)
            caller = exchange.call(NUMBER)
            callee = eventually("it rings", lambda: exchange.people[PERSON].legs and exchange.people[PERSON].legs[0])
            eventually("we know of it", lambda: (row := transfer(system)) and row["callee_sid"])
            caller.hang_up()
            over(callee)  # it rings for nobody
            in_state(system, "abandoned")
            settled(system)


def a_deadline_ends_what_never_ends():
    """A telephone that rings for ever, and a carrier that tells nothing of it."""
    with Exchange() as exchange:
        exchange.people[PERSON] = Person()
        exchange.people[PERSON].rings.clear()
        with exchange.system() as system:
            begin(system, WARM)
            caller = exchange.call(NUMBER)
            eventually("it rings", lambda: (row := transfer(system)) and row["callee_sid"])
            subprocess.run(["psql", system.database_url, "-Xqc", "UPDATE transfers SET deadline_at = now()", "-c",
                            "SELECT hurry_transfer(id, now()) FROM transfers"], check=True, stdout=subprocess.DEVNULL)
            back_with_the_agent(caller)
            over(exchange.people[PERSON].legs[0])
            assert in_state(system, "returned")["reason"] == "deadline"
            settled(system)


def the_carrier_does_not_call():
    with Exchange() as exchange, world(exchange, WARM) as system:
        del exchange.people[PERSON]  # 400, Invalid 'To'
        exchange.mishaps = [429]
        begin(system, WARM)
        caller = exchange.call(NUMBER)
        back_with_the_agent(caller)
        assert in_state(system, "returned")["reason"] == "failed"
        assert [path for _, path, _ in exchange.asked].count("Calls.json") == 2, exchange.asked


def control_dies_while_it_calls():
    """Whether the person was called is not known to the next control; the leg tells of itself."""
    with Exchange() as exchange, world(exchange, WARM, keys=["1"]) as system:
        exchange.placing.clear()
        exchange.people[PERSON].rings.clear()
        begin(system, WARM)
        exchange.call(NUMBER)
        eventually("the carrier is asked", lambda: exchange.people[PERSON].legs)
        system.stop("control", signal.SIGKILL)
        exchange.placing.set()
        system.start_control()
        exchange.people[PERSON].rings.set()
        in_state(system, "joined")
        assert len(exchange.people[PERSON].legs) == 1


def control_dies_while_the_caller_is_fetched_back():
    with Exchange() as exchange, world(exchange, WARM, keys=["2"]) as system:
        exchange.mishaps = []
        exchange.people[PERSON].rings.clear()
        begin(system, WARM)
        caller = exchange.call(NUMBER)
        eventually("it rings", lambda: (row := transfer(system)) and row["callee_sid"])
        exchange.mishaps = [503] * 3
        exchange.people[PERSON].rings.set()
        in_state(system, "returned")
        eventually("the carrier was asked in vain", lambda: len(exchange.mishaps) < 3)
        system.stop("control", signal.SIGKILL)
        system.start_control()
        back_with_the_agent(caller)
        settled(system)


def control_is_away_when_they_have_talked():
    """The edge has the caller wait a moment, and the same question come again."""
    with Exchange() as exchange, world(exchange, WARM, keys=["1"]) as system:
        begin(system, WARM)
        caller = exchange.call(NUMBER)
        in_state(system, "joined")
        exchange.lossy = True  # callbacks are not asked again for ever
        system.stop("control", signal.SIGKILL)
        exchange.people[PERSON].legs[0].hang_up()
        eventually("the caller waits for control", lambda: "One moment please." in caller.said)
        system.start_control()
        over(caller)
        assert not caller.with_agent and caller.verbs[-1] == "Hangup", caller.verbs
        assert f"&transfer={in_state(system, 'done')['id']}" in caller.fetched[-1], caller.fetched


def a_cold_transfer():
    step = {"step": "dial", "to": PERSON, "else": {"step": "hangup", "say": "Nobody is in."}}
    with Exchange() as exchange, world(exchange, step) as system:
        begin(system, step)
        caller = exchange.call(NUMBER)
        callee = eventually("they talk", lambda: exchange.people[PERSON].legs and
                            exchange.people[PERSON].legs[0].status == "in-progress" and exchange.people[PERSON].legs[0])
        callee.hang_up()
        over(caller)
        assert caller.verbs == ["Dial", "Hangup"] and callee.sender == caller.sender, (caller.verbs, callee.sender)
        exchange.people[PERSON].ends = "busy"
        second = exchange.call(NUMBER)
        over(second)
        assert second.said == ["Nobody is in."], second.said
        legs = eventually("both legs are on record", lambda: len(rows := system.sql(
            "SELECT l.call_status, c.call_sid FROM call_legs AS l JOIN conversations AS c ON c.id = l.conversation_id "
            "ORDER BY l.created_at")) == 2 and rows)
        assert [leg["call_status"] for leg in legs] == ["completed", "busy"], legs
        assert [leg["call_sid"] for leg in legs] == [caller.sid, second.sid], legs
        assert system.sql("SELECT id FROM transfers") == []


if __name__ == "__main__":
    run(accepted, refused_and_back_with_the_agent, nobody_answers_and_the_else_follows, the_caller_hangs_up_while_it_rings,
        a_deadline_ends_what_never_ends, the_carrier_does_not_call, control_dies_while_it_calls,
        control_dies_while_the_caller_is_fetched_back, control_is_away_when_they_have_talked, a_cold_transfer)
