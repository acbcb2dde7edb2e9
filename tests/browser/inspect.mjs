// What every page of the panel must be, however someone came to it: no wider than the screen, and without a fault that
// axe-core calls serious or critical, by day and by night.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fits } from "./browser.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Gives `inspect(page, name)`, which takes a picture too, and the list of what it has found so far.
export function inspector(picture) {
  const found = [];
  const inspect = async (page, name) => {
    await fits(page, name);
    await loadAxe(page);
    found.push(...(await faults(page, name)));
    await picture(page, name, { fullPage: true, scale: "css" });
    // At night only the colours are others.
    await page.emulateMedia({ colorScheme: "dark" });
    found.push(...(await faults(page, `${name}, dark`, ["color-contrast"])));
    await picture(page, `${name}-dark`, { scale: "css" });
    await page.emulateMedia({ colorScheme: "light" });
  };
  return { inspect, found };
}

// Through the browser's own tools: the page's policy has no say in it, and stays in force.
async function loadAxe(page) {
  const tools = await page.context().newCDPSession(page);
  await tools.send("Runtime.evaluate", { expression: AXE });
  await tools.detach();
}

async function faults(page, name, rules) {
  const violations = await page.evaluate(async (rules) => {
    const options = { resultTypes: ["violations"], ...(rules && { runOnly: { type: "rule", values: rules } }) };
    const { violations } = await window.axe.run(document, options);
    return violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.map((node) => node.html) }));
  }, rules);
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, help, where }) => `${name}: ${help} (${id}): ${where.slice(0, 3).join(" | ").slice(0, 500)}`);
}
