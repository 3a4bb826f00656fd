import { createRequire } from "node:module";

import { createAgent, echo, noop, type Middleware } from "@ergon/agents";
import { InvalidError, RetryableError, TerminalError, silentLogger, type Logger } from "@ergon/core";
import { H, createNames } from "@ergon/core/engine";
import { createManualClock, createMemoryNetwork } from "@ergon/core/testing";
import { describe, expect, test as plain } from "vitest";

import { gate, test } from "../support/agent-stage.ts";

describe("presence", () => {
  test("presence is said at the start, every second, and at each change", async ({ start }) => {
    const { presence, clock, agent, settled } = await start([
      { driver: "work", concurrency: 3, handler: () => undefined },
    ]);
    await clock.advance(20);

    expect(presence).toMatchObject([
      { agent: "a1", drivers: [{ name: "work", concurrency: 3 }], state: "here", running: 0, pid: process.pid },
    ]);

    await clock.advance(3_000);
    expect(presence).toHaveLength(4);

    await settled(agent.stop());
    expect(presence.slice(4).map(({ state }) => state)).toEqual(["draining", "gone"]);
  });

  test("presence has one incarnation as long as the agent lives, and another one after a restart", async ({
    start,
  }) => {
    const [former, next] = [await start(() => undefined, { id: "same" }), await start(() => undefined, { id: "same" })];
    await former.clock.advance(2_000);
    await next.clock.advance(2_000);

    const [all, others] = [former, next].map(({ presence }) => new Set(presence.map(({ incarnation }) => incarnation)));
    expect([all?.size, others?.size]).toEqual([1, 1]);
    expect(new Set([...(all ?? []), ...(others ?? [])]).size).toBe(2);
  });

  test("presence tells the version of the package, and how much runs", async ({ start }) => {
    const { version } = createRequire(import.meta.url)("@ergon/agents/package.json") as { version: string };
    const { presence, clock, node } = await start(() => gate().promise);

    node("n1").dispatch("t1");
    await clock.advance(1_100);

    expect(presence.at(-1)).toMatchObject({ version, running: 1 });
  });

  test("presence is said at once to a node that the agent did not know", async ({ start }) => {
    const { presence, clock, node } = await start(() => undefined);
    await clock.advance(100);
    const before = presence.length;
    const n1 = node("n1");

    n1.roll("here");
    await clock.advance(20);
    n1.roll("here");
    await clock.advance(20);

    expect(presence.length - before).toBe(1);
  });

  test("an agent answers a ping", async ({ start }) => {
    const { node } = await start(() => undefined);

    const reply = await node("n1").control("ping");

    expect(reply.data).toHaveLength(0);
    expect(reply.header(H.error)).toBeUndefined();
  });
});

plain("an agent that could not start says nothing, and may be started again", async () => {
  const clock = createManualClock();
  const network = createMemoryNetwork({ clock });
  const [process, node] = [network.connect(), network.connect()];
  const states: unknown[] = [];
  node.bus.subscribe(createNames("default").presence, ({ data }) =>
    states.push((JSON.parse(Buffer.from(data).toString()) as { state: unknown }).state),
  );
  const agent = createAgent({ ports: { bus: process.bus, clock }, ...noop() });
  process.disconnect();
  await expect(agent.start()).rejects.toMatchObject({ code: "NATS_UNREACHABLE" });
  process.reconnect();
  await clock.advance(100);
  expect([agent.state, states]).toEqual(["gone", []]);

  const started = agent.start();
  await clock.advance(100);
  await started;

  expect([agent.state, states]).toEqual(["here", ["here"]]);
  const stopped = agent.stop();
  await clock.advance(100);
  await stopped;
});

