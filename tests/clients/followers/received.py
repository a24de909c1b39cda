"""A receiver of webhooks that verifies by the specification's library, as docs/changes.md says.

Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import http.server
import json
import os
import queue
import sys
import threading
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SERVER, TOKEN = sys.argv[1], os.environ["CIRCLE_REGISTRY_TOKEN"]
ARRIVED = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        ARRIVED.put((body, dict(self.headers)))
        self.send_response(204)
        self.end_headers()


def post(path, body=None):
    request = urllib.request.Request(
        SERVER + path,
        data=json.dumps(body).encode() if body else b"",
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def fails(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{receiver.server_port}/hook"
created = post("/v1/webhooks", {"name": "story", "url": url, "resources": ["agent"]})
path, first = f"/v1/webhooks/{created['webhook']['id']}", created["secret"]
post("/v1/agents", {"name": "received-1"})
body, headers = ARRIVED.get(timeout=60)
message = Webhook(first).verify(body, headers)
assert message["type"] == "agent.create", message
assert message["data"]["name"] == "received-1", message
assert fails(first, body + b" ", headers)

second = post(f"{path}/secret")["secret"]
assert post(f"{path}/test")["status"] == 204
body, headers = ARRIVED.get(timeout=60)
for secret in [first, second]:
    assert Webhook(secret).verify(body, headers)["type"] == "webhook.test"
assert fails("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", body, headers)
