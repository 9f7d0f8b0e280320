"""What people and Prometheus see: /metrics, /healthz, /readyz, one log line per call, no secrets anywhere."""
import json
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from system import BIN, TOKEN, System, eventually, free_port, run


def series_of(text):
    return [line.rsplit(" ", 1)[0] for line in text.split("\n") if line and not line.startswith("#")]


def metrics_are_clean():
    with System(cores="any:2") as system:
        system.organisation("A", "+15550100")
        system.call("--hangup-after", "3000", hint=False)
        status, text = system.get("/metrics")
        assert status == 200
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        assert done.returncode == 0 and not done.stderr.strip(), done.stdout + done.stderr
        series = series_of(text)
        twice = {name for name in series if series.count(name) > 1}
        assert not twice, twice
        for name in ("ringbridge_calls", "ringbridge_calls_ended_total", "ringbridge_frames_total",
                     "ringbridge_network_bytes_total", "ringbridge_added_latency_seconds_bucket",
                     "ringbridge_link_up", "ringbridge_link_events_waiting", "ringbridge_faults_total",
                     "ringbridge_control_webhooks_total", "ringbridge_control_queue"):
            assert any(found.startswith(name) for found in series), name
        assert any("ringbridge_control" in found and "seconds_bucket" in found for found in series), "database latency"


def prometheus_scrapes_a_call():
    with System() as system, tempfile.TemporaryDirectory() as directory:
        system.organisation("A", "+15550100")
        port = free_port()
        config = Path(directory) / "prometheus.yml"
        config.write_text("scrape_configs:\n  - job_name: ringbridge\n    scrape_interval: 1s\n    static_configs:\n"
                          f"      - targets: ['127.0.0.1:{system.metrics_port}']\n")
        log = open(Path(directory) / "log", "w")
        prometheus = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
                                       f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            system.call("--hangup-after", "3000", hint=False)

            def value():
                status, text = system.get("/api/v1/query?query=ringbridge_calls_ended_total%7Breason%3D%22caller_hung_up%22%7D",
                                          port=port)
                result = json.loads(text)["data"]["result"] if status == 200 else []
                return result and float(result[0]["value"][1])

            assert eventually("Prometheus has seen the call", lambda: value() == 1, 60)
        finally:
            prometheus.terminate()
            prometheus.wait(30)


def health_and_readiness():
    with System() as system:
        assert system.get("/healthz")[0] == 200 and system.get("/readyz")[0] == 200
        assert system.get("/nothing")[0] == 404
        system.organisation("A", "+15550100")
        caller = threading.Thread(target=lambda: system.call("--hangup-after", "6000", hint=False))
        caller.start()
        eventually("the call is live", lambda: system.metric('ringbridge_calls{state="live"}') == 1)
        system.processes["edge"].send_signal(signal.SIGTERM)
        eventually("draining", lambda: system.get("/readyz")[0] == 503)
        assert system.get("/healthz")[0] == 200
        caller.join()
        assert system.processes["edge"].wait(30) == 0
        system.processes.pop("edge")


def one_line_per_call_and_no_secrets():
    said = "A sentence that belongs in no log"
    with System(edge_arguments=("--log", "json")) as system:
        system.organisation("A", "+15550100", greeting="A greeting that belongs in no log",
                            instructions="Instructions that belong in no log")
        report = system.call(say=[said])
        sid = report["calls"][0]["call_sid"]
        system.finished(sid)
        lines = [json.loads(line) for line in system.log("edge").split("\n") if line.startswith("{")]
        ended = [line for line in lines if line["message"] == "call ended"]
        assert len(ended) == 1 and ended[0]["call_sid"] == sid and ended[0]["reason"] == "caller_hung_up", ended
        everything = system.log("edge") + system.log("control") + system.get("/metrics")[1]
        for secret in (said, "belongs in no log", "belong in no log", TOKEN, "practice-key", "5e" * 16, "+15550177"):
            assert secret not in everything, secret


def the_plan_of_memory_adds_up():
    text = subprocess.run([BIN / "ringbridge-edge", "--plan"], text=True, capture_output=True, check=True).stdout
    lines = text.split("\n")
    call = [int(line.split()[-1]) for line in lines[1:lines.index(next(line for line in lines if "together" in line)) + 1]]
    assert len(call) > 5 and sum(call[:-1]) == call[-1], text
    assert call[-1] <= 64 << 10, text
    assert sum("TLS with the" in line for line in lines) == 2, text


if __name__ == "__main__":
    run(the_plan_of_memory_adds_up, metrics_are_clean, prometheus_scrapes_a_call, health_and_readiness, one_line_per_call_and_no_secrets)
