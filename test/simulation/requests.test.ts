import { ConflictError, NotFoundError, type Message, type TaskView } from "@ergon/core";
import { H, JSON_TYPE, createNames, decodeBody, delay, encodeBody } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";

import { createMemoryCluster, type MemoryCluster } from "../support/memory-cluster.ts";

const names = createNames("default");

async function clusterOf(nodes: number, handler?: () => unknown): Promise<MemoryCluster> {
  const cluster = createMemoryCluster({ shards: 8 });
  await cluster.addNodes(...Array.from({ length: nodes }, (_, index) => `n${index + 1}`));
  if (handler !== undefined) await cluster.addAgent("a1", { handler });
  return cluster;
}

describe("a submit", () => {
  test("a submit that was answered is found at once, scheduled or later (B-9, B-1)", async () => {
    const cluster = await clusterOf(3);
    const client = cluster.client();
    for (let index = 0; index < 20; index++) {
      const { id, view } = await cluster.drive(client.submit({ driver: "work", resource: "urn:x" }));
      expect(view).toMatchObject({ id, driver: "work", resource: "urn:x", status: "scheduled" });
      expect((await cluster.drive(client.get(id))).id).toBe(id);
    }
  });

  test("a submit sent three times under one id, also minutes later and after the end, is one task (M-7)", async () => {
    let runs = 0;
    const cluster = await clusterOf(3, () => ++runs);
    const client = cluster.client();
    const submit = () => client.submit({ driver: "work", id: "mine", text: "same" });

    const [first, second] = await cluster.drive(Promise.all([submit(), submit()]));
    await cluster.drive(client.wait("mine"));
    await cluster.clock.advance(180_000);
    const third = await cluster.drive(submit());

    expect([first.id, second.id, third.id]).toEqual(["mine", "mine", "mine"]);
    expect(third.view.status).toBe("succeeded");
    expect(runs).toBe(1);
    expect(await cluster.stored()).toHaveLength(1);
  });

  test.each([
    ["payload", { text: "other" }],
    ["driver", { driver: "other", text: "same" }],
    ["arguments", { text: "same", arguments: { a: "1" } }],
    ["resource", { text: "same", resource: "urn:y" }],
  ])("a submit under an id that lives, with another %s, is a conflict (M-7)", async (_, more) => {
    const cluster = await clusterOf(2);
    const client = cluster.client();
    await cluster.drive(client.submit({ driver: "work", id: "mine", text: "same" }));

    await expect(cluster.drive(client.submit({ driver: "work", id: "mine", ...more }))).rejects.toMatchObject({
      name: "ConflictError",
      code: "ID_CONFLICT",
    });
  });

  test("a submit is answered only once it is stored, also when it meets its own first try under way (M-7, I-7)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    const [node] = await cluster.addNodes("n1");
    const raw = cluster.connect("raw");
    const answers: string[] = [];
    const submit = (): void =>
      raw.bus.publish(names.submit("work"), Buffer.from("x"), { reply: "in.box", headers: { [H.id]: "mine" } });
    raw.bus.subscribe("in.box", (message) => answers.push(message.header(H.status) ?? ""));
    cluster.network.faults.loseCommit = 1;

    submit();
    submit();
    await cluster.clock.advance(3_000);
    node?.kill();
    await cluster.clock.advance(10_000);

    expect(answers).toEqual([]);
    expect(await cluster.stored()).toEqual([]);
  });

  test("through any node reaches the shard's owner", async () => {
    const cluster = await clusterOf(4);
    const client = cluster.client();
    const ids = Array.from({ length: 40 }, (_, index) => `id-${index}`);
    await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "work", id }))));
    expect((await cluster.stored()).map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  });

  test("a delayed task does not begin before its time, by the server's clock (M-12)", async () => {
    const begun: number[] = [];
    const cluster = createMemoryCluster();
    await cluster.addNode("n1", { clockOffsetMs: -3_600_000 });
    await cluster.addNode("n2", { clockOffsetMs: 3_600_000 });
    await cluster.waitForOwners();
    await cluster.addAgent("a1", { handler: () => void begun.push(cluster.clock.now()) });
    const client = cluster.client();
    const at = cluster.clock.now();
    const ids = Array.from({ length: 16 }, (_, index) => `later-${index}`);

    await cluster.drive(Promise.all(ids.map((id) => client.submit({ driver: "work", id, delay: "10s" }))));
    await cluster.clock.advance(9_900);
    expect(begun).toEqual([]);
    await cluster.drive(Promise.all(ids.map((id) => client.wait(id))));

    expect(Math.min(...begun)).toBeGreaterThanOrEqual(at + 10_000);
    expect(Math.max(...begun)).toBeLessThan(at + 10_200);
  });
});

