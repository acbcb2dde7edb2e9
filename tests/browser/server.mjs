// Starts a server for a test, and stops it.
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

// The sample data's customer and manager.
export const LOGIN = { username: "demo", password: "Demo-Matinee-42" };
export const MANAGER = { username: "admin", password: "Demo-Projector-42" };

// Runs `test(url, command, database)` with a fresh server that has the sample data; `command(...words)` runs another
// command of the program on the same database, which is the file `database`.
export async function withServer(binary, test) {
  const directory = await mkdtemp(join(tmpdir(), "marquee-test-"));
  const database = join(directory, "test.sqlite3");
  const env = {
    ...process.env,
    SECRET_KEY: "a key for tests only, of more than fifty characters, 0123456789",
    DATABASE_URL: `sqlite://${database}`,
    LOG_LEVEL: "warn",
    TIME_ZONE: inTheMorning(),
  };
  const options = { cwd: directory, env, stdio: ["ignore", "pipe", "inherit"] };
  const server = spawn(resolve(binary), ["serve", "--demo", "--bind", "127.0.0.1:0"], options);
  const ended = new Promise((resolve) => server.once("close", resolve));
  try {
    const url = await new Promise((resolve, reject) => {
      server.once("error", reject);
      ended.then((status) => reject(new Error(`the server did not start (exit status ${status})`)));
      createInterface(server.stdout).on("line", (line) => {
        const found = /Listening on (http:\/\/\S+)/.exec(line);
        if (found) resolve(found[1]);
      });
    });
    await test(url, (...words) => execFileSync(resolve(binary), words, options), database);
  } finally {
    server.kill();
    await ended;
    await rm(directory, { recursive: true, force: true });
  }
}

// Runs `test(url)` behind a proxy that passes on `host(host)` as the Host. It leaves out the headers that browsers send
// only to HTTPS and to their own machine.
export async function behindProxy(url, host, test) {
  const proxy = createServer((asked, reply) => {
    const { "sec-fetch-site": _, ...headers } = asked.headers;
    const options = { method: asked.method, headers: { ...headers, host: host(headers.host) } };
    const onward = request(url + asked.url, options, (answer) => {
      reply.writeHead(answer.statusCode, answer.headers);
      answer.pipe(reply);
    });
    asked.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  try {
    await test(`http://127.0.0.1:${proxy.address().port}`);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
}

// A time zone in which it is between eight and nine in the morning, so that the sample has shows today.
export function inTheMorning() {
  const ahead = ((8 - new Date().getUTCHours() + 35) % 24) - 11;
  // The signs in these names are reversed.
  return ahead < 0 ? `Etc/GMT+${-ahead}` : `Etc/GMT-${ahead}`;
}

// Sends a request to the API and returns the answer; with a token, as its user.
export async function call(url, method, path, { body, access } = {}) {
  const headers = { "Content-Type": "application/json", ...(access && { Authorization: `Bearer ${access}` }) };
  const reply = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
  return reply.json();
}

// A token of the sample data's customer.
export async function token(url) {
  return (await call(url, "POST", "/api/login/", { body: LOGIN })).access;
}
