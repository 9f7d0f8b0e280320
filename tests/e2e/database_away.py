"""PostgreSQL goes away in the middle of calls and callbacks: stopped for real, and frozen (SIGSTOP), where every deadline has
to pass. Callers are answered as the organisation has chosen, running calls go on, callbacks are acknowledged when they are on
disk, and afterwards every fact is on record once."""
import json
import os
import signal
import subprocess
import threading
from pathlib import Path

from system import ACCOUNT, ROOT, System, eventually, run

NUMBER, OTHER = "+15550100", "+15550200"


class Away:
    """PostgreSQL, gone for the time of a block."""

    def __init__(self, system, frozen):
        self.system, self.frozen, self.directory = system, frozen, system.directory / "pg"

    def pg(self, verb):
        subprocess.run([ROOT / "tests/control/pg.sh", verb, self.directory], check=True, capture_output=True,
                       env=os.environ | {"PG_FSYNC": "off"})

    def processes(self):
        postmaster = int((self.directory / "data/postmaster.pid").read_text().split()[0])
        found = [postmaster]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == postmaster:
                    found.append(int(stat.parent.name))
            except OSError:
                pass
        return found

    def __enter__(self):
        if not self.frozen:
            self.pg("stop")
            return
        self.pids = self.processes()
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        if not self.frozen:
            self.pg("start")
            return
        for pid in self.pids[::-1]:
            os.kill(pid, signal.SIGCONT)


def sid(number):
    return f"CA{number:032x}"


def form(call_sid, **more):
    return {"AccountSid": ACCOUNT, "CallSid": call_sid, "From": "+15550177", "To": NUMBER, "Direction": "inbound"} | more


def status(system, call_sid, sequence, name, token):
    return system.post("/api/twilio/status-callback", form(call_sid, CallStatus=name, SequenceNumber=str(sequence),
                                                           Timestamp=f"Fri, 20 Nov 2026 10:00:0{sequence} +0000"),
                       headers=[("I-Twilio-Idempotency-Token", token)])[0]


def repeat_callbacks(system, call_sid):
    """As Twilio may send them: the last first, each three times, once more under another token."""
    for sequence, name in ((3, "completed"), (1, "ringing"), (2, "in-progress"), (0, "initiated")):
        for token in ("first", "first", "second"):
            assert status(system, call_sid, sequence, name, f"{token}-{sequence}") == 204


def caught_up(system):
    eventually("everything that waited is on record", lambda: system.metric("ringbridge_link_events_waiting") == 0 and
               system.metric("ringbridge_control_journal_waiting") == 0 and system.metric("ringbridge_link_up") == 1, 60)


def check_once(system, call_sid):
    """Every number of the edge once and without a gap in its streams, every webhook once."""
    row = eventually(f"{call_sid} is on record", lambda: system.conversation(call_sid))
    events = system.sql("SELECT source, kind, seq, idempotency_key FROM call_events WHERE conversation_id = "
                        f"'{row['id']}' ORDER BY source, seq, id")
    edge = [event["seq"] for event in events if event["source"] == "edge"]
    assert edge == list(range(edge[0], edge[0] + len(edge))) if edge else True, events
    keys = [event["idempotency_key"] for event in events if event["source"] == "carrier"]
    assert len(keys) == len(set(keys)) and keys.count("incoming") <= 1, keys
    return row, events


def check_statuses(system, call_sid):
    row, events = check_once(system, call_sid)
    told = sorted(event["seq"] for event in events if event["kind"] == "status")
    assert told == [0, 1, 2, 3], events
    assert row["call_status"] == "completed" and row["disconnection_reason"] == "completed", row
    return row


