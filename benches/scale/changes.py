"""What a change of an agent, model or provider costs that very many circles show."""

import statistics
import time

# Name, path and the body of the nth change.
CHANGES = [
    ("an agent's role", "/v1/agents/1", lambda n: f'{{"role": "role {n}"}}'),
    ("an agent's status", "/v1/agents/1", lambda n: f'{{"status": "{"busy" if n % 2 else "idle"}"}}'),
    ("a model's alias", "/v1/models/1", lambda n: f'{{"model_alias": "alias {n}"}}'),
    ("a provider's name", "/v1/providers/1", lambda n: f'{{"name": "provider-{n}"}}'),
]


def measure(side, method, path, body=None):
    wal, started = side.wal(), time.perf_counter()
    status, _, _ = side.server.call(method, path, body)
    return time.perf_counter() - started, side.wal() - wal, status


def tell(circles, change, side, results, more=""):
    seconds, wal, statuses = zip(*results)
    print(f"{circles:>9} circles  {change:<22} {side.name:<8} {statistics.median(seconds) * 1000:9.1f} ms "
          f"{statistics.median(wal) / 1024:10.0f} KiB  {max(statuses)}{more}", flush=True)


def follow(side):
    """Seconds until the memberships are done that the background ends or restores."""
    started = time.perf_counter()
    while side.has_jobs() and side.sql("SELECT count(*) FROM membership_jobs") != "0":
        time.sleep(0.1)
    return time.perf_counter() - started


def run(sides, circles, rounds):
    for side in sides:
        side.seed("seed.sql", circles=circles)
    for name, path, body in CHANGES:
        for side in sides:
            results = []
            for number in range(rounds):
                side.sql("VACUUM circles; VACUUM members")
                results.append(measure(side, "PATCH", path, body(number)))
            tell(circles, name, side, results)
    for name, method, path in [("an agent's deletion", "DELETE", "/v1/agents/2"),
                               ("its restoration", "POST", "/v1/agents/2/restore?memberships=true")]:
        for side in sides:
            if method == "POST" and not side.has_jobs():
                continue
            side.sql("VACUUM circles; VACUUM members")
            result = measure(side, method, path)
            tell(circles, name, side, [result], f"  {follow(side):8.1f} s until the last row")
