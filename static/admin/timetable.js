"use strict";
// Moves shows in the timetable with a mouse, a finger or the arrow keys; a form asks before it is done. Without this
// script, the form of a show moves it.
const timetable = document.querySelector(".timetable");
const lines = timetable ? [...timetable.querySelectorAll("[data-screen]")] : [];
const form = document.querySelector("form.moving");
const [from, until] = timetable ? [Number(timetable.dataset.from), Number(timetable.dataset.until)] : [0, 1];
// Shows begin at a multiple of five minutes.
const STEP = 5 * 60 * 1000;
// How long a finger presses a show until it lifts, in milliseconds; a shorter touch scrolls.
const LIFT_AFTER = 400;
// The show that is on its way, and the pointer that pulls it.
let move;
let pull;
// A click that ends a drag does not open the show.
let isDragged = false;

const drawing = (line) => line.querySelector("svg").getBoundingClientRect();
const perMs = () => drawing(lines[0]).width / (until - from);
const timeAt = (x) => from + (x - drawing(lines[0]).left) / perMs();
const nameOf = (line) => line.getAttribute("aria-label");

// Returns a time as the cinema's clocks show it: 2026-12-01 20:15.
function local(time) {
  const options = { timeZone: timetable.dataset.zone, dateStyle: "short", timeStyle: "short" };
  return new Intl.DateTimeFormat("sv-SE", options).format(time);
}

function say(text) {
  document.querySelector("[data-said]").textContent = text;
}

function begin(bar) {
  if (move?.bar === bar) {
    return;
  }
  giveUp();
  const home = bar.closest("[data-screen]");
  const was = Date.parse(bar.dataset.begins);
  // The text of its time, which may have a weekday.
  const shown = bar.querySelector("b").textContent;
  move = { bar, home, was, shown, line: home, begins: was, group: bar.closest("g") };
}

// Puts the show that is on its way to this time and screen, within the drawing.
function put(begins, line) {
  const { bar, home, was, shown, group } = move;
  move.begins = begins === was ? was : Math.min(Math.max(begins, from), until - STEP);
  move.line = line;
  const isMoved = move.begins !== was || line !== home;
  // On another screen it lies on the first lane.
  const top = Number(group.querySelector("foreignObject").getAttribute("y")) - 4;
  const down = line === home ? 0 : drawing(line).top - drawing(home).top - top;
  group.style.transform = `translate(${(move.begins - was) * perMs()}px, ${down}px)`;
  lines.forEach((one) => one.classList.toggle("has-moved", isMoved && one === home));
  group.classList.toggle("moved", isMoved);
  bar.querySelector("b").textContent = move.begins === was ? shown : local(move.begins).slice(11);
  form.hidden = !isMoved;
  const to = `${local(move.begins).slice(11)} on ${nameOf(line)}`;
  const title = bar.querySelector("bdi").textContent;
  form.querySelector("[data-move-text]").textContent =
    `Move “${title}” from ${local(was).slice(11)} on ${nameOf(home)} to ${to}?`;
  say(isMoved ? `${to}. Press Enter to move the show, Escape to leave it where it was.` : "Where it was.");
}

function giveUp() {
  if (!move) {
    return;
  }
  move.group.style.transform = "";
  move.bar.querySelector("b").textContent = move.shown;
  move.group.classList.remove("moved");
  move.home.classList.remove("has-moved");
  move = undefined;
  form.hidden = true;
}

function fill() {
  const { bar, was, begins, line } = move;
  form.elements.show.value = bar.dataset.show;
  form.elements.version.value = bar.dataset.version;
  form.elements.begins.value = begins === was ? "" : new Date(begins).toISOString();
  form.elements.screen.value = line.dataset.screen;
}

