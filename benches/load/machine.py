"""What processes use and what the machine does, by /proc."""

import contextlib
import os
import re
import resource
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The parent, and the ticks used by the process itself and by its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def _tree(root):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry)] = _stat(entry)[0]
    found, grown = {root}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found


def cpu_seconds(root):
    """Of a process and all its children, those that ended included."""
    total = 0
    for pid in _tree(root):
        with contextlib.suppress(OSError):
            _, own, ended = _stat(pid)
            total += own + ended
    return total / TICKS


def memory(root):
    """RSS and PSS of a process, in MiB."""
    text = Path(f"/proc/{root}/smaps_rollup").read_text()
    size = lambda name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) / 1024
    return size("Rss"), size("Pss")


def clocks():
    """Seconds that all cores were busy (time taken by the host included), and all they had."""
    ticks = [int(text) for text in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / TICKS, sum(ticks) / TICKS


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def wait_until_quiet(limit, timeout):
    """Waits until the machine is busy with less than this share, or the time is up."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        before = clocks()
        time.sleep(1)
        busy, total = (after - start for start, after in zip(before, clocks()))
        if busy / total < limit:
            return
