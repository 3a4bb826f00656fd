// Lets one bootstrap at a time bring things; the others wait, then find them there.
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { toolchain } from "./paths.mjs";
import { note } from "./report.mjs";

const lock = path.join(toolchain, "lock");

export async function withLock(work) {
  mkdirSync(toolchain, { recursive: true });
  for (let waits = 0; !take(); waits++) {
    if (waits === 0) note("waiting for another bootstrap of this checkout");
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** Linking a file that is already written makes the lock appear with its holder's id in it, or not at all. */
function take() {
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    const holder = read();
    if (holder !== undefined && !alive(holder)) rmSync(lock, { force: true });
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

function read() {
  try {
    return Number(readFileSync(lock, "utf8"));
  } catch {
    return undefined;
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code !== "ESRCH";
  }
}
