import { createClient, type Client } from "@ergon/core";

import type { Load } from "./load.ts";
import type { Stage } from "./stage.ts";

/** How much longer the slowest task took, in milliseconds, because a process was killed with SIGKILL while it was under way. */
export interface Recovery {
  readonly agentMs: number;
  readonly nodeMs: number;
}

const WORK_MS = 20;
const PER_MS = 1;

/** Tasks of 20 ms at their defaults, at a steady pace; in the middle a process is killed. */
export async function measureRecovery(stage: Stage, load: Load, count: number): Promise<Recovery> {
  const client = createClient({ bus: load.bus });
  const first = await stage.agent({ concurrency: 50, workMs: WORK_MS });
  const second = await stage.agent({ concurrency: 50, workMs: WORK_MS });
  const undisturbed = await longest(client, count, () => undefined);
  const withAgent = await longest(client, count, () => first.kill());
  const third = await stage.agent({ concurrency: 50, workMs: WORK_MS });
  const spare = await stage.node();
  const withNode = await longest(client, count, () => spare.kill());
  await second.stop();
  await third.stop();
  await client.close();
  return { agentMs: withAgent - undisturbed, nodeMs: withNode - undisturbed };
}

async function longest(client: Client, count: number, disturb: () => void): Promise<number> {
  const start = performance.now();
  const times: Promise<number>[] = [];
  while (times.length < count) {
    const due = Math.min(count, Math.floor((performance.now() - start) / PER_MS));
    while (times.length < due) {
      times.push(timed(client));
      if (times.length === Math.floor(count / 2)) disturb();
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Math.max(...(await Promise.all(times)));
}

async function timed(client: Client): Promise<number> {
  const start = performance.now();
  await client.run({ driver: "bench", payload: Buffer.from("x") });
  return performance.now() - start;
}
