#!/usr/bin/env python3
"""Our figures as a real Prometheus sees them.

Starts expose_demo (its path is the argument) and Debian's prometheus with a configuration and data
of its own under a temporary folder; checks the text with promtool and for doubled series, waits
until Prometheus has scraped it, and compares. Stops both by their handles. Loopback only.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

DEADLINE_S = 60
SKIPPED = 77  # ctest: SKIP_RETURN_CODE

CONFIGURATION = """
global:
  scrape_interval: 500ms
  scrape_timeout: 400ms
scrape_configs:
  - job_name: edge
    static_configs:
      - targets: ["127.0.0.1:%d"]
"""


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode("ascii")  # our text is ASCII: anything else fails here


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def series_of(text):
    """Name and sorted labels of each sample line."""
    found = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name, labels = re.fullmatch(r"([a-z_:]+)(?:\{(.*)\})? \S+", line).groups()
        pairs = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels or "")
        found.append((name, tuple(sorted(pairs))))
    return found


def check_text(text):
    series = series_of(text)
    doubled = {one for one in series if series.count(one) > 1}
    assert not doubled, f"series that stand twice: {doubled}"
    types = re.findall(r"^# TYPE (\S+) ", text, re.M)
    assert len(types) == len(set(types)), "a name has two types"
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                             capture_output=True, timeout=30)
    assert checked.returncode == 0, f"promtool: {checked.stdout}{checked.stderr}"
    assert not checked.stdout + checked.stderr, f"promtool: {checked.stdout}{checked.stderr}"
    return series


class Prometheus:
    def __init__(self, folder, target_port):
        self.port = free_port()
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w") as out:
            out.write(CONFIGURATION % target_port)
        self.log = open(os.path.join(folder, "log"), "w+")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder)

    def query(self, expression):
        quoted = urllib.parse.quote(expression)
        answer = json.loads(fetch(f"http://127.0.0.1:{self.port}/api/v1/query?query={quoted}"))
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def await_value(self, expression, wanted):
        until = time.monotonic() + DEADLINE_S
        seen = None
        while time.monotonic() < until:
            assert self.process.poll() is None, "prometheus ended: " + self.read_log()
            try:
                seen = self.value(expression)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass  # it is still starting
            if seen == wanted:
                return
            time.sleep(0.1)
        raise AssertionError(f"{expression} is {seen}, not {wanted}: {self.read_log()}")

    def read_log(self):
        self.log.seek(0)
        return self.log.read()[-2000:]

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def check_scrapes(prometheus, series):
    prometheus.await_value('up{job="edge"}', 1)
    prometheus.await_value("ringbridge_calls_started_total", 42)
    prometheus.await_value('ringbridge_calls{state="live"}', 7)
    prometheus.await_value('ringbridge_calls_ended_total{reason="caller_hung_up"}', 31)
    prometheus.await_value('ringbridge_faults_total{fault="ws_utf8"}', 5)
    prometheus.await_value("ringbridge_loop_busy_seconds_total", 2.5)
    prometheus.await_value('ringbridge_webhooks_total{result="accepted"}', 17)
    prometheus.await_value("ringbridge_link_up", 1)
    prometheus.await_value('ringbridge_added_latency_seconds_count{direction="up"}', 1000)
    prometheus.await_value('ringbridge_added_latency_seconds_bucket{direction="up",le="0.0002"}',
                           200)
    half = prometheus.value('histogram_quantile(0.5, ringbridge_added_latency_seconds_bucket'
                            '{direction="up"})')
    assert 0.0002 < half <= 0.0005, half
    assert len(prometheus.query('{__name__=~"ringbridge_.+"}')) == len(series)
    own = fetch(f"http://127.0.0.1:{prometheus.port}/metrics")
    for name in ("sample_duplicate_timestamp", "sample_out_of_order", "sample_out_of_bounds"):
        count = re.search(rf"^prometheus_target_scrapes_{name}_total (\S+)$", own, re.M).group(1)
        assert float(count) == 0, f"{name}: {count}"


def run(demo_path, folder):
    demo = subprocess.Popen([demo_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(demo.stdout.readline())
        base = f"http://127.0.0.1:{port}"
        until = time.monotonic() + DEADLINE_S
        while "ringbridge_link_up 1" not in (text := fetch(base + "/metrics")):
            assert time.monotonic() < until, "control never came"
            time.sleep(0.05)
        series = check_text(fetch(base + "/metrics"))
        prometheus = Prometheus(folder, port)
        try:
            check_scrapes(prometheus, series)
        finally:
            prometheus.stop()
        print(f"{len(series)} series, each once, as promtool and Prometheus like them")
    finally:
        demo.stdin.close()
        status = demo.wait(timeout=30)
    assert status == 0, f"expose_demo ended with {status}"


def main():
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        print("prometheus is not installed: skipped")
        sys.exit(SKIPPED)
    with tempfile.TemporaryDirectory(prefix="ringbridge-prometheus-") as folder:
        run(sys.argv[1], folder)


if __name__ == "__main__":
    main()
