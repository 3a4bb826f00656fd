import { RetryableError, SECOND, TerminalError } from "@ergon/core";
import { H, QUEUE, encodeError, shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { endsOf, statusesOf, submitAll } from "../support/many-tasks.ts";
import { answerPlain, createMemoryCluster } from "../support/memory-cluster.ts";

describe("a flood beyond the agents' capacity", () => {
  test("a flood beyond the agents' capacity waits, and no agent ever runs more than it announced, from three nodes (B-24)", async () => {
    const cluster = createMemoryCluster({ shards: 12 });
    await cluster.addNodes("n1", "n2", "n3");
    const running = new Map<string, number>();
    const most = new Map<string, number>();
    const limits = { a1: 3, a2: 5 };
    for (const [name, concurrency] of Object.entries(limits)) {
      await cluster.addAgent(name, {
        concurrency,
        handler: async (attempt) => {
          const now = (running.get(name) ?? 0) + 1;
          running.set(name, now);
          most.set(name, Math.max(most.get(name) ?? 0, now));
          await attempt.sleep(20);
          running.set(name, (running.get(name) ?? 0) - 1);
        },
      });
    }

    const ids = await submitAll(cluster, 300);

    expect(statusesOf(await endsOf(cluster, ids))).toEqual(["succeeded"]);
    expect(Object.fromEntries(most)).toEqual(limits);
  });

  test("a flood beyond the agents' capacity never has more attempts out than the node's limit of the driver, whatever the agents announce", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNode("n1", { drivers: { work: { limit: 2 } } });
    let [running, most] = [0, 0];
    await cluster.addAgent("a1", {
      concurrency: 50,
      handler: async (attempt) => {
        running += 1;
        most = Math.max(most, running);
        await attempt.sleep(20);
        running -= 1;
      },
    });

    const ids = await submitAll(cluster, 20);

    expect(statusesOf(await endsOf(cluster, ids))).toEqual(["succeeded"]);
    expect(most).toBe(2);
  });

  test("a flood beyond the agents' capacity is worked off by priority, then first come (B-20)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const order: number[] = [];
    const agent = await cluster.addAgent("a1", {
      concurrency: 1,
      handler: async (attempt) => {
        order.push(Number(attempt.text()));
        await attempt.sleep(10);
      },
    });
    agent.pause();
    await submitAll(cluster, 1, () => ({ text: "999" }));
    const client = cluster.client();
    const ids: string[] = [];
    for (let index = 0; index < 30; index++) {
      ids.push((await cluster.drive(client.submit({ driver: "work", text: String(index), priority: index % 3 }))).id);
    }
    agent.resume();

    await endsOf(cluster, ids);

    const byPriority = [2, 1, 0].flatMap((priority) =>
      Array.from({ length: 30 }, (_, index) => index).filter((index) => index % 3 === priority),
    );
    expect(order.filter((index) => index !== 999)).toEqual(byPriority);
  });

  test("the queues of two drivers stay apart when shards move: neither is counted off the other's", async () => {
    const cluster = createMemoryCluster({ shards: 2 });
    await cluster.addNodes("n1");
    for (const driver of ["red", "blue"]) {
      await cluster.addAgent(`agent-${driver}`, { driver, concurrency: 1, handler: (attempt) => attempt.sleep(1_000) });
    }
    await cluster.clock.advance(2_000);
    const idsIn = (shard: number, driver: string): string[] =>
      Array.from({ length: 100 }, (_, index) => `${driver}-${index}`).filter((id) => shardOf(id, 2) === shard);
    // Shard 0 stays where it is; what waits in shard 1 leaves.
    const [red, blue] = [idsIn(0, "red").slice(0, 6), idsIn(1, "blue").slice(0, 6)];
    const client = cluster.client();
    await cluster.drive(Promise.all(red.map((id) => client.submit({ driver: "red", id }))));
    await cluster.drive(Promise.all(blue.map((id) => client.submit({ driver: "blue", id }))));
    await cluster.addNodes("n2");

    expect(
      statusesOf(await cluster.drive(Promise.all([...red, ...blue].map((id) => client.wait(id))), 60_000)),
    ).toEqual(["succeeded"]);
  });
});

