import type { Ownership, Session } from "@ergon/core/engine";
import { Heard, createManualClock, createMemoryNetwork, seededRandom } from "@ergon/core/testing";
import type { ManualClock, MemoryNetwork, MemoryNetworkOptions } from "@ergon/core/testing";
import { describe, expect, test } from "vitest";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array | undefined): string | undefined =>
  data === undefined ? undefined : new TextDecoder().decode(data);

function newNetwork(options: Partial<MemoryNetworkOptions> = {}): { clock: ManualClock; network: MemoryNetwork } {
  const clock = createManualClock();
  return { clock, network: createMemoryNetwork({ clock, random: seededRandom(1), ...options }) };
}

/** Moves time until `work` is done. */
async function within<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let isDone = false;
  const ended = work.finally(() => {
    isDone = true;
  });
  ended.catch(() => undefined);
  await clock.runUntil(() => isDone);
  return ended;
}

describe("manual clock", () => {
  test("timers run in order of their time, then of their creation, and promise jobs between them", async () => {
    const clock = createManualClock(0);
    const log: string[] = [];
    clock.after(20, () => log.push(`c ${clock.now()}`));
    clock.after(10, () => {
      log.push(`a ${clock.now()}`);
      void Promise.resolve()
        .then(() => undefined)
        .then(() => log.push("job of a"));
      clock.after(0, () => log.push(`d ${clock.now()}`));
    });
    clock.after(10, () => log.push(`b ${clock.now()}`));

    await clock.advance(15);
    expect(log).toEqual(["a 10", "job of a", "b 10", "d 10"]);
    await clock.advance(15);

    expect(log.at(-1)).toBe("c 20");
    expect(clock.monotonic()).toBe(30);
    expect(clock.pending).toBe(0);
  });

  test("a cancelled timer never runs, however many there are", async () => {
    const clock = createManualClock();
    let ran = 0;
    const timers = Array.from({ length: 5_000 }, (_, index) => clock.after(index % 100, () => ran++));

    for (const timer of timers.filter((_, index) => index % 5 !== 0)) clock.cancel(timer);
    clock.cancel(timers[1]);
    clock.cancel(undefined);

    expect(clock.pending).toBe(1_000);
    await clock.advance(100);
    expect(ran).toBe(1_000);
    expect(clock.pending).toBe(0);
  });

  test("waiting for what will never be says so", async () => {
    const clock = createManualClock();

    await expect(clock.runUntil(() => false)).rejects.toThrow(/no timer is left/);
    clock.after(1_000, () => undefined);
    await expect(clock.runUntil(() => false, 10)).rejects.toThrow(/10 ms have passed/);
  });

  test("a process's clock is off by what it is told, stands still in a pause, and is silent after its end", async () => {
    const clock = createManualClock(0);
    const view = clock.view(3_600_000);
    const log: string[] = [];
    view.after(10, () => log.push("first"));
    const second = view.after(20, () => log.push("second"));
    view.after(30, () => log.push("third"));
    expect(view.now()).toBe(3_600_000);

    view.pause();
    await clock.advance(100);
    expect(log).toEqual([]);
    view.cancel(second);
    view.resume();
    await clock.advance(0);
    expect(log).toEqual(["first", "third"]);
    view.after(10, () => log.push("never"));
    view.stop();
    await clock.advance(100);

    expect(log).toEqual(["first", "third"]);
    view.adjust(7);
    expect(view.now()).toBe(7);
  });
});

