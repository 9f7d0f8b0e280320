"""What the caller's voice becomes: mu-law through untouched, to the bit; through 24 kHz and back with at least 34 dB,
without clicks; gaps in the carrier's clock as silence. The practice AI echoes what it hears."""
import base64
import json
import math
import os
import random
import signal
import subprocess
import wave

from hostile import connected, open_stream, start
from rawstream import RawStream  # noqa: F401  (hostile opens it)
from system import ACCOUNT, System, eventually, run

FRAME = 160
SID = "MZ" + "1" * 32
AHEAD_BYTES = 8000


def ulaw_decode(code):
    """G.711 by the book: 16-bit value of a mu-law code."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)
    return (0x84 - magnitude) if code & 0x80 else (magnitude - 0x84)


def ulaw_encode(value):
    sign = 0x80 if value < 0 else 0
    magnitude = min(abs(value), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF


def speech(directory):
    """Two seconds and more of a real voice, as mu-law codes."""
    file = directory / "speech.wav"
    subprocess.run(["espeak-ng", "-w", file, "The quick brown fox jumps over the lazy dog, and the five boxing wizards "
                    "jump quickly."], check=True)
    with wave.open(str(file)) as sound:
        rate, data = sound.getframerate(), sound.readframes(sound.getnframes())
    samples = [int.from_bytes(data[i:i + 2], "little", signed=True) for i in range(0, len(data), 2)]
    count = len(samples) * 8000 // rate
    codes = []
    for i in range(count):  # a plain average is filter enough for a test's input
        first, last = i * rate // 8000, max((i + 1) * rate // 8000, i * rate // 8000 + 1)
        codes.append(ulaw_encode(sum(samples[first:last]) // (last - first)))
    return bytes(codes[:count // FRAME * FRAME])


class Caller:
    """A stream by hand that says what it is told to, and keeps what came back."""

    def __init__(self, system):
        self.sid, self.stream = open_stream(system)
        self.said = self.heard = b""
        self.frames = 0
        self.stream.send(connected())
        self.stream.send(start(self.sid))

    def frame(self, timestamp, codes):
        self.frames += 1
        self.said += codes
        return self.stream.frame({"event": "media", "sequenceNumber": str(self.frames + 1), "streamSid": SID,
                                  "media": {"track": "inbound", "chunk": str(self.frames), "timestamp": str(timestamp),
                                            "payload": base64.b64encode(codes).decode()}})

    def say(self, *frames):
        self.stream.send_raw(b"".join(self.frame(*frame) for frame in frames))

    def hear(self, total):
        """Until so many bytes have come back since the start."""
        while len(self.heard) < total:
            opcode, payload = self.stream.read_frame()
            assert opcode == 1, (opcode, payload)
            message = json.loads(payload)
            assert message["streamSid"] == SID
            if message["event"] == "mark":
                self.stream.send({"event": "mark", "sequenceNumber": "9", "streamSid": SID, "mark": message["mark"]})
            elif message["event"] == "media":
                self.heard += base64.b64decode(message["media"]["payload"], validate=True)

    def hang_up(self):
        self.stream.send({"event": "stop", "streamSid": SID, "stop": {"accountSid": ACCOUNT, "callSid": self.sid}})
        self.stream.close()


def talk(system, frames, read_bytes):
    """Sends frames of (timestamp_ms, codes), never more than a second ahead of what came back, since an AI that is given
    more than it takes is not given everything; returns what came back, read_bytes of it."""
    caller = Caller(system)
    for frame in frames:
        caller.say(frame)
        caller.hear(len(caller.said) - AHEAD_BYTES)
    caller.hear(read_bytes)
    caller.hang_up()
    return caller.sid, caller.heard


def echo_system(audio_format, ai_arguments=()):
    system = System(ai_arguments=ai_arguments)
    system.__enter__()
    system.organisation("Echo", "+15550100", model="practice-echo", audio_format=audio_format, greeting="")
    return system


def mulaw_is_passed_to_the_bit():
    system = echo_system("pcmu")
    try:
        dice = random.Random(7)
        sizes = [FRAME] * 100 + [1, 2, 3, 7, 159, 161, 320, 8000]
        blocks = [bytes(range(256))] + [dice.randbytes(size) for size in sizes]
        frames, timestamp = [], 171.0
        for block in blocks:
            frames.append((int(timestamp), block))
            timestamp += len(block) / 8
        everything = b"".join(blocks)
        _, heard = talk(system, frames, len(everything))
        assert heard == everything, "the echo differs"
    finally:
        system.__exit__(None, None, None)


def the_24_khz_path_keeps_34_db():
    system = echo_system("pcm")
    try:
        codes = speech(system.directory)
        frames = [(171 + 20 * i, codes[i * FRAME:(i + 1) * FRAME]) for i in range(len(codes) // FRAME)]
        _, heard = talk(system, frames, len(codes) - FRAME)
        sent = [ulaw_decode(code) for code in codes]
        back = [ulaw_decode(code) for code in heard]

        def noise(delay):
            pairs = [(sent[i], back[i + delay]) for i in range(len(back) - delay) if i < len(sent)]
            return sum((a - b) ** 2 for a, b in pairs), sum(a * a for a, _ in pairs)

        delay = min(range(0, 120), key=lambda shift: noise(shift)[0])
        error, signal = noise(delay)
        ratio = 10 * math.log10(signal / error)
        print(f"24 kHz and back: {ratio:.1f} dB, {delay} samples of delay")
        assert ratio >= 34, ratio
        for i in range(200, len(back) - delay - 200):  # a click is an error out of proportion to the sound around it
            around = max(abs(sent[j]) for j in range(i - 40, i + 40))
            assert abs(sent[i] - back[i + delay]) <= 0.08 * around + 48, (i, sent[i], back[i + delay], around)
    finally:
        system.__exit__(None, None, None)


def gaps_become_silence():
    system = echo_system("pcmu")
    try:
        block = bytes([0x20]) * FRAME
        frames = [(171, block), (191, block), (191 + 20 + 100, block), (191 + 20 + 100 + 20, block)]
        sid, heard = talk(system, frames, 4 * FRAME + 800)
        assert heard == block * 2 + b"\xff" * 800 + block * 2, "the gap is not 100 ms of silence"
        row = system.finished(sid)
        assert row["figures"]["gap_samples"] == 800, row["figures"]
    finally:
        system.__exit__(None, None, None)


def a_burst_of_five_seconds_loses_nothing():
    """The carrier stalled: what it has held back comes at once, and then it goes on as ever. The AI is stopped meanwhile
    and little of it fits into its kernel, or it might be quick enough, and the test prove nothing. It is told as slow once
    or more often: a window that opens late takes much at once. What comes after waits for the AI and not for a clock."""
    system = echo_system("pcm", ["--receive-bytes", "16384"])
    try:
        codes = speech(system.directory)
        codes = (codes * (1 + 43200 // len(codes)))[:270 * FRAME]
        frames = [(171 + 20 * i, codes[i * FRAME:(i + 1) * FRAME]) for i in range(270)]
        caller = Caller(system)
        eventually("the AI is ready", lambda: system.metric("ringbridge_ai_ready_seconds_count") == 1)
        ai = system.processes["ai"].pid
        os.kill(ai, signal.SIGSTOP)
        try:
            caller.say(*frames[:250])
            eventually("the burst has come",
                       lambda: system.metric('ringbridge_frames_total{leg="carrier",direction="in"}') == 250)
            assert system.metric("ringbridge_ai_slow_total") >= 1, "the AI was not too slow for the burst"
        finally:
            os.kill(ai, signal.SIGCONT)
        for frame in frames[250:]:  # whatever the AI was given has come back: it has caught up
            caller.hear(FRAME * (system.metric('ringbridge_frames_total{leg="ai",direction="out"}') - 3))
            caller.say(frame)
        caller.hear(len(codes) - FRAME)
        caller.hang_up()
        assert system.finished(caller.sid)["figures"]["slow_dropped_bytes"] == 0
    finally:
        system.__exit__(None, None, None)


if __name__ == "__main__":
    run(mulaw_is_passed_to_the_bit, the_24_khz_path_keeps_34_db, gaps_become_silence,
        a_burst_of_five_seconds_loses_nothing)