describe("an agent that dies", () => {
  test("an agent that dies is known to be dead within two seconds: its attempts run elsewhere, at no cost of retries (M-2, B-22)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const agent = await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(600_000) });
    const ids = await submitAll(cluster, 8, () => ({ attemptTimeout: "20m" }));
    await cluster.clock.advance(1_000);
    await cluster.addAgent("a2");
    const begin = cluster.clock.monotonic();

    agent.kill();
    const ends = await endsOf(cluster, ids);

    expect(ends.map(({ status, attempt, lost, failures, agent: by }) => [status, attempt, lost, failures, by])).toEqual(
      ids.map(() => ["succeeded", 2, 1, 0, "a2"]),
    );
    expect(cluster.clock.monotonic() - begin).toBeLessThan(2 * SECOND);
  });

  test("an agent that dies again and again uses up the task's budget for losses, and no more than that", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const [id = ""] = await submitAll(cluster, 1, () => ({ maxLost: 2 }));
    for (const name of ["a1", "a2", "a3"]) {
      const agent = await cluster.addAgent(name, { handler: (attempt) => attempt.sleep(600_000) });
      await cluster.clock.advance(1_500);
      agent.kill();
    }

    const [end] = await endsOf(cluster, [id]);

    expect(end).toMatchObject({ status: "failed", lost: 3, failures: 0, failure: { code: "AGENTS_LOST" } });
  });

  test("an agent that was paused and counted as dead while its attempt began anew elsewhere has its answer refused, and its handler is told to stop (M-3, B-64, I-2)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const aborts: unknown[] = [];
    const first = await cluster.addAgent("a1", {
      handler: async (attempt) => {
        attempt.signal.addEventListener("abort", () =>
          aborts.push((attempt.signal.reason as { reason: string }).reason),
        );
        await attempt.sleep(20_000);
        return "old";
      },
    });
    const [id = ""] = await submitAll(cluster, 1);
    await cluster.clock.advance(500);

    first.pause();
    await cluster.addAgent("a2", { handler: async (attempt) => (await attempt.sleep(30_000), "new") });
    await cluster.clock.advance(10_000);
    first.resume();
    const [end] = await endsOf(cluster, [id]);

    expect(end).toMatchObject({ status: "succeeded", attempt: 2, agent: "a2", response: { text: "new" } });
    expect(aborts).toEqual(["lost"]);
  });
});

describe("an agent that leaves", () => {
  test("an agent that leaves takes nothing new, finishes what it can, hands the rest back, and says goodbye last (B-34, M-4)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const handed: string[] = [];
    const agent = await cluster.addAgent("a1", {
      concurrency: 4,
      handler: async (attempt) => {
        handed.push(attempt.taskId);
        await attempt.sleep(Number(attempt.text()) === 0 ? 1_000 : 60_000);
        return "first";
      },
    });
    const ids = await submitAll(cluster, 6);
    await cluster.clock.advance(500);
    const before = handed.length;

    const stopping = agent.agent.stop({ drainMs: 5_000 });
    await cluster.addAgent("a2", { handler: () => "second" });
    await cluster.drive(stopping);

    expect(handed).toHaveLength(before);
    const ends = await endsOf(cluster, ids);
    expect(statusesOf(ends)).toEqual(["succeeded"]);
    expect(ends.filter(({ agent: by }) => by === "a1").map(({ attempt }) => attempt)).toEqual([1]);
    expect(ends.every(({ lost, failures }) => lost === 0 && failures === 0)).toBe(true);
    expect(await cluster.drive(cluster.client().agents())).toEqual([expect.objectContaining({ id: "a2" })]);
  });
});