function handleKey(event) {
  const bar = event.target.closest("[data-show]");
  if (!bar || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) {
    return;
  }
  const isMoving = move?.bar === bar && !form.hidden;
  const here = move?.bar === bar ? move : { begins: Date.parse(bar.dataset.begins), line: bar.closest("[data-screen]") };
  const at = lines.indexOf(here.line);
  const targets = {
    ArrowLeft: () => [Math.ceil(here.begins / STEP) * STEP - STEP, here.line],
    ArrowRight: () => [Math.floor(here.begins / STEP) * STEP + STEP, here.line],
    ArrowUp: () => [here.begins, lines[Math.max(at - 1, 0)]],
    ArrowDown: () => [here.begins, lines[Math.min(at + 1, lines.length - 1)]],
  };
  if (event.key in targets) {
    event.preventDefault();
    const target = targets[event.key]();
    begin(bar);
    put(...target);
    bar.scrollIntoView({ block: "nearest", inline: "nearest" });
  } else if (event.key === "Enter" && isMoving) {
    event.preventDefault();
    form.requestSubmit();
  } else if (event.key === "Escape" && isMoving) {
    giveUp();
    say("Not moved.");
  }
}

function lift() {
  clearTimeout(pull.timer);
  begin(pull.bar);
  pull.isLifted = true;
  // Where the show was taken, as a time after its beginning.
  pull.ahead = timeAt(pull.x) - move.begins;
  move.group.classList.add("lifted");
  pull.bar.setPointerCapture(pull.id);
}

function drop() {
  move?.group.classList.remove("lifted");
  clearTimeout(pull?.timer);
  pull = undefined;
}

function handlePress(event) {
  isDragged = false;
  const bar = event.target.closest("[data-show]");
  if (!bar || event.button !== 0 || !event.isPrimary) {
    return;
  }
  pull = { bar, id: event.pointerId, x: event.clientX, y: event.clientY, isTouch: event.pointerType === "touch" };
  if (pull.isTouch) {
    pull.timer = setTimeout(() => pull && lift(), LIFT_AFTER);
  }
}

function handleMove(event) {
  if (!pull || event.pointerId !== pull.id) {
    return;
  }
  if (!pull.isLifted) {
    const far = Math.hypot(event.clientX - pull.x, event.clientY - pull.y);
    if (far > 8 && pull.isTouch) {
      drop();
    } else if (far > 4 && !pull.isTouch) {
      lift();
    }
  }
  if (pull?.isLifted) {
    isDragged = true;
    const edge = timetable.getBoundingClientRect();
    timetable.scrollLeft += event.clientX > edge.right - 24 ? 12 : event.clientX < edge.left + 24 ? -12 : 0;
    const isOver = (line) => drawing(line).top <= event.clientY && event.clientY < drawing(line).bottom;
    const begins = Math.round((timeAt(event.clientX) - pull.ahead) / STEP) * STEP;
    put(begins, lines.find(isOver) ?? move.line);
  }
}

function handleRelease() {
  const bar = pull?.isLifted ? pull.bar : undefined;
  drop();
  bar?.focus({ preventScroll: true });
}

// A click on free time adds a show at that time.
function handleClick(event) {
  if (isDragged && event.target.closest("[data-show]")) {
    event.preventDefault();
  }
  const gap = event.target.closest("a.gap");
  if (gap && event.detail > 0) {
    const url = new URL(gap.href);
    url.searchParams.set("date_time", local(Math.floor(timeAt(event.clientX) / STEP) * STEP).replace(" ", "T"));
    gap.href = url;
  }
}

if (timetable) {
  timetable.addEventListener("click", handleClick);
}
if (form) {
  document.querySelector("[data-move-help]").hidden = false;
  timetable.addEventListener("keydown", handleKey);
  timetable.addEventListener("pointerdown", handlePress);
  timetable.addEventListener("pointermove", handleMove);
  timetable.addEventListener("pointerup", handleRelease);
  timetable.addEventListener("pointercancel", () => {
    drop();
    giveUp();
  });
  // The browser neither scrolls nor opens a menu while a finger moves a show.
  timetable.addEventListener("touchmove", (event) => pull?.isLifted && event.preventDefault(), { passive: false });
  timetable.addEventListener("contextmenu", (event) => pull?.isTouch && event.preventDefault());
  timetable.addEventListener("dragstart", (event) => event.preventDefault());
  form.addEventListener("submit", fill);
  form.querySelector("[data-give-up]").addEventListener("click", () => {
    const { bar } = move;
    giveUp();
    bar.focus();
  });
  addEventListener("pageshow", giveUp);
}
