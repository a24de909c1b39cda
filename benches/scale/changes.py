"""What it costs to change an agent, model or provider that many circles show, on PostgreSQL.

Each program gets a database of its own on one private server and takes its turn at every size. Printed
are the median time of an answer, the write-ahead log and the status. Load goes to 127.0.0.1 only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "load"))

from services import Postgres, Server, free_port, run  # noqa: E402 (the path comes first)

# Name, method, path and the body of the nth change.
CHANGES = [
    ("an agent's role", "PATCH", "/v1/agents/1", lambda n: f'{{"role": "role {n}"}}'),
    ("an agent's status", "PATCH", "/v1/agents/1", lambda n: f'{{"status": "{"busy" if n % 2 else "idle"}"}}'),
    ("a model's alias", "PATCH", "/v1/models/1", lambda n: f'{{"model_alias": "alias {n}"}}'),
    ("a provider's name", "PATCH", "/v1/providers/1", lambda n: f'{{"name": "provider-{n}"}}'),
]
DELETION = ("an agent's deletion", "DELETE", "/v1/agents/2", lambda n: None)


class Side:
    """One program with its database."""

    def __init__(self, name, binary, database, folder):
        database.psql(f"CREATE DATABASE {name}")
        self.name, self.database = name, database
        self.url = database.url.replace("/postgres", f"/{name}")
        port = free_port()
        command = [binary, "serve", "--bind", f"127.0.0.1:{port}", "--database-url", self.url]
        self.server = Server(command, folder / f"{name}.log", port)
        self.server.wait_for(lambda: self.server.call("GET", "/readyz")[0] == 200)

    def sql(self, text, **variables):
        given = [word for key, value in variables.items() for word in ("-v", f"{key}={value}")]
        program = [self.database.psql_program, "-XAtq", self.url, "-v", "ON_ERROR_STOP=1"]
        return run([*program, *given], input=text)

    def change(self, change, number):
        _, method, path, body = change
        before = self.sql("SELECT pg_current_wal_insert_lsn()").strip()
        started = time.perf_counter()
        status, _, answer = self.server.call(method, path, body(number))
        seconds = time.perf_counter() - started
        wal = int(self.sql(f"SELECT pg_current_wal_insert_lsn() - '{before}'"))
        return seconds, wal, status

    def measure(self, change, rounds):
        results = []
        for number in range(rounds):
            self.sql("VACUUM circles; VACUUM members")
            results.append(self.change(change, number))
        seconds, wal, statuses = zip(*results)
        return statistics.median(seconds), statistics.median(wal), max(statuses)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", required=True, help="the program to measure")
    parser.add_argument("--against", help="an older program to measure in turn with it")
    parser.add_argument("--circles", type=int, nargs="+", default=[1_000, 5_000, 20_000, 50_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        database = Postgres(folder, "database")
        programs = [("ours", arguments.service), ("against", arguments.against)]
        sides = [Side(name, binary, database, folder) for name, binary in programs if binary]
        for circles in arguments.circles:
            for side in sides:
                side.sql((HERE / "seed.sql").read_text(), circles=circles)
            for change in [*CHANGES, DELETION]:
                for side in sides:
                    rounds = 1 if change is DELETION else arguments.rounds
                    seconds, wal, status = side.measure(change, rounds)
                    print(f"{circles:>9} circles  {change[0]:<20} {side.name:<8} {seconds * 1000:9.1f} ms "
                          f"{wal / 1024:10.0f} KiB  {status}", flush=True)
        for side in sides:
            side.server.end()
        database.end()


if __name__ == "__main__":
    main()
