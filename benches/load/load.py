"""Measures the service against a peer written by hand (benches/peer), both on the same rows of one
private PostgreSQL, interleaved in one run; with SQLite in a second part. benches/load/run builds
both and calls this. Only the standard library; wrk, and PostgreSQL's programs.

What decides where the machine is noisy is CPU seconds per 1,000 requests, of the server and of the
database. `other` is the share of the machine that went to anything else: a sample that was
disturbed (15 % and more) is taken again, up to twice, and the least disturbed one kept.

With --growth the other side is no peer but the service itself, on a thousand circles: what a request
costs when there are many more.
"""

import argparse
import contextlib
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import machine
import services

HERE = Path(__file__).resolve().parent
WORK = HERE / ".work"
DISTURBED = 0.15
KEPT = 500  # circles whose rosters fit into the service's cache as it is by default
WRITTEN = 100  # circles that additions go to
FEW = 1_000  # circles
MANY = 100_000


@dataclass
class Scenario:
    name: str
    requests: str  # of Requests
    service: str = "plain"  # or: kept (with its cache of rosters)
    peer_requests: str | None = None  # where the peer is asked for something else
    connections: int = 32
    sqlite: bool = False
    grows: bool = True  # may cost more where there are more circles


SCENARIOS = [
    Scenario("roster", "roster"),
    Scenario("roster, one connection", "roster", connections=1),
    Scenario("roster, kept", "some_rosters", service="kept", grows=False),
    Scenario("roster, 304", "unchanged", peer_requests="some_rosters"),
    Scenario("roster of 500", "large", grows=False),
    Scenario("list of 50", "list"),
    Scenario("list of 50 with members", "list_with_members"),
    Scenario("add a member", "add"),
    Scenario("models, paged", "models", grows=False),
    Scenario("handles", "handles"),
    Scenario("SQLite: roster", "roster", sqlite=True),
    Scenario("SQLite: list of 50", "list", sqlite=True),
]


class Requests:
    """What is asked for, in a fixed pseudo-random order: lines for replay.lua."""

    def __init__(self, circles):
        self.circles = circles

    def roster(self, _):
        return [("GET", f"/v1/circles/circle-{i}", "", "") for i in range(1, min(self.circles, 10_000) + 1)]

    def some_rosters(self, _):
        return self.roster(_)[:KEPT]

    def unchanged(self, server):
        """The same rosters, by a client that has them."""
        tags = ((path, server.call("GET", path)[1]["ETag"]) for _, path, _, _ in self.some_rosters(server))
        return [("GET", path, tag, "") for path, tag in tags]

    def large(self, _):
        return [("GET", "/v1/circles/circle-large", "", "")]

    def list(self, _):
        return [("GET", "/v1/circles?limit=50", "", "")]

    def list_with_members(self, _):
        return [("GET", "/v1/circles?limit=50&include=members", "", "")]

    def models(self, server):
        """Every page of the catalogue."""
        path, lines = "/v1/models?limit=50", []
        while path:
            lines.append(("GET", path, "", ""))
            cursor = server.get(path)["next_cursor"]
            path = cursor and f"/v1/models?limit=50&cursor={cursor}"
        return lines

    def handles(self, server):
        return [("GET", f"{path}/handles", "", "") for _, path, _, _ in self.roster(server)]

    def add(self, _):
        pairs = ((circle, agent) for circle in range(1, WRITTEN + 1) for agent in range(1, 601))
        return [("POST", f"/v1/circles/write-{circle}/members", "", f'{{"agent_id": {agent}, "role": "reviewer"}}')
                for circle, agent in pairs]

    def file(self, name, server):
        lines = getattr(self, name)(server)
        random.Random(7).shuffle(lines)
        path = WORK / f"{name}-{self.circles}.requests"
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
        return path


# ---------------------------------------------------------------- the same answers

