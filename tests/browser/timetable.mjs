// The timetable in a real browser: shows are moved with a mouse, a finger and the arrow keys, added by a click on free
// time, and printed on a page of A4.
//
//   npm ci --prefix tests/browser
//   node tests/browser/timetable.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { logIn } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { call, MANAGER, token, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: timetable.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const picture = await picturesIn(screenshots);
const { inspect, found } = inspector(picture);
const PAGE = "/admin/timetable/";
const bar = (page, name) => page.locator(".timetable").getByRole("link", { name });
const button = (page, name) => page.getByRole("button", { name, exact: true });
const told = (page, text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();
const asked = (page) => page.locator("[data-move-text]").innerText();

async function follow(page, act) {
  await Promise.all([page.waitForEvent("load"), act()]);
}

// Loads shows of movies of 95 and 200 minutes on three screens, which belong to this test alone; with local times.
async function load(command, shows) {
  const directory = await mkdtemp(join(tmpdir(), "marquee-timetable-"));
  const file = join(directory, "data.json");
  const data = {
    movies: [
      { id: 900, title: "The Ferry", duration_minutes: 95 },
      { id: 901, title: "A Very Long Winter <in the North>", duration_minutes: 200 },
    ],
    screens: [1, 2, 3].map((number) => ({ id: 900 + number, name: `Hall ${number}` })),
    shows: shows.map(([id, movie, screen, date_time]) => ({ id, movie, screen, date_time, total_seats: 80 })),
  };
  await writeFile(file, JSON.stringify(data));
  command("loaddata", file);
  await rm(directory, { recursive: true });
}

// The day of a test, in a year without other shows.
const DAYS = { desktop: "2034-03-07", phone: "2034-03-08" };

await withServer(binary, async (url, command) => {
  const cinema = await call(url, "GET", "/api/cinema/");
  // The names of these zones have the sign reversed.
  const ahead = -Number(cinema.time_zone.replace("Etc/GMT", ""));
  const at = (day, time) => new Date(Date.parse(`${day}T${time}:00Z`) - ahead * 3_600_000).toISOString();
  for (const [name, first] of [["desktop", 9000], ["phone", 9100]]) {
    const day = DAYS[name];
    const shows = ["14:00", "16:20", "20:15"].map((time, place) => [first + place, 900, 901, at(day, time)]);
    shows.push([first + 3, 901, 902, at(day, "19:00")], [first + 4, 900, 902, at(day, "22:10")]);
    await load(command, shows);
  }
  const access = await token(url);
  await call(url, "POST", "/api/shows/9002/book/", { access, body: { seat_number: 20 } });
  await inBrowser(url, "timetable, desktop", VIEWPORTS.desktop, (browser) => atTheDesk({ browser, url }));
  await inBrowser(url, "timetable, phone", VIEWPORTS.phone, (browser) => onAPhone({ browser, url }));
  const quiet = { ...VIEWPORTS.desktop, javaScriptEnabled: false };
  await inBrowser(url, "timetable, no scripts", quiet, (browser) => withoutScripts({ browser, url }));
});
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("timetable.mjs: passed");

async function atTheDesk({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await follow(page, () => page.getByRole("link", { name: "Timetable", exact: true }).click());
  await inspect(page, "timetable-today");
  await page.goto(`${url}${PAGE}?day=${DAYS.desktop}`);
  await inspect(page, "timetable-day");
  await movesByKey({ browser, page, url });
  await movesByMouse({ page });
  await seesConflict({ page, browser });
  await addsByClick({ page, url });
  await prints({ page, url });
}

async function movesByKey({ browser, page }) {
  const early = "14:00";
  await bar(page, new RegExp(`^${early} The Ferry`)).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  const late = "14:10";
  assert.match(await asked(page), new RegExp(`from ${early} on Hall 1 to ${late} on Hall 2`));
  assert.match(await page.locator("[data-said]").innerText(), new RegExp(`^${late} on Hall 2. Press Enter`));
  await inspect(page, "timetable-keys");
  await page.keyboard.press("Escape");
  assert(!(await page.locator("form.moving").isVisible()), "Escape gives up");
  await page.keyboard.press("ArrowRight");
  await follow(page, () => page.keyboard.press("Enter"));
  await told(page, "was moved.");
  assert.equal(await bar(page, new RegExp("^14:05 The Ferry")).count(), 1);

  // A sold show is moved only after a question.
  browser.expect(409, PAGE);
  const sold = "20:15";
  await bar(page, new RegExp(`^${sold} The Ferry`)).focus();
  await page.keyboard.press("ArrowLeft");
  await follow(page, () => page.keyboard.press("Enter"));
  assert.match(await page.getByRole("alert").innerText(), /1 seat is already sold or on hold for the old time/);
  await inspect(page, "timetable-warned");
  await follow(page, () => button(page, "Move anyway").click());
  await told(page, "was moved.");
}

// Drags a bar by this many minutes to a screen.
async function drag(page, target, minutes, screen) {
  await target.scrollIntoViewIfNeeded();
  const box = await target.boundingBox();
  const line = await page.getByRole("group", { name: screen, exact: true }).boundingBox();
  const [x, y] = [box.x + 20, box.y + box.height / 2];
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 10, y + 5, { steps: 3 });
  await page.mouse.move(x + minutes * (await minuteOf(page)), line.y + line.height / 2, { steps: 8 });
}

async function minuteOf(page) {
  return page.locator(".timetable").evaluate((timetable) => {
    const { from, until } = timetable.dataset;
    return (timetable.querySelector("[data-screen] svg").getBoundingClientRect().width / (until - from)) * 60_000;
  });
}

async function movesByMouse({ page }) {
  const time = "16:20";
  await drag(page, bar(page, new RegExp(`^${time} The Ferry`)), 62, "Hall 3");
  await picture(page, "timetable-drag");
  await page.mouse.up();
  const to = "17:20";
  assert.match(await asked(page), new RegExp(`from ${time} on Hall 1 to ${to} on Hall 3`), "rounded to five minutes");
  await follow(page, () => button(page, "Move").click());
  await told(page, "was moved.");
  // A click without a drag opens the show.
  const opened = bar(page, new RegExp(`^${to} The Ferry`));
  await follow(page, () => opened.click());
  assert.match(new URL(page.url()).pathname, /^\/admin\/shows\/9001\/change\/$/);
  assert.equal(await page.getByLabel("Begins").inputValue(), `${DAYS.desktop}T${to}`);
  await page.goBack();
}

// Someone else has changed the show since the page was opened.
async function seesConflict({ page, browser }) {
  await page.reload();
  const other = await browser.open(`${PAGE}?day=${DAYS.desktop}`);
  const time = "17:20";
  await bar(other, new RegExp(`^${time} The Ferry`)).focus();
  await other.keyboard.press("ArrowRight");
  await follow(other, () => other.keyboard.press("Enter"));
  await told(other, "was moved.");
  await other.close();
  await drag(page, bar(page, new RegExp(`^${time} The Ferry`)), -60, "Hall 3");
  await page.mouse.up();
  await follow(page, () => button(page, "Move").click());
  assert.match(await page.getByRole("alert").innerText(), /Someone else has changed this show/);
  assert.equal(await bar(page, new RegExp("^17:25 The Ferry")).count(), 1);
}

async function addsByClick({ page, url }) {
  const gap = page.locator("[data-screen]").filter({ has: page.locator('[href*="screen_id=903"]') }).locator("a.gap").first();
  await gap.scrollIntoViewIfNeeded();
  const box = await gap.boundingBox();
  const step = await minuteOf(page);
  const written = new URL(await gap.evaluate((one) => one.href)).searchParams.get("date_time");
  await follow(page, () => page.mouse.click(box.x + 32 * step, box.y + box.height / 2));
  const expected = new Date(Date.parse(`${written}:00Z`) + 30 * 60_000).toISOString().slice(0, 16);
  assert.equal(await page.getByLabel("Begins").inputValue(), expected, "rounded to five minutes");
  assert.equal(await page.getByLabel("Screen").inputValue(), "903");
  await page.goto(`${url}${PAGE}?day=${DAYS.desktop}&view=week`);
  await inspect(page, "timetable-week");
  await follow(page, () => page.getByRole("link", { name: "Copy this week…" }).click());
  await inspect(page, "timetable-copy");
}

async function prints({ page, url }) {
  for (const view of ["day", "week"]) {
    await page.goto(`${url}${PAGE}?day=${DAYS.desktop}&view=${view}`);
    const directory = screenshots ?? (await mkdtemp(join(tmpdir(), "marquee-print-")));
    const path = join(directory, `timetable-${view}.pdf`);
    await page.pdf({ path, preferCSSPageSize: true });
    const text = execFileSync("pdftotext", ["-layout", "-f", "1", "-l", "1", path, "-"]).toString();
    const size = execFileSync("pdfinfo", [path]).toString();
    assert.match(size, /Page size:\s+841.9\d* x 59[45]/, "A4, landscape");
    assert(text.includes("The Ferry") && text.includes("Hall 3"), `the first page has the drawing: ${text}`);
    if (!screenshots) await rm(directory, { recursive: true });
  }
}

// A finger presses a show until it lifts, and moves it; a shorter touch scrolls.
async function onAPhone({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await page.goto(`${url}${PAGE}?day=${DAYS.phone}`);
  await inspect(page, "timetable-phone");
  const time = "14:00";
  const target = bar(page, new RegExp(`^${time} The Ferry`));
  await target.scrollIntoViewIfNeeded();
  const box = await target.boundingBox();
  const [x, y] = [box.x + 30, box.y + box.height / 2];
  const step = await minuteOf(page);
  const tools = await page.context().newCDPSession(page);
  const touch = (type, ...points) => tools.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  // A quick stroke scrolls the drawing.
  const before = await page.locator(".timetable").evaluate((one) => one.scrollLeft);
  await touch("touchStart", { x, y });
  for (let far = 10; far <= 100; far += 10) await touch("touchMove", { x: x - far, y });
  await touch("touchEnd");
  await page.waitForFunction((before) => document.querySelector(".timetable").scrollLeft > before, before);
  assert(!(await page.locator("form.moving").isVisible()), "it scrolls");
  await target.scrollIntoViewIfNeeded();
  await page.waitForTimeout(300);
  const now = await target.boundingBox();
  const point = { x: now.x + 30, y: now.y + now.height / 2 };
  await touch("touchStart", point);
  await page.waitForFunction(() => document.querySelector(".lifted") !== null);
  for (let part = 1; part <= 4; part++) await touch("touchMove", { x: point.x + part * 5 * step, y: point.y });
  await touch("touchEnd");
  const to = "14:20";
  assert.match(await asked(page), new RegExp(`from ${time} on Hall 1 to ${to} on Hall 1`));
  await inspect(page, "timetable-phone-moved");
  await follow(page, () => button(page, "Move").tap());
  await told(page, "was moved.");
  await page.goto(`${url}${PAGE}?day=${DAYS.phone}&view=week`);
  await inspect(page, "timetable-phone-week");
}

async function withoutScripts({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await page.goto(`${url}${PAGE}?day=${DAYS.phone}`);
  await page.getByLabel("Date", { exact: true }).fill(DAYS.desktop);
  await follow(page, () => button(page, "Go").click());
  await follow(page, () => page.getByRole("link", { name: "Next day" }).click());
  assert.equal(new URL(page.url()).searchParams.get("day"), DAYS.phone);
  await follow(page, () => page.getByRole("link", { name: "Show the week" }).click());
  await follow(page, () => page.getByRole("link", { name: "Wed, 8 Mar" }).click());
  await follow(page, () => page.getByRole("link", { name: "Add a show on Hall 3", exact: true }).click());
  assert.equal(await page.getByLabel("Screen").inputValue(), "903");
  await page.goBack();
  await follow(page, () => page.getByRole("table").getByRole("link", { name: "A Very Long Winter <in the North>" }).click());
  assert.match(new URL(page.url()).pathname, /^\/admin\/shows\/9103\/change\/$/);
}
