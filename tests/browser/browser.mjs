// Chromium as the tests use it: two screen sizes, no access to other machines, and anything that a page should not do
// counts as a fault.
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
  // Chromium contacts its maker, which the options above do not prevent: let it find no host.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

// Runs `test` with a browser of its own, and fails if its pages did anything they should not. `test` gets:
// - context: Playwright's;
// - open(path): opens a page there;
// - expect(what, path): a status such as 403, or "aborted", that is not a fault there.
// `options` are Playwright's, and `also`: the URL of another server that pages may use.
export async function inBrowser(url, name, options, test) {
  const profile = await mkdtemp(join(tmpdir(), "marquee-browser-"));
  try {
    await withProfile(profile, url, name, options, test);
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

async function withProfile(profile, url, name, { also = url, ...options }, test) {
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
  // On the context, so that workers and frames are included.
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
    // The response was handled above.
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
    urls.filter((one) => !["data:", "blob:"].includes(new URL(one).protocol)).filter((one) => ![url, also].some((own) => one.startsWith(`${own}/`)));
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

// The URLs that pages requested, from Chromium's own network log, which leaves nothing out. The browser's own requests
// have no initiator.
async function sentByPages(netlog) {
  const log = JSON.parse(await readFile(netlog, "utf8"));
  const start = log.constants.logEventTypes.URL_REQUEST_START_JOB;
  const events = log.events.filter(({ type, params }) => type === start && /^https?:|^null/.test(params?.initiator));
  return events.map(({ params }) => params.url);
}

// Checks that the page is not wider than the screen.
export async function fits(page, what) {
  const [content, window] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert(content <= window, `${what} is ${content} pixels wide on a screen of ${window}`);
}

// Takes screenshots of pages into this directory, if there is one.
export async function picturesIn(directory) {
  if (!directory) return async () => {};
  await mkdir(directory, { recursive: true });
  return (page, name, options = {}) => page.screenshot({ path: join(directory, `${name}.png`), ...options });
}
