"""What the service answers, read by the models that datamodel-code-generator writes.

Run after the other stories: it reads what they left, nulls and all.
Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import os
import sys

import httpx
import models

headers = {"Authorization": f"Bearer {os.environ['CIRCLE_REGISTRY_TOKEN']}"}
client = httpx.Client(base_url=sys.argv[1], headers=headers)


def read(path, model, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return model.model_validate_json(answer.content)


circles = read("/v1/circles?limit=200", models.CirclePage).data
assert len(circles) >= 3
for circle in circles:
    roster = read(f"/v1/circles/{circle.name}", models.Roster)
    assert len(roster.members) == circle.member_count
    read(f"/v1/circles/{circle.name}/members", models.MemberPage)
    read(f"/v1/circles/{circle.name}/handles", models.CircleHandles)
    read(f"/v1/circles/{circle.name}/lint", models.Lint)
for agent in read("/v1/agents?include=model", models.AgentPage).data:
    handle = read(f"/v1/agents/{agent.id}/handle", models.Handle)
    assert handle.agent_name == agent.name
for path, model in [
    ("providers", models.ProviderPage),
    ("models?include=provider", models.ModelPage),
    ("conversations?include=participants,last_message", models.ConversationPage),
    ("audit", models.AuditEntryPage),
    ("keys", models.KeyPage),
]:
    assert read(f"/v1/{path}", model).data, path

missing = read("/v1/circles/nobody", models.Problem, 404)
assert missing.code == "not_found"
created = client.post(
    "/v1/agents", content=models.AgentCreate(name="Reader").model_dump_json(exclude_unset=True)
    , headers={"Content-Type": "application/json"}
)
assert models.Agent.model_validate_json(created.content).model_id is None
