import { embeddedFields, encodeTimer, taskMachine, type ActorState } from "@ergon/core/engine";

import type { LiveActor } from "./actor.ts";

/** The tasks that are embedded in an actor's record, by number, each with its snapshot and its timers. */
export function packEmbedded(tasks: ReadonlyMap<number, LiveActor>): Readonly<Record<string, unknown>> {
  const packed: Record<string, unknown> = {};
  for (const [key, { state }] of tasks)
    if (state !== undefined)
      packed[key] = { ...taskMachine.engine.fields(state), timers: state.timers.map(encodeTimer) };
  return packed;
}

/** Throws if the task in the snapshot has another id. */
export function unpackEmbedded(id: string, raw: unknown): ActorState {
  const fields = embeddedFields(taskMachine, raw);
  if (fields === undefined) throw new Error(`its task ${id} cannot be read`);
  const { engine } = taskMachine;
  const reason = engine.misshapen(taskMachine, fields);
  if (reason !== undefined) throw new Error(`its task ${id}: ${reason}`);
  if (engine.idOf(fields) !== id) throw new Error(`its task ${id} is ${String(engine.idOf(fields))}`);
  return engine.restore(taskMachine, fields, NOWHERE);
}

/** A task runs no work inside the node. */
const NOWHERE = {} as never;
