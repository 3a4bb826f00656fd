import { HOUR, defineMachine } from "@ergon/core";
import { shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { createMachine } from "xstate";

import { createScheduleStage, until } from "../support/schedule-stage.ts";

describe("a node is lost, and the schedule runs nothing of what was missed (catchUp.limit 0)", () => {
  const start = "2026-01-01T00:00:10Z";
  const every = { every: "1s", start, overlap: "allow", catchUp: { limit: 0 } } as const;

  test.each(["kill", "vanish", "disconnect"] as const)(
    "after %s each due time of every schedule has its run, once",
    async (fate) => {
      const { cluster, begun, add, show } = await createScheduleStage({ shards: 16 });
      await cluster.addNode("n3");
      await cluster.waitForOwners();
      const ids = Array.from({ length: 6 }, (_, index) => `s${index}`);
      for (const id of ids) await add(every, id);
      const [victim] = cluster.nodes;
      // In the middle of what follows from a due time of all of them.
      await until(cluster, 13_001);
      victim?.[fate]();
      await cluster.clock.advance(15_000);
      victim?.reconnect();
      await cluster.clock.advance(3_500);
      for (const id of ids) {
        const { counts } = await show(id);
        expect([id, counts]).toMatchObject([id, { missed: 0, skipped: 0 }]);
        expect(new Set(begun.filter((run) => run.startsWith(`${id}=`))).size).toBe(counts.started);
        expect(counts.started).toBeGreaterThanOrEqual(21);
      }
    },
  );
});

describe("a host falls silent, and catchUp.limit is 0", () => {
  test.each(["vanish", "pause"] as const)("after %s only the schedules that it hosts are late", async (fate) => {
    const { cluster, begunAt, add, show } = await createScheduleStage({ shards: 16 });
    await cluster.addNode("n3");
    await cluster.waitForOwners();
    const { shards } = await cluster.drive(cluster.client().shards());
    const isAtVictim = (id: string): boolean => shards[shardOf(id, 16)]?.node === "n1";
    const every = { every: "1s", start: "2026-01-01T00:00:10Z", overlap: "allow", catchUp: { limit: 0 } } as const;
    const ids = Array.from({ length: 9 }, (_, index) => `s${index}`);
    for (const id of ids) await add(every, id);
    await until(cluster, 13_001);
    cluster.nodes[0]?.[fate]();
    const silentAt = cluster.clock.now();
    await cluster.clock.advance(15_500);

    const runs = [...begunAt].map(([run, at]) => {
      const [schedule = ""] = run.split("=");
      const due = Date.parse(run.replace(/^.*=(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
      return { run, at, isHit: isAtVictim(schedule), lateMs: at - due };
    });
    expect(runs.filter(({ isHit, lateMs }) => isHit && lateMs > 100).length).toBeGreaterThan(10);
    expect(runs.filter(({ isHit, lateMs }) => !isHit && lateMs > 100)).toEqual([]);
    // The session of a host runs out after 6 s; then another node takes its schedules over.
    const tookOver = silentAt + 7_000;
    expect(runs.filter(({ at, lateMs }) => at > tookOver && at - lateMs < tookOver - 1_000)).toEqual([]);
    for (const id of ids) {
      const { counts } = await show(id);
      expect([id, counts]).toMatchObject([id, { missed: 0, skipped: 0 }]);
      expect([...begunAt.keys()].filter((run) => run.startsWith(`${id}=`)).length).toBe(counts.started);
      expect(counts.started).toBeGreaterThanOrEqual(18);
    }
  });
});

describe("the clock of the NATS server is set", () => {
  const every = { every: "1s", start: "2026-01-01T00:00:10Z" } as const;
  const dueOf = (run: string): number =>
    Date.parse(run.replace(/^s=(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));

  test.each([-3_000, -500, -3_600_000])("%i ms back: no run is early, and none is skipped", async (step) => {
    const { cluster, begun, add, show } = await createScheduleStage();
    await add(every);
    await until(cluster, 15_700);
    const atStep = begun.length;
    cluster.network.stepClock(step);
    const early: string[] = [];
    const serverTime = (): number => cluster.clock.now() + step;
    for (let seen = atStep, left = 300; left > 0; left--) {
      await cluster.clock.advance(100);
      for (; seen < begun.length; seen++) if (serverTime() < dueOf(begun[seen] ?? "")) early.push(begun[seen] ?? "");
    }
    expect(early).toEqual([]);
    const { counts } = await show();
    expect(counts).toMatchObject({ skipped: 0, missed: 0 });
    const seconds = begun.map((run) => (dueOf(run) - Date.UTC(2026, 0, 1)) / 1_000);
    expect(seconds).toEqual(seconds.map((_, index) => 10 + index));
    expect(counts.started).toBe(begun.length);
    // As many as the server's clock has seen seconds, once it has passed the last run.
    expect(begun.length).toBe(atStep + Math.max(0, Math.floor((30_000 + step + 700) / 1_000)));
  });

  test("an hour forward: the hour was missed, and catchUp says at once what is run of it", async () => {
    const { cluster, begun, add, show } = await createScheduleStage();
    await add({ ...every, catchUp: { limit: 2 }, overlap: "queue" });
    await until(cluster, 15_500);
    expect(begun).toHaveLength(6);
    cluster.network.stepClock(HOUR);
    await until(cluster, 18_900);
    const { counts } = await show();
    expect(counts.missed).toBeGreaterThan(3_580);
    expect(begun.map(dueOf).filter((due) => due < Date.UTC(2026, 0, 1, 1))).toHaveLength(6);
    expect(counts.started + counts.missed).toBe(3_600 + 9);
  });

  test("forward: a timer of a machine that is due by then fires at the next reading, and not half a minute later", async () => {
    const slow = createMachine({
      id: "slow",
      initial: "open",
      states: { open: { after: { 600_000: "closed" } }, closed: { type: "final" } },
    });
    const { cluster, client } = await createScheduleStage({ machines: [defineMachine(slow)] });
    await cluster.drive(client.start("slow", undefined, { id: "m" }));
    cluster.network.stepClock(HOUR);
    await cluster.clock.advance(31_000);
    expect(await cluster.drive(client.instance("m").get())).toMatchObject({ status: "succeeded" });
  });
});
