// A day's work in the admin panel: with only the keyboard, for people who have no mouse or are faster without; by hand,
// with each click counted; and without JavaScript.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { call, MANAGER } from "./server.mjs";

// Markup in a title is text everywhere.
const TITLE = 'Noir <i>& "Blanc"</i>';

const SEATS = 60;

// Leaves a group and a user in it, for later tests. Each step gets the browser and its page, the server's URL,
// `inspect`, and the user to create with its permissions.
export async function byKeyboard(desk) {
  desk.page = await desk.browser.open("/admin/screens/?o=name");
  for (const step of [
    logsIn,
    addsMovie,
    addsShows,
    readsMessages,
    findsShows,
    cancelsBookings,
    editsRows,
    seesConflict,
    deletes,
    exports,
    addsStaff,
    changesPassword,
  ]) {
    await step(desk);
  }
}

// Logs in with a mouse, and waits for the next page.
export async function logIn(page, { username, password }) {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await Promise.all([page.waitForEvent("load"), button(page, "Log in").click()]);
}

// Presses Tab until the target has the focus, and checks that the focus is visible.
async function tabTo(page, target) {
  for (let steps = 0; steps < 500; steps++) {
    if (steps > 0) await page.keyboard.press("Tab");
    const seen = await target.evaluate((element) => {
      if (element !== document.activeElement) return undefined;
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      const { left, top, width, height } = element.getBoundingClientRect();
      const [x, y] = [left + width / 2, top + height / 2];
      const above = document.elementFromPoint(x, y);
      return {
        marked: (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none",
        uncovered: above === element || element.contains(above) || Boolean(above?.contains(element)),
      };
    });
    if (seen) {
      assert.deepEqual(seen, { marked: true, uncovered: true }, `the focus is visible at ${target}`);
      return;
    }
  }
  assert.fail(`${target} can't be reached by keyboard`);
}

async function press(page, target, key = "Enter") {
  await tabTo(page, target);
  await page.keyboard.press(key);
}

async function type(page, target, text) {
  await tabTo(page, target);
  await page.keyboard.press("Control+A");
  await page.keyboard.type(text);
}

// Presses Enter, which leads to another page.
async function enter(page) {
  await Promise.all([page.waitForEvent("domcontentloaded"), page.keyboard.press("Enter")]);
}

async function follow(page, target) {
  await tabTo(page, target);
  await enter(page);
}

const link = (page, name) => page.getByRole("link", { name, exact: true });
const button = (page, name) => page.getByRole("button", { name });
const menu = (page, name) => page.getByRole("navigation", { name: "Main menu" }).getByRole("link", { name });
const main = (page) => page.getByRole("main");

// Checks the panel's message after an action.
async function told(page, pattern) {
  await page.getByRole("status").filter({ hasText: pattern }).first().waitFor();
}

async function logsIn({ browser, page, inspect }) {
  browser.expect(403, "/admin/login/");
  await inspect(page, "login");
  // The form has the focus from the start.
  await page.keyboard.type(MANAGER.username);
  await page.keyboard.press("Tab");
  await page.keyboard.type("not the password");
  await enter(page);
  assert.match(await page.getByRole("alert").innerText(), /correct username and password/);
  await inspect(page, "login-wrong");
  await type(page, page.getByLabel("Password"), MANAGER.password);
  await enter(page);
  assert.match(page.url(), /\/admin\/screens\/\?o=name$/, "to the requested page");
}

async function addsMovie({ page }) {
  await follow(page, page.getByRole("navigation", { name: "Main menu" }).getByRole("link", { name: "movies" }));
  await follow(page, link(page, "Add a movie"));
  await type(page, page.getByLabel("Running time"), "100");
  // The browser itself asks for the title.
  await page.keyboard.press("Enter");
  assert(await page.locator("#title").evaluate((input) => input.validity.valueMissing && input === document.activeElement));
  await page.keyboard.type(TITLE);
  await follow(page, button(page, "Save").first());
  await told(page, TITLE);
  assert.equal(new URL(page.url()).pathname, "/admin/movies/");
}

async function chooseByName(page, target, words, name) {
  await type(page, target, words);
  const option = page.getByRole("option", { name }).first();
  await option.waitFor();
  await page.keyboard.press("ArrowDown");
  assert.equal(await target.getAttribute("aria-activedescendant"), await page.getByRole("option").first().getAttribute("id"));
  await page.keyboard.press("Enter");
  assert.equal(await target.inputValue(), name);
}

// Selects one of a few options by the beginning of its label.
async function choose(page, target, label) {
  await tabTo(page, target);
  await page.keyboard.type(label.slice(0, 3));
  assert.equal(await target.evaluate((select) => select.selectedOptions[0].label), label);
}

// Types a date and time into a field.
async function typeMoment(page, target, [year, month, day, hour, minute]) {
  await tabTo(page, target);
  const half = hour < 12 ? "AM" : "PM";
  const two = (number) => String(number).padStart(2, "0");
  await page.keyboard.type(`${two(month)}${two(day)}${year}`);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.type(`${two(hour % 12 || 12)}${two(minute)}${half}`);
  assert.equal(await target.inputValue(), `${year}-${two(month)}-${two(day)}T${two(hour)}:${two(minute)}`);
}

async function fillShow(page, seats, moment) {
  await chooseByName(page, page.getByLabel("Movie"), "Noir", TITLE);
  await typeMoment(page, page.getByLabel("Begins"), moment);
  await choose(page, page.getByLabel("Screen"), "Studio");
  await type(page, page.getByRole("spinbutton", { name: /^Seats( required)?$/ }), String(seats));
}

async function addsShows({ browser, page, url, inspect }) {
  await page.goto(`${url}/admin/shows/`);
  await follow(page, link(page, "Add a show"));
  await fillShow(page, SEATS, [2031, 3, 1, 20, 15]);
  await follow(page, button(page, "Save and add another"));
  await told(page, TITLE);
  browser.expect(409, "/admin/shows/add/");
  // A second show on the screen at the same time causes a warning, which can be overridden.
  await fillShow(page, 10, [2031, 3, 1, 21, 0]);
  await follow(page, button(page, "Save").first());
  assert.match(await page.getByRole("alert").innerText(), /Not saved yet/);
  await inspect(page, "show-warned");
  await press(page, page.getByLabel("Save it anyway"), "Space");
  await follow(page, button(page, "Save").first());
  await told(page, TITLE);
}

// The server's message appears next to the field, and is linked to it.
async function readsMessages({ browser, page, url, inspect }) {
  browser.expect(422, "/admin/screens/add/");
  await page.goto(`${url}/admin/screens/add/`);
  await type(page, page.getByLabel("Name"), "Studio");
  await follow(page, button(page, "Save").first());
  const name = page.getByLabel("Name");
  assert.equal(await name.getAttribute("aria-invalid"), "true");
  const described = (await name.getAttribute("aria-describedby")).split(" ");
  const told = await Promise.all(described.map((id) => page.locator(`#${id}`).innerText()));
  assert(told.some((text) => /already exists/.test(text)), `${told}`);
  await inspect(page, "screen-faults");
  // From the summary to the field.
  await press(page, page.getByRole("alert").getByRole("link").first());
  assert(await name.evaluate((input) => input === document.activeElement));
  await page.keyboard.press("Control+A");
  await page.keyboard.type("Salon");
  await follow(page, button(page, "Save").first());
  assert.equal(await link(page, "Salon").count(), 1);
}

async function findsShows({ page, url, inspect }) {
  await page.goto(`${url}/admin/shows/`);
  await type(page, page.getByLabel("Search"), "noir studio");
  await enter(page);
  const rows = page.locator("table.list tbody tr");
  assert.equal(await rows.count(), 2, "every word counts");
  await inspect(page, "shows-found");
  await follow(page, page.getByRole("columnheader", { name: "Begins" }).getByRole("link"));
  const ascending = page.getByRole("columnheader", { name: "Begins" });
  assert.equal(await ascending.getAttribute("aria-sort"), "ascending");
  assert.match(await rows.first().innerText(), /20:15/);
  assert.equal(await page.getByLabel("Search").inputValue(), "noir studio", "sorting keeps the search words");
  await choose(page, page.getByLabel("State"), "Sold out");
  await follow(page, button(page, "Search"));
  assert.match(page.url(), /state=sold_out/);
  assert.match(await main(page).innerText(), /Nothing matches/);
  await inspect(page, "shows-none");
  await follow(page, page.getByRole("link", { name: /Show all/ }));
  await follow(page, page.getByRole("navigation", { name: "Dates" }).getByRole("link", { name: "2031" }));
  assert.equal(await rows.count(), 2);
}

// Cancels everything a search has found, on both pages.
async function cancelsBookings({ page, url, inspect }) {
  const walker = { username: "walker", email: "walker@example.com", password: "Long-way-home-3" };
  await call(url, "POST", "/api/signup/", { body: { ...walker, password2: walker.password } });
  const { access } = await call(url, "POST", "/api/login/", { body: walker });
  const movies = await call(url, "GET", "/api/movies/", { access });
  const movie = movies.find(({ title }) => title === TITLE);
  const [show] = await call(url, "GET", `/api/movies/${movie.id}/shows/`, { access });
  for (let seat_number = 1; seat_number <= SEATS; seat_number++) {
    await call(url, "POST", `/api/shows/${show.id}/book/`, { access, body: { seat_number } });
  }
  await page.goto(`${url}/admin/bookings/`);
  await type(page, page.getByLabel("Search"), "walk");
  await enter(page);
  assert.match(await page.locator(".count").innerText(), new RegExp(`^${SEATS}\\b`));
  assert(await page.locator("table.list tbody tr").count() < SEATS, "the list has another page");
  await inspect(page, "bookings-found");
  await press(page, page.getByLabel(/on every page/), "Space");
  await follow(page, button(page, "Cancel bookings"));
  assert.match(await main(page).innerText(), new RegExp(`\\b${SEATS}\\b`), "says how many");
  await inspect(page, "bookings-cancel");
  await follow(page, main(page).locator(".buttons").getByRole("button"));
  await told(page, new RegExp(`\\b${SEATS}\\b`));
  await inspect(page, "bookings-cancelled");
  // One more, from its own page.
  await call(url, "POST", `/api/shows/${show.id}/book/`, { access, body: { seat_number: 1 } });
  await page.goto(`${url}/admin/bookings/?q=walk`);
  await follow(page, page.locator("table.list tbody tr").first().getByRole("link").first());
  await follow(page, link(page, "Cancel bookings…"));
  await follow(page, main(page).locator(".buttons").getByRole("button"));
  await told(page, /\b1\b/);
  const left = await call(url, "GET", "/api/my-bookings/", { access });
  assert(left.length === SEATS + 1 && left.every(({ status }) => status === "cancelled"), "the API shows it");
}

async function editsRows({ page, url, inspect }) {
  await toMovie(page, url);
  await press(page, button(page, "Add another show"));
  // The new row has the focus.
  const row = page.locator("fieldset.row").last();
  assert(await row.evaluate((element) => element.contains(document.activeElement)));
  await page.keyboard.press("Shift+Tab");
  await typeMoment(page, row.getByLabel("Begins"), [2031, 3, 2, 15, 0]);
  await choose(page, row.getByLabel("Screen"), "Salon");
  await type(page, row.getByLabel("Seats"), "25");
  await inspect(page, "movie-rows");
  await follow(page, button(page, "Save and continue"));
  await told(page, TITLE);
  // A stored row is a line that opens. The browser opens it, too, if it has a message about something in it.
  const stored = page.locator(".line details").first();
  const seats = stored.getByLabel("Seats");
  assert(!(await seats.isVisible()), "stored rows are closed");
  await press(page, stored.locator("summary"));
  assert(await seats.isVisible());
  await type(page, seats, "0");
  await page.keyboard.press("Shift+Tab");
  await stored.evaluate((details) => (details.open = false));
  await press(page, button(page, "Save and continue"));
  await seats.waitFor({ state: "visible" });
  await type(page, seats, String(SEATS));
  const values = await page.locator("fieldset.row").getByLabel("Seats").evaluateAll((inputs) => inputs.map(({ value }) => value));
  assert(values.includes("25"), `the row was saved: ${values}`);
}

async function toMovie(page, url) {
  await page.goto(`${url}/admin/movies/?q=noir`);
  await follow(page, link(page, TITLE));
}

async function seesConflict({ browser, page, url, inspect }) {
  await toMovie(page, url);
  const other = await browser.open(new URL(page.url()).pathname);
  await type(other, other.getByLabel("Running time"), "101");
  await follow(other, button(other, "Save").first());
  await other.close();
  browser.expect(409, new URL(page.url()).pathname);
  await type(page, page.getByLabel("Running time"), "102");
  await follow(page, button(page, "Save").first());
  const alert = page.getByRole("alert");
  for (const value of ["100", "101", "102"]) assert.match(await alert.innerText(), new RegExp(value));
  await inspect(page, "movie-conflict");
  await follow(page, button(page, "Save").first());
  await told(page, TITLE);
  await toMovie(page, url);
  assert.equal(await page.getByLabel("Running time").inputValue(), "102");
  await follow(page, link(page, "History"));
  const history = await main(page).innerText();
  for (const text of [MANAGER.username, "100", "101", "102"]) assert(history.includes(text), `the history has ${text}`);
  await inspect(page, "movie-history");
}

async function deletes({ page, url, inspect }) {
  await toMovie(page, url);
  await follow(page, link(page, "Delete…"));
  assert.match(await main(page).innerText(), /3 shows/, "the page lists what depends on it");
  await inspect(page, "movie-delete");
  await page.goto(`${url}/admin/shows/?q=salon`);
  await follow(page, page.locator("table.list tbody tr").getByRole("link").first());
  await follow(page, link(page, "Delete…"));
  await inspect(page, "show-delete");
  await follow(page, button(page, "Yes"));
  await told(page, TITLE);
  await page.goto(`${url}/admin/shows/?q=salon`);
  assert.match(await main(page).innerText(), /Nothing matches/);
}

async function exports({ browser, page, url }) {
  browser.expect("aborted", "/admin/shows/export/");
  await page.goto(`${url}/admin/shows/?q=noir`);
  await tabTo(page, button(page, "Export as CSV with commas"));
  const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  assert.match(download.suggestedFilename(), /^shows.*\.csv$/);
  assert.equal(lines.length, 3, lines.join("\n"));
}

async function addsStaff({ page, url, inspect, usher, permissions }) {
  await page.goto(`${url}/admin/groups/add/`);
  await type(page, page.getByLabel("Name"), "Ushers");
  for (const permission of permissions) await press(page, page.locator(`input[value="${permission}"]`), "Space");
  await follow(page, button(page, "Save").first());
  await told(page, "Ushers");
  await page.goto(`${url}/admin/users/add/`);
  await type(page, page.getByLabel("Username"), usher.username);
  await type(page, page.getByLabel("Password").first(), usher.password);
  await type(page, page.getByLabel("Password").last(), usher.password);
  await type(page, page.getByLabel("Email"), "usher@example.com");
  await press(page, page.getByRole("checkbox", { name: "Staff", exact: true }), "Space");
  await press(page, page.getByRole("checkbox", { name: "Ushers" }), "Space");
  await inspect(page, "user-add");
  await follow(page, button(page, "Save").first());
  await told(page, usher.username);
}

async function changesPassword({ page, url, inspect, usher }) {
  await logsOut(page, url);
  // A page that the browser went back to has the focus a little after it was loaded.
  await page.locator("#username:focus").waitFor();
  await page.keyboard.type(usher.username);
  await page.keyboard.press("Tab");
  await page.keyboard.type(usher.password);
  await enter(page);
  await follow(page, link(page, "Change password"));
  const another = `${usher.password}-and-8`;
  await type(page, page.getByLabel("Old password"), usher.password);
  await type(page, page.getByLabel("New password", { exact: true }), another);
  await type(page, page.getByLabel("Repeat new password"), "something else");
  await follow(page, button(page, "Change password"));
  assert.match(await main(page).innerText(), /differ/);
  await inspect(page, "password-faults");
  await type(page, page.getByLabel("Old password"), usher.password);
  await type(page, page.getByLabel("New password", { exact: true }), another);
  await type(page, page.getByLabel("Repeat new password"), another);
  await follow(page, button(page, "Change password"));
  await told(page, /password has been changed/);
  usher.password = another;
  await logsOut(page, url);
}

// The browser's back button shows nothing any more.
async function logsOut(page, url) {
  await page.goto(`${url}/admin/`);
  await follow(page, button(page, "Log out"));
  assert.equal(new URL(page.url()).pathname, "/admin/login/");
  await page.goBack();
  assert.equal(new URL(page.url()).pathname, "/admin/login/");
}

// Works like a newcomer, with a mouse or a finger, following the pages' texts; docs/admin.md says how many clicks each
// task takes.
export async function byHand({ browser, url, inspect, name }) {
  const { page, count, click, fill, choose } = await hand(browser);
  const customer = await books(url, name);

  // A movie, and a week of shows of it.
  await click(link(page, "Add a movie"));
  await inspect(page, `${name}-hand-movie`);
  assert(await page.locator("#title").evaluate((input) => input === document.activeElement), "the first field is focused");
  await fill(page.locator("#title"), `Weekdays, ${name}`);
  await fill(page.getByLabel("Running time"), "90");
  const row = page.locator("fieldset.row").first();
  const day = name === "phone" ? 12 : 19;
  await fill(row.getByLabel("Begins"), `2032-01-${day}T18:00`);
  await choose(row.getByLabel("Screen"), "Studio");
  await fill(row.getByLabel("Seats"), "48");
  await click(button(page, "Save and continue"));
  await told(page, "was added, with 1 show.");
  await inspect(page, `${name}-hand-saved`);
  await click(page.locator(".line").getByRole("link").first());
  await click(link(page, "Copy to other dates…"));
  await inspect(page, `${name}-hand-copy`);
  await fill(page.getByLabel("First day"), `2032-01-${day + 1}`);
  await fill(page.getByLabel("Number of copies"), "6");
  await choose(page.getByLabel("Repeat"), "Every day");
  await click(main(page).locator(".buttons").getByRole("button"));
  await told(page, "Done: 6 shows");
  await inspect(page, `${name}-hand-copied`);
  assert.deepEqual(count(), { clicks: 5, fields: 8 }, "a movie and a week of shows");

  // Find a booking by half of the customer's name.
  await click(menu(page, "Bookings"));
  await fill(page.getByLabel("Search"), customer.slice(0, -3));
  await click(button(page, "Search"));
  assert.equal(await page.locator("table.list tbody tr").count(), 1);
  await inspect(page, `${name}-hand-found`);
  await click(page.locator("input[name=ids]"));
  await click(button(page, "Cancel bookings"));
  assert.match(await main(page).innerText(), new RegExp(customer), "whose booking it is");
  await inspect(page, `${name}-hand-cancel`);
  await click(main(page).locator(".buttons").getByRole("button"));
  await told(page, "Done: 1 booking");
  await inspect(page, `${name}-hand-cancelled`);
  assert.deepEqual(count(), { clicks: 5, fields: 1 }, "a booking is found and cancelled");

  // Export the day.
  browser.expect("aborted", "/admin/bookings/export/");
  await click(page.getByRole("link", { name: "Marquee" }));
  await click(link(page, "Bookings of today's shows"));
  await inspect(page, `${name}-hand-day`);
  const [download] = await Promise.all([page.waitForEvent("download"), click(button(page, "Export as CSV with commas"))]);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n");
  assert(lines.length > 1, lines.join("\n"));
  assert.deepEqual(count(), { clicks: 3, fields: 0 }, "a day is exported");
}

// Returns a page after the login, with functions that count each click and each field filled in.
async function hand(browser) {
  const page = await browser.open("/admin/login/");
  await logIn(page, MANAGER);
  let counted = { clicks: 0, fields: 0 };
  return {
    page,
    click: async (target) => {
      counted.clicks++;
      await target.click();
      await page.waitForLoadState();
    },
    fill: async (target, text) => {
      counted.fields++;
      await target.fill(text);
    },
    choose: async (target, label) => {
      counted.fields++;
      await target.selectOption(label);
    },
    count: () => {
      const all = counted;
      counted = { clicks: 0, fields: 0 };
      return all;
    },
  };
}

// Creates a customer with a booking; returns the name.
async function books(url, name) {
  const account = { username: `rosalind_${name}`, email: `rosalind@${name}.example`, password: "Row-nine-the-aisle-4" };
  await call(url, "POST", "/api/signup/", { body: { ...account, password2: account.password } });
  const { access } = await call(url, "POST", "/api/login/", { body: account });
  const [movie] = await call(url, "GET", "/api/movies/", { access });
  const shows = await call(url, "GET", `/api/movies/${movie.id}/shows/`, { access });
  const show = shows.findLast((show) => show.available_seats === show.total_seats);
  await call(url, "POST", `/api/shows/${show.id}/book/`, { access, body: { seat_number: 9 } });
  return account.username;
}

// Uses only forms and links; objects are entered by their number.
export async function withoutScripts(browser, url) {
  const page = await browser.open("/admin/shows/?q=salon");
  await logIn(page, MANAGER);
  const number = async (model, words) => {
    await page.goto(`${url}/admin/${model}/?q=${words}`);
    return page.locator("input[name=ids]").first().inputValue();
  };
  const movie = await number("movies", "noir");
  await page.goto(`${url}/admin/shows/add/`);
  await page.getByLabel("Movie").fill(movie);
  await page.getByLabel("Begins").fill("2031-03-03T18:30");
  await page.getByLabel("Screen").selectOption("Salon");
  await page.getByRole("spinbutton", { name: /^Seats( required)?$/ }).fill("30");
  await button(page, "Save").first().click();
  await told(page, TITLE);
  await page.goto(`${url}/admin/shows/?q=salon`);
  await page.locator("input[name=ids]").first().check();
  await button(page, "Close sales").click();
  await main(page).locator(".buttons").getByRole("button").click();
  await told(page, /\b1\b/);
  await page.goto(`${url}/admin/shows/?q=salon`);
  assert.match(await page.locator("table.list tbody tr").first().innerText(), /closed/i);
}
