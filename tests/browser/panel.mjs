// What the panel promises to staff, in a real browser, on a desktop and on a phone: nothing typed is lost, all objects
// are found and linked, an action says what it touches, and lists can be printed, exported and used with a finger. Lists
// by date are in dates.mjs, which admin.mjs runs.
//
//   npm ci --prefix tests/browser
//   node tests/browser/panel.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { asPdf, dayAfter } from "./dates.mjs";
import { logIn } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { call, inTheMorning, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: panel.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const PASSWORD = "Lamp-over-the-stage-6";
const TODAY = new Date().toLocaleDateString("sv", { timeZone: inTheMorning() });
const HEBREW = "שלום 2";
const CINEMA = "Kino Ödland";

// The movie, the screen and the day of the shows that are used on one size of screen.
const movieOf = (name) => `Ödland Orchard (${name})`;
const screenOf = (name) => `Palace ${name}`;
const DAYS = { desktop: "2034-03-06", phone: "2034-04-03", quiet: "2034-05-01" };

const STEPS = [
  asksForThePassword,
  savesOnce,
  logsInTwice,
  showsTheBoard,
  finds,
  leadsBothWays,
  warnsOfShows,
  saysWhatIsTouched,
  tellsWhoDidIt,
  isolatesTitles,
  collapsesFilters,
  scrollsResults,
  prints,
  exports,
  listsForTheDoor,
  erases,
];

const link = (page, name) => page.getByRole("link", { name, exact: true });
const button = (page, name) => page.getByRole("button", { name, exact: true });
const main = (page) => page.getByRole("main");
const rows = (page) => page.locator("table.list tbody tr");
const confirm = (page) => follow(page, main(page).locator(".buttons").getByRole("button"));

// Clicks on what leads to another page, and waits for it.
async function follow(page, target) {
  await Promise.all([page.waitForEvent("load"), target.click()]);
}

async function told(page, pattern) {
  const message = page.getByRole("status").filter({ hasText: pattern }).first();
  await message.waitFor();
  await page.waitForLoadState();
  return message;
}

Object.assign(process.env, {
  CINEMA_NAME: CINEMA,
  BUSINESS_DAY_STARTS_AT: "05:00",
  MARQUEE_SUPERUSER_PASSWORD: PASSWORD,
});
const { inspect, found } = inspector(await picturesIn(screenshots));
await withServer(binary, async (url, command) => {
  await plan(command);
  const sizes = Object.entries(VIEWPORTS).map(([name, options]) =>
    inBrowser(url, `panel, ${name}`, options, async (browser) => {
      const work = { browser, url, inspect, name, account: manager(command, name) };
      work.page = await browser.open("/admin/login/");
      await logIn(work.page, work.account);
      for (const step of STEPS) await step(work);
    }),
  );
  const quiet = { ...VIEWPORTS.phone, javaScriptEnabled: false };
  const scriptless = inBrowser(url, "panel, no scripts", quiet, (browser) =>
    withoutScripts({ browser, url, name: "quiet", account: manager(command, "quiet") }),
  );
  await Promise.all([...sizes, scriptless]);
});
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("panel.mjs: passed");

// Each size has an administrator of its own, since a test ends all sessions of its user.
function manager(command, name) {
  const username = `manager_${name}`;
  command("createsuperuser", "--noinput", "--username", username, "--email", `${username}@example.com`);
  return { username, password: PASSWORD };
}

async function plan(command) {
  const names = Object.keys(DAYS);
  const movies = [
    ...Array.from({ length: 60 }, (_, year) => [`Newsreel ${1930 + year}`, 12]),
    ...names.map((name) => [movieOf(name), 90]),
    ["All Night Long", 300],
    ["Past Midnight", 60],
    [HEBREW, 80],
    ["=1+1; a sum, twice", 61],
    ["-40 °C, a winter", 62],
  ].map(([title, duration_minutes]) => ({ title, duration_minutes }));
  const show = (movie, screen, date_time) => ({ movie, screen, date_time, total_seats: 40 });
  const shows = [
    ...names.flatMap((name) =>
      ["17:00", "19:00"].map((time) => show(movieOf(name), screenOf(name), `${DAYS[name]}T${time}:00`)),
    ),
    // It began before the business day, and is still running.
    show("All Night Long", "Cellar", `${TODAY}T04:30:00`),
    // The first belongs to yesterday, the second to today.
    show("Past Midnight", "Cellar", `${TODAY}T00:15:00`),
    show("Past Midnight", "Cellar", `${dayAfter(TODAY, 1)}T00:15:00`),
    show(HEBREW, "Cellar", `${DAYS.desktop}T21:00:00`),
  ];
  const screens = [...names.map(screenOf), "Cellar"].map((name) => ({ name }));
  const directory = await mkdtemp(join(tmpdir(), "marquee-panel-"));
  const file = join(directory, "plan.json");
  await writeFile(file, JSON.stringify({ movies, screens, shows }));
  command("loaddata", file);
  await rm(directory, { recursive: true });
}

// Ends all sessions of a user, from another device.
async function endSessions(url, account) {
  const cookies = new Map();
  const send = async (path, fields) => {
    const headers = { Cookie: [...cookies].map((pair) => pair.join("=")).join("; ") };
    const body = fields && new URLSearchParams(fields);
    const reply = await fetch(url + path, { method: fields ? "POST" : "GET", headers, body, redirect: "manual" });
    for (const cookie of reply.headers.getSetCookie()) cookies.set(...cookie.split(";")[0].split(/=(.*)/s, 2));
    return /name="csrf" value="([^"]+)"/.exec(await reply.text())?.[1];
  };
  await send("/admin/login/", { ...account, csrf: await send("/admin/login/") });
  await send("/admin/logout/", { everywhere: 1, csrf: await send("/admin/") });
}