describe("an agent that drains (M-4)", () => {
  test("an agent that drains grants nothing, hands new work back, and finishes what runs before it says goodbye", async ({
    start,
  }) => {
    const open = gate();
    const { agent, clock, node, presence, said, settled } = await start([
      { driver: "work", concurrency: 2, handler: () => open.promise },
    ]);
    const n1 = node("n1");
    n1.dispatch("t1");
    await clock.advance(20);

    const stopped = agent.stop();
    await clock.advance(20);
    n1.dispatch("t2");
    const granted = await n1.reserve(1);
    const stateThen = agent.state;
    open.open();
    await settled(stopped);
    await clock.advance(20);

    expect([granted, stateThen, agent.state]).toEqual([0, "draining", "gone"]);
    expect(said.map(({ task, event }) => [task, event])).toEqual([
      ["t2", "returned"],
      ["t1", "succeeded"],
    ]);
    expect(presence.at(-1)).toMatchObject({ state: "gone", running: 0 });
  });

  test("an agent that drains tells handlers that still run after drainMs to stop, and hands their attempts back", async ({
    start,
  }) => {
    let reason: unknown;
    const { agent, clock, node, said, settled } = await start(async (attempt) => {
      await attempt.sleep(3_600_000).catch((error: unknown) => (reason = error));
      throw new Error("stopped half-way");
    });
    node("n1").dispatch("t1");
    await clock.advance(20);
    const from = clock.monotonic();

    await settled(agent.stop({ drainMs: 5_000 }));

    expect(clock.monotonic() - from).toBeGreaterThanOrEqual(5_000);
    expect(reason).toMatchObject({ name: "AttemptAborted", reason: "drain" });
    expect(said.at(-1)).toMatchObject({ event: "returned", task: "t1" });
  });

  test.for([
    { does: "returns", answer: { event: "succeeded" }, end: (): string => "half" },
    {
      does: "throws a terminal error",
      answer: { event: "failed", code: "HALF" },
      end: (): string => {
        throw new TerminalError("HALF", "half done");
      },
    },
    {
      does: "throws a retryable error",
      answer: { event: "failed", code: "HALF" },
      end: (): string => {
        throw new RetryableError("HALF", "half done");
      },
    },
  ])(
    "an agent that drains answers what the handler says when it $does once it was told to stop",
    async ({ answer, end }, { start }) => {
      const { agent, clock, node, said, settled } = await start(async (attempt) => {
        await attempt.sleep(3_600_000).catch(() => undefined);
        return end();
      });
      node("n1").dispatch("t1");
      await clock.advance(20);

      await settled(agent.stop({ drainMs: 1_000 }));

      expect(
        said
          .filter(({ event }) => event !== "claimed")
          .map(({ event, headers }) => ({ event, code: headers[H.error] })),
      ).toEqual([{ code: undefined, ...answer }]);
    },
  );

  test("an agent that drains hands back the attempt of a handler that does not stop, 3 s later", async ({ start }) => {
    const { agent, clock, node, said, settled } = await start(() => gate().promise);
    node("n1").dispatch("t1");
    await clock.advance(20);
    const from = clock.monotonic();

    await settled(agent.stop({ drainMs: 1_000 }));

    expect(clock.monotonic() - from).toBeLessThan(5_000);
    expect(said.at(-1)?.event).toBe("returned");
  });

  test("an agent that drains waits for its last answers to be recorded, for 5 s at most", async ({ start }) => {
    const stage = await start(() => undefined);
    stage.judge = () => (stage.said.length < 3 ? "silence" : "recorded");
    stage.node("n1").dispatch("t1");
    await stage.clock.advance(20);

    await stage.settled(stage.agent.stop());

    expect(stage.said).toHaveLength(3);
  });

  test("an agent that drains gives up on answers that nobody records", async ({ start }) => {
    const stage = await start(() => undefined);
    stage.judge = () => "silence";
    stage.node("n1").dispatch("t1");
    await stage.clock.advance(20);
    const from = stage.clock.monotonic();

    await stage.settled(stage.agent.stop());

    expect(stage.clock.monotonic() - from).toBeLessThan(5_100);
    expect(stage.agent.state).toBe("gone");
  });

  test("an agent that drains hurries when it is told to stop a second time, at once", async ({ start }) => {
    const { agent, clock, node, settled } = await start((attempt) => attempt.sleep(3_600_000));
    node("n1").dispatch("t1");
    await clock.advance(20);
    const from = clock.monotonic();

    const stopped = agent.stop();
    await clock.advance(20);
    void agent.stop({ drainMs: 0 });
    await settled(stopped);

    expect(clock.monotonic() - from).toBeLessThan(100);
  });

  test("an agent that drains leaves no timer and no subscription behind", async ({ start }) => {
    const { agent, clock, node, settled } = await start((attempt) => attempt.sleep(300));
    const n1 = node("n1");
    n1.dispatch("t1", { headers: { [H.timeoutMs]: "60000", [H.heartbeatMs]: "1000" } });
    await clock.advance(1_000);

    await settled(agent.stop());
    await clock.advance(100);

    expect(clock.pending).toBe(0);
    await expect(n1.control("ping")).rejects.toMatchObject({ code: "NO_NODE" });
  });

  test("an agent that drains ends although a driver could not be closed, and closes the others", async ({ start }) => {
    let closed = 0;
    const { agent, settled } = await start([
      {
        ...noop(),
        close: () => {
          throw new Error("stuck");
        },
      },
      { ...echo(), close: async () => void closed++ },
    ]);

    await settled(agent.stop());

    expect([agent.state, closed]).toEqual(["gone", 1]);
  });

  test("an agent that drains cannot be started again", async ({ start }) => {
    const { agent, settled } = await start(() => undefined);
    await settled(agent.stop());

    await expect(agent.start()).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });
});

