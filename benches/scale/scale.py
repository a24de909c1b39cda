"""What it costs to change what very many circles show, on PostgreSQL.

Each program gets a database of its own on one private server, and takes its turn at every size. Printed are
the median time of an answer, the write-ahead log and the status of changes; the times of other requests beside a change;
the share of polls that get 304; a page of a long audit trail; and a copy to another database. Load goes to 127.0.0.1 only.
"""

import argparse
import tempfile
from pathlib import Path

import audit
import beside
import changes
import copy_database
from sides import sides

FULL = {"circles": [1_000, 2_500, 10_000, 50_000, 100_000, 1_000_000], "rounds": 5, "beside": [1_000, 2_500, 50_000],
        "seconds": 20, "entries": 4_000_000, "copied": 1_000_000}
SHORT = {"circles": [1_000, 50_000], "rounds": 3, "beside": [1_000, 20_000], "seconds": 5, "entries": 200_000, "copied": 100_000}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--service", required=True, help="the program to measure")
    parser.add_argument("--against", help="an older program to measure in turn with it")
    parser.add_argument("--short", action="store_true", help="few sizes, in some minutes")
    parser.add_argument("--circles", type=int, nargs="+", help="sizes for the changes")
    parser.add_argument("--only", choices=["changes", "beside", "polls", "audit", "copy"])
    arguments = parser.parse_args()
    size = SHORT if arguments.short else FULL
    with tempfile.TemporaryDirectory() as folder:
        database, both = sides(arguments, Path(folder))
        parts = {
            "changes": lambda: [changes.run(both, circles, size["rounds"]) for circles in arguments.circles or size["circles"]],
            "beside": lambda: [beside.run(both, circles, size["seconds"]) for circles in size["beside"]],
            "polls": lambda: beside.polls(both, size["seconds"]),
            "audit": lambda: audit.run(both, size["entries"], size["rounds"]),
            "copy": lambda: copy_database.run(both, size["copied"], Path(folder)),
        }
        for name, part in parts.items():
            if arguments.only in (None, name):
                part()
        for side in both:
            side.server.end()
        database.end()


if __name__ == "__main__":
    main()
