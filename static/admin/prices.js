"use strict";
// The table of prices: arrow keys move between the fields, and the tax follows while someone types. Without this script,
// the Tab key moves, and the button "Show the taxes" computes them.

const form = document.getElementById("prices");

// The price in a field, in the smallest unit of the currency; undefined if it is none.
function amountOf(text, decimals) {
  const found = /^(\d*)(?:[.,](\d*))?$/.exec(text.trim());
  if (!found || !/\d/.test(text) || (found[2] || "").length > decimals) return undefined;
  return BigInt(found[1] + (found[2] || "").padEnd(decimals, "0"));
}

// The tax in an amount, rounded half up. The rate is in hundredths of a percent.
function taxIn(amount, rate) {
  const whole = 10000n + rate;
  return (2n * amount * rate + whole) / (2n * whole);
}

function written(amount, decimals) {
  const digits = String(amount).padStart(decimals + 1, "0");
  return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

function showTax(input) {
  const tax = input.closest("td").querySelector(".tax");
  if (!tax) return;
  const decimals = Number(form.dataset.decimals);
  const amount = amountOf(input.value, decimals);
  const rate = BigInt(input.closest("tr").dataset.rate);
  tax.textContent = amount === undefined ? "" : `incl. ${written(taxIn(amount, rate), decimals)} tax`;
}

// The field that is `down` rows and `right` columns away.
function neighbour(input, down, right) {
  const cell = input.closest("td");
  const rows = [...cell.closest("tbody").rows];
  const row = rows[rows.indexOf(cell.parentElement) + down];
  return row?.cells[cell.cellIndex + right]?.querySelector("input");
}

function move(event) {
  const { target, key } = event;
  if (!target.matches("table.prices input") || event.altKey || event.ctrlKey || event.metaKey) return;
  const isAtStart = target.selectionStart === 0 && target.selectionEnd === 0;
  const isAtEnd = target.selectionStart === target.value.length;
  const isWhole = target.selectionStart === 0 && target.selectionEnd === target.value.length;
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], Enter: [1, 0] };
  if (isAtStart || isWhole) steps.ArrowLeft = [0, -1];
  if (isAtEnd || isWhole) steps.ArrowRight = [0, 1];
  if (event.shiftKey || !steps[key]) return;
  event.preventDefault();
  neighbour(target, ...steps[key])?.focus();
}

// A field that gets the focus is selected, so that typing replaces its price, and the arrow keys leave it.
function select(event) {
  if (event.target.matches("table.prices input")) event.target.select();
}

// Leaving the page with changed prices asks first, unless a button of the form was pressed.
function guardsPrices() {
  const state = () => [...form.querySelectorAll("table.prices input")].map((input) => input.value).join("\n");
  const loaded = state();
  let isSent = false;
  form.addEventListener("submit", () => (isSent = true));
  addEventListener("pageshow", () => (isSent = false));
  addEventListener("beforeunload", (event) => {
    if (!isSent && (state() !== loaded || "unsaved" in form.dataset)) event.preventDefault();
  });
}

if (form) {
  form.addEventListener("keydown", move);
  form.addEventListener("focusin", select);
  form.addEventListener("input", (event) => showTax(event.target));
  for (const element of form.querySelectorAll("[data-without-script]")) element.hidden = true;
  guardsPrices();
}
