"""A part of a core for a relay under test, through the kernel's CPU bandwidth control (cgroup v1 or v2, root only).

What a whole core carries is more than the generator beside it can produce. With a known part of the core the relay is
full before the generator is, and two relays can be compared at their limits. The relay runs unhindered until its part
of a period is used up and then stands still, so its delays are longer by up to a period: compare, do not quote."""
import os
from pathlib import Path

PERIOD_US = 5000


class Share:
    def __init__(self, percent):
        quota_us = PERIOD_US * percent // 100
        name = f"ringbridge-bench-{os.getpid()}"
        if Path("/sys/fs/cgroup/cgroup.controllers").exists():
            self.place = Path("/sys/fs/cgroup") / name
            files = {"cpu.max": f"{quota_us} {PERIOD_US}"}
        else:
            self.place = Path("/sys/fs/cgroup/cpu") / name
            files = {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(quota_us)}
        self.place.mkdir()
        try:
            for file, text in files.items():
                (self.place / file).write_text(text)
        except OSError:
            self.close()
            raise

    def take(self, pid):
        (self.place / "cgroup.procs").write_text(str(pid))

    def close(self):
        self.place.rmdir()


def open_share(percent):
    """None, and why, where that cannot be had."""
    try:
        return Share(percent), ""
    except OSError as error:
        return None, str(error)
