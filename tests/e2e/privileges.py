"""What the two processes may do once they run: no new privileges, no core dump, and only the system calls that they use.
Whole calls with TLS, recorded, go through all the same, and what control does around them: encoding, fetching, an S3 store,
transcription, mail, the journal. Runs where the sandbox is on by itself: release."""
import contextlib
import os
import resource
import signal
import subprocess

from after_call import a_message_is_written_down_and_told, by_smtp
from database_away import calls_and_callbacks_while_it_is_stopped
from media import a_store_of_objects_keeps_it_too
from recorded import a_whole_call_is_recorded
from stop import TlsSystem
from system import BIN, eventually, run


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
        eventually("control is confined", lambda: facts(control, control)["Seccomp"] == "2")
        for process, least in ((edge, 5), (control, 16 + 2)):  # main, resolver, link, metrics, a core; workers
            threads = os.listdir(f"/proc/{process}/task")
            assert len(threads) >= least, threads
            for thread in threads:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # one that had little to do
                    found = facts(process, thread)
                    assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "1"), found
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

        def start_control(self):
            self.control_arguments += ["--sandbox", "off"]
            super().start_control()
    with Open() as system:
        system.organisation("A", "+15550100")
        system.finished(system.call(say=["Hello."])["calls"][0]["call_sid"])
        for process in (system.processes["edge"].pid, system.processes["control"].pid):
            assert facts(process, process)["Seccomp"] == "0"
            assert facts(process, process)["NoNewPrivs"] == "1"


def policies(pid):
    """Scheduling policy by thread name (proc(5): field 41 of stat)."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat") as stat:
            name, fields = stat.read().split("(", 1)[1].rsplit(")", 1)
        found[name] = int(fields.split()[38])
    return found


class Realtime(TlsSystem):
    def start_edge(self):
        self.edge_arguments += ["--realtime", "on"]
        super().start_edge()


def may_be_realtime():
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[0] > 0


def cores_run_before_others_if_asked():
    if not may_be_realtime():
        print("    (not seen: this user may have no real-time thread)")
        return
    with Realtime() as system:
        system.organisation("A", "+15550100")
        found = policies(system.processes["edge"].pid)
        assert {name: policy for name, policy in found.items() if policy} == {"core-0": os.SCHED_RR}, found
        report = system.call("--connect", f"wss://127.0.0.1:{system.listen_tls}", say=["Hello, are you there?"])
        assert system.finished(report["calls"][0]["call_sid"])["ended_reason"] == "caller_hung_up"


def who_may_not_is_told_how():
    forbidden = ["setpriv", "--bounding-set=-sys_nice", "prlimit", "--rtprio=0"] if os.geteuid() == 0 else ["prlimit", "--rtprio=0"]
    done = subprocess.run([*forbidden, BIN / "ringbridge-edge", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--control",
                           "/nonexistent/control.sock", "--cores", "any:1", "--realtime", "on"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "LimitRTPRIO=1" in done.stderr, done


if __name__ == "__main__":
    run(every_thread_is_confined, a_confined_edge_carries_calls, without_the_sandbox_if_asked, a_whole_call_is_recorded,
        a_store_of_objects_keeps_it_too, a_message_is_written_down_and_told, by_smtp, calls_and_callbacks_while_it_is_stopped,
        cores_run_before_others_if_asked, who_may_not_is_told_how)
