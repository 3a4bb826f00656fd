// One node of the main job, in a process of its own.
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { messageOf } from "@ergon/core";
import { createNode } from "@ergon/node";

import { followJob, readOptions, tellJob } from "./messages.ts";

const { name, url, leftovers } = readOptions();

followJob(() => void tidyUp().finally(() => process.exit()));
try {
  const node = await createNode({ id: name, nats: { servers: url }, log: { level: "warn", format: "json" } });
  await node.ready;
  tellJob({ kind: "ready", id: node.id });
} catch (error) {
  tellJob({ kind: "failed", reason: messageOf(error) });
}

/** The server has its own way to notice that the job has died; what it stored goes after it. */
async function tidyUp(): Promise<void> {
  while (isAlive(leftovers.serverPid)) await sleep(50);
  await rm(leftovers.folder, { recursive: true, force: true, maxRetries: 3 });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
