import { NotFoundError, TerminalError, type TaskView } from "@ergon/core";
import { H, createNames } from "@ergon/core/engine";
import { describe, expect } from "vitest";

import { test, viewOf } from "../support/scripted-node.ts";

const names = createNames("default");

describe("wait", () => {
  const wait = names.verb("wait", "t-1");

  test("a wait asks in rounds until the task has ended", async ({ stage }) => {
    const asked = stage.serve(wait, (message, count) =>
      stage.reply(message, viewOf("t-1", count < 3 ? "started" : "succeeded"), count === 3),
    );

    await expect(stage.outcome(stage.client().wait("t-1"))).resolves.toMatchObject({ status: "succeeded" });
    expect(asked.map((message) => message.header(H.wait))).toEqual(["10000ms", "10000ms", "10000ms"]);
  });

  test("a wait answers the task as it is when its time is up", async ({ stage }) => {
    stage.serve(wait, (message) => {
      const ms = Number.parseInt(message.header(H.wait) ?? "", 10);
      stage.clock.after(ms, () => stage.reply(message, viewOf("t-1", "started")));
    });
    const begin = stage.clock.now();

    await expect(stage.outcome(stage.client().wait("t-1", { timeoutMs: 12_500 }))).resolves.toMatchObject({
      status: "started",
    });
    expect(stage.clock.now() - begin).toBeLessThan(13_000);
  });

  test("a wait asks again at once when the task's shard has a new owner", async ({ stage }) => {
    const asked = stage.serve(wait, (message, count) => {
      if (count === 1) stage.reply(message, viewOf("t-1", "started"), false, 7);
      if (count === 3) stage.reply(message, viewOf("t-1", "succeeded"), true, 7);
    });
    const begin = stage.clock.now();

    const waiting = stage.client().wait("t-1");
    await stage.clock.advance(100);
    stage.bus.publish(names.owned(8), new Uint8Array());
    await stage.clock.advance(100);
    expect(asked).toHaveLength(2);
    stage.bus.publish(names.owned(7), new Uint8Array());

    await expect(stage.outcome(waiting)).resolves.toMatchObject({ status: "succeeded" });
    expect(stage.clock.now() - begin).toBeLessThan(300);
  });

  test("a wait survives an outage of any length, of NATS and of the nodes", async ({ stage }) => {
    let ended = false;
    stage.serve(wait, (message) => {
      if (ended) stage.reply(message, viewOf("t-1", "succeeded"), true);
    });
    const waiting = stage.client({ timeoutMs: 1_000 }).wait("t-1");
    await stage.clock.advance(5_000);
    stage.disconnect();
    await stage.clock.advance(3_600_000);
    ended = true;
    stage.reconnect();

    await expect(stage.outcome(waiting)).resolves.toMatchObject({ status: "succeeded" });
  });

  test("a wait continues without nodes, once a node has answered its client", async ({ stage }) => {
    stage.serve(names.verb("get", "t-1"), (message) => stage.reply(message, viewOf("t-1", "started")));
    const client = stage.client({ timeoutMs: 1_000 });
    await stage.outcome(client.get("t-1"));

    const waiting = client.wait("t-1");
    await stage.clock.advance(60_000);
    stage.serve(wait, (message) => stage.reply(message, viewOf("t-1", "succeeded"), true));

    await expect(stage.outcome(waiting)).resolves.toMatchObject({ status: "succeeded" });
  });

  test("a wait without a bound ends as NO_NODE when no node has ever answered", async ({ stage }) => {
    await expect(stage.outcome(stage.client({ timeoutMs: 1_000 }).wait("t-1"))).rejects.toMatchObject({
      code: "NO_NODE",
    });
  });

  test("a wait whose time is up in an outage tells why nothing is known, and that the task continues", async ({
    stage,
  }) => {
    const client = stage.client({ timeoutMs: 1_000 });
    stage.disconnect();
    const begin = stage.clock.now();

    await expect(stage.outcome(client.wait("t-1", { timeoutMs: 90_000 }))).rejects.toMatchObject({
      code: "NATS_UNREACHABLE",
      message: expect.stringMatching(
        /whether task t-1 has ended is not known: it continues, and you can wait for it again$/,
      ),
    });
    expect(stage.clock.now() - begin).toBeGreaterThanOrEqual(90_000);
  });

  test("an event is repeated through an outage of a few minutes, and no longer than an instance remembers its id", async ({
    stage,
  }) => {
    const asked = stage.serve(names.verb("send", "o-1"), () => undefined);
    stage.serve(names.verb("get", "t-1"), (message) => stage.reply(message, viewOf("t-1", "started")));
    const client = stage.client({ timeoutMs: 1_000 });
    await stage.outcome(client.get("t-1"));
    const asking = client.instance("o-1").ask({ type: "go" });
    const begin = stage.clock.now();

    await expect(stage.outcome(asking)).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
      message: expect.stringMatching(/whether o-1 took the event is not known: send it again under the same event id$/),
    });
    expect(Math.round((stage.clock.now() - begin) / 60_000)).toBe(4);
    expect(new Set(asked.map((message) => message.header(H.eventId))).size).toBe(1);
  });

  test("a wait whose connection is closed for good ends", async ({ stage }) => {
    stage.serve(names.verb("get", "t-1"), (message) => stage.reply(message, viewOf("t-1", "started")));
    const client = stage.client({ timeoutMs: 1_000 });
    await stage.outcome(client.get("t-1"));
    const waiting = client.wait("t-1");
    await stage.closeConnection();

    await expect(stage.outcome(waiting)).rejects.toMatchObject({ message: "the connection to NATS is closed" });
  });

  test("an aborted wait ends with the reason, and the task continues", async ({ stage }) => {
    stage.serve(wait, () => undefined);
    const abort = new AbortController();

    const waiting = stage.client().wait("t-1", { signal: abort.signal });
    await stage.clock.advance(10);
    abort.abort(new Error("enough"));

    await expect(waiting).rejects.toThrow("enough");
  });

  test("closing the client ends waits", async ({ stage }) => {
    stage.serve(wait, () => undefined);
    const client = stage.client();

    const waiting = client.wait("t-1");
    await stage.clock.advance(10);
    await client.close();

    await expect(waiting).rejects.toMatchObject({ message: "this client is closed" });
  });

  test("a wait for an unknown id throws TASK_NOT_FOUND (B-16)", async ({ stage }) => {
    stage.serve(wait, (message) => stage.fail(message, new NotFoundError("TASK_NOT_FOUND", "no task t-1")));

    await expect(stage.outcome(stage.client().wait("t-1"))).rejects.toMatchObject({
      name: "NotFoundError",
      code: "TASK_NOT_FOUND",
    });
  });
});

