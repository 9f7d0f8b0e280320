"""Orders about live calls, as an operator gives them, through the database to the edge that carries the call."""
import json
import socket
import struct
import subprocess
import threading
import uuid

from hostile import ask_for_call
from system import BIN, System, eventually, run


def live_call(system, *flags, **more):
    """A call in the background; returns its thread and the list its report comes into."""
    reports = []
    caller = threading.Thread(target=lambda: reports.append(system.call(*flags, hint=False, check=False, **more)))
    caller.start()
    eventually("the call is live and on record", lambda: system.sql(
        "SELECT * FROM conversations WHERE metadata ? 'edge_run' AND call_status = 'in-progress'"))
    return caller, reports


def refused(system, *words):
    done = subprocess.run([BIN / "ringbridge-control", *words], text=True, capture_output=True,
                          env=system.environment())
    assert done.returncode == 1, done
    return done.stderr


def a_call_is_hung_up_by_order():
    with System() as system:
        system.organisation("A", "+15550100")
        caller, reports = live_call(system, "--hangup-after", "60000")
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        assert "done" in system.control("calls", "hangup", call_sid)
        row = system.finished(call_sid)
        assert row["ended_reason"] == "hung_up_by_order", row
        caller.join()
        eventually("the carrier's word", lambda: system.conversation(call_sid)["call_status"] == "completed")
        assert system.metric('ringbridge_calls_ended_total{reason="hung_up_by_order"}') == 1
        shown = system.control("calls", "show", call_sid)
        assert "hangup by" in shown and "hung_up_by_order" in shown, shown
        assert "is over" in refused(system, "calls", "hangup", call_sid)
        assert "no call" in refused(system, "calls", "hangup", "CA" + "0" * 32)


def the_agent_says_what_it_is_told():
    with System() as system:
        system.organisation("A", "+15550100", greeting="")
        caller, reports = live_call(system, "--hangup-after", "30000")
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        eventually("the agent is there", lambda: system.sql("SELECT * FROM call_events WHERE kind = 'ai_ready'"))
        assert "done" in system.control("calls", "say", call_sid, 'A "supervisor" is listening now.')
        row = system.conversation(call_sid)
        eventually("the caller has heard it", lambda: [message for message in system.messages(row)
                   if message["role"] == "assistant" and "supervisor" in message["content"]])
        system.control("calls", "hangup", call_sid)
        caller.join()
        assert system.finished(call_sid)["ended_reason"] == "hung_up_by_order"


class Peer:
    """An edge of the test's own, as far as asking control goes."""

    def __init__(self, system):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(system.socket_path))
        self.send(1, 1, {"role": "edge", "name": "test", "run": str(uuid.uuid4()), "cores": 1})
        self.receive()
        self.number = 0

    def send(self, kind, number, body):
        text = json.dumps(body).encode()
        self.socket.sendall(struct.pack("<IBBHQII", 24 + len(text), kind, 0, 0, number, len(text), 0) + text)

    def receive(self):
        head = self.socket.recv(24, socket.MSG_WAITALL)
        size, json_bytes = struct.unpack("<I", head[:4])[0], struct.unpack("<I", head[16:20])[0]
        return json.loads(self.socket.recv(size - 24, socket.MSG_WAITALL)[:json_bytes])

    def ask(self, **request):
        self.number += 1
        self.send(2, self.number, request | {"deadline_ms": 10000})
        return self.receive()


def who_listens_needs_a_ticket_and_is_on_record():
    with System() as system:
        organisation = system.organisation("A", "+15550100")
        caller, reports = live_call(system, "--hangup-after", "30000")
        row = system.sql("SELECT id, call_sid FROM conversations")[0]
        url = system.control("calls", "listen", row["call_sid"]).strip()
        base, ticket = url.rsplit("/", 1)
        assert base == "wss://calls.example.com/listen", url
        control = Peer(system)
        forged = ticket[:-2] + ("AA" if ticket[-2:] != "AA" else "BB")
        assert control.ask(kind="listen", ticket=forged) == {"status": 403, "error": "ticket_invalid"}
        admitted = {"status": 200, "call": row["id"], "organization": organisation}
        assert control.ask(kind="listen", ticket=ticket) == admitted
        assert control.ask(kind="listen", ticket=ticket) == {"status": 403, "error": "ticket_used"}
        # Neither kind of ticket passes for the other.
        other = system.control("calls", "listen", row["call_sid"]).strip().rsplit("/", 1)[1]
        assert control.ask(kind="admit", ticket=other, signature="")["error"] == "ticket_invalid"
        _, path = ask_for_call(system, "CA" + "7" * 32)
        assert control.ask(kind="listen", ticket=path.rsplit("/", 1)[1])["error"] == "ticket_invalid"
        events = system.sql("SELECT body FROM call_events WHERE kind = 'listen'")
        assert len(events) == 2 and all(event["body"]["by"] for event in events), events
        system.control("calls", "hangup", row["call_sid"])
        caller.join()
        system.finished(row["call_sid"])
        assert "over" in refused(system, "calls", "listen", row["call_sid"])


def an_order_that_nobody_takes_expires():
    with System() as system:
        system.organisation("A", "+15550100")
        caller, reports = live_call(system, "--hangup-after", "20000")
        call_sid = system.sql("SELECT call_sid FROM conversations")[0]["call_sid"]
        assert system.stop("control") is None
        assert "nobody answered" in refused(system, "calls", "hangup", call_sid)
        system.start_control()
        eventually("the link is back", lambda: system.metric("ringbridge_link_up") == 1)
        assert system.sql("SELECT state FROM call_orders") == [{"state": "expired"}]
        caller.join()
        assert system.finished(call_sid)["ended_reason"] == "caller_hung_up"


if __name__ == "__main__":
    run(a_call_is_hung_up_by_order, the_agent_says_what_it_is_told,
        who_listens_needs_a_ticket_and_is_on_record, an_order_that_nobody_takes_expires)