def calls_and_callbacks(frozen):
    with System() as system:
        system.organisation("A", NUMBER, greeting="Good day, this is Northwind.")
        system.call("--hangup-after", "1000", hint=False)  # the number is known now
        reports = []
        running = threading.Thread(target=lambda: reports.append(
            system.call("--hangup-after", "20000", hint=False)))
        running.start()
        eventually("a call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        assert status(system, sid(1), 0, "initiated", "first-0") == 204  # before
        with Away(system, frozen):
            assert status(system, sid(1), 1, "ringing", "first-1") == 204  # every deadline has passed once
            assert system.metric('ringbridge_calls{state="live"}') == 1, "the running call goes on"
            repeat_callbacks(system, sid(1))
            repeat_callbacks(system, sid(2))
            fresh = system.call(say=["When are you open?"])["calls"][0]
            assert "Connect" in fresh["verbs"], fresh["verbs"]
            assert system.metric('ringbridge_control_webhooks_total{path="incoming_call",result="remembered"}') >= 1
            assert system.metric("ringbridge_control_journal_waiting") > 0
        running.join()
        caught_up(system)
        check_statuses(system, sid(1))
        row = check_statuses(system, sid(2))
        assert row["from_number"] == "+15550177" and not row["ended_reason"], "it never asked, and never streamed"
        old, _ = check_once(system, reports[0]["calls"][0]["call_sid"])
        assert old["ended_reason"] == "caller_hung_up", old
        row, events = check_once(system, fresh["call_sid"])
        assert row["ended_reason"] == "caller_hung_up" and row["call_status"] == "completed", row
        assert row["route"] == {"step": "agent"}, row
        said = [message["content"] for message in system.messages(row)]
        assert said[0] == "Good day, this is Northwind." and "When are you open?" in said, said
        assert system.metric("ringbridge_control_journal_refused_total") == 0


def calls_and_callbacks_while_it_is_stopped():
    calls_and_callbacks(frozen=False)


def calls_and_callbacks_while_it_is_frozen():
    calls_and_callbacks(frozen=True)


def control_dies_while_webhooks_wait():
    with System() as system:
        system.organisation("A", NUMBER)
        assert status(system, sid(1), 0, "initiated", "first-0") == 204
        with Away(system, frozen=False):
            repeat_callbacks(system, sid(1))
            system.stop("control", signal.SIGKILL)
            with open(system.journal / "webhooks.journal", "ab") as journal:
                journal.write(b"\x40\x00\x00\x00\x02")  # the power went while one more was written
            system.start_control()
            eventually("the link is back", lambda: system.metric("ringbridge_link_up") == 1)
            assert status(system, sid(2), 3, "completed", "after") == 204
            assert "webhooks wait in the journal" in system.log("control")
        caught_up(system)
        check_statuses(system, sid(1))
        row, _ = check_once(system, sid(2))
        assert row["call_status"] == "completed", row
        assert (system.journal / "webhooks.journal").stat().st_size == 0, "the file begins anew"


def nothing_is_answered_that_was_not_known_and_nothing_unsigned_is_believed():
    with System() as system:
        system.organisation("A", NUMBER)
        system.organisation("B", OTHER)
        with Away(system, frozen=False):
            asked = system.post("/api/twilio/incoming-call", form(sid(3), CallStatus="ringing"))
            assert asked[0] == 200 and "<Redirect" in asked[1] and "<Connect" not in asked[1], asked
        eventually("it is back", lambda: "<Connect" in system.post(
            "/api/twilio/incoming-call", form(sid(3), CallStatus="ringing"))[1])
        with Away(system, frozen=False):
            known = system.post("/api/twilio/incoming-call", form(sid(4), CallStatus="ringing"))[1]
            other = system.post("/api/twilio/incoming-call", form(sid(5), CallStatus="ringing", To=OTHER))[1]
            assert "<Connect" in known and "<Connect" not in other, "B's number was never asked for: A is not B"
            forged = system.post("/api/twilio/status-callback", form(sid(4), CallStatus="completed"), token="guessed")
            assert forged[0] == 403, forged
            stranger = system.post("/api/twilio/status-callback", form(sid(4), CallStatus="completed")
                                   | {"AccountSid": "AC" + "9" * 32})
            assert stranger[0] in (403, 503), stranger
        caught_up(system)
        assert system.conversation(sid(4))["call_status"] == "ringing"
        assert system.conversation(sid(5)) is None


def a_caller_whose_stream_is_over_gets_the_fallback():
    with System() as system:
        org = system.organisation("A", NUMBER)
        menu = {"step": "menu", "say": "Press one.", "keys": {"1": {"step": "hangup", "say": "You pressed one."}}}
        system.control("route", "add", json.dumps(menu), "--org", org)
        system.control("route", "add", json.dumps({"step": "hangup", "say": "Nobody is in today."}), "--org", org,
                       "--purpose", "fallback")
        ask = form(sid(6), CallStatus="in-progress")
        assert "Press one." in system.post("/api/twilio/incoming-call", form(sid(6), CallStatus="ringing"))[1]
        with Away(system, frozen=False):
            first = system.post("/api/twilio/after-stream", ask)[1]
            assert "One moment" in first and "after-stream?wait=1" in first, first
            assert "Nobody is in today." in system.post("/api/twilio/after-stream?wait=3", ask)[1]
            pressed = ask | {"Digits": "1"}
            assert "wait=1" in system.post("/api/twilio/call-step?at=route", pressed)[1]
            assert "You pressed one." in system.post("/api/twilio/call-step?at=route&wait=3", pressed)[1]
            assert "Press one." in system.post("/api/twilio/incoming-call", form(sid(7), CallStatus="ringing"))[1]
        caught_up(system)
        assert check_once(system, sid(7))[0]["route"] == menu


if __name__ == "__main__":
    run(calls_and_callbacks_while_it_is_stopped, calls_and_callbacks_while_it_is_frozen, control_dies_while_webhooks_wait,
        nothing_is_answered_that_was_not_known_and_nothing_unsigned_is_believed,
        a_caller_whose_stream_is_over_gets_the_fallback)
