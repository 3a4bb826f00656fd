import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { connect, describeSchedule, type ScheduleContext, type ScheduleView } from "@ergon/core";
import { describe, expect, test as base } from "vitest";

import { createLocal } from "../support/cluster-local.ts";
import { test } from "../support/ergon-dev.ts";
import { startTestServer } from "../support/nats-server.ts";

base(
  "the server restarts in the middle: every due time is run, once",
  async () => {
    const server = await startTestServer();
    const { local, stop } = createLocal(server.url, "default");
    await local.node();
    const begun: string[] = [];
    let next = Promise.withResolvers<void>();
    await local.agent({
      driver: "work",
      handler: ({ taskId }) => {
        begun.push(taskId);
        next.resolve();
        next = Promise.withResolvers<void>();
      },
    });
    const client = await local.client();
    const schedule = await client.schedule(
      { id: "beat", every: "1s", runs: 4, overlap: "allow", task: { driver: "work", retry: { initial: 0 } } },
      { retention: "1h" },
    );
    await next.promise;
    await server.kill();
    await server.restart();

    const view = await schedule.wait({ timeoutMs: 30_000 });

    expect(view.output).toMatchObject({ started: 4, succeeded: 4, failed: 0, missed: 0 });
    const { addedAt } = view.context as ScheduleContext;
    const dues = [1, 2, 3, 4].map((second) => new Date(addedAt + second * 1_000));
    const stamps = dues.map((due) => due.toISOString().replaceAll(/[-:]/g, "").replace(".000Z", "Z").replace(".", "_"));
    expect(new Set(begun)).toEqual(new Set(stamps.map((stamp) => `beat=${stamp}`)));
    await stop();
    await server.stop();
  },
  60_000,
);