describe("failures", () => {
  test("a task whose third attempt succeeds has succeeded after three, with growing pauses (B-26)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const begun: number[] = [];
    await cluster.addAgent("a1", {
      handler: (attempt) => {
        begun.push(cluster.clock.monotonic());
        if (attempt.number < 3) throw new RetryableError("FLAKY", "not yet");
        return "done";
      },
    });
    const [end] = await endsOf(cluster, await submitAll(cluster, 1));

    expect(end).toMatchObject({ status: "succeeded", attempt: 3, failures: 2 });
    const [first = 0, second = 0, third = 0] = begun;
    expect(second - first).toBeGreaterThan(240);
    expect(third - second).toBeGreaterThan(490);
  });

  test("a final failure ends the task at once, with its reason, and the node continues (B-13, B-68)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", {
      handler: (attempt) => {
        if (attempt.text() === "0") throw new TerminalError("BROKEN", "no such thing");
      },
    });
    const ends = await endsOf(cluster, await submitAll(cluster, 3));

    expect(ends.map(({ status }) => status)).toEqual(["failed", "succeeded", "succeeded"]);
    expect(ends[0]).toMatchObject({
      attempt: 1,
      failure: { code: "BROKEN", message: "no such thing" },
      durationMs: expect.any(Number) as number,
    });
  });

  test.each([
    ["its total timeout (B-25)", { totalTimeout: "2s", retry: { maxAttempts: 10, initial: 1 } }, "TOTAL_TIMEOUT"],
    ["its last attempt's timeout", { attemptTimeout: "2s", retry: { maxAttempts: 1 } }, "ATTEMPT_TIMEOUT"],
  ])("a handler that outlives %s is told to stop, and no attempt follows", async (_, bounds, code) => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const aborted: number[] = [];
    const begun: number[] = [];
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        const begin = cluster.clock.monotonic();
        begun.push(attempt.number);
        attempt.signal.addEventListener("abort", () =>
          aborted.push(Math.round((cluster.clock.monotonic() - begin) / 100)),
        );
        await attempt.sleep(600_000);
      },
    });

    const [end] = await endsOf(cluster, await submitAll(cluster, 1, () => bounds));
    await cluster.clock.advance(60_000);

    expect(end).toMatchObject({ status: "failed", failure: { code } });
    expect([begun, aborted]).toEqual([[1], [20]]);
  });

  test("a handler that falls silent is given up at its heartbeat's bound", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", { handler: (attempt) => (attempt.number === 1 ? attempt.sleep(600_000) : "done") });
    const [end] = await endsOf(
      cluster,
      await submitAll(cluster, 1, () => ({ heartbeatTimeout: "3s", attemptTimeout: "1h" })),
    );

    expect(end).toMatchObject({ status: "succeeded", attempt: 2, failures: 1 });
    expect(end?.durationMs).toBeLessThan(6_000);
  });
});