// Returns how many movies have this title.
async function movies(page, url, title) {
  await page.goto(`${url}/admin/movies/?q=${encodeURIComponent(title)}`);
  return link(page, title).count();
}

// The session ends while a form is open.
async function asksForThePassword({ browser, page, url, inspect, name, account }) {
  const title = `A "long" <b>evening</b>, ${name}`;
  await page.goto(`${url}/admin/movies/add/`);
  await page.locator("#title").fill(title);
  await page.getByLabel("Running time").fill("101");
  await endSessions(url, account);
  browser.expect(403, "/admin/movies/add/");
  browser.expect(403, "/admin/login/");
  await follow(page, button(page, "Save"));
  await told(page, "Nothing was saved yet");
  await inspect(page, `${name}-kept`);
  await logIn(page, { ...account, password: "not the password" });
  await page.getByRole("alert").filter({ hasText: "correct username and password" }).waitFor();
  await page.getByLabel("Password").fill(account.password);
  await follow(page, button(page, "Log in"));
  await told(page, title);
  assert.equal(await movies(page, url, title), 1, "the movie is saved once");
}

// The second click of a double click sends nothing, even if the server is slow.
async function savesOnce({ page, url, name }) {
  const title = `Twice, ${name}`;
  await page.goto(`${url}/admin/movies/add/`);
  await page.locator("#title").fill(title);
  await page.getByLabel("Running time").fill("99");
  let sent = 0;
  const slowly = async (route) => {
    if (route.request().method() === "POST") sent++;
    await new Promise((resolve) => setTimeout(resolve, 400));
    await route.continue();
  };
  await page.route("**/admin/movies/add/", slowly);
  await button(page, "Save").dblclick({ delay: 80 });
  await told(page, title);
  await page.unroute("**/admin/movies/add/", slowly);
  assert.equal(sent, 1, "requests of a double click");
  assert.equal(await movies(page, url, title), 1, "a double click");
}

