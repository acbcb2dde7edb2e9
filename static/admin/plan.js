"use strict";
// The editor of a seat plan: the drawing follows while someone types, and a fault leads to its place in the text. Without
// this script, the button "Preview" does the same.

const text = document.getElementById("plan-text");
const preview = document.getElementById("plan-preview");
const stale = document.getElementById("plan-stale");
const editor = document.getElementById("plan-form");
const file = document.getElementById("plan-file");

// How long to wait after a key, in milliseconds.
const PAUSE = 200;

// The text that is drawn, the timer of the next drawing, and whether one is on its way.
let drawn = text.value;
let waiting = 0;
let isDrawing = false;

function drawSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(draw, PAUSE);
}

// Draws the text. While a drawing is on its way, typing waits for it.
async function draw() {
  if (isDrawing || text.value === drawn) return;
  isDrawing = true;
  const sent = text.value;
  const body = new URLSearchParams({ csrf: editor.elements.csrf.value, text: sent });
  try {
    const options = { method: "POST", body, credentials: "same-origin", redirect: "manual" };
    const reply = await fetch(preview.dataset.url, options);
    if (reply.ok) {
      show(await reply.text());
    } else {
      // A redirect leads to the login.
      showStale(reply.type === "opaqueredirect" ? 403 : reply.status);
    }
  } catch {
    showStale(0);
  }
  // Even if it failed: the next key tries again.
  drawn = sent;
  isDrawing = false;
  if (text.value !== drawn) drawSoon();
}

function show(html) {
  const box = preview.querySelector(".drawing");
  const [left, top] = box ? [box.scrollLeft, box.scrollTop] : [0, 0];
  const parsed = new DOMParser().parseFromString(html, "text/html");
  preview.replaceChildren(...parsed.body.childNodes);
  const now = preview.querySelector(".drawing");
  if (now) now.scrollTo(left, top);
  stale.hidden = true;
  say(preview.querySelector("[data-said]").dataset.said);
}

// Tells screen readers how many seats and faults there are, if that has changed.
function say(words) {
  const said = document.getElementById("plan-said");
  if (said.textContent !== words) said.textContent = words;
}

function showStale(status) {
  const why = {
    403: "You are logged out. Log in in another tab: your text stays here.",
    413: "The text is too large to be drawn.",
  };
  stale.textContent = why[status] || "The server does not answer. The drawing is that of an earlier text.";
  stale.hidden = false;
  say(stale.textContent);
}

// Puts the cursor at a line and a column, both from 1. Columns count characters, some of which take two places here.
function goTo(line, column) {
  const lines = text.value.split("\n");
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  const characters = [...(lines[line - 1] || "")];
  const start = before + characters.slice(0, column - 1).join("").length;
  const length = (characters[column - 1] || "").length;
  text.focus();
  text.setSelectionRange(start, start + length);
  // A browser scrolls to the cursor only when something is typed.
  const height = text.scrollHeight / lines.length;
  text.scrollTop = Math.max(0, (line - 4) * height);
}

document.addEventListener("click", (event) => {
  const place = event.target.closest("a[data-line]");
  if (place) {
    event.preventDefault();
    goTo(Number(place.dataset.line), Number(place.dataset.column));
  }
});

for (const element of document.querySelectorAll("[data-without-script]")) element.hidden = true;
for (const element of document.querySelectorAll("[data-with-script]")) element.hidden = false;

// Leaving the page with a changed text asks first, unless a button of the form was pressed.
function guardsText() {
  const loaded = text.value;
  let isSent = false;
  editor.addEventListener("submit", () => (isSent = true));
  addEventListener("pageshow", () => (isSent = false));
  addEventListener("beforeunload", (event) => {
    const isChanged = text.value !== loaded || "unsaved" in editor.dataset;
    if (!isSent && isChanged) event.preventDefault();
  });
}

if (editor && preview) {
  text.addEventListener("input", drawSoon);
  guardsText();
  const generate = document.getElementById("generate");
  document.querySelector("#plan-rows")?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input")) {
      event.preventDefault();
      generate.click();
    }
  });
  // A page that the browser restores may have another text than its drawing.
  addEventListener("pageshow", draw);
}

if (file) {
  file.addEventListener("change", async () => {
    if (file.files[0]) text.value = await file.files[0].text();
  });
}
