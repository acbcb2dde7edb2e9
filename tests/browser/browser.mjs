// Chromium as the tests use it: two sizes of screen, no way out of this machine, and whatever a page should not have done
// is a fault.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const VIEWPORTS = {
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

// Runs `test` with a browser of its own, and fails for anything its pages should not have done. `test` gets:
// - context: Playwright's;
// - open(path): a new page, there;
// - expect(what, path): this is no fault there: a status as 403, or "aborted".
export async function inBrowser(url, name, options, test) {
  const profile = await mkdtemp(join(tmpdir(), "marquee-browser-"));
  try {
    await withProfile(profile, url, name, options, test);
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

async function withProfile(profile, url, name, options, test) {
  const netlog = join(profile, "network.json");
  const context = await chromium.launchPersistentContext(join(profile, "profile"), {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: [...ARGUMENTS, `--log-net-log=${netlog}`],
    serviceWorkers: "block",
    ...options,
  });
  const requests = [];
  const faults = [];
  const expected = new Set();
  const fault = (what, at, text) => {
    if (!expected.has(`${what} ${new URL(at).pathname}`)) faults.push(text);
  };
  // At the context, so that workers and frames are heard too.
  context.on("request", (request) => requests.push(request.url()));
  context.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    fault(why === "net::ERR_ABORTED" ? "aborted" : why, request.url(), `failed: ${request.url()} ${why}`);
  });
  context.on("response", (response) => {
    const [status, at] = [response.status(), response.url()];
    if (status >= 400) fault(status, at, `${status}: ${at}`);
  });
  context.on("weberror", (error) => faults.push(`page error: ${error.error()}`));
  context.on("console", (message) => {
    // The response was heard above.
    if (message.text().startsWith("Failed to load resource: the server responded with a status of")) return;
    if (["error", "warning"].includes(message.type())) faults.push(`console ${message.type()}: ${message.text()}`);
  });
  await context.exposeBinding("reportViolation", (_, text) => faults.push(`policy violated: ${text}`));
  await context.addInitScript(() =>
    document.addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`${event.violatedDirective} ${event.blockedURI} on ${location}`),
    ),
  );
  const remote = (urls) =>
    urls.filter((one) => !["data:", "blob:"].includes(new URL(one).protocol) && !one.startsWith(`${url}/`));
  try {
    await test({
      context,
      expect: (what, path) => expected.add(`${what} ${path}`),
      open: async (path) => {
        const page = await context.newPage();
        page.setDefaultTimeout(20_000);
        await page.goto(url + path, { waitUntil: "networkidle" });
        return page;
      },
    });
    assert.deepEqual(remote(requests), [], "requests to other hosts");
    assert.deepEqual(faults, [], "faults in the browser");
    assert(requests.length > 5, "the requests were recorded");
  } catch (error) {
    if (faults.length > 0) console.error(`${name}: faults in the browser so far:`, faults);
    throw error;
  } finally {
    await context.close();
  }
  const sent = await sentByPages(netlog);
  assert(sent.some((one) => one.startsWith(`${url}/`)), "the network log was read");
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

// No part of the page lies beyond its right edge.
export async function fits(page, what) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert(content <= window, `${what} is ${content} pixels wide on a screen of ${window}`);
}

// Takes pictures of pages, into this directory; without one, none.
export async function picturesIn(directory) {
  if (!directory) return async () => {};
  await mkdir(directory, { recursive: true });
  return (page, name, options = {}) => page.screenshot({ path: join(directory, `${name}.png`), ...options });
}
