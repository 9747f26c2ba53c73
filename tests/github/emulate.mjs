// Serves the GitHub emulator `emulate`, which nobody here wrote, beside a bare Git repository that is kept the same.
//
//   serve <bare repository> <owner/name> <token>   prints the address; ends when standard input closes
//   receive <address> <owner/name> <token>         a pre-receive hook: hands a push over to the emulator
//
// The emulator knows no Git transport. People push to the bare repository, whose hook brings their objects to the
// emulator; what comes over HTTP is brought to the bare repository before it is answered. Ids must be equal on both sides.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ZERO = "0".repeat(40);

const git = (args, input) => execFileSync("git", args, { input, maxBuffer: 1 << 28, stdio: ["pipe", "pipe", "pipe"] });
const has = (sha) => {
  try {
    git(["cat-file", "-e", sha]);
    return true;
  } catch {
    return false;
  }
};

const api = (address, repo, token) => async (method, path, body) => {
  const headers = { authorization: `Bearer ${token}`, "user-agent": "bridge", accept: "application/vnd.github+json" };
  const options = { method, headers, body: body && JSON.stringify(body) };
  const answer = await fetch(`${address}/repos/${repo}/${path}`, options);
  const text = await answer.text();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${text}`), { status: answer.status });
  return text ? JSON.parse(text) : null;
};

const same = (what, sha, made) => {
  if (made !== sha) throw new Error(`${what} ${sha} became ${made} on the other side`);
};

// --- from Git to the emulator ----------------------------------------------------------------------------------------

const stamp = (line) => {
  const [, name, email, at, zone] = line.match(/^(.*) <(.*)> (\d+) ([+-]\d{4})$/);
  const offset = (zone[0] === "-" ? -60 : 60) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(3)));
  const local = new Date((Number(at) + offset) * 1000).toISOString().slice(0, 19);
  return { name, email, date: `${local}${zone.slice(0, 3)}:${zone.slice(3)}` };
};

async function upload(call, commits) {
  const known = new Set();
  const tree = async (sha) => {
    if (known.has(sha)) return;
    known.add(sha);
    const lines = git(["ls-tree", "-z", sha]).toString().split("\0").filter(Boolean);
    const entries = lines.map((line) => {
      const [, mode, type, of, path] = line.match(/^(\d+) (\w+) ([0-9a-f]+)\t([^]*)$/);
      return { path, mode, type, sha: of };
    });
    for (const entry of entries) {
      if (entry.type === "tree") await tree(entry.sha);
      else if (!known.has(entry.sha)) {
        known.add(entry.sha);
        const content = git(["cat-file", "blob", entry.sha]).toString("base64");
        same("blob", entry.sha, (await call("POST", "git/blobs", { content, encoding: "base64" })).sha);
      }
    }
    same("tree", sha, (await call("POST", "git/trees", { tree: entries })).sha);
  };
  for (const sha of commits) {
    const text = git(["cat-file", "commit", sha]).toString();
    const end = text.indexOf("\n\n");
    const all = (name) => text.slice(0, end).split("\n").filter((line) => line.startsWith(`${name} `))
      .map((line) => line.slice(name.length + 1));
    await tree(all("tree")[0]);
    const made = await call("POST", "git/commits", {
      message: text.slice(end + 2), tree: all("tree")[0], parents: all("parent"),
      author: stamp(all("author")[0]), committer: stamp(all("committer")[0]),
    });
    same("commit", sha, made.sha);
  }
}

async function receive(address, repo, token) {
  const call = api(address, repo, token);
  for (const line of readFileSync(0, "utf8").trim().split("\n")) {
    const [before, after, ref] = line.split(" ");
    const there = await call("GET", `git/${ref.replace("refs/", "ref/")}`).catch((error) => {
      if (error.status !== 404 && error.status !== 409) throw error;
    });
    if ((there?.object.sha ?? ZERO) !== before) throw new Error(`${ref} is at ${there?.object.sha}, not at ${before}`);
    if (after === ZERO) {
      await call("DELETE", `git/${ref}`);
      continue;
    }
    const new_ = git(["rev-list", "--reverse", "--topo-order", after, "--not", "--all"]).toString().split("\n");
    await upload(call, new_.filter(Boolean));
    if (before === ZERO) await call("POST", "git/refs", { ref, sha: after });
    else await call("PATCH", `git/${ref}`, { sha: after, force: true });
  }
}

// --- from the emulator to Git ----------------------------------------------------------------------------------------

const line = (name, person) => {
  const at = Math.floor(Date.parse(person.date) / 1000);
  const zone = person.date.match(/[+-]\d\d:\d\d$/)?.[0].replace(":", "") ?? "+0000";
  return `${name} ${person.name} <${person.email}> ${at} ${zone}\n`;
};

async function download(call, sha, seen = new Set()) {
  const commits = [];
  for (const queue = [sha]; queue.length > 0; ) {
    const next = queue.pop();
    if (seen.has(next) || has(next)) continue;
    seen.add(next);
    const commit = await call("GET", `git/commits/${next}`);
    commits.unshift(commit);
    queue.push(...commit.parents.map((parent) => parent.sha));
  }
  for (const commit of commits) await downloadTree(call, commit.tree.sha);
  for (const commit of commits) {
    const parents = commit.parents.map((parent) => `parent ${parent.sha}\n`).join("");
    const people = line("author", commit.author) + line("committer", commit.committer);
    // The emulator ends every message with a new line.
    const message = commit.message.endsWith("\n") ? commit.message : `${commit.message}\n`;
    const text = `tree ${commit.tree.sha}\n${parents}${people}\n${message}`;
    same("commit", commit.sha, git(["hash-object", "-w", "-t", "commit", "--stdin"], text).toString().trim());
  }
}

async function downloadTree(call, root) {
  const trees = [];
  const blobs = new Set();
  for (const queue = [root]; queue.length > 0; ) {
    const sha = queue.pop();
    const { tree } = await call("GET", `git/trees/${sha}`);
    trees.unshift({ sha, tree });
    for (const entry of tree) (entry.type === "tree" ? queue : { push: (of) => blobs.add(of) }).push(entry.sha);
  }
  const directory = mkdtempSync(join(tmpdir(), "fgd-emulate-"));
  const listed = [...blobs].map((sha) => `${sha}\n`).join("");
  const missing = git(["cat-file", "--batch-check"], listed).toString().split("\n").filter((found) => found.endsWith("missing"));
  for (const found of missing) {
    const sha = found.slice(0, 40);
    const { content } = await call("GET", `git/blobs/${sha}`);
    writeFileSync(join(directory, sha), Buffer.from(content, "base64"));
  }
  const files = missing.map((found) => `${join(directory, found.slice(0, 40))}\n`).join("");
  git(["hash-object", "-w", "--no-filters", "--stdin-paths"], files);
  rmSync(directory, { recursive: true });
  // The whole of a tree comes after its parts: a part is found later than what holds it.
  for (const { sha, tree } of trees) {
    const entries = tree.map((entry) => `${entry.mode} ${entry.type} ${entry.sha}\t${entry.path}\0`).join("");
    same("tree", sha, git(["mktree", "-z", "--missing"], entries).toString().trim());
  }
}

async function pull(call) {
  const refs = await call("GET", "git/matching-refs/heads/").catch((error) => {
    if (error.status !== 404 && error.status !== 409) throw error;
    return [];
  });
  for (const { object } of refs) await download(call, object.sha);
  const gone = git(["for-each-ref", "--format=%(refname)", "refs/heads"]).toString().split("\n").filter(Boolean)
    .filter((name) => !refs.some(({ ref }) => ref === name));
  const orders = refs.map(({ ref, object }) => `update ${ref} ${object.sha}\n`).concat(gone.map((name) => `delete ${name}\n`));
  git(["update-ref", "--stdin"], orders.join(""));
}

// --- the server ------------------------------------------------------------------------------------------------------

async function serve(bare, repo, token) {
  process.chdir(bare);
  process.env.GIT_DIR = bare;
  const { createEmulator } = await import("emulate");
  const [owner, name] = repo.split("/");
  const front = createServer();
  const address = `http://127.0.0.1:${await listen(front)}`;
  // The emulator tells its port only when it may name itself too.
  const placeholder = createServer();
  const port = await listen(placeholder);
  await new Promise((closed) => placeholder.close(closed));
  await createEmulator({
    service: "github", port, hostname: "127.0.0.1", baseUrl: address,
    seed: {
      tokens: { [token]: { login: owner, scopes: ["repo", "admin:repo_hook"] } },
      github: {
        users: [{ login: owner, name: owner, email: `${owner}@example.com` }],
        repos: [{ owner, name, private: true, auto_init: false, default_branch: "main" }],
      },
    },
  });
  const call = api(`http://127.0.0.1:${port}`, repo, token);
  let last = Promise.resolve();
  front.on("request", async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { host, connection, "content-length": length, ...headers } = request.headers;
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const path = request.url.replace(/^\/api\/v3\//, "/").replace(/^\/api\/graphql/, "/graphql");
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: request.method, headers, body, redirect: "manual" });
      const content = Buffer.from(await answer.arrayBuffer());
      const moves = request.method !== "GET" && /\/(git\/refs|contents|merge|merges)\b/.test(path);
      if (moves && answer.ok) await (last = last.then(() => pull(call)));
      const kept = [...answer.headers].filter(([name]) => !["content-encoding", "content-length", "transfer-encoding", "connection"].includes(name));
      response.writeHead(answer.status, Object.fromEntries(kept)).end(content);
    } catch (error) {
      console.error(`emulate: ${request.method} ${path}: ${error.stack}`);
      response.writeHead(500).end();
    }
  });
  console.log(JSON.stringify({ address, inner: `http://127.0.0.1:${port}` }));
  process.stdin.on("end", () => process.exit(0)).resume();
}

const listen = (server) => new Promise((listening) => {
  server.listen(0, "127.0.0.1", () => listening(server.address().port));
});

const [command, ...args] = process.argv.slice(2);
const commands = { serve, receive };
await commands[command](...args).catch((error) => {
  console.error(`emulate ${command}: ${error.message}`);
  process.exit(1);
});
