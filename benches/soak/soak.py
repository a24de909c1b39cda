"""Three instances under mixed load for an hour, on a PostgreSQL with a standby.

Meanwhile instances are restarted and killed, old entries are pruned, and the database fails over to its standby. Printed
are, for each part of the hour: requests and their times, what clients had to try again and what failed in the end, the
memory of the instances, and the sessions of the database. In the end, what followers of the feed and a webhook received is
compared with the feed itself. Load goes to 127.0.0.1 only.
"""

import argparse
import signal
import tempfile
import threading
import time
from pathlib import Path

from clients import Client, FeedFollower, Load, WebhookReceiver
from cluster import Cluster, INSTANCES
from report import Samples, print_report

READERS, WRITERS = 6, 2
SAMPLE_INTERVAL = 5  # seconds


def timeline(cluster):
    """What happens when, as a share of the whole time."""
    first, second, third = cluster.instances
    return [
        (0.00, "warm-up", lambda: None),
        (0.10, "nothing", lambda: None),
        (0.25, "a restart", first.restart),
        (0.35, "kill -9 of an instance", lambda: second.restart(signal.SIGKILL)),
        (0.45, "pruning", cluster.prune),
        (0.55, "failover to the standby", cluster.fail_over),
        (0.75, "all restarted, one by one", lambda: [one.restart() for one in (first, second, third)]),
        (0.85, "nothing again", lambda: None),
    ]


def sample(cluster, samples, over):
    while not over.wait(SAMPLE_INTERVAL):
        samples.memory.append((time.monotonic(), [one.resident_mib() for one in cluster.instances]))
        samples.sessions.append((time.monotonic(), cluster.sessions()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", required=True, help="the program")
    parser.add_argument("--minutes", type=float, default=60, help="how long (60)")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two requests of a client (0.02)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder), arguments.service)
        receiver = WebhookReceiver()
        Client(cluster.ports()).create_webhook(receiver.url)
        follower = FeedFollower(Client(cluster.ports()))
        samples, over = Samples(), threading.Event()
        load = Load(cluster.ports(), samples, arguments.pause, over)
        threads = [*load.threads(READERS, WRITERS), threading.Thread(target=follower.run, args=[over]),
                   threading.Thread(target=sample, args=[cluster, samples, over])]
        for thread in threads:
            thread.start()
        started, seconds = time.monotonic(), arguments.minutes * 60
        for share, name, act in timeline(cluster):
            time.sleep(max(0.0, started + share * seconds - time.monotonic()))
            samples.begin(name)
            print(f"{time.monotonic() - started:6.0f} s  {name}", flush=True)
            act()
        time.sleep(max(0.0, started + seconds - time.monotonic()))
        over.set()
        for thread in threads:
            thread.join()
        samples.end()
        changes = follower.all_changes()
        receiver.wait_for(changes)
        lost = print_report(samples, changes, follower, receiver, INSTANCES)
        cluster.end()
    raise SystemExit(1 if lost else 0)


if __name__ == "__main__":
    main()
