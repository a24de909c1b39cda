"""Samples of a running server: requests per second, latencies, CPU and memory."""

import re
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import machine
import services

HERE = Path(__file__).resolve().parent
DISTURBED = 0.15


@dataclass
class Side:
    """What a scenario is run against."""
    name: str
    server: services.Server
    database: services.Postgres | None
    requests: Path


UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def percentile(times, share):
    """In milliseconds, of times in seconds."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] * 1000


def wrk(server, requests, connections, seconds):
    command = ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency",
               "-s", HERE / "replay.lua", f"http://127.0.0.1:{server.port}", "--", requests]
    out = services.run(command)
    found = lambda pattern: re.search(pattern, out, re.M)
    errors = int(match[1]) if (match := found(r"Non-2xx or 3xx responses: (\d+)")) else 0
    if match := found(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"):
        errors += sum(map(int, match.groups()))
    return {
        "requests": int(found(r"(\d+) requests in")[1]),
        "rps": float(found(r"Requests/sec:\s+([\d.]+)")[1]),
        "p50": milliseconds(found(r"^\s+50%\s+(\S+)")[1]),
        "p99": milliseconds(found(r"^\s+99%\s+(\S+)")[1]),
        "errors": errors,
    }


def sample(side, connections, seconds):
    server, database = side.server, side.database

    def used():
        return [machine.cpu_seconds(server.pid), database and machine.cpu_seconds(database.pid) or 0.0,
                machine.children_seconds(), *machine.clocks()]

    before = used()
    result = wrk(server, side.requests, connections, seconds)
    time.sleep(0.2)
    served, stored, client, busy, total = (after - start for start, after in zip(before, used()))
    thousands = max(1, result["requests"]) / 1000
    result["server_cpu"], result["database_cpu"] = served / thousands, stored / thousands
    result["other"] = (busy - served - stored - client) / total
    result["rss"], result["pss"] = machine.memory(server.pid)
    return result


def prepare(scenario, side):
    """What was added once can't be added again."""
    if scenario.requests == "add":
        forget_additions(side.database)


def measure(scenario, options, side):
    samples = []
    while not samples or (len(samples) < options.tries and samples[-1]["other"] >= DISTURBED):
        prepare(scenario, side)
        machine.wait_until_quiet(DISTURBED, options.quiet_timeout)
        samples.append(sample(side, scenario.connections, options.seconds))
    return min(samples, key=lambda one: one["other"])


def middle(samples):
    """The median of each figure over the rounds."""
    result = {name: statistics.median(one[name] for one in samples) for name in samples[0]}
    result["errors"] = sum(one["errors"] for one in samples)
    result["low"], result["high"] = min(one["rps"] for one in samples), max(one["rps"] for one in samples)
    return result


def run_scenario(scenario, options, sides):
    for side in sides:  # Caches fill, connections open, statements are prepared.
        prepare(scenario, side)
        wrk(side.server, side.requests, scenario.connections, 1)
    taken = {side.name: [] for side in sides}
    for _ in range(options.rounds):
        for side in sides:
            one = measure(scenario, options, side)
            taken[side.name].append(one)
            print(f"  {scenario.name}, {side.name}: {one['rps']:.0f} req/s, p99 {one['p99']:.1f} ms,"
                  f" CPU {one['server_cpu']:.3f} + {one['database_cpu']:.3f} s, other load {one['other']:.0%},"
                  f" {one['errors']} errors", file=sys.stderr, flush=True)
    return {name: middle(samples) for name, samples in taken.items()}


def time_to_ready(options, binary, url, folder, name):
    """From the start of the process to the first 200 of /readyz, in milliseconds."""
    times = []
    for _ in range(options.starts):
        machine.wait_until_quiet(DISTURBED, options.quiet_timeout)
        port = services.free_port()
        command = [binary, "serve", "--bind", f"127.0.0.1:{port}", "--database-url", url, "--shutdown-delay", "0s"]
        started = time.monotonic()
        server = services.Server(command, folder / f"start-{name}.log", port)
        server.wait_for(lambda: server.call("GET", "/readyz")[0] == 200, pause=0.001)
        times.append((time.monotonic() - started) * 1000)
        server.end()
    return {"median": statistics.median(times), "low": min(times), "high": max(times)}


def forget_additions(database):
    database.psql("DELETE FROM members WHERE circle_id IN (SELECT id FROM circles WHERE name LIKE 'write-%')")
    database.psql("VACUUM ANALYZE members, circles; CHECKPOINT")
