#!/usr/bin/env python3
"""./dev bench: the edge beside a relay that only moves bytes (the floor) and beside relays in Node and Go as one would
write them, under the same load from the same generator, in one run on two pinned cores.

One core carries the relay under test, the other everything else: the generator and what stands for control. Calls reach the
edge on the real path: signed webhook, TwiML, prepared AI leg, signed stream; the others are dialled directly. Control and
PostgreSQL would take the generator's core from it while calls come about, so a stand-in (stand_in.py) speaks control's protocol
wherever the edge is what is measured; the real ones are measured with webhooks and in a second run of call set-up. Results are
ratios to the floor of the same format and number of calls; absolute figures mean little on another machine.

  ./dev bench                  all relays at 100, 300 and 500 calls in both formats, TLS, half load, append times, memory,
                               call set-up, webhooks, and how many calls a third of a core stands
  ./dev bench --sweep          also raises the calls step by step until a relay's p99 passes 100 ms or audio is lost
  ./dev bench --keep           also writes charts to bench/charts/ and the table into README.md: for a quiet machine
  ./dev bench --only edge-pcmu-tls --calls 300 --seconds 20        one case, and its floor beside it
  ./dev bench --only set-up --rate 300 --calls 200         short calls begun beside running ones; --only memory --calls 2000
  ./dev bench --quick          seconds instead of minutes: to see that everything works, not to measure

Results go to var/bench.json, charts to var/bench/*.svg."""
import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import charts
import report
import share
import webhooks
from system import BIN, GO_RELAY, OTHER_CPU, RELAY_CPU, RIVALS, ROOT, System

FORMATS = ("pcmu", "pcm")
# relay, TLS. Of the rivals' TLS only the AI's leg: the carrier's would stand behind a proxy.
PLAIN = [("floor", False), ("edge", False), ("node", False), ("go", False)]
SEALED = [("edge", True), ("node", True)]
SWEEP = PLAIN + [("edge", True)]
SWEEP_STEP, SWEEP_CALLS_MAX, SWEEP_P99_US = 200, 2600, 100_000
CAPACITY_PERCENT, CAPACITY_GROWTH, CAPACITY_SECONDS = report.CAPACITY_PERCENT, 1.2, 5
CONNECT_RATE = 75  # what stands for control shares the generator's core, and nobody shall be told to wait
RECORD_ROUNDS = 3
WEBHOOKS_PER_SECOND, WEBHOOK_WORKERS = 1000, (1, 2, 4, 8, 16, 32)


def name_of(relay, audio_format, tls):
    return f"{relay}-{audio_format}" + ("-tls" if tls else "")


