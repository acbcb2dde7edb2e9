// Lists by date in the admin panel: a range of days, all rows of a page, copying a week, printing, and the door list.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { logIn } from "./flows.mjs";
import { MANAGER } from "./server.mjs";

// The Mondays of the weeks that are copied: one for each screen size, far from the sample's shows.
const WEEKS = { desktop: "2033-03-07", phone: "2033-05-02" };

// The size of A4 paper in pixels, without margins of one centimetre.
const PAPER = { width: 718, height: 1047 };

const button = (page, name) => page.getByRole("button", { name });
const link = (page, name) => page.getByRole("link", { name, exact: true });

// Adds a show on each day of the weeks.
export async function planWeeks(command) {
  const screens = [{ name: "Palace" }];
  const shows = Object.values(WEEKS).flatMap((monday) =>
    Array.from({ length: 7 }, (_, days) => ({
      movie: "Newsreel 1930",
      screen: "Palace",
      date_time: `${dayAfter(monday, days)}T20:15:00`,
      total_seats: 40,
    })),
  );
  const directory = await mkdtemp(join(tmpdir(), "marquee-weeks-"));
  const file = join(directory, "weeks.json");
  await writeFile(file, JSON.stringify({ screens, shows }));
  command("loaddata", file);
  await rm(directory, { recursive: true });
}

// Returns the date that is this many days after another.
export function dayAfter(date, days) {
  const day = new Date(`${date}T12:00:00Z`);
  day.setUTCDate(day.getUTCDate() + days);
  return day.toISOString().slice(0, 10);
}

// Works through a week in the lists, on a screen of this size.
export async function byDate({ browser, url, inspect, name }) {
  const page = await browser.open("/admin/shows/");
  await logIn(page, MANAGER);
  await choosesAWeek(page, inspect, name);
  await copiesTheWeek(page, inspect, name);
  await printsDoorList(browser, page, inspect, name);
  if (name === "desktop") await prints(page, url);
}

async function choosesAWeek(page, inspect, name) {
  if (name === "phone") await page.getByText("Filters", { exact: true }).tap();
  await page.getByLabel("From", { exact: true }).fill(WEEKS[name]);
  await page.getByLabel("To", { exact: true }).fill(dayAfter(WEEKS[name], 6));
  await page.getByLabel("Search").press("Enter");
  await page.waitForURL(/from=/);
  const boxes = page.locator("input[name=ids]");
  assert.equal(await boxes.count(), 7);
  assert.match(await page.locator("table.list tbody tr").first().innerText(), /Mon 2033-\d\d-\d\d 20:15/);
  await inspect(page, `${name}-week`);
  const all = page.getByRole("checkbox", { name: "Select all on this page" });
  const checked = () => page.locator("input[name=ids]:checked").count();
  await all.check();
  assert.equal(await checked(), 7);
  await boxes.nth(1).uncheck();
  assert(await all.evaluate((box) => box.indeterminate), "some rows are selected");
  await all.check();
  await all.uncheck();
  assert.equal(await checked(), 0);
  await boxes.nth(1).click();
  await boxes.nth(4).click({ modifiers: ["Shift"] });
  assert.equal(await checked(), 4, "from the second to the fifth");
}

// Two clicks from the list of the week.
async function copiesTheWeek(page, inspect, name) {
  await link(page, "Copy a week…").click();
  const from = page.getByLabel("First day of the week to copy");
  assert.equal(await from.inputValue(), WEEKS[name]);
  const weekday = page.locator('[data-weekday="from"]');
  assert.equal(await weekday.innerText(), "Monday");
  await from.fill(dayAfter(WEEKS[name], 1));
  assert.equal(await weekday.innerText(), "Tuesday");
  await from.fill(WEEKS[name]);
  await inspect(page, `${name}-week-copy`);
  await button(page, "Copy a week").click();
  await page.getByRole("status").filter({ hasText: "Done: 7 shows" }).first().waitFor();
}

async function printsDoorList(browser, page, inspect, name) {
  browser.expect("aborted", "/admin/door/");
  await page.getByRole("link", { name: "Marquee" }).click();
  await link(page, "Door list").click();
  assert.match(await page.getByRole("heading", { level: 1 }).innerText(), /^Door list, \w+day, /);
  assert(await button(page, "Print").isVisible(), "a page to print");
  await inspect(page, `${name}-door`);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    link(page, "Export as CSV with semicolons").click(),
  ]);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\r\n");
  assert.match(lines[0], /"Seat";"Customer";"Name";"Order";"Status"$/);
}

// Every list and form on paper: all columns, no navigation, and the chosen filters as the heading.
async function prints(page, url) {
  await page.setViewportSize(PAPER);
  await page.emulateMedia({ media: "print" });
  for (const [path, heading] of [
    ["/admin/bookings/?status=booked&q=demo", ["Status: Booked", "Search: demo"]],
    [`/admin/shows/?from=${WEEKS.desktop}&to=${dayAfter(WEEKS.desktop, 6)}`, ["Mon 7 Mar 2033 to Sun 13 Mar 2033"]],
    ["/admin/orders/", []],
    ["/admin/users/?staff=1", []],
    ["/admin/movies/?q=news&print=1", ["Search: news"]],
  ]) {
    await page.goto(url + path);
    for (const text of heading) assert(await page.getByText(text).first().isVisible(), `${path}: ${text}`);
    assert.equal(await page.locator("nav:visible, button:visible, form.search:visible").count(), 0, path);
    await allColumnsArePrinted(page, path);
  }
  assert.equal(await page.locator("table.list tbody tr").count(), 60, "more than a page of the list");
  await asPdf(page, ["Newsreel 1930", "Newsreel 1989", "Search: news"]);
  await page.goto(`${url}/admin/bookings/?status=booked`);
  await asPdf(page, ["Order", "Customer", "Show", "Begins", "Screen", "Seat", "Status", "Booked", "Number"]);
  await page.goto(`${url}/admin/movies/?q=newsreel+1930`);
  await page.emulateMedia({ media: "screen" });
  await page.locator("table.list tbody a").first().click();
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator("nav:visible, button:visible").count(), 0, "a form without buttons");
  await asPdf(page, ["Newsreel 1930", "Running time", "Palace"]);
}

// Checks that each column has some width, on the paper.
async function allColumnsArePrinted(page, path) {
  const columns = await page.locator("table.list thead th:not(.choose)").evaluateAll((heads) =>
    heads.map((head) => ({ text: head.innerText, ...head.getBoundingClientRect().toJSON() })),
  );
  assert(columns.length > 1, path);
  for (const { text, width, left, right } of columns) {
    assert(width > 15 && left >= 0 && right <= PAPER.width + 1, `${path}: "${text}" from ${left} to ${right}`);
  }
}

// Prints a page to PDF, and looks for texts in it if pdftotext is installed.
export async function asPdf(page, texts) {
  const pdf = await page.pdf({ format: "A4", margin: { top: "1cm", bottom: "1cm", left: "1cm", right: "1cm" } });
  assert(pdf.length > 1_000, "a PDF");
  const { error, stdout } = spawnSync("pdftotext", ["-layout", "-", "-"], { input: pdf, encoding: "utf8" });
  if (error) {
    console.log("pdftotext is not installed: the text of PDFs is not compared");
    return;
  }
  for (const text of texts) assert(stdout.includes(text), `no "${text}" in the PDF:\n${stdout}`);
}
