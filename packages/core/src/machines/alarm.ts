import { durable, type DriverLogic } from "./logic.ts";

/** What an alarm is set to. */
export interface AlarmInput {
  /** Epoch milliseconds by the server's clock; what is past goes off at once. */
  readonly dueAt: number;
}

/**
 * A time as an invoked actor, kept by the server: it goes off by the server's clock and never early, whoever lives then, once. Its output is `dueAt`.
 * Leaving the state takes it back. For what is due within moments a delay (`after`) is cheaper: that is kept by the instance's host.
 */
export const alarm: DriverLogic<AlarmInput, number> = durable<AlarmInput, number>(
  "alarm",
  (tree, self, input) => {
    const key = tree.book(self);
    tree.ask({ type: "alarm", key, dueAt: (input as AlarmInput).dueAt });
    return key;
  },
  {
    stopped: (tree, key) => tree.ask({ type: "stop", key, reason: "its state was left" }),
    sent: () => undefined,
  },
);
