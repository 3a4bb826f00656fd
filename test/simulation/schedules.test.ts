import { HOUR, MINUTE, defineMachine } from "@ergon/core";
import { shardOf } from "@ergon/core/engine";
import { describe, expect, test } from "vitest";
import { createMachine } from "xstate";

import { createScheduleStage, stamps, until } from "../support/schedule-stage.ts";

const NOTHING = new Uint8Array(0);

test("a schedule runs its task at each due time, under ids of its own", async () => {
  const { cluster, client, begun, add, show } = await createScheduleStage();
  await add({});
  await until(cluster, 3 * MINUTE + 1_000);
  expect(begun).toEqual(stamps([1, 2, 3]));
  expect(await show()).toMatchObject({
    status: "waiting",
    next: ["2026-01-01T00:04:00.000Z", "2026-01-01T00:05:00.000Z", {}, {}, {}],
    last: { id: "s=20260101T000300Z", due: "2026-01-01T00:03:00.000Z" },
    running: [],
    counts: { started: 3, succeeded: 3 },
  });
  expect(await cluster.drive(client.get("s=20260101T000300Z"))).toMatchObject({
    status: "succeeded",
    driver: "report",
    correlationId: "s",
  });
});

test("a machine is started with its input, and its end is heard", async () => {
  const order = createMachine({
    id: "order",
    initial: "open",
    states: { open: { after: { 5_000: "closed" } }, closed: { type: "final" } },
  });
  const { cluster, client, add, show } = await createScheduleStage({ machines: [defineMachine(order)] });
  await add({ task: undefined, machine: "order", input: { amount: 3 }, runs: 1 });
  await until(cluster, MINUTE + 2_000);
  expect(await show()).toMatchObject({ status: "finishing", running: [{ id: "s=20260101T000100Z" }] });
  expect(await cluster.drive(client.instance("s=20260101T000100Z").get())).toMatchObject({
    parent: "s",
    state: "open",
  });
  await until(cluster, MINUTE + 10_000);
  expect(await show()).toMatchObject({ status: "succeeded", counts: { started: 1, succeeded: 1 } });
});

test("a plan is started, and its end is heard", async () => {
  const { cluster, begun, add, show } = await createScheduleStage();
  await add({
    task: undefined,
    plan: {
      steps: [
        { id: "one", driver: "report" },
        { id: "two", driver: "report" },
      ],
    },
    runs: 1,
  });
  await until(cluster, MINUTE + 10_000);
  expect(begun.map((task) => task.split("~")[0])).toEqual(["s=20260101T000100Z", "s=20260101T000100Z"]);
  expect(await show()).toMatchObject({ status: "succeeded", what: "plan", counts: { started: 1, succeeded: 1 } });
});

test("a run lies in its schedule's shard, and the segments of a plan that it is are spread over the shards", async () => {
  const { cluster, add, show } = await createScheduleStage({ shards: 16 });
  const ids = ["a", "b", "c"];
  for (const id of ids) await add({ runs: 2 }, id);
  const steps = Array.from({ length: 450 }, (_, index) => ({ id: `p${index}`, driver: "report" }));
  await add({ task: undefined, plan: { mode: "parallel", steps }, runs: 1 }, "large");
  await until(cluster, 3 * MINUTE);
  expect(await show("large")).toMatchObject({ counts: { started: 1, succeeded: 1 } });
  const { tasks: items } = await cluster.drive(cluster.client().list({ all: true, limit: 100 }));
  const runs = items.filter(({ id }) => id.includes("="));
  expect(runs).toHaveLength(7);
  for (const { id } of runs) expect([id, shardOf(id, 16)]).toEqual([id, shardOf(id.split("=")[0] ?? "", 16)]);
  const segments = items.filter(({ id }) => id.startsWith("large-"));
  expect(segments.map(({ id }) => id).toSorted()).toEqual([1, 2, 3, 4, 5].map((n) => `large-20260101T000100Z_${n}`));
  expect(new Set(segments.map(({ id }) => shardOf(id, 16))).size).toBeGreaterThan(2);
});

