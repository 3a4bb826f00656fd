import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { BatchEntry } from "@ergon/core";
import { describe, expect } from "vitest";

import { ergon as ergonHere } from "../support/cli.ts";
import { linesOf, test, untilStarted, viewsOf } from "../support/ergon-dev.ts";
import { ergonCommand, startErgon } from "../support/ergon-process.ts";

/** The command in a shell's line. */
const quoted = ergonCommand.map((word) => `'${word}'`).join(" ");

describe("submit", () => {
  test("submit --wait of echo prints exactly the bytes of the response", async ({ ergon }) => {
    expect(await ergon(["submit", "echo", "hello", "--wait"])).toEqual({
      code: 0,
      out: "hello",
      err: "",
    });
  });

  test("submit - reads standard input and keeps its bytes", async ({ dev }) => {
    const bytes = Buffer.from([0, 255, 10, 13, 128]);
    const file = path.join(mkdtempSync(path.join(tmpdir(), "ergon-cli-")), "bytes");

    const [program = "", ...args] = ergonCommand;
    const piped = spawnSync(program, [...args, "submit", "echo", "-", "--wait"], {
      input: bytes,
      env: { ...process.env, ...dev.env },
    });
    writeFileSync(file, bytes);
    const read = spawnSync(program, [...args, "submit", "echo", `@${file}`, "--wait"], {
      env: { ...process.env, ...dev.env },
    });

    expect([piped.stdout, read.stdout]).toEqual([bytes, bytes]);
  });

  test("submit prints at once the id of a stored task (B-9)", async ({ ergon }) => {
    const { out } = await ergon([
      "submit",
      "echo",
      "{}",
      "--tag",
      "b9",
      "--arg",
      "k=v",
      "--attempt-timeout",
      "5s",
      "--retry-never",
      "BAD",
    ]);
    const got = await ergon(["get", out.trim(), "--json"]);

    expect(viewsOf(got)).toEqual([
      expect.objectContaining({ id: out.trim(), tags: ["b9"], arguments: { k: "v" }, contentType: "application/json" }),
    ]);
  });

  test("a repeated submit with the same id finds the same task; one with another payload is refused (M-7)", async ({
    ergon,
  }) => {
    const first = await ergon(["submit", "sleep", "30s", "--id", "m7"]);
    const again = await ergon(["submit", "sleep", "30s", "--id", "m7"]);
    const other = await ergon(["submit", "sleep", "31s", "--id", "m7"]);
    await ergon(["end", "m7"]);

    expect([first.out, again.out]).toEqual(["m7\n", "m7\n"]);
    expect(other).toMatchObject({ code: 5, out: "", err: expect.stringMatching(/^ergon: ID_CONFLICT: .*\n$/) });
  });

  test("a program is an agent", async ({ ergon }) => {
    expect(await ergon(["submit", "upcase", "shout", "--wait"])).toMatchObject({ code: 0, out: "SHOUT" });
  });

  test("submit --wait of a failing task tells why in one line, with exit code 1", async ({ ergon }) => {
    const { code, out, err } = await ergon(["submit", "fails", "--max-attempts", "1", "--wait"]);

    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^ergon: EXIT_3: task \S+ has failed: .*no luck\n$/);
  });

  test("the id of a task that has failed is printed, with how it ended and exit code 1", async ({ ergon }) => {
    const again = ["submit", "fails", "--max-attempts", "1", "--id", "dead"];
    await ergon([...again, "--wait"]);
    const { code, out, err } = await ergon(again);

    expect([code, out]).toEqual([1, "dead\n"]);
    expect(err).toContain("task dead has failed");
    expect(err).toContain('"ergon retry dead" runs it as a new task');
  });

  test("a payload that looks like JSON and is none goes as text, and that is said", async ({ ergon }) => {
    expect(await ergon(["submit", "echo", '{"hello": world}', "--wait"])).toEqual({
      code: 0,
      out: '{"hello": world}',
      err: "ergon: the payload looks like JSON but does not parse; it is sent as text\n",
    });
  });

  test("submit names all faults at once, with exit code 2", async ({ ergon }) => {
    const { code, err } = await ergon(["submit", "echo", "x", "--priority", "12", "--delay", "soon", "--json"]);

    expect(code).toBe(2);
    expect(JSON.parse(err)).toMatchObject({ issues: [{ field: "priority" }, { field: "delay" }] });
    expect((await ergon(["submit", "echo", "x", "--priority", "12", "--delay", "soon"])).err).toMatch(
      /^ergon: INVALID_OPTION: 2 faults\n {2}priority: [^\n]+\n {2}delay: [^\n]+\n$/,
    );
  });

  test("submit --timeout without --wait is refused before anything is stored", async ({ ergon }) => {
    const { code, out, err } = await ergon(["submit", "echo", "x", "--timeout", "3s"]);

    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain("--wait");
  });
});

