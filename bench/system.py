"""The processes of a benchmark: PostgreSQL, control, the relay under test. Everything that is started here is stopped
here, by its pid; nothing else is touched. Ports are free ones. Every relay runs before the ordinary threads of its
processor, where that is allowed: else its tail is that of the kernel's housekeeping."""
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build/release/bin"
RIVALS = ROOT / "bench/rivals"
GO_RELAY = ROOT / "build/rivals/go-relay"
PUBLIC_URL = "https://bench.example.com"
ACCOUNT = "AC" + "0" * 31 + "2"
RELAY_CPU, OTHER_CPU = 0, 1
FIRST = ["chrt", "--rr", "1"]  # before all ordinary threads of its processor
READY_SECONDS = 20


def free_port():
    """Below those that connections are given as their own, so that no call sits on it when a relay is started again."""
    while True:
        port = random.randrange(15000, 30000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


class System:
    def __init__(self, directory):
        self.directory = Path(directory)
        os.chmod(self.directory, 0o711)
        self.processes = []
        self.database = False
        self.control_cpus = str(OTHER_CPU)  # and PostgreSQL's
        self.control_flags, self.edge_flags = [], []
        self.fsync = "off"
        self.may_be_first = subprocess.run([*FIRST, "true"], capture_output=True).returncode == 0
        self.share = None  # of its core for the relay under test: share.py
        self.environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.ports = {name: free_port() for name in ("listen", "listen_tls", "metrics", "ai", "relay")}
        self.cert, self.key = self.make_certificate()

    def close(self):
        self.stop_all()
        if self.database:
            subprocess.run([ROOT / "tests/control/pg.sh", "stop", self.directory / "pg"], stdout=subprocess.DEVNULL)

    # ---- processes ----

    def start(self, name, cpus, *command, env=None, first=()):
        log = open(self.directory / f"{name}.log", "ab")
        process = subprocess.Popen([*first, "taskset", "-c", cpus, *map(str, command)], stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, env=self.environment | (env or {}), start_new_session=True)
        if self.share and name != "control":
            self.share.take(process.pid)
        self.processes.append(process)
        return process

    def first(self):
        """How a relay is started; one with a part of a core only is an ordinary process, others have no such part."""
        return FIRST if self.may_be_first and not self.share else []

    def stop_all(self):
        for process in self.processes[::-1]:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def wait_for(self, name, process, check):
        for _ in range(READY_SECONDS * 20):
            if process.poll() is not None:
                break
            if check():
                return
            time.sleep(0.05)
        log = (self.directory / f"{name}.log").read_text(errors="replace")
        sys.exit(f"bench: {name} did not become ready\n{log[-2000:]}")

    def wait_listening(self, name, process, port):
        def listening():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        self.wait_for(name, process, listening)

    def make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True,
                       cwd=self.directory)
        return self.directory / "cert.pem", self.directory / "key.pem"

    # ---- control and its database ----

    def prepare(self):
        """PostgreSQL with one organisation per format; once, before the first edge."""
        if self.database:
            return
        started = subprocess.run(["taskset", "-c", self.control_cpus, ROOT / "tests/control/pg.sh", "start",
                                  self.directory / "pg"], check=True, text=True, capture_output=True,
                                 env=os.environ | {"PG_FSYNC": self.fsync})
        self.database = True
        self.environment |= {"DATABASE_URL": started.stdout.strip(), "PUBLIC_URL": PUBLIC_URL,
                             "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": "bench-token",
                             "TWILIO_API_BASE": "http://127.0.0.1:1",
                             "RINGBRIDGE_SECRET_KEY": "be" * 32, "OPENAI_API_KEY": "bench"}
        self.control("migrate")
        for number, audio_format in (("+15550101", "pcmu"), ("+15550102", "pcm")):
            org = self.control("org", "add", f"Bench {audio_format}").strip().split()[-1]
            self.control("number", "add", number, "--org", org)
            self.control("config", "set", "--org", org, "--channel", "voice", f"audio_format={audio_format}", "greeting=")

    def control(self, *words):
        return subprocess.run([BIN / "ringbridge-control", *words], check=True, text=True, capture_output=True,
                              env=self.environment).stdout

    # ---- relays: each returns what the generator has to be told ----

    def start_floor(self, audio_format, tls, *flags):
        process = self.start("floor", str(RELAY_CPU), BIN / "floor", "--listen", f"127.0.0.1:{self.ports['relay']}", "--to",
                             f"127.0.0.1:{self.ports['ai']}", "--cpu", RELAY_CPU, *flags, first=self.first())
        time.sleep(0.3)  # a connection to look whether it listens would be carried on
        if process.poll() is not None:
            sys.exit(f"bench: the floor did not start\n{(self.directory / 'floor.log').read_text()}")
        return ["--relay", f"127.0.0.1:{self.ports['relay']}", "--pid", process.pid]

    def start_floor_by_frames(self, audio_format, tls):
        return self.start_floor(audio_format, tls, "--frames", "on")

    def start_node(self, audio_format, tls):
        return self.start_rival("node", audio_format, tls, ["node", RIVALS / "node/relay.js"],
                                {"NODE_ENV": "production", "NODE_EXTRA_CA_CERTS": str(self.cert)})

    def start_go(self, audio_format, tls):
        return self.start_rival("go", audio_format, tls, [GO_RELAY], {"GOMAXPROCS": "1", "SSL_CERT_FILE": str(self.cert)})

    def start_rival(self, name, audio_format, tls, command, env):
        port = self.ports["relay"]
        env |= {"AI_URL": f"{'wss://localhost' if tls else 'ws://127.0.0.1'}:{self.ports['ai']}/v1/realtime?model=load",
                "FORMAT": audio_format, "PORT": str(port)}
        process = self.start(name, str(RELAY_CPU), *command, env=env, first=self.first())
        self.wait_listening(name, process, port)
        return ["--rival", f"ws://127.0.0.1:{port}/media-stream", "--pid", process.pid] + self.ai_tls(tls)

    def ai_tls(self, tls):
        return ["--cert", self.cert, "--key", self.key] if tls else []

    def start_control(self, audio_format, stand_in):
        """The real one with PostgreSQL, or what speaks its protocol and stores nothing (stand_in.py)."""
        path = self.directory / "control.sock"
        path.unlink(missing_ok=True)
        if stand_in:
            self.environment |= {"TWILIO_AUTH_TOKEN": "bench-token"}
            command = [sys.executable, ROOT / "bench/stand_in.py", path, audio_format]
        else:
            self.prepare()
            command = [BIN / "ringbridge-control", "serve", "--socket", path, *self.control_flags]
        control = self.start("control", self.control_cpus, *command)
        self.wait_for("control", control, path.exists)
        return control, path

    def start_edge(self, audio_format, tls, stand_in=False):
        scheme = "wss://localhost" if tls else "ws://127.0.0.1"
        self.environment["OPENAI_REALTIME_URL"] = f"{scheme}:{self.ports['ai']}/v1/realtime"
        control, path = self.start_control(audio_format, stand_in)
        flags = ["--listen", f"127.0.0.1:{self.ports['listen']}", "--metrics", f"127.0.0.1:{self.ports['metrics']}",
                 "--control", path, "--cores", RELAY_CPU, "--drain-seconds", "1", *self.edge_flags]
        if self.first():
            flags += ["--realtime", "on"]
        if self.environment.get("BENCH_RECORD"):
            spool = self.directory / "spool"
            shutil.rmtree(spool, ignore_errors=True)
            spool.mkdir(mode=0o700)
            flags += ["--spool", spool]
        if tls:
            flags += ["--listen-tls", f"127.0.0.1:{self.ports['listen_tls']}", "--cert", self.cert, "--key", self.key,
                      "--roots", self.cert]
        edge = self.start("edge", f"{RELAY_CPU},{OTHER_CPU}", BIN / "ringbridge-edge", *flags)
        self.wait_for("edge", edge, self.is_ready)
        connect = f"wss://127.0.0.1:{self.ports['listen_tls']}" if tls else f"ws://127.0.0.1:{self.ports['listen']}"
        return ["--edge", "--pid", edge.pid, "--control-pid", control.pid] + self.ai_tls(tls) + [
            "--", "--webhook", f"http://127.0.0.1:{self.ports['listen']}/api/twilio/incoming-call", "--public-url",
            PUBLIC_URL, "--account-sid", ACCOUNT, "--connect", connect, "--to",
            "+15550101" if audio_format == "pcmu" else "+15550102", "--no-status", "--quiet"]

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def edge_metrics(self):
        """Counters and gauges by name with labels; {} where there is no edge."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['metrics']}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {name: float(value) for name, value in re.findall(r"^(ringbridge_[^\s#]+) (\S+)$", text, re.M)}
