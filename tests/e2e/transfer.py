"""Transfers, cold and warm: a person is called while the caller waits with music, hears what it is about, and takes the
call, or not. Whatever happens, the caller is given back, and nobody's telephone rings for nobody. Both legs, the
conference and the REST API are played by exchange.py."""
import json
import random
import signal
import subprocess
import tempfile

from exchange import Exchange, Person
from system import System, eventually, run

KILLS = 12  # of control, in one story
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


class Desk(System):
    """An organisation whose agent may connect callers with a colleague."""

    def __init__(self, step):
        self.step, self.script = step, tempfile.NamedTemporaryFile("w", prefix="rb-script-", suffix=".json")
        json.dump({"rules": [
            {"when": "tool", "say": "That is done."},
            {"contains": "a colleague", "say": "I ask somebody.", "call": {"name": "transfer", "arguments": {
                "to": "sales", "briefing": "Ms Example wants to change her order."}}},
            {"say": "Hello."}]}, self.script)
        self.script.flush()
        super().__init__(ai_arguments=["--script", self.script.name])
        self.record_dialogue()

    def __enter__(self):
        super().__enter__()
        self.org = self.organisation("A", NUMBER, greeting="")
        self.control("tool", "add", "transfer", json.dumps({"to": {"sales": self.step}}), "--org", self.org)
        return self

    def said(self):
        return [row["content"] for row in self.sql(
            "SELECT content FROM conversation_messages WHERE role = 'assistant' ORDER BY timestamp, id")]

    def wait_for_agent(self, sessions):
        eventually("the agent listens", lambda: len(self.sql(
            "SELECT id FROM call_events WHERE kind = 'ai_ready'")) == sessions, 60)


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
        assert callee.told == ["initiated", "ringing", "answered", "completed"], callee.told
        (leg,) = system.sql("SELECT * FROM call_legs")
        assert leg["call_sid"] == callee.sid and leg["conversation_id"] == row["conversation_id"], leg
        assert leg["call_status"] == "completed" and leg["to_number"] == PERSON, leg
        assert len(system.sql("SELECT id FROM conversations")) == 1  # the leg is no call of its own
        events = [event["body"]["event"] for event in system.sql(
            "SELECT body FROM call_events WHERE kind = 'transfer' ORDER BY at, id")]
        assert events.count("accept") == 1 and events.count("left") == 1 and events.count("begun") == 1, events
        (listed,) = json.loads(system.control("transfers", "list", "--json"))
        assert listed["id"] == row["id"] and listed["state"] == "done" and listed["to"] == PERSON, listed
        shown = json.loads(system.control("transfers", "show", row["id"]))
        assert [event["event"] for event in shown["events"]] == events and shown["place"] == row["place"], shown


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


def the_agent_transfers_and_has_the_caller_again():
    """The whole chain: stream, the AI calls its function, music, nobody answers, stream again, and the AI knows why."""
    step = {"step": "dial", "warm": True, "to": PERSON, "back": "Nobody is free. May I take a message?"}
    with Exchange() as exchange, exchange.system(Desk(step)) as system:
        exchange.people[PERSON] = Person(ends="no-answer")
        caller = exchange.call(NUMBER, streams=[])
        system.wait_for_agent(1)
        caller.streams[0].say("I want to talk to a colleague.")
        row = in_state(system, "returned")
        assert row["reason"] == "no-answer" and row["step"]["briefing"] == "Ms Example wants to change her order.", row
        eventually("the agent has told the caller", lambda: system.said() == ["I ask somebody.", step["back"]], 60)
        assert caller.verbs == ["Connect", "Redirect", "Dial", "Redirect", "Connect"], caller.verbs
        assert len(caller.streams) == 2 and len(exchange.people[PERSON].legs) == 1
        with open(system.dialogue.name) as file:
            told = [line for line in file if '"client"' in line and "nobody answered" in line]
        assert told, "the agent was not told why the caller is back"
        (function,) = system.sql("SELECT * FROM tool_calls")
        assert function["name"] == "transfer" and function["state"] == "done", function
        caller.streams[1].say("Then goodbye.")
        eventually("they talk", lambda: system.said()[2:] == ["Hello."], 60)
        caller.hang_up()
        row = system.finished(caller.sid)
        over(caller)
        assert system.sql("SELECT count(*) AS n FROM conversations") == [{"n": 1}]
        settled(system)
        system.judge_dialogue()


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


class Crowd(dict):
    """Whoever is called is somebody else."""
    manners = [{"keys": ["1"]}, {"keys": ["2"]}, {"ends": "no-answer"}, {"keys": ["1"]}, {"ends": "busy"}, {"keys": ["", ""]},
               {"keys": [None]}, {"ends": "failed"}]

    def __init__(self):
        super().__init__()
        self.met = []

    def __contains__(self, number):
        return number == PERSON

    def __getitem__(self, number):
        self.met.append(Person(**Crowd.manners[len(self.met) % len(Crowd.manners)]))
        return self.met[-1]


def control_dies_again_and_again():
    """Whatever it has just been doing: every caller is given back or has talked, and nobody is called twice."""
    random.seed(5)
    with Exchange() as exchange:
        exchange.people, exchange.stubborn = Crowd(), True
        with exchange.system() as system:
            begin(system, WARM | {"ring_s": 5, "accept_s": 3})
            callers = []

            def hang_up_when_talking():
                for room in list(exchange.rooms.values()):
                    for leg in list(room.members) if room.started else ():
                        if leg.person:
                            leg.hang_up()

            def all_settled():
                hang_up_when_talking()
                rows = system.sql("SELECT ended_at FROM transfers")
                return len(rows) >= len(callers) and all(row["ended_at"] for row in rows) and all(
                    caller.with_agent or not caller.thread.is_alive() for caller in callers)
            for death in range(KILLS):
                # Each time somebody comes who gives control five things to do at least, so there is work to die in.
                callers += [exchange.call(NUMBER) for _ in range(1 if death else 4)]
                for _ in range(random.randint(1, 5)):
                    hang_up_when_talking()
                    assert exchange.works.acquire(timeout=240), "nothing is being done"
                assert system.stop("control", signal.SIGKILL) is None
                while exchange.works.acquire(blocking=False):  # what was done before
                    pass
                system.start_control()
            eventually("everybody is cared for", all_settled, 240)
            rows = system.sql("SELECT t.*, c.call_sid FROM transfers AS t JOIN conversations AS c ON c.id = t.conversation_id")
            calls = [leg.url.partition("transfer=")[2][:36] for leg in exchange.legs if leg.person]
            assert len(calls) == len(set(calls)), sorted(calls)  # nobody is called twice for one caller
            assert sorted(row["call_sid"] for row in rows) == sorted(caller.sid for caller in callers), rows
            for row in rows:
                caller = next(caller for caller in callers if caller.sid == row["call_sid"])
                assert row["state"] in ("done", "returned"), row
                assert caller.with_agent == (row["state"] == "returned"), (row, caller.verbs)
            assert "done" in {row["state"] for row in rows}, rows
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
    run(accepted, refused_and_back_with_the_agent, the_agent_transfers_and_has_the_caller_again,
        nobody_answers_and_the_else_follows, the_caller_hangs_up_while_it_rings,
        a_deadline_ends_what_never_ends, the_carrier_does_not_call, control_dies_while_it_calls,
        control_dies_while_the_caller_is_fetched_back, control_dies_again_and_again,
        control_is_away_when_they_have_talked, a_cold_transfer)
