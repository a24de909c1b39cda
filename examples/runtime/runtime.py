"""A runtime that builds its agents from `GET /v1/circles/{name}/handles` alone.

It knows three wire protocols, not a single model: whatever a call contains is in the handle.
"""

import os
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx
from circle_registry_client import AuthenticatedClient
from circle_registry_client.api.handles import get_circle_handles
from circle_registry_client.models import Fallback, Handle, ToolKind
from circle_registry_client.types import UNSET

from mcp_tools import Function, list_tools

TIMEOUT = httpx.Timeout(30)

Target = Handle | Fallback
"""What a model is called by: the fields of both have the same names."""


class Rejected(Exception):
    """The provider refuses the request. Another attempt, or another model, would hide a mistake."""

    def __init__(self, target: Target, status: int, text: str):
        super().__init__(f"{target.provider} rejects the request for {target.model} ({status}): {text}")
        self.status = status


class Unavailable(Exception):
    """The provider can't answer now."""


@dataclass(frozen=True)
class Answer:
    text: str
    target: Target
    unsent: list[str]
    """Parameters of the handle for which the provider's API has no name."""


@dataclass
class Agent:
    """A member of the circle, with the tools that it brings to every model."""

    handle: Handle
    functions: list[Function] = field(default_factory=list)
    builtins: dict[str, dict] = field(default_factory=dict)


@dataclass
class Call:
    """A request to a provider, as it is being built."""

    path: str
    key_header: tuple[str, str]
    body: dict
    headers: dict[str, str] = field(default_factory=dict)
    unsent: list[str] = field(default_factory=list)


class Runtime:
    def __init__(self, registry: AuthenticatedClient, circle: str):
        self.agents: dict[int, Agent] = {}
        self._registry, self._circle, self._etag = registry, circle, UNSET
        self._http = httpx.Client(timeout=TIMEOUT)

    def poll(self) -> bool:
        """Builds the agents again if anything that their handles show has changed."""
        response = get_circle_handles.sync_detailed(self._circle, client=self._registry, if_none_match=self._etag)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return False
        if response.status_code != HTTPStatus.OK:
            raise RuntimeError(response.content.decode())
        self.agents = {handle.agent_id: self._build(handle) for handle in response.parsed.handles}
        self._etag = response.headers["etag"]
        return True

    def ask(self, agent: Agent, question: str) -> Answer:
        """Asks the agent's model, or the first of its fallback models that answers."""
        failures = []
        for target in [agent.handle, *agent.handle.fallbacks]:
            if target.model is None:
                continue
            try:
                return self.call(agent, target, question)
            except (Unavailable, httpx.TransportError) as failure:
                failures.append(failure)
        raise ExceptionGroup(f"no model of {agent.handle.agent_name} answers", failures)

    def call(self, agent: Agent, target: Target, question: str) -> Answer:
        build, read = PROTOCOLS[target.api_type]
        call = build(agent, target, question)
        name, scheme = call.key_header
        headers = call.headers | ({name: scheme + os.environ[target.api_key_env]} if target.api_key_env else {})
        response = self._http.post(target.base_url + call.path, headers=headers, json=call.body)
        if response.is_server_error or response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unavailable(response.text)
        if response.is_error:
            raise Rejected(target, response.status_code, response.text)
        return Answer(read(response.json()), target, call.unsent)

    def _build(self, handle: Handle) -> Agent:
        agent = Agent(handle)
        for tool in handle.tools:
            if tool.type_ is ToolKind.MCP:
                offered = list_tools(self._http, tool.server)
                agent.functions += [f for f in offered if tool.allow is None or f.name in tool.allow]
            elif tool.type_ is ToolKind.FUNCTION:
                parameters = tool.parameters.to_dict() if tool.parameters else {"type": "object"}
                agent.functions.append(Function(tool.name, tool.description or "", parameters))
            else:
                agent.builtins[tool.name] = tool.config.to_dict() if tool.config else {}
        return agent


def settings(target: Target) -> tuple[dict, dict]:
    """The parameters that are set, and those that the provider gets as they are."""
    params = {"temperature": target.temperature, "max_tokens": target.max_tokens} | target.params.to_dict()
    extra = params.pop("extra", None) or {}
    return {name: value for name, value in params.items() if value is not None}, extra


def rename(params: dict, names: dict[str, str | None], call: Call, into: dict) -> None:
    """Puts the parameters in, by the names of the provider's API."""
    for name, value in params.items():
        if names.get(name):
            into[names[name]] = value
        else:
            call.unsent.append(name)


