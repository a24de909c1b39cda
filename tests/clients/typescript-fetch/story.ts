// The story, told with the client that openapi-generator writes for fetch.
// Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
import assert from "node:assert/strict";

import {
  AgentsApi,
  CirclesApi,
  CircleStatus,
  Configuration,
  ConversationsApi,
  HandlesApi,
  MembersApi,
  MemberRole,
  MessagesApi,
  ModelsApi,
  ProblemFromJSON,
  ProvidersApi,
  ResponseError,
  Sort,
  TurnStrategy,
  WarningCode,
  type Problem,
} from "./client/index.js";

const basePath = process.argv[2]!;
const accessToken = process.env["CIRCLE_REGISTRY_TOKEN"]!;
const configuration = new Configuration({ basePath, accessToken });
const [agentsApi, circlesApi] = [new AgentsApi(configuration), new CirclesApi(configuration)];
const [membersApi, messagesApi] = [new MembersApi(configuration), new MessagesApi(configuration)];
const circleName = "typescript-fetch-team";

const nobody = new CirclesApi(new Configuration({ basePath }));
assert.equal((await refused(nobody.listCircles(), 401)).code, "unauthenticated");
const acme = await new ProvidersApi(configuration).createProvider({
  providerCreate: { name: "typescript-fetch-acme", apiType: "openai" },
});
const large = await new ModelsApi(configuration).createModel({
  modelCreate: { providerId: acme.id, modelName: "acme-large", inputPrice: "2.5" },
});
assert.equal(large.inputPrice, "2.5000000000");
const agents: number[] = [];
for (const name of ["Ada", "Linus", "Grace"]) {
  const agentCreate = { name, modelId: large.id, skillNames: ["review"] };
  agents.push((await agentsApi.createAgent({ agentCreate })).id);
}
const [ada = 0, , grace = 0] = agents;

const team = await circlesApi.createCircle({ circleCreate: { name: circleName } });
assert.equal(team.status, CircleStatus.Stopped);
const roles = [MemberRole.Lead, MemberRole.Reviewer, MemberRole.Member];
for (const [index, role] of roles.entries()) {
  const memberCreate = { agentId: agents[index]!, role };
  assert.equal((await membersApi.addMember({ circleName, memberCreate })).role, role);
}

// Page through the members, two at a time: every one comes once.
const seen: number[] = [];
let cursor: string | undefined;
do {
  const page = await membersApi.listMembers({ circleName, limit: 2, count: true, cursor });
  assert.equal(page.total, 3);
  seen.push(...page.data.map((member) => member.agentId));
  cursor = page.nextCursor ?? undefined;
} while (cursor);
assert.deepEqual(seen, agents);
const byName = await agentsApi.listAgents({ ids: `${ada},${grace}`, sort: Sort.NAME_DESCENDING });
assert.deepEqual(byName.data.map((agent) => agent.id), [grace, ada]);

// Clear a field that may be null; what is not named stays.
const cleared = await agentsApi.updateAgent({ id: grace, agentUpdate: { modelId: null } });
assert.equal(cleared.modelId, null);
assert.deepEqual(cleared.skillNames, ["review"]);

// The roster, by rank; its state has a name.
const answer = await circlesApi.getCircleRaw({ circleName });
const { members } = await answer.value();
assert.deepEqual(members.map((member) => member.agentName), ["Ada", "Grace", "Linus"]);
assert.equal(members[1]?.modelName, null);
const ifNoneMatch = answer.raw.headers.get("ETag")!;
await assert.rejects(
  circlesApi.getCircle({ circleName, ifNoneMatch }),
  (error: unknown) => error instanceof ResponseError && error.response.status === 304,
);

const { handles } = await new HandlesApi(configuration).getCircleHandles({ circleName });
assert.deepEqual(handles.map((handle) => handle.model), ["acme-large", null, "acme-large"]);
assert.equal(handles[1]?.capabilities, null);
assert.deepEqual(handles[1]?.warnings.map((warning) => warning.code), [WarningCode.NoModel]);
const talk = await new ConversationsApi(configuration).createConversation({
  conversationCreate: {
    topic: "Release",
    circle: circleName,
    turnStrategy: TurnStrategy.RoundRobin,
  },
});
const turn = { id: talk.id, messageCreate: { agentId: ada, content: "Ready?" } };
assert.equal((await messagesApi.createMessage(turn)).number, 1);
assert.equal((await refused(messagesApi.createMessage(turn), 409)).code, "not_its_turn");
assert.match(await messagesApi.getTranscript({ id: talk.id }), /Ready\?/);

const missing = await refused(circlesApi.getCircle({ circleName: "nobody" }), 404);
assert.equal(missing.code, "not_found");
const again = circlesApi.createCircle({ circleCreate: { name: circleName } });
assert.equal((await refused(again, 409)).code, "circle_name_taken");
const memberCreate = { agentId: 999_999 };
const invalid = await refused(membersApi.addMember({ circleName, memberCreate }), 422);
assert.deepEqual(invalid.errors?.map((error) => error.pointer), ["#/agent_id"]);

async function refused(answer: Promise<unknown>, status: number): Promise<Problem> {
  const error: unknown = await answer.then(
    () => assert.fail("not refused"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof ResponseError);
  assert.equal(error.response.status, status);
  return ProblemFromJSON(await error.response.json());
}
