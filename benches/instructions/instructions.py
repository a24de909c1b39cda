"""Counts the instructions that the service takes for a request, by Valgrind: without traces, with those of a tenth of the
requests and, with --against, by another build. Unlike times, the counts hardly depend on what else the machine does, so they
show differences of a percent. On SQLite, whose own instructions are among them.
"""

import argparse
import contextlib
import json
import os
import re
import tempfile
from pathlib import Path

from services import UNLIMITED, Collector, Server, free_port

CIRCLES, MEMBERS = 60, 10
PATHS = ["/v1/circles/circle-7", "/v1/circles?limit=50", "/v1/circles/circle-7/handles"]
WARM_UP = 50  # requests: statements are prepared, and caches fill
COLLECTED = re.compile(r"Collected : (\d+)")


def server(command, folder, *prefix):
    port = free_port()
    program, *more = command
    command = [*prefix, program, "serve", "--bind", f"127.0.0.1:{port}", "--database-url", f"sqlite:{folder}/bench.db",
               "--shutdown-delay", "0s", "--log", "warn", *UNLIMITED, *more]
    one = Server(command, folder / f"{port}.log", port)
    one.wait_for(lambda: one.call("GET", "/readyz")[0] == 200)
    return one


def create(one, path, resource):
    status, _, body = one.call("POST", path, json.dumps(resource))
    if status != 201:
        raise SystemExit(f"POST {path}: {status} {body[:200]!r}")
    return json.loads(body)


def seed(command, folder):
    one = server(command, folder)
    prompt = "You are helpful. " * 20
    agents = [create(one, "/v1/agents", {"name": f"agent {i}", "system_prompt": prompt})["id"] for i in range(MEMBERS)]
    for i in range(CIRCLES):
        create(one, "/v1/circles", {"name": f"circle-{i}"})
        for agent in agents:
            create(one, f"/v1/circles/circle-{i}/members", {"agent_id": agent})
    one.end()


def instructions(command, folder, path, requests):
    """All those of a server that answers so many requests."""
    one = server(command, folder, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    for _ in range(requests):
        one.get(path)
    one.end()
    return int(COLLECTED.search(one.log.read_text()).group(1))


def of_a_request(command, folder, path, requests):
    """The start is left out, and the first requests."""
    few = instructions(command, folder, path, WARM_UP)
    many = instructions(command, folder, path, WARM_UP + requests)
    return (many - few) / requests


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", required=True, help="the program")
    parser.add_argument("--against", metavar="PROGRAM", help="another build, as a side of its own")
    parser.add_argument("--requests", type=int, default=300, help="requests of each kind (300)")
    options = parser.parse_args()
    # One thread, so that none waits for another.
    os.environ["TOKIO_WORKER_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ends:
        folder, collector = Path(name), Collector()
        ends.callback(collector.end)
        sides = {"off": [options.service],
                 "at 10 %": [options.service, "--traces-endpoint", collector.url, "--traces-sample-ratio", "0.1"]}
        if options.against:
            sides["before"] = [options.against]
        seed(sides["off"], folder)
        print(f"| thousand instructions of a request | {' | '.join(sides)} |\n|---|{'---|' * len(sides)}", flush=True)
        for path in PATHS:
            counts = [of_a_request(side, folder, path, options.requests) / 1000 for side in sides.values()]
            ratios = [f"{count:.1f} (**{count / counts[0]:.3f}**)" for count in counts]
            print(f"| `{path}` | {' | '.join(ratios)} |", flush=True)
        if not collector.batches:
            raise SystemExit("the collector got no traces")


if __name__ == "__main__":
    main()
