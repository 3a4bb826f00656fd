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

/** Keeps the lock for as long as `pid` lives, even when this process is killed before that. */
export function holdLockFor(pid) {
  writeFileSync(lock, `${process.pid} ${pid}`);
}

/** Linking a file that is already written makes the lock appear with its holder's process id in it, or not at all. */
function take() {
  const mine = `${lock}.${process.pid}`;
  writeFileSync(mine, String(process.pid));
  try {
    linkSync(mine, lock);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    const holders = read();
    if (holders !== undefined && !holders.some(alive)) rmSync(lock, { force: true });
    return false;
  } finally {
    rmSync(mine, { force: true });
  }
}

function read() {
  try {
    return readFileSync(lock, "utf8").split(" ").map(Number);
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