describe("plain agents, who know nothing of Ergon", () => {
  test("a plain agent gets a dispatch with what it may want to know, and its answer is the response", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const seen: Record<string, string>[] = [];
    cluster.addPlainAgent("work", (message, bus) => {
      seen.push({ ...message.headers() });
      answerPlain(message, bus, `got ${Buffer.from(message.data).toString()}`);
    });
    const [id = ""] = await submitAll(cluster, 1, () => ({ arguments: { colour: "red" }, correlationId: "c-1" }));
    const [end] = await endsOf(cluster, [id]);

    expect(end).toMatchObject({ status: "succeeded", attempt: 1, response: { text: "got 0" } });
    expect(seen).toEqual([
      expect.objectContaining({
        [H.task]: id,
        [H.attempt]: "1",
        [H.driver]: "work",
        [H.arguments]: '{"colour":"red"}',
        [H.correlationId]: "c-1",
      }),
    ]);
  });

  test("a plain agent fails a task by the errors of NATS micro services", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    const plain = cluster.connect("micro");
    let asked = 0;
    plain.bus.subscribe(
      cluster.names.plainAgent("work"),
      ({ reply = "" }) => {
        asked++;
        plain.bus.publish(reply, new Uint8Array(), {
          headers: { [H.serviceErrorCode]: "500", [H.serviceError]: "broken" },
        });
      },
      { queue: QUEUE },
    );
    const [end] = await endsOf(cluster, await submitAll(cluster, 1, () => ({ retry: { maxAttempts: 2 } })));

    expect(end).toMatchObject({ status: "failed", failures: 2, failure: { code: "AGENT_FAILED", message: "broken" } });
    expect(asked).toBe(2);
  });

  test("a final error of a plain agent is final", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    cluster.addPlainAgent("work", ({ reply = "" }, bus) => {
      const { data, headers } = encodeError(new TerminalError("NOPE", "never"));
      bus.publish(reply, data, { headers });
    });
    const [end] = await endsOf(cluster, await submitAll(cluster, 1));
    expect(end).toMatchObject({ status: "failed", attempt: 1, failure: { code: "NOPE" } });
  });

  test("plain agents that come after the tasks get them all, each once", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1", "n2");
    const ids = await submitAll(cluster, 50);
    await cluster.clock.advance(3_000);
    const runs: string[] = [];
    cluster.addPlainAgent("work", (message, bus) => {
      runs.push(message.header(H.task) ?? "");
      answerPlain(message, bus, "done");
    });

    const ends = await endsOf(cluster, ids);

    expect(statusesOf(ends)).toEqual(["succeeded"]);
    expect(runs.toSorted()).toEqual(ids.toSorted());
    expect(ends.every(({ failures, lost }) => failures === 0 && lost === 0)).toBe(true);
  });

  test("plain agents that answer late change nothing (B-64)", async () => {
    const cluster = createMemoryCluster();
    await cluster.addNodes("n1");
    cluster.addPlainAgent("work", (message, bus) => {
      const { reply } = message;
      const headers = message.headers();
      cluster.clock.after(5_000, () => answerPlain({ ...message, reply, headers: () => headers }, bus, "late"));
    });
    const [end] = await endsOf(
      cluster,
      await submitAll(cluster, 1, () => ({ attemptTimeout: "1s", retry: { maxAttempts: 1 } })),
    );
    await cluster.clock.advance(10_000);

    expect(end).toMatchObject({ status: "failed", failure: { code: "ATTEMPT_TIMEOUT" } });
    expect(await cluster.drive(cluster.client().get(end?.id ?? ""))).toEqual(end);
  });

  test("a plain driver without agents just when a shard is in doubt lets the task wait, and the task does not count as taken", async () => {
    const cluster = createMemoryCluster({ shards: 4 });
    await cluster.addNodes("n1");
    const gone = cluster.addPlainAgent("work", (message, bus) => answerPlain(message, bus, "done"));
    await endsOf(cluster, await submitAll(cluster, 1));
    await gone.close();
    await cluster.clock.advance(10);
    // The first write's answer is late enough for the next to be in doubt while the offer is on its way.
    const ids: string[] = [];
    for (let index = 0; index < 40; index++) {
      cluster.network.faults.loseAcknowledgement = 0.5;
      ids.push(...(await submitAll(cluster, 1, () => ({ id: `doubt-${index}`, attemptTimeout: "1h" }))));
    }
    cluster.network.faults.loseAcknowledgement = 0;
    await cluster.clock.advance(30_000);
    await cluster.addAgent("a1", { concurrency: 50 });
    await cluster.clock.advance(30_000);

    const views = await cluster.drive(Promise.all(ids.map((id) => cluster.client().get(id))));
    expect(new Set(ids.map((id) => shardOf(id, 4))).size).toBe(4);
    expect(statusesOf(views)).toEqual(["succeeded"]);
  });
});
