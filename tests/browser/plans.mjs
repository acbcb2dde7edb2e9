// The editor of seat plans, in a real browser, on a desktop and on a phone: the drawing follows while someone types,
// faults lead to their place in the text, everything works by keyboard alone, and a manager who has never seen the editor
// draws a room of 180 seats in a few steps.
//
//   npm ci --prefix tests/browser
//   node tests/browser/plans.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { logIn } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { MANAGER, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: plans.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const STEPS = [drawsARoom, typesAndSeesIt, generatesRows, asksBeforeReplacing, keepsTheTextOnLogout, imports, movesShows];

const button = (page, name) => page.getByRole("button", { name, exact: true });
const link = (page, name) => page.getByRole("link", { name, exact: true });
const text = (page) => page.getByLabel("Text", { exact: true });
const drawing = (page) => page.getByRole("region", { name: "Drawing" });
const seats = (page) => drawing(page).locator("g.seat");
const said = (page, words) => page.locator("#plan-preview .said", { hasText: words }).waitFor();

// Clicks on what leads to another page, and waits for it.
async function follow(page, target) {
  await Promise.all([page.waitForEvent("load"), target.click()]);
}

const { inspect, found } = inspector(await picturesIn(screenshots));
await withServer(binary, async (url) => {
  const sizes = Object.entries(VIEWPORTS).map(([name, options]) =>
    inBrowser(url, `plans, ${name}`, options, async (browser) => {
      const work = { browser, url, inspect, name };
      work.page = await browser.open("/admin/login/");
      await logIn(work.page, MANAGER);
      for (const step of STEPS) await step(work);
    }),
  );
  const quiet = { ...VIEWPORTS.phone, javaScriptEnabled: false };
  const scriptless = inBrowser(url, "plans, no scripts", quiet, (browser) => withoutScripts({ browser, url }));
  await Promise.all([...sizes, scriptless]);
});
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("plans.mjs: passed");

// Adds a screen and opens its editor, by what the pages show.
async function addScreen(page, url, name) {
  await page.goto(`${url}/admin/screens/add/`);
  await page.getByLabel("Name").fill(name);
  await follow(page, button(page, "Save"));
  await follow(page, page.getByRole("row", { name: new RegExp(`${name} `) }).getByRole("link", { name: "No plan yet" }));
}

// A room of 180 seats with two aisles and a row of wheelchair spaces: two clicks from the screen's page.
async function drawsARoom({ page, url, inspect, name }) {
  await addScreen(page, url, `Room ${name}`);
  await inspect(page, `plan-start-${name}`);
  let clicks = 0;
  for (const target of [button(page, "Use Two aisles, 180 seats"), button(page, "Save the seat plan")]) {
    await follow(page, target);
    clicks++;
    if (clicks === 1) {
      assert.equal(await seats(page).count(), 180);
      await said(page, "180 seats, no faults");
      await inspect(page, `plan-template-${name}`);
    }
  }
  await page.getByRole("status").filter({ hasText: "Version 1 of the seat plan is saved, with 180 seats." }).waitFor();
  assert.equal(clicks, 2);
}

// Types a row with faults, goes to one with the keyboard, and mends it.
async function typesAndSeesIt({ page, inspect, name }) {
  await text(page).focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("L | SSSx\n");
  await said(page, "184 seats, 1 fault");
  assert.equal(await seats(page).count(), 184);
  assert.equal(await drawing(page).locator("g.seat.fault").count(), 1);
  assert.equal(await page.locator("#plan-said").textContent(), "184 seats, 1 fault");
  await inspect(page, `plan-fault-${name}`);
  // The Tab key leaves the text: it is not trapped.
  const fault = page.getByRole("link", { name: /^Line \d+, column 8 \(row L\)$/ });
  for (let steps = 0; !(await fault.evaluate((element) => element === document.activeElement)); steps++) {
    assert(steps < 20, "the fault can't be reached by keyboard");
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  const selected = await text(page).evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd));
  assert.equal(selected, "x", "the cursor is at the fault");
  await page.keyboard.type("S");
  await said(page, "184 seats, no faults");
  await page.keyboard.press("Control+End");
  await page.keyboard.type('zone: Box 😀\n"1" | SSSx\n');
  await said(page, "188 seats, 1 fault");
  await page.getByRole("link", { name: /^Line \d+, column 10/ }).click();
  await page.keyboard.type("S");
  await said(page, "188 seats, no faults");
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await said(page, "0 seats");
}

// The Enter key in a field of the generator generates.
async function generatesRows({ page, url, inspect, name }) {
  await addScreen(page, url, `Rows ${name}`);
  await page.getByText("Generate rows").first().click();
  await page.getByLabel("Numbers", { exact: true }).selectOption("odd left, even right");
  await page.getByLabel("Shape").selectOption("1");
  await inspect(page, `plan-rows-${name}`);
  await page.getByLabel("Numbers to skip").fill("13");
  await Promise.all([page.waitForEvent("load"), page.getByLabel("Numbers to skip").press("Enter")]);
  await said(page, "180 seats, no faults");
  const written = await text(page).inputValue();
  for (const line of ["numbers: odd left, even right", "curve: 1", "skip: 13", "J | wcwc_SSSSSSSSSS_cwcw"]) {
    assert(written.includes(line), `${line}: ${written}`);
  }
}

