"""Measures the service against a peer written by hand (benches/peer), both on the same rows of one
private PostgreSQL, interleaved in one run; with SQLite in a second part. benches/load/run builds
both and calls this. Only the standard library; wrk, and PostgreSQL's programs.

What decides where the machine is noisy is CPU seconds per 1,000 requests, of the server and of the
database. `other` is the share of the machine that went to anything else: a sample that was
disturbed (15 % and more) is taken again, up to twice, and the least disturbed one kept.

With --against another build of the service takes turns, too, on the same rows in a PostgreSQL of its own, so that its
schema may be another; and with --traces the same build that exports the traces of a tenth of the requests. With --growth
the other side is no peer but the service itself, on a thousand circles: what a request costs when there are many more.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import services
from measure import Side, forget_additions, run_scenario, time_to_ready
from scenarios import SCENARIOS, Requests, UnknownOperation, check_same, check_same_addition

WORK = Path(__file__).resolve().parent / ".work"
FEW = 1_000  # circles
MANY = 100_000


# ---------------------------------------------------------------- the report

def errors_of(*sides):
    errors = [one["errors"] for one in sides]
    return f" ({', '.join(map(str, errors))} errors)" if any(errors) else ""


def report(results, starts):
    """Figures are in the order of the sides; ratios are each side's to the peer's. A side may lack what a scenario asks for."""
    names = list(max(results.values(), key=len, default={}))
    order = ", ".join(names)
    lines = [
        f"| | req/s: {order} | ratio to the peer | p50 ms | p99 ms | CPU s per 1,000: server | database | PSS MiB | other load |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for scenario, sides in results.items():
        figures = lambda key, digits: ", ".join(f"{sides[name][key]:.{digits}f}" if name in sides else "–" for name in names)
        ratios = [f"**{one['rps'] / sides['peer']['rps']:.2f}**" for name, one in sides.items() if name != "peer"]
        database = figures("database_cpu", 3) if sides["peer"]["database_cpu"] else "in the server's"
        other = ", ".join(f"{one['other']:.0%}" for one in sides.values())
        lines.append(
            f"| {scenario}{errors_of(*sides.values())} | {figures('rps', 0)} | {', '.join(ratios)} | {figures('p50', 1)} |"
            f" {figures('p99', 1)} | {figures('server_cpu', 3)} | {database} | {figures('pss', 0)} | {other} |")
    for name, start in starts.items():
        lines.append(f"\nStart to ready on a migrated {name}: {start['median']:.0f} ms ({start['low']:.0f} to {start['high']:.0f})")
    return "\n".join(lines)


def report_of_traces(results, ratio):
    """What traces cost: the same build without them and with them."""
    lines = [
        f"| | server CPU s per 1,000 requests: off, at {ratio:.0%}, ratio | req/s: off, at {ratio:.0%}, ratio | p99 ms |",
        "|---|---|---|---|",
    ]
    for name, sides in results.items():
        off, on = sides["ours"], sides["traced"]
        both = lambda key, digits: f"{off[key]:.{digits}f}, {on[key]:.{digits}f}"
        compared = lambda key, digits: f"{both(key, digits)}, **{on[key] / off[key]:.3f}**"
        lines.append(f"| {name}{errors_of(off, on)} | {compared('server_cpu', 4)} | {compared('rps', 0)} | {both('p99', 1)} |")
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
    parser.add_argument("--against", type=Path, metavar="PROGRAM",
                        help="another build of the service that takes the same options, to measure as a side of its own (`before`)")
    parser.add_argument("--traces", type=float, nargs="?", const=0.1, metavar="RATIO",
                        help="the same build with traces of so many requests, as a side of its own (default: 0.1)")
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
    parser.add_argument("--quiet-timeout", type=int, default=60,
                        help="seconds to wait before a sample until the machine is quiet (default: 60)")
    parser.add_argument("--tries", type=int, default=3, help="samples in place of a disturbed one, at most (default: 3)")
    parser.add_argument("--starts", type=int, default=10, help="how often a start is timed (default: 10)")
    options = parser.parse_args()
    options.circles = options.circles or (MANY if options.growth else FEW)
    return options


def seeded(service, folder, name, circles, ends):
    """A database with this program's schema and so many circles, until `ends`."""
    database = services.Postgres(folder, name)
    ends.callback(database.end)
    services.run([service, "migrate", "up", "--database-url", database.url])
    print(f"seeding {circles} circles", file=sys.stderr)
    services.seed_postgres(database, circles)
    return database


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
            database = seeded(options.service, folder, f"postgres-{name}", circles, ends)
            server = services.service(options.service, database.url, folder, f"service-{name}", "--roster-cache-mib", "0")
            ends.callback(server.end)
            sides[name] = server, database, Requests(circles)

        def side(name, scenario):
            server, database, requests = sides[name]
            return Side(name, server, database, requests.file(scenario.requests, server, WORK))

        results = {one.name: run_scenario(one, options, [side("few", one), side("many", one)]) for one in scenarios}
    tell("growth", report_of_growth(results, options.circles), {"circles": options.circles, "scenarios": results})


