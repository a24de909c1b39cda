"""An MCP server with two tools, by streamable HTTP: one session, one tool a page, and events for answers."""

import json

from checks import Refusal, refuse_if

VERSION, SESSION = "2025-06-18", "session-1"
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}}}
TOOLS = [
    {"name": "search", "description": "Searches the library.", "inputSchema": SCHEMA},
    {"name": "borrow", "description": "Borrows a book.", "inputSchema": SCHEMA},
]


def answer(headers, body, token):
    """The status, the headers and the payload of the response."""
    if headers.get("authorization") != f"Bearer {token}":
        raise Refusal("the token is missing or not valid", 401)
    accepted = headers.get("accept", "")
    both = "application/json" in accepted and "text/event-stream" in accepted
    refuse_if(not both, "both media types must be accepted")
    if body["method"] == "initialize":
        info = {"name": "library", "version": "1"}
        greeting = {"protocolVersion": VERSION, "capabilities": {"tools": {}}, "serverInfo": info}
        return as_json(body, greeting)
    refuse_if(headers.get("mcp-protocol-version") != VERSION, "the protocol's version is required")
    refuse_if(headers.get("mcp-session-id") != SESSION, "the session is required")
    if "id" not in body:
        return 202, {}, b""
    refuse_if(body["method"] != "tools/list", f"there is no method {body['method']}")
    start = int(body.get("params", {}).get("cursor", 0))
    page = {"tools": TOOLS[start : start + 1]}
    if start + 1 < len(TOOLS):
        page["nextCursor"] = str(start + 1)
    event = f"event: message\ndata: {json.dumps({'jsonrpc': '2.0', 'id': body['id'], 'result': page})}\n\n"
    return 200, {"content-type": "text/event-stream"}, event.encode()


def as_json(body, result):
    payload = json.dumps({"jsonrpc": "2.0", "id": body["id"], "result": result}).encode()
    return 200, {"content-type": "application/json", "mcp-session-id": SESSION}, payload
