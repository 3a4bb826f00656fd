import { ConflictError, UnavailableError, type BatchRequest } from "@ergon/core";
import { H, JSON_TYPE, MSGPACK_TYPE, createNames, decodeBody, encodeBody } from "@ergon/core/engine";
import { describe, expect } from "vitest";

import { test, viewOf } from "../support/scripted-node.ts";

const names = createNames("default");
const moved = new UnavailableError("SHARD_MOVED", "the shard has another owner");

describe("submit", () => {
  test("a submit sends the payload as the body and every option as a header", async ({ stage }) => {
    const asked = stage.serve(names.submit("echo"), (message) => stage.reply(message, viewOf("t-1")));

    const handle = await stage.outcome(
      stage.client().submit({
        driver: "echo",
        id: "t-1",
        payload: { a: 1 },
        tags: ["red", "blue"],
        priority: 7,
        delay: "5s",
        attemptTimeout: "2m",
        arguments: { key: "value" },
        retry: { maxAttempts: 9, never: ["BAD", "WORSE"] },
      }),
    );

    expect(handle.id).toBe("t-1");
    expect(handle.view.status).toBe("scheduled");
    expect(Buffer.from(asked[0]?.data ?? []).toString()).toBe('{"a":1}');
    expect(asked[0]?.headers()).toEqual({
      [H.id]: "t-1",
      [H.contentType]: JSON_TYPE,
      [H.tags]: "red,blue",
      [H.priority]: "7",
      [H.delay]: "5000ms",
      [H.attemptTimeout]: "120000",
      [H.arguments]: '{"key":"value"}',
      [H.maxAttempts]: "9",
      [H.retryNever]: "BAD,WORSE",
    });
  });

  test("every fault of a task is named before anything is sent", async ({ stage }) => {
    const asked = stage.serve("ergon.>", () => undefined);

    const submit = stage.client().submit({ driver: "no spaces", priority: 12, id: "?" });

    await expect(submit).rejects.toMatchObject({
      kind: "invalid",
      issues: [{ field: "priority" }, { field: "driver" }, { field: "id" }],
    });
    expect(asked).toEqual([]);
  });

  test("a repeated submit carries the same id, so that it is the same task (M-7)", async ({ stage }) => {
    const asked = stage.serve(names.submit("echo"), (message, count) => {
      if (count < 3) stage.fail(message, moved);
      else stage.reply(message, viewOf(message.header(H.id) ?? ""));
    });

    const handle = await stage.outcome(stage.client().submit({ driver: "echo" }));

    expect(asked.map((message) => message.header(H.id))).toEqual([handle.id, handle.id, handle.id]);
  });

  test("a client repeats a request whose answer never comes", async ({ stage }) => {
    stage.serve(names.submit("echo"), (message, count) => {
      if (count === 2) stage.reply(message, viewOf("t-1"));
    });

    await expect(stage.outcome(stage.client().submit({ driver: "echo" }))).resolves.toMatchObject({ id: "t-1" });
  });

  test("a question that hears nothing is asked once more beside, and whichever answer comes first counts", async ({
    stage,
  }) => {
    const at: number[] = [];
    const begin = stage.clock.now();
    stage.serve(names.submit("echo"), (message, count) => {
      at.push(stage.clock.now() - begin);
      // The first question's answer is late, the second one's never comes.
      if (count === 1) stage.clock.after(700, () => stage.reply(message, viewOf("late")));
    });

    const { id } = await stage.outcome(stage.client().submit({ driver: "echo", id: "late" }));

    expect(id).toBe("late");
    expect(at.map((ms) => Math.round(ms / 100))).toEqual([0, 3]);
  });

  test("the answer of a slow node counts, though its question has been asked again meanwhile", async ({ stage }) => {
    const begin = stage.clock.now();
    stage.serve(names.submit("echo"), (message, count) => {
      // Each question takes three seconds, longer than a try waits at first.
      if (count === 1) stage.clock.after(3_000, () => stage.reply(message, viewOf("slow")));
    });

    const { id } = await stage.outcome(stage.client().submit({ driver: "echo", id: "slow" }));

    expect(id).toBe("slow");
    expect(stage.clock.now() - begin).toBeLessThan(4_000);
  });

  test("a wait is asked beside too, a batch is not, and what concerns the whole after a second", async ({ stage }) => {
    const at: Record<string, number[]> = {};
    const begin = stage.clock.now();
    const hear = (subject: string, name: string): void => {
      at[name] = [];
      stage.serve(subject, () => at[name]?.push(Math.round((stage.clock.now() - begin) / 100)));
    };
    hear(names.verb("wait", "x"), "wait");
    hear(names.batch, "batch");
    hear(names.cluster("nodes"), "nodes");
    const client = stage.client();
    const calls = [client.wait("x"), client.batch({ tasks: [{ driver: "echo" }] }), client.nodes()];
    for (const call of calls) call.catch(() => undefined);

    await stage.clock.advance(4_500);
    await client.close();

    expect(at).toEqual({ wait: [0, 3], batch: [0], nodes: [0, 10] });
  });

  test("a client sends no more than a hundred duplicate requests per second when everything is slow", async ({
    stage,
  }) => {
    const asked = stage.serve(names.submit("echo"), () => undefined);
    const client = stage.client();
    for (let index = 0; index < 500; index++) client.submit({ driver: "echo" }).catch(() => undefined);

    await stage.clock.advance(900);
    await client.close();

    expect(asked).toHaveLength(600);
  });

  test("a pause is never shorter than the node asked for", async ({ stage }) => {
    const at: number[] = [];
    stage.serve(names.submit("echo"), (message, count) => {
      at.push(stage.clock.now());
      if (count === 1) stage.fail(message, new UnavailableError("OVERLOADED", "later", { retryAfterMs: 1_500 }));
      else stage.reply(message, viewOf("t-1"));
    });

    await stage.outcome(stage.client().submit({ driver: "echo" }));

    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(1_500);
  });

  test("a submit without a node fails with NO_NODE once its time is up", async ({ stage }) => {
    const begin = stage.clock.now();

    await expect(stage.outcome(stage.client({ timeoutMs: 5_000 }).submit({ driver: "echo" }))).rejects.toMatchObject({
      code: "NO_NODE",
    });
    expect(stage.clock.now() - begin).toBeGreaterThanOrEqual(5_000);
  });

  test("a client says once, after a second, that no node serves a submit", async ({ stage }) => {
    const said: number[] = [];
    const begin = stage.clock.now();
    const client = stage.client({ timeoutMs: 5_000, onNoNode: () => said.push(stage.clock.now() - begin) });

    await expect(stage.outcome(client.get("t-1"))).rejects.toMatchObject({ code: "NO_NODE" });
    expect(said).toEqual([expect.toSatisfy((ms: number) => ms >= 1_000 && ms < 3_000)]);
  });

  test("a try that failed at once, because the connection was down, does not lengthen the next one", async ({
    stage,
  }) => {
    const at: number[] = [];
    stage.serve(names.submit("echo"), () => at.push(stage.clock.now()));
    const client = stage.client();
    stage.disconnect();
    const submit = client.submit({ driver: "echo" });
    submit.catch(() => undefined);
    await stage.clock.advance(15_000);

    stage.reconnect();
    const back = stage.clock.now();
    await stage.clock.advance(2_900);
    await client.close();

    // Asked at once; once more beside; and again after each second of silence.
    expect(at.map((ms) => Math.floor((ms - back) / 1_000))).toEqual([0, 0, 1, 1, 2, 2]);
  });

  test("every request that is open is asked again when the connection is back, after however many failures", async ({
    stage,
  }) => {
    const driver = names.submit("echo");
    const asked = stage.serve(driver, (message) => {
      if (asked.length > 10) stage.reply(message, viewOf(message.header(H.id) ?? ""));
    });
    const client = stage.client();
    const submits = Array.from({ length: 5 }, () => client.submit({ driver: "echo" }));
    await stage.clock.advance(200);
    stage.disconnect();
    await stage.clock.advance(20_000);
    expect(asked).toHaveLength(5);

    stage.reconnect();
    await stage.clock.advance(0);
    await stage.clock.advance(100);
    expect(asked).toHaveLength(10);
    // A node that answers comes a moment later: the next try, a second after the silent one, reaches it.
    const back = stage.clock.now();
    await stage.outcome(Promise.all(submits));
    expect(stage.clock.now() - back).toBeLessThan(1_500);
  });

  test("a client whose connection is lost for a second is told, and told again when it is back", async ({ stage }) => {
    const told: boolean[] = [];
    const client = stage.client({ onNatsAway: (away) => told.push(away) });

    stage.disconnect();
    await stage.clock.advance(900);
    stage.reconnect();
    await stage.clock.advance(5_000);
    expect(told).toEqual([]);

    stage.disconnect();
    await stage.clock.advance(1_100);
    expect(told).toEqual([true]);
    stage.reconnect();
    expect(told).toEqual([true, false]);
    await client.close();
  });

  test("REQUEST_TIMEOUT names how long the whole call has waited, not its last try", async ({ stage }) => {
    stage.serve(names.verb("get", "t-1"), () => undefined);

    await expect(stage.outcome(stage.client({ timeoutMs: 5_000 }).get("t-1"))).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
      message: expect.stringMatching(/ within 5(\.\d)?s$/),
    });
  });

  test("a last try that has only a moment left does not hide what a node has answered before", async ({ stage }) => {
    stage.serve(names.submit("echo"), (message, count) => {
      if (count <= 2) stage.fail(message, new UnavailableError("STORE_FULL", "the server refused the write"));
    });

    await expect(stage.outcome(stage.client({ timeoutMs: 300 }).submit({ driver: "echo" }))).rejects.toMatchObject({
      code: "STORE_FULL",
      message: "the server refused the write",
    });
  });

  test("an error of another kind is not asked about again", async ({ stage }) => {
    const asked = stage.serve(names.submit("echo"), (message) =>
      stage.fail(message, new ConflictError("ID_CONFLICT", "taken")),
    );

    await expect(stage.outcome(stage.client().submit({ driver: "echo", id: "x" }))).rejects.toMatchObject({
      name: "ConflictError",
      code: "ID_CONFLICT",
    });
    expect(asked).toHaveLength(1);
  });

  test("a payload over the server's limit never leaves", async ({ stage }) => {
    const asked = stage.serve("ergon.>", () => undefined);

    await expect(stage.client().submit({ driver: "echo", payload: new Uint8Array(1_048_570) })).rejects.toMatchObject({
      code: "PAYLOAD_TOO_LARGE",
    });
    expect(asked).toEqual([]);
  });
});

