// Ticket types, price cards and rules, in a real browser, on a desktop and on a phone of 360 pixels: a new manager makes
// types, a card and a rule; the arrow keys move in the table of prices; the tax follows while someone types; and all of it
// works without scripts.
//
//   npm ci --prefix tests/browser
//   node tests/browser/prices.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { logIn } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { MANAGER, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: prices.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const STEPS = [addsAType, fillsACard, movesWithKeys, seesVersions, changesAType, choosesForAShow, addsARule];

const SIZES = {
  desktop: VIEWPORTS.desktop,
  phone: { ...VIEWPORTS.phone, viewport: { width: 360, height: 780 } },
};

const button = (page, name) => page.getByRole("button", { name, exact: true });
const link = (page, name) => page.getByRole("link", { name, exact: true });
const field = (page, type, category) => page.getByLabel(`${type}, ${category}`, { exact: true });
const said = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

// Clicks on what leads to another page, and waits for it.
async function follow(page, target) {
  await Promise.all([page.waitForEvent("load"), target.click()]);
}

const { inspect, found } = inspector(await picturesIn(screenshots));
// The rules belong to all, so that each size has a cinema of its own.
const sizes = Object.entries(SIZES).map(([name, options]) =>
  withServer(binary, async (url) => {
    await inBrowser(url, `prices, ${name}`, options, async (browser) => {
      const work = { browser, url, inspect, name };
      work.page = await browser.open("/admin/login/");
      await logIn(work.page, MANAGER);
      for (const step of STEPS) await step(work);
    });
    if (name === "phone") {
      const quiet = { ...options, javaScriptEnabled: false };
      await inBrowser(url, "prices, no scripts", quiet, (browser) => withoutScripts({ browser, url }));
    }
  }),
);
await Promise.all(sizes);
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("prices.mjs: passed");

async function addsAType({ page, url, inspect, name }) {
  await page.goto(`${url}/admin/ticket_types/`);
  await inspect(page, `types-${name}`);
  await follow(page, link(page, "Add a ticket type"));
  await page.getByLabel("Name").fill("Early bird");
  await page.getByLabel("Tax, in percent").fill("7");
  await inspect(page, `type-new-${name}`);
  await follow(page, button(page, "Save"));
  await said(page, "The ticket type “Early bird” was added.");
}

// A card from its name to its prices. Without a price for each category, it is not saved.
async function fillsACard({ browser, page, url, inspect, name }) {
  await page.goto(`${url}/admin/price_cards/add/`);
  await page.getByLabel("Name").fill("Preview");
  await follow(page, button(page, "Save"));
  await follow(page, page.getByRole("row", { name: /Preview/ }).getByRole("link", { name: "No prices yet" }));
  await inspect(page, `card-empty-${name}`);
  await field(page, "Adult", "Standard").fill("12.5");
  const tax = field(page, "Adult", "Standard").locator("xpath=../span[contains(@class, 'tax')]");
  assert.equal(await tax.textContent(), "incl. 0.82 tax", "the tax follows");
  await field(page, "Adult", "Standard").fill("twelve");
  assert.equal(await tax.textContent(), "");
  const path = new URL(page.url()).pathname;
  browser.expect(422, path);
  await follow(page, button(page, "Save the prices"));
  await page.getByRole("alert").getByText("“twelve” is no price.").waitFor();
  await field(page, "Adult", "Standard").fill("12.50");
  await follow(page, button(page, "Save the prices"));
  await page.getByRole("alert").getByText("“Balcony” has no price.").waitFor();
  await inspect(page, `card-faults-${name}`);
  // The fault leads to its field.
  await page.getByRole("alert").getByRole("link").first().click();
  assert.equal(await page.evaluate(() => document.activeElement.id), await field(page, "Adult", "Balcony").getAttribute("id"));
  await field(page, "Adult", "Balcony").fill("15");
  await field(page, "Companion", "Standard").fill("0");
  await field(page, "Companion", "Balcony").fill("0");
  await page.getByText("Reported to distributors").click();
  await page.getByLabel("Reported: Adult, Balcony", { exact: true }).fill("13");
  await follow(page, button(page, "Save the prices"));
  await said(page, "Version 1 of the prices is saved. 0 coming shows have it now.");
  await inspect(page, `card-${name}`);
}

