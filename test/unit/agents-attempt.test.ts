import { RetryableError, TerminalError, type Attempt } from "@ergon/agents";
import { ConflictError, InvalidError, NotFoundError, StaleError, UnavailableError } from "@ergon/core";
import { H } from "@ergon/core/engine";
import { describe, expect } from "vitest";

import { gate, test } from "../support/agent-stage.ts";

describe("a handler", () => {
  test("a handler gets the task as it was dispatched", async ({ start }) => {
    let got: Attempt | undefined;
    const { node, clock } = await start((attempt) => void (got = attempt));

    node("n1").dispatch("t1", {
      attempt: 3,
      payload: '{"a":1}',
      headers: {
        [H.contentType]: "application/json",
        [H.correlationId]: "c1",
        [H.resource]: "https://example.test/x",
        [H.arguments]: '{"k":"v"}',
        [H.deadline]: "1767225600123",
        [H.timeoutMs]: "5000",
      },
    });
    await clock.advance(50);

    expect(got).toMatchObject({
      taskId: "t1",
      number: 3,
      driver: "work",
      contentType: "application/json",
      correlationId: "c1",
    });
    expect(got).toMatchObject({
      resource: "https://example.test/x",
      arguments: { k: "v" },
      deadline: 1_767_225_600_123,
    });
    expect(got?.text()).toBe('{"a":1}');
    expect(got?.json()).toEqual({ a: 1 });
  });

  test.for<[unknown, string, string | undefined]>([
    [undefined, "", undefined],
    [Buffer.from("bytes"), "bytes", undefined],
    [new Uint8Array(Buffer.from("buffer")).buffer, "buffer", undefined],
    [new DataView(new Uint8Array(Buffer.from("a view")).buffer, 2), "view", undefined],
    ["text", "text", "text/plain"],
    [{ a: 1 }, '{"a":1}', "application/json"],
    [null, "null", "application/json"],
    [{ data: Buffer.from("<a/>"), contentType: "text/xml" }, "<a/>", "text/xml"],
    [{ data: "x", contentType: "y", more: 1 }, '{"data":"x","contentType":"y","more":1}', "application/json"],
  ])("a handler may answer %j", async ([value, text, contentType], { start }) => {
    const { node, clock, said } = await start(() => value);

    node("n1").dispatch("t1");
    await clock.advance(50);

    expect(said.map(({ event, text: body }) => [event, body])).toEqual([["succeeded", text]]);
    expect(said[0]?.headers[H.contentType]).toBe(contentType);
    expect(said[0]?.headers[H.agent]).toBe("a1");
  });

  test.for<[string, Error, string, string]>([
    ["a terminal error is final", new TerminalError("NO_SUCH_CITY", "no"), "NO_SUCH_CITY", "terminal"],
    [
      "a retryable error may be tried again",
      new RetryableError("RATE", "slow", { retryAfterMs: 1_500 }),
      "RATE",
      "retryable",
    ],
    ["anything else is retryable, AGENT_FAILED", new TypeError("oops"), "AGENT_FAILED", "retryable"],
    ["what is out of reach may be tried again", new UnavailableError("NO_NODE", "away"), "NO_NODE", "retryable"],
    ["an invalid input is final", new InvalidError("INVALID_BODY", "bad"), "INVALID_BODY", "terminal"],
  ])("a handler that throws fails: %s", async ([, error, code, kind], { start }) => {
    const { node, clock, said } = await start(() => Promise.reject(error));

    node("n1").dispatch("t1");
    await clock.advance(50);

    const [answer] = said;
    expect(answer?.event).toBe("failed");
    expect(answer?.headers).toMatchObject({ [H.error]: code, [H.errorKind]: kind, [H.serviceError]: error.message });
    expect(answer?.headers[H.serviceErrorCode]).toMatch(/^\d{3}$/);
    expect(answer?.headers[H.retryAfter]).toBe(error instanceof RetryableError ? "1500" : undefined);
  });

  test("a handler with a response over the server's limit fails for good, RESPONSE_TOO_LARGE", async ({ start }) => {
    const { node, clock, said, process } = await start(() => new Uint8Array(2_000_000));

    node("n1").dispatch("t1");
    await clock.advance(50);

    expect(process.bus.maxMessageBytes).toBeLessThan(2_000_000);
    expect(said[0]?.headers).toMatchObject({ [H.error]: "RESPONSE_TOO_LARGE", [H.errorKind]: "terminal" });
  });

  test("a handler is told of the deadline by its signal, counted from the dispatch's arrival", async ({ start }) => {
    let firedAt = 0;
    const { node, clock, said } = await start((attempt) => {
      attempt.signal.addEventListener("abort", () => (firedAt = clock.monotonic()));
      return attempt.sleep(60_000);
    });
    const sentAt = clock.monotonic();

    node("n1").dispatch("t1", { headers: { [H.timeoutMs]: "400" } });
    await clock.advance(1_000);

    expect(firedAt - sentAt).toBeGreaterThanOrEqual(400);
    expect(firedAt - sentAt).toBeLessThan(412);
    expect(said.map(({ event }) => event)).toEqual(["claimed", "failed"]);
    expect(said[1]?.headers[H.error]).toBe("ATTEMPT_TIMEOUT");
  });

  test.for([
    ["cancelled", "failed", "TASK_CANCELLED"],
    ["ended", "failed", "ENDED_BY_FORCE"],
    ["timeout", "failed", "ATTEMPT_TIMEOUT"],
    ["lost", "returned", undefined],
  ] as const)(
    "a handler is told that its attempt is %s, as the reason of its signal (M-3)",
    async ([reason, event, code], { start }) => {
      let got: unknown;
      const { node, clock, said } = await start(async (attempt) => {
        await attempt.sleep(60_000).catch(() => undefined);
        got = attempt.signal.reason;
        throw got;
      });
      const n1 = node("n1");
      n1.dispatch("t1");
      await clock.advance(50);

      n1.abort("t1", reason);
      await clock.advance(50);

      expect(got).toMatchObject({ name: "AttemptAborted", reason });
      expect(said.at(-1)?.event).toBe(event);
      expect(said.at(-1)?.headers[H.error]).toBe(code);
    },
  );

  test("a handler that asks for its signal after an abort gets one that has fired", async ({ start }) => {
    const open = gate();
    let aborted: boolean | undefined;
    const { node, clock } = await start(async (attempt) => {
      await open.promise;
      aborted = attempt.signal.aborted;
    });
    const n1 = node("n1");
    n1.dispatch("t1");
    await clock.advance(50);

    n1.abort("t1", "cancelled");
    await clock.advance(50);
    open.open();
    await clock.advance(50);

    expect(aborted).toBe(true);
  });
});

