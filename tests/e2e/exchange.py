"""The carrier's telephone exchange as far as conferences and calls by REST go: legs that do TwiML verb by verb in threads
of their own, conferences with their callbacks, and the REST API that creates, redirects, ends and lists them. Signed
webhooks go to the system's edge. Music and speech take no time; keys and answers come from a script.

    with Exchange() as exchange, exchange.system() as system:
        exchange.people["+15550101"] = Person(keys=["1"])
        caller = exchange.call("+15550100")"""
import base64
import contextlib
import http.server
import itertools
import json
import socket
import threading
import time
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

from hostile import connected, sign_stream, start
from rawstream import RawStream
from system import ACCOUNT, PUBLIC_URL, TOKEN, System

CALLER = "+15550177"
SOUND, SILENCE = (base64.b64encode(bytes(sample) * (160 // len(sample))).decode() for sample in (b"\x00" * 8 + b"\x80" * 8, b"\xff"))


class Over(Exception):
    """The leg was hung up."""


class Person:
    """What happens at a telephone that is called: ends ("busy", "no-answer", "failed") before it is answered, or is
    answered and presses these keys in turn; None: hangs up instead of pressing; "": presses nothing."""

    def __init__(self, *, ends=None, keys=(), rings=None):
        self.ends, self.keys, self.rings = ends, list(keys), rings or threading.Event()
        self.legs = []
        if rings is None:
            self.rings.set()  # answered at once


class Stream:
    """A leg's media stream with an edge. What the agent says is heard at once; what the caller says takes as long as the
    edge may get it at once."""
    numbers = itertools.count(1)

    def __init__(self, leg, noun):
        path = urllib.parse.urlsplit(noun.get("url")).path
        self.leg, self.sid, self.sequence, self.over = leg, f"MZ{next(Stream.numbers):032x}", itertools.count(2), False
        self.raw = RawStream(leg.exchange.target.listen, path, sign_stream(path), timeout=600)
        assert self.raw.status == 101, self.raw.status
        self.lock = threading.Lock()
        self.raw.send(connected())
        self.raw.send(start(leg.sid, streamSid=self.sid, customParameters={
            parameter.get("name"): parameter.get("value") for parameter in noun}))
        threading.Thread(target=self.listen, daemon=True).start()

    def send(self, **message):
        with self.lock:
            self.raw.send(message | {"streamSid": self.sid, "sequenceNumber": str(next(self.sequence))})

    def listen(self):
        with contextlib.suppress(OSError):  # closed by us, or by the edge
            while True:
                opcode, payload = self.raw.read_frame()
                message = json.loads(payload) if opcode == 1 else {}
                if message.get("event") == "mark":
                    self.send(event="mark", mark=message["mark"])
                elif opcode == 8:
                    break
        with self.leg.changed:
            self.over = True
            self.leg.changed.notify_all()

    def say(self, text):
        """The practice AI is told what it is going to hear."""
        target = self.leg.exchange.target
        request = urllib.request.Request(f"http://127.0.0.1:{target.ai_port}/practice/expect",
                                         json.dumps({"text": text}).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()
        for number, payload in enumerate([SOUND] * 30 + [SILENCE] * 60, 1):
            self.send(event="media", media={"track": "inbound", "chunk": str(number), "timestamp": str(number * 20),
                                            "payload": payload})

    def end(self):
        with contextlib.suppress(OSError):
            self.send(event="stop", stop={"accountSid": ACCOUNT, "callSid": self.leg.sid})
            self.raw.socket.shutdown(socket.SHUT_RDWR)
        self.raw.close()


class Leg:
    numbers = itertools.count(1)

    def __init__(self, exchange, sender, receiver, direction, person=None, parent=None):
        self.exchange, self.sender, self.receiver = exchange, sender, receiver
        self.direction, self.person, self.parent = direction, person, parent
        self.sid = f"CA{0xe0000 + next(Leg.numbers):032x}"
        self.status, self.said, self.verbs, self.fetched = "queued", [], [], []
        self.callback, self.events, self.told, self.sequence = None, None, [], 0
        self.streams = None  # a list: those that it had; none are made before
        self.changed = threading.Condition()
        self.elsewhere, self.over, self.room, self.with_agent = None, False, None, False

    # ---- what others do to it ----

    def redirect(self, url):
        with self.changed:
            self.elsewhere = url
            self.changed.notify_all()
        self.leave()

    def hang_up(self):
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.leave()

    def leave(self):
        if self.room:
            self.room.leave(self)

    def wait(self, until, seconds=60.0):
        """Until something is so, or the leg is taken elsewhere."""
        with self.changed:
            self.changed.wait_for(lambda: self.over or self.elsewhere or until(), seconds)
        if self.over:
            raise Over
        return not self.elsewhere

    # ---- requests ----

    def fields(self, **more):
        parent = {"ParentCallSid": self.parent.sid} if self.parent else {}
        return {"AccountSid": ACCOUNT, "CallSid": self.sid, "CallStatus": self.status, "ApiVersion": "2010-04-01",
                "Direction": self.direction, "From": self.sender, "To": self.receiver} | parent | more

    def tell(self, status):
        """A status callback, if somebody wants it."""
        self.status = status
        over = status in ("completed", "busy", "failed", "no-answer", "canceled")
        event = "completed" if over else "answered" if status == "in-progress" else status
        if self.callback and (self.events is None or event in self.events):
            self.told.append(event)
            self.sequence += 1
            self.exchange.post(self.callback, self.fields(
                SequenceNumber=str(self.sequence - 1), CallbackSource="call-progress-events",
                **({"CallDuration": "3"} if over else {})), 5)

    def fetch(self, url, **more):
        self.fetched.append(url.removeprefix(PUBLIC_URL).partition("#")[0])
        status, body = self.exchange.post(url, self.fields(**more), 3)
        assert status == 200, (url, status, body)
        return list(xml.fromstring(body))

    # ---- TwiML ----

    def run(self, url):
        """Does documents until there is none. Raises Over."""
        verbs = self.fetch(url)
        while verbs is not None:
            verbs = self.do(verbs)

    def do(self, verbs):
        """A document's verbs; returns the document that follows, or None."""
        for verb in verbs:
            if self.over:
                raise Over
            if self.elsewhere:
                break
            self.verbs.append(verb.tag)
            following = getattr(self, "do_" + verb.tag.lower())(verb)
            if following is not None and not self.elsewhere:
                return following
        if not self.elsewhere:
            return None
        url, self.elsewhere = self.elsewhere, None
        return self.fetch(url)

    def do_say(self, verb):
        self.said.append(verb.text)

    def do_play(self, verb):
        self.said.append(f"music {verb.text}")

    def do_pause(self, verb):
        self.wait(lambda: False, 0.3)

    def do_redirect(self, verb):
        return self.fetch(verb.text if verb.text.startswith("http") else PUBLIC_URL + verb.text)

    def do_hangup(self, verb):
        raise Over

    def do_record(self, verb):
        return self.fetch(verb.get("action"), RecordingDuration="3", RecordingSid=f"RE{1:032x}", Digits="#")

    def do_connect(self, verb):
        with self.changed:
            self.with_agent = True
            self.changed.notify_all()
        if self.streams is None:
            self.wait(lambda: False, 600)
            return
        stream = Stream(self, verb[0])
        self.streams.append(stream)
        try:
            self.wait(lambda: stream.over, 600)
        finally:
            stream.end()

    def do_gather(self, verb):
        for child in verb:
            self.said.append(child.text)
        key = self.person.keys.pop(0) if self.person.keys else ""
        if key is None:
            raise Over
        return self.fetch(verb.get("action"), Digits=key)

    def do_dial(self, verb):
        (noun,) = verb
        if noun.tag == "Conference":
            room = self.exchange.enter(self, noun)
            self.wait(lambda: self.room is not room, 600)
            more = {"DialCallStatus": "answered"}
        else:
            more = self.exchange.connect(self, noun, verb.get("callerId"))
        if self.elsewhere or not verb.get("action"):
            return None
        return self.fetch(verb.get("action"), **more)


class Room:
    def __init__(self, exchange, name, noun):
        self.exchange, self.name = exchange, name
        self.sid = f"CF{next(Leg.numbers):032x}"
        self.callback = noun.get("statusCallback")
        self.members, self.started, self.ended, self.sequence = {}, False, False, 0

    def tell(self, event, leg=None):
        if self.callback:
            self.sequence += 1
            more = {"CallSid": leg.sid, "EndConferenceOnExit": "true"} if leg else {}
            self.exchange.callbacks.append((self.callback, {
                "AccountSid": ACCOUNT, "ConferenceSid": self.sid, "FriendlyName": self.name,
                "StatusCallbackEvent": event, "SequenceNumber": str(self.sequence)} | more))

    def join(self, leg, noun):
        with self.exchange.lock:
            self.members[leg] = noun
            leg.room = self
            self.tell("participant-join", leg)
            starts = any(one.get("startConferenceOnEnter", "true") == "true" for one in self.members.values())
            if starts and len(self.members) > 1 and not self.started:  # whoever of them came first
                self.started = True
                self.tell("conference-start")
        self.exchange.flush()

    def leave(self, leg):
        with self.exchange.lock:
            noun = self.members.pop(leg, None)
            if noun is None:
                return
            self.tell("participant-leave", leg)
            freed = [leg]
            if noun.get("endConferenceOnExit") == "true" or not self.members:
                freed += list(self.members)
                self.members.clear()
                self.ended = True
                self.tell("conference-end")
        for one in freed:
            with one.changed:
                one.room = None
                one.changed.notify_all()
        self.exchange.flush()


class Exchange:
    def __init__(self):
        self.people, self.legs, self.rooms, self.asked, self.mishaps = {}, [], {}, [], []
        self.lock, self.callbacks, self.errors = threading.RLock(), [], []
        self.twice = False  # every callback comes twice
        self.lossy = False  # callbacks may stay unheard
        self.stubborn = False  # they are repeated until they are heard
        self.works = threading.Semaphore(0)  # once for each thing that control has done
        self.placing = threading.Event()  # cleared: a call is created, and the answer does not come
        self.placing.set()
        self.api = self.serve()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for leg in self.legs:
            leg.hang_up()
        self.placing.set()
        self.api.shutdown()
        self.api.server_close()
        assert kind or not self.errors, self.errors

    @contextlib.contextmanager
    def system(self, target=None):
        self.target = target or System()
        self.target.settings["TWILIO_API_BASE"] = f"http://127.0.0.1:{self.api.server_address[1]}"
        with self.target:
            try:
                yield self.target
            finally:
                for leg in self.legs:
                    leg.hang_up()
                for leg in self.legs:
                    leg.thread.join(20)

    # ---- webhooks ----

    def post(self, url, fields, tries):
        """As Twilio: the fragment is for itself, and what fails is tried again."""
        path = url.removeprefix(PUBLIC_URL).partition("#")[0]
        for left in range(60 if self.stubborn else tries, -1, -1):
            try:
                status, body = self.target.post(path, fields)
            except OSError as error:
                status, body = 0, str(error)
            if status == 200 and "One moment please." not in body:
                self.works.release()  # control said it, not the edge for it
            if 200 <= status < 300 or left == 0 or 400 <= status < 500:
                if not 200 <= status < 300 and not self.lossy:
                    self.errors.append((path, status, body))
                elif self.twice and left == tries:
                    assert self.target.post(path, fields) == (status, body), path
                return status, body
            time.sleep(1)

    def flush(self):
        while True:
            with self.lock:
                if not self.callbacks:
                    return
                url, fields = self.callbacks.pop(0)
            self.post(url, fields, 5)

    # ---- calls ----

    def start(self, leg, work):
        def live():
            try:
                work()
            except Over:
                pass
            except Exception as error:
                self.errors.append((leg.sid, repr(error)))
            leg.leave()
            if leg.status not in ("busy", "failed", "no-answer", "canceled"):
                leg.tell("completed" if leg.status == "in-progress" else "canceled")
        leg.thread = threading.Thread(target=live, daemon=True)
        self.legs.append(leg)
        leg.thread.start()
        return leg

    def call(self, number, sender=CALLER, streams=None):
        leg = Leg(self, sender, number, "inbound")
        leg.streams = streams
        leg.callback = PUBLIC_URL + "/api/twilio/status-callback"

        def work():
            leg.status = "in-progress"
            leg.run(PUBLIC_URL + "/api/twilio/incoming-call")
        return self.start(leg, work)

    def ring(self, leg):
        """True: answered."""
        leg.tell("initiated")
        leg.tell("ringing")
        while not leg.person.ends and not leg.person.rings.is_set():
            leg.wait(leg.person.rings.is_set, 0.1)
        leg.tell(leg.person.ends or "in-progress")
        return not leg.person.ends

    def place(self, form):
        person = self.people[form["To"]]
        leg = Leg(self, form["From"], form["To"], "outbound-api", person)
        person.legs.append(leg)
        leg.callback, leg.events, leg.url = form["StatusCallback"], form["StatusCallbackEvent"], form["Url"]
        return self.start(leg, lambda: self.ring(leg) and leg.run(form["Url"]))

    def connect(self, parent, noun, caller_id):
        """A <Dial><Number>: rings, and talks until somebody hangs up."""
        person = self.people[noun.text]
        leg = Leg(self, caller_id, noun.text, "outbound-dial", person, parent)
        person.legs.append(leg)
        leg.callback, leg.events = noun.get("statusCallback"), noun.get("statusCallbackEvent", "completed").split()
        answered = threading.Event()

        def work():
            if self.ring(leg):
                answered.set()
                leg.wait(lambda: parent.over)
        self.start(leg, work)
        while leg.thread.is_alive():
            parent.wait(lambda: not leg.thread.is_alive(), 0.05)
        return {"DialCallStatus": leg.status, "DialCallSid": leg.sid, "DialBridged": str(answered.is_set()).lower()}

    def enter(self, leg, noun):
        with self.lock:
            room = self.rooms.get(noun.text)
            if not room or room.ended:
                room = self.rooms[noun.text] = Room(self, noun.text, noun)
        room.join(leg, noun)

        def play():
            while leg.room is room and not room.started:
                for verb in leg.fetch(noun.get("waitUrl")):
                    leg.said.append(verb.text)
                time.sleep(0.3)
        threading.Thread(target=play, daemon=True).start()
        return room

    # ---- REST ----

    def answer(self, method, path, form, authorization):
        if authorization != "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode():
            return 401, {"code": 20003, "message": "Authenticate", "status": 401}
        self.asked.append((method, path, form))
        self.works.release()
        if self.mishaps:
            status = self.mishaps.pop(0)
            return status, {"code": 20429 if status == 429 else 20500, "message": "not now", "status": status}
        if method == "POST" and path == "Calls.json":
            if form["To"] not in self.people:
                return 400, {"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400}
            leg = self.place(form)
            self.placing.wait(60)
            return 201, {"sid": leg.sid, "status": "queued", "account_sid": ACCOUNT}
        if method == "POST" and path.startswith("Calls/"):
            leg = next((leg for leg in self.legs if leg.sid == path[6:40]), None)
            if not leg or not leg.thread.is_alive():
                return 404, {"code": 20404, "message": "not found", "status": 404}
            leg.redirect(form["Url"]) if "Url" in form else leg.hang_up()
            return 200, {"sid": leg.sid, "status": leg.status}
        if method == "GET" and path == "Conferences.json":
            found = [room for room in self.rooms.values() if room.name == form["FriendlyName"] and
                     (room.started and not room.ended) == (form["Status"] == "in-progress")]
            return 200, {"conferences": [{"sid": room.sid} for room in found], "next_page_uri": None}
        return 404, {"code": 20404, "message": "not found", "status": 404}

    def serve(self):
        exchange = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                path, _, query = self.path.partition("?")
                pairs = urllib.parse.parse_qsl(text or query)
                events = [value for name, value in pairs if name == "StatusCallbackEvent"]  # one by one
                status, answer = exchange.answer(
                    self.command, path.removeprefix(f"/2010-04-01/Accounts/{ACCOUNT}/"),
                    dict(pairs) | {"StatusCallbackEvent": events}, self.headers.get("Authorization"))
                body = json.dumps(answer).encode()
                with contextlib.suppress(OSError):  # who asked has died
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # who asked has died

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server
