"""The APIs of nine providers, and an MCP server, on a port of the local machine.

They answer as the real ones do, and reject what the real ones reject: fields that the API does not have, values out of
bounds, and what a model does not take. The facts of the models are those of the price list, and below them what the
providers' documentation says besides.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fake_mcp
from checks import Refusal, refuse_if
from fake_apis import PROTOCOLS

FACTS = json.loads(Path(__file__).with_name("models.json").read_text(encoding="utf-8"))
LOW_TO_HIGH = ["low", "medium", "high"]
LOW_TO_MAX = [*LOW_TO_HIGH, "xhigh", "max"]
# By provider and name: the efforts of reasoning, and what else the list does not say.
DOCUMENTED = {
    ("openai", "gpt-6.1-sol"): {"sampling": False, "efforts": LOW_TO_MAX},
    ("anthropic", "claude-haiku-4-5"): {"thinking": ["enabled", "disabled"], "one_of_temperature_and_top_p": True},
    ("anthropic", "claude-opus-4-7"): {"thinking": ["adaptive", "disabled"], "efforts": LOW_TO_MAX},
    ("gemini", "gemini-3.8-flash"): {"efforts": LOW_TO_HIGH},
    ("groq", "openai/gpt-oss-120b"): {"efforts": LOW_TO_HIGH},
    ("mistral", "mistral-medium-2604"): {"efforts": ["none", "high"]},
    ("deepseek", "deepseek-v4-flash"): {"efforts": ["minimal", *LOW_TO_MAX]},
    ("cerebras", "gpt-oss-120b"): {"efforts": LOW_TO_HIGH},
}
JSON = {"content-type": "application/json"}
PATHS = {"openai": "/v1", "groq": "/openai/v1", "mistral": "/v1", "xai": "/v1", "cerebras": "/v1"}


def judge(provider, asked):
    """Refuses what the model does not take."""
    model = asked["model"]
    names = [f"{provider}/{model}", *([model] if provider in ("openai", "anthropic") else [])]
    facts = next((FACTS[key] for key in names if key in FACTS), None)
    if facts is None:
        raise Refusal(f"the model {model} does not exist", 404)
    known = DOCUMENTED.get((provider, model), {})
    samples = known.get("sampling", facts.get("supports_sampling_params", True))
    refuse_if(asked["sampling"] and not samples, f"{model} does not support {sorted(asked['sampling'])}")
    refuse_if(
        asked["output"] > facts["max_output_tokens"], f"{model} has at most {facts['max_output_tokens']} output tokens"
    )
    effort = asked["effort"]
    refuse_if(effort and effort not in known.get("efforts", []), f"{model} does not support the effort {effort}")
    refuse_if(asked["tools"] and not facts.get("supports_function_calling"), f"{model} does not support tools")
    refuse_if(
        asked["tool_choice"] and not asked["tools"], "parallel tool calls and tool_choice are only allowed with tools"
    )
    refuse_if(asked["schema"] and not facts.get("supports_response_schema"), f"{model} does not support json_schema")


def key_of(provider):
    return f"key-of-{provider}"


def authenticate(provider, headers):
    header = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}.get(provider, "authorization")
    given = headers.get(header, "")
    expected = f"Bearer {key_of(provider)}" if header == "authorization" else key_of(provider)
    wrong = 400 if provider == "gemini" and given else 401
    if given != expected:
        raise Refusal(f"the key in {header} is missing or not valid", wrong)
    refuse_if(
        provider == "anthropic" and headers.get("anthropic-version") != "2023-06-01", "anthropic-version is required"
    )


def complete(provider, path, headers, body):
    authenticate(provider, headers)
    if provider == "gemini":
        model, _, action = path.removeprefix("/v1beta/models/").partition(":")
        is_known, body["model"] = action == "generateContent", model
    else:
        expected = "/v1/messages" if provider == "anthropic" else PATHS.get(provider, "") + "/chat/completions"
        is_known = path == expected
    if not is_known:
        raise Refusal(f"there is no {path}", 404)
    asked = PROTOCOLS[provider](provider, body, DOCUMENTED)
    judge(provider, asked)
    who = asked["prompt"].partition(".")[0].replace("You are", "I am")
    tools = f", with {' and '.join(asked['tools'])}" if asked["tools"] else ""
    return asked["answer"](f"{who}, on {asked['model']}{tools}.")


class FakeProviders(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.down = set()
        url = f"http://127.0.0.1:{self.server_address[1]}"
        self.addresses = {provider: f"{url}/{provider}{PATHS.get(provider, '')}" for provider in PROTOCOLS}
        self.mcp_url = f"{url}/mcp"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        provider = self.path.split("/")[1]
        try:
            status, headers, payload = self.answer(provider, body)
        except Refusal as refusal:
            status, headers = refusal.status, JSON
            payload = json.dumps({"error": {"message": str(refusal)}}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def answer(self, provider, body):
        if provider in self.server.down:
            raise Refusal("overloaded", 503)
        if provider == "mcp":
            return fake_mcp.answer(self.headers, body, key_of("library"))
        answer = complete(provider, self.path.removeprefix(f"/{provider}"), self.headers, body)
        return 200, JSON, json.dumps(answer).encode()

    def log_message(self, *_):
        pass