describe("memory network", () => {
  test("the same seed gives the same run, another seed another", async () => {
    const run = async (seed: number): Promise<readonly string[]> => {
      const { clock, network } = newNetwork({ random: seededRandom(seed), faults: { drop: 0.2, duplicate: 0.2 } });
      const log: string[] = [];
      const nodes = Array.from({ length: 5 }, (_, index) => network.connect(`n${index}`));
      for (const node of nodes) {
        node.bus.subscribe(
          "talk",
          (message) => log.push(`${node.name} ${clock.monotonic().toFixed(3)} ${text(message.data)}`),
          { queue: "q" },
        );
      }
      for (let index = 0; index < 100; index++) nodes[index % 5]?.bus.publish("talk", bytes(String(index)));
      await clock.advance(1_000);
      return log;
    };

    expect(await run(3)).toEqual(await run(3));
    expect(await run(3)).not.toEqual(await run(4));
  });

  test("a killed process is as nobody at once; what it had sent arrives; its timers never run", async () => {
    const { clock, network } = newNetwork();
    const [view, other] = [clock.view(), network.connect("other")];
    const victim = network.connect("victim", { clock: view });
    const heard = new Heard<string | undefined>();
    other.bus.subscribe("news", (message) => heard.hear(text(message.data)));
    victim.bus.subscribe("served", () => heard.hear("never"));
    let hasTimerRun = false;
    view.after(5, () => {
      hasTimerRun = true;
    });
    await within(clock, victim.bus.flush());
    await within(clock, other.bus.flush());

    victim.bus.publish("news", bytes("last words"));
    victim.kill();
    victim.bus.publish("news", bytes("from beyond"));
    await clock.advance(10);
    const request = other.bus.request("served", bytes(""), { timeoutMs: 60_000 });

    await expect(within(clock, request)).rejects.toMatchObject({ code: "NO_NODE" });
    expect(heard.items).toEqual(["last words"]);
    expect(hasTimerRun).toBe(false);
  });

  test("a host that vanished is noticed only after a while", async () => {
    const { clock, network } = newNetwork({ staleAfterMs: 60_000 });
    const [victim, other] = [network.connect(), network.connect()];
    victim.bus.subscribe("served", () => undefined);
    await within(clock, victim.bus.flush());

    victim.vanish();

    const first = other.bus.request("served", bytes(""), { timeoutMs: 1_000 });
    await expect(within(clock, first)).rejects.toMatchObject({ code: "REQUEST_TIMEOUT" });
    await clock.advance(60_000);
    const second = other.bus.request("served", bytes(""), { timeoutMs: 1_000 });
    await expect(within(clock, second)).rejects.toMatchObject({ code: "NO_NODE" });
  });

  test("a paused process hears everything in order once it continues", async () => {
    const { clock, network } = newNetwork();
    const view = clock.view();
    const [sleeper, other] = [network.connect("sleeper", { clock: view }), network.connect()];
    const heard = new Heard<string | undefined>();
    sleeper.bus.subscribe("news", (message) => heard.hear(text(message.data)));
    await within(clock, sleeper.bus.flush());

    sleeper.pause();
    for (const word of ["a", "b", "c"]) other.bus.publish("news", bytes(word));
    await clock.advance(10_000);
    expect(heard.items).toEqual([]);
    sleeper.resume();
    await clock.advance(1);

    expect(heard.items).toEqual(["a", "b", "c"]);
  });

  test("a commit whose acknowledgement is lost is unknown and stored; one that is lost itself is unknown and not", async () => {
    const { clock, network } = newNetwork();
    const { records } = network.connect();
    const claim = await within(clock, records.claim(0, "a", 0));
    const fence = claim.kind === "claimed" ? claim.fence : 0;

    network.faults.loseAcknowledgement = 1;
    const first = await within(clock, records.commit([{ shard: 0, id: "stored", data: bytes("x"), fence }]));
    network.faults.loseAcknowledgement = 0;
    network.faults.loseCommit = 1;
    const second = await within(clock, records.commit([{ shard: 0, id: "lost", data: bytes("x"), fence }]));
    network.faults.loseCommit = 0;

    expect([first.kind, second.kind]).toEqual(["unknown", "unknown"]);
    expect(text((await within(clock, records.read(0, "stored")))?.data)).toBe("x");
    expect(await within(clock, records.read(0, "lost"))).toBeUndefined();
  });

  test("a process that is far away hears and is heard later, in order", async () => {
    const { clock, network } = newNetwork({ latencyMs: { min: 1, max: 1 } });
    const [near, far] = [network.connect("near"), network.connect("far", { distanceMs: 35 })];
    const heard: string[] = [];
    far.bus.subscribe("a", ({ data }) => heard.push(`${text(data)} ${clock.monotonic()}`));
    await within(clock, far.bus.flush());
    const begin = clock.monotonic();
    expect(begin).toBe(72);

    near.bus.publish("a", bytes("1"));
    near.bus.publish("a", bytes("2"));
    await clock.advance(100);
    expect(heard).toEqual([`1 ${begin + 37}`, `2 ${begin + 37}`]);
  });

  test("a frozen server takes and sends nothing, and then everything in order", async () => {
    const { clock, network } = newNetwork();
    const [one, two] = [network.connect("one"), network.connect("two")];
    const heard: string[] = [];
    two.bus.subscribe("a", ({ data }) => heard.push(text(data) ?? ""));
    await within(clock, two.bus.flush());

    network.freeze();
    for (const word of ["1", "2", "3"]) one.bus.publish("a", bytes(word));
    const late = network.connect("late");
    late.bus.publish("a", bytes("late"));
    await clock.advance(3_000);
    expect(heard).toEqual([]);

    network.thaw();
    await clock.advance(100);
    expect(heard.filter((word) => word !== "late")).toEqual(["1", "2", "3"]);
    expect(heard).toHaveLength(4);
  });

  test("a message that its sender may not publish reaches nobody, and the sender is told before a later flush resolves", async () => {
    const { clock, network } = newNetwork();
    const [sender, other] = [network.connect("sender"), network.connect("other")];
    const heard: string[] = [];
    other.bus.subscribe(">", ({ subject }) => heard.push(subject));
    sender.bus.onRefused((subject) => heard.push(`refused ${subject}`));
    await within(clock, other.bus.flush());
    sender.denied.add("no");

    sender.bus.publish("no", bytes("x"));
    await within(
      clock,
      sender.bus.flush().then(() => heard.push("flushed")),
    );
    expect(heard).toEqual(["refused no", "flushed"]);
  });

  test("a full store refuses writes and takes deletions", async () => {
    const { clock, network } = newNetwork();
    const { records } = network.connect();
    const claim = await within(clock, records.claim(0, "a", 0));
    const fence = claim.kind === "claimed" ? claim.fence : 0;
    await within(clock, records.commit([{ shard: 0, id: "old", data: bytes("x"), fence }]));

    network.storage = "full";
    const write = await within(clock, records.commit([{ shard: 0, id: "new", data: bytes("x"), fence }]));
    const deletion = await within(clock, records.commit([{ shard: 0, id: "old", data: new Uint8Array(0), fence }]));

    expect(write).toMatchObject({ kind: "refused", code: "STORE_FULL" });
    expect(deletion.kind).toBe("committed");
  });

  test("commits in flight at a lost connection are unknown, subscriptions return, and watches tell what has changed", async () => {
    const { clock, network } = newNetwork();
    const [node, other] = [network.connect("node"), network.connect("other")];
    const [sessions, owners, news] = [new Heard<Session>(), new Heard<Ownership>(), new Heard<string | undefined>()];
    await within(clock, other.leases.renew("ends", bytes("1"), 10_000));
    const first = await within(clock, other.records.claim(0, "a", 0));
    const fence = first.kind === "claimed" ? first.fence : 0;
    node.bus.subscribe("news", (message) => news.hear(text(message.data)));
    await within(clock, node.leases.watch(sessions.hear));
    await within(clock, node.records.watchOwners(owners.hear));

    const underWay = node.records.commit([{ shard: 0, id: "x", data: bytes("x"), fence }]);
    node.disconnect();
    expect((await within(clock, underWay)).kind).toBe("unknown");
    expect((await within(clock, node.records.commit([{ shard: 0, id: "y", data: bytes("x"), fence }]))).kind).toBe(
      "refused",
    );
    await within(clock, other.records.claim(0, "b", fence));
    await clock.advance(20_000);
    node.reconnect();
    await clock.advance(10);
    other.bus.publish("news", bytes("hello"));
    await clock.advance(10);

    expect(sessions.items.at(-1)).toMatchObject({ id: "ends", data: undefined });
    expect(owners.items.at(-1)).toMatchObject({ shard: 0, session: "b" });
    expect(news.items).toEqual(["hello"]);
  });

  test("a lease ends by the broker's clock, not by the process's, which is an hour off (M-12)", async () => {
    const { clock, network } = newNetwork();
    const early = network.connect("early", { clock: clock.view(-3_600_000) });
    const late = network.connect("late", { clock: clock.view(3_600_000) });
    const heard = new Heard<Session>();
    await within(clock, late.leases.watch(heard.hear));

    await within(clock, early.leases.renew("early", bytes("x"), 5_000));
    await clock.advance(4_000);
    expect(heard.items.at(-1)?.data).toBeDefined();
    await clock.advance(2_000);

    expect(heard.items.at(-1)).toMatchObject({ id: "early", data: undefined });
    expect(await within(clock, late.records.time())).toBeCloseTo(clock.now(), -2);
  });

  test("a thousand processes and fifty thousand messages take seconds, not minutes", async () => {
    const { clock, network } = newNetwork();
    let heard = 0;
    for (let index = 0; index < 1_000; index++) {
      const { bus } = network.connect(`p${index}`);
      bus.subscribe(`to.${index}.>`, (message) => {
        heard++;
        const hops = Number(text(message.data));
        if (hops < 50) bus.publish(`to.${(index * 7 + hops) % 1_000}.x`, bytes(String(hops + 1)));
      });
    }
    await clock.advance(10);
    const sender = network.connect();
    for (let index = 0; index < 1_000; index++) sender.bus.publish(`to.${index}.x`, bytes("1"));

    await clock.advance(10_000);

    expect(heard).toBe(50_000);
  });
});