class Bench:
    def __init__(self, system, seconds, warm):
        self.system, self.seconds, self.warm = system, seconds, warm
        self.results = []

    def run(self, relay, audio_format, tls, calls, kind="cost", seconds=None, extra=(), stand_in=False, record=False,
            append_ms=20):
        """One case: starts the relay, loads it, stops it. The result is kept; an impossible load is a result too."""
        name, seconds = name_of(relay, audio_format, tls) + ("-record" if record else ""), seconds or self.seconds
        self.system.environment |= {"BENCH_RECORD": "1" if record else "", "BENCH_APPEND_MS": str(append_ms)}
        print(f"  {kind}: {name}, {calls} calls, {seconds} s", file=sys.stderr, flush=True)
        path = self.system.directory / "report.json"
        path.unlink(missing_ok=True)
        flags = getattr(self.system, f"start_{relay}")(audio_format, tls, **({"stand_in": True} if stand_in else {}))
        command = [BIN / "bench_load", "--ai-port", self.system.ports["ai"], "--format", audio_format, "--calls", calls,
                   "--rate", CONNECT_RATE, "--seconds", seconds, "--warm", self.warm, "--cpu", OTHER_CPU, "--json", path,
                   "--label", name, *extra, *flags]
        before = self.system.edge_metrics() if relay == "edge" else {}
        error = ""
        try:
            done = subprocess.run([str(word) for word in command], text=True, env=self.system.environment,
                                  capture_output=True, timeout=seconds + calls / 10 + 90)
            error = done.stderr.strip()
        except subprocess.TimeoutExpired:
            error = "the generator did not come to an end"
        after = self.system.edge_metrics() if relay == "edge" else {}
        self.system.stop_all()
        result = json.loads(path.read_text()) if path.exists() else {"label": name, "calls": calls, "format": audio_format}
        result |= {"relay_name": relay, "tls": tls, "kind": kind, "stand_in": stand_in, "append_ms": append_ms, "load_average": os.getloadavg()[0]}
        if error:
            result["error"] = error[-500:]
            print(f"    {error.splitlines()[-1]}", file=sys.stderr)
        if after:
            result["edge"] = {key: value - before.get(key, 0) if "_total" in key else value for key, value in after.items()
                              if "_bucket" not in key and value}
        self.results.append(result)
        return result

    # ---- parts of a run ----

    def costs(self, call_counts, formats=FORMATS):
        """Side by side in time, so that a ratio compares neighbours."""
        hopeless = set()  # rivals with which nobody can talk any more: with more calls it only takes longer to see that
        for audio_format in formats:
            for calls in call_counts:
                for relay, tls in PLAIN + (SEALED if calls == call_counts[len(call_counts) // 2] else []):
                    if (relay, audio_format, tls) in hopeless:
                        continue
                    result = self.run(relay, audio_format, tls, calls, stand_in=relay == "edge")
                    if relay not in ("floor", "edge") and report.worst_p99_us(result) > SWEEP_P99_US:
                        hopeless.add((relay, audio_format, tls))

    def half_load(self):
        """The edge with so many calls that its core is half busy, by what was just measured."""
        for audio_format, tls in (("pcmu", False), ("pcmu", True), ("pcm", False)):
            known = [(result["relay"]["busy_share"], result["calls"]) for result in self.results
                     if result["kind"] == "cost" and result["relay_name"] == "edge" and result["format"] == audio_format and
                     result["tls"] == tls and report.carried(result)]
            if known:
                calls = int(report.calls_at(known, 0.5) / 10) * 10
                self.run("edge", audio_format, tls, max(calls, 10), "half load", stand_in=True)

    def appends(self, calls):
        """What an organisation's append time costs and saves: 20 ms is the default, and frame by frame."""
        for append_ms in (20, 40, 60):
            self.run("edge", "pcmu", False, calls, "append", stand_in=True, append_ms=append_ms)

    def memory(self, calls):
        """Established calls with TLS on both legs that only stand: a frame every half second."""
        self.run("edge", "pcmu", True, calls, "memory", 3, ["--frame-ms", 500], stand_in=True)

    def set_up(self, rate, running, seconds):
        """Short calls that come about beside running ones: what the edge can, and with the real control behind it. Whoever
        stands behind the edge may have what the edge leaves of its processor, where the edge goes first."""
        self.system.control_cpus = f"{RELAY_CPU},{OTHER_CPU}"
        self.run("edge", "pcmu", True, running, "beside", seconds, stand_in=True)  # what the running calls have anyway
        for stand_in in (True, False):
            self.run("edge", "pcmu", True, running, "set-up", seconds, ["--setup-rate", rate], stand_in=stand_in)
        self.system.control_cpus = str(OTHER_CPU)

    def webhooks(self, rate, workers, seconds):
        """Calls come in as fast as webhooks may: control and PostgreSQL are the measure, on both processors."""
        self.results += webhooks.measure(seconds, 1, rate, workers)

    def recording(self, audio_format, calls):
        """The edge with recordings and without, in turn; the disk is that of the temporary directory."""
        self.run("floor", audio_format, False, calls)
        for _ in range(RECORD_ROUNDS):
            for record in (False, True):
                self.run("edge", audio_format, False, calls, "record", stand_in=True, record=record)

    def sweep(self, step, calls_max):
        for audio_format in FORMATS:
            for relay, tls in SWEEP:
                for calls in range(step, calls_max + 1, step):
                    if not self.stood(relay, audio_format, tls, calls):
                        break

    def capacity(self):
        """How many calls a third of a core stands before p99 passes 100 ms: the floor that sends each frame by itself, the
        edge, which joins frames, and the floor as it is: late, it moves what has piled up in a socket at once."""
        self.system.share, why = share.open_share(CAPACITY_PERCENT)
        if not self.system.share:
            print(f"  capacity: not measured, a part of a core cannot be had ({why})", file=sys.stderr)
            return
        try:
            known = [result["relay"]["calls_per_core"] for result in self.results
                     if result["kind"] == "cost" and result["label"] == "floor-pcmu" and report.carried(result)]
            for relay in ("floor_by_frames", "edge", "floor"):
                calls = 0.7 * (max(known) if known else 800) * CAPACITY_PERCENT / 100  # nobody is late with so many
                while self.stood(relay, "pcmu", False, int(calls), "capacity", CAPACITY_SECONDS):
                    calls *= CAPACITY_GROWTH
        finally:
            self.system.stop_all()
            self.system.share.close()
            self.system.share = None

    def stood(self, relay, audio_format, tls, calls, kind="sweep", seconds=None):
        """A second try, so that one stumble of the machine does not end a series; what failed is not kept then."""
        for tries in range(2):
            result = self.run(relay, audio_format, tls, calls, kind, seconds, stand_in=relay == "edge")
            if report.stands(result, SWEEP_P99_US):
                return True
            if tries == 0:
                self.results.remove(result)
        return False


def check_rivals():
    """A rival that does not relay is not compared with."""
    done = subprocess.run(["node", RIVALS / "rivals_test.mjs", f"node=node {RIVALS / 'node/relay.js'}", f"go={GO_RELAY}"],
                          text=True, capture_output=True, timeout=120)
    if done.returncode:
        sys.exit(f"bench: the rivals do not relay as they should\n{done.stdout}{done.stderr}")


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 300, 500], help="numbers of calls (100 300 500)")
    parser.add_argument("--seconds", type=int, default=8, help="measured per case (8)")
    parser.add_argument("--only", help="one case: " + ", ".join(name_of(relay, audio_format, tls) for audio_format in FORMATS
                                                               for relay, tls in PLAIN + SEALED) +
                        ", edge-pcmu-record, edge-pcm-record, append, set-up, memory, webhooks, capacity")
    parser.add_argument("--rate", type=int, default=300, help="calls begun in a second, for set-up (300)")
    parser.add_argument("--sweep", action="store_true", help=f"steps of {SWEEP_STEP} calls for every relay; up to an hour")
    parser.add_argument("--keep", action="store_true", help="charts to bench/charts/, table into README.md")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def run_all(bench, arguments):
    if arguments.only in ("append", "set-up", "memory"):
        for calls in arguments.calls:
            if arguments.only == "append":
                bench.appends(calls)
            elif arguments.only == "memory":
                bench.memory(calls)
            else:
                bench.set_up(arguments.rate, calls, arguments.seconds)
        return
    if arguments.only == "capacity":
        bench.capacity()
        return
    if arguments.only == "webhooks":
        bench.webhooks(WEBHOOKS_PER_SECOND, WEBHOOK_WORKERS, 6)
        return
    if arguments.only:
        relay, audio_format, *tls = arguments.only.split("-")
        for calls in arguments.calls:
            if tls == ["record"]:
                bench.recording(audio_format, calls)
                continue
            bench.run("floor", audio_format, False, calls)
            if relay != "floor":
                bench.run(relay, audio_format, bool(tls), calls, stand_in=relay == "edge")
        return
    if arguments.quick:
        bench.costs([20])
        bench.half_load()
        bench.appends(20)
        bench.memory(50)
        bench.set_up(20, 10, 3)
        bench.webhooks(100, (2,), 2)
        if arguments.sweep:
            bench.sweep(20, 40)
        return
    bench.costs(arguments.calls)
    bench.half_load()
    bench.appends(500)
    bench.memory(2000)
    bench.set_up(300, 100, 15)
    bench.webhooks(WEBHOOKS_PER_SECOND, WEBHOOK_WORKERS, 6)
    bench.capacity()
    if arguments.sweep:
        bench.sweep(SWEEP_STEP, SWEEP_CALLS_MAX)


