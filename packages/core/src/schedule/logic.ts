import { durable, type DriverLogic } from "../machines/logic.ts";
import { startMachine, startTask } from "../machines/start.ts";
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
    const { id, run: what } = input as RunInput;
    if (what.kind === "task") return startTask(tree, self, what.task, { id, standalone: true, sync: false });
    const { machine, version, input: given } = what;
    return startMachine(tree, self, { id, machine, version, input: given, sync: false });
  },
  {
    stopped: () => undefined,
    sent: (tree, key, event) => {
      if (event.type === CANCEL_RUN) tree.ask({ type: "cancel", key, reason: "the next run is due" });
    },
  },
);

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
