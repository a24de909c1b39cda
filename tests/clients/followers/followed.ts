// The followers of docs/changes.md, which tests/clients/run writes to `follower.ts`: they load, hear of every change once,
// continue from a stored cursor, and start again when their cursor is gone.
import assert from "node:assert/strict";
import process from "node:process";

import { follow, followEvents } from "./follower.js";

const server = process.argv[2] ?? "";
const token = process.env["CIRCLE_REGISTRY_TOKEN"] ?? "";

class Enough extends Error {}

async function create(name: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const body = JSON.stringify({ name });
  const response = await fetch(`${server}/v1/agents`, { method: "POST", headers, body });
  assert.equal(response.status, 201);
}

/** Follows until all names were told. They are created by `load`, or before if the cursor is good. */
async function run(
  follower: typeof follow,
  cursor: string | undefined,
  isGood: boolean,
  names: string[],
): Promise<[string[], string]> {
  const told: (string | null)[] = [];
  let last = "";
  const createAll = async () => {
    for (const name of names) await create(name);
  };
  if (isGood) {
    told.push("continued");
    await createAll();
  }
  try {
    await follower(
      server,
      token,
      async (changes, next) => {
        assert.deepEqual(changes, []);
        told.push("loaded");
        last = next;
        await createAll();
      },
      async (changes, next) => {
        told.push(...changes.map((change) => change.name));
        last = next;
        if (told.length > names.length) throw new Enough();
      },
      cursor,
    );
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
  }
  return [told as string[], last];
}

for (const follower of [follow, followEvents]) {
  const [one, two, three, four] = [1, 2, 3, 4].map((number) => `${follower.name}-${number}`) as [string, string, string, string];
  const [first, cursor] = await run(follower, undefined, false, [one, two]);
  assert.deepEqual(first, ["loaded", one, two]);
  const [second] = await run(follower, cursor, true, [three]);
  assert.deepEqual(second, ["continued", three]);
  const gone = Buffer.from([3, ...new Array<number>(20).fill(0), 1, 2, 3, 4]).toString("base64url");
  const [third] = await run(follower, gone, false, [four]);
  assert.deepEqual(third, ["loaded", four]);
}
// A stream that was left is still open.
process.exit();
