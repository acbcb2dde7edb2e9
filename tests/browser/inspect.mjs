// What every page of the panel must satisfy, however a user reached it: no wider than the screen, and no violation of
// axe-core's rules, in the light and in the dark theme.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fits } from "./browser.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// Returns `inspect(page, name)`, which also takes a screenshot, and the list of its findings so far.
export function inspector(picture) {
  const found = [];
  const inspect = async (page, name) => {
    await fits(page, name);
    await loadAxe(page);
    found.push(...(await faults(page, name)));
    await picture(page, name, { fullPage: true, scale: "css" });
    // The dark theme differs only in colours.
    await page.emulateMedia({ colorScheme: "dark" });
    found.push(...(await faults(page, `${name}, dark`, ["color-contrast"])));
    await picture(page, `${name}-dark`, { scale: "css" });
    await page.emulateMedia({ colorScheme: "light" });
  };
  return { inspect, found };
}

// Loaded through the browser's own tools, so that the page's policy does not block it and stays in force.
async function loadAxe(page) {
  const tools = await page.context().newCDPSession(page);
  await tools.send("Runtime.evaluate", { expression: AXE });
  await tools.detach();
}

async function faults(page, name, rules) {
  const violations = await page.evaluate(async (rules) => {
    const options = { resultTypes: ["violations"], ...(rules && { runOnly: { type: "rule", values: rules } }) };
    const { violations } = await window.axe.run(document, options);
    return violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.html) }));
  }, rules);
  return violations.map(
    ({ id, help, where }) => `${name}: ${help} (${id}): ${where.slice(0, 3).join(" | ").slice(0, 500)}`,
  );
}