describe("response", () => {
  const wait = names.verb("wait", "t-1");

  test("a response has the agent's bytes and type, unchanged", async ({ stage }) => {
    const asked = stage.serve(wait, (message, count) => {
      if (count === 1) return stage.reply(message, viewOf("t-1", "started"));
      const headers = { [H.final]: "true", [H.status]: "succeeded", [H.contentType]: "text/csv" };
      stage.bus.publish(message.reply ?? "", Buffer.from("a,b\n"), { headers });
    });

    const response = await stage.outcome(stage.client().response("t-1"));

    expect(asked[0]?.header(H.answer)).toBe("response");
    expect(response.contentType).toBe("text/csv");
    expect(Buffer.from(response.data)).toEqual(Buffer.from("a,b\n"));
    expect(response.text()).toBe("a,b\n");
  });

  test("a failed task's failure is thrown as a final error (M-21)", async ({ stage }) => {
    stage.serve(wait, (message) =>
      stage.fail(message, new TerminalError("CARD_DECLINED", "no money"), { [H.final]: "true", [H.status]: "failed" }),
    );

    await expect(stage.outcome(stage.client().response("t-1"))).rejects.toMatchObject({
      kind: "terminal",
      code: "CARD_DECLINED",
      message: "no money",
    });
  });

  test("a response that takes longer than the bound is REQUEST_TIMEOUT", async ({ stage }) => {
    stage.serve(wait, (message) => stage.clock.after(900, () => stage.reply(message, viewOf("t-1", "started"))));

    await expect(stage.outcome(stage.client().response("t-1", { timeoutMs: 800 }))).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
    });
  });

  test("response run submits and waits in one request when the task is short", async ({ stage }) => {
    const asked = stage.serve(names.submit("echo"), (message) => {
      stage.bus.publish(message.reply ?? "", message.data, { headers: { [H.final]: "true", [H.status]: "succeeded" } });
    });

    const response = await stage.outcome(stage.client().run({ driver: "echo", text: "hi" }));

    expect(response.text()).toBe("hi");
    expect(asked[0]?.header(H.wait)).toBe("10000ms");
  });

  test("run continues by id when the task is long", async ({ stage }) => {
    const submits = stage.serve(names.submit("echo"), (message) =>
      stage.reply(message, viewOf(message.header(H.id) ?? "", "started")),
    );
    const waits = stage.serve("ergon.default.wait.*", (message) => {
      stage.bus.publish(message.reply ?? "", Buffer.from("late"), {
        headers: { [H.final]: "true", [H.status]: "succeeded" },
      });
    });

    const response = await stage.outcome(stage.client().run({ driver: "echo", text: "hi" }));

    expect(response.text()).toBe("late");
    expect(waits[0]?.subject).toBe(names.verb("wait", submits[0]?.header(H.id) ?? ""));
    expect(waits[0]?.data).toHaveLength(0);
  });
});

