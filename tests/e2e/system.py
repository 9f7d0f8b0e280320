"""The whole system for a test: private PostgreSQL, control, edge, practice AI and practice carrier.

    with System() as system:
        org = system.organisation("A", "+15550100")
        report = system.call(say=["Hello."])

Everything is real and on loopback; everything is stopped by pid when the block ends, and a program that has died of
itself, or whose sanitizer has spoken, fails the test."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("RINGBRIDGE_BIN", ROOT / "build/dev/bin"))
PUBLIC_URL = "https://calls.example.com"
ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "practice-token-of-a-test"


def free_port():
    """One that nobody has, below those that the kernel gives to who connects: it would be gone before it is bound."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", random.randrange(10000, 32768)))
                return probe.getsockname()[1]


def heard_between(stream, told_at_ms):
    """What the carrier had played when the edge gave the order to be silent: milliseconds, from and to. It plays on
    while the order is on its way, and no clock is better than the machine is punctual: both are measured."""
    clear, frame_ms = stream["clears"][0], 20
    slack_ms = frame_ms + stream["frames"]["late_max_ms"]
    on_the_way_ms = max(0, clear["wall_ms"] - told_at_ms)
    return clear["played_ms"] - on_the_way_ms - slack_ms, clear["played_ms"] + slack_ms


