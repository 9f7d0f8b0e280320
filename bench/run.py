#!/usr/bin/env python3
"""./dev bench: the edge beside a relay that only moves bytes, under the same load, in one run on two pinned cores.

One core carries the relay under test (floor or edge), the other everything else: the load generator, control and
PostgreSQL. Calls reach the edge on the real path: signed webhook, TwiML, prepared AI leg, signed stream. Results are
ratios to the floor of the same format and number of calls; absolute figures mean little on another machine.

  ./dev bench                    all cases, 300 calls, 20 s each, then 500 calls once
  ./dev bench --calls 200 --seconds 10 --only edge-pcmu
Results also land in var/bench.json."""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = ROOT / "build/release/bin"
PUBLIC_URL = "https://bench.example.com"
ACCOUNT = "AC" + "0" * 31 + "2"
RELAY_CPU, OTHER_CPU = 0, 1
PORTS = {"listen": 29180, "listen_tls": 29443, "metrics": 29465, "ai": 29091, "floor": 29181}

# name, relay, what the AI speaks, TLS on both legs
CASES = [("floor-pcmu", "floor", "pcmu", False), ("edge-pcmu", "edge", "pcmu", False),
         ("edge-pcmu-tls", "edge", "pcmu", True), ("floor-pcm", "floor", "pcm", False),
         ("edge-pcm", "edge", "pcm", False), ("edge-pcm-tls", "edge", "pcm", True)]


class Bench:
    def __init__(self, directory):
        self.directory = Path(directory)
        os.chmod(self.directory, 0o711)
        self.processes = []
        self.environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

    def close(self):
        self.stop_all()
        subprocess.run([ROOT / "tests/control/pg.sh", "stop", self.directory / "pg"], stdout=subprocess.DEVNULL)

    # ---- processes ----

    def start(self, name, cpu, *command):
        log = open(self.directory / f"{name}.log", "ab")
        process = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, command)], stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, env=self.environment, start_new_session=True)
        self.processes.append(process)
        return process

    def stop_all(self):
        for process in self.processes[::-1]:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def wait_for(self, what, check):
        for _ in range(200):
            if check():
                return
            time.sleep(0.1)
        sys.exit(f"bench: {what} is not ready after 20 s; logs were in {self.directory}")

    def certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True,
                       cwd=self.directory)
        return self.directory / "cert.pem", self.directory / "key.pem"

    # ---- the system ----

    def prepare(self):
        """PostgreSQL with one organisation per format."""
        started = subprocess.run(["taskset", "-c", str(OTHER_CPU), ROOT / "tests/control/pg.sh", "start",
                                  self.directory / "pg"], check=True, text=True, capture_output=True,
                                 env=os.environ | {"PG_FSYNC": "off"})
        self.environment |= {"DATABASE_URL": started.stdout.strip(), "PUBLIC_URL": PUBLIC_URL,
                             "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": "bench-token",
                             "RINGBRIDGE_SECRET_KEY": "be" * 32, "OPENAI_API_KEY": "bench"}
        self.control("migrate")
        for number, audio_format in (("+15550101", "pcmu"), ("+15550102", "pcm")):
            org = self.control("org", "add", f"Bench {audio_format}").strip().split()[-1]
            self.control("number", "add", number, "--org", org)
            self.control("config", "set", "--org", org, "--channel", "voice", f"audio_format={audio_format}", "greeting=")

    def control(self, *words):
        return subprocess.run([BIN / "ringbridge-control", *words], check=True, text=True, capture_output=True,
                              env=self.environment).stdout

    def start_floor(self):
        return self.start("floor", RELAY_CPU, BIN / "floor", "--listen", f"127.0.0.1:{PORTS['floor']}", "--to",
                          f"127.0.0.1:{PORTS['ai']}", "--cpu", RELAY_CPU)

    def start_edge(self, tls):
        scheme = "wss://localhost" if tls else "ws://127.0.0.1"
        self.environment["OPENAI_REALTIME_URL"] = f"{scheme}:{PORTS['ai']}/v1/realtime"
        socket = self.directory / "control.sock"
        control = self.start("control", OTHER_CPU, BIN / "ringbridge-control", "serve", "--socket", socket)
        self.wait_for("control", socket.exists)
        flags = ["--listen", f"127.0.0.1:{PORTS['listen']}", "--metrics", f"127.0.0.1:{PORTS['metrics']}", "--control",
                 socket, "--cores", RELAY_CPU, "--drain-seconds", "1"]
        if tls:
            flags += ["--listen-tls", f"127.0.0.1:{PORTS['listen_tls']}", "--cert", self.cert, "--key", self.key,
                      "--roots", self.cert]
        edge = self.start("edge", f"{RELAY_CPU},{OTHER_CPU}", BIN / "ringbridge-edge", *flags)
        self.wait_for("the edge", self.is_ready)
        return edge, control

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORTS['metrics']}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    # ---- one case ----

    def run(self, name, relay, audio_format, tls, calls, seconds):
        report = self.directory / f"{name}-{calls}.json"
        flags = ["--ai-port", PORTS["ai"], "--format", audio_format, "--calls", calls, "--rate", 50, "--seconds", seconds,
                 "--cpu", OTHER_CPU, "--json", report, "--label", name]
        if relay == "floor":
            process = self.start_floor()
            time.sleep(0.3)
            flags += ["--relay", f"127.0.0.1:{PORTS['floor']}", "--pid", process.pid]
        else:
            edge, control = self.start_edge(tls)
            flags += ["--edge", "--pid", edge.pid, "--control-pid", control.pid]
            if tls:
                flags += ["--cert", self.cert, "--key", self.key]
            connect = f"wss://127.0.0.1:{PORTS['listen_tls']}" if tls else f"ws://127.0.0.1:{PORTS['listen']}"
            flags += ["--", "--webhook", f"http://127.0.0.1:{PORTS['listen']}/api/twilio/incoming-call", "--public-url",
                      PUBLIC_URL, "--account-sid", ACCOUNT, "--connect", connect, "--to",
                      "+15550101" if audio_format == "pcmu" else "+15550102", "--no-status", "--quiet"]
        try:
            done = subprocess.run([BIN / "bench_load", *map(str, flags)], text=True, env=self.environment,
                                  capture_output=True, timeout=seconds + 120)
        finally:
            self.stop_all()
        if not report.exists():
            sys.exit(f"bench: {name} failed (status {done.returncode})\n{done.stdout}\n{done.stderr}")
        return json.loads(report.read_text())