# ---------------------------------------------------------------- the service and its peer

def programs_of(options):
    """The builds of the service, each of which has a database of its own."""
    return {"ours": options.service} | ({"before": options.against} if options.against else {})


def compare(options, wanted, folder):
    results, starts = {}, {}
    with contextlib.ExitStack() as ends:
        databases, files = {}, {}
        for name, program in programs_of(options).items():
            databases[name] = seeded(program, folder, f"postgres-{name}", options.circles, ends)
            files[name] = folder / f"{name}.db"
            services.run([program, "migrate", "up", "--database-url", f"sqlite:{files[name]}"])
            if options.sqlite or any(one.sqlite for one in wanted):
                services.seed_sqlite(databases[name], files[name])

        if options.start or not (options.only or options.sqlite or options.check_only):
            starts["PostgreSQL"] = time_to_ready(options, options.service, databases["ours"].url, folder, "postgres")
            starts["SQLite"] = time_to_ready(options, options.service, f"sqlite:{files['ours']}", folder, "sqlite")
        for sqlite in (False, True):
            scenarios = [one for one in wanted if one.sqlite == sqlite and not options.start]
            if scenarios:
                results |= run_on(options, scenarios, folder, databases, files if sqlite else None)
    if not options.check_only:
        outcome = {"circles": options.circles, "scenarios": results, "start_to_ready_ms": starts}
        tell("results", report(results, starts), outcome)
        if options.traces is not None and results:
            tell("traces", report_of_traces(results, options.traces), outcome)


def run_on(options, scenarios, folder, databases, files):
    """The scenarios of one kind of database, with the servers that they need. `files` are those of SQLite."""
    kind = "sqlite" if files else "postgres"
    builds = {name: [program] for name, program in programs_of(options).items()}
    with contextlib.ExitStack() as ends:
        collector = None
        if options.traces is not None:
            collector = services.Collector()
            ends.callback(collector.end)
            builds["traced"] = [options.service, "--traces-endpoint", collector.url,
                                "--traces-sample-ratio", options.traces]

        def owner(name):
            """The side whose rows this one reads: another build has its own."""
            return name if name in databases else "ours"

        def url(name):
            return f"sqlite:{files[owner(name)]}" if files else databases[owner(name)].url

        def start(server):
            ends.callback(server.end)
            return server

        plain = {name: start(services.service(build, url(name), folder, f"{name}-{kind}", "--roster-cache-mib", "0", *more))
                 for name, (build, *more) in builds.items()}
        cached = {name: start(services.service(build, url(name), folder, f"{name}-cached-{kind}", *more))
                  for name, (build, *more) in builds.items()}
        peer = start(services.peer(options.peer, url("peer"), folder, f"peer-{kind}"))
        for name, server in plain.items():
            if name != "before":
                check_answers(server, peer, files, databases["ours"])
        print(f"the answers on {kind} are the same", file=sys.stderr)
        if options.check_only:
            return {}

        def side(name, server, requests):
            where = WORK / name
            where.mkdir(exist_ok=True)
            try:
                file = Requests(options.circles).file(requests, server, where)
            except UnknownOperation:
                return None  # An earlier build.
            return Side(name, server, None if files else databases[owner(name)], file)

        def sides(scenario):
            servers = cached if scenario.service == "cached" else plain
            builds = (side(name, server, scenario.requests) for name, server in servers.items())
            return [*filter(None, builds), side("peer", peer, scenario.peer_requests or scenario.requests)]

        results = {one.name: run_scenario(one, options, sides(one)) for one in scenarios}
        if collector:
            print(f"the collector got {collector.batches} batches, {collector.bytes / 1e6:.1f} MB", file=sys.stderr)
            if options.traces and not collector.batches:
                raise SystemExit("the collector got no traces")
        return results


def check_answers(server, peer, on_sqlite, database):
    paths = [f"/v1/circles/{name}" for name in ("circle-1", "circle-17", "circle-300", "circle-large", "write-1")]
    paths += ["/v1/circles?limit=50", f"/v1/circles?limit=50&cursor={server.get('/v1/circles?limit=50')['next_cursor']}"]
    if not on_sqlite:
        paths += ["/v1/circles?limit=50&include=members", "/v1/models?limit=50"]
        paths += [f"/v1/circles/{name}/handles" for name in ("circle-1", "circle-17", "circle-300", "write-1")]
        check_same_addition(server, peer)
        forget_additions(database)
    check_same(server, peer, paths)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))}\n{error.stderr or ''}")
