// One agent of the main job, in a process of its own.
import { RetryableError, TerminalError, createAgent, type Attempt } from "@ergon/agents";
import { messageOf } from "@ergon/core";

import { digest, fileErrorOf, type Digest } from "./digest.ts";
import { DRIVER, HOLD, followJob, readOptions, tellJob, type GoOn } from "./messages.ts";
import { join } from "./name.ts";

/** What will not be otherwise when it is tried again. */
const FINAL_CODES: ReadonlySet<string> = new Set([
  "EACCES",
  "EPERM",
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
]);

const { name, url, folder } = readOptions();
const root = Buffer.from(folder);
const held = new Map<string, () => void>();

followJob(() => process.exit());
process.on("message", ({ task }: GoOn) => held.get(task)?.());
try {
  const agent = createAgent({
    id: name,
    nats: { servers: url },
    signals: [],
    driver: DRIVER,
    concurrency: 8,
    handler: answer,
  });
  await agent.start();
  tellJob({ kind: "ready", id: agent.id });
} catch (error) {
  tellJob({ kind: "failed", reason: messageOf(error) });
}

async function answer(attempt: Attempt): Promise<Digest> {
  try {
    return await digest(join(root, Buffer.from(attempt.payload)), attempt.heartbeat);
  } catch (error) {
    const refusal = fileErrorOf(error);
    if (refusal === undefined) throw error;
    const { code, text } = refusal;
    throw FINAL_CODES.has(code)
      ? new TerminalError(code, text, { cause: error })
      : new RetryableError(code, text, { cause: error });
  } finally {
    if (attempt.arguments[HOLD] !== undefined) await holdBack(attempt);
  }
}

/** Keeps an attempt under way until the job has killed what it is to kill. */
async function holdBack({ taskId, signal }: Attempt): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  held.set(taskId, resolve);
  tellJob({ kind: "holding", task: taskId });
  await promise;
  held.delete(taskId);
}
