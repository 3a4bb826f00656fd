import { readFile } from "node:fs/promises";

import { command, createAgent, type CommandDriverOptions } from "@ergon/agents";
import {
  createSystemClock,
  silentLogger,
  type Bus,
  type ErgonError,
  type Headers,
  type Logger,
  type Message,
} from "@ergon/core";
import { H, createNames, decodeError } from "@ergon/core/engine";
import { createMemoryNetwork } from "@ergon/core/testing";
import { describe, expect, onTestFinished, test as base } from "vitest";

interface Answer {
  readonly message: Message;
  readonly text: string;
  readonly error: ErgonError | undefined;
}

interface Started {
  readonly bus: Bus;
  readonly answer: Promise<Answer>;
  readonly lines: string[];
  /** Waits for a line on the program's standard error. */
  readonly line: (text: string) => Promise<void>;
  readonly abort: () => void;
}

type Start = (
  program: readonly string[],
  payload?: string,
  headers?: Headers,
  options?: Partial<CommandDriverOptions>,
) => Promise<Started>;

const test = base.extend<{ start: Start }>({
  start: async ({}, use) => {
    const stops: (() => Promise<void>)[] = [];
    await use(async (program, payload = "", headers = {}, options = {}) => {
      const clock = createSystemClock();
      const network = createMemoryNetwork({ clock });
      const names = createNames("test");
      const lines: string[] = [];
      const waiting = new Map<string, () => void>();
      const logger: Logger = {
        ...silentLogger,
        child: () => logger,
        info: (fields, line) => {
          if (!("stream" in fields)) return;
          lines.push(line);
          waiting.get(line)?.();
        },
      };
      const driver = command({ driver: "run", command: program, ...options });
      const agent = createAgent({
        ports: { bus: network.connect().bus, clock, logger },
        namespace: "test",
        id: "a1",
        drivers: [driver],
      });
      stops.push(() => agent.stop({ drainMs: 0 }));
      await agent.start();
      const { bus } = network.connect();
      const answer = new Promise<Answer>((resolve) => {
        bus.subscribe(names.shardAll(0), (message) => {
          if (message.reply === undefined) return;
          bus.publish(message.reply, new Uint8Array());
          resolve({ message, text: Buffer.from(message.data).toString(), error: decodeError(message) });
        });
      });
      const own = { [H.task]: "t1", [H.attempt]: "2", ...headers };
      bus.publish(names.agent("run", "a1"), Buffer.from(payload), { headers: own, reply: names.reply(0, "t1", 2) });
      return {
        ...{ bus, answer, lines },
        line: (text) =>
          lines.includes(text) ? Promise.resolve() : new Promise<void>((resolve) => waiting.set(text, resolve)),
        abort: () => {
          const reason = { [H.event]: "abort", [H.task]: "t1", [H.attempt]: "2", [H.reason]: "cancelled" };
          bus.publish(names.control("a1"), new Uint8Array(), { headers: reason });
        },
      };
    });
    for (const stop of stops) await stop();
  },
});

const sh = (script: string): readonly string[] => ["sh", "-c", script];

