"""The operations as tools of a language model, which FastMCP makes of the description.

Arguments: the description, the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import asyncio
import json
import os
import sys

import httpx2
from fastmcp import Client, FastMCP
from fastmcp.exceptions import ToolError

TEAM = "fastmcp-team"


def text_has_no_schema(_route, tool):
    """FastMCP promises structured content for every response that has a schema, texts too."""
    if tool.name == "get_transcript":
        tool.output_schema = None


async def main():
    with open(sys.argv[1]) as file:
        description = json.load(file)
    headers = {"Authorization": f"Bearer {os.environ['CIRCLE_REGISTRY_TOKEN']}"}
    http = httpx2.AsyncClient(base_url=sys.argv[2], headers=headers)
    server = FastMCP.from_openapi(description, http, mcp_component_fn=text_has_no_schema)
    async with Client(server) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
        operations = [operation for item in description["paths"].values() for operation in item.values()]
        assert sorted(tools) == sorted(operation["operationId"] for operation in operations)
        for tool in tools.values():
            apart = not any("__" in name for name in tool.input_schema["properties"])
            assert apart, f"{tool.name}: a parameter has the name of a field"

        async def call(tool, /, **arguments):
            return (await client.call_tool(tool, arguments)).structured_content

        agent = await call("create_agent", name="Ada")
        await call("create_circle", name=TEAM)
        renamed = await call("update_circle", circle_name=TEAM, display_name="The team")
        assert renamed["display_name"] == "The team"
        await call("add_member", circle_name=TEAM, agent_id=agent["id"], role="lead")
        roster = await call("get_circle", circle_name=TEAM)
        assert [member["agent_name"] for member in roster["members"]] == ["Ada"]
        handle = await call("get_agent_handle", id=agent["id"])
        assert handle["model"] is None and handle["capabilities"] is None
        talk = await call("create_conversation", topic="Release", circle=TEAM)
        await call("create_message", id=talk["id"], agent_id=agent["id"], content="Ready?")
        transcript = await client.call_tool("get_transcript", {"id": talk["id"]})
        assert "Ready?" in transcript.content[0].text
        try:
            await call("get_circle", circle_name="nobody")
            raise AssertionError("not refused")
        except ToolError as refusal:
            assert "not_found" in str(refusal), refusal


asyncio.run(main())
