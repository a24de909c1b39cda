"""What is asked for in each scenario, and whether both sides answer the same."""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timezone

CACHED = 500  # circles whose rosters and handles fit into the service's cache as it is by default
WRITTEN = 100  # circles that additions go to


@dataclass
class Scenario:
    name: str
    requests: str  # of Requests
    service: str = "plain"  # or: cached (with its cache of rosters)
    peer_requests: str | None = None  # where the peer is asked for something else
    connections: int = 32
    sqlite: bool = False
    grows: bool = True  # may cost more where there are more circles


SCENARIOS = [
    Scenario("roster", "roster"),
    Scenario("roster, one connection", "roster", connections=1),
    Scenario("roster, cached", "some_rosters", service="cached", grows=False),
    Scenario("roster, 304", "unchanged", peer_requests="some_rosters"),
    Scenario("roster of 500", "large", grows=False),
    Scenario("list of 50", "list"),
    Scenario("list of 50 with members", "list_with_members"),
    Scenario("add a member", "add"),
    Scenario("models, paged", "models", grows=False),
    Scenario("handles", "handles"),
    # The peer has no releases: it reads the rosters.
    Scenario("label", "labelled", service="cached", peer_requests="some_rosters", grows=False),
    Scenario("label, 304", "labelled_unchanged", service="cached", peer_requests="some_rosters", grows=False),
    Scenario("SQLite: roster", "roster", sqlite=True),
    Scenario("SQLite: list of 50", "list", sqlite=True),
]


class UnknownOperation(Exception):
    """A build of the service lacks what a scenario asks for."""


class Requests:
    """What is asked for, in a fixed pseudo-random order: lines for replay.lua."""

    def __init__(self, circles):
        self.circles = circles

    def roster(self, _):
        return [("GET", f"/v1/circles/circle-{i}", "", "") for i in range(1, min(self.circles, 10_000) + 1)]

    def some_rosters(self, _):
        return self.roster(_)[:CACHED]

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

    def labelled(self, server):
        """The handles of as many circles at a label."""
        for _, path, _, _ in self.some_rosters(server):
            status, _, body = server.call("POST", f"{path}/releases", '{"labels": ["production"]}')
            if status == 404:
                raise UnknownOperation
            if status not in (200, 201):
                raise SystemExit(f"a publication is answered with {status} {body[:200]!r}; see {server.log}")
        return [("GET", f"{path}/handles?label=production", "", "") for _, path, _, _ in self.some_rosters(server)]

    def labelled_unchanged(self, server):
        """The same handles, by a client that has them."""
        tags = ((path, server.call("GET", path)[1]["ETag"]) for _, path, _, _ in self.labelled(server))
        return [("GET", path, tag, "") for path, tag in tags]

    def add(self, _):
        pairs = ((circle, agent) for circle in range(1, WRITTEN + 1) for agent in range(1, 601))
        return [("POST", f"/v1/circles/write-{circle}/members", "", f'{{"agent_id": {agent}, "role": "reviewer"}}')
                for circle, agent in pairs]

    def file(self, name, server, folder):
        lines = getattr(self, name)(server)
        random.Random(7).shuffle(lines)
        path = folder / f"{name}-{self.circles}.requests"
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
        return path


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