/** Whether a process lives, other than as a zombie that nobody has reaped yet. */
async function lives(pid: number): Promise<boolean> {
  try {
    return !/^\d+ \(.*\) Z/.test(await readFile(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

describe("a command", () => {
  test("a command gets the payload on its standard input, and its standard output is the response", async ({
    start,
  }) => {
    const { answer } = await start(["tr", "a-z", "A-Z"], "hello", {}, { contentType: "text/plain" });

    const { text, message, error } = await answer;

    expect(error).toBeUndefined();
    expect([text, message.header(H.contentType)]).toEqual(["HELLO", "text/plain"]);
  });

  test("a command that does not read its input succeeds", async ({ start }) => {
    const { answer } = await start(["true"], "x".repeat(500_000));

    expect((await answer).error).toBeUndefined();
  });

  test.for<[string, string, string]>([
    ["exit 3", "EXIT_3", "retryable"],
    ["exit 75", "EXIT_75", "retryable"],
    ["kill -9 $$", "SIGNAL_SIGKILL", "retryable"],
  ])("a command that ends with `%s` fails with %s, which is %s", async ([script, code, kind], { start }) => {
    const { answer } = await start(sh(script));

    expect((await answer).error).toMatchObject({ code, kind });
  });

  test("a program that does not exist may be tried again: another agent may have it", async ({ start }) => {
    const { answer } = await start(["/no/such/program"]);

    expect((await answer).error).toMatchObject({ code: "COMMAND_NOT_STARTED", kind: "retryable" });
  });

  test("a command has its standard error in the log, line by line, and the end of it in the failure", async ({
    start,
  }) => {
    const { answer, lines } = await start(sh("echo one >&2; echo two >&2; exit 1"));

    const { error } = await answer;

    expect(error?.message).toBe("sh exited with 1: one two");
    expect(lines).toEqual(["one", "two"]);
  });

  test("a command that writes more than its limit fails for good, and does not continue", async ({ start }) => {
    const { answer } = await start(["yes"], "", {}, { responseLimit: 10_000 });

    expect((await answer).error).toMatchObject({ code: "RESPONSE_TOO_LARGE", kind: "terminal" });
  });

  test("a command gets its task in the environment, and only the agent's variables that it needs or that are named", async ({
    start,
  }) => {
    process.env["ERGON_TEST_SECRET"] = "hidden";
    process.env["ERGON_TEST_GIVEN"] = "given";
    const headers = { [H.resource]: "urn:x", [H.arguments]: '{"k":"v"}' };

    const { answer } = await start(["env"], "", headers, { env: ["ERGON_TEST_GIVEN"] });

    const env = Object.fromEntries(
      (await answer).text
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s).slice(0, 2)),
    ) as Record<string, string>;
    delete process.env["ERGON_TEST_SECRET"];
    delete process.env["ERGON_TEST_GIVEN"];
    expect(env).toMatchObject({
      ERGON_TASK: "t1",
      ERGON_ATTEMPT: "2",
      ERGON_DRIVER: "run",
      ERGON_RESOURCE: "urn:x",
      ERGON_ARGUMENTS: '{"k":"v"}',
    });
    expect(env["ERGON_TEST_GIVEN"]).toBe("given");
    expect(
      Object.keys(env).filter(
        (name) => !name.startsWith("ERGON_") && !["PATH", "HOME", "LANG", "TMPDIR", "PWD", "SHLVL", "_"].includes(name),
      ),
    ).toEqual([]);
    expect(env).not.toHaveProperty("ERGON_TEST_SECRET");
  });

  test("a command is stopped with all that it started, at a cancel", async ({ start }) => {
    const { answer, line, lines, abort } = await start(sh("sleep 1000 & echo $! >&2; echo ready >&2; wait"));
    await line("ready");

    abort();

    expect((await answer).error?.code).toBe("TASK_CANCELLED");
    expect(await lives(Number(lines[0]))).toBe(false);
  });

  test("a command is stopped at the deadline", async ({ start }) => {
    const { answer } = await start(["sleep", "1000"], "", { [H.timeoutMs]: "50" });

    expect((await answer).error?.code).toBe("ATTEMPT_TIMEOUT");
  });

  test("a command that does not heed SIGTERM is killed, with all that it started", async ({ start }) => {
    const script = "trap '' TERM; sleep 1000 & echo $! >&2; echo $$ >&2; echo ready >&2; while :; do wait; done";
    const { answer, line, lines, abort } = await start(sh(script), "", {}, { killAfterMs: 50 });
    await line("ready");

    abort();

    expect((await answer).error?.code).toBe("TASK_CANCELLED");
    expect(await Promise.all(lines.slice(0, 2).map((pid) => lives(Number(pid))))).toEqual([false, false]);
  });

  test("a command ends although somebody who left its group keeps its output open", async ({ start }) => {
    const script = `
      const left = require("node:child_process").spawn("sleep", ["1000"], { detached: true, stdio: "inherit" });
      left.unref();
      console.error(left.pid);
      console.log("done");
    `;
    const { answer, lines } = await start([process.execPath, "-e", script], "", {}, { killAfterMs: 50 });
    onTestFinished(() => void process.kill(Number(lines[0]), "SIGKILL"));

    expect(await answer).toMatchObject({ text: "done\n", error: undefined });
  });

  test("a command leaves nothing behind that it started and forgot", async ({ start }) => {
    const { answer, lines } = await start(sh("sleep 1000 >/dev/null 2>&1 & echo $! >&2"));

    expect((await answer).error).toBeUndefined();
    await expect.poll(() => lives(Number(lines[0]))).toBe(false);
  });
});