describe("get, wait, watch", () => {
  test("get, wait and watch end with exit code 3 for an unknown id (B-16, B-37)", async ({ ergon }) => {
    for (const command of ["get", "wait", "watch", "cancel", "retry", "end"]) {
      expect(await ergon([command, "nobody"])).toMatchObject({
        code: 3,
        out: "",
        err: expect.stringMatching(/^ergon: TASK_NOT_FOUND: [^\n]+\n$/),
      });
    }
  });

  test("wait gives up at its bound with exit code 6, and the task continues", async ({ ergon }) => {
    const { out } = await ergon(["submit", "sleep", "2s"]);

    expect(await ergon(["wait", out.trim(), "--timeout", "200ms"])).toMatchObject({
      code: 6,
      err: expect.stringContaining("and continues"),
    });
    expect(await ergon(["wait", out.trim(), "--json"])).toMatchObject({
      code: 0,
      out: expect.stringContaining('"status":"succeeded"'),
    });
  });

  test("a waiting command tells why a task, a plan or an instance waits, during the wait and when its time is up", async ({
    ergon,
  }) => {
    const reason = "no agent serves driver nobody";
    const plan = JSON.stringify({ steps: [{ id: "first", driver: "nobody", text: "x" }] });
    const [task, steps] = await Promise.all([
      ergon(["submit", "nobody", "hi", "--id", "why-task", "--wait", "--timeout", "7s"]),
      ergon(["plan", "run", "-", "--id", "why-plan", "--wait", "--timeout", "7s"], plan),
    ]);
    const shown = await ergon(["plan", "show", "why-plan"]);
    const listed = await ergon(["ls", "--machine", "plan"]);
    for (const id of ["why-task", "why-plan"]) await ergon(["end", id]);

    expect(task).toMatchObject({ code: 6, out: "" });
    expect(task.err).toBe(
      `ergon: why-task waits: ${reason}\nergon: REQUEST_TIMEOUT: task why-task has not ended yet: it is scheduled (${reason}) and continues; "ergon wait why-task" waits for it\n`,
    );
    expect(steps.err).toContain(`first: running, ${reason}\n`);
    expect(steps.err).toContain(`it is running (${reason}) and continues`);
    expect(shown.out).toContain(reason);
    expect(listed.out).toMatch(new RegExp(`^why-plan\t.*\t${reason}$`, "m"));
  });

  test("watch prints each transition once and ends with the task (B-35, B-38)", async ({ ergon }) => {
    const { out } = await ergon(["submit", "sleep", "700ms", "--delay", "500ms"]);
    const [lines, json] = await Promise.all([ergon(["watch", out.trim()]), ergon(["watch", out.trim(), "--json"])]);

    expect(lines.code).toBe(0);
    expect(linesOf(lines).map((line) => line.split(" ")[1])).toEqual(["scheduled", "started", "succeeded"]);
    expect(viewsOf(json).at(-1)).toMatchObject({ status: "succeeded" });
  });

  test("Ctrl-C names the task that continues", async ({ dev, ergon }) => {
    const waiting = startErgon(["submit", "sleep", "30s", "--id", "goes-on", "--wait"], dev.env);
    await untilStarted(ergon, "goes-on");

    waiting.kill("SIGINT");

    await expect(waiting.ended).resolves.toEqual({
      code: 130,
      out: "",
      err: 'ergon: goes-on continues; "ergon wait goes-on" waits for it\n',
    });
    await ergon(["end", "goes-on"]);
  });

  test("an id that begins with - goes after --", async ({ ergon }) => {
    await ergon(["submit", "echo", "dashed", "--id=-dashed"]);

    expect(await ergon(["wait", "--", "-dashed"])).toMatchObject({ code: 0, out: "dashed" });
    expect(await ergon(["wait", "-dashed"])).toMatchObject({ code: 2, err: expect.stringContaining("Put -- before") });
  });

  test("an unchanged task reads the same", async ({ ergon }) => {
    const { out } = await ergon(["submit", "echo", "same"]);
    await ergon(["wait", out.trim()]);

    const [one, two] = [await ergon(["get", out.trim()]), await ergon(["get", out.trim()])];

    expect(two).toEqual(one);
    expect(one.out).toMatch(/^status +succeeded$/m);
  });

  test("Ctrl-C ends the wait with exit code 130, not the task", async ({ dev, ergon }) => {
    const { out } = await ergon(["submit", "sleep", "30s"]);
    const watching = startErgon(["watch", out.trim(), "--json"], dev.env);
    await watching.ready;

    watching.kill("SIGINT");

    await expect(watching.ended).resolves.toMatchObject({ code: 130 });
    expect(viewsOf(await ergon(["get", out.trim(), "--json"]))).toEqual([
      expect.objectContaining({ status: "started" }),
    ]);
    await ergon(["end", out.trim()]);
  });
});