describe("batch", () => {
  test("a batch sends its tasks as MessagePack with ids and bytes, under one correlation id", async ({ stage }) => {
    const asked = stage.serve(names.batch, (message) => {
      stage.bus.publish(message.reply ?? "", encodeBody({ correlationId: "c", tasks: [] }, JSON_TYPE), {
        headers: { [H.contentType]: JSON_TYPE },
      });
    });

    await stage.outcome(
      stage.client().batch({
        tasks: [
          { driver: "echo", text: "hi" },
          { driver: "echo", id: "two", payload: [1] },
        ],
      }),
    );

    const body = decodeBody(asked[0]?.data ?? new Uint8Array(), MSGPACK_TYPE) as BatchRequest;
    expect(body.correlationId).toMatch(/^[\w-]{21}$/);
    expect(body.tasks).toEqual([
      {
        driver: "echo",
        id: expect.stringMatching(/^[\w-]{21}$/),
        payload: Buffer.from("hi"),
        contentType: "text/plain",
      },
      { driver: "echo", id: "two", payload: Buffer.from("[1]"), contentType: JSON_TYPE },
    ]);
  });

  test("a batch names the faults of all tasks by their place", async ({ stage }) => {
    const batch = stage
      .client()
      .batch({ tasks: [{ driver: "echo" }, { driver: "" }, { driver: "echo", priority: -1 }] });

    await expect(batch).rejects.toMatchObject({
      code: "BATCH_REJECTED",
      issues: [{ field: "tasks[1].driver" }, { field: "tasks[2].priority" }],
    });
  });

  test("a batch over the server's limit is refused with advice", async ({ stage }) => {
    const tasks = Array.from({ length: 9 }, () => ({ driver: "echo", payload: new Uint8Array(130_000) }));

    await expect(stage.client().batch({ tasks })).rejects.toMatchObject({
      code: "PAYLOAD_TOO_LARGE",
      message: expect.stringContaining("split the batch"),
    });
  });
});

