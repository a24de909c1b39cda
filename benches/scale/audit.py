"""A page of the audit trail up to a time, of long ago and of now."""

import statistics
import time


def run(sides, entries, rounds):
    for side in sides:
        side.seed("audit.sql", entries=entries)
    for name, ago in [("of long ago", 300), ("of now", 0)]:
        for side in sides:
            until = side.sql(f"""SELECT to_char(now() at time zone 'utc' - interval '{ago} days', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')""")
            times = []
            for _ in range(rounds):
                started = time.perf_counter()
                side.server.get(f"/v1/audit?limit=50&until={until}")
                times.append(time.perf_counter() - started)
            print(f"{entries:>9} entries  audit until {name:<14} {side.name:<8} {statistics.median(times) * 1000:9.1f} ms", flush=True)
