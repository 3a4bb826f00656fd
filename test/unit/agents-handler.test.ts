import { TerminalError } from "@ergon/agents";
import { H } from "@ergon/core/engine";
import { describe, expect } from "vitest";

import { test } from "../support/agent-stage.ts";

describe("a handler", () => {
  test.for<[string, () => unknown, string]>([
    ["nothing", () => undefined, "undefined"],
    ["a text", () => "no", "no"],
    ["a symbol", () => Symbol("no"), "Symbol(no)"],
    ["what has no text", () => Object.create(null) as unknown, "the handler threw what has no text"],
    [
      "an error without a message",
      () => Object.assign(new Error("x"), { message: undefined }),
      "the handler threw what has no text",
    ],
    [
      "an error whose message throws",
      () =>
        Object.defineProperty(new Error("x"), "message", {
          get: () => {
            throw new Error("y");
          },
        }),
      "the handler threw what has no text",
    ],
  ])("a handler that throws %s fails, and may be tried again", async ([, thrown, message], { start }) => {
    const { agent, node, clock, said } = await start(() => {
      throw thrown();
    });

    node("n1").dispatch("t1");
    await clock.advance(50);

    expect(said.map(({ event, headers }) => [event, headers[H.error], headers[H.serviceError]])).toEqual([
      ["failed", "AGENT_FAILED", message],
    ]);
    expect(agent.running).toBe(0);
  });

  test.for<[string, () => Error, string]>([
    ["a code of several lines", () => new TerminalError("A\nB", "no"), "A B"],
    ["a code that is too long", () => new TerminalError("X".repeat(70_000), "no"), "X".repeat(64)],
    ["a code that is no text", () => new TerminalError(7 as never, "no"), "7"],
    ["no code", () => new TerminalError("", "no"), "AGENT_FAILED"],
    [
      "issues that are not JSON",
      () => new TerminalError("ISSUES", "no", { issues: [{ field: 1n as never, code: "", message: "" }] }),
      "ISSUES",
    ],
    [
      "issues beyond the server's limit",
      () => new TerminalError("ISSUES", "no", { issues: [{ field: "x".repeat(2_000_000), code: "", message: "" }] }),
      "ISSUES",
    ],
  ])(
    "a handler that throws an error with %s fails for good, as far as it can be told",
    async ([, thrown, code], { start }) => {
      const { node, clock, said } = await start(() => {
        throw thrown();
      });

      node("n1").dispatch("t1");
      await clock.advance(50);

      expect(said.map(({ event, headers }) => [event, headers[H.error], headers[H.errorKind]])).toEqual([
        ["failed", code, "terminal"],
      ]);
    },
  );

  test.for<[string, () => unknown, string]>([
    ["a circle", () => ((value: { self?: unknown }) => (value.self = value))({}), "circular"],
    ["a bigint", () => 1n, "BigInt"],
    ["a function", () => () => 1, "function"],
    [
      "what throws when it is read",
      () => ({
        toJSON: () => {
          throw new Error("not me");
        },
      }),
      "not me",
    ],
  ])("a handler that answers %s fails with the reason", async ([, value, reason], { start }) => {
    const { node, clock, said } = await start(value);

    node("n1").dispatch("t1");
    await clock.advance(50);

    expect(said.map(({ event }) => event)).toEqual(["failed"]);
    expect(said[0]?.headers[H.serviceError]).toMatch(/^the response cannot be written as JSON: /);
    expect(said[0]?.headers[H.serviceError]).toContain(reason);
  });

  test("a handler may reuse its bytes once it has answered them: a repeated answer is the original one", async ({
    start,
  }) => {
    const bytes = Buffer.from("first");
    const stage = await start(() => bytes);
    stage.judge = () => (stage.said.length < 2 ? "silence" : "recorded");

    stage.node("n1").dispatch("t1");
    await stage.clock.advance(50);
    bytes.write("other");
    await stage.clock.advance(1_500);

    expect(stage.said.map(({ text }) => text)).toEqual(["first", "first"]);
  });
});