// Two tabs show the login form, and a third has a form from before the login.
async function logsInTwice({ browser, page, url, inspect, name, account }) {
  const title = `Before the login, ${name}`;
  await page.goto(`${url}/admin/movies/add/`);
  await page.locator("#title").fill(title);
  await page.getByLabel("Running time").fill("98");
  await endSessions(url, account);
  const [one, two] = [await browser.open("/admin/movies/"), await browser.open("/admin/screens/")];
  await logIn(one, account);
  assert.equal(new URL(one.url()).pathname, "/admin/movies/");
  await logIn(two, account);
  assert.equal(new URL(two.url()).pathname, "/admin/screens/");
  assert(await main(two).getByRole("heading", { name: "Screens" }).isVisible());
  await one.close();
  await two.close();
  await follow(page, button(page, "Save"));
  await page.getByRole("heading", { name: "Send the form again" }).waitFor();
  assert(await main(page).getByText(title).isVisible(), "the entries are shown");
  await inspect(page, `${name}-again`);
  await follow(page, button(page, "Send again"));
  await told(page, title);
  assert.equal(await movies(page, url, title), 1);
}

async function showsTheBoard({ page, url, inspect, name }) {
  await page.goto(`${url}/admin/`);
  assert.equal(await page.locator(".brand").innerText(), CINEMA);
  const today = page.getByRole("region", { name: /^Today/ }).first();
  const shown = await today.locator("tbody tr").allInnerTexts();
  assert.match(shown.find((row) => row.includes("All Night Long")) ?? "", /04:30[^]*Running/);
  assert.equal(shown.filter((row) => row.includes("Past Midnight")).length, 1, "a show after midnight, of this day");
  const cut = await today.locator("tbody td:nth-child(4) a").evaluateAll((sold) =>
    sold.filter((one) => one.getBoundingClientRect().right > one.closest(".table").getBoundingClientRect().right),
  );
  assert.equal(cut.length, 0, "the sold seats are visible without scrolling");
  await inspect(page, `${name}-board`);
  await follow(page, page.getByRole("link", { name: /shows today$/ }));
  const begins = await page.locator("table.list time").allInnerTexts();
  assert(begins.some((time) => time.endsWith(`${dayAfter(TODAY, 1)} 00:15`)), `${begins}`);
  assert(!begins.some((time) => time.endsWith(`${TODAY} 00:15`)), `${begins}`);
}

// Two customers: one with an order of three seats, of which the last is cancelled, and one with a single seat.
async function sell(work) {
  const { url, name } = work;
  const customer = async (who) => {
    const account = { username: `${who}_${name}`, email: `${who}@${name}.example`, password: PASSWORD };
    await call(url, "POST", "/api/signup/", { body: { ...account, password2: PASSWORD } });
    const { access } = await call(url, "POST", "/api/login/", { body: account });
    return { ...account, access };
  };
  work.mara = await customer("mara");
  work.otto = await customer("otto");
  const { access } = work.mara;
  const all = await call(url, "GET", "/api/movies/", { access });
  const movie = all.find(({ title }) => title === movieOf(name));
  [work.show] = await call(url, "GET", `/api/movies/${movie.id}/shows/`, { access });
  const hold = await call(url, "POST", `/api/shows/${work.show.id}/holds/`, { access, body: { seats: [1, 2, 3] } });
  work.order = await call(url, "POST", `/api/holds/${hold.id}/confirm/`, { access, body: {} });
  await call(url, "POST", `/api/bookings/${work.order.bookings[2].id}/cancel/`, { access });
  const body = { seat_number: 9 };
  await call(url, "POST", `/api/shows/${work.show.id}/book/`, { access: work.otto.access, body });
}

