// A day at a till, in a real browser, on a desktop and on a phone: a till is added and opened, an order is paid and refunded,
// and the day is closed with the cash that was counted.
//
//   npm ci --prefix tests/browser
//   node tests/browser/money.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { logIn } from "./flows.mjs";
import { inspector } from "./inspect.mjs";
import { MANAGER, call, token, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: money.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const button = (page, name) => page.getByRole("button", { name, exact: true });
const said = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

// Clicks on what leads to another page, and waits for it.
async function follow(page, target) {
  await Promise.all([page.waitForEvent("load"), target.click()]);
}

// Chooses an action for the only object of a list whose row has this text.
async function act(page, row, action) {
  await page.getByRole("row", { name: row }).getByRole("checkbox").check();
  await follow(page, button(page, action));
}

const { inspect, found } = inspector(await picturesIn(screenshots));
const sizes = Object.entries({ desktop: VIEWPORTS.desktop, phone: VIEWPORTS.phone }).map(([name, options]) =>
  withServer(binary, async (url) => {
    await inBrowser(url, `money, ${name}`, options, async (browser) => {
      const page = await browser.open("/admin/login/");
      await logIn(page, MANAGER);
      const code = await buys(url);
      await opens(page, url, name);
      await pays(page, url, code, name);
      await refunds(page, url, code, name);
      await closes(page, url, name);
    });
  }),
);
await Promise.all(sizes);
assert.deepEqual(found, [], "faults that axe-core finds");
console.log("money.mjs: passed");

// A customer orders the best two seats of the first show that has prices and enough seats.
async function buys(url) {
  const access = await token(url);
  const { results } = await call(url, "GET", "/api/shows/?min_free=20&limit=50");
  for (const { id } of results) {
    const { currency } = await call(url, "GET", `/api/shows/${id}/prices/`);
    if (!currency) continue;
    const hold = await call(url, "POST", `/api/shows/${id}/holds/`, { body: { best: 2 }, access });
    assert(hold.total > 0, `a hold costs something: ${JSON.stringify(hold)}`);
    const body = { expected_total: hold.total };
    const order = await call(url, "POST", `/api/holds/${hold.id}/confirm/`, { body, access });
    return order.code;
  }
  assert.fail("no show of the sample has prices");
}

async function opens(page, url, name) {
  await page.goto(`${url}/admin/tills/add/`);
  await page.getByLabel("Name").fill("Box 1");
  await follow(page, button(page, "Save"));
  await act(page, /Box 1/, "Open…");
  await page.getByLabel("Cash in the till").fill("100");
  await inspect(page, `till-open-${name}`);
  await follow(page, page.locator("main button.primary"));
  await said(page, "Done: 1 till.");
  await inspect(page, `tills-${name}`);
}

async function pays(page, url, code, name) {
  await page.goto(`${url}/admin/orders/?q=${code}`);
  await act(page, new RegExp(code), "Mark as paid");
  await page.getByText(/The customer pays \d+\.\d\d EUR\./).waitFor();
  assert.equal(await page.getByLabel("Till").locator("option:checked").textContent().then((text) => /Box 1/.test(text)), true);
  await inspect(page, `pay-${name}`);
  await follow(page, page.locator("main button.primary"));
  await said(page, "Done: 1 order.");
}

async function refunds(page, url, code, name) {
  await page.goto(`${url}/admin/orders/?q=${code}`);
  await act(page, new RegExp(code), "Refund…");
  await page.getByText(/The customer gets \d+\.\d\d EUR back\./).waitFor();
  await inspect(page, `refund-${name}`);
  await follow(page, page.locator("main button.primary"));
  await said(page, "Done: 1 order.");
}

async function closes(page, url, name) {
  await page.goto(`${url}/admin/till_days/`);
  await inspect(page, `till-days-${name}`);
  await act(page, /Box 1/, "Close…");
  await page.getByLabel("Cash that was counted").fill("99.50");
  await page.getByLabel("Note").fill("A coin is missing");
  await inspect(page, `close-${name}`);
  await follow(page, page.locator("main button.primary"));
  await said(page, "0.50 is missing.");
  await follow(page, page.getByRole("row", { name: /Box 1/ }).getByRole("link").first());
  await page.getByText("Closed", { exact: true }).first().waitFor();
  await inspect(page, `till-day-${name}`);
}