describe("watch", () => {
  const watch = names.verb("watch", "t-1");
  const collect = async (views: AsyncIterable<TaskView>): Promise<string[]> => {
    const seen: string[] = [];
    for await (const view of views) seen.push(view.status);
    return seen;
  };

  test("a watch yields the task, then each change, and ends with the task (B-35, B-38)", async ({ stage }) => {
    stage.serve(watch, (message) => {
      stage.reply(message, viewOf("t-1", "scheduled"));
      stage.bus.publish(message.reply ?? "", new Uint8Array(), { headers: { [H.event]: "keepalive" } });
      stage.reply(message, viewOf("t-1", "started"));
      stage.reply(message, viewOf("t-1", "succeeded"), true);
    });

    await expect(stage.outcome(collect(stage.client().watch("t-1")))).resolves.toEqual([
      "scheduled",
      "started",
      "succeeded",
    ]);
  });

  test("a watch asks again after a change of owner, and does not yield the same view twice", async ({ stage }) => {
    const asked = stage.serve(watch, (message, count) => {
      stage.reply(message, viewOf("t-1", "started"), false, 5);
      if (count === 2) stage.reply(message, viewOf("t-1", "succeeded"), true, 5);
    });

    const seen = collect(stage.client().watch("t-1"));
    await stage.clock.advance(50);
    stage.bus.publish(names.owned(5), new Uint8Array());

    await expect(stage.outcome(seen)).resolves.toEqual(["started", "succeeded"]);
    expect(asked).toHaveLength(2);
    expect(asked[0]?.reply).not.toBe(asked[1]?.reply);
  });

  test("a silent watch asks again", async ({ stage }) => {
    stage.serve(watch, (message, count) => {
      stage.reply(message, viewOf("t-1", count === 1 ? "started" : "failed"), count === 2);
    });

    await expect(stage.outcome(collect(stage.client().watch("t-1")))).resolves.toEqual(["started", "failed"]);
  });

  test("an unknown id ends a watch with one error (B-37)", async ({ stage }) => {
    stage.serve(watch, (message) => stage.fail(message, new NotFoundError("TASK_NOT_FOUND", "no task t-1")));

    await expect(stage.outcome(collect(stage.client().watch("t-1")))).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  });

  test("a watch continues after an outage of any length", async ({ stage }) => {
    let status: TaskView["status"] = "started";
    stage.serve(watch, (message) => stage.reply(message, viewOf("t-1", status), status === "succeeded"));
    const seen = collect(stage.client({ timeoutMs: 1_000 }).watch("t-1"));
    await stage.clock.advance(100);
    stage.disconnect();
    await stage.clock.advance(3_600_000);
    status = "succeeded";
    stage.reconnect();

    await expect(stage.outcome(seen)).resolves.toEqual(["started", "succeeded"]);
  });

  test("a watch without a node fails once its time is up", async ({ stage }) => {
    await expect(stage.outcome(collect(stage.client({ timeoutMs: 3_000 }).watch("t-1")))).rejects.toMatchObject({
      code: "NO_NODE",
    });
  });

  test("an abort ends a watch", async ({ stage }) => {
    stage.serve(watch, (message) => stage.reply(message, viewOf("t-1", "started")));
    const abort = new AbortController();

    const seen = collect(stage.client().watch("t-1", { signal: abort.signal }));
    await stage.clock.advance(10);
    abort.abort();

    await expect(stage.outcome(seen)).resolves.toEqual(["started"]);
  });
});
