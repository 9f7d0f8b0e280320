"""A stream that arrives where nobody told the edge about it: a second edge, or one that was restarted between the webhook
and the stream. It asks control, and the call goes on; tickets that are forged, used or signed by somebody else are
refused there as well."""
import re

from hostile import ask_for_call, connected, media, new_sid, sign_stream, start
from rawstream import RawStream
from system import ACCOUNT, BIN, TOKEN, System, eventually, free_port, run, signature


def second_edge(system, cores="any:1", *flags):
    """Starts another edge at the same control; returns its port for streams and its port for metrics."""
    listen, metrics = free_port(), free_port()
    system.start("edge2", BIN / "ringbridge-edge", "--listen", f"127.0.0.1:{listen}", "--metrics",
                 f"127.0.0.1:{metrics}", "--control", system.socket_path, "--cores", cores, *flags)
    eventually("the second edge is ready", lambda: system.get("/readyz", metrics)[0] == 200)
    return listen, metrics


def live_through(system, port, sid, path):
    """A whole short call over the stream's path at this port."""
    stream = RawStream(port, path, sign_stream(path))
    assert stream.status == 101, stream.status
    stream.send(connected())
    stream.send(start(sid))
    stream.send(media())
    row = eventually("the stream has begun", lambda: system.sql(
        f"SELECT c.id, c.metadata FROM conversations AS c JOIN call_events AS e ON e.conversation_id = c.id "
        f"WHERE c.call_sid = '{sid}' AND e.kind = 'ai_ready'"))
    stream.send({"event": "stop", "sequenceNumber": "9", "streamSid": "MZ" + "1" * 32,
                 "stop": {"accountSid": "AC" + "0" * 31 + "1", "callSid": sid}})
    assert system.finished(sid)["ended_reason"] == "caller_hung_up"
    stream.close()
    return row[0]


def admissions(system, result):
    return system.metric(f'ringbridge_control_admissions_total{{result="{result}"}}')


def another_edge_takes_the_stream():
    with System() as system:
        system.organisation("A", "+15550100")
        port, metrics = second_edge(system)
        sid, path = ask_for_call(system)
        live_through(system, port, sid, path)
        assert admissions(system, "admitted") == 1

        assert RawStream(port, path, sign_stream(path)).status == 403
        sid, path = ask_for_call(system)
        for wrong in (path[:-2] + ("AA" if path[-2:] != "AA" else "BB"), "/twilio-media-stream/" + "A" * 123):
            assert RawStream(port, wrong, sign_stream(wrong)).status == 403
        assert RawStream(port, path, sign_stream(path, token="somebody-else")).status == 403
        assert RawStream(port, path).status == 403
        assert admissions(system, "signature_invalid") == 2
        live_through(system, port, sid, path)  # none of that has used it up
        assert admissions(system, "admitted") == 2
        assert 'faults_total{fault="ticket_invalid"}' in system.get("/metrics", metrics)[1]


def an_edge_with_fewer_cores_takes_it_too():
    with System(cores="any:2") as system:
        system.organisation("A", "+15550100")
        port, _ = second_edge(system)
        for _ in range(6):  # home cores are drawn from the call's id: some are the second
            sid, path = ask_for_call(system)
            live_through(system, port, sid, path)
        assert admissions(system, "admitted") == 6


def an_edge_restarts_between_webhook_and_stream():
    with System() as system:
        system.organisation("A", "+15550100")
        sid, path = ask_for_call(system)
        assert system.stop("edge") is None
        system.start_edge()
        live_through(system, system.listen, sid, path)
        assert RawStream(system.listen, path, sign_stream(path)).status == 403
        assert system.stop("edge") is None
        system.start_edge()
        assert RawStream(system.listen, path, sign_stream(path)).status == 403  # by control's memory, not the edge's
        assert admissions(system, "admitted") == 1


def a_full_edge_sends_its_calls_to_another():
    first, second = "wss://one.example.com", "wss://two.example.com"
    with System(edge_arguments=["--max-calls", "1", "--stream-url", first]) as system:
        system.organisation("A", "+15550100")
        port, metrics = second_edge(system, "any:1", "--stream-url", second)
        eventually("both edges are known", lambda: system.sql(
            "SELECT count(*) FROM edges WHERE websocket_url IS NOT NULL AND calls_max > 0") == [{"count": 2}])

        def ask():
            sid = new_sid()
            status, twiml = system.post("/api/twilio/incoming-call", {
                "CallSid": sid, "AccountSid": ACCOUNT, "From": "+15550177", "To": "+15550100",
                "CallStatus": "ringing", "Direction": "inbound", "ApiVersion": "2010-04-01"})
            assert status == 200, twiml
            base, path = re.search(r'url="(wss://[^/"]+)(/twilio-media-stream/[^"]+)"', twiml).groups()
            return sid, base, path

        def signed(base, path):
            return [("X-Twilio-Signature", signature(TOKEN, base + path))]

        sid, base, path = ask()
        assert base == first, base
        held = RawStream(system.listen, path, signed(base, path))  # the first edge's only place
        assert held.status == 101
        other, base, path = ask()
        assert base == second, base
        assert RawStream(port, path, signed(first, path)).status == 403  # signed for the first
        stream = RawStream(port, path, signed(base, path))
        assert stream.status == 101, stream.status
        assert system.metric("ringbridge_control_calls_moved_total") == 1
        held.close()
        stream.close()
        eventually("the first edge has room again", lambda: ask()[1] == first)


if __name__ == "__main__":
    run(another_edge_takes_the_stream, an_edge_with_fewer_cores_takes_it_too, an_edge_restarts_between_webhook_and_stream,
        a_full_edge_sends_its_calls_to_another)
