"""The tools of MCP servers. The example starts no programs, so it knows one transport."""

import json
import os
import re
from dataclasses import dataclass

import httpx
from circle_registry_client.models import HandleServer

HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "circle-registry-example", "version": "1"},
}


@dataclass(frozen=True)
class Function:
    """A function that the model may call."""

    name: str
    description: str
    parameters: dict


def list_tools(http: httpx.Client, server: HandleServer) -> list[Function]:
    if server.transport != "streamable_http":
        raise NotImplementedError(f"{server.name}: the transport {server.transport}")
    headers = {name: resolve(value) for name, value in server.headers.to_dict().items()}
    headers["Accept"] = "application/json, text/event-stream"

    def send(message: dict) -> httpx.Response:
        response = http.post(server.url, headers=headers, json={"jsonrpc": "2.0"} | message)
        return response.raise_for_status()

    greeting = send({"id": 0, "method": "initialize", "params": HELLO})
    headers["MCP-Protocol-Version"] = HELLO["protocolVersion"]
    if session := greeting.headers.get("mcp-session-id"):
        headers["Mcp-Session-Id"] = session
    send({"method": "notifications/initialized"})
    tools, params = [], {}
    while True:
        page = result(send({"id": 1, "method": "tools/list", "params": params}))
        tools += [Function(tool["name"], tool.get("description", ""), tool["inputSchema"]) for tool in page["tools"]]
        if not (cursor := page.get("nextCursor")):
            return tools
        params = {"cursor": cursor}


def result(response: httpx.Response) -> dict:
    """The result of a request. Servers may answer by an event stream, whose last event it is."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = [line for line in text.splitlines() if line.startswith("data:")][-1].removeprefix("data:")
    return json.loads(text)["result"]


def resolve(text: str) -> str:
    """Replaces each `${VARIABLE}` by its value."""
    return re.sub(r"\$\{(\w+)\}", lambda variable: os.environ[variable[1]], text)
