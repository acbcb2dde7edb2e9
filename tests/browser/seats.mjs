// The pages on which staff block seats, and the example of a seat map for customers, in a real browser: by keyboard
// alone, with a finger, without scripts, and in rooms of several shapes.
//
//   npm ci --prefix tests/browser
//   node tests/browser/seats.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium; and Python, which writes plans into the database.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { logIn } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { MANAGER, call, token, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: seats.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const EXAMPLE = new URL("../../examples/seat-map/index.html", import.meta.url);

// Returns the document of a plan. A row is its name and, from left to right, `S` for a seat, `w` for a wheelchair space,
// `c` for its companion's and `_` for none.
function plan(name, zones) {
  let number = 0;
  const row = ([row_number, text], y, curve) => {
    const seats = [];
    [...text].forEach((letter, column) => {
      if (letter === "_") return;
      number++;
      const aside = (column - (text.length - 1) / 2) / text.length;
      const position = { x: 30 * column, y: -curve * aside * aside };
      const attributes = { w: { wheelchair_space: true }, c: { companion_of: seats.at(-1)?.seat_guid } }[letter];
      const seat = { seat_guid: `g${number}`, seat: number, seat_number: `${seats.length + 1}`, position };
      seats.push({ ...seat, category: "Standard", ...(attributes && { attributes }) });
    });
    return { row_number, row_number_position: "both", position: { x: 0, y }, seats };
  };
  const made = zones.map(({ name, x = 60, y, curve = 0, rows }) => ({
    name,
    zone_id: name,
    position: { x, y },
    rows: rows.map((one, index) => row(one, index * 36, curve)),
    areas: y > 100 ? [] : [screen(15 * rows[0][1].length)],
  }));
  const last = zones.at(-1);
  const size = { width: 90 + 30 * zones[0].rows[0][1].length, height: last.y + 36 * last.rows.length + 20 };
  return { name, size, categories: [{ name: "Standard", color: "#4a7fb5" }], zones: made };
}

function screen(middle) {
  const text = { text: "Screen", position: { x: 0, y: 0 } };
  const points = [-200, 200, 180, -180].map((x, corner) => ({ x, y: corner < 2 ? -8 : 14 }));
  return { kind: "screen", shape: "polygon", color: "#d8d8d8", position: { x: middle, y: -60 }, polygon: { points }, text };
}

const rows = (names, text) => [...names].map((name) => [name, text]);
const ROOMS = {
  Curved: plan("Curved", [
    { name: "Main", y: 90, curve: 200, rows: [...rows("ABCD", "SSSS_SSSSSS_SSSS"), ["E", "wcSS_SSSSSS_SSwc"]] },
  ]),
  Balcony: plan("Balcony", [
    { name: "Stalls", y: 90, rows: rows("ABC", "SSSSSSSSSS") },
    { name: "Balcony", y: 280, rows: rows("AB", "SSS_SSSS_SSS") },
  ]),
  Large: plan("Large", [{ name: "Main", y: 90, rows: Array.from({ length: 50 }, (_, i) => [`R${i}`, "S".repeat(100)]) }]),
};