describe("a task that is not there", () => {
  test("a task that does not exist is not found by any request (B-16)", async () => {
    const cluster = await clusterOf(2);
    const client = cluster.client();
    for (const ask of [
      () => client.get("nobody"),
      () => client.wait("nobody"),
      () => client.cancel("nobody"),
      () => client.end("nobody"),
      () => client.retry("nobody"),
    ]) {
      const error: unknown = await cluster.drive<unknown>(ask()).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(NotFoundError);
      expect(error).toMatchObject({ code: "TASK_NOT_FOUND", status: 404 });
    }
  });

  test("a task that does not exist ends a watch with the error (B-37)", async () => {
    const cluster = await clusterOf(1);
    const watch = cluster.client().watch("nobody")[Symbol.asyncIterator]();
    await expect(cluster.drive(watch.next())).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  });

  test("a task does not exist any more after its retention", async () => {
    const cluster = await clusterOf(1, () => "done");
    const client = cluster.client();
    const { id } = await cluster.drive(client.submit({ driver: "work", retention: "5s" }));
    await cluster.drive(client.wait(id));
    await cluster.clock.advance(4_000);
    expect((await cluster.drive(client.get(id))).status).toBe("succeeded");

    await cluster.clock.advance(2_000);

    await expect(cluster.drive(client.get(id))).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
    expect((await cluster.drive(client.submit({ driver: "work", id, text: "new" }))).view.status).not.toBe("succeeded");
  });
});

test("an id that is submitted again while its record expires is refused or runs anew: never neither, never a mix (M-22)", async () => {
  const cluster = await clusterOf(2);
  await cluster.addAgent("a1", { concurrency: 50, handler: (attempt) => attempt.text() });
  const client = cluster.client({ timeoutMs: 2_000 });
  const offsets = Array.from({ length: 41 }, (_, index) => index * 5 - 100);
  const request = (offset: number, text: string) => ({ driver: "work", id: `again-${offset + 100}`, text });
  await cluster.drive(
    Promise.all(
      offsets.map(async (offset) => (await client.submit({ ...request(offset, "old"), retention: "5s" })).wait()),
    ),
  );
  const expiry = cluster.clock.monotonic() + 5_000;

  const again = offsets.map(async (offset) => {
    await delay(cluster.clock, expiry + offset - cluster.clock.monotonic());
    const second = await client.submit(request(offset, "new")).catch((error: { code: string }) => error.code);
    if (typeof second === "string") return second;
    return (await second.response()).text();
  });
  const outcomes = await cluster.drive(Promise.all(again));

  expect([...new Set(outcomes)].toSorted()).toEqual(["ID_CONFLICT", "new"]);
  await cluster.clock.advance(10_000);
  const stored = await cluster.drive(
    Promise.all(offsets.map((offset) => client.get(`again-${offset + 100}`).catch(() => undefined))),
  );
  expect(stored.map((view) => (view?.response as { text: string } | undefined)?.text)).toEqual(
    outcomes.map((outcome) => (outcome === "new" ? "new" : undefined)),
  );
});