describe("while it runs, an attempt", () => {
  test("while it runs, an attempt is claimed after 250 ms, and not before", async ({ start }) => {
    const { node, clock, said } = await start((attempt) => attempt.sleep(400));
    const sentAt = clock.monotonic();

    node("n1").dispatch("t1");
    await clock.advance(500);

    expect(said.map(({ event }) => event)).toEqual(["claimed", "succeeded"]);
    expect((said[0]?.at ?? 0) - sentAt).toBeGreaterThanOrEqual(250);
    expect((said[0]?.at ?? 0) - sentAt).toBeLessThan(265);
    expect(said[0]?.message.reply).toBeUndefined();
  });

  test("while it runs, an attempt sends heartbeats at most thrice a timeout, and never leaves a longer silence than its handler did", async ({
    start,
  }) => {
    const { node, clock, said } = await start(async (attempt) => {
      for (let beat = 0; beat < 100; beat++) {
        attempt.heartbeat();
        await attempt.sleep(10);
      }
      await attempt.sleep(880);
      attempt.heartbeat();
      await attempt.sleep(10);
    });

    node("n1").dispatch("t1", { headers: { [H.heartbeatMs]: "900" } });
    await clock.advance(3_000);

    const beats = said.filter(({ event }) => event === "heartbeat").map(({ at }) => at);
    expect(beats.length).toBeGreaterThanOrEqual(4);
    expect(beats.length).toBeLessThanOrEqual(5);
    for (const [index, at] of beats.slice(1).entries()) expect(at - (beats[index] ?? 0)).toBeLessThanOrEqual(900);
  });

  test("while it runs, an attempt sends no heartbeats where none are asked for", async ({ start }) => {
    const { node, clock, events } = await start(async (attempt) => {
      attempt.heartbeat();
      await attempt.sleep(1_000);
      attempt.heartbeat();
    });

    node("n1").dispatch("t1");
    await clock.advance(2_000);

    expect(events("t1")).toEqual(["claimed", "succeeded"]);
  });

  test("while it runs, an attempt has its heartbeats sent by the agent, where its driver says so", async ({
    start,
  }) => {
    const { node, clock, events } = await start([
      { driver: "slow", heartbeats: "agent", handler: (attempt) => attempt.sleep(950) },
    ]);

    node("n1").dispatch("t1", { headers: { [H.heartbeatMs]: "600" } });
    await clock.advance(2_000);

    expect(events("t1")).toEqual(["heartbeat", "claimed", "heartbeat", "heartbeat", "heartbeat", "succeeded"]);
  });

  test("while it runs, an attempt sends progress at most ten times a second, the last one always and before the answer", async ({
    start,
  }) => {
    const { node, clock, said } = await start(async (attempt) => {
      for (let done = 1; done <= 55; done++) {
        attempt.progress({ done });
        await attempt.sleep(10);
      }
      attempt.progress({ done: "all" });
    });

    node("n1").dispatch("t1");
    await clock.advance(2_000);

    const progress = said
      .filter(({ event }) => event === "progress")
      .map(({ text }) => JSON.parse(text) as { done: unknown });
    expect(progress.length).toBeGreaterThanOrEqual(6);
    expect(progress.length).toBeLessThanOrEqual(8);
    expect(progress[0]).toEqual({ done: 1 });
    expect(said.at(-2)?.text).toBe('{"done":"all"}');
    expect(said.at(-1)?.event).toBe("succeeded");
  });
});

