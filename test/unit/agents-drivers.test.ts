import { echo, noop, sleep } from "@ergon/agents";
import { H } from "@ergon/core/engine";
import { describe, expect } from "vitest";

import { test } from "../support/agent-stage.ts";

describe("echo", () => {
  test("echo answers the payload with its content type", async ({ start }) => {
    const { node, clock, said } = await start([echo()]);
    const n1 = node("n1");

    n1.dispatch("t1", { payload: "<a/>", headers: { [H.contentType]: "text/xml" } });
    n1.dispatch("t2", { payload: "raw" });
    await clock.advance(20);

    expect(said.map(({ text, headers }) => [text, headers[H.contentType]])).toEqual([
      ["<a/>", "text/xml"],
      ["raw", undefined],
    ]);
  });
});

describe("noop", () => {
  test("noop succeeds with nothing (B-49)", async ({ start }) => {
    const { node, clock, said } = await start([noop()]);

    node("n1").dispatch("t1", { payload: "x" });
    await clock.advance(20);

    expect(said.map(({ event, text }) => [event, text])).toEqual([["succeeded", ""]]);
  });
});

describe("sleep", () => {
  test.for<[string, string, number]>([
    ['{"ms":"1500"}', "", 1_500],
    ['{"duration":"1m30s"}', "", 90_000],
    ["{}", "2s", 2_000],
    ["{}", "250", 250],
    ["{}", '{"ms":700}', 700],
    ["{}", '{"duration":"3s"}', 3_000],
    ["{}", "", 0],
  ])("sleep sleeps as long as the arguments %s or the payload %j say", async ([args, payload, ms], { start }) => {
    const { node, clock, said } = await start([sleep()]);
    const from = clock.monotonic();

    node("n1").dispatch("t1", { payload, headers: { [H.arguments]: args } });
    await clock.runUntil(() => said.at(-1)?.event === "succeeded");

    const took = clock.monotonic() - from;
    expect(took).toBeGreaterThanOrEqual(ms);
    expect(took).toBeLessThan(ms + 10);
  });

  test("sleep fails for good on what is no duration", async ({ start }) => {
    const { node, clock, said } = await start([sleep()]);

    node("n1").dispatch("t1", { payload: "a while" });
    await clock.advance(20);

    expect(said[0]?.headers).toMatchObject({ [H.error]: "INVALID_OPTION", [H.errorKind]: "terminal" });
  });

  test("sleep stops at a cancel", async ({ start }) => {
    const { node, clock, said, agent } = await start([sleep()]);
    const n1 = node("n1");
    n1.dispatch("t1", { payload: "1h" });
    await clock.advance(20);

    n1.abort("t1", "cancelled");
    await clock.advance(20);

    expect(agent.running).toBe(0);
    expect(said.at(-1)?.headers[H.error]).toBe("TASK_CANCELLED");
  });
});
