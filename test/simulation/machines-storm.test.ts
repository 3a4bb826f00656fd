import { appendFileSync } from "node:fs";
import { env } from "node:process";

import { type Client } from "@ergon/core";
import { delay } from "@ergon/core/engine";
import { seededRandom } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";

import { echo, trip, tripEnd } from "../support/machines/trip.ts";
import { createMemoryCluster, type Member, type MemoryCluster } from "../support/memory-cluster.ts";

const INSTANCES = Number(env["ERGON_INSTANCES"] ?? 100);
/** How long, in the cluster's time, instances are started and things go wrong. */
const STORM_MS = 20_000;
/** Longest time to the last instance's end once nothing goes wrong any more. */
const HEALED_MS = 180_000;

/** One seed: `ERGON_SEED=7`. Many: `ERGON_SEEDS=100`, from `ERGON_FIRST_SEED` on. Neither: those that are always run. */
function seeds(): number[] {
  if (env["ERGON_SEED"] !== undefined) return [Number(env["ERGON_SEED"])];
  const first = Number(env["ERGON_FIRST_SEED"] ?? 1);
  return Array.from({ length: Number(env["ERGON_SEEDS"] ?? 3) }, (_, index) => first + index);
}

describe("a storm over instances", () => {
  test.for(seeds())(
    "each ends as it does in calm, its tasks' answers and its child's messages once and in order (I-7), seed %i",
    { timeout: 60_000 },
    async (seed) => {
      const chance = seededRandom(seed * 7_919);
      const cluster = createMemoryCluster({
        seed,
        shards: 12,
        oneInFlight: seed % 2 === 0,
        buckets: seed % 3 === 0 ? 3 : 1,
        machines: [trip, echo],
        ...(env["ERGON_LOG"] === undefined
          ? {}
          : { onLog: (line) => appendFileSync(env["ERGON_LOG"] ?? "", `${line}\n`) }),
      });
      try {
        const outputs = await storm(cluster, chance);
        expect(outputs).toEqual(
          Array.from({ length: INSTANCES }, (_, index) => tripEnd(`trip-${index}`, (step) => `${step} done`)),
        );
      } catch (cause) {
        throw new Error(
          `replay: ERGON_SEED=${seed} npx vitest run --project simulation test/simulation/machines-storm.test.ts`,
          { cause },
        );
      }
    },
  );
});

async function storm(cluster: MemoryCluster, chance: () => number): Promise<unknown[]> {
  const between = (least: number, most: number): number => least + (most - least) * chance();
  let started = 0;
  const addNode = (): Promise<Member> =>
    cluster.addNode(`node-${++started}`, { clockOffsetMs: between(-60_000, 60_000) });
  const addAgent = (): Promise<Member> =>
    cluster.addAgent(`agent-${++started}`, {
      concurrency: 10,
      handler: async (attempt) => {
        await attempt.sleep(between(0, 300));
        if (chance() < 0.05) throw new Error("bad luck");
        return `${attempt.text()} done`;
      },
    });
  for (let index = 0; index < 3; index++) await addNode();
  for (let index = 0; index < 2; index++) await addAgent();
  await cluster.waitForOwners();
  const client = cluster.client({ timeoutMs: 600_000 });
  const all = Promise.all(
    Array.from({ length: INSTANCES }, (_, index) => travel(cluster, client, `trip-${index}`, between(0, STORM_MS))),
  );
  const failed = all.then(() => new Promise<never>(() => undefined));
  failed.catch(() => undefined);

  Object.assign(cluster.network.faults, {
    drop: between(0, 0.01),
    duplicate: between(0, 0.03),
    loseAcknowledgement: between(0, 0.02),
    loseCommit: between(0, 0.02),
  });
  const disturbed = new Set<Member>();
  const end = cluster.clock.monotonic() + STORM_MS;
  while (cluster.clock.monotonic() < end) {
    await cluster.clock.advance(between(300, 2_500));
    const isNode = chance() < 0.7;
    const candidates: readonly Member[] = (isNode ? cluster.nodes : cluster.agents).filter(
      (member) => !member.gone && !disturbed.has(member),
    );
    const victim = candidates[Math.floor(chance() * candidates.length)];
    if (victim === undefined || candidates.length < 2) continue;
    if (chance() < 0.5) {
      victim.kill();
      await (isNode ? addNode() : addAgent());
      continue;
    }
    if (chance() < 0.5) victim.pause();
    else victim.disconnect();
    disturbed.add(victim);
    cluster.clock.after(between(300, 9_000), () => {
      disturbed.delete(victim);
      calm(victim);
    });
  }
  Object.assign(cluster.network.faults, { drop: 0, duplicate: 0, loseAcknowledgement: 0, loseCommit: 0 });
  for (const victim of disturbed) calm(victim);
  return Promise.race([cluster.drive(all, HEALED_MS), failed]);
}

function calm(member: Member): void {
  member.resume();
  member.reconnect();
}

async function travel(cluster: MemoryCluster, client: Client, id: string, startMs: number): Promise<unknown> {
  await delay(cluster.clock, startMs);
  const instance = await client.start("trip", { name: id }, { id });
  await instance.send({ type: "GO" });
  return instance.output();
}
