// Runs npm, quietly, with a given Node first on PATH.
import { spawnSync } from "node:child_process";
import path from "node:path";

import { onPath } from "./paths.mjs";
import { CannotBring, indented } from "./report.mjs";

/** npm skips optional native packages whose engines don't fit the Node that runs it, and says nothing: so `node` runs it. */
export function npm(node, args, { cwd, purpose }) {
  const result = spawnSync(node, [npmScript(), ...args, "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: path.dirname(node) + path.delimiter + (process.env.PATH ?? "") },
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (result.status === 0) return;
  throw new CannotBring(
    [
      `${purpose} can't be had: npm ${args[0]} failed${result.signal ? ` (${result.signal})` : ""}.`,
      indented(result.error?.message ?? reason(result)),
      "  Check that this machine reaches its npm registry (npm ping), then run this again.",
    ].join("\n"),
  );
}

/** npm says why first, then how to use npm. */
function reason({ stderr, stdout }) {
  const errors = stderr
    .split("\n")
    .filter((line) => /^npm (error|ERR!) ./.test(line) && !/complete log of this run/.test(line));
  return (errors.length > 0 ? errors : (stderr + stdout).trim().split("\n")).slice(0, 8).join("\n");
}

/** The npm that runs this, else the one on PATH (a link to its script). */
function npmScript() {
  const running = process.env.npm_execpath;
  if (running !== undefined && path.basename(running) === "npm-cli.js") return running;
  const [found] = onPath("npm");
  if (found === undefined)
    throw new CannotBring("npm is not on PATH: install it (it comes with Node), then run this again");
  return found;
}
