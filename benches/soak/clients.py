"""Clients as they are behind a balancer: what one instance does not answer is asked of the next."""

import http.client
import itertools
import json
import random
import threading
import time
import uuid

from services import PostSink

# How long a client tries again, and how long it waits for one answer, in seconds.
RETRY_LIMIT, REQUEST_TIMEOUT = 60, 30


class Client:
    """Connections to all instances, of which one is used until it fails."""

    def __init__(self, ports):
        self.ports = itertools.cycle(random.sample(ports, len(ports)))
        self.connection, self.tries = None, 0

    def next_instance(self):
        if self.connection:
            self.connection.close()
        self.connection = http.client.HTTPConnection("127.0.0.1", next(self.ports), timeout=REQUEST_TIMEOUT)

    def ask(self, method, path, body=None, tag=None):
        """Status, ETag and body of the answer; how often it was asked for is in `tries`. Status 0 if none came."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if method == "POST":
            # So that it is safe to ask again for what may have been done.
            headers["Idempotency-Key"] = str(uuid.uuid4())
        if tag:
            headers["If-None-Match"] = tag
        deadline, self.tries, status = time.monotonic() + RETRY_LIMIT, 0, 0
        while time.monotonic() < deadline:
            self.tries += 1
            if self.connection is None:
                self.next_instance()
            try:
                self.connection.request(method, path, body and json.dumps(body), headers)
                answer = self.connection.getresponse()
                content, status = answer.read(), answer.status
                if status < 500:
                    return status, answer.headers["ETag"], content
            except (OSError, http.client.HTTPException):
                status = 0
            self.next_instance()
            time.sleep(0.05)
        return status, None, b""

    def create_webhook(self, url):
        """Without an idempotency key, which a response with a secret does not take."""
        self.next_instance()
        body = json.dumps({"name": "soak", "url": url})
        self.connection.request("POST", "/v1/webhooks", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 201:
            raise SystemExit(f"no webhook: {answer.status} {content}")


class Load:
    """Readers and writers, each with one request at a time."""

    def __init__(self, ports, samples, pause, over):
        self.ports, self.samples, self.pause, self.over = ports, samples, pause, over

    def threads(self, readers, writers):
        requests = [self.read] * readers + [self.write] * writers
        return [threading.Thread(target=self.run, args=[request, number]) for number, request in enumerate(requests)]

    def run(self, request, number):
        client, chance = Client(self.ports), random.Random(number)
        tags = {}
        while not self.over.is_set():
            request(client, chance, number, tags)
            time.sleep(self.pause)

    def timed(self, kind, client, method, path, body=None, tag=None):
        started = time.monotonic()
        status, tag, content = client.ask(method, path, body, tag)
        self.samples.add(kind, time.monotonic() - started, status, client.tries)
        return status, tag, content

    def read(self, client, chance, _, tags):
        circle = f"/v1/circles/circle-{chance.randint(1, 100)}"
        path = chance.choices(
            [f"{circle}/members", circle, f"{circle}/handles", f"/v1/agents/{chance.randint(1, 200)}",
             "/v1/circles?limit=50", "/v1/models?limit=50"],
            [5, 40, 25, 20, 5, 5])[0]
        tag = tags.get(path) if chance.random() < 0.5 else None
        status, new, _ = self.timed("read", client, "GET", path, tag=tag)
        if status == 200 and new:
            tags[path] = new

    def write(self, client, chance, number, _):
        agent = chance.randint(1, 180)
        kind = chance.choices(["role", "status", "member"], [4, 4, 2])[0]
        if kind == "role":
            self.timed("write", client, "PATCH", f"/v1/agents/{agent}", {"role": f"role {chance.random()}"})
        elif kind == "status":
            self.timed("write", client, "PATCH", f"/v1/agents/{agent}", {"status": chance.choice(["busy", "idle"])})
        else:
            # Each writer has an agent of its own to add and to remove.
            circle, member = chance.randint(1, 100), 190 + number
            self.timed("write", client, "POST", f"/v1/circles/circle-{circle}/members", {"agent_id": member})
            self.timed("write", client, "DELETE", f"/v1/circles/circle-{circle}/members/{member}")


class FeedFollower:
    """Follows the feed by pages."""

    def __init__(self, client):
        self.client = client
        page = json.loads(client.ask("GET", "/v1/changes?after=latest")[2])
        self.start = self.cursor = page["next_cursor"]
        self.seen = []

    def page(self):
        status, _, content = self.client.ask("GET", f"/v1/changes?limit=200&after={self.cursor}")
        if status != 200:
            return None
        page = json.loads(content)
        self.seen += [change["cursor"] for change in page["data"]]
        self.cursor = page["next_cursor"]
        return page

    def run(self, over):
        while not over.is_set():
            page = self.page()
            if not page or not page["has_more"]:
                time.sleep(0.5)

    def all_changes(self):
        """All that the feed has, read again from the start by another follower. This one continues to the end, too."""
        again = FeedFollower(self.client)
        again.cursor = self.start
        for follower in (self, again):
            while (page := follower.page()) is None or page["has_more"]:
                pass
        return again.seen


class WebhookReceiver(PostSink):
    """Accepts everything, and remembers it."""

    def __init__(self):
        super().__init__(self.take)
        self.seen = []

    def take(self, headers, _):
        self.seen.append(headers["webhook-id"])

    def wait_for(self, changes):
        """Waits for a minute at most until the last changes are here."""
        deadline = time.monotonic() + 60
        while set(changes) - set(self.seen) and time.monotonic() < deadline:
            time.sleep(0.5)
