"""The story of docs/releases.md, told with the package that openapi-python-client writes: edit a prompt, publish to staging,
compare, promote, roll back.

Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import os
import sys
from http import HTTPStatus

from circle_registry_client import AuthenticatedClient
from circle_registry_client.api.agents import create_agent, update_agent
from circle_registry_client.api.circles import create_circle
from circle_registry_client.api.handles import get_circle_handles
from circle_registry_client.api.keys import create_key
from circle_registry_client.api.members import add_member
from circle_registry_client.api.releases import (
    create_release,
    diff_release,
    get_label,
    get_release,
    get_release_handles,
    list_label_moves,
    list_releases,
    replace_label,
)
from circle_registry_client.models import (
    AgentCreate,
    AgentUpdate,
    CircleCreate,
    KeyCreate,
    LabelSet,
    MemberCreate,
    Problem,
    ReleaseCreate,
    Scope,
)

TEAM = "python-releases"

client = AuthenticatedClient(
    base_url=sys.argv[1],
    token=os.environ["CIRCLE_REGISTRY_TOKEN"],
    raise_on_unexpected_status=True,
)


def answered(answer, status):
    assert answer.status_code == status, answer.content
    assert isinstance(answer.parsed, Problem) == (status >= 400), answer.content
    return answer.parsed


def created(answer):
    return answered(answer, HTTPStatus.CREATED)


def found(answer):
    return answered(answer, HTTPStatus.OK)


def prompt_at(label):
    handles = found(get_circle_handles.sync_detailed(TEAM, client=client, label=label)).handles
    return handles[0].system_prompt


def publish(client, message, labels):
    body = ReleaseCreate(message=message, labels=labels)
    return create_release.sync_detailed(TEAM, client=client, body=body)


def point(client, label, release, **conditions):
    body = LabelSet(release=release)
    return replace_label.sync_detailed(TEAM, label, client=client, body=body, **conditions)


first, second = "You review.\nBe thorough.\n", "You review.\nBe brief.\n"
agent = created(
    create_agent.sync_detailed(client=client, body=AgentCreate(name="Ada", system_prompt=first))
).id
circle = CircleCreate(name=TEAM, protected_labels=["production"])
assert created(create_circle.sync_detailed(client=client, body=circle)).protected_labels == ["production"]
created(add_member.sync_detailed(TEAM, client=client, body=MemberCreate(agent_id=agent)))

# Publish what there is. The same again is no other release.
release = created(publish(client, "The first.", ["staging", "production"]))
assert (release.number, release.labels) == (1, ["production", "staging"])
assert found(publish(client, "Again.", [])).digest == release.digest
assert prompt_at("production") == first

# Edit, and see what would change.
found(update_agent.sync_detailed(agent, client=client, body=AgentUpdate(system_prompt=second)))
live = found(diff_release.sync_detailed(TEAM, 1, client=client, against="live"))
assert [member.name for member in live.changed] == ["Ada"]
assert "-Be thorough.\n+Be brief.\n" in live.changes[0].diff

# Publish to staging, and compare with production.
assert created(publish(client, "Brief reviews.", ["staging"])).number == 2
assert (prompt_at("staging"), prompt_at("production")) == (second, first)
compared = found(diff_release.sync_detailed(TEAM, 2, client=client, against="production"))
assert compared.changes[0].diff == live.changes[0].diff
assert [item.number for item in found(list_releases.sync_detailed(TEAM, client=client)).data] == [2, 1]

# Promote: not without the scope, and not from another state than the one that was seen.
key = created(create_key.sync_detailed(client=client, body=KeyCreate(name="writer", scopes=[Scope.WRITE])))
writer = AuthenticatedClient(base_url=sys.argv[1], token=key.token, raise_on_unexpected_status=True)
assert answered(point(writer, "production", 2), HTTPStatus.FORBIDDEN).code == "forbidden"
tag = get_label.sync_detailed(TEAM, "production", client=client).headers["etag"]
assert found(point(client, "production", 2, if_match=tag)).release == 2
stale = answered(point(client, "production", 1, if_match=tag), HTTPStatus.PRECONDITION_FAILED)
assert stale.code == "precondition_failed"
assert prompt_at("production") == second

# Roll back. The history knows it all, and the releases stand.
found(point(client, "production", 1))
assert prompt_at("production") == first
moves = found(list_label_moves.sync_detailed(TEAM, "production", client=client)).data
assert [(move.from_release, move.to_release) for move in moves] == [(2, 1), (1, 2), (None, 1)]
at = found(list_label_moves.sync_detailed(TEAM, "production", client=client, at=moves[1].at, limit=1))
assert at.data[0].to_release == 2
frozen = found(get_release_handles.sync_detailed(TEAM, 2, client=client))
assert frozen.handles[0].system_prompt == second
team = found(get_release.sync_detailed(TEAM, 2, client=client)).team
assert team["agents"][0]["version"] == 2
