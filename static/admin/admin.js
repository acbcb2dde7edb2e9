"use strict";
// Enhancements of plain forms. Without this script, fields that refer to an object take its number.

// A field that refers to an object: searches the typed words, and puts the number of the chosen object into the form.
function lookUp(input) {
  const field = {
    input,
    ...replaceByLookUp(input),
    // The results, and which of them is selected.
    found: [],
    at: -1,
    // The number of the last search, and the timer of the next.
    asked: 0,
    waiting: 0,
  };
  const { shown } = field;
  shown.addEventListener("input", () => {
    if (!("adds" in input.dataset)) {
      input.value = "";
      shown.setCustomValidity(shown.value.trim() === "" ? "" : "Choose one of the results.");
    }
    clearTimeout(field.waiting);
    field.waiting = setTimeout(() => showResults(field), 150);
  });
  shown.addEventListener("keydown", (event) => handleKey(field, event));
  shown.addEventListener("blur", () => closeResults(field));
  // A press on the list must not take the focus from the field, which would close the list before the click.
  field.list.addEventListener("mousedown", (event) => event.preventDefault());
}

// Hides an input and puts in its place a field for words, a list of results, and a text for screen readers.
function replaceByLookUp(input) {
  const shown = document.createElement("input");
  const list = document.createElement("ul");
  const said = document.createElement("span");
  const id = input.id;
  for (const name of ["required", "aria-describedby", "aria-invalid", "aria-label"]) {
    if (input.hasAttribute(name)) {
      shown.setAttribute(name, input.getAttribute(name));
    }
  }
  input.type = "hidden";
  input.id = id + "-number";
  shown.id = id;
  shown.value = input.dataset.shown || input.value;
  shown.autocomplete = "off";
  shown.placeholder = "Type to search";
  list.id = id + "-names";
  list.className = "names";
  list.hidden = true;
  said.className = "hidden";
  said.setAttribute("role", "status");
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Results");
  shown.setAttribute("role", "combobox");
  shown.setAttribute("aria-autocomplete", "list");
  shown.setAttribute("aria-expanded", "false");
  shown.setAttribute("aria-controls", list.id);
  const box = document.createElement("span");
  box.className = "lookup";
  input.after(box);
  box.append(shown, list, said);
  if (box.nextElementSibling && box.nextElementSibling.classList.contains("chosen")) {
    box.nextElementSibling.remove();
  }
  return { shown, list, said };
}

function closeResults(field) {
  field.list.hidden = true;
  field.at = -1;
  field.shown.setAttribute("aria-expanded", "false");
  field.shown.removeAttribute("aria-activedescendant");
}

function chooseResult(field, one) {
  const { input, shown } = field;
  if ("adds" in input.dataset) {
    addChoice(input, one);
    shown.value = "";
  } else {
    input.value = one.id;
    shown.value = one.label;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
  shown.setCustomValidity("");
  closeResults(field);
}

function selectResult(field, at) {
  field.at = at;
  [...field.list.children].forEach((item, place) => item.setAttribute("aria-selected", String(place === at)));
  const item = field.list.children[at];
  if (item) {
    field.shown.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  }
}

// Searches the typed words and shows the results, unless another search has begun by then.
async function showResults(field) {
  const { input, shown, list, said } = field;
  const number = ++field.asked;
  const words = shown.value.trim();
  let names = [];
  try {
    const reply = await fetch(input.dataset.names + "?q=" + encodeURIComponent(words), { credentials: "same-origin" });
    names = reply.ok ? await reply.json() : [];
  } catch {
    // If the server can't be reached, there are no results.
  }
  if (number !== field.asked) {
    return;
  }
  field.found = names;
  list.replaceChildren(...names.map((one, place) => resultItem(field, one, place)));
  said.textContent = names.length === 0 ? "No results" : "Results: " + names.length;
  list.hidden = names.length === 0;
  shown.setAttribute("aria-expanded", String(names.length > 0));
  field.at = -1;
}

// Returns the item of the list for a result.
function resultItem(field, one, place) {
  const item = document.createElement("li");
  item.id = field.list.id + "-" + place;
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", "false");
  item.textContent = one.label;
  // On click, since a finger that scrolls the list also presses it.
  item.addEventListener("click", () => chooseResult(field, one));
  return item;
}

function handleKey(field, event) {
  const { list, found, at } = field;
  if (event.key === "ArrowDown" && list.hidden) {
    event.preventDefault();
    showResults(field);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    selectResult(field, (at + step + found.length) % Math.max(found.length, 1));
  } else if (event.key === "Enter" && !list.hidden) {
    event.preventDefault();
    const one = found[Math.max(at, 0)];
    if (one) {
      chooseResult(field, one);
    }
  } else if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    closeResults(field);
  }
}

