// The story, told with the client that hey-api's openapi-ts writes.
// Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
import assert from "node:assert/strict";

import { createClient } from "./client/client/index.js";
import * as registry from "./client/index.js";
import type { Problem } from "./client/index.js";

const baseUrl = process.argv[2]!;
const client = createClient({ baseUrl, auth: process.env["CIRCLE_REGISTRY_TOKEN"]! });
const nobody = createClient({ baseUrl });
const circle_name = "hey-api-team";
const circle = { client, path: { circle_name } };

const unknown = refused(await registry.listCircles({ client: nobody }), 401);
assert.equal(unknown.code, "unauthenticated");
const acme = answered(
  await registry.createProvider({ client, body: { name: "hey-api-acme", api_type: "openai" } }),
);
const large = answered(
  await registry.createModel({
    client,
    body: { provider_id: acme.id, model_name: "acme-large", input_price: "2.5" },
  }),
);
assert.equal(large.input_price, "2.5000000000");
const agents: number[] = [];
for (const name of ["Ada", "Linus", "Grace"]) {
  const body = { name, model_id: large.id, skill_names: ["review"] };
  agents.push(answered(await registry.createAgent({ client, body })).id);
}
const [ada = 0, , grace = 0] = agents;

const team = answered(await registry.createCircle({ client, body: { name: circle_name } }));
assert.equal(team.status, "stopped");
for (const [index, role] of (["lead", "reviewer", "member"] as const).entries()) {
  const body = { agent_id: agents[index]!, role };
  assert.equal(answered(await registry.addMember({ ...circle, body })).role, role);
}

// Page through the members, two at a time: every one comes once.
const seen: number[] = [];
let cursor: string | undefined;
do {
  const query = { limit: 2, count: true, ...(cursor && { cursor }) };
  const page: registry.MemberPage = answered(await registry.listMembers({ ...circle, query }));
  assert.equal(page.total, 3);
  seen.push(...page.data.map((member) => member.agent_id));
  cursor = page.next_cursor ?? undefined;
} while (cursor);
assert.deepEqual(seen, agents);

// Clear a field that may be null; what is not named stays.
const update = { client, path: { id: grace }, body: { model_id: null } };
const cleared = answered(await registry.updateAgent(update));
assert.equal(cleared.model_id, null);
assert.deepEqual(cleared.skill_names, ["review"]);

// The roster, by rank; its state has a name.
const answer = await registry.getCircle(circle);
const { members } = answered(answer);
assert.deepEqual(members.map((member) => member.agent_name), ["Ada", "Grace", "Linus"]);
assert.equal(members[1]?.model_name, null);
const tag = { "If-None-Match": answer.response!.headers.get("ETag")! };
assert.equal((await registry.getCircle({ ...circle, headers: tag })).response?.status, 304);

const { handles } = answered(await registry.getCircleHandles(circle));
assert.deepEqual(handles.map((handle) => handle.model), ["acme-large", null, "acme-large"]);
assert.equal(handles[1]?.capabilities, null);
assert.deepEqual(handles[1]?.warnings.map((warning) => warning.code), ["no_model"]);
const talk = answered(
  await registry.createConversation({
    client,
    body: { topic: "Release", circle: circle_name, turn_strategy: "round_robin" },
  }),
);
const turn = { client, path: { id: talk.id }, body: { agent_id: ada, content: "Ready?" } };
assert.equal(answered(await registry.createMessage(turn)).number, 1);
assert.equal(refused(await registry.createMessage(turn), 409).code, "not_its_turn");
assert.match(answered(await registry.getTranscript({ client, path: { id: talk.id } })), /Ready\?/);

const missing = await registry.getCircle({ client, path: { circle_name: "nobody" } });
assert.equal(refused(missing, 404).code, "not_found");
const taken = await registry.createCircle({ client, body: { name: circle_name } });
assert.equal(refused(taken, 409).code, "circle_name_taken");
const invalid = refused(await registry.addMember({ ...circle, body: { agent_id: 999_999 } }), 422);
assert.deepEqual(invalid.errors?.map((error) => error.pointer), ["#/agent_id"]);

type Answer<T> = { data?: T; error?: Problem; response?: Response };

function answered<T>({ data, error }: Answer<T>): T {
  assert.ok(data !== undefined, error?.detail);
  return data;
}

function refused({ error, response }: Answer<unknown>, status: number): Problem {
  assert.equal(response?.status, status);
  assert.ok(error !== undefined);
  assert.equal(error.status, status);
  return error;
}
