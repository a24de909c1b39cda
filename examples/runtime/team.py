"""Writes the team of team.json to the registry: what the runtime later reads from the circle's handles.

The models are in the catalogue already: `circle-registry catalog import` put them there.
"""

import json
from http import HTTPStatus
from pathlib import Path

from circle_registry_client import AuthenticatedClient
from circle_registry_client.api.agents import create_agent
from circle_registry_client.api.circles import create_circle
from circle_registry_client.api.mcp_servers import create_mcp_server
from circle_registry_client.api.members import add_member
from circle_registry_client.api.models import list_models, update_model
from circle_registry_client.api.providers import list_providers, update_provider
from circle_registry_client.models import (
    AgentCreate,
    CircleCreate,
    McpServerCreate,
    MemberCreate,
    ModelUpdate,
    ProviderUpdate,
)

TEAM = json.loads(Path(__file__).with_name("team.json").read_text(encoding="utf-8"))
CIRCLE = TEAM["circle"]["name"]


def answered(response):
    """What an operation answered, if it succeeded."""
    if response.status_code not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise SystemExit(f"{response.status_code}: {response.content.decode()}")
    return response.parsed


def create(registry: AuthenticatedClient, addresses: dict[str, str], server_url: str) -> None:
    """Creates the circle. `addresses` are those of the providers, by their names."""
    models = _complete_models(registry, _place_providers(registry, addresses))
    server = McpServerCreate.from_dict(TEAM["server"] | {"url": server_url})
    answered(create_mcp_server.sync_detailed(client=registry, body=server))
    answered(create_circle.sync_detailed(client=registry, body=CircleCreate.from_dict(TEAM["circle"])))
    for member in TEAM["agents"]:
        fallbacks = [models[name] for name in member.get("fallbacks", [])]
        ids = {"model_id": models[member["model"]], "fallback_model_ids": fallbacks}
        body = AgentCreate.from_dict(member["agent"] | ids)
        agent = answered(create_agent.sync_detailed(client=registry, body=body))
        body = MemberCreate.from_dict(member["member"] | {"agent_id": agent.id, "role": member["role"]})
        answered(add_member.sync_detailed(CIRCLE, client=registry, body=body))


def _place_providers(registry: AuthenticatedClient, addresses: dict[str, str]) -> dict[int, str]:
    """Each provider's address, and what its API calls the parameters whose names are not those of the protocol.

    Returns the names of all providers by their ids.
    """
    known = answered(list_providers.sync_detailed(client=registry, limit=200)).data
    for provider in known:
        if provider.name in TEAM["providers"]:
            changes = {
                "base_url": addresses[provider.name],
                "is_local": True,  # Otherwise the address would need https.
                "config": TEAM["providers"][provider.name],
            }
            body = ProviderUpdate.from_dict(changes)
            answered(update_provider.sync_detailed(provider.id, client=registry, body=body))
    return {provider.id: provider.name for provider in known}


def _complete_models(registry: AuthenticatedClient, providers: dict[int, str]) -> dict[str, int]:
    """Adds what the price list does not say. The ids of the models, by provider and name."""
    models = {}
    for model in answered(list_models.sync_detailed(client=registry, limit=200)).data:
        name = f"{providers[model.provider_id]}/{model.model_name}"
        models[name] = model.id
        if name in TEAM["models"]:
            body = ModelUpdate.from_dict(TEAM["models"][name])
            answered(update_model.sync_detailed(model.id, client=registry, body=body))
    return models
