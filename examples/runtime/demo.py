"""Starts a registry and the fake providers, writes the team, and has the runtime ask every member.

Argument: the program `circle-registry`. $DATABASE_URL is the database to use, by default a new SQLite file.
"""

import copy
import os
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from circle_registry_client import AuthenticatedClient
from circle_registry_client.api.agents import get_agent, update_agent
from circle_registry_client.api.members import list_members
from circle_registry_client.api.models import list_models
from circle_registry_client.models import AgentUpdate, Layer, ModelParams

import team
from fake_providers import FakeProviders, key_of
from runtime import Agent, Rejected, Runtime, Target

QUESTION = "Who are you?"


def start_registry(program: str, database: str) -> tuple[subprocess.Popen, AuthenticatedClient]:
    """With the built-in providers, the ten models of the price list, and a key."""

    def run(*arguments: str) -> str:
        command = [program, *arguments, "--database-url", database]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    token = run("keys", "create", "--name", "runtime", "--scope", "admin").strip()
    run("catalog", "import", "--builtin")
    run("catalog", "import", str(Path(__file__).with_name("models.json")))
    options = ["--bind", "127.0.0.1:0", "--log", "info", "--log-format", "text", "--shutdown-delay", "0s"]
    command = [program, "serve", "--database-url", database, *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in server.stdout:
        if found := re.search(r"listening address=(127\.0\.0\.1:\d+)", line):
            threading.Thread(target=server.stdout.read, daemon=True).start()
            return server, AuthenticatedClient(base_url=f"http://{found[1]}", token=token)
    raise SystemExit("the registry does not start")


def ask_everyone(runtime: Runtime) -> None:
    for agent in runtime.agents.values():
        handle = agent.handle
        answer = runtime.ask(agent, QUESTION)
        assert answer.target is handle, f"{handle.agent_name} answers by {answer.target.model}"
        tools = [function.name for function in agent.functions] + list(agent.builtins)
        offered = f", with {' and '.join(tools)}" if tools and handle.capabilities.tools else ""
        assert answer.text.startswith(f"I am {handle.agent_name}, "), answer.text
        assert answer.text.endswith(f", on {handle.model}{offered}."), answer.text
        left_out = [f"{omitted.name} ({omitted.source}: {omitted.reason})" for omitted in handle.omitted]
        unsent = f"; without a name in its API: {', '.join(answer.unsent)}" if answer.unsent else ""
        print(f"{handle.provider:10}  {answer.text:88}  left out: {', '.join(left_out) or 'nothing'}{unsent}")


def named(runtime: Runtime, name: str) -> Agent:
    return next(agent for agent in runtime.agents.values() if agent.handle.agent_name == name)


def fail_over(runtime: Runtime, providers: FakeProviders) -> None:
    providers.down.add("xai")
    agent = named(runtime, "Donald")
    answer = runtime.ask(agent, QUESTION)
    assert answer.target is agent.handle.fallbacks[0], answer
    print(f"xai answers 503. {answer.text}")
    providers.down.remove("xai")


def follow_a_change(runtime: Runtime, registry: AuthenticatedClient) -> None:
    assert not runtime.poll(), "nothing has changed"
    agent_id = named(runtime, "Linus").handle.agent_id
    body = AgentUpdate(system_prompt="You are Linus, who reads release notes.")
    team.answered(update_agent.sync_detailed(agent_id, client=registry, body=body))
    assert runtime.poll() and not runtime.poll()
    print(f"304 until a prompt changes: {runtime.ask(named(runtime, 'Linus'), QUESTION).text}")


def put_omitted_back(runtime: Runtime, registry: AuthenticatedClient) -> None:
    """The control: with any of the parameters that the handles leave out, the providers reject the request."""
    members = team.answered(list_members.sync_detailed(team.CIRCLE, client=registry, limit=200)).data
    models = team.answered(list_models.sync_detailed(client=registry, limit=200)).data
    count = 0
    for agent in runtime.agents.values():
        handle = agent.handle
        layers = {
            Layer.MEMBER: next(member for member in members if member.agent_id == handle.agent_id),
            Layer.AGENT: team.answered(get_agent.sync_detailed(handle.agent_id, client=registry)),
            Layer.MODEL: next(model for model in models if model.model_name == handle.model),
        }
        for omitted in handle.omitted:
            target = copy.copy(handle)
            layer, default = layers[omitted.source], "default_" if omitted.source is Layer.MODEL else ""
            if omitted.name in ("temperature", "max_tokens"):
                setattr(target, omitted.name, getattr(layer, default + omitted.name))
            else:
                value = getattr(layer, default + "params").to_dict()[omitted.name]
                target.params = ModelParams.from_dict(handle.params.to_dict() | {omitted.name: value})
            reject(runtime, agent, target, 400)
            count += 1
    print(f"{count} parameters that the handles leave out, put back one at a time: all rejected")


def reject(runtime: Runtime, agent: Agent, target: Target, status: int) -> None:
    try:
        answer = runtime.call(agent, target, QUESTION)
    except Rejected as rejected:
        assert rejected.status == status, rejected
    else:
        raise AssertionError(f"{target.provider} accepts what it should reject: {answer.text}")


def misuse(runtime: Runtime) -> None:
    """The fakes reject other mistakes, too."""
    linus, ken, ada = (named(runtime, name) for name in ("Linus", "Ken", "Ada"))

    def changed(agent: Agent, **fields: object) -> Target:
        target = copy.copy(agent.handle)
        for field, value in fields.items():
            setattr(target, field, value)
        return target

    reject(runtime, linus, changed(linus, model=f"groq/{linus.handle.model}"), 404)
    reject(runtime, linus, changed(linus, api_key_env="MISTRAL_API_KEY"), 401)
    reject(runtime, linus, changed(linus, api_key_env=None), 401)
    reject(runtime, ada, changed(ada, params=ModelParams.from_dict({"extra": {"top_k": 5}})), 400)
    can_call = copy.copy(ken.handle.capabilities)
    can_call.tools = True
    reject(runtime, ken, changed(ken, capabilities=can_call), 400)
    print("a list's name of a model, another provider's key, no key, an unknown parameter, tools: all rejected")


def tell(registry: AuthenticatedClient, providers: FakeProviders) -> None:
    team.create(registry, providers.addresses, providers.mcp_url)
    runtime = Runtime(registry, team.CIRCLE)
    assert runtime.poll()
    models = {(agent.handle.provider, agent.handle.model) for agent in runtime.agents.values()}
    assert len(models) == 10, models
    ask_everyone(runtime)
    follow_a_change(runtime, registry)
    fail_over(runtime, providers)
    put_omitted_back(runtime, registry)
    misuse(runtime)


def main() -> None:
    providers = FakeProviders()
    os.environ |= {f"{provider.upper()}_API_KEY": key_of(provider) for provider in providers.addresses}
    os.environ["LIBRARY_TOKEN"] = key_of("library")
    with tempfile.TemporaryDirectory() as folder:
        database = os.environ.get("DATABASE_URL") or f"sqlite:{folder}/registry.db"
        server, registry = start_registry(sys.argv[1], database)
        try:
            tell(registry, providers)
        finally:
            server.terminate()
            server.wait(timeout=30)


main()
