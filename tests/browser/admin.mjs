// The admin panel in a real browser, on a desktop and on a phone: every page as a superuser, as staff with few
// permissions, and as a customer, who may see none; then a day's work with only the keyboard, and without JavaScript.
//
//   npm ci --prefix tests/browser
//   node tests/browser/admin.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { byDate, planWeeks } from "./dates.mjs";
import { byHand, byKeyboard, logIn, withoutScripts } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { behindProxy, call, LOGIN, MANAGER, token, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: admin.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

// An usher at the door, who views shows and bookings, and corrects movies.
const USHER = { username: "usher", password: "Torch-in-the-dark-7" };
const USHERS = ["movies.view", "movies.change", "shows.view", "bookings.view"];

const { inspect, found } = inspector(await picturesIn(screenshots));
await withServer(binary, async (url, command) => {
  await archive(command);
  await planWeeks(command);
  await sell(url);
  await inBrowser(url, "seat plan", VIEWPORTS.desktop, (browser) => drawSeats(browser));
  await inBrowser(url, "keyboard", VIEWPORTS.desktop, (browser) =>
    byKeyboard({ browser, url, inspect, usher: USHER, permissions: USHERS }),
  );
  await inBrowser(url, "no scripts", { ...VIEWPORTS.phone, javaScriptEnabled: false }, (browser) =>
    withoutScripts(browser, url),
  );
  for (const dropsPort of [true, false]) {
    await behindProxy(url, (host) => (dropsPort ? host.split(":")[0] : host), (proxied) =>
      inBrowser(proxied, `proxy, ${dropsPort}`, VIEWPORTS.desktop, (browser) => throughProxy({ browser, inspect, dropsPort })),
    );
  }
  for (const [name, options] of Object.entries(VIEWPORTS)) {
    await inBrowser(url, `by hand, ${name}`, options, (browser) => byHand({ browser, url, inspect, name }));
    await inBrowser(url, `by date, ${name}`, options, (browser) => byDate({ browser, url, inspect, name }));
  }
  // Both sizes at the same time.
  await Promise.all(
    Object.entries(VIEWPORTS).map(async ([name, options]) => {
      let all;
      await inBrowser(url, `superuser, ${name}`, options, async (browser) => {
        all = await walk(browser, `${name}-superuser`, MANAGER, name === "phone");
        await coversEveryRoute(all);
      });
      await inBrowser(url, `staff, ${name}`, options, async (browser) => {
        const some = await walk(browser, `${name}-staff`, USHER, true);
        assert(some.size >= 12 && some.size < all.size, `staff saw ${some.size} kinds of pages`);
        await refusesTheRest(browser, url, `${name}-staff`, all, some);
      });
      await inBrowser(url, `customer, ${name}`, options, (browser) => refusesCustomers(browser, url, name, all));
    }),
  );
});
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("admin.mjs: passed");

// More movies than anyone would look through in a list.
async function archive(command) {
  const movies = Array.from({ length: 60 }, (_, year) => ({ title: `Newsreel ${1930 + year}`, duration_minutes: 12 }));
  const directory = await mkdtemp(join(tmpdir(), "marquee-archive-"));
  const file = join(directory, "movies.json");
  await writeFile(file, JSON.stringify({ movies }));
  command("loaddata", file);
  await rm(directory, { recursive: true });
}

// Adds what the sample data lacks: a hold and an order.
async function sell(url) {
  const access = await token(url);
  const [movie] = await call(url, "GET", "/api/movies/", { access });
  const shows = await call(url, "GET", `/api/movies/${movie.id}/shows/`, { access });
  const show = shows.findLast((show) => show.available_seats === show.total_seats);
  const hold = (seats) => call(url, "POST", `/api/shows/${show.id}/holds/`, { access, body: { seats } });
  const first = await hold([1, 2]);
  await call(url, "POST", `/api/holds/${first.id}/confirm/`, { access, body: {} });
  await hold([5, 6]);
}

// A proxy that drops the port of the Host is named in the refusal; one that passes it on is not noticed.
async function throughProxy({ browser, inspect, dropsPort }) {
  const page = await browser.open("/admin/login/");
  if (dropsPort) browser.expect(403, "/admin/login/");
  await logIn(page, MANAGER);
  const text = await page.getByRole("main").innerText();
  assert.equal(text.includes("proxy_set_header Host $http_host;"), dropsPort, text);
  if (dropsPort) await inspect(page, "proxy-without-port");
}

// Follows all links from the first page on, one of each kind, and inspects each page. Returns a path of each kind. If
// `isBrief`, leaves out filtered lists: with fewer rows they are the same pages.
async function walk(browser, name, account, isBrief) {
  const page = await browser.open("/admin/login/");
  await logIn(page, account);
  const kinds = new Map([["/admin/", "/admin/"]]);
  // The loop also visits entries that are added while it runs.
  for (const [kind, path] of kinds) {
    // Files to download are no pages.
    if (kind.endsWith("?format,ids") || kind.endsWith("/data/") || (isBrief && isNarrowed(kind))) continue;
    const reply = await page.goto(new URL(path, page.url()).href);
    assert.equal(reply.status(), 200, path);
    await inspect(page, `${name}${kind.replaceAll(/[/{}?,]+/g, "-")}`);
    for (const link of await page.evaluate(links)) {
      const next = kindOf(link);
      if (next && !kinds.has(next)) kinds.set(next, link);
    }
  }
  console.log(`${name}: ${kinds.size} kinds of pages`);
  return kinds;
}

// A list that is filtered.
function isNarrowed(kind) {
  return kind.includes("?") && !kind.includes("ids");
}

// Runs in the page: the paths of links and of forms without a secret.
function links() {
  const here = [...document.querySelectorAll("a[href]")].map((link) => link.href);
  for (const form of document.querySelectorAll("form[method=get]")) {
    for (const select of form.querySelectorAll("select")) {
      // A filter by objects of which there are none.
      if (select.options.length < 2) continue;
      here.push(`${location.pathname}?${select.name}=${encodeURIComponent(select.options[1].value)}`);
    }
  }
  const ids = document.querySelector("input[name=ids]")?.value;
  for (const button of document.querySelectorAll("button[form=chosen]")) {
    const format = button.name === "format" ? `&format=${button.value}` : "";
    here.push(`${button.getAttribute("formaction") ?? button.form.action}?ids=${ids}${format}`);
  }
  const paths = here.map((link) => new URL(link, location.href)).filter((link) => link.origin === location.origin);
  return paths.map((link) => link.pathname + link.search);
}

// Returns the kind of a page, which is the same for pages that differ only in their object or in how a list is
// filtered. None for paths outside of the panel, and for lists with two filters.
function kindOf(path) {
  const { pathname, searchParams } = new URL(path, "http://here");
  if (!pathname.startsWith("/admin/")) return undefined;
  const names = [...new Set(searchParams.keys())].filter((name) => name !== "back").sort();
  const isDate = (name) => ["year", "month", "day", "from", "to"].includes(name);
  if (names.length > 1 && !names.every(isDate) && !names.includes("ids")) return undefined;
  return pathname.replace(/\/\d+\//, "/{id}/") + (names.length > 0 ? `?${names}` : "");
}

// Gives a screen a seat plan, so that there are links to its pages. plans.mjs tests the editor.
async function drawSeats(browser) {
  const page = await browser.open("/admin/login/?next=/admin/screens/");
  await logIn(page, MANAGER);
  for (const name of ["No plan yet", "Use Studio, 40 seats", "Save the seat plan"]) {
    const target = page.getByRole(name === "No plan yet" ? "link" : "button", { name, exact: true }).first();
    await Promise.all([page.waitForEvent("load"), target.click()]);
  }
}

// Makes sure that no new page is forgotten: every route was visited, and all required pages of each model.
async function coversEveryRoute(kinds) {
  const router = await readFile(new URL("../../src/router.rs", import.meta.url), "utf8");
  const routes = [...router.matchAll(/\("(\/admin\/[^"]*)", .*get\(/g)].map(([, path]) => path);
  assert(routes.length >= 12, "the router's table was read");
  // Tested elsewhere: requests of scripts and stylesheets, the login page, and the files of seat plans.
  const plans = "/admin/{model}/{id}/plan/export/";
  const others = ["/admin/static/{file}", "/admin/plans/{plan}/places.css", "/admin/{model}/names/", "/admin/login/", plans];
  const paths = [...kinds.keys()].map((kind) => kind.split("?")[0]);
  for (const route of routes.filter((route) => !others.includes(route))) {
    const pattern = new RegExp(`^${route.replace("{id}", "\\{id\\}").replaceAll(/\{(model|action)\}/g, "[a-z_]+")}$`);
    assert(paths.some((path) => pattern.test(path)), `no link leads to ${route}`);
  }
  const models = paths.filter((path) => /^\/admin\/[a-z_]+\/$/.test(path) && !/log|password|door|timetable/.test(path));
  assert(models.length >= 8, `there are lists of ${models}`);
  for (const model of models) {
    for (const page of ["{id}/change/", "{id}/history/", "export/"]) {
      assert(paths.includes(model + page), `no link leads to ${model}${page}`);
    }
  }
}

// Pages that are hidden from staff are refused if they enter the path.
async function refusesTheRest(browser, url, name, all, some) {
  const page = await browser.open("/admin/");
  const rest = [...all].filter(([kind]) => !some.has(kind) && !isNarrowed(kind));
  assert(rest.length >= 20, `${rest.length} kinds of pages are hidden`);
  for (const [kind, path] of rest) {
    browser.expect(403, new URL(path, url).pathname);
    const reply = await page.goto(url + path);
    assert.equal(reply.status(), 403, `${kind} for staff without the permission`);
  }
  await inspect(page, `${name}-refused`);
  console.log(`${name}: ${rest.length} more kinds of pages are refused`);
}

// Customers can't log in, and see nothing.
async function refusesCustomers(browser, url, name, all) {
  browser.expect(403, "/admin/login/");
  const page = await browser.open("/admin/");
  await logIn(page, LOGIN);
  await page.getByRole("alert").waitFor();
  await inspect(page, `${name}-customer`);
  const paths = [...all].filter(([kind]) => !isNarrowed(kind)).map(([, path]) => path);
  for (const path of paths) {
    await page.goto(url + path);
    assert.equal(new URL(page.url()).pathname, "/admin/login/", `${path} for a customer`);
    assert.equal(await page.getByRole("navigation").count(), 0, `${path} shows a customer the way`);
  }
  console.log(`${name}-customer: ${paths.length} kinds of pages are refused`);
}
