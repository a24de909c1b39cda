// The story, told with openapi-fetch on the types that openapi-typescript writes.
// Argument: the server's address; $CIRCLE_REGISTRY_TOKEN is an administrator's.
import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

const baseUrl = process.argv[2];
const headers = { Authorization: `Bearer ${process.env["CIRCLE_REGISTRY_TOKEN"]}` };
const client = createClient<paths>({ baseUrl, headers });
const nobody = createClient<paths>({ baseUrl });
const circle = { params: { path: { circle_name: "typescript-team" } } };

assert.equal(refused(await nobody.GET("/v1/circles"), 401).code, "unauthenticated");
const acme = created(
  await client.POST("/v1/providers", {
    body: { name: "typescript-acme", api_type: "openai", base_url: "https://api.acme.example" },
  }),
);
assert.equal(acme.name, "typescript-acme");
const large = created(
  await client.POST("/v1/models", {
    body: { provider_id: acme.id, model_name: "acme-large", mode: "chat", input_price: "2.5" },
  }),
);
assert.equal(large.input_price, "2.5000000000");

const agents: number[] = [];
for (const name of ["Ada", "Linus", "Grace"]) {
  const body = { name, model_id: large.id, skill_names: ["review"] };
  agents.push(created(await client.POST("/v1/agents", { body })).id);
}
const [ada = 0, linus = 0, grace = 0] = agents;

const team = created(await client.POST("/v1/circles", { body: { name: "typescript-team" } }));
assert.equal(team.status, "stopped");
assert.equal(team.member_count, 0);
for (const [agent_id, role] of [[ada, "lead"], [linus, "reviewer"], [grace, "member"]] as const) {
  const body = { agent_id, role };
  const member = created(await client.POST("/v1/circles/{circle_name}/members", { ...circle, body }));
  assert.equal(member.role, role);
}

// Page through the members, two at a time: every one comes once.
const seen: number[] = [];
const sizes: number[] = [];
let cursor: string | undefined;
do {
  const query = { limit: 2, count: true, ...(cursor && { cursor }) };
  const page = found(
    await client.GET("/v1/circles/{circle_name}/members", { params: { ...circle.params, query } }),
  );
  assert.equal(page.total, 3);
  sizes.push(page.data.length);
  seen.push(...page.data.map((member) => member.agent_id));
  cursor = page.next_cursor ?? undefined;
} while (cursor);
assert.deepEqual(sizes, [2, 1]);
assert.deepEqual(seen, agents);

// Clear a field that may be null; what is not named stays.
const one = { params: { path: { id: grace } } };
const cleared = found(await client.PATCH("/v1/agents/{id}", { ...one, body: { model_id: null } }));
assert.equal(cleared.model_id, null);
const read = found(await client.GET("/v1/agents/{id}", one));
assert.equal(read.model_id, null);
assert.deepEqual(read.skill_names, ["review"]);

// The roster, by rank: who, on which model of which provider.
const roster = found(await client.GET("/v1/circles/{circle_name}", circle));
assert.equal(roster.member_count, 3);
assert.deepEqual(
  roster.members.map((m) => [m.role, m.agent_name, m.model_name, m.provider_name]),
  [
    ["lead", "Ada", "acme-large", "typescript-acme"],
    ["member", "Grace", null, null],
    ["reviewer", "Linus", "acme-large", "typescript-acme"],
  ],
);

// What a runtime starts a member from, and the team talking.
const { handles } = found(await client.GET("/v1/circles/{circle_name}/handles", circle));
assert.deepEqual(handles.map((handle) => handle.model), ["acme-large", null, "acme-large"]);
assert.deepEqual(handles[1]?.warnings.map((warning) => warning.code), ["no_model"]);
const talk = created(
  await client.POST("/v1/conversations", {
    body: { topic: "Release", circle: "typescript-team", turn_strategy: "round_robin" },
  }),
);
const turn = { params: { path: { id: talk.id } }, body: { agent_id: ada, content: "Ready?" } };
const said = created(await client.POST("/v1/conversations/{id}/messages", turn));
assert.deepEqual([said.number, said.author_name], [1, "Ada"]);
const again = refused(await client.POST("/v1/conversations/{id}/messages", turn), 409);
assert.equal(again.code, "not_its_turn");
const page = found(
  await client.GET("/v1/conversations/{id}/messages", { params: { path: { id: talk.id } } }),
);
assert.equal(page.data.length, 1);

const missing = refused(
  await client.GET("/v1/circles/{circle_name}", { params: { path: { circle_name: "nobody" } } }),
  404,
);
assert.equal(missing.code, "not_found");
const taken = refused(
  await client.POST("/v1/circles", { body: { name: "typescript-team" } }),
  409,
);
assert.equal(taken.code, "circle_name_taken");
const invalid = refused(
  await client.POST("/v1/circles/{circle_name}/members", { ...circle, body: { agent_id: 999_999 } }),
  422,
);
assert.equal(invalid.code, "invalid_request");
assert.deepEqual(invalid.errors?.map((error) => error.pointer), ["#/agent_id"]);

type Problem = components["schemas"]["Problem"];
type Answer<T> = { data?: T; error?: Problem; response: Response };

function created<T>(answer: Answer<T>): T {
  return answered(answer, 201);
}

function found<T>(answer: Answer<T>): T {
  return answered(answer, 200);
}

function answered<T>({ data, error, response }: Answer<T>, status: number): T {
  assert.equal(response.status, status, error?.detail);
  assert.ok(data !== undefined);
  return data;
}

function refused({ error, response }: Answer<unknown>, status: number): Problem {
  assert.equal(response.status, status);
  assert.ok(error !== undefined);
  assert.equal(error.status, status);
  return error;
}
