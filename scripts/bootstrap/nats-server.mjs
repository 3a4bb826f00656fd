// nats-server: one at hand that is new enough, else one brought into the checkout. What is brought is as new as it is wanted, where it can be had.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { unpackDebianPackage } from "./debian-package.mjs";
import { isProgram, onPath, toolchain } from "./paths.mjs";
import { unpackReleaseArchive } from "./release-archive.mjs";
import { CannotBring, note } from "./report.mjs";
import { atLeast } from "./version.mjs";

/** The least that works. */
const floor = "2.14";
/** What is brought where it can be had: it recovers from a lost majority in a third of the time that 2.14 takes. */
const wanted = "2.15.1";
const kept = path.join(toolchain, "nats-server", "nats-server");
/** There once nothing newer than what is kept could be had; delete it to try again. */
const settled = path.join(toolchain, "nats-server", `no-${wanted}`);

/** Each source unpacks a server into a folder and returns the binary's path, or throws why it can't. */
const sources = [
  { name: "Debian's package", unpack: unpackDebianPackage },
  { name: "the project's release archive", unpack: unpackReleaseArchive },
];

/** What was found and can't be used, as lines to say. */
const rejected = new Map();

/**
 * A server that is new enough, if there is one: ERGON_NATS_SERVER, then PATH, then what was brought before. Of these only the last has to be as new
 * as it is wanted: the others are the user's choice.
 */
export function findNatsServer() {
  for (const file of candidates()) {
    const { version, problem } = check(file);
    if (problem === undefined && (file !== kept || atLeast(version, wanted) || existsSync(settled))) return file;
    if (problem === undefined) continue;
    if (!rejected.has(file)) note(`skipping ${file}: ${problem}`);
    rejected.set(file, `  - ${file}: ${problem}`);
  }
  return undefined;
}

/** Brings the first server that is as new as it is wanted, else the newest that can be had, what is kept included. */
export async function bringNatsServer(from = sources) {
  const before = isProgram(kept) ? check(kept) : undefined;
  const has = before?.problem === undefined ? before?.version : undefined;
  note(
    has === undefined
      ? `no nats-server ${floor} or newer here: bringing one`
      : `nats-server ${has} was brought before: looking for ${wanted}`,
  );
  const tried = [...rejected.values()];
  if (!process.env.ERGON_NATS_SERVER) tried.unshift("  - ERGON_NATS_SERVER: not set");
  if (onPath("nats-server").length === 0) tried.push("  - PATH: has no nats-server");

  let best = has;
  const scratch = mkdtempSync(path.join(tmpdir(), "ergon-nats-server-"));
  try {
    for (const { name, unpack } of from) {
      try {
        const unpacked = await unpack(scratch);
        const { version, problem } = check(unpacked);
        if (problem !== undefined) throw new Error(problem);
        if (best !== undefined && atLeast(best, version)) continue;
        best = version;
        keep(unpacked, name, version);
        if (atLeast(version, wanted)) return kept;
      } catch (error) {
        tried.push(`  - ${name}: ${error.message}`);
      }
    }
  } finally {
    rmSync(scratch, { force: true, recursive: true });
  }
  if (best !== undefined) {
    writeFileSync(settled, "");
    note(`nats-server ${best} serves; ${wanted} could not be had, which recovers from a lost majority sooner`);
    return kept;
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

/** A server's version, and why it can't be used if it can't. */
function check(file) {
  if (!isProgram(file)) return { problem: "not a program" };
  const asked = spawnSync(file, ["--version"], { encoding: "utf8" });
  const version = /v(\d+\.\d+\.\d+)/.exec(asked.stdout ?? "")?.[1];
  if (version === undefined)
    return { problem: `does not run: ${(asked.error?.message ?? asked.stderr).trim().split("\n")[0]}` };
  return atLeast(version, floor)
    ? { version }
    : { version, problem: `version ${version} is too old, ${floor} or newer is needed` };
}

function keep(unpacked, source, version) {
  mkdirSync(path.dirname(kept), { recursive: true });
  const arriving = `${kept}.${process.pid}`;
  copyFileSync(unpacked, arriving);
  chmodSync(arriving, 0o755);
  renameSync(arriving, kept);
  note(`nats-server ${version} came from ${source}`);
}