describe("decisions", () => {
  test("cancel and end say who and why, in one line", async ({ stage }) => {
    const asked = stage.serve("ergon.default.*.t-1", (message) =>
      stage.reply(message, viewOf("t-1", "cancelled"), true),
    );
    const client = stage.client({ by: "ops" });

    await stage.outcome(client.cancel("t-1", { reason: "two\nlines" }));
    await stage.outcome(client.end("t-1", { by: "root" }));

    expect(asked.map((message) => [message.subject, message.headers()])).toEqual([
      [names.verb("cancel", "t-1"), { [H.by]: "ops", [H.reason]: "two lines" }],
      [names.verb("end", "t-1"), { [H.by]: "root" }],
    ]);
  });

  test("retry answers the new task, whose id is the same however often it is asked for", async ({ stage }) => {
    const asked = stage.serve(names.verb("retry", "t-1"), (message, count) => {
      if (count === 1) stage.fail(message, moved);
      else stage.reply(message, { ...viewOf(message.header(H.id) ?? ""), origin: "t-1" });
    });

    const handle = await stage.outcome(stage.client().retry("t-1"));

    expect(handle.view.origin).toBe("t-1");
    expect(asked.map((message) => message.header(H.id))).toEqual([handle.id, handle.id]);
  });

  test("an invalid id is refused before anything is sent", async ({ stage }) => {
    await expect(stage.client().get("a.b")).rejects.toMatchObject({ code: "INVALID_ID" });
  });
});

describe("reading the cluster", () => {
  test("listAll goes from page to page", async ({ stage }) => {
    const asked = stage.serve(names.cluster("list"), (message, count) => {
      const page = count === 1 ? { tasks: [viewOf("a"), viewOf("b")], cursor: "next" } : { tasks: [viewOf("c")] };
      stage.bus.publish(message.reply ?? "", encodeBody(page, JSON_TYPE), {});
    });
    const ids = async (): Promise<string[]> => {
      const seen: string[] = [];
      for await (const view of stage.client().listAll({ driver: "echo" })) seen.push(view.id);
      return seen;
    };

    await expect(stage.outcome(ids())).resolves.toEqual(["a", "b", "c"]);
    expect(asked.map((message) => decodeBody(message.data, JSON_TYPE))).toEqual([
      { driver: "echo" },
      { driver: "echo", cursor: "next" },
    ]);
  });
});
