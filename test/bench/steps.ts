import { defineMachine, silentLogger, type Machine } from "@ergon/core";
import { encodeRecord, type ActorState, type TimedEvent } from "@ergon/core/engine";
import { createActor, fromPromise, type AnyActor, type AnyStateMachine, type EventObject } from "xstate";

import { five, flips } from "./processes/machines.ts";

/** CPU microseconds of one step of a machine, in this process. */
export interface StepCost {
  /** XState alone, nothing kept. */
  readonly plainUs: number;
  /** XState alone, and what it says is to be kept. */
  readonly plainPersistedUs: number;
  /** Ergon's step. */
  readonly stepUs: number;
  /** The step and the record that is written of it. */
  readonly withRecordUs: number;
  readonly recordBytes: number;
}

export interface StepCosts {
  /** Two states and an event. */
  readonly flips: StepCost;
  /** Five tasks one after the other; a start and five steps. */
  readonly five: StepCost;
}

const surroundings = { id: "bench", logger: silentLogger, onLocal: () => undefined };
const DATA = Buffer.alloc(100, "a");
/** Of so many rounds the quickest counts: the machine is not ours alone. */
const ROUNDS = 5;

export function measureSteps(steps: number): StepCosts {
  const task = fromPromise(() => new Promise<unknown>(() => undefined));
  const answers = (type: (index: number, state: string) => string): EventObject[] =>
    Object.keys(five.states).flatMap((state, at) => (state === "done" ? [] : [{ type: type(at + 1, state) }]));
  return {
    flips: costOf(flips, { per: steps, plain: [{ type: "flip" }], lives: 1 }, (): TimedEvent[] => [
      { type: "ergon.event", event: { type: "flip" }, at: 0, chance: 0 } as TimedEvent,
    ]),
    five: costOf(
      five.provide({ actors: { work: task as never } }),
      {
        per: 5,
        plain: answers((_, state) => `xstate.done.actor.0.five.${state}`).map((event) => ({ ...event, output: DATA })),
        lives: Math.ceil(steps / 6),
      },
      () =>
        answers((key) => String(key)).map(
          ({ type }) =>
            ({
              type: "ergon.task",
              key: Number(type),
              ending: { kind: "done", output: DATA },
              at: 0,
              chance: 0,
            }) as TimedEvent,
        ),
      five,
    ),
  };
}

interface Course {
  /** Steps after the start of each life. */
  readonly per: number;
  /** The events of XState alone, over and over. */
  readonly plain: readonly EventObject[];
  readonly lives: number;
}

function costOf(
  bare: AnyStateMachine,
  { per, plain, lives }: Course,
  events: () => readonly TimedEvent[],
  durable: AnyStateMachine = bare,
): StepCost {
  const machine = defineMachine(durable);
  const own = events();
  const all = lives * (per + 1);
  let recordBytes = 0;
  const ours = (each: (state: ActorState) => void) => (): void => {
    for (let life = 0; life < lives; life++) {
      const input = { input: DATA, at: 0, retentionMs: 0, fingerprint: 0 };
      let { state } = machine.engine.begin(machine, input, 0, surroundings);
      each(state);
      for (let index = 0; index < per; index++) {
        const { state: after } = machine.engine.step(machine, state, own[index % own.length] as TimedEvent);
        if (after === state) throw new Error(`step ${index} of ${machine.name} changed nothing`);
        state = after;
        each(state);
      }
      machine.engine.close(state);
    }
  };
  const alone = (each: (actor: AnyActor) => unknown) => (): void => {
    for (let life = 0; life < lives; life++) {
      const actor = createActor(bare, { input: DATA }).start();
      each(actor);
      for (let index = 0; index < per; index++) {
        const before: unknown = actor.getSnapshot();
        actor.send(plain[index % plain.length] as EventObject);
        if (actor.getSnapshot() === before) throw new Error(`step ${index} of ${bare.id} alone changed nothing`);
        each(actor);
      }
      actor.stop();
    }
  };
  const plainUs = cpuOf(alone(() => undefined)) / all;
  const plainPersistedUs = cpuOf(alone((actor) => actor.getPersistedSnapshot())) / all;
  const stepUs = cpuOf(ours(() => undefined)) / all;
  const withRecordUs = cpuOf(ours((state) => (recordBytes = sizeOf(machine, state)))) / all;
  return { plainUs, plainPersistedUs, stepUs, withRecordUs, recordBytes };
}

function sizeOf(machine: Machine, state: ActorState): number {
  return encodeRecord(machine, state).length;
}

function cpuOf(run: () => void): number {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, user + system);
  }
  return least;
}