describe("a cancel", () => {
  test("a cancel of a waiting task ends it at once, and it is never handed out (M-9)", async () => {
    let runs = 0;
    const cluster = await clusterOf(2);
    const client = cluster.client();
    const { id } = await cluster.drive(client.submit({ driver: "work" }));

    const view = await cluster.drive(client.cancel(id, { by: "me", reason: "enough" }));

    expect(view).toMatchObject({ status: "cancelled", cancelled: { by: "me", reason: "enough" } });
    await cluster.addAgent("a1", { handler: () => ++runs });
    await cluster.clock.advance(5_000);
    expect(runs).toBe(0);
  });

  test("a cancel of a running task reaches its handler within milliseconds, and the task is cancelled when the handler has stopped (M-9)", async () => {
    const cluster = await clusterOf(2);
    let told = 0;
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        attempt.signal.addEventListener("abort", () => (told = cluster.clock.monotonic()));
        await attempt.sleep(60_000);
      },
    });
    const client = cluster.client();
    const { id } = await cluster.drive(client.submit({ driver: "work" }));
    await cluster.clock.advance(1_000);
    const begin = cluster.clock.monotonic();

    await cluster.drive(client.cancel(id));
    const end = await cluster.drive(client.wait(id));

    expect(told - begin).toBeLessThan(20);
    expect(end).toMatchObject({ status: "cancelled", attempt: 1 });
    expect(cluster.clock.monotonic() - begin).toBeLessThan(100);
  });

  test("a cancel of a task that does not stop ends with its grace", async () => {
    const cluster = await clusterOf(1, () => new Promise(() => undefined));
    const client = cluster.client();
    const { id } = await cluster.drive(client.submit({ driver: "work", cancelGrace: "3s" }));
    await cluster.clock.advance(1_000);
    await cluster.drive(client.cancel(id));
    const begin = cluster.clock.monotonic();

    const end = await cluster.drive(client.wait(id));

    expect(end.status).toBe("cancelled");
    expect(cluster.clock.monotonic() - begin).toBeGreaterThan(2_900);
    expect(cluster.clock.monotonic() - begin).toBeLessThan(3_200);
  });

  test("a repeated cancel has the same result, and the cancel of a task that ended otherwise is refused (M-9)", async () => {
    const cluster = await clusterOf(2, () => "done");
    const client = cluster.client();
    const waiting = await cluster.drive(client.submit({ driver: "nobody" }));
    await cluster.drive(client.cancel(waiting.id));
    expect((await cluster.drive(client.cancel(waiting.id))).status).toBe("cancelled");

    const done = await cluster.drive(client.submit({ driver: "work" }));
    await cluster.drive(client.wait(done.id));

    const error: unknown = await cluster.drive(client.cancel(done.id)).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(ConflictError);
    expect(error).toMatchObject({ code: "TASK_ENDED" });
  });

  test("a cancel and an end by force that are sent while the answer is being stored change nothing that was told (I-1)", async () => {
    const cluster = createMemoryCluster({ shards: 1 });
    await cluster.addNodes("n1");
    await cluster.addAgent("a1", { handler: () => "done" });
    const client = cluster.client();
    for (const ask of ["cancel", "end"] as const) {
      cluster.network.faults.loseAcknowledgement = 0;
      const { id } = await cluster.drive(client.submit({ driver: "work", delay: 100 }));
      cluster.network.faults.loseAcknowledgement = 1;
      await cluster.clock.advance(4_000);
      cluster.network.faults.loseAcknowledgement = 0;

      const outcome = await cluster.drive(client[ask](id).catch((cause: { code: string }) => cause.code));

      const stored = await cluster.drive(client.wait(id));
      const heard = typeof outcome === "string" ? outcome : outcome.status;
      expect(["TASK_ENDED", "started", stored.status]).toContain(heard);
      await cluster.clock.advance(60_000);
      expect(await cluster.drive(client.get(id))).toEqual(stored);
    }
  });
});

describe("an end by force", () => {
  test("an end by force fails the task and records who ended it and why, whatever its agent does (M-9)", async () => {
    const cluster = await clusterOf(1, () => new Promise(() => undefined));
    const client = cluster.client();
    const { id } = await cluster.drive(client.submit({ driver: "work" }));
    await cluster.clock.advance(500);

    const view = await cluster.drive(client.end(id, { by: "op", reason: "stuck" }));

    expect(view).toMatchObject({
      status: "failed",
      failure: { code: "ENDED_BY_FORCE", message: "ended by op: stuck" },
    });
  });
});

describe("a retry", () => {
  test("a retry of a failed task is a new task that names its origin; both can be read (B-69)", async () => {
    let runs = 0;
    const cluster = await clusterOf(2, () => {
      if (++runs === 1) throw new Error("first");
      return "second";
    });
    const client = cluster.client();
    const first = await cluster.drive(client.submit({ driver: "work", text: "in", retry: { maxAttempts: 1 } }));
    await cluster.drive(first.wait());

    const again = await cluster.drive(first.retry());
    const end = await cluster.drive(again.wait());

    expect(end).toMatchObject({ status: "succeeded", origin: first.id, payloadBytes: 2, response: { text: "second" } });
    expect((await cluster.drive(first.get())).status).toBe("failed");
    await expect(cluster.drive(again.retry())).rejects.toMatchObject({ code: "TASK_NOT_FAILED" });
  });
});

