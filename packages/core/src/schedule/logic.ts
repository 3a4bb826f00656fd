import type { ChildSpec } from "../machines/command.ts";
import { durable, type DriverLogic } from "../machines/logic.ts";
import { toPlain } from "../machines/plain.ts";
import { taskDefaults } from "../task/spec.ts";
import { parseTaskRequest } from "../wire/submit.ts";
import type { RunSpec } from "./spec.ts";

/** What cancels a run. */
export const CANCEL_RUN = "schedule.cancel";

export interface RunInput {
  readonly id: string;
  readonly run: RunSpec;
}

/**
 * A run of a schedule: a durable child under the run's id. It goes on when its schedule is removed; {@link CANCEL_RUN} cancels it, and its end is heard
 * all the same.
 */
export const run: DriverLogic<RunInput, unknown> = durable<RunInput, unknown>(
  "a run of a schedule",
  (tree, self, input) => {
    const { id, run: spec } = input as RunInput;
    const key = tree.book(self);
    tree.ask({ type: "child", key, child: { id, ...childOf(spec, tree.now), sync: false } });
    return key;
  },
  {
    stopped: () => undefined,
    sent: (tree, key, event) => {
      if (event.type === CANCEL_RUN) tree.ask({ type: "cancel", key, reason: "the next run is due" });
    },
  },
);

function childOf(run: RunSpec, now: number): Omit<ChildSpec, "id" | "sync"> {
  if (run.kind === "machine") {
    const { machine, version, input } = run;
    return { machine, version, input: toPlain(input, "input"), retentionMs: taskDefaults.retentionMs };
  }
  const { spec, delayMs } = parseTaskRequest(run.task);
  return { machine: "task", spec: delayMs > 0 ? { ...spec, notBefore: now + delayMs } : spec, retentionMs: 0 };
}

/** What an instance is told of itself at its start. */
export interface Birth {
  readonly id: string;
  readonly at: number;
}

/** Ends at once with the instance's id, and the time. */
export const birth: DriverLogic<unknown, Birth> = durable<unknown, Birth>("the birth of a schedule", (tree, self) => {
  const output: Birth = { id: tree.id, at: tree.now };
  (self as { send(event: object): void }).send({ type: "ergon.ended", ending: { kind: "done", output } });
  return tree.book(self);
});
