import path from "node:path";

import type { TaskView } from "@ergon/core";
import { test as base } from "vitest";

import { ergon as ergonHere, type Said } from "./cli.ts";
import { startErgon, type ErgonProcess } from "./ergon-process.ts";
import { eventually } from "./eventually.ts";

/** Runs a command against the `ergon dev` of the file, in this process. */
export type RunErgon = (args: readonly string[], input?: string) => Promise<Said>;

/** An `ergon dev`, and what makes a command find it. */
export interface Dev {
  readonly process: ErgonProcess;
  readonly env: Readonly<Record<string, string>>;
}

/** Tests of a file share one `ergon dev` that knows the machine `order`, an agent whose program is `tr`, and one whose program fails. */
export const test = base
  .extend("dev", { scope: "file" }, async ({}, { onCleanup }): Promise<Dev> => {
    const running: ErgonProcess[] = [];
    onCleanup(async () => {
      for (const one of running.toReversed()) await stop(one);
    });
    const start = async (args: readonly string[], env?: Dev["env"]): Promise<ErgonProcess> => {
      const one = startErgon(args, env);
      running.push(one);
      await one.ready;
      return one;
    };
    const dev = await start(["dev", "--port", "0", "--machines", order]);
    const env = { NATS_URL: dev.lines[0]?.split(" ")[1] ?? "" };
    await Promise.all([
      start(["agent", "--driver", "upcase", "--concurrency", "2", "--", "tr", "a-z", "A-Z"], env),
      start(["agent", "--driver", "fails", "--", "sh", "-c", "echo no luck >&2; exit 3"], env),
    ]);
    return { process: dev, env };
  })
  .extend(
    "ergon",
    ({ dev }): RunErgon =>
      (args, input = "") =>
        ergonHere(args, { env: dev.env, input }),
  );

/** The machine of the README, by its file. */
const order = path.resolve(import.meta.dirname, "../../examples/order.ts");

async function stop(process: ErgonProcess): Promise<void> {
  process.kill("SIGTERM");
  await process.ended;
}

/** The tasks that a command has printed with `--json`. */
export function viewsOf(said: Said): TaskView[] {
  return linesOf(said).map((line) => JSON.parse(line) as TaskView);
}

export function linesOf({ out }: Said): string[] {
  return out.split("\n").filter((line) => line !== "");
}

/** Waits until a task's first attempt runs. */
export async function untilStarted(ergon: RunErgon, id: string): Promise<void> {
  await eventually(`task ${id} has started`, async () => {
    const [view] = viewsOf(await ergon(["get", id, "--json"]));
    return view?.status === "started";
  });
}
