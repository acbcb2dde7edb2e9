// Generates a client from the server's schema with a public generator, compiles an app that uses it, and runs that app
// against a server.
//
//   npm ci --prefix tests/schema/client
//   node tests/schema/client/check.mjs target/debug/marquee
import { execFileSync } from "node:child_process";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { LOGIN, withServer } from "../../browser/server.mjs";

const [binary] = process.argv.slice(2);
if (!binary) {
  console.error("usage: check.mjs MARQUEE-BINARY");
  process.exit(2);
}

const here = dirname(fileURLToPath(import.meta.url));
const work = await mkdtemp(join(tmpdir(), "marquee-client-"));
const tool = (name, ...args) =>
  execFileSync(join(here, "node_modules", ".bin", name), args, { cwd: work, stdio: "inherit" });
try {
  for (const file of ["journey.ts", "tsconfig.json", "package.json"]) await cp(join(here, file), join(work, file));
  await symlink(join(here, "node_modules"), join(work, "node_modules"));
  await withServer(binary, async (url) => {
    tool("openapi-typescript", `${url}/api/schema/?format=json`, "--output", "schema.ts");
    tool("tsc");
    console.log("check.mjs: the generated client compiles");
    const { journey } = await import(pathToFileURL(join(work, "build", "journey.js")));
    await journey(url, LOGIN);
  });
  console.log("check.mjs: logged in, refreshed, listed, booked, was refused the taken seat (409), cancelled: passed");
} finally {
  await rm(work, { recursive: true, force: true });
}