def normal(value, key=""):
    """Moments compare as moments: their texts have as many digits as they need."""
    if isinstance(value, dict):
        return {name: normal(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [normal(inner) for inner in value]
    if key.endswith("_at") and isinstance(value, str):
        return datetime.fromisoformat(value).astimezone(timezone.utc)
    return value


def differences(ours, theirs, path="$"):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted(set(ours) ^ set(theirs)):
            yield f"{path}.{name}: only in {'ours' if name in ours else 'the peer'}"
        for name in sorted(set(ours) & set(theirs)):
            yield from differences(ours[name], theirs[name], f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs)):
            yield from differences(*pair, f"{path}[{index}]")
    elif ours != theirs or type(ours) is not type(theirs):
        yield f"{path}: ours {str(ours)[:60]!r}, the peer's {str(theirs)[:60]!r}"


def check_same(ours, theirs, paths):
    for path in paths:
        found = list(differences(normal(ours.get(path)), normal(theirs.get(path))))
        if found:
            raise SystemExit(f"GET {path} is answered differently:\n" + "\n".join(found[:20]))


def check_same_addition(ours, theirs):
    answers = []
    for server, circle in ((ours, "write-1"), (theirs, "write-2")):
        status, headers, body = server.call(
            "POST", f"/v1/circles/{circle}/members", '{"agent_id": 5, "role": "reviewer"}')
        if status != 201 or headers["Location"] != f"/v1/circles/{circle}/members/5":
            raise SystemExit(f"an addition is answered with {status} {body[:200]!r}; see {server.log}")
        member = json.loads(body)
        answers.append({name: value for name, value in member.items() if name not in ("id", "circle_id", "joined_at")})
    if found := list(differences(*answers)):
        raise SystemExit("an addition is answered differently:\n" + "\n".join(found))


# ---------------------------------------------------------------- measuring

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


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
        machine.wait_until_quiet(DISTURBED, options.patience)
        samples.append(sample(side, scenario.connections, options.seconds))
    return min(samples, key=lambda one: one["other"])


def middle(samples):
    """The median of each figure over the rounds."""
    result = {name: statistics.median(one[name] for one in samples) for name in samples[0]}
    result["errors"] = sum(one["errors"] for one in samples)
    result["low"], result["high"] = min(one["rps"] for one in samples), max(one["rps"] for one in samples)
    return result


@dataclass
class Side:
    """What a scenario is run against."""
    name: str
    server: services.Server
    database: services.Postgres | None
    requests: Path


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
        machine.wait_until_quiet(DISTURBED, options.patience)
        port = services.free_port()
        command = [binary, "serve", "--bind", f"127.0.0.1:{port}", "--database-url", url, "--shutdown-delay", "0s"]
        started = time.monotonic()
        server = services.Server(command, folder / f"start-{name}.log", port)
        server.wait_for(lambda: server.call("GET", "/readyz")[0] == 200, pause=0.001)
        times.append((time.monotonic() - started) * 1000)
        server.end()
    return {"median": statistics.median(times), "low": min(times), "high": max(times)}


# ---------------------------------------------------------------- the report

def errors_of(one, other):
    return f" ({one['errors']}, {other['errors']} errors)" if one["errors"] or other["errors"] else ""


def report(results, starts):
    lines = [
        "| | req/s: ours, peer, ratio | p50, p99 ms: ours | peer | CPU s per 1,000: server | database | PSS MiB | other load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, sides in results.items():
        ours, peer = sides["ours"], sides["peer"]
        ratio = lambda key: f"{ours[key] / peer[key]:.2f}" if peer[key] else "–"
        both = lambda key: f"{ours[key]:.3f}, {peer[key]:.3f}, {ratio(key)}"
        database = both("database_cpu") if ours["database_cpu"] else "in the server's"
        lines.append(
            f"| {name}{errors_of(ours, peer)} | {ours['rps']:.0f}, {peer['rps']:.0f}, **{ratio('rps')}** | {ours['p50']:.1f}, {ours['p99']:.1f} |"
            f" {peer['p50']:.1f}, {peer['p99']:.1f} | {both('server_cpu')} | {database} |"
            f" {ours['pss']:.0f}, {peer['pss']:.0f} | {ours['other']:.0%}, {peer['other']:.0%} |")
    for name, start in starts.items():
        lines.append(f"\nStart to ready on a migrated {name}: {start['median']:.0f} ms ({start['low']:.0f} to {start['high']:.0f})")
    return "\n".join(lines)


def report_of_growth(results, circles):
    lines = [
        f"| | CPU s per 1,000 requests: {FEW} circles, {circles}, ratio | server | database | p99 ms |",
        "|---|---|---|---|---|",
    ]
    for name, sides in results.items():
        few, many = sides["few"], sides["many"]
        cost = [one["server_cpu"] + one["database_cpu"] for one in (few, many)]
        both = lambda key, digits: f"{few[key]:.{digits}f}, {many[key]:.{digits}f}"
        lines.append(f"| {name}{errors_of(few, many)} | {cost[0]:.3f}, {cost[1]:.3f}, **{cost[1] / cost[0]:.2f}** |"
                     f" {both('server_cpu', 3)} | {both('database_cpu', 3)} | {both('p99', 1)} |")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", type=Path, required=True, help="the service's program")
    parser.add_argument("--peer", type=Path, required=True, help="the peer's program")
    parser.add_argument("--only", metavar="TEXT", help="only scenarios whose names hold one of these texts, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured, in turns (default: 3)")
    parser.add_argument("--seconds", type=int, default=5, help="how long one sample takes (default: 5)")
    parser.add_argument("--sqlite", action="store_true", help="only the scenarios on SQLite")
    parser.add_argument("--start", action="store_true", help="only the time from start to ready")
    parser.add_argument("--check-only", action="store_true", help="only see that both sides answer the same")
    parser.add_argument("--growth", action="store_true",
                        help=f"the service on {FEW} circles and on as many as --circles says, in place of a peer")
    parser.add_argument("--circles", type=int,
                        help=f"how many circles there are (default: {FEW}, with --growth {MANY}, which have two million"
                             " active members and take minutes)")
    parser.add_argument("--patience", type=int, default=60,
                        help="seconds to wait before a sample until the machine is quiet (default: 60)")
    parser.add_argument("--tries", type=int, default=3, help="samples in place of a disturbed one, at most (default: 3)")
    parser.add_argument("--starts", type=int, default=10, help="how often a start is timed (default: 10)")
    options = parser.parse_args()
    options.circles = options.circles or (MANY if options.growth else FEW)
    return options


def seeded(options, folder, name, circles, ends):
    """A database with so many circles, until `ends`."""
    database = services.Postgres(folder, name)
    ends.callback(database.end)
    services.run([options.service, "migrate", "up", "--database-url", database.url])
    print(f"seeding {circles} circles", file=sys.stderr)
    services.seed_postgres(database, circles)
    return database


def forget_additions(database):
    database.psql("DELETE FROM members WHERE circle_id IN (SELECT id FROM circles WHERE name LIKE 'write-%')")
    database.psql("VACUUM ANALYZE members, circles; CHECKPOINT")


def main():
    options = arguments()
    WORK.mkdir(exist_ok=True)
    texts = options.only.split(",") if options.only else [""]
    wanted = [one for one in SCENARIOS if any(text in one.name for text in texts) and (one.sqlite or not options.sqlite)]
    with tempfile.TemporaryDirectory(prefix="circle-registry-bench-") as name:
        if options.growth:
            grow(options, [one for one in wanted if one.grows and not one.sqlite], Path(name))
        else:
            compare(options, wanted, Path(name))


def tell(name, text, outcome):
    print(text)
    (WORK / f"{name}.json").write_text(json.dumps(outcome, indent=2) + "\n")
    (WORK / f"{name}.md").write_text(text + "\n")


# ---------------------------------------------------------------- few circles and many

def grow(options, scenarios, folder):
    with contextlib.ExitStack() as ends:
        sides = {}
        for name, circles in (("few", FEW), ("many", options.circles)):
            database = seeded(options, folder, f"postgres-{name}", circles, ends)
            server = services.service(options.service, database.url, folder, f"service-{name}", "--roster-cache-mib", "0")
            ends.callback(server.end)
            sides[name] = server, database, Requests(circles)

        def side(name, scenario):
            server, database, requests = sides[name]
            return Side(name, server, database, requests.file(scenario.requests, server))

        results = {one.name: run_scenario(one, options, [side("few", one), side("many", one)]) for one in scenarios}
    tell("growth", report_of_growth(results, options.circles), {"circles": options.circles, "scenarios": results})


# ---------------------------------------------------------------- the service and its peer

def compare(options, wanted, folder):
    results, starts = {}, {}
    with contextlib.ExitStack() as ends:
        database = seeded(options, folder, "postgres", options.circles, ends)
        requests = Requests(options.circles)
        file = folder / "bench.db"
        services.run([options.service, "migrate", "up", "--database-url", f"sqlite:{file}"])
        if options.sqlite or any(one.sqlite for one in wanted):
            services.seed_sqlite(database, file)

        if options.start or not (options.only or options.sqlite or options.check_only):
            starts["PostgreSQL"] = time_to_ready(options, options.service, database.url, folder, "postgres")
            starts["SQLite"] = time_to_ready(options, options.service, f"sqlite:{file}", folder, "sqlite")
        for sqlite in (False, True):
            scenarios = [one for one in wanted if one.sqlite == sqlite and not options.start]
            if scenarios:
                results |= run_on(options, scenarios, folder, requests, database, file if sqlite else None)
    if not options.check_only:
        outcome = {"circles": options.circles, "scenarios": results, "start_to_ready_ms": starts}
        tell("results", report(results, starts), outcome)


def run_on(options, scenarios, folder, requests, database, file):
    """The scenarios of one database, with the servers that they need."""
    url, kind = (f"sqlite:{file}", "sqlite") if file else (database.url, "postgres")
    with contextlib.ExitStack() as ends:
        servers = {
            "plain": services.service(options.service, url, folder, f"service-{kind}", "--roster-cache-mib", "0"),
            "kept": services.service(options.service, url, folder, f"kept-{kind}"),
            "peer": services.peer(options.peer, url, folder, f"peer-{kind}"),
        }
        for server in servers.values():
            ends.callback(server.end)
        plain, peer = servers["plain"], servers["peer"]
        paths = [f"/v1/circles/{name}" for name in ("circle-1", "circle-17", "circle-300", "circle-large", "write-1")]
        paths += ["/v1/circles?limit=50", f"/v1/circles?limit=50&cursor={plain.get('/v1/circles?limit=50')['next_cursor']}"]
        if not file:
            paths += ["/v1/circles?limit=50&include=members", "/v1/models?limit=50"]
            paths += [f"/v1/circles/{name}/handles" for name in ("circle-1", "circle-17", "circle-300", "write-1")]
            check_same_addition(plain, peer)
            forget_additions(database)
        check_same(plain, peer, paths)
        print(f"the answers on {kind} are the same", file=sys.stderr)
        if options.check_only:
            return {}

        def sides(scenario):
            asked = requests.file(scenario.requests, servers[scenario.service])
            asked_of_peer = requests.file(scenario.peer_requests, peer) if scenario.peer_requests else asked
            measured = None if file else database
            return [Side("ours", servers[scenario.service], measured, asked),
                    Side("peer", peer, measured, asked_of_peer)]

        return {one.name: run_scenario(one, options, sides(one)) for one in scenarios}


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))}\n{error.stderr or ''}")