// Words in any order, letter case and form, and codes by either half.
async function finds(work) {
  const { page, url, name } = work;
  await sell(work);
  const [half, other] = work.order.code.toLowerCase().split("-");
  for (const [model, words, count] of [
    ["movies", `orchard odl ${name}`, 1],
    ["movies", `${name} ORCHARD`, 1],
    ["movies", "rchard", 0],
    ["bookings", `orch mara ${name}`, 3],
    ["bookings", `mara@${name}`, 3],
    ["orders", half, 1],
    ["orders", other, 1],
    ["orders", `${half} ${other}`, 1],
    ["orders", `${half} otto`, 0],
  ]) {
    await page.goto(`${url}/admin/${model}/`);
    await page.getByLabel("Search").fill(words);
    await page.getByLabel("Search").press("Enter");
    await page.waitForURL(/q=/);
    assert.equal(await rows(page).count(), count, `${model}: ${words}`);
  }
}

// From a show to its bookings, an order, its customer, and back.
async function leadsBothWays({ page, url, inspect, name, show, order, mara }) {
  await page.goto(`${url}/admin/shows/${show.id}/change/`);
  await follow(page, main(page).locator(`a[href="/admin/bookings/?show=${show.id}"]`).first());
  assert.equal(await rows(page).count(), 4);
  await follow(page, rows(page).getByRole("link", { name: order.code }).first());
  const seats = main(page).locator(".inline tbody tr");
  const texts = await seats.allInnerTexts();
  assert.equal(texts.filter((text) => text.includes("Booked")).length, 2, `${texts}`);
  assert.equal(texts.filter((text) => text.includes("Cancelled")).length, 1, `${texts}`);
  await inspect(page, `${name}-order`);
  await follow(page, seats.first().getByRole("link").first());
  await follow(page, link(page, order.code).first());
  await follow(page, main(page).getByRole("link", { name: mara.username }).first());
  assert.match(page.url(), /\/admin\/users\/\d+\/change\//);
  await follow(page, main(page).locator('a[href^="/admin/orders/?user="]').first());
  assert.equal(await rows(page).count(), 1);
  await follow(page, main(page).locator(`table.list a[href^="/admin/shows/${show.id}/change/"]`).first());
  assert.equal(new URL(page.url()).pathname, `/admin/shows/${show.id}/change/`);
}

// A longer movie runs into its next show.
async function warnsOfShows({ browser, page, url, inspect, name }) {
  await page.goto(`${url}/admin/movies/?q=orchard+${name}`);
  await follow(page, link(page, movieOf(name)));
  browser.expect(409, new URL(page.url()).pathname);
  await page.getByLabel("Running time").fill("150");
  await follow(page, button(page, "Save"));
  assert.match(await page.getByRole("alert").innerText(), /would last until \d{4}-\d\d-\d\d 19:30/);
  await inspect(page, `${name}-longer`);
  await page.getByLabel("Save it anyway").check();
  await follow(page, button(page, "Save"));
  await told(page, movieOf(name));
}

// Before an action and after it.
async function saysWhatIsTouched({ page, url, inspect, name, show }) {
  const list = `/admin/shows/?q=orchard+${name}`;
  await page.goto(url + list);
  const box = rows(page).locator(`input[value="${show.id}"]`);
  await box.check();
  await follow(page, button(page, "Close sales"));
  await confirm(page);
  await told(page, "Done: 1 show.");
  await box.check();
  await follow(page, button(page, "Reopen sales"));
  await confirm(page);
  await told(page, "Done: 1 show.");

  await box.check();
  await follow(page, button(page, "Cancel shows…"));
  const asked = await main(page).innerText();
  assert.match(asked, /This cancels 3 seats in 2 orders of 2 customers\./);
  assert.match(asked, /Customers are not notified/);
  await inspect(page, `${name}-touched`);
  await confirm(page);
  const message = await told(page, "Done: 1 show.");
  assert.equal(new URL(page.url()).search, new URL(url + list).search, "back at the list");
  await inspect(page, `${name}-done`);
  await follow(page, message.getByRole("link").first());
  const notice = page.getByRole("note").filter({ hasText: "This show was cancelled on" });
  const [above, form] = [await notice.boundingBox(), await page.locator("form.object").boundingBox()];
  assert(above.y < form.y, "it says so at the top");
  assert.equal(await page.getByRole("link", { name: /Cancel shows|Close sales/ }).count(), 0, "only what can apply");
  await inspect(page, `${name}-show-cancelled`);
}

async function tellsWhoDidIt({ page, url, inspect, name, order, account, mara }) {
  const history = async (booking) => {
    await page.goto(`${url}/admin/bookings/${booking.id}/history/`);
    return page.locator("table.log tbody tr").first().innerText();
  };
  assert.match(await history(order.bookings[2]), new RegExp(`${mara.username}, the customer[^]*Cancelled`));
  assert.match(await history(order.bookings[0]), new RegExp(`${account.username}[^]*The show was cancelled`));

  await page.goto(`${url}/admin/log/`);
  await page.getByLabel("User").fill(account.username);
  await page.getByLabel("What").selectOption({ label: "Shows" });
  await page.getByLabel("From").fill(TODAY);
  await follow(page, button(page, "Search"));
  await page.waitForURL(/who=/);
  const log = page.locator("table.log tbody tr");
  const actions = await log.locator("td:nth-child(5)").allInnerTexts();
  assert.deepEqual(actions, ["Cancelled", "Sales reopened", "Sales closed"]);
  await inspect(page, `${name}-log`);
  await asPdf(page, [`User: ${account.username}`, "What: Shows", `From: ${TODAY}`, "Before and after", "Sales reopened"]);
  await page.getByLabel("Action").selectOption({ label: "Sales closed" });
  await follow(page, button(page, "Search"));
  await page.waitForURL(/action=close/);
  assert.equal(await log.count(), 1);
  await page.getByLabel("From").fill(dayAfter(TODAY, 1));
  await follow(page, button(page, "Search"));
  await page.getByText("No changes match.").waitFor();
}

// A title from right to left stays left of the date that follows it.
async function isolatesTitles({ page, url, name }) {
  await page.goto(`${url}/admin/shows/?q=${encodeURIComponent(HEBREW)}`);
  await follow(page, rows(page).getByRole("link").first());
  const heading = page.getByRole("heading", { level: 1 });
  const places = await heading.evaluate((element, title) => {
    const text = element.firstChild;
    const left = (words) => {
      const range = document.createRange();
      const at = text.data.indexOf(words);
      range.setStart(text, at);
      range.setEnd(text, at + words.length);
      return range.getBoundingClientRect().left;
    };
    return [title, "2034-03-06"].map(left);
  }, HEBREW);
  assert(places[0] < places[1], `the title at ${places[0]}, the date at ${places[1]}`);
}

// On a phone, filters take no room until they are used.
async function collapsesFilters({ page, url, inspect, name }) {
  await page.goto(`${url}/admin/bookings/`);
  const status = page.getByLabel("Status");
  const summary = page.locator("summary").filter({ hasText: "Filters" });
  if (name === "desktop") {
    assert(await status.isVisible());
    assert(!(await summary.isVisible()), "nothing to open");
    return;
  }
  assert(!(await status.isVisible()), "the filters are collapsed");
  const first = await rows(page).first().boundingBox();
  assert(first.y < VIEWPORTS.phone.viewport.height, `the list begins on the first screen, not at ${first.y}`);
  await inspect(page, `${name}-collapsed`);
  await summary.tap();
  await status.selectOption("cancelled");
  await follow(page, button(page, "Search"));
  await page.waitForURL(/status=cancelled/);
  assert(await status.isVisible(), "filters in use are shown");
}

// A finger scrolls the results of a look-up without choosing one; a tap chooses.
async function scrollsResults({ browser, page, url, name, inspect }) {
  await page.goto(`${url}/admin/shows/add/`);
  const field = page.getByRole("combobox", { name: /^Movie/ });
  await field.click();
  await field.fill("newsreel");
  const list = page.getByRole("listbox");
  const options = list.getByRole("option");
  await options.first().waitFor();
  await inspect(page, `${name}-results`);
  if (name === "phone") {
    const { x, y, width, height } = await list.boundingBox();
    const finger = await browser.context.newCDPSession(page);
    const touch = (type, down) => {
      const touchPoints = down === undefined ? [] : [{ x: x + width / 2, y: y + height - 20 - down }];
      return finger.send("Input.dispatchTouchEvent", { type, touchPoints });
    };
    await touch("touchStart", 0);
    for (let down = 10; down <= height - 40; down += 10) await touch("touchMove", down);
    await touch("touchEnd");
    await finger.detach();
    assert((await list.evaluate((list) => list.scrollTop)) > 50, "the list scrolls");
    assert(await list.isVisible(), "the list stays open");
    assert.equal(await field.inputValue(), "newsreel", "nothing is chosen");
  }
  const last = options.last();
  const chosen = await last.innerText();
  await (name === "phone" ? last.tap() : last.click());
  assert.equal(await field.inputValue(), chosen);
  assert(!(await list.isVisible()));
}

// A list and a form on paper, with all columns and the filters that are set.
async function prints({ page, url, inspect, name, order }) {
  await page.goto(`${url}/admin/bookings/?status=cancelled&q=${name}+orchard`);
  const all = ["Order", "Customer", "Show", "Begins", "Screen", "Seat", "Status", "Booked", "Number"];
  const texts = ["Status: Cancelled", `Search: ${name} orchard`, CINEMA, ...order.code.split("-"), ...all];
  await asPdf(page, texts);
  await follow(page, link(page, "Print"));
  await inspect(page, `${name}-print`);
  await asPdf(page, texts);
  await follow(page, link(page, "Back to the list"));
  await follow(page, rows(page).getByRole("link", { name: order.code }).first());
  await asPdf(page, [...order.code.split("-"), "Customer", "Show", "Status", "Created", "Seat", "Cancelled"]);
}

// In each dialect, with dates as dates, and no cell that is a formula.
async function exports({ browser, page, url }) {
  browser.expect("aborted", "/admin/movies/export/");
  const file = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), button(page, name).click()]);
    return readFile(await download.path(), "utf8");
  };
  const read = async (words) => {
    await page.goto(`${url}/admin/movies/?q=${words}`);
    const formats = ["CSV with commas", "CSV with semicolons", "JSON"];
    const files = [];
    for (const format of formats) files.push(await file(`Export as ${format}`));
    return files;
  };
  const [commas, semicolons, json] = await read("sum");
  assert(commas.startsWith('\ufeff"Number","Title",'), commas);
  assert(semicolons.startsWith('\ufeff"Number";"Title";'), semicolons);
  assert.match(commas, /,"'=1\+1; a sum, twice",/);
  assert.match(semicolons, /;"'=1\+1; a sum, twice";/);
  assert.equal(JSON.parse(json)[0].title, "=1+1; a sum, twice");
  const [evening] = await read("Newsreel+1931");
  assert.match(evening, /,"Newsreel 1931",/);
}

