"""Bad input of every kind ends at most its own connection, with the right status or close code and a counter; a call
that runs beside it notices nothing."""
import base64
import json
import re
import socket
import struct
import threading

from rawstream import RawStream
from system import ACCOUNT, PUBLIC_URL, TOKEN, System, eventually, run, signature

serial = 0


def new_sid():
    global serial
    serial += 1
    return f"CA{serial:032x}"


def ask_for_call(system, sid=None):
    """What Twilio does first. Returns CallSid and the stream's path."""
    sid = sid or new_sid()
    status, twiml = system.post("/api/twilio/incoming-call", {
        "CallSid": sid, "AccountSid": ACCOUNT, "From": "+15550177", "To": "+15550100", "CallStatus": "ringing",
        "Direction": "inbound", "ApiVersion": "2010-04-01"})
    assert status == 200, twiml
    path = re.search(r'url="wss://[^/"]+(/twilio-media-stream/[^"]+)"', twiml).group(1)
    return sid, path


def sign_stream(path, token=TOKEN):
    return [("X-Twilio-Signature", signature(token, PUBLIC_URL.replace("https", "wss") + path))]


def open_stream(system):
    sid, path = ask_for_call(system)
    stream = RawStream(system.listen, path, sign_stream(path))
    assert stream.status == 101, stream.status
    return sid, stream


def connected():
    return {"event": "connected", "protocol": "Call", "version": "1.0.0"}


