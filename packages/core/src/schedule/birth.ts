import { durable, type DriverLogic } from "../machines/logic.ts";

/** The facts that an instance receives about itself at its start. */
export interface Birth {
  readonly id: string;
  readonly at: number;
}

/** Ends at once with the instance's id and the time. */
export const birth: DriverLogic<unknown, Birth> = durable<unknown, Birth>("the birth of a schedule", (tree, self) => {
  const output: Birth = { id: tree.id, at: tree.now };
  (self as { send(event: object): void }).send({ type: "ergon.ended", ending: { kind: "done", output } });
  return tree.book(self);
});