// The seats of a show, in their order, with the customer and the code.
async function listsForTheDoor({ page, url, name, show, order, otto }) {
  await page.goto(`${url}/admin/shows/?q=orchard+${name}&o=-begins`);
  const second = await rows(page).locator(`input[name=ids]:not([value="${show.id}"])`).first().inputValue();
  await call(url, "POST", `/api/shows/${second}/book/`, { access: otto.access, body: { seat_number: 12 } });
  await page.goto(`${url}/admin/shows/${second}/change/`);
  await follow(page, link(page, "Door list"));
  assert.match(await page.locator("section.door tbody tr").innerText(), new RegExp(`^12\\s+${otto.username}\\s`));
  await asPdf(page, [otto.username, movieOf(name), "Seat", "Customer", "Order"]);
  assert(!(await main(page).innerText()).includes(order.code), "only this show");
}

// Refused while a show is booked; afterwards the name is nowhere, and the orders stay.
async function erases({ browser, page, url, inspect, name, otto, account }) {
  await page.goto(`${url}/admin/users/?q=${otto.username}`);
  await follow(page, link(page, otto.username));
  const user = /\d+/.exec(new URL(page.url()).pathname)[0];
  browser.expect("aborted", `/admin/users/${user}/data/`);
  const [download] = await Promise.all([page.waitForEvent("download"), link(page, "Download personal data").click()]);
  const data = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.equal(data.account.email, otto.email);
  const erase = async (isFirst) => {
    await page.goto(`${url}/admin/users/${user}/change/`);
    await follow(page, link(page, "Erase personal data…"));
    if (isFirst) await inspect(page, `${name}-erase`);
    await confirm(page);
  };
  await erase(true);
  await told(page, /has seats in a coming show/);
  const booked = await call(url, "GET", "/api/my-bookings/", { access: otto.access });
  for (const { id } of booked.filter(({ status }) => status === "booked")) {
    await call(url, "POST", `/api/bookings/${id}/cancel/`, { access: otto.access });
  }
  await erase(false);
  await told(page, "Done: 1 user.");
  await inspect(page, `${name}-erased`);
  for (const path of [`users/?q=${otto.username}`, `bookings/?q=${otto.username}`]) {
    await page.goto(`${url}/admin/${path}`);
    await page.getByText("Nothing matches.").waitFor();
  }
  await page.goto(`${url}/admin/orders/?user=${user}`);
  assert.equal(await rows(page).count(), 2, "the orders stay");
  assert((await rows(page).first().innerText()).includes(`erased-${user}`));
  await page.goto(`${url}/admin/log/?who=${account.username}&model=users`);
  assert(!(await main(page).innerText()).includes(otto.username), "the history has a pseudonym");
}

