"""Supervisors who listen to calls, through the whole system: ticket, door, home core, both tracks to the sample, events in
their order, and a call that notices nothing of those who do not read, speak, break off or should not be there."""
import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

from hostile import connected, open_stream, start
from rawstream import RawStream
from system import BIN, System, eventually, run

SECRET = bytes.fromhex("5e" * 32)  # as system.py has it
LABEL = b"ringbridge listen ticket 1"


class Listener(threading.Thread):
    """Reads until the WebSocket closes; slow: begins to read when told."""

    def __init__(self, system, path, slow=False):
        super().__init__(daemon=True)
        self.events, self.audio, self.code, self.at = [], {0: {}, 1: {}}, None, {}
        self.awake = threading.Event()
        if not slow:
            self.awake.set()
        self.stream = RawStream(system.listen, path, timeout=60, receive_bytes=4096 if slow else None)
        self.status = self.stream.status
        if self.status == 101:
            self.start()

    def run(self):
        self.awake.wait()
        while self.code is None:
            try:
                opcode, body = self.stream.read_frame()
            except OSError:
                self.code = 0
                return
            if opcode == 1:
                self.events.append(json.loads(body))
            elif opcode == 2:
                version, track, zero, position = struct.unpack("<BBHQ", body[:12])
                assert (version, zero) == (1, 0)
                self.audio[track][position] = body[12:]
            elif opcode == 8:
                self.code = struct.unpack(">H", body[:2])[0]

    def kinds(self):
        return [event["kind"] for event in self.events]

    def track(self, number):
        """First position and what follows; fails where something is missing or comes twice."""
        positions = sorted(self.audio[number])
        for before, after in zip(positions, positions[1:]):
            assert before + len(self.audio[number][before]) == after, (number, before, after)
        return positions[0], b"".join(self.audio[number][position] for position in positions)


def path_of(system, call):
    url = system.control("calls", "listen", call).strip()
    return "/listen/" + url.rsplit("/", 1)[1]


def live(system, call_sid=None):
    where = f"AND call_sid = '{call_sid}'" if call_sid else ""
    return eventually("the call is live and on record", lambda: system.sql(
        f"SELECT id, call_sid FROM conversations WHERE metadata ? 'edge_run' AND call_status = 'in-progress' {where}"))[0]


def mulaw_of(path):
    data = path.read_bytes()
    at = data.index(b"data")
    return data[at + 8:at + 8 + struct.unpack("<I", data[at + 4:at + 8])[0]]


