// Runs npm, quietly, with a given Node first on PATH.
import { spawn } from "node:child_process";
import path from "node:path";

import { holdLockFor } from "./lock.mjs";
import { onPath } from "./paths.mjs";
import { CannotBring, indented } from "./report.mjs";

/**
 * npm skips optional native packages whose engines don't fit the Node that runs it, and says nothing: so `node` runs it.
 * It ends with this process; where that one is killed, the lock is held until npm has ended.
 */
export async function npm(node, args, { cwd, purpose }) {
  const child = spawn(node, [npmScript(), ...args, "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd,
    env: { ...process.env, PATH: path.dirname(node) + path.delimiter + (process.env.PATH ?? "") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const interruptions = [];
  const interrupt = (signal) => {
    interruptions.push(signal);
    child.kill(signal);
  };
  for (const signal of signals) process.on(signal, interrupt);
  if (child.pid !== undefined) holdLockFor(child.pid);

  const { status, printed } = await ended(child);
  for (const signal of signals) process.off(signal, interrupt);
  if (interruptions.length > 0) throw new CannotBring(`interrupted by ${interruptions[0]}`);
  if (status === 0) return;
  throw new CannotBring(
    [
      `${purpose} can't be had: npm ${args[0]} failed.`,
      indented(reason(printed)),
      "  Check that this machine reaches its npm registry (npm ping), then run this again.",
    ].join("\n"),
  );
}

const signals = ["SIGHUP", "SIGINT", "SIGTERM"];

function ended(child) {
  return new Promise((resolve) => {
    let printed = "";
    const collect = (chunk) => (printed += chunk);
    child.stdout.setEncoding("utf8").on("data", collect);
    child.stderr.setEncoding("utf8").on("data", collect);
    child.on("error", (error) => resolve({ printed: error.message }));
    child.on("close", (status, signal) =>
      resolve({ status, printed: signal === null ? printed : `ended by ${signal}` }),
    );
  });
}

/** npm says why first, then where in npm, then how to use npm. */
function reason(printed) {
  const lines = printed.trim().split("\n");
  const errors = lines.filter(
    (line) => /^npm (error|ERR!) \S/.test(line) && !line.includes("complete log of this run"),
  );
  return (errors.length > 0 ? errors : lines).slice(0, 8).join("\n");
}

/** The npm that runs this, else the one on PATH (a link to its script). */
function npmScript() {
  const running = process.env.npm_execpath;
  if (running !== undefined && path.basename(running) === "npm-cli.js") return running;
  const [found] = onPath("npm");
  if (found === undefined) {
    throw new CannotBring("npm is not on PATH: install it (it comes with Node), then run this again");
  }
  return found;
}
