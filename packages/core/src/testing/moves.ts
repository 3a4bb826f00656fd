import { inspect } from "node:util";

import { isErgonError } from "../base/errors.ts";
import type { Ending, StoredEvent } from "../machines/command.ts";
import { canTake, isMachineState } from "../machines/machine-state.ts";
import { hasSeen } from "../machines/seen-events.ts";
import type { Failure } from "../task/task-context.ts";
import { asked, failureFrom, payloadOf } from "./test-instance.ts";
import type { World } from "./world.ts";

/** A possible answer of an agent, which is a response, or a failure after all retries. */
export type Answer = { readonly output: unknown } | { readonly error: Partial<Failure> };

/** The possible answers of a driver's agents, or a function that makes them from a payload. */
export type Answers = readonly Answer[] | ((payload: unknown) => readonly Answer[]);

/** An event from outside of an instance. */
export type Move =
  | { readonly kind: "event"; readonly event: StoredEvent; readonly id: string }
  | {
      readonly kind: "answer";
      readonly instance: string;
      readonly key: number;
      readonly driver: string;
      readonly answer: Answer;
    }
  | { readonly kind: "timer"; readonly due: number }
  | { readonly kind: "cancel" };

export interface Possibilities {
  readonly events: readonly StoredEvent[];
  readonly agents: Readonly<Record<string, Answers>>;
  readonly cancel: boolean;
}

export const ROOT = "test";

/** Returns all moves that can happen next. Throws when a driver has no answers. */
export function movesFrom(world: World, possible: Possibilities, step: number): Move[] {
  const root = world.residents.get(ROOT);
  const running = root !== undefined && !root.ended;
  const events = running ? possible.events.filter((event) => takes(world, event)) : [];
  const answers = asked(world).flatMap(({ resident, task }) => {
    const { driver } = task.spec;
    const given = possible.agents[driver];
    if (given === undefined) throw new Error(`explore: agents has no answers for the driver "${driver}"`);
    const all = typeof given === "function" ? given(payloadOf(task)) : given;
    return all.map((answer): Move => ({ kind: "answer", instance: resident.id, key: task.key, driver, answer }));
  });
  const due = world.nextDue;
  return [
    ...events.map((event): Move => ({ kind: "event", event, id: `event-${step}` })),
    ...answers,
    ...(due === undefined ? [] : [{ kind: "timer", due } as const]),
    ...(possible.cancel && running ? [{ kind: "cancel" } as const] : []),
  ];
}

/** Makes a move. A move that the record already contains changes nothing. */
export async function make(world: World, move: Move): Promise<void> {
  switch (move.kind) {
    case "event":
      return send(world, move.event, move.id);
    case "answer":
      return world.endTask(move.instance, move.key, endingOf(move.answer));
    case "timer":
      return world.pass(Math.max(0, move.due - world.clock.now()));
    case "cancel":
      if (world.residents.get(ROOT)?.ended === false)
        await world.advanceActor(ROOT, { type: "cancel", by: "a client", reason: "" });
  }
}

export function describeMove(move: Move): string {
  switch (move.kind) {
    case "event":
      return `send ${brief(move.event)}`;
    case "answer":
      return "output" in move.answer
        ? `${move.driver} succeeds with ${brief(move.answer.output)}, for ${move.instance}`
        : `${move.driver} fails with ${brief(move.answer.error)}, for ${move.instance}`;
    case "timer":
      return "time passes until the next timer";
    case "cancel":
      return "cancel";
  }
}

async function send(world: World, event: StoredEvent, id: string): Promise<void> {
  const { state } = world.residents.get(ROOT) ?? {};
  if (state?.snapshot.status !== "active") return;
  if (!isMachineState(state)) return world.happen(ROOT, event);
  if (hasSeen(state.meta, id) || !takes(world, event)) return;
  await world.happen(ROOT, { type: "ergon.event", event, id });
}

function takes(world: World, event: StoredEvent): boolean {
  const { state, machine } = world.residents.get(ROOT) ?? {};
  if (state === undefined || machine === undefined) return false;
  try {
    const timed = { at: world.clock.now(), chance: 0.5, ...event };
    if (isMachineState(state)) return canTake(state.snapshot, timed);
    return machine.engine.step(machine, state, timed).state !== state;
  } catch (error) {
    if (!isErgonError(error)) throw error;
    // A guard that throws makes the engine refuse the client.
    return false;
  }
}

function endingOf(answer: Answer): Ending {
  return "output" in answer
    ? { kind: "done", output: answer.output }
    : { kind: "error", error: failureFrom(answer.error) };
}

function brief(value: unknown): string {
  return inspect(value, { depth: 3, breakLength: Infinity, maxStringLength: 80 });
}