def main():
    arguments = read_arguments()
    if os.cpu_count() < 2:
        sys.exit("bench: two processors are needed, one for the relay and one for the rest")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not arguments.only or arguments.only.startswith(("node", "go")):
        check_rivals()
    machine, began = report.machine(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rb-bench-") as directory:
        system = System(directory)
        bench = Bench(system, 2 if arguments.quick else arguments.seconds, 1 if arguments.quick else 2)
        broken = ""
        try:
            run_all(bench, arguments)
        except (RuntimeError, OSError, subprocess.SubprocessError, SystemExit) as error:
            broken = str(error)  # what was measured until then is kept
        finally:
            system.close()
    machine["relays_first"] = system.may_be_first
    machine["minutes"] = round((time.monotonic() - began) / 60, 1)
    micro = ROOT / "var/bench/micro.json"
    data = {"machine": machine, "results": bench.results, "micro": json.loads(micro.read_text()) if micro.exists() else None}
    (ROOT / "var/bench").mkdir(parents=True, exist_ok=True)
    (ROOT / "var/bench.json").write_text(json.dumps(data, indent=1))
    report.show(data)
    written = charts.write_all(data, ROOT / "var/bench")
    print(f"\nRaw figures: var/bench.json. Charts: {', '.join(path.name for path in written)} in var/bench/")
    if broken:
        sys.exit(f"bench: it ended early: {broken}")
    if arguments.keep:
        charts.write_all(data, ROOT / "bench/charts")
        report.into_readme(data, ROOT / "README.md")
        print("bench/charts/ and README.md have this run's figures now; look at them, then commit them.")


if __name__ == "__main__":
    main()