describe("an agent that is cut off from NATS (M-11)", () => {
  test("an agent that is cut off from NATS tells running handlers after cutOffMs that their attempts are lost, and hands them back when NATS is reachable again", async ({
    start,
  }) => {
    let reason: unknown;
    const stage = await start(
      (attempt) => {
        attempt.signal.addEventListener("abort", () => ({ reason } = attempt.signal));
        return attempt.sleep(3_600_000);
      },
      { cutOffMs: 4_000 },
    );
    stage.node("n1").dispatch("t1");
    await stage.clock.advance(500);

    stage.process.disconnect();
    await stage.clock.advance(3_900);
    const early = reason;
    await stage.clock.advance(200);
    stage.process.reconnect();
    await stage.clock.advance(50);

    expect(early).toBeUndefined();
    expect(reason).toMatchObject({ name: "AttemptAborted", reason: "lost" });
    expect(stage.events("t1")).toEqual(["claimed", "returned"]);
  });

  test("an agent that is cut off from NATS for a shorter time continues, logs the reconnect, and answers", async ({
    start,
  }) => {
    const logged: string[] = [];
    const log =
      (level: string) =>
      (_: object, text: string): void =>
        void logged.push(`${level}: ${text}`);
    const logger: Logger = { ...silentLogger, warn: log("warn"), info: log("info"), child: () => logger };
    const stage = await start((attempt) => attempt.sleep(attempt.taskId === "t1" ? 3_000 : 60_000), { logger });
    const n1 = stage.node("n1");
    for (const task of ["t1", "t2"]) n1.dispatch(task);
    await stage.clock.advance(500);

    stage.process.disconnect();
    await stage.clock.advance(8_000);
    stage.process.reconnect();
    const backAt = stage.clock.monotonic();
    await stage.clock.advance(50);

    expect(logged.filter((line) => line.includes("NATS"))).toEqual([
      "warn: NATS is unreachable; running attempts continue, and new ones wait until the agent reconnects",
      "info: the agent has reconnected to NATS",
    ]);
    expect(stage.events("t1")).toEqual(["claimed", "succeeded"]);
    expect(stage.events("t2")).toEqual(["claimed", "claimed"]);
    expect((stage.said.find(({ event }) => event === "succeeded")?.at ?? 0) - backAt).toBeLessThan(10);
    expect(stage.presence.at(-1)?.["state"]).toBe("here");
  });
});