describe("cancel, end, retry", () => {
  test("a cancelled task stays cancelled (I-1)", async ({ ergon }) => {
    const { out } = await ergon(["submit", "sleep", "1m"]);
    const cancelled = await ergon(["cancel", out.trim(), "--reason", "enough", "--by", "ops"]);
    const waited = await ergon(["wait", out.trim()]);

    expect(cancelled).toMatchObject({ code: 0, out: expect.stringMatching(/^cancel(ling|led)\n$/) });
    expect(waited).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringMatching(/^ergon: TASK_CANCELLED: task \S+ was cancelled by ops: enough\n$/),
    });
    expect(await ergon(["end", out.trim()])).toMatchObject({ code: 5, err: expect.stringContaining("TASK_ENDED") });
  });

  test("a failed task is retried as a new one that names it", async ({ ergon }) => {
    await ergon(["submit", "fails", "--max-attempts", "1", "--id", "f1", "--wait"]);
    const retried = await ergon(["retry", "f1", "--id", "f2"]);

    expect(retried).toMatchObject({ code: 0, out: "f2\n" });
    expect(viewsOf(await ergon(["wait", "f2", "--json"]))).toEqual([
      expect.objectContaining({ origin: "f1", status: "failed" }),
    ]);
    expect(viewsOf(await ergon(["get", "f1", "--json"]))).toEqual([expect.objectContaining({ status: "failed" })]);
  });

  test("a task that has not failed can't be retried", async ({ ergon }) => {
    await ergon(["submit", "echo", "fine", "--id", "fine", "--wait"]);

    expect(await ergon(["retry", "fine"])).toMatchObject({ code: 5, err: expect.stringContaining("TASK_NOT_FAILED") });
  });
});