describe("an attempt that is dispatched again", () => {
  test("an attempt that is dispatched again while it runs is claimed again, and does not run twice (M-3)", async ({
    start,
  }) => {
    let runs = 0;
    const { node, clock, events } = await start((attempt) => {
      runs++;
      return attempt.sleep(200);
    });
    node("n1").dispatch("t1");
    await clock.advance(50);

    node("n2").dispatch("t1");
    await clock.advance(400);

    expect(events("t1")).toEqual(["claimed", "succeeded"]);
    expect(runs).toBe(1);
  });

  test("an attempt that is dispatched again before its answer was recorded is answered at once", async ({ start }) => {
    let runs = 0;
    const stage = await start(() => ++runs);
    stage.judge = () => "silence";
    const n1 = stage.node("n1");
    n1.dispatch("t1");
    await stage.clock.advance(50);

    n1.dispatch("t1");
    await stage.clock.advance(50);

    expect(stage.said.map(({ event, text }) => [event, text])).toEqual([
      ["succeeded", "1"],
      ["succeeded", "1"],
    ]);
  });

  test("an attempt that is dispatched again after its answer was recorded gets the same answer, once more until that is recorded", async ({
    start,
  }) => {
    let runs = 0;
    const stage = await start(() => ++runs);
    const n1 = stage.node("n1");
    n1.dispatch("t1");
    await stage.clock.advance(50);
    stage.judge = () => "silence";

    stage.node("n2").dispatch("t1");
    await stage.clock.advance(1_100);

    expect(stage.said.map(({ text }) => text)).toEqual(["1", "1", "1"]);
  });

  test("an attempt that is dispatched again is another one when it is of a later task of the same id: it does not get the answer of the earlier", async ({
    start,
  }) => {
    const [first, runs]: [ReturnType<typeof gate<string>>, string[]] = [gate<string>(), []];
    const { node, clock, said } = await start((attempt) => {
      runs.push(attempt.text());
      return runs.length === 1 ? first.promise : attempt.text();
    });
    const n1 = node("n1");
    n1.dispatch("t1", { payload: "earlier", headers: { [H.deadline]: "1000" } });
    await clock.advance(20);

    n1.dispatch("t1", { payload: "later", headers: { [H.deadline]: "900000" } });
    await clock.advance(20);
    n1.dispatch("t1", { attempt: 2, payload: "later", headers: { [H.deadline]: "950000" } });
    await clock.advance(20);

    expect(said.map(({ event, attempt, text }) => [event, attempt, text])).toEqual([
      ["returned", 1, ""],
      ["succeeded", 2, "later"],
    ]);
    expect(runs).toEqual(["earlier", "later"]);
    first.open("of the earlier");
    await clock.advance(20);
    expect(said).toHaveLength(2);
  });

  test("an attempt that is dispatched again under the next number runs", async ({ start }) => {
    let runs = 0;
    const { node, clock, said } = await start(() => ++runs);
    const n1 = node("n1");

    n1.dispatch("t1", { attempt: 1 });
    n1.dispatch("t1", { attempt: 2 });
    await clock.advance(50);

    expect(said.map(({ attempt, text }) => [attempt, text])).toEqual([
      [1, "1"],
      [2, "2"],
    ]);
  });
});

