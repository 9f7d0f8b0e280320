"""What the two processes may do once they run: no new privileges, no core dump, and for the edge only the system calls
that it uses; whole calls with TLS, recorded, go through all the same. Runs where the sandbox is on by itself: release."""
import os
import signal

from stop import TlsSystem
from system import eventually, run


def facts(pid, task):
    with open(f"/proc/{pid}/task/{task}/status") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def core_dump_bytes(pid):
    with open(f"/proc/{pid}/limits") as lines:
        line = next(line for line in lines if line.startswith("Max core file size"))
    return line.split()[4:6]


def every_thread_is_confined():
    with TlsSystem() as system:
        edge, control = system.processes["edge"].pid, system.processes["control"].pid
        threads = os.listdir(f"/proc/{edge}/task")
        assert len(threads) >= 5, threads  # main, resolver, link, metrics, a core
        for thread in threads:
            found = facts(edge, thread)
            assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "1"), found
        assert facts(control, control)["NoNewPrivs"] == "1"
        assert core_dump_bytes(edge) == core_dump_bytes(control) == ["0", "0"]


def a_confined_edge_carries_calls():
    with TlsSystem() as system:
        system.organisation("A", "+15550100", record="true")
        for _ in range(2):
            report = system.call("--connect", f"wss://127.0.0.1:{system.listen_tls}", say=["Hello, are you there?"])
            row = system.finished(report["calls"][0]["call_sid"])
            assert row["ended_reason"] == "caller_hung_up" and row["figures"]["frames_up"] > 20, row
            os.kill(system.processes["edge"].pid, signal.SIGHUP)
            eventually("certificate is read again", lambda: "certificate reloaded" in system.log("edge"))
        assert "not permitted" not in system.log("edge"), system.log("edge")


def without_the_sandbox_if_asked():
    class Open(TlsSystem):
        def start_edge(self):
            self.edge_arguments += ["--sandbox", "off"]
            super().start_edge()
    with Open() as system:
        edge = system.processes["edge"].pid
        assert facts(edge, edge)["Seccomp"] == "0"
        assert facts(edge, edge)["NoNewPrivs"] == "1"


if __name__ == "__main__":
    run(every_thread_is_confined, a_confined_edge_carries_calls, without_the_sandbox_if_asked)
