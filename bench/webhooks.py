"""Incoming-call webhooks: signed requests of the carrier through edge, control and PostgreSQL, on a system of their own
that may use both processors: signature, organisation, conversation, order to the edge, which dials an AI that says nothing,
TwiML. No stream follows.

The cost of one is what the processes used of the processors over how many were asked; round trips are counted by control."""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from system import ACCOUNT, BIN, OTHER_CPU, PUBLIC_URL, RELAY_CPU, System

USUAL_WORKERS = 16  # the default of serve
CALLS_MAX = 8192  # all that are asked for stand until the end
TICKS = os.sysconf("SC_CLK_TCK")
STATEMENTS = 'ringbridge_control_database_statements_total{result="ok"}'


def cpu_seconds(pids):
    """User and system time of these processes and of all their children, also those that have ended."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICKS


def children(pid):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


class Webhooks:
    def __init__(self, directory, seconds, warm):
        self.seconds, self.warm, self.results = seconds, warm, []
        self.system = System(directory)
        self.system.control_cpus, self.system.fsync = f"{RELAY_CPU},{OTHER_CPU}", "on"

    def postgres(self):
        postmaster = int((self.system.directory / "pg/data/postmaster.pid").read_text().split()[0])
        return [postmaster, *children(postmaster)]

    def look(self, pids):
        used = {name: cpu_seconds(group() if callable(group) else group) for name, group in pids.items()}
        for _ in range(20):  # an edge that still has much to do may be late with its metrics
            metrics = self.system.edge_metrics()
            if STATEMENTS in metrics:
                break
            time.sleep(0.2)
        return used | {"statements": metrics.get(STATEMENTS, 0)}

    def run(self, workers, rate, path="/api/twilio/incoming-call"):
        print(f"  webhooks: {workers} workers, {rate or 'as many as can be'} a second", file=sys.stderr, flush=True)
        self.system.control_flags, self.system.edge_flags = ["--workers", workers], ["--max-calls", CALLS_MAX]
        self.system.start_edge("pcmu", False)
        control, edge = (process.pid for process in self.system.processes)
        report = self.system.directory / "webhooks.json"
        report.unlink(missing_ok=True)
        command = [BIN / "bench_webhooks", "--port", self.system.ports["listen"], "--public-url", PUBLIC_URL, "--account-sid",
                   ACCOUNT, "--to", "+15550101", "--path", path, "--rate", rate, "--seconds", self.seconds if rate else min(self.seconds, 4), "--warm", self.warm,
                   "--connections", 256 if rate else 32, "--ai-port", self.system.ports["ai"], "--label", f"{workers} workers", "--json", report]
        pids = {"edge": [edge], "control": [control], "postgres": self.postgres}
        before = self.look(pids)
        done = subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=self.seconds * 10 + 60,
                              env=self.system.environment)
        after = self.look(pids)
        self.system.stop_all()
        result = json.loads(report.read_text()) if report.exists() else {"label": f"{workers} workers"}
        result |= {"kind": "webhooks", "workers": workers, "relay_name": "edge", "format": "pcmu", "calls": 0}
        if done.returncode:
            result["error"] = done.stderr.strip()[-500:] or "some were answered wrongly"
            print(f"    {result['error']}", file=sys.stderr)
        if "asked" in result:
            asked = result["asked"] + (int(rate * self.warm) if rate else 0)
            result["cpu_us"] = {name: (after[name] - before[name]) * 1e6 / asked for name in pids}
            result["round_trips"] = (after["statements"] - before["statements"]) / asked
        self.results.append(result)
        return result

    def close(self):
        self.system.close()


def measure(seconds, warm, rate, workers):
    """At the wanted rate with the usual number of workers, then as fast as it goes for each number of workers."""
    with tempfile.TemporaryDirectory(prefix="rb-bench-") as directory:
        webhooks = Webhooks(directory, seconds, warm)
        try:
            webhooks.run(USUAL_WORKERS, rate)
            for count in workers:
                webhooks.run(count, 0)
        finally:
            webhooks.close()
        return webhooks.results