describe("batch", () => {
  test("batch says on a terminal what it reads, and how the input ends", async ({ dev }) => {
    const said = await ergonHere(["batch", "--no-wait"], {
      env: dev.env,
      input: '{"driver": "echo"}\n',
      terminal: true,
      columns: 120,
    });

    expect(said).toMatchObject({
      code: 0,
      err: "ergon: reading tasks, one JSON object per line, from this terminal; press Ctrl-D on an empty line to end it\n",
    });
  });

  test("batch reads one task per line and prints each when it ends", async ({ ergon }) => {
    const tasks = [
      { driver: "sleep", payload: 800, id: "slow" },
      { driver: "echo", text: "quick", id: "quick" },
    ];
    const said = await ergon(["batch", "--correlation-id", "b1"], tasks.map((task) => JSON.stringify(task)).join("\n"));

    expect(said.code).toBe(0);
    expect(viewsOf(said).map(({ id, status, correlationId }) => [id, status, correlationId])).toEqual([
      ["quick", "succeeded", "b1"],
      ["slow", "succeeded", "b1"],
    ]);
  });

  test("one bad line of a batch stores nothing", async ({ ergon }) => {
    const refused = await ergon(["batch"], '{"driver": "echo", "id": "lonely"}\n{"driver": ""}\n');
    const broken = await ergon(["batch"], '{"driver": "echo"}\n{"driver": \n');

    expect(refused).toMatchObject({ code: 2, out: "", err: expect.stringContaining("tasks[1].driver") });
    expect(broken).toMatchObject({ code: 2, err: expect.stringContaining("line 2 is not JSON") });
    expect(await ergon(["get", "lonely"])).toMatchObject({ code: 3 });
  });

  test("batch --require-agents stores nothing unless an agent announces each driver (B-4, B-5)", async ({ ergon }) => {
    const lines = '{"driver": "echo", "id": "announced"}\n{"driver": "absent-1"}\n{"driver": "absent-2"}\n';
    const refused = await ergon(["batch", "--require-agents"], lines);
    const stored = await ergon(["batch", "--require-agents"], '{"driver": "echo", "id": "served"}\n');

    expect(refused).toMatchObject({ code: 2, out: "" });
    for (const driver of ["absent-1", "absent-2"])
      expect(refused.err).toContain(`driver ${driver} not found: no agent announces it`);
    expect(await ergon(["get", "announced"])).toMatchObject({ code: 3 });
    expect(stored).toMatchObject({ code: 0, out: expect.stringContaining('"id":"served"') });
  });

  test("batch --no-wait prints the stored tasks in order", async ({ ergon }) => {
    const said = await ergon(
      ["batch", "--no-wait"],
      '{"driver": "echo", "id": "n1"}\n{"driver": "echo", "id": "n2"}\n',
    );

    expect(linesOf(said).map((line) => (JSON.parse(line) as BatchEntry).id)).toEqual(["n1", "n2"]);
  });
});

describe("ls", () => {
  test("ls filters, orders and pages", async ({ ergon }) => {
    const lines = Array.from({ length: 5 }, (_, n) =>
      JSON.stringify({ driver: "echo", id: `ls-${n}`, tags: ["ls"], payload: n }),
    );
    await ergon(["batch", "--correlation-id", "ls"], lines.join("\n"));

    const all = await ergon(["ls", "--all", "--tag", "ls", "--json"]);
    const page = await ergon(["ls", "--all", "--correlation-id", "ls", "--limit", "2", "--json"]);
    const [, cursor = ""] = /--cursor (\S+)/.exec(page.err) ?? [];
    const next = await ergon(["ls", "--all", "--correlation-id", "ls", "--limit", "50", "--json", "--cursor", cursor]);
    const live = await ergon(["ls", "--tag", "ls"]);

    const ids = viewsOf(all).map(({ id }) => id);
    expect(ids.toSorted()).toEqual(["ls-0", "ls-1", "ls-2", "ls-3", "ls-4"]);
    expect([...viewsOf(page), ...viewsOf(next)].map(({ id }) => id)).toEqual(ids);
    expect(live.out).toBe("");
  });

  test("ls prints cells between tabs when its output is not a terminal", async ({ ergon }) => {
    await ergon(["submit", "fails", "--max-attempts", "1", "--tag", "tabs", "--id", "tabs", "--wait"]);

    const { out } = await ergon(["ls", "--all", "--status", "failed", "--tag", "tabs", "--driver", "fails"]);

    expect(out.trimEnd().split("\t")).toEqual([
      "tabs",
      "failed",
      "fails",
      "1",
      expect.any(String),
      expect.any(String),
      "EXIT_3",
    ]);
  });

  test.skipIf(!existsSync("/dev/full"))("output that cannot be written is said in one line", async ({ dev }) => {
    const { status, stderr } = spawnSync("sh", ["-c", `${quoted} shards > /dev/full`], {
      env: { ...process.env, ...dev.env },
      encoding: "utf8",
    });

    expect(status).toBe(70);
    expect(stderr).toMatch(/^ergon: INTERNAL: the output cannot be written: ENOSPC[^\n]*\n$/);
  });

  test("ls ends without an error when the reader of its output has gone", async ({ dev }) => {
    const { stderr } = spawnSync(
      "sh",
      ["-c", `{ ${quoted} watch --json ls-0; ${quoted} ls --all --limit 0; echo "code $?" >&2; } | true`],
      {
        env: { ...process.env, ...dev.env },
        encoding: "utf8",
      },
    );

    expect(stderr).toBe("code 0\n");
  });
});
