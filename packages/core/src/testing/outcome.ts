import { inspect } from "node:util";

import { msgpack } from "../base/msgpack.ts";
import { isMachineState } from "../machines/machine-state.ts";
import type { Resident } from "./resident.ts";
import { payloadOf } from "./test-instance.ts";
import type { World } from "./world.ts";

/** The state of an actor, as far as its machine determines it. */
export interface Standing {
  /** `running`, or the status of its end. */
  readonly status: string;
  readonly value: unknown;
  readonly context: unknown;
  readonly output?: unknown;
  readonly failure?: unknown;
  /** The tasks for which it waits. */
  readonly tasks: readonly unknown[];
  readonly children: readonly string[];
  /** The timers, each with the milliseconds until it is due. */
  readonly timers: readonly (readonly [event: unknown, inMs: number])[];
}

/** The states of an instance and its durable children, by id. */
export type Outcome = Readonly<Record<string, Standing>>;

export function outcomeOf(world: World): Outcome {
  const ids = [...world.residents.keys()].toSorted();
  return Object.fromEntries(
    ids.flatMap((id) => {
      const resident = world.residents.get(id);
      if (resident === undefined) return [];
      // A record omits fields that are undefined.
      return [[id, msgpack.unpack(msgpack.pack(standingOf(resident, world.clock.now()))) as Standing]];
    }),
  );
}

/** Formats an outcome for people. Equal outcomes have equal texts. */
export function textOf(value: unknown): string {
  return inspect(value, { depth: null, sorted: true, breakLength: 120, maxArrayLength: null, maxStringLength: null });
}

function standingOf(resident: Resident, now: number): Standing {
  const { present, tasks } = resident;
  const timers = present.timers
    .map(({ event, due }) => [event, due - now] as const)
    .toSorted((a, b) => a[1] - b[1] || textOf(a[0]).localeCompare(textOf(b[0])));
  const waiting = [...tasks.values()].map((task) => ({ driver: task.spec.driver, payload: payloadOf(task) }));
  if (!isMachineState(present)) {
    const { value, context } = present.snapshot;
    return { status: resident.ended ? "ended" : "running", value, context, tasks: waiting, children: [], timers };
  }
  const { persisted, meta } = present;
  return {
    status: meta.status,
    value: persisted.value,
    context: persisted.context,
    output: persisted.output,
    failure: meta.failure,
    tasks: waiting,
    children: Object.values(meta.children).map(({ id }) => id),
    timers,
  };
}
