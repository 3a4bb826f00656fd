import { decodeTimer, encodeTimer, isMap, taskMachine, type ActorState, type RecordFields } from "@ergon/core";

import type { LiveActor } from "./actor.ts";

/** The tasks embedded in an actor's record, as that holds them: by number, each with its snapshot and its timers. */
export function packEmbedded(tasks: ReadonlyMap<number, LiveActor>): Readonly<Record<string, unknown>> {
  const packed: Record<string, unknown> = {};
  for (const [key, { state }] of tasks)
    if (state !== undefined)
      packed[key] = { ...taskMachine.engine.fields(state), timers: state.timers.map(encodeTimer) };
  return packed;
}

/** Throws when it is no task. */
export function unpackEmbedded(raw: unknown): ActorState {
  if (!isMap(raw) || !isMap(raw["snapshot"]) || !Array.isArray(raw["timers"])) throw new Error("no embedded task");
  const timers = raw["timers"].map(decodeTimer).filter((timer) => timer !== undefined);
  return taskMachine.engine.restore(
    taskMachine,
    { snapshot: raw["snapshot"], timers } as unknown as RecordFields,
    NOWHERE,
  );
}

/** Tasks run nothing in the node. */
const NOWHERE = {} as never;
