// The documentation pages in a real browser, on a desktop and on a phone: they load nothing from another machine, show
// every operation, and Swagger UI's "Authorize" and "Try it out" work.
//
//   npm ci --prefix tests/browser
//   node tests/browser/docs.mjs target/debug/marquee [directory for screenshots]
//
// Needs Chromium: $CHROMIUM, by default /usr/bin/chromium.
import assert from "node:assert/strict";
import { fits, inBrowser, picturesIn, VIEWPORTS } from "./browser.mjs";
import { LOGIN, token, withServer } from "./server.mjs";

const [binary, screenshots] = process.argv.slice(2);
if (!binary) {
  console.error("usage: docs.mjs MARQUEE-BINARY [SCREENSHOT-DIRECTORY]");
  process.exit(2);
}

const picture = await picturesIn(screenshots);
await withServer(binary, async (url) => {
  const schema = await (await fetch(`${url}/api/schema/?format=json`)).json();
  const operations = Object.values(schema.paths).flatMap((methods) => Object.values(methods));
  assert(operations.length >= 8, "the schema has the contract's operations");
  const access = await token(url);
  const show = await bookableShow(url, access);
  for (const [name, options] of Object.entries(VIEWPORTS)) {
    await inBrowser(url, name, options, async ({ open }) => {
      await swagger(await open("/swagger/"), operations, access, show, name);
      await redoc(await open("/redoc/"), operations, name);
    });
  }
});
console.log("docs.mjs: passed");

async function bookableShow(url, access) {
  const get = async (path) =>
    (await fetch(url + path, { headers: { Authorization: `Bearer ${access}` } })).json();
  const movies = await get("/api/movies/");
  const shows = await get(`/api/movies/${movies[0].id}/shows/`);
  return shows.findLast((show) => show.available_seats === show.total_seats);
}

async function swagger(page, operations, access, show, name) {
  for (const { operationId, summary } of operations) {
    await page.locator(`[id$="-${operationId}"] .opblock-summary`).getByText(summary, { exact: true }).waitFor();
  }
  await fits(page, "Swagger UI");
  await picture(page, `swagger-${name}`);

  // A login authorizes the other operations, and a reload does not forget it.
  const tokens = await execute(page, "login", 200, name, async (block) => {
    await block.locator("textarea").fill(JSON.stringify(LOGIN));
  });
  assert(tokens.access, "the login is shown");
  await page.reload();
  const me = await execute(page, "get_me", 200, name);
  assert.equal(me.username, LOGIN.username);
  await page.locator(".auth-wrapper .authorize").click();
  await page.locator(".dialog-ux .auth-btn-wrapper button", { hasText: "Logout" }).click();
  await page.locator(".dialog-ux button.btn-done").click();

  await page.locator(".auth-wrapper .authorize").click();
  const dialog = page.locator(".dialog-ux");
  await dialog.locator("input").fill(access);
  await picture(page, `swagger-${name}-authorize`);
  await dialog.locator("button.authorize").click();
  await dialog.locator("button.btn-done").click();

  const listed = await execute(page, "list_movies", 200, name);
  assert(Array.isArray(listed) && listed.length >= 6, "the movies are shown");
  const booked = await execute(page, "book_seat", 201, name, async (block) => {
    await block.locator('tr[data-param-name="show_id"] input').fill(String(show.id));
    const seat = name === "phone" ? 2 : 1;
    await block.locator("textarea").fill(JSON.stringify({ seat_number: seat }));
  });
  assert.equal(booked.show, show.id);
  assert.equal(booked.status, "booked");
  await fits(page, "Swagger UI with replies");
  console.log(`${name}: Swagger UI shows ${operations.length} operations; Authorize and Execute work`);
}

// Opens an operation, runs it, and returns the body of the live reply.
async function execute(page, operationId, status, name, fill = async () => {}) {
  const block = page.locator(`[id$="-${operationId}"]`);
  await block.locator(".opblock-summary-control").click();
  await fill(block);
  await block.locator("button.execute").click();
  const live = block.locator(".live-responses-table");
  await live.waitFor();
  assert.equal((await live.locator("tbody .response-col_status").first().innerText()).trim(), String(status));
  const body = await live.locator(".response-col_description .highlight-code code").first().innerText();
  await block.scrollIntoViewIfNeeded();
  await live.scrollIntoViewIfNeeded();
  await picture(page, `swagger-${name}-${operationId}`);
  return JSON.parse(body);
}

async function redoc(page, operations, name) {
  for (const { operationId, summary } of operations) {
    await page.locator(`[id$="/${operationId}"]`).getByRole("heading", { name: summary }).first().waitFor();
  }
  await fits(page, "ReDoc");
  await picture(page, `redoc-${name}`);
  await page.locator('[id$="/book_seat"]').first().scrollIntoViewIfNeeded();
  await picture(page, `redoc-${name}-book_seat`);
  const search = page.locator('[role="search"] input');
  const searchable = await search.isVisible();
  if (searchable) {
    await search.fill("cancel");
    await page.locator('[data-role="search:results"] li').first().waitFor();
    const found = await page.locator('[data-role="search:results"]').innerText();
    assert.match(found, /Cancel a booking/);
    await picture(page, `redoc-${name}-search`);
  }
  console.log(`${name}: ReDoc shows ${operations.length} operations${searchable ? "; search works" : ""}`);
}
