"""How long `circle-registry copy` takes to move a registry from PostgreSQL to SQLite and back."""

import os
import subprocess
import time

import machine


def copy(side, origin, target):
    """Seconds by the clock, and CPU seconds of the program alone."""
    before = machine.children_seconds()
    started = time.perf_counter()
    command = [side.binary, "copy", "--from", origin, "--to", target]
    done = subprocess.run(command, capture_output=True, text=True)
    taken = time.perf_counter() - started
    if done.returncode != 0:
        raise SystemExit(f"{side.name}: {done.stderr}")
    return taken, machine.children_seconds() - before


def run(sides, rows, folder):
    """Half of the rows are memberships, and a quarter each circles and entries of the audit trail."""
    quarter = rows // 4
    for side in sides:
        side.seed("seed.sql", circles=quarter)
        side.seed("audit.sql", entries=quarter)
        file, back = folder / f"{side.name}.db", f"{side.name}_back"
        side.sql(f"CREATE DATABASE {back}")
        for way, origin, target in [
            ("to SQLite", side.url, f"sqlite:{file}"),
            ("to PostgreSQL", f"sqlite:{file}", side.database.url_of(back)),
        ]:
            seconds, cpu = copy(side, origin, target)
            print(f"{rows:>9} rows  copy {way:<14} {side.name:<8} {seconds:9.1f} s {cpu:9.1f} s of CPU", flush=True)
        os.remove(file)
