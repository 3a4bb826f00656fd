import type { EventObject } from "xstate";

import type { InnerActor, InnerLogic } from "./inner-actor.ts";

/** The tree around an actor that runs in the node. */
interface Surroundings {
  /** Returns true once the tree is closed. */
  readonly isClosed: () => boolean;
  /** Calls `run` after the record that holds the request for the actor is stored. */
  readonly whenStored: (run: () => void) => void;
}

/**
 * Starts an actor that runs in the node only after the record with its request is stored. An earlier start would let it act for an instance that may
 * never be stored. Events that arrive before the start wait.
 */
export function postpone(actor: InnerActor, logic: InnerLogic, { isClosed, whenStored }: Surroundings): void {
  const waiting: EventObject[] = [];
  let started = false;
  actor.logic = Object.assign(Object.create(logic) as InnerLogic, {
    start: (_: unknown, scope: unknown): void => {
      whenStored(() => {
        if (started || isClosed() || actor.getSnapshot().status !== "active") return;
        started = true;
        startNow(actor, logic, scope);
        for (const event of waiting) actor._send(event);
      });
    },
    transition: (snapshot: unknown, event: EventObject, scope: unknown): unknown => {
      if (started) return logic.transition(snapshot, event, scope);
      if (event.type === "xstate.stop") return { ...(snapshot as object), status: "stopped" };
      waiting.push(event);
      return snapshot;
    },
  });
}

function startNow(actor: InnerActor, logic: InnerLogic, scope: unknown): void {
  try {
    logic.start?.(actor.getSnapshot(), scope);
  } catch (error) {
    actor._snapshot = { ...actor._snapshot, status: "error", error } as never;
    actor._error(error);
  }
}