// Gives screens plans, as publishing them does, and returns a show of each.
async function build(command, database) {
  const directory = await mkdtemp(join(tmpdir(), "marquee-seats-"));
  const load = async (data) => {
    const file = join(directory, "data.json");
    await writeFile(file, JSON.stringify(data));
    command("loaddata", file);
  };
  const names = Object.keys(ROOMS);
  const screens = [...names, "Rows"].map((name, index) => ({ id: 100 + index, name }));
  const movie = { id: 100, title: "Seats to choose", duration_minutes: 90 };
  await load({ movies: [movie], screens, shows: [] });
  const file = join(directory, "plans.json");
  const plans = names.map((name, index) => [100 + index, ROOMS[name]]);
  await writeFile(file, JSON.stringify(plans));
  const write = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
for screen, plan in json.load(open(sys.argv[2])):
    seats = max(seat["seat"] for zone in plan["zones"] for row in zone["rows"] for seat in row["seats"])
    db.execute("INSERT INTO plans VALUES (?, ?, 1, ?, ?, '[]', ?, '', 1)", (screen, screen, seats, seats, json.dumps(plan)))
    db.execute("UPDATE screens SET plan_id = ? WHERE id = ?", (screen, screen))
db.commit()`;
  execFileSync("python3", ["-c", write, database, file]);
  // Only the last screen has no plan that decides how many seats its show has.
  const total = (index) => (index === names.length ? { total_seats: 36 } : {});
  const show = (id, index) => ({ id, movie: 100, screen: 100 + index, date_time: "2034-03-06T20:00:00Z", ...total(index) });
  await load({ movies: [], screens: [], shows: [...names, "Rows"].map((_, index) => show(1000 + index, index)) });
  await rm(directory, { recursive: true });
}

const SHOWS = { Curved: 1000, Balcony: 1001, Large: 1002, Rows: 1003 };
const seat = (page, name) => page.getByRole("checkbox", { name: new RegExp(`^${name}, `) });
const button = (page, name) => page.getByRole("button", { name, exact: true });
const press = async (page, ...keys) => {
  for (const key of keys) await page.keyboard.press(key);
};
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? "");
async function follow(page, target) {
  await Promise.all([page.waitForEvent("load"), target()]);
}
const told = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();

const { inspect, found } = inspector(await picturesIn(screenshots));
await withServer(binary, async (url, command, database) => {
  await build(command, database);
  const example = await served(EXAMPLE);
  try {
    await sell(url);
    await inBrowser(url, "seats, desktop", VIEWPORTS.desktop, (browser) => atTheDesk({ browser, url }));
    await inBrowser(url, "seats, phone", VIEWPORTS.phone, (browser) => onAPhone({ browser, url }));
    const quiet = { ...VIEWPORTS.desktop, javaScriptEnabled: false };
    await inBrowser(url, "seats, no scripts", quiet, (browser) => withoutScripts({ browser, url }));
    for (const [name, options] of Object.entries(VIEWPORTS)) {
      await inBrowser(url, `example, ${name}`, { ...options, also: example.url }, (browser) =>
        drawsRooms({ browser, url, example: example.url, name }),
      );
    }
  } finally {
    example.close();
  }
});
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("seats.mjs: passed");

// A customer has a seat, and holds another.
async function sell(url) {
  const access = await token(url);
  await call(url, "POST", `/api/shows/${SHOWS.Curved}/book/`, { access, body: { seat_number: 20 } });
  await call(url, "POST", `/api/shows/${SHOWS.Curved}/holds/`, { access, body: { seats: [21, 22] } });
}

// With the keyboard alone.
async function atTheDesk({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await page.goto(`${url}/admin/shows/${SHOWS.Curved}/change/`);
  await follow(page, () => page.getByRole("link", { name: "Seats", exact: true }).click());
  await inspect(page, "desktop-seats");
  await seat(page, "A1").focus();
  await press(page, "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight");
  assert.match(await focused(page), /^A5, Standard, free$/, "over the aisle");
  await press(page, "ArrowDown");
  assert.match(await focused(page), /^B5,/);
  await press(page, "End");
  assert.match(await focused(page), /^B14,/);
  await press(page, "Home", "Space", "Shift+ArrowRight", "Shift+ArrowRight");
  assert.match(await focused(page), /^B3,/);
  const count = page.locator("[data-seat-count]");
  assert.equal(await count.innerText(), "3 seats chosen: B1, B2, B3");
  await press(page, "Tab");
  assert.equal(await page.evaluate(() => document.activeElement.localName), "summary");
  await press(page, "Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "kind", "Tab leaves the map");
  await press(page, "H", "Tab");
  await page.keyboard.type("Press, <b>row B</b>");
  await inspect(page, "desktop-chosen");
  await follow(page, () => press(page, "Enter"));
  await told(page, "Blocked: B1, B2, B3.");
  await inspect(page, "desktop-blocked");
  const line = page.getByRole("row").filter({ hasText: "Press, <b>row B</b>" });
  assert.match(await line.innerText(), /B1, B2, B3\s+House\s[^]*staff release it\s+admin/);

  // The sold seat leads to its booking, and a click with the shift key chooses a range.
  assert.match(await page.getByRole("link", { name: /^B6, Standard, sold$/ }).getAttribute("href"), /^\/admin\/bookings\/\d+/);
  await seat(page, "C2").click();
  await page.keyboard.down("Shift");
  await seat(page, "C6").click();
  await page.keyboard.up("Shift");
  assert.equal(await count.innerText(), "5 seats chosen: C2, C3, C4, C5, C6");

  await keepsEntries({ browser, page, url, count });
  await drawsLarge({ page, url });
  await standsFor({ page, url, count });
}

// Nothing typed is lost, whatever is missing.
async function keepsEntries({ browser, page, url, count }) {
  browser.expect(422, `/admin/shows/${SHOWS.Curved}/seats/`);
  await page.getByLabel("Kind").selectOption("group");
  await page.getByLabel("Reason").fill("School");
  await page.getByLabel("Release at").fill("2034-03-09T10:00");
  await follow(page, () => button(page, "Block").click());
  assert.match(await page.getByRole("alert").innerText(), /Nobody can book after the show has begun/);
  assert.equal(await page.getByLabel("Reason").inputValue(), "School");
  assert.equal(await count.innerText(), "5 seats chosen: C2, C3, C4, C5, C6");
  await inspect(page, "desktop-refused");
  await page.getByLabel("Release at").fill("");
  await page.getByLabel("Or minutes").fill("30");
  await follow(page, () => button(page, "Block").click());
  await told(page, "Blocked: C2, C3, C4, C5, C6.");
  await follow(page, () => button(page, "Release B1, B2, B3").click());
  await told(page, "Released: B1, B2, B3.");
  await page.goto(`${url}/admin/shows/${SHOWS.Curved}/history/`);
  assert.match(await page.locator("table.log").innerText(), /Seats released[^]*Seats blocked[^]*Group, “School”, until/);
}

async function drawsLarge({ page, url }) {
  for (const name of ["Balcony", "Rows", "Large"]) {
    await page.goto(`${url}/admin/shows/${SHOWS[name]}/seats/`);
    if (name !== "Large") await inspect(page, `desktop-${name}`);
  }
  await page.getByLabel("Whole screen").check();
  await page.screenshot({ path: join(screenshots ?? tmpdir(), "desktop-Large.png") });
  await seat(page, "R25-50").focus();
  const began = Date.now();
  await press(page, ...Array(10).fill("ArrowDown"));
  assert.match(await focused(page), /^R35-50,/);
  assert(Date.now() - began < 3_000, "keys are fast in a room of 5,000 seats");
}

// Seats that are blocked in each new show.
async function standsFor({ page, url, count }) {
  await page.goto(`${url}/admin/screens/100/change/`);
  await follow(page, () => page.getByRole("link", { name: "Standing blocks" }).click());
  await follow(page, () => button(page, "Choose all wheelchair spaces and their companions").click());
  assert.equal(await count.innerText(), "4 seats chosen: E1, E2, E13, E14");
  await page.getByLabel("Kind").selectOption("house");
  await page.getByLabel("Reason").fill("Wheelchair users first");
  await page.getByLabel("Released, in minutes").fill("60");
  await follow(page, () => button(page, "Block in new shows").click());
  await told(page, "Blocked in new shows: E1, E2, E13, E14.");
  await inspect(page, "desktop-standing");
}

async function onAPhone({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await page.goto(`${url}/admin/shows/${SHOWS.Balcony}/seats/`);
  await inspect(page, "phone-seats");
  await page.getByLabel("Whole screen").tap();
  await inspect(page, "phone-whole");
  await page.getByLabel("Large").tap();
  for (const name of ["Balcony A2", "Balcony A3"]) {
    await seat(page, name).tap();
    assert(await seat(page, name).isChecked(), `a tap chooses ${name}`);
  }
  await page.getByLabel("Kind").selectOption("broken");
  await page.getByLabel("Reason").fill("Armrest");
  await inspect(page, "phone-chosen");
  await follow(page, () => button(page, "Block").tap());
  await told(page, "Blocked: Balcony A2, Balcony A3.");
  await inspect(page, "phone-blocked");
}

async function withoutScripts({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await page.goto(`${url}/admin/shows/${SHOWS.Rows}/seats/`);
  await page.getByRole("checkbox", { name: /^7, / }).check();
  await page.getByLabel("Kind").selectOption("technical");
  await page.getByLabel("Reason").fill("Projector");
  await follow(page, () => button(page, "Block").click());
  await told(page, "Blocked: 7.");
  await page.getByRole("checkbox", { name: /^7, Standard, blocked: technical, Projector/ }).check();
  await follow(page, () => button(page, "Release").first().click());
  await told(page, "Released: 7.");
}

// A server of another origin, with nothing but the example's page.
async function served(file) {
  const page = await readFile(file);
  assert(page.toString().split("\n").length <= 121, "the example is short");
  const server = createServer((asked, reply) => {
    const isPage = asked.url.startsWith("/?");
    reply.writeHead(isPage ? 200 : 204, { "Content-Type": "text/html; charset=utf-8" });
    reply.end(isPage ? page : undefined);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

// Rooms of different shapes, and a seat that is sold while the page is open.
async function drawsRooms({ browser, url, example, name }) {
  const page = await browser.context.newPage();
  for (const room of ["Curved", "Balcony", "Rows"]) {
    // The next page ends what this one asks for every two seconds.
    browser.expect("aborted", `/api/shows/${SHOWS[room]}/seats/`);
    await page.goto(`${example}/?api=${url}&show=${SHOWS[room]}`);
    await page.getByText(/seats are free/).waitFor();
    const seats = page.getByRole("img", { name: /, (free|held|sold|blocked)$/ });
    const map = await call(url, "GET", `/api/shows/${SHOWS[room]}/seats/`);
    assert.equal(await seats.count(), map.capacity);
    const free = page.getByRole("img", { name: /, free$/ });
    assert.equal(await free.count(), map.free);
    await inspect(page, `${name}-example-${room}`);
  }
  const chosen = name === "desktop" ? 30 : 31;
  const is = (state) => page.getByRole("img", { name: `${chosen}, ${state}`, exact: true });
  await is("free").waitFor();
  const access = await token(url);
  await call(url, "POST", `/api/shows/${SHOWS.Rows}/book/`, { access, body: { seat_number: chosen } });
  await is("sold").waitFor({ timeout: 5_000 });
}