test("a run that has failed is run again under an id of its own, and no client may give an id of that form", async () => {
  const { cluster, client, add } = await createScheduleStage({ waits: true });
  await add({ runs: 1 });
  await until(cluster, MINUTE + 10_000);
  const [run = ""] = stamps([1]);
  await cluster.drive(client.cancel(run));
  expect(await cluster.drive(client.wait(run))).toMatchObject({ status: "cancelled" });
  const asked = cluster
    .connect("stranger")
    .bus.request(cluster.names.verb("retry", run), NOTHING, { timeoutMs: 5_000 });
  const answer = JSON.parse(Buffer.from((await cluster.drive(asked)).data).toString()) as object;
  expect(answer).toMatchObject({ id: `${run}-r2`, origin: run });
  expect(await cluster.drive(client.get(`${run}-r2`))).toMatchObject({ status: "started", origin: run });
  for (const id of [run, "a=b"]) {
    const refused = expect.objectContaining({ code: "INVALID_ID" }) as Error;
    await expect(cluster.drive(client.submit({ id, driver: "report" }))).rejects.toEqual(refused);
    await expect(cluster.drive(client.start("schedule", {}, { id }))).rejects.toEqual(refused);
    await expect(cluster.drive(client.retry(run, { id }))).rejects.toEqual(refused);
    const headers = { "Ergon-Id": id };
    const { bus } = cluster.connect("stranger");
    for (const subject of [
      "ergon.default.submit.report",
      "ergon.default.start.schedule",
      `ergon.default.retry.${run}`,
    ]) {
      const reply = await cluster.drive(bus.request(subject, NOTHING, { headers, timeoutMs: 5_000 }));
      expect([subject, reply.header("Ergon-Error")]).toEqual([subject, "INVALID_ID"]);
    }
  }
});

test("an invalid spec is refused with its faults, and nothing is stored", async () => {
  const { cluster, client } = await createScheduleStage();
  const started = client.start("schedule", { cron: "61 * * * *", task: { driver: "report" } }, { id: "s" });
  await expect(cluster.drive(started)).rejects.toMatchObject({ code: "INVALID_OPTION", issues: [{ field: "cron" }] });
  await expect(cluster.drive(client.instance("s").get())).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
});

describe("overlap", () => {
  test("overlap skip starts no run while another one runs", async () => {
    const { cluster, begun, release, add, show } = await createScheduleStage({ waits: true });
    await add({});
    await until(cluster, 2 * MINUTE + 1_000);
    release();
    await until(cluster, 3 * MINUTE + 1_000);
    expect(begun).toEqual(stamps([1, 3]));
    expect((await show()).counts).toMatchObject({ started: 2, succeeded: 1, skipped: 1 });
  });

  test("overlap queue starts the next run when the previous one has ended", async () => {
    const { cluster, begun, release, add, show } = await createScheduleStage({ waits: true });
    await add({ overlap: "queue" });
    await until(cluster, 3 * MINUTE + 1_000);
    expect(begun).toEqual(stamps([1]));
    expect((await show()).queued).toHaveLength(2);
    release();
    await cluster.clock.advance(1_000);
    release();
    await cluster.clock.advance(1_000);
    expect(begun).toEqual(stamps([1, 2, 3]));
  });

  test("overlap allow starts runs beside each other", async () => {
    const { cluster, begun, add, show } = await createScheduleStage({ waits: true });
    await add({ overlap: "allow" });
    await until(cluster, 3 * MINUTE + 1_000);
    expect(begun).toEqual(stamps([1, 2, 3]));
    expect((await show()).running).toHaveLength(3);
  });

  test("overlap cancel cancels the running one before the next one starts", async () => {
    const { cluster, client, begun, add, show } = await createScheduleStage({ waits: true });
    await add({ overlap: "cancel" });
    await until(cluster, 2 * MINUTE + 1_000);
    expect(begun).toEqual(stamps([1, 2]));
    expect(await cluster.drive(client.get("s=20260101T000100Z"))).toMatchObject({ status: "cancelled" });
    expect((await show()).counts).toMatchObject({ started: 2, cancelled: 1 });
  });
});

test("a removed schedule starts nothing more; what runs continues", async () => {
  const { cluster, client, begun, release, add } = await createScheduleStage({ waits: true });
  await add({});
  await until(cluster, MINUTE + 1_000);
  expect(await cluster.drive(client.instance("s").cancel())).toMatchObject({ status: "cancelled" });
  await until(cluster, 5 * MINUTE);
  expect(begun).toEqual(stamps([1]));
  expect(await cluster.drive(client.get("s=20260101T000100Z"))).toMatchObject({ status: "started" });
  release();
  expect(await cluster.drive(client.wait("s=20260101T000100Z"))).toMatchObject({ status: "succeeded" });
});

