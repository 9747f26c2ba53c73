// Looks at the dashboard as people do: in a browser, page by page, in light and dark, on a desk and on a phone.
// Usage: node suite.mjs <chromium> <stage> <directory for screenshots>
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [, , browserPath, stagePath, shots] = process.argv;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = 30_000;

/// Starts a story of the stage; where it is, and its tokens.
const begin = async (...story) => {
  const stage = spawn(stagePath, story, { stdio: ["pipe", "pipe", "inherit"] });
  const told = await new Promise((resolve, reject) => {
    createInterface({ input: stage.stdout }).once("line", resolve);
    stage.once("exit", (code) => reject(new Error(`the stage ended with ${code}`)));
  });
  return { ...JSON.parse(told), end: () => stage.stdin.end() };
};
let { address, admin, operator, reader, end } = await begin();
const browser = await chromium.launch({ executablePath: browserPath, args: ["--no-sandbox", "--disable-quic"] });

const api = async (path, body) => {
  const headers = { Authorization: `Bearer ${admin}`, "Content-Type": "application/json" };
  const answer = await fetch(address + path, body && { method: "POST", headers, body: JSON.stringify(body) } || { headers });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
};

/// A browser of one's own, signed in; whatever goes wrong in it, or leaves this machine, fails the test.
const visit = async (token, options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const faults = [];
  page.on("console", (said) => said.type() === "error" && faults.push(`console: ${said.text()}`));
  page.on("pageerror", (error) => faults.push(`script: ${error.message}`));
  page.on("request", (asked) => {
    if (!asked.url().startsWith(address) && !asked.url().startsWith("data:")) faults.push(`elsewhere: ${asked.url()}`);
  });
  if (token) await signIn(page, token);
  const leave = async () => {
    await context.close();
    assert.deepEqual(faults, []);
  };
  return { page, context, faults, leave };
};

const signIn = async (page, token) => {
  await page.goto(`${address}/sign-in`);
  await page.getByLabel("API token").fill(token);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${address}/`);
};

const violations = async (page) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(" ")).join(", ")}`);
};

let passed = 0;
const failed = [];
const test = async (name, body) => {
  try {
    await body();
    passed += 1;
    console.log(`ok   ${name}`);
  } catch (error) {
    failed.push(name);
    console.log(`FAIL ${name}\n     ${String(error.stack ?? error).replaceAll("\n", "\n     ")}`);
  }
};

const jobs = async (query) => (await api(`/api/v1/jobs?${query}`)).jobs;
const dropped = (await jobs("limit=200")).find((job) => job.origin.kind === "github_delivery" && job.state === "held")
  ?? (await jobs("limit=200")).find((job) => job.origin.kind === "github_delivery");
const runs = (await api("/api/v1/runs?fabric=lab&limit=200")).runs;
const busiest = runs.find((run) => run.parts.some((part) => part.counts?.rejected > 0)) ?? runs[0];