def eventually(what, check, seconds=60.0):
    """Polls until check() is true. Not a timed test: the bound only ends a hopeless wait."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened within {seconds} s: {what}")
        time.sleep(0.05)


class System:
    def __init__(self, cores="any:1", ai_arguments=(), edge_arguments=(), tls=False):
        self.cores, self.ai_arguments, self.edge_arguments = cores, list(ai_arguments), list(edge_arguments)
        self.tls = tls
        self.control_arguments, self.settings = [], {}  # flags of serve; environment of every ringbridge-control
        self.processes = {}

    # ---- life ----

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.directory = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="rb-")))
        os.chmod(self.directory, 0o711)
        self.listen, self.listen_tls = free_port(), free_port()
        self.metrics_port, self.ai_port = free_port(), free_port()
        self.socket_path = self.directory / "control.sock"
        self.spool, self.media = self.directory / "spool", self.directory / "media"
        self.journal = self.directory / "journal"
        try:
            self.start_database()
            self.start_ai()
            self.start_control()
            self.start_edge()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, value, trace):
        problems = self.close()
        if kind is not None:
            for name, path in self.logs.items():
                print(f"---- {name} ----\n{path[-4000:]}", file=sys.stderr)
        elif problems:
            raise AssertionError("; ".join(problems))

    def close(self):
        problems = []
        for name in list(self.processes)[::-1]:
            problem = self.stop(name)
            if problem:
                problems.append(problem)
        subprocess.run([ROOT / "tests/control/pg.sh", "stop", self.directory / "pg"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.logs = {path.stem: path.read_text(errors="replace") for path in self.directory.glob("*.log")}
        for name, text in self.logs.items():
            for mark in ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer", "panic:",
                         "WARNING: ThreadSanitizer"):
                if mark in text:
                    at = text.index(mark)
                    problems.append(f"{name}: {text[at:at + 1500]}")
        self.stack.close()
        return problems

    def environment(self, **more):
        names = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
        return {name: os.environ[name] for name in names if name in os.environ} | {
            "DATABASE_URL": self.database_url, "PUBLIC_URL": PUBLIC_URL, "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN, "RINGBRIDGE_SECRET_KEY": "5e" * 32, "OPENAI_API_KEY": "practice-key",
            "OPENAI_REALTIME_URL": self.ai_url(), "TWILIO_API_BASE": "http://127.0.0.1:1"} | self.settings | more

    def ai_url(self):
        return f"ws://127.0.0.1:{self.ai_port}/v1/realtime"

    def start(self, name, *command, **environment):
        log = open(self.directory / f"{name}.log", "ab")
        self.processes[name] = subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            env=self.environment(**environment), start_new_session=True)
        log.close()

    def stop(self, name, how=signal.SIGTERM, seconds=30):
        """Ends a program by pid. Returns what was wrong with its end, or None."""
        process = self.processes.pop(name)
        if process.poll() is not None:
            return f"{name} had ended by itself with status {process.returncode}"
        process.send_signal(how)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return f"{name} did not end within {seconds} s"
        fine = status == 0 or how == signal.SIGKILL or (name == "ai" and status == -how)
        return None if fine else f"{name} ended with status {status}"

    def log(self, name):
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def start_database(self):
        url = subprocess.run([ROOT / "tests/control/pg.sh", "start", self.directory / "pg"], check=True, text=True,
                             capture_output=True, env=os.environ | {"PG_FSYNC": "off"}).stdout
        self.database_url = url.strip().split("\n")[-1]
        self.control("migrate")

    def start_ai(self):
        self.start("ai", BIN / "practice-ai", "--listen", f"127.0.0.1:{self.ai_port}", "--verbose", *self.ai_arguments)
        eventually("practice AI is ready", lambda: "ready" in self.log("ai"))

    def start_control(self):
        for directory in (self.spool, self.media, self.journal):
            directory.mkdir(mode=0o700, exist_ok=True)
        self.start("control", BIN / "ringbridge-control", "serve", "--socket", self.socket_path, "--spool", self.spool,
                   "--media-dir", self.media, "--journal", self.journal, *self.control_arguments)
        eventually("control listens", self.socket_path.exists)

    def start_edge(self):
        arguments = ["--listen", f"127.0.0.1:{self.listen}", "--metrics", f"127.0.0.1:{self.metrics_port}",
                     "--control", self.socket_path, "--cores", self.cores, "--spool", self.spool, *self.edge_arguments]
        self.start("edge", BIN / "ringbridge-edge", *arguments)
        eventually("edge is ready", lambda: self.ready() == 200)

    # ---- what a person would type ----

    def control(self, *words, check=True):
        done = subprocess.run([BIN / "ringbridge-control", *map(str, words)], text=True, capture_output=True,
                              env=self.environment())
        if check and done.returncode != 0:
            raise AssertionError(f"ringbridge-control {' '.join(map(str, words))}: {done.stdout}{done.stderr}")
        return done.stdout

    def organisation(self, name, number, **configuration):
        org = self.control("org", "add", name).strip().split()[-1]
        self.control("number", "add", number, "--org", org)
        if configuration:
            self.control("config", "set", "--org", org, "--channel", "voice",
                         *[f"{key}={value}" for key, value in configuration.items()])
        return org

    def call(self, *flags, say=(), to="+15550100", hint=True, check=True, **environment):
        """Places a call (or several) and returns the practice carrier's report."""
        report = self.directory / f"report-{time.monotonic_ns()}.json"
        command = [BIN / "practice-carrier", "--webhook", f"http://127.0.0.1:{self.listen}/api/twilio/incoming-call",
                   "--public-url", PUBLIC_URL, "--account-sid", ACCOUNT, "--to", to, "--json", report, *flags]
        for text in say:
            command += ["--say", text]
        if hint:
            command += ["--ai-hint", f"http://127.0.0.1:{self.ai_port}"]
        done = subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=180,
                              env=self.environment(**environment))
        if check and done.returncode != 0:
            raise AssertionError(f"practice-carrier: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return json.loads(report.read_text())

    def record_dialogue(self):
        """Before the system starts: the practice AI writes down every event of both sides."""
        self.dialogue = tempfile.NamedTemporaryFile(prefix="rb-dialogue-", suffix=".jsonl")
        self.ai_arguments += ["--record", self.dialogue.name]
        return self

    def judge_dialogue(self):
        """Both sides' events against OpenAI's published schemas. Needs npm ci in tests/."""
        done = subprocess.run(["node", ROOT / "tests/practice/realtime_schema.mjs", self.dialogue.name], text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(self.dialogue.name) as file:
            return sum(1 for _ in file)

    # ---- looking ----

    def get(self, path, port=None):
        request = f"http://127.0.0.1:{port or self.metrics_port}{path}"
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self):
        return self.get("/readyz")[0]

    def metric(self, series):
        """Value of one series, written as it stands in /metrics; 0.0 when it is not there."""
        for line in self.get("/metrics")[1].split("\n"):
            if line.startswith(series + " "):
                return float(line.split(" ")[-1])
        return 0.0

    def sql(self, query, *, json_rows=True):
        """Rows as dictionaries, as the owner of everything."""
        wrapped = f"SELECT coalesce(json_agg(rows), '[]') FROM ({query}) AS rows"
        done = subprocess.run(["psql", self.database_url, "-XqAtc", "SET row_security = off", "-c", wrapped],
                              text=True, capture_output=True)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout)

    def conversation(self, call_sid):
        rows = self.sql(f"SELECT * FROM conversations WHERE call_sid = '{call_sid}'")
        return rows[0] if rows else None

    def finished(self, call_sid):
        """The conversation, once the edge's last word about it is stored."""
        return eventually(f"{call_sid} is on record as ended",
                          lambda: (row := self.conversation(call_sid)) and row["ended_reason"] and row)

    def messages(self, conversation):
        return self.sql("SELECT role, content, timestamp, metadata FROM conversation_messages WHERE conversation_id = "
                        f"'{conversation['id']}' ORDER BY timestamp, id")

    # ---- speaking HTTP by hand ----

    def post(self, path, fields, *, sign=True, token=TOKEN, headers=()):
        body = urllib.parse.urlencode(fields)
        request = urllib.request.Request(f"http://127.0.0.1:{self.listen}{path}", data=body.encode(), method="POST")
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
        if sign:
            request.add_header("X-Twilio-Signature", signature(token, PUBLIC_URL + path, fields))
        for name, value in headers:
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def signature(token, url, fields=()):
    text = url + "".join(name + value for name, value in sorted(dict(fields).items()))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def run(*tests):
    """Runs test functions; prints what cmocka and ctest people expect, ends with the count."""
    chosen = [test for test in tests if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]]
    failed = 0
    for test in chosen:
        print(f"[ RUN      ] {test.__name__}", flush=True)
        began = time.monotonic()
        try:
            test()
            print(f"[       OK ] {test.__name__} ({time.monotonic() - began:.0f} s)", flush=True)
        except Exception as error:  # a failure of any kind is a failed test
            failed += 1
            import traceback
            traceback.print_exc()
            print(f"[  FAILED  ] {test.__name__}: {error}", flush=True)
    print(f"{len(chosen) - failed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)
