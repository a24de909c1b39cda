"""The story, told with the package that openapi-python-client writes.

Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import os
import sys
from http import HTTPStatus

from circle_registry_client import AuthenticatedClient, Client
from circle_registry_client.api.agents import create_agent, get_agent, update_agent
from circle_registry_client.api.circles import create_circle, get_circle, list_circles
from circle_registry_client.api.conversations import create_conversation
from circle_registry_client.api.handles import get_circle_handles
from circle_registry_client.api.members import add_member, list_members
from circle_registry_client.api.messages import create_message, list_messages
from circle_registry_client.api.models import create_model
from circle_registry_client.api.providers import create_provider
from circle_registry_client.models import (
    AgentCreate,
    AgentUpdate,
    CircleCreate,
    CircleStatus,
    ConversationCreate,
    MemberCreate,
    MemberRole,
    MessageCreate,
    ModelCreate,
    Problem,
    ProviderCreate,
    TurnStrategy,
    WarningCode,
)
from circle_registry_client.types import UNSET

TEAM = "python-team"

client = AuthenticatedClient(
    base_url=sys.argv[1],
    token=os.environ["CIRCLE_REGISTRY_TOKEN"],
    raise_on_unexpected_status=True,
)
nobody = Client(base_url=sys.argv[1], raise_on_unexpected_status=True)


def created(answer):
    return answered(answer, HTTPStatus.CREATED)


def found(answer):
    return answered(answer, HTTPStatus.OK)


def answered(answer, status):
    assert answer.status_code == status, answer.content
    assert not isinstance(answer.parsed, Problem), answer.content
    return answer.parsed


def refused(answer, status):
    assert answer.status_code == status, answer.content
    assert isinstance(answer.parsed, Problem), answer.content
    assert answer.parsed.status == status
    return answer.parsed


unknown = refused(list_circles.sync_detailed(client=nobody), HTTPStatus.UNAUTHORIZED)
assert unknown.code == "unauthenticated"
acme = created(
    create_provider.sync_detailed(
        client=client,
        body=ProviderCreate(
            name="python-acme", api_type="openai", base_url="https://api.acme.example"
        ),
    )
)
assert acme.name == "python-acme"
large = created(
    create_model.sync_detailed(
        client=client,
        body=ModelCreate(provider_id=acme.id, model_name="acme-large", mode="chat", input_price="2.5"),
    )
)
assert large.input_price == "2.5000000000"

agents = [
    created(
        create_agent.sync_detailed(
            client=client, body=AgentCreate(name=name, model_id=large.id, skill_names=["review"])
        )
    ).id
    for name in ["Ada", "Linus", "Grace"]
]
ada, linus, grace = agents

team = created(create_circle.sync_detailed(client=client, body=CircleCreate(name=TEAM)))
assert team.status is CircleStatus.STOPPED
assert team.member_count == 0
for agent_id, role in [
    (ada, MemberRole.LEAD),
    (linus, MemberRole.REVIEWER),
    (grace, MemberRole.MEMBER),
]:
    body = MemberCreate(agent_id=agent_id, role=role)
    assert created(add_member.sync_detailed(TEAM, client=client, body=body)).role is role

# Page through the members, two at a time: every one comes once.
seen, sizes, cursor = [], [], UNSET
while cursor is not None:
    page = found(
        list_members.sync_detailed(TEAM, client=client, limit=2, count=True, cursor=cursor)
    )
    assert page.total == 3
    sizes.append(len(page.data))
    seen += [member.agent_id for member in page.data]
    cursor = page.next_cursor
assert sizes == [2, 1]
assert seen == agents

# Clear a field that may be null; what is not named stays.
cleared = found(update_agent.sync_detailed(grace, client=client, body=AgentUpdate(model_id=None)))
assert cleared.model_id is None
read = found(get_agent.sync_detailed(grace, client=client))
assert read.model_id is None
assert read.skill_names == ["review"]

# The roster, by rank: who, on which model of which provider.
roster = found(get_circle.sync_detailed(TEAM, client=client))
assert roster.member_count == 3
assert [
    (member.role, member.agent_name, member.model_name, member.provider_name)
    for member in roster.members
] == [
    (MemberRole.LEAD, "Ada", "acme-large", "python-acme"),
    (MemberRole.MEMBER, "Grace", None, None),
    (MemberRole.REVIEWER, "Linus", "acme-large", "python-acme"),
]

# What a runtime starts a member from, and the team talking.
handles = found(get_circle_handles.sync_detailed(TEAM, client=client)).handles
assert [handle.model for handle in handles] == ["acme-large", None, "acme-large"]
assert [warning.code for warning in handles[1].warnings] == [WarningCode.NO_MODEL]
talk = created(
    create_conversation.sync_detailed(
        client=client,
        body=ConversationCreate(topic="Release", circle=TEAM, turn_strategy=TurnStrategy.ROUND_ROBIN),
    )
)
turn = MessageCreate(agent_id=ada, content="Ready?")
said = created(create_message.sync_detailed(talk.id, client=client, body=turn))
assert (said.number, said.author_name) == (1, "Ada")
again = refused(
    create_message.sync_detailed(talk.id, client=client, body=turn), HTTPStatus.CONFLICT
)
assert again.code == "not_its_turn"
assert len(found(list_messages.sync_detailed(talk.id, client=client)).data) == 1

missing = refused(get_circle.sync_detailed("nobody", client=client), HTTPStatus.NOT_FOUND)
assert missing.code == "not_found"
taken = refused(
    create_circle.sync_detailed(client=client, body=CircleCreate(name=TEAM)), HTTPStatus.CONFLICT
)
assert taken.code == "circle_name_taken"
invalid = refused(
    add_member.sync_detailed(TEAM, client=client, body=MemberCreate(agent_id=999_999)),
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
assert invalid.code == "invalid_request"
assert [error.pointer for error in invalid.errors] == ["#/agent_id"]