const PAGES = {
  fabrics: "/",
  fabric: "/fabrics/lab",
  objects: "/fabrics/lab/objects",
  "fabric-failing": "/fabrics/remote",
  jobs: "/jobs",
  "jobs-none": "/jobs?state=cancelled",
  job: `/jobs/${dropped.id}`,
  runs: "/runs",
  run: `/runs/${busiest.id}`,
  conflicts: "/conflicts",
  conflict: "/conflicts/lab/VPC/default/vpc-01",
  drift: "/drift?fabric=lab",
  "drift-all": "/drift",
  object: "/objects/lab/VPC/default/vpc-01",
  drops: "/drops",
  "dead-letters": "/dead-letters",
  deliveries: "/deliveries",
  connections: "/connections",
  docs: "/docs",
  "not-found": "/jobs/nothing",
};
/// The API's page is long: of its requests these are looked at open.
const OPENED = "details:not(.operation), #list_jobs, #sync_fabric";
const DEVICES = { desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

await test("whoever is not signed in is asked to, and comes back to the page that was asked for", async () => {
  const { page, faults, leave } = await visit();
  await page.goto(`${address}/jobs?state=held`);
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  assert.deepEqual(await violations(page), []);
  await page.screenshot({ path: `${shots}/sign-in.png` });
  await page.getByLabel("API token").fill("a guess");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  // The browser notes every 401; this one was asked for.
  assert.ok(faults.splice(0).every((fault) => fault.includes("401")));
  await page.getByLabel("API token").fill(reader);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${address}/jobs?state=held`);
  const [cookie] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.value.length], [true, "Lax", 64]);
  await leave();
});

/// What sticks out sideways: of the page, of a card, of a box that would cut it off, of the row of tabs.
const overflows = (page) =>
  page.evaluate(() => {
    const found = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) found.push(`${scrollWidth - clientWidth} px wider than the window`);
    const isCards = getComputedStyle(document.querySelector(".cards tr") ?? document.body).display === "grid";
    for (const box of document.querySelectorAll(`.cards, .facts, .notice${isCards ? ", .cards tbody tr > *" : ""}`)) {
      const over = box.scrollWidth - box.clientWidth;
      if (over > 0) found.push(`${over} px cut off: ${box.className || box.tagName} ${box.textContent.slice(0, 40)}`);
    }
    const tab = document.querySelector(".tabs [aria-current]")?.getBoundingClientRect();
    if (tab && (tab.left < 0 || tab.right > clientWidth)) found.push("the current tab is out of sight");
    return found;
  });

/// Looks at pages on one device: what a tool finds, what sticks out, and pictures for people.
const look = async (pages, prefix, scheme, viewport) => {
  const { page, faults, leave } = await visit(admin, { viewport, colorScheme: scheme });
  const found = [];
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(address + path);
    await page.locator("#live.on").waitFor();
    await page.evaluate((opened) => document.querySelectorAll(opened).forEach((each) => (each.open = true)), OPENED);
    found.push(...[...(await violations(page)), ...(await overflows(page))].map((each) => `${path}: ${each}`));
    await page.screenshot({ path: `${shots}/${prefix(name)}-${scheme}.png`, fullPage: true });
  }
  assert.ok(faults.splice(0).every((fault) => fault.includes("404")), faults.join("\n"));
  assert.deepEqual(found, []);
  await leave();
};

for (const scheme of ["light", "dark"]) {
  for (const [device, viewport] of Object.entries(DEVICES)) {
    await test(`every page is accessible and fits, ${scheme}, ${device}`, () =>
      look(PAGES, (name) => `${name}-${device}`, scheme, viewport));
  }
}

await test("the keyboard reaches the content without the navigation", async () => {
  const { page, leave } = await visit(reader);
  await page.goto(`${address}/jobs`);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await leave();
});

await test("a reader sees no button but those that look", async () => {
  const { page, leave } = await visit(reader);
  for (const path of Object.values(PAGES).filter((path) => path !== PAGES["not-found"])) {
    await page.goto(address + path);
    const words = await page.locator("button").allTextContents();
    assert.deepEqual(words.filter((word) => !["Show", "Send", "Sign out"].includes(word)), [], path);
  }
  await leave();
});

await test("what people wrote is shown as text", async () => {
  const { page, leave } = await visit(reader);
  await page.goto(`${address}/conflicts/lab/Server/default/server-01`);
  assert.ok((await page.locator("main").innerText()).includes("<b>moved</b> to rack 7"));
  assert.equal(await page.locator("main b").count(), 0);
  await leave();
});

await test("a read of the API is tried on its page", async () => {
  const { page, faults, leave } = await visit(reader);
  await page.goto(`${address}/docs`);
  const shown = page.locator("#list_jobs");
  await shown.locator("summary").click();
  await shown.getByLabel("limit").fill("1");
  await shown.getByRole("button", { name: "Send" }).click();
  await shown.getByText(/200 OK[^]*"jobs": \[/).waitFor();
  await shown.getByLabel("limit").fill("many");
  const [refused] = await Promise.all([
    page.waitForResponse((answer) => answer.url().includes("limit=many")),
    page.keyboard.press("Enter"),
  ]);
  assert.equal(refused.status(), 400);
  await shown.getByText("bad_query").waitFor();
  assert.ok(faults.splice(0).every((fault) => fault.includes("400")));
  const object = page.locator("#show_object");
  await object.locator("summary").click();
  for (const [name, value] of [["fabric", "lab"], ["kind", "VPC"], ["namespace", "default"], ["name", "vpc-01"]]) {
    await object.getByLabel(name, { exact: true }).fill(value);
  }
  await object.getByRole("button", { name: "Send" }).click();
  await object.getByText(/200 OK/).waitFor();
  await leave();
});

await test("a job appears and ends on a page that is open already", async () => {
  const { page, leave } = await visit(reader);
  await page.goto(`${address}/jobs`);
  await page.locator("#live.on").waitFor();
  const { job_id: id } = await api("/api/v1/fabrics/lab/sync", {});
  const row = page.locator("tr", { has: page.locator(`a[title="${id}"]`) });
  await row.waitFor();
  await row.getByText("held", { exact: true }).waitFor();
  await leave();
});

await test("a conflict is decided by clicking, and goes", async () => {
  const { page, leave } = await visit(operator);
  await page.goto(`${address}/conflicts`);
  await page.getByRole("link", { name: "VPC vpc-01" }).click();
  assert.ok((await page.locator("tr.contradicts").allInnerTexts()).some((text) => /1001\s+vlan: 1101\s+vlan: 1201/.test(text)));
  assert.equal(await page.locator("td.changed", { hasText: "10.10.1.250" }).count(), 1);
  await page.getByRole("button", { name: "Take Git's" }).click();
  await page.waitForURL(/\/jobs\//);
  await page.locator("#job .title").getByText("succeeded").waitFor();
  await page.goto(`${address}/conflicts`);
  assert.equal(await page.getByRole("link", { name: "VPC vpc-01" }).count(), 0);
  const { conflicts } = await api("/api/v1/conflicts");
  assert.deepEqual(conflicts.map(({ key }) => key.name), ["server-01"]);
  await leave();
});

await test("a merged document is written in the page, and a wrong one is refused with its reason", async () => {
  const { page, faults, leave } = await visit(operator);
  await page.goto(`${address}/conflicts/lab/Server/default/server-01`);
  await page.getByText("Write a merged document").click();
  const box = page.locator("#document");
  const draft = await box.inputValue();
  assert.match(draft, /kind: Server/);
  await box.fill("- not a mapping");
  await page.getByRole("button", { name: "Take this document" }).click();
  await page.getByText("no YAML mapping").waitFor();
  assert.ok(faults.splice(0).every((fault) => fault.includes("400")));
  await page.goBack();
  await page.locator("#merge").evaluate((each) => (each.open = true));
  await box.fill(draft.replace(/description: .*/, "description: rack 7, then 12"));
  await page.getByRole("button", { name: "Take this document" }).click();
  await page.waitForURL(/\/jobs\//);
  await page.locator("#job .title").getByText("succeeded").waitFor();
  assert.deepEqual((await api("/api/v1/conflicts")).conflicts, []);
  await page.goto(`${address}/conflicts`);
  await page.getByText("No conflict").waitFor();
  await leave();
});

await test("held deletions are confirmed by an admin who is asked once more", async () => {
  const { page, leave } = await visit(admin);
  await page.goto(`${address}/fabrics/lab`);
  await page.getByText("deletions are held").waitFor();
  page.once("dialog", (dialog) => dialog.dismiss());
  await page.getByRole("button", { name: "Confirm these deletions" }).click();
  assert.equal(new URL(page.url()).pathname, "/fabrics/lab");
  page.once("dialog", (dialog) => dialog.accept());
  await page.getByRole("button", { name: "Confirm these deletions" }).click();
  await page.waitForURL(/\/jobs\//);
  await page.locator("#job .title").getByText("succeeded").waitFor();
  assert.equal((await api("/api/v1/fabrics/lab")).guarded_deletions, 0);
  await leave();
});

await test("all fabrics are paused and resumed together", async () => {
  const { page, leave } = await visit(operator);
  await page.getByLabel("Select all fabrics").check();
  assert.equal(await page.locator("input[name=fabric]:checked").count(), 3);
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await page.locator("tbody").getByText("paused").first().waitFor();
  assert.equal(await page.locator("tbody .badge", { hasText: "paused" }).count(), 3);
  await page.getByLabel("Select all fabrics").check();
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await page.locator("tbody").getByText("in sync").first().waitFor();
  assert.equal(await page.locator("tbody .badge", { hasText: "paused" }).count(), 0);
  await leave();
});

await test("a dead letter is replayed, and dies again where its cause is not gone", async () => {
  const { page, leave } = await visit(operator);
  await page.goto(`${address}/dead-letters`);
  await page.getByRole("button", { name: "Replay" }).first().click();
  await page.waitForURL(/\/jobs\//);
  await page.locator("#job .title").getByText(/queued|running|waiting|dead/).waitFor();
  await leave();
});

await test("whoever signs out is out, and so is a copy of the cookie", async () => {
  const { page, context, leave } = await visit(reader);
  const cookies = await context.cookies();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${address}/sign-in`);
  await context.addCookies(cookies);
  await page.goto(`${address}/jobs`);
  assert.equal(new URL(page.url()).pathname, "/sign-in");
  await leave();
});

