import type { EventObject } from "xstate";

import type { Timer } from "../actor/state.ts";
import type { Ending } from "./command.ts";
import { durable, type DriverLogic } from "./logic.ts";

/** What an alarm is set to. */
export interface AlarmInput {
  /** Epoch milliseconds by the NATS server's clock; a time of the past goes off at once. */
  readonly dueAt: number;
}

/** The name of an alarm's timer. A host fires it only after the server's clock has passed its time. */
const ALARM_TIMER = "ergon.alarm";

/** The timer names the actor, so the engine needs no number for it. */
const UNNUMBERED = 0;

/**
 * A time as an invoked actor. It is a timer of the instance's record, so it goes off on whichever node hosts the instance then, once. A delay
 * (`after`) goes by the host's reading of the server's clock; an alarm goes off after the server's clock itself has passed its time, and never
 * before. The actor's output is `dueAt`. Leaving the state takes the alarm back.
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

/** Whether a timer is to fire only after the server's clock has passed its time. */
export function isAlarm({ id }: Timer): boolean {
  return id === ALARM_TIMER;
}
