"""The story, told with the package that openapi-generator writes for Python.

Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
"""

import os
import sys

import circleregistry as registry
from circleregistry.exceptions import ApiException

TEAM = "openapi-generator-team"


def connect(token):
    return registry.ApiClient(registry.Configuration(host=sys.argv[1], access_token=token))


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ApiException as refusal:
        assert refusal.status == status, refusal
        assert isinstance(refusal.data, registry.Problem), refusal
        assert refusal.data.status == status
        return refusal.data
    raise AssertionError("not refused")


client = connect(os.environ["CIRCLE_REGISTRY_TOKEN"])
agents_api, circles_api = registry.AgentsApi(client), registry.CirclesApi(client)
members_api, messages_api = registry.MembersApi(client), registry.MessagesApi(client)

nobody = registry.CirclesApi(connect(None))
assert refused(401, nobody.list_circles).code == "unauthenticated"
acme = registry.ProvidersApi(client).create_provider(
    registry.ProviderCreate(name="openapi-generator-acme", api_type="openai")
)
large = registry.ModelsApi(client).create_model(
    registry.ModelCreate(provider_id=acme.id, model_name="acme-large", input_price="2.5")
)
assert large.input_price == "2.5000000000"
agents = [
    agents_api.create_agent(
        registry.AgentCreate(name=name, model_id=large.id, skill_names=["review"])
    ).id
    for name in ["Ada", "Linus", "Grace"]
]
ada, linus, grace = agents

team = circles_api.create_circle(registry.CircleCreate(name=TEAM))
assert team.status == registry.CircleStatus.STOPPED
for agent_id, role in zip(agents, ["lead", "reviewer", "member"]):
    added = members_api.add_member(TEAM, registry.MemberCreate(agent_id=agent_id, role=role))
    assert added.role == role

# Page through the members, two at a time: every one comes once.
seen, cursor = [], None
while True:
    page = members_api.list_members(TEAM, limit=2, count=True, cursor=cursor)
    assert page.total == 3
    seen += [member.agent_id for member in page.data]
    cursor = page.next_cursor
    if cursor is None:
        break
assert seen == agents
by_name = agents_api.list_agents(ids=f"{ada},{grace}", sort=registry.Sort.NAME_DESCENDING)
assert [agent.id for agent in by_name.data] == [grace, ada]

# Clear a field that may be null; what is not named stays.
cleared = agents_api.update_agent(grace, registry.AgentUpdate(model_id=None))
assert cleared.model_id is None
assert cleared.skill_names == ["review"]

# The roster, by rank; its state has a name.
roster = circles_api.get_circle_with_http_info(TEAM)
assert [member.agent_name for member in roster.data.members] == ["Ada", "Grace", "Linus"]
assert roster.data.members[1].model_name is None
try:
    circles_api.get_circle(TEAM, if_none_match=roster.headers["etag"])
    raise AssertionError("not 304")
except ApiException as unchanged:
    assert unchanged.status == 304

handles = registry.HandlesApi(client).get_circle_handles(TEAM).handles
assert [handle.model for handle in handles] == ["acme-large", None, "acme-large"]
assert handles[1].capabilities is None
assert handles[1].warnings[0].code == registry.WarningCode.NO_MODEL
talk = registry.ConversationsApi(client).create_conversation(
    registry.ConversationCreate(topic="Release", circle=TEAM, turn_strategy="round_robin")
)
turn = registry.MessageCreate(agent_id=ada, content="Ready?")
assert messages_api.create_message(talk.id, turn).number == 1
assert refused(409, messages_api.create_message, talk.id, turn).code == "not_its_turn"
assert "Ready?" in messages_api.get_transcript(talk.id)

assert refused(404, circles_api.get_circle, "nobody").code == "not_found"
taken = refused(409, circles_api.create_circle, registry.CircleCreate(name=TEAM))
assert taken.code == "circle_name_taken"
invalid = refused(422, members_api.add_member, TEAM, registry.MemberCreate(agent_id=999_999))
assert [error.pointer for error in invalid.errors] == ["#/agent_id"]