describe("a watch", () => {
  async function seenBy(cluster: MemoryCluster, id: string): Promise<{ views: TaskView[]; done: Promise<void> }> {
    const views: TaskView[] = [];
    const collect = async (): Promise<void> => {
      for await (const view of cluster.client().watch(id)) views.push(view);
    };
    const done = collect();
    await cluster.clock.advance(100);
    return { views, done };
  }

  test("a watch shows the task at once, then each change once, and ends with it (B-35, B-38)", async () => {
    const cluster = await clusterOf(2);
    const { id } = await cluster.drive(cluster.client().submit({ driver: "work" }));
    const { views, done } = await seenBy(cluster, id);
    expect(views.map(({ status }) => status)).toEqual(["scheduled"]);
    await cluster.clock.advance(60_000);
    const before = views.length;

    await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(500) });
    await cluster.drive(done);

    expect(before).toBeLessThanOrEqual(2);
    expect([...new Set(views.map(({ status }) => status))]).toEqual(["scheduled", "started", "succeeded"]);
    expect(new Set(views.map((view) => JSON.stringify(view))).size).toBe(views.length);
  });

  test("a watch continues after the owner's death (B-35, I-9)", async () => {
    const cluster = await clusterOf(2);
    await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(10_000) });
    const { id } = await cluster.drive(cluster.client().submit({ driver: "work" }));
    const { views, done } = await seenBy(cluster, id);
    const { shards } = await cluster.drive(cluster.client().shards());
    const owner = (await cluster.stored()).map(({ shard }) => shards[shard]?.node)[0];

    cluster.nodes.find(({ name }) => name === owner)?.kill();
    await cluster.drive(done);

    expect(views.at(-1)).toMatchObject({ status: "succeeded", attempt: 1 });
    const order = ["scheduled", "started", "succeeded"];
    const seen = views.map(({ status, attempt }) => order.indexOf(status) * 10 + attempt);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(new Set(seen).size).toBeGreaterThan(1);
  });

  test("a watch shows progress", async () => {
    const cluster = await clusterOf(1);
    await cluster.addAgent("a1", {
      handler: async (attempt) => {
        for (const share of [0.2, 0.8]) {
          attempt.progress({ share });
          await attempt.sleep(2_000);
        }
      },
    });
    const { id } = await cluster.drive(cluster.client().submit({ driver: "work" }));
    const { views, done } = await seenBy(cluster, id);
    await cluster.drive(done);
    expect(views.flatMap(({ progress }) => (progress === undefined ? [] : [progress]))).toEqual([
      { share: 0.2 },
      { share: 0.8 },
    ]);
  });
});

describe("events", () => {
  test("events tell of every change of status after it is stored, once each", async () => {
    const cluster = await clusterOf(2);
    const listener = cluster.connect("listener");
    const heard: string[] = [];
    listener.bus.subscribe(names.event("task", "*", "*"), ({ data }: Message) => {
      const { id, status } = decodeBody(data, JSON_TYPE) as { id: string; status: string };
      heard.push(`${id} ${status}`);
    });
    await cluster.addAgent("a1", { handler: (attempt) => attempt.sleep(100) });
    await cluster.clock.advance(2_000);
    await cluster.drive(cluster.client().run({ driver: "work", id: "t", delay: 50 }));
    await cluster.clock.advance(10);
    expect(heard).toEqual(["t scheduled", "t started", "t succeeded"]);
  });
});

describe("a nonsensical request", () => {
  test("a nonsensical request is refused with the reason, and the node continues", async () => {
    const cluster = await clusterOf(1, () => "done");
    const raw = cluster.connect("raw");
    const ask = async (
      subject: string,
      data: Uint8Array = new Uint8Array(),
      headers: Record<string, string> = {},
    ): Promise<string> =>
      (await cluster.drive(raw.bus.request(subject, data, { headers, timeoutMs: 1_000 }))).header(H.error) ?? "none";

    expect(await ask(names.submit("work"), Buffer.from("x"), { "Ergon-Nonsense": "1" })).toBe("UNKNOWN_OPTION");
    expect(await ask(names.submit("work"), Buffer.from("x"), { [H.priority]: "many" })).toBe("INVALID_OPTION");
    expect(await ask(names.batch, Buffer.from("{"))).toBe("INVALID_BODY");
    expect(await ask(names.batch, encodeBody({ tasks: [] }, JSON_TYPE))).toBe("BATCH_REJECTED");
    expect(await ask(names.cluster("list"), encodeBody({ limit: 0 }, JSON_TYPE))).toBe("INVALID_OPTION");
    expect(await ask(names.verb("get", "no!id"))).toBe("INVALID_ID");
    expect((await cluster.drive(cluster.client().run({ driver: "work" }))).text()).toBe("done");
  });
});
