"""Runs schemathesis against one running service: fuzz.py NAME URL

Once through all operations, then several times along the links between them. Every pass has its
seed and its number of cases, so that it is the same each time and ends.
"""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
WORK = HERE / ".work"
LEAST_CASES = 2000
# A pass over all operations took 222 s where it is slowest. The limit ends what hangs.
PASS_SECONDS = 900
PASSES = [("operations", "examples,coverage,fuzzing", 1)] + [
    (f"links-{seed}", "stateful", seed) for seed in range(1, 6)
]


def wait_until_ready(url):
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("the service does not become ready")


def run_pass(name, url, label, phases, seed):
    report = WORK / f"{name}-{label}.json"
    report.unlink(missing_ok=True)
    log = WORK / f"{name}-{label}.log"
    command = [
        pathlib.Path(sys.executable).parent / "schemathesis",
        *("--no-color", "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {os.environ['FUZZ_TOKEN']}"),
        *("--phases", phases, "--seed", str(seed), "--report-json-path", report),
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"),
        "FUZZ_ANSWERS": str(WORK / f"{name}-answers"),
    }
    with log.open("w") as output:
        ended = subprocess.run(
            command, env=environment, cwd=WORK, stdout=output, stderr=output, timeout=PASS_SECONDS
        )
    outcome = json.loads(report.read_text()) if report.exists() else {}
    sound = ended.returncode == 0 and outcome.get("stop_reason") == "completed"
    if not sound:
        print(log.read_text()[:20000])
    return outcome.get("test_cases", {}).get("generated", 0), sound


def operations(url):
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=5) as answer:
        paths = json.load(answer)["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


def main(name, url):
    answers = WORK / f"{name}-answers"
    answers.write_text("")
    wait_until_ready(url)
    begin = time.monotonic()
    cases, failed = 0, []
    for label, phases, seed in PASSES:
        count, sound = run_pass(name, url, label, phases, seed)
        cases += count
        if not sound:
            failed.append(label)
    seen = collections.Counter(answers.read_text().splitlines())
    statuses = collections.Counter()
    for line, count in seen.items():
        statuses[line.rsplit(" ", 1)[1]] += count
    accepted = {line.rsplit(" ", 1)[0] for line in seen if line.rsplit(" ", 1)[1].startswith("2")}
    missed = sorted(operations(url) - accepted - {"GET /v1/events"})
    print(f"{name}: {cases} cases in {time.monotonic() - begin:.0f} s")
    print("  answers:", ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    if missed:
        print("  never done:", ", ".join(missed))
    if failed:
        sys.exit(f"{name}: findings in {', '.join(failed)} (tests/fuzz/.work/{name}-*.log)")
    if cases < LEAST_CASES:
        sys.exit(f"{name}: fewer than {LEAST_CASES} cases")


if __name__ == "__main__":
    # Ends the pass that is running, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main(*sys.argv[1:])
