"""What was measured, and how it is printed."""

import collections
import statistics
import threading
import time
from dataclasses import dataclass, field

from measure import percentile


@dataclass
class Part:
    """A part of the time."""

    name: str
    begin: float
    end: float = 0.0
    times: dict = field(default_factory=lambda: {"read": [], "write": []})
    retried: int = 0
    failed: collections.Counter = field(default_factory=collections.Counter)


class Samples:
    def __init__(self):
        self.parts, self.memory, self.sessions = [], [], []
        self.lock = threading.Lock()

    def begin(self, name):
        with self.lock:
            self.end()
            self.parts.append(Part(name, time.monotonic()))

    def end(self):
        if self.parts:
            self.parts[-1].end = time.monotonic()

    def add(self, kind, seconds, status, tries):
        """A request belongs to the part in which it ends."""
        with self.lock:
            part = self.parts[-1] if self.parts else None
            if part is None:
                return
            part.times[kind].append(seconds)
            part.retried += tries > 1
            # Another writer may have done it: 404, 409 and 412 are answers.
            if status == 0 or status >= 500 or status in (400, 422, 429):
                part.failed[status] += 1


def within(samples, part):
    return [value for at, value in samples if part.begin <= at <= part.end]


def print_report(samples, changes, follower, receiver, instances):
    """Prints all, and returns how many changes were lost."""
    print("\n| part | requests/s | reads p50, p99, longest | writes p50, p99, longest | asked again | failed | MiB of each instance | sessions |")
    print("|---|---|---|---|---|---|---|---|")
    for part in samples.parts:
        reads, writes = part.times["read"], part.times["write"]
        memory = within(samples.memory, part)
        each = [round(statistics.median(one[number] for one in memory)) for number in range(instances)] if memory else []
        figures = [", ".join(f"{percentile(times, share):.0f}" for share in (0.5, 0.99, 1)) + " ms" if times else "–"
                   for times in (reads, writes)]
        failed = ", ".join(f"{count} of {status or 'no answer'}" for status, count in part.failed.items()) or "0"
        print(f"| {part.name} | {(len(reads) + len(writes)) / (part.end - part.begin):.0f} | {figures[0]} | {figures[1]} "
              f"| {part.retried} | {failed} | {', '.join(map(str, each)) or '–'} | {max(within(samples.sessions, part), default='–')} |")
    lost = {"by pages": set(changes) - set(follower.seen), "by a webhook": set(changes) - set(receiver.seen)}
    print(f"\nchanges: {len(changes)}")
    print(f"a follower by pages: {len(lost['by pages'])} lost, {len(follower.seen) - len(set(follower.seen))} twice, "
          f"{'in' if follower.seen == changes else 'not in'} the order of the feed")
    print(f"a webhook: {len(lost['by a webhook'])} lost, {len(receiver.seen) - len(set(receiver.seen))} twice")
    failed = sum(sum(part.failed.values()) for part in samples.parts)
    print(f"requests that failed: {failed} of {sum(len(times) for part in samples.parts for times in part.times.values())}")
    return sum(map(len, lost.values())) + failed