def start(sid, **changes):
    inner = {"accountSid": ACCOUNT, "streamSid": "MZ" + "1" * 32, "callSid": sid, "tracks": ["inbound"],
             "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}, "customParameters": {}}
    inner.update(changes)
    return {"event": "start", "sequenceNumber": "1", "start": inner, "streamSid": inner["streamSid"]}


def media(payload=None, timestamp="20", sequence="2", **changes):
    payload = payload if payload is not None else base64.b64encode(b"\xff" * 160).decode()
    return {"event": "media", "sequenceNumber": sequence, "streamSid": "MZ" + "1" * 32,
            "media": {"track": "inbound", "chunk": "1", "timestamp": timestamp, "payload": payload} | changes}


def http(system, request, wait=15):
    """Sends raw bytes, returns the status of the answer (0: closed without one)."""
    with socket.create_connection(("127.0.0.1", system.listen), timeout=wait) as peer:
        peer.sendall(request)
        answer = b""
        try:
            while b"\r\n" not in answer:
                piece = peer.recv(65536)
                if not piece:
                    break
                answer += piece
        except (ConnectionError, TimeoutError):
            pass
        return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def fault(system, name):
    return system.metric(f'ringbridge_faults_total{{fault="{name}"}}')


HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /api/twilio/incoming-call HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"

HTTP_CASES = [
    # name, request, status, fault
    ("line too long", b"GET /" + b"a" * 8300 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "http_line_too_long"),
    ("head too large", HEAD + b"X: " + b"a" * 17000 + b"\r\n\r\n", 431, "http_head_too_large"),
    ("65 fields", HEAD + b"".join(b"X%d: 1\r\n" % i for i in range(64)) + b"\r\n", 431, "http_head_too_large"),
    ("bare LF", b"GET / HTTP/1.1\nHost: a\n\n", 400, "http_malformed"),
    ("folded line", HEAD + b"X: 1\r\n 2\r\n\r\n", 400, "http_malformed"),
    ("blank before the colon", HEAD + b"X : 1\r\n\r\n", 400, "http_malformed"),
    ("NUL in a value", HEAD + b"X: a\0b\r\n\r\n", 400, "http_malformed"),
    ("version 5.6", b"GET / HTTP/5.6\r\nHost: a\r\n\r\n", 505, "http_version"),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400, "http_no_host"),
    ("two Hosts", HEAD + b"Host: b\r\n\r\n", 400, "http_no_host"),
    ("chunked", POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411, "http_length_required"),
    ("two lengths", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, "http_length_invalid"),
    ("signed length", POST + b"Content-Length: +1\r\n\r\na", 400, "http_length_invalid"),
    ("huge length", POST + b"Content-Length: 99999999999999999999999\r\n\r\na", None, None),
    ("body too large", POST + b"Content-Length: 65537\r\n\r\n", 413, "http_body_too_large"),
    ("expect", POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\na", 417, "http_expectation"),
    ("stream without upgrade", b"GET /twilio-media-stream/x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "upgrade_malformed"),
]


class Beside:
    """A well-behaved call that must not notice anything: it counts what comes to the AI and back."""

    def __init__(self, system):
        self.system = system
        self.report = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        self.report = self.system.call("--hangup-after", "9000", say=["I am the call beside."])

    def check(self):
        self.thread.join()
        row = self.system.finished(self.report["calls"][0]["call_sid"])
        assert row["ended_reason"] == "caller_hung_up", row["ended_reason"]
        assert row["figures"]["gap_samples"] == 0 and row["figures"]["sequence_gaps"] == 0, row["figures"]


def http_is_strict():
    with System() as system:
        system.organisation("A", "+15550100")
        beside = Beside(system)
        for name, request, status, counter in HTTP_CASES:
            before = fault(system, counter) if counter else 0
            found = http(system, request)
            assert status is None and 400 <= found < 500 or found == status, f"{name}: {found}, not {status}"
            if counter:
                assert fault(system, counter) == before + 1, f"{name}: no count of {counter}"
        beside.check()


def a_slow_head_is_cut_off():
    with System() as system:
        with socket.create_connection(("127.0.0.1", system.listen), timeout=20) as peer:
            peer.sendall(b"GET / HT")
            answer = peer.recv(4096)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 408"), answer
        eventually("counted", lambda: fault(system, "http_timeout") >= 1)


def webhooks_need_their_signature():
    with System() as system:
        system.organisation("A", "+15550100")
        fields = {"CallSid": new_sid(), "AccountSid": ACCOUNT, "From": "+15550177", "To": "+15550100",
                  "CallStatus": "ringing"}
        for path in ("/api/twilio/incoming-call", "/api/twilio/status-callback", "/api/twilio/after-stream",
                     "/api/twilio/stream-status", "/api/twilio/voice-webhook", "/api/twilio/call-status",
                     "/api/aloha/webhooks/incoming-call", "/api/aloha/webhooks/call-status"):
            assert system.post(path, fields, sign=False)[0] == 403, path
            assert system.post(path, fields, token="wrong")[0] == 403, path
            status = system.post(path, fields)[0]
            assert status in (200, 204), (path, status)
        assert system.post("/api/twilio/incoming-call", fields | {"AccountSid": "AC" + "9" * 32})[0] == 403
        assert len(system.sql("SELECT * FROM conversations")) == 1


def unknown_numbers_are_refused_in_words():
    with System() as system:
        system.organisation("A", "+15550100")
        status, twiml = system.post("/api/twilio/incoming-call", {
            "CallSid": new_sid(), "AccountSid": ACCOUNT, "From": "+15550177", "To": "+15550199", "CallStatus": "ringing"})
        assert status == 200 and "<Say" in twiml and "<Stream" not in twiml, twiml
        assert system.sql("SELECT * FROM conversations") == []


def tickets_hold():
    with System() as system:
        system.organisation("A", "+15550100")
        sid, path = ask_for_call(system)
        forged = path[:-5] + ("A" if path[-5] != "A" else "B") + path[-4:]
        cases = [("/twilio-media-stream/short", sign_stream("/twilio-media-stream/short"), "ticket_invalid"),
                 (forged, sign_stream(forged), "ticket_invalid"),
                 (path, [], "signature_invalid"), (path, sign_stream(path, "wrong"), "signature_invalid"),
                 (path, sign_stream(forged), "signature_invalid")]
        for where, headers, counter in cases:
            before = fault(system, counter)
            stream = RawStream(system.listen, where, headers)
            assert stream.status == 403, (where, stream.status)
            assert fault(system, counter) == before + 1, counter
        good = RawStream(system.listen, path, sign_stream(path))
        assert good.status == 101
        again = RawStream(system.listen, path, sign_stream(path))
        assert again.status == 403 and fault(system, "ticket_used") == 1
        good.close()
        system.finished(sid)
        again = RawStream(system.listen, path, sign_stream(path))
        assert again.status == 403 and fault(system, "ticket_used") == 2
        other = RawStream(system.listen, path + "/", sign_stream(path + "/"))
        assert other.status == 403


def send_all(*messages):
    def act(stream, sid):
        for message in messages:
            stream.send(message(sid) if callable(message) else message)
    return act


def raw(*pieces):
    def act(stream, sid):
        stream.send(connected())
        for piece in pieces:
            stream.send_raw(piece)
    return act


def deep(levels):
    return '{"event":"connected","x":' + "[" * levels + "]" * levels + "}"


STREAM_CASES = [
    # name, what is sent, close code, fault, reason on record
    ("unmasked", lambda s, sid: s.send(connected(), masked=False), 1002, "ws_unmasked", "carrier_protocol"),
    ("reserved bit", lambda s, sid: s.send(connected(), reserved=4), 1002, "ws_reserved", "carrier_protocol"),
    ("reserved opcode", lambda s, sid: s.send("", opcode=3), 1002, "ws_reserved", "carrier_protocol"),
    ("long ping", lambda s, sid: s.send("a" * 126, opcode=9), 1002, "ws_control", "carrier_protocol"),
    ("fragmented ping", lambda s, sid: s.send("a", opcode=9, fin=False), 1002, "ws_control", "carrier_protocol"),
    ("lone continuation", lambda s, sid: s.send("a", opcode=0), 1002, "ws_fragment", "carrier_protocol"),
    ("64-bit length", raw(b"\x81\xff" + struct.pack(">Q", 1 << 40) + b"abcd"), 1009, "ws_too_large", "carrier_protocol"),
    ("top bit of the length", raw(b"\x81\xff" + struct.pack(">Q", 1 << 63) + b"abcd"), 1002, "ws_length",
     "carrier_protocol"),
    ("length not shortest", raw(b"\x81\xfe\x00\x05abcdefghi"), 1002, "ws_length", "carrier_protocol"),
    ("65537 bytes", lambda s, sid: s.send("a" * 65537), 1009, "ws_too_large", "carrier_protocol"),
    ("65 fragments", lambda s, sid: [s.send(" ", opcode=1 if i == 0 else 0, fin=False) for i in range(65)], 1008,
     "ws_too_many_fragments", "carrier_protocol"),
    ("bad UTF-8", lambda s, sid: s.send(b'{"event":"\xc3\x28"}'), 1007, "ws_utf8", "carrier_protocol"),
    ("invalid close code", lambda s, sid: s.send(struct.pack(">H", 1005), opcode=8), 1002, "ws_close_code",
     "carrier_protocol"),
    ("11 pings in a second", lambda s, sid: [s.send("x", opcode=9) for _ in range(11)], 1008, "ws_control_flood",
     "carrier_protocol"),
    ("binary", lambda s, sid: s.send(b"\0\1", opcode=2), 1003, "stream_binary", "carrier_protocol"),
    ("garbage JSON", lambda s, sid: s.send("{]"), 1007, "json_malformed", "carrier_protocol"),
    ("two texts in one", lambda s, sid: s.send("{}{}"), 1007, "json_malformed", "carrier_protocol"),
    ("deep JSON", lambda s, sid: s.send(deep(200)), 1007, "json_too_deep", "carrier_protocol"),
    ("two connected", send_all(connected(), connected()), 1008, "stream_unexpected", "carrier_protocol"),
    ("start first", send_all(start), 1008, "stream_unexpected", "carrier_protocol"),
    ("media before start", send_all(connected(), media()), 1008, "stream_unexpected", "carrier_protocol"),
    ("a second start", send_all(connected(), start, start), 1008, "stream_unexpected", "carrier_protocol"),
    ("another CallSid", send_all(connected(), lambda sid: start("CA" + "f" * 32)), 1008, "stream_wrong_call",
     "carrier_wrong_call"),
    ("another account", send_all(connected(), lambda sid: start(sid, accountSid="AC" + "f" * 32)), 1008,
     "stream_wrong_call", "carrier_wrong_call"),
    ("another format", send_all(connected(), lambda sid: start(sid, mediaFormat={"encoding": "audio/x-l16",
     "sampleRate": 8000, "channels": 1})), 1008, "stream_format", "carrier_protocol"),
    ("another streamSid", send_all(connected(), start, media() | {"streamSid": "MZ" + "2" * 32}), 1008,
     "stream_wrong_call", "carrier_wrong_call"),
    ("invalid base64", send_all(connected(), start, media("!!!!")), 1007, "base64_invalid", "carrier_protocol"),
    ("base64 not canonical", send_all(connected(), start, media("//==")), 1007, "base64_invalid", "carrier_protocol"),
    ("a large payload", send_all(connected(), start, media(base64.b64encode(b"a" * 8193).decode())), 1009,
     "stream_payload_large", "carrier_protocol"),
    ("a number for a string", send_all(connected(), start, media(timestamp=20)), 1008, "stream_field",
     "carrier_protocol"),
    ("no payload", send_all(connected(), start, {"event": "media", "streamSid": "MZ" + "1" * 32, "media": {}}), 1008,
     "stream_field", "carrier_protocol"),
]


def streams_are_strict():
    with System() as system:
        system.organisation("A", "+15550100")
        beside = Beside(system)
        for name, act, code, counter, reason in STREAM_CASES:
            before = fault(system, counter)
            sid, stream = open_stream(system)
            act(stream, sid)
            found = stream.close_code()
            assert found == code, f"{name}: closed with {found}, not {code}"
            stream.close()
            assert fault(system, counter) == before + 1, f"{name}: no count of {counter}"
            row = system.finished(sid)
            assert row["ended_reason"] == reason, f"{name}: {row['ended_reason']}"
        beside.check()


def odd_but_legal_streams_are_carried():
    with System() as system:
        system.organisation("A", "+15550100")
        sid, stream = open_stream(system)
        text = json.dumps(connected())
        stream.send(text[:9], fin=False)
        stream.send("ping", opcode=9)
        stream.send(text[9:], opcode=0)
        assert stream.read_frame() == (10, b"ping")
        stream.send({"event": "something new", "streamSid": 7})
        message = start(sid)
        message["start"]["news"] = {"a": [1, 2, {"b": None}]}
        stream.send(json.dumps(message, indent=3))
        for i in range(20):
            stream.send(media(timestamp=str(171 + 20 * i), sequence=str(2 + i)))
        stream.send({"event": "mark", "streamSid": "MZ" + "1" * 32, "mark": {"name": "never sent"}})
        stream.send({"event": "dtmf", "streamSid": "MZ" + "1" * 32, "dtmf": {"track": "inbound_track", "digit": "5"}})
        stream.send({"event": "stop", "streamSid": "MZ" + "1" * 32, "stop": {"accountSid": ACCOUNT, "callSid": sid}})
        assert stream.close_code() == 1000
        row = system.finished(sid)
        assert row["ended_reason"] == "caller_hung_up" and row["figures"]["frames_up"] == 20, row
        digits = system.sql("SELECT body->>'digit' AS digit FROM call_events WHERE kind = 'dtmf'")
        assert digits == [{"digit": "5"}], digits


def an_address_has_only_so_many_connections():
    with System(edge_arguments=["--address-connections", "8"]) as system:
        system.organisation("A", "+15550100")
        crowd = [socket.create_connection(("127.0.0.1", system.listen), source_address=("127.0.0.2", 0)) for _ in range(20)]
        eventually("the rest was turned away", lambda: fault(system, "address_full") == 12)
        Beside(system).check()
        for peer in crowd:
            peer.close()


if __name__ == "__main__":
    run(http_is_strict, a_slow_head_is_cut_off, webhooks_need_their_signature, unknown_numbers_are_refused_in_words,
        an_address_has_only_so_many_connections, tickets_hold, streams_are_strict, odd_but_legal_streams_are_carried)