describe("middleware", () => {
  test("middleware runs from the last added to the first, then the driver (B-27)", async ({ start }) => {
    const trace: string[] = [];
    const layer =
      (name: string): Middleware =>
      async (attempt, next) => {
        trace.push(name);
        const value = await next(attempt);
        trace.push(`/${name}`);
        return value;
      };
    const { node, clock } = await start(
      [{ driver: "work", handler: () => void trace.push("driver"), middleware: [layer("inner")] }],
      {
        middleware: [layer("A"), layer("B"), layer("C")],
      },
    );

    node("n1").dispatch("t1");
    await clock.advance(20);

    expect(trace).toEqual(["C", "B", "A", "inner", "driver", "/inner", "/A", "/B", "/C"]);
  });

  test("middleware is shared by drivers, their chains are not: each task reaches its own driver (B-28)", async ({
    start,
  }) => {
    const reached: string[] = [];
    const driver = (name: string) => ({ driver: name, handler: () => void reached.push(name) });
    const { node, clock } = await start([driver("x"), driver("y")], { middleware: [(attempt, next) => next(attempt)] });
    const n1 = node("n1");

    n1.dispatch("t1", { driver: "x" });
    n1.dispatch("t2", { driver: "y" });
    await clock.advance(20);

    expect(reached).toEqual(["x", "y"]);
  });

  test("middleware may answer for the driver, or change what it answers and throws", async ({ start }) => {
    const { node, clock, said } = await start(() => "driver", {
      middleware: [
        async (attempt, next) => (attempt.taskId === "t1" ? "middleware" : `[${String(await next(attempt))}]`),
      ],
    });
    const n1 = node("n1");

    n1.dispatch("t1");
    n1.dispatch("t2");
    await clock.advance(20);

    expect(said.map(({ text }) => text)).toEqual(["middleware", "[driver]"]);
  });
});

describe("several drivers in one agent", () => {
  test("several drivers in one agent have slots of their own", async ({ start }) => {
    const { node } = await start([noop({ concurrency: 2 }), echo({ concurrency: 3 })]);
    const n1 = node("n1");

    expect(await n1.reserve(10, "noop")).toBe(2);
    expect(await n1.reserve(10, "echo")).toBe(3);
  });
});

describe("createAgent", () => {
  plain.for<[string, object, string]>([
    ["a driver that is no name", { driver: "a.b", handler: () => undefined }, "INVALID_DRIVER"],
    ["the same driver twice", { drivers: [noop(), noop()] }, "INVALID_DRIVER"],
    ["no driver", { drivers: [] }, "INVALID_OPTION"],
    ["no slots", { driver: "a", handler: () => undefined, concurrency: 0 }, "INVALID_OPTION"],
    ["a handler that is none", { driver: "a", handler: "b" }, "INVALID_OPTION"],
    ["a drain that is no time", { ...noop(), drainMs: Number.NaN }, "INVALID_OPTION"],
    ["a cut-off that is no time", { ...noop(), cutOffMs: -1 }, "INVALID_OPTION"],
    ["half a slot", { driver: "a", handler: () => undefined, concurrency: 1.5 }, "INVALID_OPTION"],
    ["an id that is no name", { ...noop(), id: "a b" }, "INVALID_OPTION"],
    ["a namespace that is no name", { ...noop(), namespace: "a.b" }, "INVALID_OPTION"],
  ])("createAgent refuses %s", ([, options, code]) => {
    expect(() => createAgent(options as never)).toThrow(
      expect.objectContaining({ name: InvalidError.name, code }) as Error,
    );
  });

  plain("gives every incarnation an id of its own", () => {
    const [first, second] = [createAgent(noop()), createAgent(noop())];

    expect(first.id).not.toBe(second.id);
    expect(first.id).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
  });
});