describe("schedules by the command line", () => {
  test("add, ls, show, pause, resume, trigger, rm", async ({ ergon }) => {
    const added = await ergon([
      "schedule",
      "add",
      "nightly",
      "--cron",
      "0 3 * * *",
      "--tz",
      "Europe/Berlin",
      "--driver",
      "echo",
    ]);
    expect(added).toMatchObject({ code: 0, err: "" });
    expect(added.out).toMatch(/^when +0 3 \* \* \* Europe\/Berlin$/m);
    expect(added.out.match(/T0[12]:00:00\.000Z \(\d{4}-\d\d-\d\d 03:00:00 Europe\/Berlin\)$/gm)).toHaveLength(5);
    expect(added.out).toMatch(/^payload +0 bytes$/m);

    const listed = await ergon(["schedule", "ls"]);
    expect(listed.out).toMatch(/^nightly\t0 3 \* \* \* Europe\/Berlin\techo\t\S+T0[12]:00:00\.000Z\t\twaiting\tskip$/m);
    expect(await ergon(["schedule", "pause", "nightly"])).toMatchObject({ code: 0, out: "paused\n" });
    expect((await ergon(["schedule", "show", "nightly"])).out).toMatch(/^status +paused$/m);
    expect(await ergon(["schedule", "pause", "nightly"])).toMatchObject({ code: 5 });
    expect(await ergon(["schedule", "resume", "nightly"])).toMatchObject({ code: 0, out: "waiting\n" });

    const { out: run } = await ergon(["schedule", "trigger", "nightly"]);
    expect(run).toMatch(/^nightly=\d{8}T\d{6}(_\d{3})?Z-t1\n$/);
    expect(await ergon(["wait", run.trim()])).toMatchObject({ code: 0 });

    expect(await ergon(["schedule", "rm", "nightly"])).toMatchObject({
      code: 0,
      out: "removed\n",
      err: expect.stringContaining("the id can be used again in 10 s"),
    });
    const again = ["schedule", "add", "nightly", "--every", "1h", "--driver", "echo"];
    expect(await ergon(again)).toMatchObject({
      code: 5,
      err: expect.stringMatching(/^ergon: TASK_ENDED: .*its id is free again/),
    });
    expect((await ergon(["schedule", "ls"])).out).not.toContain("nightly");
    expect(await ergon(["schedule", "show", "nowhere"])).toMatchObject({ code: 3 });
    expect(await ergon(["schedule", "rm", run.trim()])).toMatchObject({ code: 3 });
    expect(await ergon(["get", run.trim()])).toMatchObject({ code: 0 });
  });

  test("a schedule whose machine no node knows, or whose driver no agent serves, is added with a warning", async ({
    ergon,
  }) => {
    const add = async (id: string, ...flags: string[]): Promise<{ code: number; err: string }> =>
      ergon(["schedule", "add", id, "--every", "1h", ...flags]);
    const folder = await mkdtemp(path.join(tmpdir(), "ergon-schedule-"));
    const plan = path.join(folder, "plan.yaml");
    await writeFile(plan, "steps:\n  - driver: echo\n  - plan: [{ machine: nolight }, { driver: nobody }]\n");

    expect(await add("m", "--machine", "nolight")).toEqual({
      code: 0,
      err: "ergon: no node knows machine nolight: its runs fail until a node starts that registers it\n",
      out: expect.any(String),
    });
    expect((await add("d", "--driver", "nobody")).err).toMatch(
      /^ergon: no agent has announced driver nobody: its runs wait for an agent/,
    );
    expect((await add("p", "--plan", plan)).err).toMatch(/machine nolight: .*\n.*driver nobody: .*\n$/);
    expect((await add("e", "--driver", "echo")).err).toBe("");
    await rm(folder, { recursive: true });
  });

  test("a spec from a file, which flags go before, and which replaces another", async ({ ergon }) => {
    const folder = await mkdtemp(path.join(tmpdir(), "ergon-schedule-"));
    const file = path.join(folder, "spec.yaml");
    await writeFile(
      file,
      "every: 1h\njitter: 5s\noverlap: queue\ntask:\n  driver: echo\n  payload: { hello: world }\n",
    );
    const add = async (...flags: string[]): Promise<{ code: number; view: ScheduleView; err: string }> => {
      const { code, out, err } = await ergon(["schedule", "add", "filed", "--json", ...flags]);
      return { code, err, view: JSON.parse(out === "" ? "{}" : out) as ScheduleView };
    };

    expect(await add("--file", file)).toMatchObject({
      code: 0,
      view: { when: "every 1h", overlap: "queue", what: "echo", jitterMs: 5_000, payloadBytes: 17 },
    });
    expect(await add("--file", file)).toMatchObject({ code: 0 });
    expect(JSON.parse((await add("--file", file, "--every", "2h")).err)).toEqual({
      error: "ID_CONFLICT",
      kind: "conflict",
      message: "filed exists with another spec: --replace gives it this one",
    });
    expect(await add("--file", file, "--every", "2h", "--replace")).toMatchObject({ view: { when: "every 2h" } });
    await rm(folder, { recursive: true });
  });

  test("every fault of a spec is said at once, and nothing is stored", async ({ ergon }) => {
    const { code, err } = await ergon([
      "schedule",
      "add",
      "bad",
      "--cron",
      "61 * * * *",
      "--tz",
      "Nowhere",
      "--runs",
      "0",
    ]);

    expect(code).toBe(2);
    for (const field of ["timeZone", "runs", "task"]) expect(err).toContain(`${field}: `);
    expect(await ergon(["schedule", "show", "bad"])).toMatchObject({ code: 3 });
  });

  test("a run by time, and its end, by the SDK", async ({ dev }) => {
    const client = await connect({ nats: { servers: dev.env["NATS_URL"] ?? "" } });
    const schedule = await client.schedule({ after: 0, task: { driver: "echo", text: "now" } }, { retention: "1m" });
    const view = describeSchedule(await schedule.wait({ timeoutMs: 15_000 }), 5);
    expect(view).toMatchObject({ status: "succeeded", counts: { started: 1, succeeded: 1 }, next: [] });
    expect((await client.response(view.last?.id ?? "")).text()).toBe("now");
    await client.close();
  });
});