test("a schedule can be paused, resumed and triggered", async () => {
  const { cluster, client, begun, add, show } = await createScheduleStage();
  await add({ catchUp: { limit: 2 }, overlap: "queue" });
  const schedule = client.instance("s");
  await cluster.drive(schedule.send({ type: "pause" }));
  await until(cluster, 4 * MINUTE + 30_000);
  expect(begun).toEqual([]);
  expect(await show()).toMatchObject({ status: "paused", next: [] });
  await cluster.drive(schedule.send({ type: "trigger" }));
  await cluster.clock.advance(1_000);
  expect(begun).toHaveLength(1);
  expect(begun[0]).toMatch(/^s=20260101T000430_\d{3}Z-t1$/);
  await cluster.drive(schedule.send({ type: "resume" }));
  await cluster.clock.advance(2_000);
  expect(begun.slice(1)).toEqual(stamps([3, 4]));
  expect(await show()).toMatchObject({
    status: "waiting",
    counts: { missed: 2, triggered: 1, started: 2, succeeded: 3 },
  });
  await expect(cluster.drive(schedule.send({ type: "resume" }))).rejects.toMatchObject({ code: "EVENT_NOT_ACCEPTED" });
});

describe("the same spec again, or another one", () => {
  const spec = { every: "1m", task: { driver: "report", payload: { a: 1, b: 2 } } };
  const again = { task: { payload: { b: 2, a: 1 }, driver: "report" }, every: "60s", overlap: "skip" };
  const other = { ...spec, every: "2m" };

  test("a start compares with the spec that is in force, and by what it means", async () => {
    const { cluster, client } = await createScheduleStage();
    const start = (input: object): Promise<unknown> => cluster.drive(client.start("schedule", input, { id: "s" }));
    const update = (input: object): Promise<unknown> =>
      cluster.drive(client.instance("s").send({ type: "update", spec: input }));
    await start(spec);
    await start(again);
    await expect(start(other)).rejects.toMatchObject({ code: "ID_CONFLICT" });

    await update(other);
    await start({ ...other, every: "120s" });
    await expect(start(spec)).rejects.toMatchObject({ code: "ID_CONFLICT" });

    await update(spec);
    await start(again);
    await expect(start(other)).rejects.toMatchObject({ code: "ID_CONFLICT" });
  });

  test("a spec with faults is refused with their names, also where the id is taken", async () => {
    const { cluster, client, add } = await createScheduleStage();
    await add({});
    const started = client.start("schedule", { every: "1m", task: {} }, { id: "s" });
    await expect(cluster.drive(started)).rejects.toMatchObject({
      code: "INVALID_DRIVER",
      issues: [{ field: "task.driver" }],
    });
  });

  test("an update that changes nothing keeps the phase, however often it comes", async () => {
    const { cluster, client, begun, add } = await createScheduleStage();
    await add({ start: undefined, every: "10s" });
    for (let second = 0; second < 35; second += 7) {
      await cluster.clock.advance(7_000);
      const same = { task: { attemptTimeout: "60m", driver: "report" }, every: 10_000 };
      await cluster.drive(client.instance("s").send({ type: "update", spec: same }));
    }
    expect(begun).toHaveLength(3);
    await cluster.drive(
      client.instance("s").send({ type: "update", spec: { every: "20s", task: { driver: "report" } } }),
    );
    await cluster.clock.advance(19_000);
    expect(begun).toHaveLength(3);
    await cluster.clock.advance(2_000);
    expect(begun).toHaveLength(4);
  });

  test("a start compares inputs of plans and machines by their meaning, too", async () => {
    const order = createMachine({ id: "order", initial: "open", states: { open: {} } });
    const { cluster, client } = await createScheduleStage({ machines: [defineMachine(order)] });
    const start = (machine: string, input: unknown): Promise<unknown> =>
      cluster.drive(client.start(machine, input, { id: machine }));
    await start("order", { a: 1, b: { c: 1, d: 2 } });
    await start("order", { b: { d: 2, c: 1 }, a: 1 });
    await expect(start("order", { a: 1, b: { c: 1, d: 3 } })).rejects.toMatchObject({ code: "ID_CONFLICT" });
    await start("plan", { steps: [{ driver: "nobody", attemptTimeout: "90s" }] });
    await start("plan", [{ attemptTimeout: 90_000, driver: "nobody", id: "0" }]);
    await expect(start("plan", [{ driver: "nobody" }])).rejects.toMatchObject({ code: "ID_CONFLICT" });
  });
});

