import type { Alarm, AlarmStore } from "@ergon/core";
import { createManualClock, createMemoryNetwork, seededRandom } from "@ergon/core/testing";
import type { ManualClock, MemoryNetwork, MemoryProcess } from "@ergon/core/testing";
import { expect, test } from "vitest";

const DAY_MS = 86_400_000;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Stage {
  readonly clock: ManualClock;
  readonly network: MemoryNetwork;
  readonly connect: (name: string) => MemoryProcess;
  /** Moves time until `work` is done. */
  readonly drive: <T>(work: Promise<T>) => Promise<T>;
  /** Listens, and notes who heard what at which time after the start. */
  readonly listen: (process: MemoryProcess, work?: (alarm: Alarm) => Promise<void>) => Promise<void>;
  readonly log: string[];
}

function createStage(): Stage {
  const clock = createManualClock(0);
  const network = createMemoryNetwork({ clock, random: seededRandom(5), latencyMs: { min: 1, max: 1 } });
  const log: string[] = [];
  const drive = async <T>(work: Promise<T>): Promise<T> => {
    let isDone = false;
    const ended = work.finally(() => {
      isDone = true;
    });
    ended.catch(() => undefined);
    await clock.runUntil(() => isDone);
    return ended;
  };
  return {
    clock,
    network,
    log,
    drive,
    connect: (name) => network.connect(name, { clock: clock.view() }),
    listen: async ({ name, alarms }, work = async () => undefined) => {
      const handler: Parameters<AlarmStore["listen"]>[0] = (alarm) => {
        log.push(`${clock.now()} ${name} ${alarm.key}`);
        return work(alarm);
      };
      await drive(alarms.listen(handler));
    },
  };
}

const never = (): Promise<void> => new Promise(() => undefined);

test("an alarm of next year goes off in its millisecond, by the broker's clock", async () => {
  const { clock, network, log, drive, listen } = createStage();
  const fast = network.connect("fast", { clock: clock.view(3_600_000) });
  await listen(fast);

  await drive(fast.alarms.set("far", 365 * DAY_MS, bytes("x")));
  await clock.advance(365 * DAY_MS - clock.now());

  // One millisecond on the way.
  expect(log).toEqual([]);
  await clock.advance(1);
  expect(log).toEqual([`${365 * DAY_MS + 1} fast far`]);
});

test.for(["kill", "vanish", "pause", "disconnect"] as const)(
  "when a process that has an alarm meets %s, another gets it after ten seconds, and it goes off no more after that",
  async (fate) => {
    const { clock, log, drive, connect, listen } = createStage();
    const [victim, other] = [connect("victim"), connect("other")];
    await listen(victim, never);
    await drive(other.alarms.set("held", 0, bytes("x")));
    await clock.advance(10);
    expect(log).toHaveLength(1);
    await listen(other);

    victim[fate]();
    await clock.advance(DAY_MS);

    const [first, ...rest] = log.map((line) => line.split(" "));
    expect(first?.[1]).toBe("victim");
    // A host that is gone without a word may be handed it again while nobody knows.
    expect(rest.at(-1)?.slice(1)).toEqual(["other", "held"]);
    expect(rest).toHaveLength(1);
    expect(Number(rest[0]?.[0]) - Number(first?.[0])).toBeGreaterThanOrEqual(10_000);
  },
);

test("a process that comes back hears what went off while it was away", async () => {
  const { clock, log, drive, connect, listen } = createStage();
  const [listener, setter] = [connect("listener"), connect("setter")];
  await listen(listener);

  listener.disconnect();
  await drive(setter.alarms.set("meanwhile", clock.now() + 100, bytes("x")));
  await clock.advance(1_000);
  expect(log).toEqual([]);
  listener.reconnect();
  await clock.advance(10);

  expect(log.map((line) => line.split(" ")[2])).toEqual(["meanwhile"]);
});

test("pauses between tries grow from a quarter of a second to half a minute", async () => {
  const { clock, log, drive, connect, listen } = createStage();
  const process = connect("p");
  await listen(process, () => Promise.reject(new Error("never")));

  await drive(process.alarms.set("failing", 0, bytes("x")));
  await clock.advance(600_000);

  const times = log.map((line) => Number(line.split(" ")[0]));
  const pauses = times.slice(1).map((at, index) => at - (times[index] as number));
  expect(pauses[0]).toBeGreaterThanOrEqual(200);
  expect(pauses[0]).toBeLessThanOrEqual(310);
  expect(pauses.at(-1)).toBeGreaterThan(20_000);
  expect(Math.max(...pauses)).toBeLessThanOrEqual(30_010);
});

test("a full store and a lost answer are told, and a lost delivery is repeated", async () => {
  const { clock, network, log, drive, connect, listen } = createStage();
  const process = connect("p");
  await listen(process);

  network.storage = "full";
  await expect(drive(process.alarms.set("full", 0, bytes("x")))).rejects.toMatchObject({ code: "STORE_FULL" });
  network.storage = "ok";
  network.faults.loseCommit = 1;
  await expect(drive(process.alarms.set("lost", 0, bytes("x")))).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  network.faults.loseCommit = 0;
  network.faults.drop = 1;
  await drive(process.alarms.set("dropped", 0, bytes("x")));
  await clock.advance(5_000);
  expect(log).toEqual([]);
  network.faults.drop = 0;
  await clock.advance(10_000);

  expect(log.map((line) => line.split(" ")[2])).toEqual(["dropped"]);
});
