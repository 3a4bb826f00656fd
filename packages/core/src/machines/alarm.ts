import type { EventObject } from "xstate";

import type { Timer } from "../actor/state.ts";
import type { Ending } from "./command.ts";
import { durable, type DriverLogic } from "./logic.ts";

/** The input of an alarm. */
export interface AlarmInput {
  /** Epoch milliseconds by the NATS server's clock. An alarm whose time has passed fires at once. */
  readonly dueAt: number;
}

/** The name of an alarm's timer. A host fires the timer only after the server's clock has passed its time. */
const ALARM_TIMER = "ergon.alarm";

/** An alarm needs no number of the engine, because its timer names the actor. */
const UNNUMBERED = 0;

/**
 * A time as an invoked actor. It is a timer of the instance's record, so it fires once, on the node that hosts the instance at that time. A delay
 * (`after`) follows the host's reading of the server's clock; an alarm fires only after the server's clock itself has passed its time. The actor's
 * output is `dueAt`. Leaving the state cancels the alarm.
 */
export const alarm: DriverLogic<AlarmInput, number> = durable<AlarmInput, number>(
  "alarm",
  (tree, self, input) => {
    const { dueAt } = input as AlarmInput;
    const ending: Ending = { kind: "done", output: dueAt };
    tree.remind(self, ALARM_TIMER, dueAt, { type: "ergon.ended", ending } as EventObject);
    return UNNUMBERED;
  },
  { stopped: () => undefined, sent: () => undefined },
);

/** Returns true if a timer may fire only after the server's clock has passed its time. */
export function isAlarm({ id }: Timer): boolean {
  return id === ALARM_TIMER;
}
