#!/usr/bin/env python3
"""stand_in: control's side of the link, with nothing behind it: every call is welcome, nothing is stored.

For measurements in which control and PostgreSQL, which share the generator's core, would be what is measured: how many
calls a second an edge core can set up, how many it can hold. The edge cannot tell the difference: it gets a prepare
order with a ticket and the stream's signature, then TwiML, and its events are acknowledged at once.
  stand_in.py SOCKET FORMAT       AI's URL and the token come from OPENAI_REALTIME_URL and TWILIO_AUTH_TOKEN
Speaks common/link_proto.h. One connection at a time, one thread; ends with SIGTERM."""
import base64
import hashlib
import hmac
import json
import os
import socket
import struct
import sys
import time
import urllib.parse
import uuid

HELLO, REQUEST, RESPONSE, EVENT, ACK, ORDER, RESULT = range(1, 8)
HEADER = struct.Struct("<IBBHQII")
ORGANIZATION = str(uuid.UUID(int=0xbe))
PUBLIC_HOST = "bench.example.com"


def frame(kind, number, value=None, raw=b""):
    text = json.dumps(value).encode() if value is not None else b""
    return HEADER.pack(HEADER.size + len(text) + len(raw), kind, 0, 0, number, len(text), len(raw)) + text + raw


class StandIn:
    def __init__(self, audio_format):
        self.format = audio_format
        self.token = os.environ["TWILIO_AUTH_TOKEN"].encode()
        self.url = os.environ["OPENAI_REALTIME_URL"] + "?model=gpt-realtime"
        self.orders = 0

    def ticket(self, call, expires_at_ms):
        body = struct.pack(">BBHQ", 1, 0, 0, expires_at_ms) + call.bytes + uuid.UUID(ORGANIZATION).bytes + os.urandom(16)
        return base64.urlsafe_b64encode(body + os.urandom(32)).decode().rstrip("=")

    def plan(self, form):
        call, expires_at_ms = uuid.uuid4(), int(time.time() * 1000) + 60000
        ticket = self.ticket(call, expires_at_ms)
        stream = f"wss://{PUBLIC_HOST}/twilio-media-stream/{ticket}"
        signature = base64.b64encode(hmac.new(self.token, stream.encode(), hashlib.sha1).digest()).decode()
        return stream, {
            "call": str(call), "organization": ORGANIZATION, "call_sid": form["CallSid"], "account_sid": form["AccountSid"],
            "ticket": ticket, "expires_at_ms": expires_at_ms, "home_core": 0, "signatures": [signature],
            "duration_max_s": 3600, "record": bool(os.environ.get("BENCH_RECORD")),
            "append_ms": int(os.environ.get("BENCH_APPEND_MS") or 20),
            "ai": {"backend": "openai_realtime", "url": self.url, "key": "bench", "format": self.format,
                   "model": "gpt-realtime", "voice": "marin", "instructions": "You answer the phone. Be brief and friendly.",
                   "greeting": "", "transcription_model": "whisper-1", "language": "en", "tools": []}}

    def answer(self, number, asked, body):
        if asked["kind"] == "admit":
            return frame(RESPONSE, number, {"status": 403, "error": "every stream here was prepared"})
        if asked["kind"] != "http":
            return frame(RESPONSE, number, {"status": 200, "headers": {"content-type": "text/plain"}})
        headers = {"content-type": "text/xml"}
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if "incoming-call" not in asked["target"] or "CallSid" not in form:
            return frame(RESPONSE, number, {"status": 200, "headers": headers}, b"<Response/>")
        stream, plan = self.plan(form)
        self.orders += 1
        twiml = f'<Response><Connect><Stream url="{stream}"/></Connect></Response>'.encode()
        return frame(ORDER, self.orders, {"kind": "prepare", "plan": plan}) + \
            frame(RESPONSE, number, {"status": 200, "headers": headers}, twiml)

    def reply(self, kind, number, text, raw):
        if kind == HELLO:
            return frame(HELLO, 1, {"role": "control", "name": "stand-in", "run": str(uuid.uuid4())})
        if kind == REQUEST:
            return self.answer(number, json.loads(text), raw)
        return frame(ACK, number) if kind == EVENT else b""

    def serve(self, link):
        """Until the edge goes away. What came together is answered together."""
        held = b""
        while True:
            more = link.recv(1 << 18)
            if not more:
                return
            held += more
            at, replies = 0, []
            while len(held) - at >= HEADER.size:
                size, kind, _, _, number, text_bytes, raw_bytes = HEADER.unpack_from(held, at)
                if len(held) - at < size:
                    break
                text = held[at + HEADER.size:at + HEADER.size + text_bytes]
                replies.append(self.reply(kind, number, text, held[at + size - raw_bytes:at + size]))
                at += size
            held = held[at:]
            link.sendall(b"".join(replies))


def main():
    path, audio_format = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    stand_in = StandIn(audio_format)
    while True:
        link, _ = listener.accept()
        try:
            stand_in.serve(link)
        except ConnectionError:
            pass
        link.close()


if __name__ == "__main__":
    main()