// The same promises without JavaScript, on a phone.
async function withoutScripts({ browser, url, name, account }) {
  const page = await browser.open("/admin/movies/add/");
  await logIn(page, account);
  const fill = async (title) => {
    await page.goto(`${url}/admin/movies/add/`);
    await page.locator("#title").fill(title);
    await page.getByLabel("Running time").fill("90");
  };
  await fill("Kept without scripts");
  await endSessions(url, account);
  browser.expect(403, "/admin/movies/add/");
  await follow(page, button(page, "Save"));
  await told(page, "Nothing was saved yet");
  await logIn(page, account);
  await follow(page, button(page, "Send again"));
  await told(page, "Kept without scripts");

  // Here nothing stops the second click.
  const title = "Twice without scripts";
  await fill(title);
  const sent = page.waitForRequest((request) => request.method() === "POST");
  await follow(page, button(page, "Save"));
  await told(page, title);
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const second = await browser.context.request.post(`${url}/admin/movies/add/`, {
    data: (await sent).postData(),
    headers,
  });
  assert.match(await second.text(), /The form was sent twice; it was saved once\./);
  assert.equal(await movies(page, url, title), 1, "a double click");

  await page.goto(`${url}/admin/shows/`);
  await page.getByLabel("From", { exact: true }).fill(DAYS[name]);
  await page.getByLabel("To", { exact: true }).fill(dayAfter(DAYS[name], 6));
  await follow(page, button(page, "Search"));
  assert.equal(await rows(page).count(), 2);
  await follow(page, link(page, "Copy a week…"));
  await follow(page, button(page, "Copy a week"));
  await told(page, "Done: 2 shows");
  await page.goto(`${url}/admin/shows/?q=${name}&from=${DAYS[name]}`);
  assert.equal(await rows(page).count(), 4);
  await follow(page, link(page, "Print"));
  assert.equal(await rows(page).count(), 4);
  assert(await main(page).getByText(`Search: ${name}`).isVisible());
  await page.goto(`${url}/admin/log/?who=${account.username}&model=shows`);
  assert((await page.locator("table.log tbody tr").count()) >= 1);
}