def row(result, floor):
    relay, up, down, own = result["relay"], result["up"], result["down"], result["generator"]
    ratio = relay["cpu_us_per_call_second"] / floor["relay"]["cpu_us_per_call_second"] if floor else None
    return [result["label"], str(result["calls"]), f"{relay['cpu_us_per_call_second']:.0f}",
            f"{ratio:.2f}" if ratio else "1.00", f"{relay['calls_per_core']:.0f}", f"{relay['kib_per_call']:.1f}",
            f"{relay['busy_share'] * 100:.0f}%",
            " / ".join(f"{up[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "p999_us", "max_us")),
            " / ".join(f"{down[key] / 1000:.2f}" for key in ("p50_us", "p99_us", "p999_us", "max_us")),
            f"{up['lost_ms'] + down['lost_ms']:.0f}", str(up["late"] + down["late"]),
            f"{own['busy_share'] * 100:.0f}%" + (" BOTTLENECK" if own["bottleneck"] else ""), str(result["failed"])]


HEAD = ["case", "calls", "us/call-s", "ratio", "calls/core", "KiB/call", "busy", "up ms p50/p99/p99.9/max",
        "down ms p50/p99/p99.9/max", "lost ms", "late", "generator", "failed"]


def show(rows):
    widths = [max(len(line[i]) for line in [HEAD] + rows) for i in range(len(HEAD))]
    for line in [HEAD] + rows:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--only", help="one case: " + ", ".join(case[0] for case in CASES))
    parser.add_argument("--no-500", action="store_true", help="leave out the run with 500 calls")
    arguments = parser.parse_args()
    if os.cpu_count() < 2:
        sys.exit("bench: two processors are needed, one for the relay and one for the rest")
    results, floors = [], {}
    with tempfile.TemporaryDirectory(prefix="rb-bench-") as directory:
        bench = Bench(directory)
        bench.cert, bench.key = bench.certificate()
        try:
            bench.prepare()
            plan = [(case, arguments.calls) for case in CASES if not arguments.only or
                    case[0] == arguments.only or case[0] == "floor-" + arguments.only.split("-")[1]]
            if not arguments.only and not arguments.no_500:
                plan.append((CASES[1], 500))
            for case, calls in plan:
                print(f"{case[0]}, {calls} calls, {arguments.seconds} s ...", file=sys.stderr, flush=True)
                result = bench.run(*case, calls, arguments.seconds)
                results.append(result)
                if case[1] == "floor":
                    floors[case[2]] = result
        finally:
            bench.close()
    show([row(result, None if result["relay_kind"] == "floor" else floors.get(result["format"])) for result in results])
    (ROOT / "var").mkdir(exist_ok=True)
    (ROOT / "var/bench.json").write_text(json.dumps(results, indent=1))
    print("\nDelays are one way, from the sender's write to the receiver's read, through relay and loopback; a ratio is "
          "CPU per call-second over the floor's. Raw figures: var/bench.json")


if __name__ == "__main__":
    main()