end();
({ address, admin, operator, reader, end } = await begin("crowded"));
const [disputed] = (await api("/api/v1/conflicts")).conflicts;
const long = disputed.fabric;
const object = `${long}/Server/default/${disputed.key.name}`;
const crowdedRuns = (await api(`/api/v1/runs?fabric=${long}&limit=200`)).runs;
const failing = crowdedRuns.find((run) => run.parts[0].error);
const refusing = crowdedRuns.find((run) => run.parts[0].counts?.rejected > 0);
assert.deepEqual([long.length, disputed.key.name.length], [63, 63]);
assert.ok(failing.parts[0].error.message.length > 2000);
const CROWDED = {
  fabrics: "/",
  "fabrics-end": "/?cursor=crowd-290",
  "fabrics-found": "/?name=fabric-x",
  fabric: `/fabrics/${long}`,
  objects: `/fabrics/${long}/objects`,
  object: `/objects/${object}`,
  jobs: "/jobs",
  job: `/jobs/${refusing.parts[0].jobs[0]}`,
  "job-failing": `/jobs/${failing.parts[0].jobs[0]}`,
  runs: "/runs",
  run: `/runs/${refusing.id}`,
  "run-failing": `/runs/${failing.id}`,
  conflicts: "/conflicts",
  conflict: `/conflicts/${object}`,
  drift: `/drift?fabric=${long}`,
  "drift-all": "/drift",
  drops: "/drops",
  "dead-letters": "/dead-letters",
  deliveries: "/deliveries",
  connections: "/connections",
};

for (const [device, viewport] of Object.entries(DEVICES)) {
  await test(`hundreds of fabrics and the longest names fit, ${device}`, () =>
    look(CROWDED, (name) => `crowded-${name}-${device}`, "light", viewport));
}

end();
await browser.close();
console.log(`\nScreenshots: ${shots}\n${passed} passed, ${failed.length} failed`);
process.exit(failed.length === 0 && passed > 0 ? 0 : 1);
