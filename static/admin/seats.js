"use strict";
// Enhancements of a seat map, whose seats are check boxes and links: arrow keys, ranges in a row, and a count.
const hall = document.querySelector("[data-seats]");
const seats = [...hall.querySelectorAll("input, a")];
const boxes = seats.filter((seat) => seat.type === "checkbox");
const counted = document.querySelector("[data-seat-count]");
let places;
// From here, the shift key chooses a range.
let anchor;

// Where each seat is, in pixels, with its row. Another size of the map changes all of them in proportion.
function placeOf(seat) {
  places ??= new Map(
    seats.map((one) => {
      const element = one.closest(".seat");
      return [one, { x: element.offsetLeft, y: element.offsetTop, row: one.closest(".line-of-seats") }];
    }),
  );
  return places.get(seat);
}

const nameOf = (seat) => seat.getAttribute("aria-label").split(",")[0];

function count() {
  const chosen = boxes.filter((box) => box.checked);
  const names = chosen.slice(0, 8).map(nameOf).join(", ");
  const more = chosen.length > 8 ? ` and ${chosen.length - 8} more` : "";
  const seatsOf = chosen.length === 1 ? "1 seat chosen" : `${chosen.length} seats chosen`;
  counted.textContent = chosen.length === 0 ? "No seats chosen" : `${seatsOf}: ${names}${more}`;
}

const inRow = (seat) =>
  seats.filter((one) => placeOf(one).row === placeOf(seat).row).sort((a, b) => placeOf(a).x - placeOf(b).x);

// Returns the nearest seat in a direction. A seat straight ahead is nearer than one aside.
function nearest(from, [dx, dy]) {
  const here = placeOf(from);
  let best;
  let least = Infinity;
  for (const seat of seats) {
    const { x, y } = placeOf(seat);
    const ahead = (x - here.x) * dx + (y - here.y) * dy;
    const aside = Math.abs((x - here.x) * dy) + Math.abs((y - here.y) * dx);
    const far = ahead + 2 * aside;
    if (ahead > 1 && ahead * 2 > aside && far < least) {
      best = seat;
      least = far;
    }
  }
  return best;
}

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function target(seat, key) {
  const row = inRow(seat);
  const at = row.indexOf(seat);
  switch (key) {
    case "ArrowLeft":
      return row[at - 1] ?? nearest(seat, DIRECTIONS[key]);
    case "ArrowRight":
      return row[at + 1] ?? nearest(seat, DIRECTIONS[key]);
    case "Home":
      return row[0];
    case "End":
      return row[row.length - 1];
    default:
      return nearest(seat, DIRECTIONS[key]);
  }
}

// The map is one stop of the Tab key: the seat that had the focus last.
function makeStop(seat) {
  seats.forEach((one) => (one.tabIndex = one === seat ? 0 : -1));
}

// Chooses, or unchooses, the seats of a row between two.
function chooseRange(from, to, isChosen) {
  if (placeOf(from).row !== placeOf(to).row) {
    return;
  }
  const row = inRow(from);
  const [first, last] = [row.indexOf(from), row.indexOf(to)].sort((a, b) => a - b);
  for (const seat of row.slice(first, last + 1)) {
    if (seat.type === "checkbox") {
      seat.checked = isChosen;
    }
  }
}

hall.addEventListener("keydown", (event) => {
  const seat = event.target;
  const isMove = event.key in DIRECTIONS || event.key === "Home" || event.key === "End";
  if (!isMove || !places?.has(seat) || event.altKey || event.ctrlKey || event.metaKey) {
    return;
  }
  event.preventDefault();
  const next = target(seat, event.key);
  if (next === undefined) {
    return;
  }
  if (event.shiftKey) {
    anchor ??= seat;
    chooseRange(anchor, next, true);
    count();
  } else {
    anchor = undefined;
  }
  next.focus();
});

hall.addEventListener("focusin", ({ target }) => {
  placeOf(seats[0]);
  if (places.has(target)) {
    makeStop(target);
  }
});

let clicked;
hall.addEventListener("click", (event) => {
  const box = event.target;
  if (box.type !== "checkbox") {
    return;
  }
  // A click with the shift key on a label is also a selection of text.
  if (event.shiftKey && clicked) {
    chooseRange(clicked, box, box.checked);
  }
  clicked = box;
  anchor = undefined;
  count();
});
hall.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());

if (boxes.length > 0) {
  makeStop(seats.find((seat) => seat.checked) ?? boxes[0]);
  document.querySelector("[data-seat-help]").hidden = false;
  count();
  // A page that the browser shows again may have chosen seats.
  addEventListener("pageshow", count);
} else if (seats.length > 0) {
  makeStop(seats[0]);
}