def a_whole_call_is_heard_by_two_one_of_them_slow():
    with tempfile.TemporaryDirectory(prefix="rb-ears-") as ears, System(ai_arguments=["--record-audio", ears]) as system:
        system.organisation("A", "+15550100", greeting="", audio_format="pcmu")
        sent, heard, reports = system.directory / "sent.wav", system.directory / "heard.wav", []
        question = "Good morning. I have been thinking about this for a long while, and now I would like to know from you, " \
                   "whether you are open today, and if you are, until when you will be."
        caller = threading.Thread(target=lambda: reports.append(system.call(
            "--sent-out", sent, "--out", heard, "--greeting-ms", "500", say=[question])))
        caller.start()
        row = live(system)
        good = Listener(system, path_of(system, row["call_sid"]))
        slow = Listener(system, path_of(system, row["call_sid"]), slow=True)
        assert (good.status, slow.status) == (101, 101)
        both = system.directory / "both.wav"
        supervisor = subprocess.Popen([BIN / "practice-supervisor", "--json", "--plain", "--out", both, "--connect",
                                       f"127.0.0.1:{system.listen}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        supervisor.stdin.write(system.control("calls", "listen", row["call_sid"]))
        supervisor.stdin.close()
        eventually("the slow one misses something",
                   lambda: system.metric('ringbridge_listen_audio_bytes_total{event="shed_slow"}') > 16000, 60)
        slow.awake.set()
        caller.join()
        good.join(20)
        slow.join(20)
        call = system.finished(row["call_sid"])
        assert call["ended_reason"] == "caller_hung_up" and call["figures"]["slow_dropped_bytes"] == 0, call
        assert (good.code, slow.code) == (1000, 1000)
        said, played = mulaw_of(sent), mulaw_of(heard)
        first, track = good.track(0)
        assert len(track) > 8000 and track == said[first:first + len(track)], (first, len(track), len(said))
        assert len(said) - first - len(track) < 320, "the call's last moments are missing"
        assert system.stop("ai") is None
        understood = mulaw_of(next(Path(ears).glob("*.wav")))
        assert len(understood) > len(said) - 3200 and said.startswith(understood), (len(understood), len(said))
        _, agent = good.track(1)
        assert len(agent.strip(b"\xff")) > 4000 and agent.strip(b"\xff") == played.strip(b"\xff")
        printed = [json.loads(line) for line in supervisor.stdout]
        assert supervisor.wait(20) == 0 and printed[0]["kind"] == "listening" and printed[-1] == good.events[-1]
        begun, stereo = printed[0]["position"], mulaw_of(both)
        assert stereo[0::2] == track[begun - first:] and stereo[1::2] == good.track(1)[1][begun - first:]
        kinds = good.kinds()
        assert kinds[0] == "listening" and kinds[-1] == "ended" and "missed" not in kinds, kinds
        assert {"speech", "text", "mark", "message", "turn"} <= set(kinds), kinds
        assert all(before["clock_ms"] <= after["clock_ms"] for before, after in zip(good.events, good.events[1:]))
        spoken = "".join(event["delta"] for event in good.events if event["kind"] == "text")
        words = [event["text"] for event in good.events if event["kind"] == "message" and event["role"] == "assistant"]
        assert words and spoken.strip().startswith(words[0].strip()), (spoken, words)
        missed = [event for event in slow.events if event["kind"] == "missed"]
        print("  slow:", missed, "clock", slow.events[-1]["clock_ms"])
        assert missed
        for number, name in enumerate(("caller", "agent")):
            lost = sum(event["samples"] for event in missed if event["track"] == name)
            got = sum(len(piece) for piece in slow.audio[number].values())
            begun = slow.events[0]["position"]
            assert lost > 0 and begun + got + lost == first + len(track), (begun, got, lost, first, len(track))
        counted = system.metric('ringbridge_listen_audio_bytes_total{event="shed_slow"}')
        assert counted == sum(event["samples"] for event in missed)
        assert system.metric('ringbridge_listeners_total{event="joined"}') == 3 and system.metric("ringbridge_listeners") == 0


def key():
    extracted = hmac.new(b"ringbridge", SECRET, hashlib.sha256).digest()
    return hmac.new(extracted, LABEL + b"\x01", hashlib.sha256).digest()


def minted(organisation, call, expires_in_ms=30000, core=0, sign=True):
    signed = struct.pack(">BBHQ", 1, 0, core, int(time.time() * 1000) + expires_in_ms) + \
        uuid.UUID(call).bytes + uuid.UUID(organisation).bytes + os.urandom(16)
    mac = hmac.new(key() if sign else b"x", signed, hashlib.sha256).digest()
    return "/listen/" + base64.urlsafe_b64encode(signed + mac).decode().rstrip("=")


class Call:
    """A carrier's stream that goes on and on, in real time, from a thread of its own."""

    def __init__(self, system):
        self.sid, self.stream = open_stream(system)
        self.stream.send(connected())
        self.stream.send(start(self.sid))
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.talk, daemon=True)
        self.thread.start()

    def talk(self):
        number, began = 0, time.monotonic()
        while not self.over.wait(max(0.0, began + number * 0.02 - time.monotonic())):
            payload = base64.b64encode(bytes([number % 256]) * 160).decode()
            self.stream.send({"event": "media", "sequenceNumber": str(number + 2), "streamSid": "MZ" + "1" * 32,
                              "media": {"track": "inbound", "chunk": str(number + 1), "timestamp": str(20 * number),
                                        "payload": payload}})
            number += 1

    def end(self):
        self.over.set()
        self.thread.join()
        self.stream.send({"event": "stop", "streamSid": "MZ" + "1" * 32, "stop": {"accountSid": "", "callSid": self.sid}})


def only_who_is_let_in_comes_in():
    with System() as system:
        ours = system.organisation("A", "+15550100", greeting="")
        theirs = system.organisation("B", "+15550101")
        call = Call(system)
        row = live(system)

        def status(path, **how):
            return RawStream(system.listen, path, **how).status

        assert status("/listen/") == status("/listen/" + "A" * 123) == status("/listen/x/y") == 403
        assert status(minted(ours, row["id"], sign=False)) == 403
        assert status(minted(ours, row["id"], expires_in_ms=-1)) == 403
        assert status(minted(theirs, row["id"])) == 403  # signed, and yet not that organisation's call
        assert status(minted(ours, str(uuid.uuid4()))) == 403
        path = path_of(system, row["call_sid"])
        assert system.get(path, system.listen)[0] == 400  # no upgrade: the ticket is still good
        listener = Listener(system, path)
        assert listener.status == 101
        assert status(path) == 403
        assert status(minted(ours, row["id"], core=999)) == 101  # a core that is none says nothing
        for number in range(2):
            speaker = Listener(system, path_of(system, row["call_sid"]))
            speaker.stream.send("hello" if number else b"\x00", opcode=1 if number else 2)
            speaker.join(20)
            assert speaker.code == 1008
        killed = Listener(system, path_of(system, row["call_sid"]))
        killed.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        killed.stream.socket.shutdown(socket.SHUT_RD)
        killed.stream.close()
        eventually("those who went are gone", lambda: system.metric("ringbridge_listeners") in (1, 2))
        late = path_of(system, row["call_sid"])
        call.end()
        listener.join(20)
        assert listener.code == 1000 and listener.kinds()[-1] == "ended"
        assert system.finished(row["call_sid"])["ended_reason"] == "caller_hung_up"
        assert status(late) == 404
        assert system.metric("ringbridge_listeners") == 0
        assert system.metric('ringbridge_faults_total{fault="listen_spoke"}') == 2
        assert system.metric('ringbridge_faults_total{fault="listen_no_call"}') == 1


def listeners_find_the_core_of_their_call():
    with System(cores="any:2") as system:
        system.organisation("A", "+15550100", greeting="")
        calls = [Call(system) for _ in range(4)]
        listeners = []
        for call in calls:
            live(system, call.sid)
            listeners += [Listener(system, path_of(system, call.sid)) for _ in range(3)]
        assert [listener.status for listener in listeners] == [101] * 12
        eventually("all of them hear something", lambda: all(listener.audio[0] for listener in listeners))
        for call in calls:
            call.end()
        for listener in listeners:
            listener.join(20)
        for number, listener in enumerate(listeners):
            assert listener.code == 1000 and listener.kinds()[-1] == "ended", listener.kinds()
            first, track = listener.track(0)
            assert track == b"".join(bytes([(first // 160 + i) % 256]) * 160 for i in range(len(track) // 160))
            row = system.conversation(calls[number // 3].sid)
            assert listener.events[0]["call"] == row["id"]
        cores = {json.loads(line)["core"] if line.startswith("{") else line.split("core=")[1].split()[0]
                 for line in system.log("edge").split("\n") if "call ended" in line}
        assert len(cores) == 2, cores


if __name__ == "__main__":
    run(a_whole_call_is_heard_by_two_one_of_them_slow, only_who_is_let_in_comes_in,
        listeners_find_the_core_of_their_call)
