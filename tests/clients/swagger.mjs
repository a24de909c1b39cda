// Swagger UI in headless Chromium, cut off from the network: enters a token, expands the roster's
// operation, tries it out, and sees the members on the page. Arguments: the server's address, where
// the pictures of the operation and of the first view go; $CIRCLE_REGISTRY_TOKEN is an administrator's.
import assert from "node:assert/strict";

import { chromium } from "playwright-core";

const [, , server, picture, overview] = process.argv;
const token = process.env.CIRCLE_REGISTRY_TOKEN;

async function post(path, body) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(`${server}/v1/${path}`, init);
  assert.equal(answer.status, 201);
  return answer.json();
}

await post("circles", { name: "swagger-team" });
for (const name of ["Ada Lovelace", "Grace Hopper"]) {
  const agent = await post("agents", { name });
  await post("circles/swagger-team/members", { agent_id: agent.id });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  page.setDefaultTimeout(30_000);

  const elsewhere = [];
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.route("**", (route) => {
    const url = new URL(route.request().url());
    if (url.origin === server || url.protocol === "data:") return route.continue();
    elsewhere.push(url.href);
    return route.abort();
  });

  await page.goto(server);
  assert.equal(page.url(), `${server}/docs`);
  await page.locator(".auth-wrapper").getByRole("button", { name: "Authorize" }).click();
  const dialog = page.locator(".modal-ux");
  await dialog.locator("input").fill(token);
  await dialog.getByRole("button", { name: "Apply credentials" }).click();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  // All is folded until it is asked for.
  assert.equal(await page.locator(".opblock").count(), 0);
  if (overview) await page.screenshot({ path: overview });
  await page.locator("#operations-tag-Circles").click();
  const operation = page.locator("#operations-Circles-get_circle");
  await operation.locator(".opblock-summary-control").click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  await operation.locator('tr[data-param-name="circle_name"] input').fill("swagger-team");

  const answered = page.waitForResponse(`${server}/v1/circles/swagger-team`);
  await operation.getByRole("button", { name: "Execute" }).click();
  assert.equal((await answered).status(), 200);

  const live = operation.locator(".live-responses-table");
  await live.waitFor();
  assert.match(await live.locator(".response-col_status").last().innerText(), /^200/);
  const shown = await live.locator(".response-col_description").last().innerText();
  for (const text of ['"swagger-team"', '"member_count": 2', '"Ada Lovelace"', '"Grace Hopper"']) {
    assert.ok(shown.includes(text), `${text} is not on the page`);
  }

  await operation.scrollIntoViewIfNeeded();
  await operation.screenshot({ path: picture });
  assert.deepEqual(elsewhere, [], "requests to other hosts");
  assert.deepEqual(errors, [], "errors in the browser");
} finally {
  await browser.close();
}