// Adds one to the objects that a field refers to.
function addChoice(input, one) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  label.className = "check";
  box.type = "checkbox";
  box.name = input.name;
  box.value = one.id;
  box.checked = true;
  label.append(box, " " + one.label);
  const fieldset = input.closest("fieldset");
  const there = [...fieldset.querySelectorAll("input[type=checkbox]")].find((other) => other.value === String(one.id));
  if (there) {
    there.checked = true;
  } else {
    fieldset.querySelector("legend").after(label);
  }
}

function enhance(within) {
  within.querySelectorAll("input[data-names]").forEach(lookUp);
}

// Adds a row to an inline: a copy of the template with the next number.
function rowsCanBeAdded(button) {
  const template = button.parentElement.querySelector("template[data-rows]");
  const count = button.parentElement.querySelector('input[name="' + template.dataset.rows + '"]');
  button.hidden = false;
  button.addEventListener("click", () => {
    const row = template.content.cloneNode(true);
    for (const element of row.querySelectorAll("*")) {
      for (const attribute of [...element.attributes]) {
        if (attribute.value.includes("__row__")) {
          element.setAttribute(attribute.name, attribute.value.replaceAll("__row__", count.value));
        }
      }
    }
    count.value = Number(count.value) + 1;
    const added = document.createElement("div");
    added.append(row);
    template.before(added);
    enhance(added);
    const first = added.querySelector("input:not([type=hidden]), select, textarea");
    if (first) {
      first.focus();
    }
  });
}

// A browser can't show its message about a field in a closed row.
document.addEventListener("invalid", ({ target }) => target.closest("details")?.setAttribute("open", ""), true);

// A second click sends a form again; the server saves it once, but the page would be the answer to the second one.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || event.defaultPrevented) {
    return;
  }
  if (form.dataset.sent) {
    event.preventDefault();
  }
  form.dataset.sent = "yes";
});
// A page that the browser shows again can be sent again.
addEventListener("pageshow", () => {
  document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
});
// After the login, a form that was kept goes on.
const kept = document.querySelector("form[data-goes-on]");
if (kept) {
  kept.requestSubmit();
}

// On a small screen, what narrows a list is collapsed unless it is in use.
const small = matchMedia("(max-width: 48rem)");
function collapse() {
  document.querySelectorAll("details[data-collapses]").forEach((details) => {
    details.open = !small.matches || details.dataset.collapses === "never";
  });
}
small.addEventListener("change", collapse);
collapse();
// A check box in the head of a list: selects all rows of the page. With the shift key, a click on a row's own box
// selects all rows from the one clicked before.
function selectsRows(head) {
  const boxes = [...document.querySelectorAll(`td.choose input[name="${head.dataset.chooses}"]`)];
  const all = document.createElement("input");
  let last;
  const update = () => {
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count === boxes.length;
    all.indeterminate = count > 0 && !all.checked;
  };
  all.type = "checkbox";
  all.setAttribute("aria-label", "Select all on this page");
  all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
  for (const box of boxes) {
    box.addEventListener("click", (event) => {
      if (event.shiftKey && last) {
        const ends = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
        boxes.slice(ends[0], ends[1] + 1).forEach((other) => (other.checked = box.checked));
      }
      last = box;
      update();
    });
  }
  head.append(all);
  // A page that the browser restores may have selected rows.
  update();
}

// Shows the weekday of a date while it is typed.
function showWeekday(input) {
  const shown = document.querySelector(`[data-weekday="${CSS.escape(input.id)}"]`);
  if (shown) {
    const date = new Date(`${input.value.slice(0, 10)}T12:00:00Z`);
    const isDate = !Number.isNaN(date.valueOf());
    shown.textContent = isDate ? date.toLocaleDateString("en", { weekday: "long", timeZone: "UTC" }) : "";
  }
}

enhance(document);
document.addEventListener("input", ({ target }) => showWeekday(target));
document.querySelectorAll("th[data-chooses]").forEach(selectsRows);
for (const button of document.querySelectorAll("button[data-prints]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
document.querySelectorAll("button[data-adds-row]").forEach(rowsCanBeAdded);
// Focus a message, or else the first field if it is empty.
const message = document.querySelector("[role=alert][tabindex]");
const first = document.querySelector(".object .field :is(input, select, textarea):not([type=hidden])");
if (message) {
  message.focus();
} else if (first && first.value === "") {
  first.focus();
}
