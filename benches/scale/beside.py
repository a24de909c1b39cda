"""What others notice of a change that very many circles show: writers in those circles, and readers of another one.
And how many polls are answered with 304 while the status of an agent beats."""

import http.client
import json
import random
import threading
import time

import changes
from measure import percentile

WRITERS, READERS = 4, 2
PAUSE = 0.01  # of a client between two requests, in seconds


class Client:
    """One connection that stays open."""

    def __init__(self, side):
        self.connection = http.client.HTTPConnection("127.0.0.1", side.server.port, timeout=30)

    def call(self, method, path, body=None, tag=None):
        headers = {"Content-Type": "application/json"} if body else {}
        if tag:
            headers["If-None-Match"] = tag
        started = time.perf_counter()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        answer.read()
        return time.perf_counter() - started, answer.status, answer.headers["ETag"]


def during(side, circles, seconds, disturb):
    """Times of writes and of reads while `disturb` is called with the number of the second."""
    end = time.monotonic() + seconds
    times = {"writes": [], "reads": []}

    def client(kind, number):
        client, choose = Client(side), random.Random(number)
        while time.monotonic() < end:
            path, body = "/v1/circles/other", None
            if kind == "writes":
                path = f"/v1/circles/circle-{choose.randint(1, circles)}"
                body = json.dumps({"description": f"changed {time.monotonic()}"})
            took, status, _ = client.call("PATCH" if body else "GET", path, body)
            if status != 200:
                raise SystemExit(f"{kind} beside a change: {status}")
            times[kind].append(took)
            time.sleep(PAUSE)

    kinds = ["writes"] * WRITERS + ["reads"] * READERS
    threads = [threading.Thread(target=client, args=one) for one in zip(kinds, range(len(kinds)))]
    for thread in threads:
        thread.start()
    for second in range(seconds):
        disturb(second)
        time.sleep(max(0, end - seconds + second + 1 - time.monotonic()))
    for thread in threads:
        thread.join()
    return times


def run(sides, circles, seconds):
    """One side at a time: what the other still has to do in the background would disturb it."""
    for side in sides:
        side.seed("seed.sql", circles=circles)
        side.server.call("POST", "/v1/circles", '{"name": "other"}')
    _, path, status = changes.CHANGES[1]
    deletion = lambda second: second or side.server.call("DELETE", "/v1/agents/2")
    phases = [("nothing else", lambda second: None),
              ("a status each second", lambda second: side.server.call("PATCH", path, status(second))),
              ("a deletion", deletion)]
    for side in sides:
        quiet = None
        for name, disturb in phases:
            times = during(side, circles, seconds, disturb)
            p99 = {kind: percentile(some, 0.99) for kind, some in times.items()}
            quiet = quiet or p99
            figures = ", ".join(f"{kind} p50 {percentile(some, 0.5):.1f} p99 {p99[kind]:.1f} ms ({p99[kind] / quiet[kind]:.2f})"
                                for kind, some in times.items())
            print(f"{circles:>9} circles  beside {name:<20} {side.name:<8} {figures}", flush=True)
        changes.follow(side)


def polls(sides, seconds):
    """A thousand circles of one agent, of which fifty are polled each second."""
    for side in sides:
        side.seed("seed.sql", circles=1_000)
        for what in ["", "/handles"]:
            for beat, body in [("another status", changes.CHANGES[1][2]), ("the same status", lambda n: '{"status": "idle"}')]:
                side.server.call("PATCH", "/v1/agents/1", body(0))
                client, tags, unchanged, asked = Client(side), {}, 0, 0
                for second in range(seconds + 1):
                    started = time.monotonic()
                    side.server.call("PATCH", "/v1/agents/1", body(second + 1))
                    for circle in range(1, 51):
                        _, status, tag = client.call("GET", f"/v1/circles/circle-{circle}{what}", tag=tags.get(circle))
                        tags[circle] = tag
                        asked, unchanged = asked + (second > 0), unchanged + (status == 304)
                    time.sleep(max(0, started + 1 - time.monotonic()))
                print(f"    1000 circles  304 of {what[1:] or 'rosters':<8} {beat:<18} {side.name:<8} "
                      f"{unchanged / asked:6.0%} of polls", flush=True)
