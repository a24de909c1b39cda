"""The followers of docs/changes.md, which tests/clients/run writes to `follower.py`: they load, hear of every change once,
continue from a stored cursor, and start again when their cursor is gone.

Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import base64
import json
import os
import sys
import urllib.request

from follower import follow, follow_events

SERVER, TOKEN = sys.argv[1], os.environ["CIRCLE_REGISTRY_TOKEN"]


class Enough(Exception):
    """Ends a follower."""


def create(name):
    request = urllib.request.Request(
        f"{SERVER}/v1/agents",
        data=json.dumps({"name": name}).encode(),
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=30).close()


def run(follow, cursor, names):
    """Follows until all names were told, and creates them once the follower has begun."""
    told, last = [], []

    def load(changes, next_cursor):
        assert changes == []
        told.append("loaded")
        last.append(next_cursor)
        for name in names:
            create(name)

    def apply(changes, next_cursor):
        told.extend(change["name"] for change in changes)
        last.append(next_cursor)
        if len(told) > len(names):
            raise Enough

    if cursor and not base64.urlsafe_b64decode(cursor + "==").endswith(b"gone"):
        told.append("continued")
        for name in names:
            create(name)
    try:
        follow(SERVER, TOKEN, load, apply, cursor)
    except Enough:
        return told, last[-1]


for follower in [follow, follow_events]:
    names = [f"{follower.__name__}-{number}" for number in range(1, 5)]
    told, cursor = run(follower, None, names[:2])
    assert told == ["loaded", *names[:2]], told
    told, cursor = run(follower, cursor, names[2:3])
    assert told == ["continued", names[2]], told
    gone = base64.urlsafe_b64encode(b"\x03" + bytes(20) + b"gone").decode().rstrip("=")
    told, cursor = run(follower, gone, names[3:])
    assert told == ["loaded", names[3]], told
