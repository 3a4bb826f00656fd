// Runs every check of this repository, each as its own line; a failed one shows what it printed.
//
//   npm run verify [-- CHECK…]       all of them, or those named: format lint types unused packages tests
//   npm run check                    before each commit, in less than two minutes: format lint types unused and the quick tests
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

/** Tests in one process, and those of the wire. The others start nodes, servers and containers. */
const quick = ["unit", "simulation", "scxml", "interop", "meta"];
const packages = readdirSync("packages").map((name) => `packages/${name}`);

/** `types` builds the packages, so it comes before what looks at the built ones. */
const checks = {
  format: [["oxfmt", "--check"]],
  lint: [["oxlint"]],
  types: [["tsc", "--build"]],
  unused: [["knip"]],
  packages: [
    ["node", "scripts/bundle.mjs"],
    ...packages.flatMap((folder) => [
      ["publint", "--strict", folder],
      ["attw", "--pack", folder, "--profile", "esm-only"],
    ]),
  ],
  tests: [["vitest", "run"]],
  "quick-tests": [["vitest", "run", ...quick.flatMap((project) => ["--project", project])]],
};
/** What the whole is, when nothing is named. */
const all = Object.keys(checks).filter((name) => name !== "quick-tests");

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(checks, name));
if (unknown.length > 0) {
  console.error(`verify: no check is called ${unknown.join(", ")}; there are ${Object.keys(checks).join(", ")}`);
  process.exit(2);
}

const names = asked.length > 0 ? asked : all;
const failed = names.filter((name) => !passes(name, checks[name]));
if (failed.length > 0) {
  console.error(`verify: failed: ${failed.join(", ")}`);
  process.exitCode = 1;
}

function passes(name, commands) {
  const start = performance.now();
  const results = commands.map(([program, ...args]) =>
    spawnSync(program, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024, stdio: ["ignore", "pipe", "pipe"] }),
  );
  const bad = results.filter((result) => result.status !== 0);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${bad.length === 0 ? "ok    " : "FAILED"}  ${name.padEnd(11)}  ${seconds} s`);
  for (const { stdout, stderr, error } of bad) process.stdout.write(`${stdout ?? ""}${stderr ?? ""}${error ?? ""}\n`);
  return bad.length === 0;
}