async function asksBeforeReplacing({ page, inspect, name }) {
  await text(page).focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("K | SSSS\n");
  await said(page, "184 seats, no faults");
  await page.getByText("Templates", { exact: true }).click();
  await follow(page, button(page, "Use Studio, 40 seats"));
  await page.getByRole("alert").getByText("You have changed the text.").waitFor();
  await inspect(page, `plan-question-${name}`);
  await follow(page, button(page, "Keep my text"));
  assert((await text(page).inputValue()).includes("K | SSSS"));
  await page.getByText("Templates", { exact: true }).click();
  await follow(page, button(page, "Use Studio, 40 seats"));
  await follow(page, button(page, "Replace the text"));
  await said(page, "40 seats, no faults");
}

// The session ends while someone types: the page says so, and the text stays.
async function keepsTheTextOnLogout({ browser, page, inspect, name }) {
  // The browser asks for the login form and does not wait for it.
  browser.expect("aborted", "/admin/login/");
  const cookies = await browser.context.cookies();
  await browser.context.clearCookies();
  await text(page).focus();
  await page.keyboard.press("Control+End");
  await page.keyboard.type("Z | SSSS\n");
  await page.getByText("You are logged out.").first().waitFor();
  await inspect(page, `plan-logged-out-${name}`);
  await browser.context.addCookies(cookies);
  await page.keyboard.type("Y | SSSS\n");
  await said(page, "48 seats, no faults");
  await follow(page, button(page, "Save the seat plan"));
}

async function imports({ browser, page, url, inspect, name }) {
  await addScreen(page, url, `Import ${name}`);
  await follow(page, link(page, "Import"));
  const content = "name: Import\ncategory: S = Standard\nscreen: Screen\nA | SSSS_SSSS\n";
  await page.getByLabel("File").setInputFiles({ name: "plan.txt", mimeType: "text/plain", buffer: Buffer.from(content) });
  await page.waitForFunction(() => document.getElementById("plan-text").value !== "");
  await follow(page, button(page, "Check"));
  await page.getByRole("heading", { name: "Read as a text." }).waitFor();
  await inspect(page, `plan-import-${name}`);
  await follow(page, button(page, "Save as it is"));
  await follow(page, link(page, "Export"));
  await inspect(page, `plan-version-${name}`);
  browser.expect("aborted", new URL(await link(page, "Export as JSON").evaluate((one) => one.href)).pathname);
  const [download] = await Promise.all([page.waitForEvent("download"), link(page, "Export as JSON").click()]);
  assert.match(download.suggestedFilename(), /^screen-\d+-plan-1\.json$/);
}

// Some of the sample's shows are nearly full, so they can't get a plan without the last row.
async function movesShows({ page, url, inspect, name }) {
  const screen = name === "phone" ? "Screen 2" : "Screen 1";
  await page.goto(`${url}/admin/screens/`);
  await follow(page, link(page, screen));
  await follow(page, link(page, "Seat plan"));
  const lines = (await text(page).inputValue()).trimEnd().split("\n");
  const last = lines.findLastIndex((line) => /^\S+ *\|/.test(line));
  await text(page).fill(lines.filter((_, index) => index !== last).join("\n"));
  await follow(page, button(page, "Save as version 2"));
  const boxes = page.locator('input[name="ids"]');
  const all = await boxes.count();
  assert(all > 1 && (await page.locator('input[name="ids"]:checked').count()) === all, "all are selected");
  await page.getByRole("heading", { name: "These keep their version" }).waitFor();
  await inspect(page, `plan-shows-${name}`);
  await boxes.first().uncheck();
  await follow(page, button(page, "Give these shows the new plan"));
  await page.getByRole("status").filter({ hasText: `${all - 1} shows have version 2 of the plan now.` }).waitFor();
  assert.equal(await boxes.count(), 1);
}

async function withoutScripts({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await addScreen(page, url, "Quiet room");
  await text(page).fill("name: Quiet\ncategory: S = Standard\nA | SSS\nA | SS\n");
  browser.expect(422, new URL(page.url()).pathname);
  await follow(page, button(page, "Preview").last());
  await said(page, "5 seats, 4 faults");
  assert.equal(await drawing(page).locator("g.seat.fault").count(), 4);
  await text(page).fill("name: Quiet\ncategory: S = Standard\nA | SSS\nB | SS\n");
  await follow(page, button(page, "Save the seat plan"));
  await page.getByRole("status").filter({ hasText: "Version 1 of the seat plan is saved, with 5 seats." }).waitFor();
  await follow(page, button(page, "Preview").last());
  await said(page, "5 seats, no faults");
}
