"""The hot path, shown and not claimed: while a call carries audio both ways, its core allocates nothing and makes no
system call but the ring's."""
import collections
import os
import re
import shutil
import signal
import struct
import subprocess
import threading
import time

from stop import TlsSystem
from system import BIN, System, eventually, run

WINDOW_S = 4


def core_threads(pid):
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/comm") as name:
            if name.read().startswith("core-"):
                found.append(int(thread))
    return found


def edge_pid(system):
    """The edge itself, also when strace runs it."""
    parent = system.processes["edge"].pid
    children = subprocess.run(["pgrep", "-P", str(parent)], text=True, capture_output=True).stdout.split()
    return int(children[0]) if children else parent


class Carrying:
    """A call that carries audio both ways for as long as it is needed."""

    def __init__(self, system, audio_format):
        system.organisation(f"Steady {audio_format}", "+15550100", model="practice-tone", greeting="Hello.",
                            audio_format=audio_format)
        self.system = system
        connect = ["--connect", f"wss://127.0.0.1:{system.listen_tls}"] if isinstance(system, TlsSystem) else []
        self.thread = threading.Thread(target=lambda: system.call("--hangup-after", "12000", "--call-max", "20000",
                                                                  *connect, hint=not connect))
        self.thread.start()
        eventually("audio flows both ways", lambda: self.frames() > 100 and
                   system.metric('ringbridge_frames_total{leg="carrier",direction="out"}') > 5)

    def frames(self):
        return self.system.metric('ringbridge_frames_total{leg="carrier",direction="in"}')


def counted_allocations(path, threads):
    with open(path, "rb") as file:
        rows = list(struct.iter_unpack("<QQQ", file.read()[:24 * 256]))
        return ({thread: count for thread, count, _ in rows if thread in threads},
                sum(library for thread, _, library in rows if thread in threads))


def no_allocation(audio_format, kind=System):
    class Counted(kind):
        def start(self, name, *command, **environment):
            if name == "edge":
                self.counts = self.directory / "allocations"
                self.counts.write_bytes(b"\0" * 8192)
                environment |= {"MALLOC_COUNT_FILE": str(self.counts), "LD_PRELOAD": str(BIN / "libmalloc_count.so")}
            super().start(name, *command, **environment)

    with Counted() as system:
        call = Carrying(system, audio_format)
        threads = core_threads(edge_pid(system))
        assert threads
        (before, library), frames = counted_allocations(system.counts, threads), call.frames()
        time.sleep(WINDOW_S)  # the length of what is observed, not a wait for something
        (after, library_after), frames = counted_allocations(system.counts, threads), call.frames() - frames
        call.thread.join()
        assert before and sum(before.values()) > 0, "the counter does not count"
        assert frames > 100, frames
        print(f"{audio_format}, {kind.__name__}: {frames:.0f} frames in, {sum(after.values()) - sum(before.values())} "
              f"allocations, and {library_after - library} of libssl's own")
        assert after == before, (before, after)
        assert library_after == library or kind is TlsSystem


def no_allocation_per_frame_pcmu():
    no_allocation("pcmu")


def no_allocation_per_frame_pcm():
    no_allocation("pcm")


def with_tls_none_but_the_librarys_record_buffers():
    no_allocation("pcmu", TlsSystem)
    no_allocation("pcm", TlsSystem)


def no_system_call_but_the_rings():
    assert shutil.which("strace"), "strace is needed: apt-get install strace"

    class Traced(System):
        def start(self, name, *command, **environment):
            if name == "edge":
                self.trace = self.directory / "trace"
                command = ("strace", "-f", "-ttt", "-o", self.trace, *command)
            super().start(name, *command, **environment)

        def stop(self, name, *how):
            if name == "edge":  # strace keeps signals to itself
                os.kill(edge_pid(self), signal.SIGTERM)
                assert self.processes.pop("edge").wait(30) == 0
                return None
            return super().stop(name, *how)

    with Traced() as system:
        call = Carrying(system, "pcmu")
        threads = core_threads(edge_pid(system))
        frames, begun = call.frames(), time.time()
        time.sleep(WINDOW_S)
        ended, frames = time.time(), call.frames() - frames
        call.thread.join()
        made = collections.Counter()
        for line in open(system.trace, errors="replace"):
            match = re.match(r"(\d+)\s+([\d.]+) (?:<\.\.\. )?(\w+)", line)
            if match and int(match[1]) in threads and begun < float(match[2]) < ended and "unfinished" not in line:
                made[match[3]] += 1
        print(f"{frames:.0f} frames in, system calls of the core: {dict(made)}")
        assert frames > 100 and made["io_uring_enter"] > 0, made
        assert set(made) == {"io_uring_enter"}, made


if __name__ == "__main__":
    run(no_allocation_per_frame_pcmu, no_allocation_per_frame_pcm, with_tls_none_but_the_librarys_record_buffers,
        no_system_call_but_the_rings)
