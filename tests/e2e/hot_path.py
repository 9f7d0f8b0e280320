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
        self.thread = threading.Thread(target=lambda: system.call("--hangup-after", "12000", "--call-max", "20000"))
        self.thread.start()
        eventually("audio flows both ways", lambda: self.frames() > 100 and
                   system.metric('ringbridge_frames_total{leg="carrier",direction="out"}') > 5)

    def frames(self):
        return self.system.metric('ringbridge_frames_total{leg="carrier",direction="in"}')


def counted_allocations(path, threads):
    with open(path, "rb") as file:
        rows = struct.iter_unpack("<QQ", file.read())
        return {thread: count for thread, count in rows if thread in threads}


def no_allocation(audio_format):
    class Counted(System):
        def start(self, name, *command, **environment):
            if name == "edge":
                self.counts = self.directory / "allocations"
                self.counts.write_bytes(b"\0" * 4096)
                environment |= {"MALLOC_COUNT_FILE": str(self.counts), "LD_PRELOAD": str(BIN / "libmalloc_count.so")}
            super().start(name, *command, **environment)

    with Counted() as system:
        call = Carrying(system, audio_format)
        threads = core_threads(edge_pid(system))
        assert threads
        before, frames = counted_allocations(system.counts, threads), call.frames()
        time.sleep(WINDOW_S)  # the length of what is observed, not a wait for something
        after, frames = counted_allocations(system.counts, threads), call.frames() - frames
        call.thread.join()
        assert before and sum(before.values()) > 0, "the counter does not count"
        assert frames > 100, frames
        print(f"{audio_format}: {frames:.0f} frames in, {sum(after.values()) - sum(before.values())} allocations")
        assert after == before, (before, after)


def no_allocation_per_frame_pcmu():
    no_allocation("pcmu")


def no_allocation_per_frame_pcm():
    no_allocation("pcm")


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
    run(no_allocation_per_frame_pcmu, no_allocation_per_frame_pcm, no_system_call_but_the_rings)