// The arrow keys move between the fields, and the Tab key leaves the table.
async function movesWithKeys({ page }) {
  const at = () => page.evaluate(() => document.activeElement.id);
  const id = (type, category) => field(page, type, category).getAttribute("id");
  await field(page, "Adult", "Standard").focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await at(), await id("Adult", "Balcony"));
  await page.keyboard.press("ArrowDown");
  assert.equal(await at(), await id("Child", "Balcony"));
  await page.keyboard.type("9");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await at(), await id("Child", "Balcony"), "within the text that was typed");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await at(), await id("Child", "Standard"), "from the beginning of a field to the one before");
  await page.keyboard.type("8");
  await page.keyboard.press("Enter");
  assert.equal(await at(), await id("Student", "Standard"));
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Tab");
  assert.equal(await at(), await id("Child", "Balcony"));
  for (let steps = 0; (await at()) !== "save"; steps++) {
    assert(steps < 60, "the Tab key reaches the button");
    await page.keyboard.press("Tab");
    const text = await page.evaluate(() => document.activeElement.textContent);
    if (text === "Save the prices") break;
  }
  await Promise.all([page.waitForEvent("load"), page.keyboard.press("Enter")]);
  await said(page, "Version 2 of the prices is saved.");
  assert.equal(await field(page, "Child", "Balcony").inputValue(), "9.00");
  assert.equal(await field(page, "Child", "Standard").inputValue(), "8.00");
}

async function seesVersions({ page, inspect, name }) {
  await follow(page, link(page, "Version 1"));
  await page.getByRole("heading", { name: "Prices of Preview, version 1" }).waitFor();
  await page.getByText("reported 13.00").waitFor();
  await inspect(page, `card-version-${name}`);
}

// The form says which cards and shows a change affects, before it is saved.
async function changesAType({ page, url, inspect, name }) {
  await page.goto(`${url}/admin/ticket_types/`);
  await follow(page, link(page, "Adult"));
  await page.getByText(/Matinee, Preview, Weekday, Weekend; \d+ coming shows/).waitFor();
  await page.getByLabel("Tax, in percent").fill("19");
  await inspect(page, `type-${name}`);
  await follow(page, button(page, "Save"));
  await page.goto(`${url}/admin/price_cards/`);
  await follow(page, page.getByRole("row", { name: /Weekday/ }).getByRole("link", { name: "Version 2" }));
  await page.getByText(/\d+ coming shows get these prices\./).waitFor();
  await inspect(page, `card-of-shows-${name}`);
}

async function choosesForAShow({ page, url, inspect, name }) {
  await page.goto(`${url}/admin/shows/`);
  await follow(page, page.locator("tbody a").first());
  const choice = page.getByLabel("Price card", { exact: true });
  assert.match(await choice.locator("option").first().textContent(), /By the rules \((Matinee|Weekday|Weekend)\)/);
  await choice.selectOption({ label: "Preview" });
  await inspect(page, `show-${name}`);
  await follow(page, button(page, "Save and continue editing"));
  assert.equal(await choice.evaluate((select) => select.selectedOptions[0].text), "Preview");
}

// A new rule, by keyboard and mouse, to its outcome.
async function addsARule({ browser, page, url, inspect, name }) {
  await page.goto(`${url}/admin/`);
  await follow(page, link(page, "Price rules"));
  await inspect(page, `rules-${name}`);
  await follow(page, button(page, "Add a rule"));
  browser.expect(422, new URL(page.url()).pathname);
  await follow(page, button(page, "Show the outcome").last());
  await page.getByRole("alert").getByText("Rule 4: Choose a price card.").waitFor();
  const rule = page.getByRole("group", { name: "Rule 4", exact: true });
  await rule.getByLabel("Price card").selectOption({ label: "Preview" });
  await rule.getByLabel("Monday").check();
  await rule.getByLabel("Tuesday").check();
  await rule.getByLabel("Begins from").fill("20:00");
  await inspect(page, `rule-new-${name}`);
  for (const place of [4, 3, 2]) await follow(page, button(page, `Move up rule ${place}`));
  await follow(page, button(page, "Show the outcome").last());
  await page.getByText(/Not saved yet: \d+ coming shows get another price card\./).waitFor();
  await inspect(page, `rules-outcome-${name}`);
  await follow(page, button(page, "Save and apply"));
  await said(page, "The rules are saved.");
  const first = page.getByRole("group", { name: "Rule 1", exact: true });
  assert.equal(await first.getByLabel("Begins from").inputValue(), "20:00");
}

async function withoutScripts({ browser, url }) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  await page.goto(`${url}/admin/price_cards/`);
  await follow(page, page.getByRole("row", { name: /Matinee/ }).getByRole("link", { name: /^Version/ }));
  await field(page, "Adult", "Standard").fill("9");
  await follow(page, button(page, "Show the taxes"));
  await page.getByText("incl. 1.44 tax").first().waitFor();
  await follow(page, button(page, "Save the prices"));
  await said(page, /Version 3 of the prices is saved\. \d+ coming shows have it now\./);
}
