// nats-server: one at hand that is new enough, else one brought into the checkout.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { unpackDebianPackage } from "./debian-package.mjs";
import { isProgram, onPath, toolchain } from "./paths.mjs";
import { unpackReleaseArchive } from "./release-archive.mjs";
import { CannotBring, note } from "./report.mjs";
import { atLeast } from "./version.mjs";

const floor = "2.14";
const kept = path.join(toolchain, "nats-server", "nats-server");

/** Each source unpacks a server into a folder and returns the binary's path, or throws why it can't. */
const sources = [
  { name: "Debian's package", unpack: unpackDebianPackage },
  { name: "the project's release archive", unpack: unpackReleaseArchive },
];

/** What was found and can't be used, as lines to say. */
const rejected = new Map();

/** A server that is new enough, if there is one: ERGON_NATS_SERVER, then PATH, then what was brought before. */
export function findNatsServer() {
  for (const file of candidates()) {
    const problem = check(file);
    if (problem === undefined) return file;
    if (!rejected.has(file)) note(`skipping ${file}: ${problem}`);
    rejected.set(file, `  - ${file}: ${problem}`);
  }
  return undefined;
}

export async function bringNatsServer() {
  note(`no nats-server ${floor} or newer here: bringing one`);
  const tried = [...rejected.values()];
  if (!process.env.ERGON_NATS_SERVER) tried.unshift("  - ERGON_NATS_SERVER: not set");
  if (onPath("nats-server").length === 0) tried.push("  - PATH: has no nats-server");

  const scratch = mkdtempSync(path.join(tmpdir(), "ergon-nats-server-"));
  try {
    for (const { name, unpack } of sources) {
      try {
        const unpacked = await unpack(scratch);
        const problem = check(unpacked);
        if (problem !== undefined) throw new Error(problem);
        return keep(unpacked, name);
      } catch (error) {
        tried.push(`  - ${name}: ${error.message}`);
      }
    }
  } finally {
    rmSync(scratch, { force: true, recursive: true });
  }
  throw new CannotBring(
    [
      `no nats-server ${floor} or newer can be had. Tried:`,
      ...tried,
      "  Install it by hand (macOS: brew install nats-server; Debian: the nats-server of sid; elsewhere: a release of",
      "  github.com/nats-io/nats-server), put it on PATH or its path into ERGON_NATS_SERVER, then run this again.",
    ].join("\n"),
  );
}

function candidates() {
  const told = process.env.ERGON_NATS_SERVER ? [process.env.ERGON_NATS_SERVER] : [];
  return [...told, ...onPath("nats-server"), ...(isProgram(kept) ? [kept] : [])];
}

/** Why this server can't be used, or undefined. */
function check(file) {
  if (!isProgram(file)) return "not a program";
  const asked = spawnSync(file, ["--version"], { encoding: "utf8" });
  const version = /v(\d+\.\d+\.\d+)/.exec(asked.stdout ?? "")?.[1];
  if (version === undefined) return `does not run: ${(asked.error?.message ?? asked.stderr).trim().split("\n")[0]}`;
  return atLeast(version, floor) ? undefined : `version ${version} is too old, ${floor} or newer is needed`;
}

function keep(unpacked, source) {
  mkdirSync(path.dirname(kept), { recursive: true });
  const arriving = `${kept}.${process.pid}`;
  copyFileSync(unpacked, arriving);
  chmodSync(arriving, 0o755);
  renameSync(arriving, kept);
  note(`nats-server came from ${source}`);
  return kept;
}
