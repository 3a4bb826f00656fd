import { MINUTE, type SparseTaskOptions } from "@ergon/core";
import {
  begin,
  statusOf,
  step,
  taskMachine,
  type ActorState,
  type Effect,
  type TaskContext,
  type TaskEvent,
  type TaskSpec,
} from "@ergon/core/engine";

export const T0 = 1_767_225_600_000;
export type Event = TaskEvent extends infer E ? (E extends TaskEvent ? Omit<E, "at" | "chance"> : never) : never;

export const specOf = (options?: SparseTaskOptions, more: Partial<TaskSpec> = {}): TaskSpec => ({
  id: "t",
  driver: "d",
  payload: Buffer.from("in"),
  ...(options === undefined ? {} : { options }),
  ...more,
});

/** A task under test, with what its steps asked for. */
export class Subject {
  state: ActorState;
  effects: readonly Effect[];
  at: number;

  constructor(spec: TaskSpec = specOf(), more: { batch?: string; agent?: string } = {}, at: number = T0) {
    const turn = begin(taskMachine, { spec, at, chance: 0, ...more }, at);
    this.state = turn.state;
    this.effects = turn.effects;
    this.at = at;
  }

  get task(): TaskContext {
    return this.state.snapshot.context as TaskContext;
  }
  get place(): string {
    const value = this.state.snapshot.value as string | { live: string };
    return typeof value === "string" ? value : value.live;
  }
  get status(): string {
    return statusOf(this.task);
  }

  /** Sends an event; answers whether it was taken. */
  send(event: Event, afterMs = 1_000, chance = 0.5): boolean {
    this.at += afterMs;
    const before = this.state;
    const turn = step(taskMachine, before, { ...event, at: this.at, chance });
    this.state = turn.state;
    this.effects = turn.effects;
    return turn.state.snapshot !== before.snapshot;
  }

  due(name: string): number | undefined {
    return this.state.timers.find(({ id }) => id.includes(`.${name}.`))?.due;
  }

  /** Lets the timer fire, late by so much. */
  fire(name: string, lateMs = 0, chance = 0.5): void {
    const timer = this.state.timers.find(({ id }) => id.includes(`.${name}.`));
    if (timer === undefined) throw new Error(`no timer ${name} in ${this.place}`);
    this.state = { ...this.state, timers: this.state.timers.filter((other) => other !== timer) };
    this.send(timer.event as unknown as Event, timer.due + lateMs - this.at, chance);
  }
}

export const retryableFailure = { code: "X", message: "bad", retryable: true };
export const finalFailure = { code: "Y", message: "worse", retryable: false };
export const answer = Buffer.from("out");

export const events = {
  release: { type: "release" },
  start: { type: "start", agent: "b" },
  offer: { type: "offer" },
  unserved: { type: "unserved" },
  taken: { type: "taken", attempt: 1, agent: "p" },
  succeeded: { type: "succeeded", attempt: 1, response: answer },
  failed: { type: "failed", attempt: 1, failure: retryableFailure },
  final: { type: "failed", attempt: 1, failure: finalFailure },
  lost: { type: "lost", attempt: 1, reason: "gone" },
  returned: { type: "returned", attempt: 1, reason: "drain" },
  silent: { type: "silent", attempt: 1 },
  cancel: { type: "cancel", by: "me", reason: "enough" },
  end: { type: "end", by: "me", reason: "by force" },
} satisfies Record<string, Event>;
export type EventName = keyof typeof events;
export const eventNames = Object.keys(events) as EventName[];

/** How each place is reached. */
export const places = {
  held: () => new Subject(specOf(), { batch: "b-1" }),
  delayed: () => new Subject(specOf({}, { notBefore: T0 + MINUTE })),
  ready: () => new Subject(),
  offered: () => after(new Subject(), events.offer),
  unserved: () => after(new Subject(), events.offer, events.unserved),
  started: () => after(new Subject(), { type: "start", agent: "a" }),
  backoff: () => after(new Subject(), { type: "start", agent: "a" }, events.failed),
  cancelling: () => after(new Subject(), { type: "start", agent: "a" }, events.cancel),
  succeeded: () => after(new Subject(), { type: "start", agent: "a" }, events.succeeded),
  failed: () => after(new Subject(), { type: "start", agent: "a" }, events.final),
  cancelled: () => after(new Subject(), events.cancel),
};
export type Place = keyof typeof places;
export const placeNames = Object.keys(places) as Place[];

export function after(subject: Subject, ...sent: Event[]): Subject {
  for (const event of sent) if (!subject.send(event)) throw new Error(`${event.type} is not taken in ${subject.place}`);
  return subject;
}

/** The names of the delays that a task waits for, sorted. */
export function timerNames(state: ActorState): string[] {
  return state.timers.map(({ id }) => /\.after\.(\w+)\./.exec(id)?.[1] ?? id).toSorted((a, b) => (a < b ? -1 : 1));
}