def openai(agent: Agent, target: Target, question: str) -> Call:
    system = {"role": "system", "content": agent.handle.system_prompt}
    messages = [system, {"role": "user", "content": question}]
    call = Call("/chat/completions", ("Authorization", "Bearer "), {"model": target.model, "messages": messages})
    params, extra = settings(target)
    # Most providers speak this protocol with words of their own, which their `config` has.
    names = OPENAI_NAMES | target.provider_config.to_dict().get("parameters", {})
    rename(params, names, call, call.body)
    if target.capabilities.tools and agent.functions:
        call.body["tools"] = [{"type": "function", "function": vars(f)} for f in agent.functions]
    call.body |= extra
    return call


def anthropic(agent: Agent, target: Target, question: str) -> Call:
    messages = [{"role": "user", "content": question}]
    body = {"model": target.model, "system": agent.handle.system_prompt, "messages": messages}
    call = Call("/v1/messages", ("x-api-key", ""), body, {"anthropic-version": "2023-06-01"})
    params, extra = settings(target)
    output = {}
    if effort := params.pop("reasoning_effort", None):
        output["effort"] = effort
    if schema := json_schema(params):
        output["format"] = {"type": "json_schema", "schema": schema}
    if output:
        body["output_config"] = output
    if (budget := params.pop("thinking_budget", None)) is not None:
        types = {-1: {"type": "adaptive"}, 0: {"type": "disabled"}}
        body["thinking"] = types.get(budget, {"type": "enabled", "budget_tokens": budget})
    if (parallel := params.pop("parallel_tool_calls", None)) is not None:
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": not parallel}
    rename(params, ANTHROPIC_NAMES, call, body)
    if target.capabilities.tools and (agent.functions or agent.builtins):
        own = [{"name": f.name, "description": f.description, "input_schema": f.parameters} for f in agent.functions]
        body["tools"] = own + [{"type": ANTHROPIC_BUILTINS[n], "name": n} | c for n, c in agent.builtins.items()]
    body |= extra
    return call


def google(agent: Agent, target: Target, question: str) -> Call:
    config = {}
    body = {
        "systemInstruction": {"parts": [{"text": agent.handle.system_prompt}]},
        "contents": [{"role": "user", "parts": [{"text": question}]}],
        "generationConfig": config,
    }
    call = Call(f"/v1beta/models/{target.model}:generateContent", ("x-goog-api-key", ""), body)
    params, extra = settings(target)
    thinking = {"reasoning_effort": "thinkingLevel", "thinking_budget": "thinkingBudget"}
    if chosen := {google_name: params.pop(name) for name, google_name in thinking.items() if name in params}:
        config["thinkingConfig"] = chosen
    if schema := json_schema(params):
        config |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
    rename(params, GOOGLE_NAMES, call, config)
    if target.capabilities.tools and agent.functions:
        own = [
            {"name": f.name, "description": f.description, "parametersJsonSchema": f.parameters}
            for f in agent.functions
        ]
        body["tools"] = [{"functionDeclarations": own}]
    if target.capabilities.tools and agent.builtins:
        body["tools"] = body.get("tools", []) + [{GOOGLE_BUILTINS[n]: c} for n, c in agent.builtins.items()]
    body |= extra
    return call


def json_schema(params: dict) -> dict | None:
    """Takes the schema of the output from the parameters."""
    if params.get("response_format", {}).get("type") != "json_schema":
        return None
    return params.pop("response_format")["json_schema"]["schema"]


SAME = ["temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens", "seed", "stop"]
OPENAI_NAMES = {name: name for name in [*SAME, "reasoning_effort", "parallel_tool_calls", "response_format"]}
ANTHROPIC_NAMES = {name: name for name in ["temperature", "top_p", "top_k", "max_tokens"]} | {"stop": "stop_sequences"}
ANTHROPIC_BUILTINS = {"web_search": "web_search_20250305"}
GOOGLE_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "max_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
GOOGLE_BUILTINS = {"web_search": "google_search"}
PROTOCOLS = {
    "openai": (openai, lambda answer: answer["choices"][0]["message"]["content"]),
    "anthropic": (anthropic, lambda answer: "".join(part.get("text", "") for part in answer["content"])),
    "google": (google, lambda answer: answer["candidates"][0]["content"]["parts"][0]["text"]),
}