describe("a malformed dispatch", () => {
  test.for<[string, Record<string, string>]>([
    ["no attempt", { [H.attempt]: "one" }],
    ["an attempt of 0", { [H.attempt]: "0" }],
    ["an id that is none", { [H.task]: "a.b" }],
    ["arguments that are not JSON", { [H.arguments]: "{" }],
    ["arguments that are not texts", { [H.arguments]: '{"a":1}' }],
    ["a node that is no id", { [H.node]: "n 1" }],
    ["a timeout that is no number", { [H.timeoutMs]: "soon" }],
  ])("a malformed dispatch is refused for good: %s", async ([, headers], { start }) => {
    let runs = 0;
    const { node, clock, said } = await start(() => ++runs);

    node("n1").dispatch("t1", { headers });
    await clock.advance(50);

    expect(runs).toBe(0);
    expect(said[0]?.event).toBe("failed");
    expect(said[0]?.headers).toMatchObject({ [H.error]: "INVALID_BODY", [H.errorKind]: "terminal" });
  });
});

describe("an answer", () => {
  test("an answer is sent again after 1, 2, 4 and then every 5 s, until it is recorded", async ({ start }) => {
    const stage = await start(() => "x");
    stage.judge = () => (stage.said.length < 6 ? "silence" : "recorded");

    stage.node("n1").dispatch("t1");
    await stage.clock.advance(60_000);

    const times = stage.said.map(({ at }) => at - (stage.said[0]?.at ?? 0));
    expect(times.map((time) => Math.round(time / 100) / 10)).toEqual([0, 1, 3, 7, 12, 17]);
  });

  test("an answer that nobody serves is sent again after 250 ms, and as soon as the shard has an owner", async ({
    start,
  }) => {
    const stage = await start(() => "x");
    stage.serve(false);
    stage.node("n1").dispatch("t1");
    await stage.clock.advance(1_100);
    stage.serve(true);
    await stage.clock.advance(5);
    const before = stage.said.length;

    stage.owned();
    await stage.clock.advance(5);

    expect(before).toBe(0);
    expect(stage.events("t1")).toEqual(["succeeded"]);
  });

  test("an answer that nobody serves arrives within 250 ms of an owner who does not say so", async ({ start }) => {
    const stage = await start(() => "x");
    stage.serve(false);
    stage.node("n1").dispatch("t1");
    await stage.clock.advance(3_000);

    stage.serve(true);
    await stage.clock.advance(265);

    expect(stage.events("t1")).toEqual(["succeeded"]);
  });

  test.for([
    [new StaleError("late")],
    [new NotFoundError("TASK_NOT_FOUND", "gone")],
    [new ConflictError("TASK_ENDED", "over")],
  ])("an answer that is refused is dropped: %s (M-3)", async ([error], { start }) => {
    const stage = await start(() => "x");
    stage.judge = () => error ?? "recorded";

    stage.node("n1").dispatch("t1");
    await stage.clock.advance(30_000);

    expect(stage.said).toHaveLength(1);
  });

  test("an answer that is unavailable is sent again after 250 ms", async ({ start }) => {
    const stage = await start(() => "x");
    stage.judge = () => (stage.said.length < 3 ? new UnavailableError("SHARD_MOVED", "wait") : "recorded");

    stage.node("n1").dispatch("t1");
    await stage.clock.advance(600);

    expect(stage.said).toHaveLength(3);
  });

  test("an answer that the owner can never take becomes a final failure with the owner's reason", async ({ start }) => {
    const stage = await start(() => "x");
    stage.judge = ({ event }) =>
      event === "succeeded" ? new InvalidError("PAYLOAD_TOO_LARGE", "too large for a record") : "recorded";

    stage.node("n1").dispatch("t1");
    await stage.clock.advance(5_000);

    expect(stage.events("t1")).toEqual(["succeeded", "failed"]);
    expect(stage.said[1]?.headers).toMatchObject({ [H.error]: "PAYLOAD_TOO_LARGE", [H.errorKind]: "terminal" });
  });

  test("an answer that nobody records in an hour is given up", async ({ start }) => {
    const stage = await start(() => "x");
    stage.judge = () => "silence";

    stage.node("n1").dispatch("t1");
    await stage.clock.advance(3_700_000);
    const sent = stage.said.length;
    await stage.clock.advance(3_700_000);

    expect(stage.said).toHaveLength(sent);
  });
});
