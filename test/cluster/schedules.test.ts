import type { ScheduleContext } from "@ergon/core";
import { describe, expect } from "vitest";

import type { Frame, Point } from "../support/cluster-proxy.ts";
import type { Cluster } from "../support/cluster.ts";
import { rightAnswer } from "../support/ledger.ts";
import { pointTest } from "./point-fixtures.ts";

const { test } = pointTest(60_000);

type Matcher = (schedule: string) => (frame: Frame) => boolean;

const nth = (wanted: number, matches: (frame: Frame) => boolean) => {
  let seen = 0;
  return (frame: Frame): boolean => matches(frame) && ++seen === wanted;
};
const commit: (which: number) => Matcher = (which) => (schedule) =>
  nth(which, ({ to, subject }) => to === "server" && subject.startsWith("$KV.") && subject.endsWith(`.${schedule}`));
/** The run's creation is its first. */
const commitOfRun: (which: number) => Matcher = (which) => (schedule) =>
  nth(which, ({ to, subject }) => to === "server" && subject.startsWith("$KV.") && subject.includes(`.${schedule}=`));
const tellOfRun: Matcher = (schedule) =>
  nth(1, ({ to, subject }) => to === "server" && subject.includes(`.tell.${schedule}=`));
const tellOfSchedule: Matcher = (schedule) =>
  nth(1, ({ to, subject }) => to === "server" && subject.endsWith(`.tell.${schedule}`));

/** What happens at a fire, in order. */
const moments: readonly (readonly [string, Matcher])[] = [
  ["the schedule is stored", commit(1)],
  ["the fire is committed", commit(2)],
  ["the run is told to start", tellOfRun],
  ["the run is stored", commitOfRun(1)],
  ["the run's end is stored", commitOfRun(2)],
  ["the schedule is told of the run's end", tellOfSchedule],
];
const points = moments.flatMap(([name, match]) =>
  (["before", "after"] as const).map((when) => ({
    name: `${when} ${name}`,
    of: (schedule: string): Point => ({ when, match: match(schedule) }),
  })),
);

const RUNS = 3;

describe("a node is killed around a fire: each due time is run, once, and none is lost", () => {
  test.for(points)("$name", async ({ name, of }, { cluster }) => {
    const id = name.replaceAll(/[^a-z]+/g, "-");
    const reached = cluster.hold("node", of(id));
    const added = cluster.client.schedule(
      {
        id,
        every: "1s",
        runs: RUNS,
        overlap: "allow",
        task: { driver: "work", text: `payload of ${id}`, attemptTimeout: "10m", retry: { initial: 0 } },
      },
      { retention: "1h" },
    );
    const victim = await reached;
    await victim.kill();
    await added;

    const view = await cluster.client.instance(id).wait({ timeoutMs: 40_000 });

    expect(view).toMatchObject({
      status: "succeeded",
      output: { started: RUNS, succeeded: RUNS, failed: 0, skipped: 0, missed: 0 },
    });
    await expectRuns(cluster, id, view.context as ScheduleContext);
  });
});

async function expectRuns({ client, ledger }: Cluster, id: string, { addedAt }: ScheduleContext): Promise<void> {
  const payload = `payload of ${id}`;
  const runs = Array.from({ length: RUNS }, (_, index) => runOf(id, addedAt + (index + 1) * 1_000));
  for (const run of runs) expect(await client.get(run)).toMatchObject({ status: "succeeded", correlationId: id });
  ledger.check(runs.map((run) => ({ id: run, payload, response: rightAnswer(payload) })));
  const ran = ledger.entries.filter(({ task }) => task.startsWith(`${id}=2`)).map(({ task }) => task);
  expect(new Set(ran)).toEqual(new Set(runs));
}

function runOf(id: string, due: number): string {
  const [day = "", ms = ""] = new Date(due).toISOString().replaceAll(/[-:]/g, "").replace("Z", "").split(".");
  return `${id}=${day}${ms === "000" ? "" : `_${ms}`}Z`;
}
