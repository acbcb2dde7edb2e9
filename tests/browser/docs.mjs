// The documentation pages in a real browser, on a desk and on a phone: they load nothing from another machine, show
// every operation, and Swagger UI's "Authorize" and "Try it out" work.
//
//   npm ci --prefix tests/browser
//   node tests/browser/docs.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { LOGIN, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: docs.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const VIEWPORTS = {
  desktop: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Chromium has business of its own with its maker, which those above do not stop: it finds no one.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

const profile = await mkdtemp(join(tmpdir(), "marquee-browser-"));
const pictures = screenshots ?? join(profile, "screenshots");
await mkdir(pictures, { recursive: true });
try {
  await withServer(binary, async (url) => {
    const schema = await (await fetch(`${url}/api/schema/?format=json`)).json();
    const operations = Object.values(schema.paths).flatMap((methods) => Object.values(methods));
    assert(operations.length >= 8, "the schema has the contract's operations");
    const login = await fetch(`${url}/api/login/`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(LOGIN),
    });
    const { access } = await login.json();
    const show = await bookableShow(url, access);
    for (const [name, options] of Object.entries(VIEWPORTS)) {
      await inBrowser(url, name, options, async (open) => {
        await swagger(await open("/swagger/"), operations, access, show, name);
        await redoc(await open("/redoc/"), operations, name);
      });
    }
  });
  console.log("docs.mjs: passed");
} finally {
  await rm(profile, { recursive: true, force: true });
}

async function bookableShow(url, access) {
  const get = async (path) =>
    (await fetch(url + path, { headers: { Authorization: `Bearer ${access}` } })).json();
  const movies = await get("/api/movies/");
  const shows = await get(`/api/movies/${movies[0].id}/shows/`);
  return shows.findLast((show) => show.available_seats === show.total_seats);
}

// Gives `test` a function that opens a page, and fails for anything the pages should not have done.
async function inBrowser(url, name, options, test) {
  const netlog = join(profile, `${name}-network.json`);
  const context = await chromium.launchPersistentContext(join(profile, name), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [...ARGUMENTS, `--log-net-log=${netlog}`],
    serviceWorkers: "block",
    ...options,
  });
  const requests = [];
  const faults = [];
  // At the context, so that workers and frames are heard too.
  context.on("request", (request) => requests.push(request.url()));
  context.on("requestfailed", (request) => faults.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  context.on("response", (response) => {
    if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
  });
  context.on("weberror", (error) => faults.push(`page error: ${error.error()}`));
  context.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) faults.push(`console ${message.type()}: ${message.text()}`);
  });
  await context.exposeBinding("reportViolation", (_, text) => faults.push(`policy violated: ${text}`));
  await context.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`),
    ),
  );
  const remote = (urls) =>
    urls.filter((one) => !["data:", "blob:"].includes(new URL(one).protocol) && !one.startsWith(`${url}/`));
  try {
    await test(async (path) => {
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      await page.goto(url + path, { waitUntil: "networkidle" });
      return page;
    });
    assert.deepEqual(remote(requests), [], "requests to other hosts");
    assert.deepEqual(faults, [], "faults in the browser");
    assert(requests.length > 5, "the requests were recorded");
  } finally {
    await context.close();
  }
  const sent = await sentByPages(netlog);
  assert(sent.length >= requests.length / 2, "the network log was read");
  assert.deepEqual(remote(sent), [], "requests to other hosts, by the browser's network log");
  console.log(`${name}: ${requests.length} requests, all to the server itself; no errors, no policy violations`);
}

// The URLs that pages asked for, by Chromium's own log of its network: it leaves nothing out. What the browser asks for
// itself has no initiator.
async function sentByPages(netlog) {
  const log = JSON.parse(await readFile(netlog, "utf8"));
  const start = log.constants.logEventTypes.URL_REQUEST_START_JOB;
  const events = log.events.filter(({ type, params }) => type === start && /^https?:|^null/.test(params?.initiator));
  return events.map(({ params }) => params.url);
}

async function picture(page, name) {
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

// No part of the page lies beyond its right edge.
async function fits(page, what) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert(content <= window, `${what} is ${content} pixels wide on a screen of ${window}`);
}

async function swagger(page, operations, access, show, name) {
  for (const { operationId, summary } of operations) {
    await page.locator(`[id$="-${operationId}"] .opblock-summary`).getByText(summary, { exact: true }).waitFor();
  }
  await fits(page, "Swagger UI");
  await picture(page, `swagger-${name}`);

  await page.locator(".auth-wrapper .authorize").click();
  const dialog = page.locator(".dialog-ux");
  await dialog.locator("input").fill(access);
  await picture(page, `swagger-${name}-authorize`);
  await dialog.locator("button.authorize").click();
  await dialog.locator("button.btn-done").click();

  const listed = await execute(page, "list_movies", 200, name);
  assert(Array.isArray(listed) && listed.length >= 6, "the movies are shown");
  const booked = await execute(page, "book_seat", 201, name, async (block) => {
    await block.locator('tr[data-param-name="show_id"] input').fill(String(show.id));
    const seat = name === "phone" ? 2 : 1;
    await block.locator("textarea").fill(JSON.stringify({ seat_number: seat }));
  });
  assert.equal(booked.show, show.id);
  assert.equal(booked.status, "booked");
  await fits(page, "Swagger UI with replies");
  console.log(`${name}: Swagger UI shows ${operations.length} operations; Authorize and Execute work`);
}

// Opens an operation, runs it, and gives the body of the live reply.
async function execute(page, operationId, status, name, fill = async () => {}) {
  const block = page.locator(`[id$="-${operationId}"]`);
  await block.locator(".opblock-summary-control").click();
  await fill(block);
  await block.locator("button.execute").click();
  const live = block.locator(".live-responses-table");
  await live.waitFor();
  assert.equal((await live.locator("tbody .response-col_status").first().innerText()).trim(), String(status));
  const body = await live.locator(".response-col_description .highlight-code code").first().innerText();
  await block.scrollIntoViewIfNeeded();
  await live.scrollIntoViewIfNeeded();
  await picture(page, `swagger-${name}-${operationId}`);
  return JSON.parse(body);
}

async function redoc(page, operations, name) {
  for (const { operationId, summary } of operations) {
    await page.locator(`[id$="/${operationId}"]`).getByRole("heading", { name: summary }).first().waitFor();
  }
  await fits(page, "ReDoc");
  await picture(page, `redoc-${name}`);
  await page.locator('[id$="/book_seat"]').first().scrollIntoViewIfNeeded();
  await picture(page, `redoc-${name}-book_seat`);
  const search = page.locator('[role="search"] input');
  const searchable = await search.isVisible();
  if (searchable) {
    await search.fill("cancel");
    await page.locator('[data-role="search:results"] li').first().waitFor();
    const found = await page.locator('[data-role="search:results"]').innerText();
    assert.match(found, /Cancel a booking/);
    await picture(page, `redoc-${name}-search`);
  }
  console.log(`${name}: ReDoc shows ${operations.length} operations${searchable ? "; search works" : ""}`);
}