test("all nodes were gone for hours: as much is caught up with as the schedule allows", async () => {
  const { cluster, begun, add, show } = await createScheduleStage();
  await add({ catchUp: { limit: 3 }, overlap: "queue" });
  await until(cluster, 2 * MINUTE + 1_000);
  for (const node of cluster.nodes) node.kill();
  await until(cluster, 3 * HOUR + 10_500);
  expect(begun).toEqual(stamps([1, 2]));
  await cluster.addNodes("n3");
  await cluster.clock.advance(20_000);
  expect(begun).toEqual(stamps([1, 2, 178, 179, 180]));
  expect((await show()).counts).toMatchObject({ started: 5, succeeded: 5, missed: 175 });
});

test("catchUp also counts for the hours of a pause when the first alarm after the resume goes off too", async () => {
  const { cluster, client, begun, add, show } = await createScheduleStage();
  await add({ catchUp: { limit: 0 } });
  await cluster.drive(client.instance("s").send({ type: "pause" }));
  await until(cluster, 3 * MINUTE + 30_000);
  await cluster.drive(client.instance("s").send({ type: "resume" }));
  await until(cluster, 5 * MINUTE + 1_000);
  expect(begun).toEqual(stamps([4, 5]));
  expect((await show()).counts).toMatchObject({ started: 2, missed: 3 });
});

test("a pause takes the alarm back: nothing wakes a paused schedule", async () => {
  const { cluster, client, add } = await createScheduleStage();
  await add({});
  await cluster.drive(client.instance("s").send({ type: "pause" }));
  const before = cluster.writes.records;
  await until(cluster, 10 * MINUTE);
  expect(cluster.writes.records).toBe(before);
  expect(await cluster.drive(client.instance("s").get())).not.toHaveProperty("nextTimerAt");
});

test("many schedules that are due together share a reading of the server's time", async () => {
  const { cluster, begun, add } = await createScheduleStage();
  for (let index = 0; index < 50; index++) await add({ runs: 1 }, `s${index}`);
  await until(cluster, MINUTE - 100);
  const before = cluster.writes.times;
  await until(cluster, MINUTE + 1_000);
  expect(begun).toHaveLength(50);
  expect(cluster.writes.times - before).toBeLessThanOrEqual(2 * cluster.nodes.length);
});

describe("a node dies around a fire", () => {
  // Of the commits from just before a fire until its run has ended, which; and how long after it was sent the node dies, or right before it.
  const moments = [1, 2, 3, 4, 5, 6].flatMap((commit) =>
    [-1, 0, 0.2, 0.6, 2].map((afterMs) => [commit, afterMs] as const),
  );

  test.each(moments)(
    "at commit %i, %f ms after it was sent: each due time has its run, once",
    async (commit, afterMs) => {
      const { cluster, client, begun, add, show } = await createScheduleStage({ seed: commit * 10 + afterMs });
      await add({ every: "20s", overlap: "allow" });
      await until(cluster, MINUTE + 15_000);
      let commits = 0;
      let died = false;
      cluster.onCommit = (name) => {
        commits++;
        const node = cluster.nodes.find((one) => one.name === name);
        if (commits !== commit) return;
        const die = (): void => {
          died = true;
          node?.kill();
        };
        if (afterMs < 0) die();
        else cluster.clock.after(afterMs, die);
      };
      await until(cluster, 2 * MINUTE + 15_000);
      expect(died).toBe(true);
      const runs = ["0100", "0120", "0140", "0200"].map((time) => `s=20260101T00${time}Z`);
      expect([...new Set(begun)]).toEqual(runs);
      for (const run of runs) expect(await cluster.drive(client.get(run))).toMatchObject({ status: "succeeded" });
      expect((await show()).counts).toMatchObject({ started: 4, succeeded: 4, skipped: 0, missed: 0 });
      const { counts } = await show();
      expect(counts.failed).toBe(0);
    },
  );
});
